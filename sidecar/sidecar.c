/* SPDX-License-Identifier: MIT */
#include "sidecar/sidecar.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "lib/base/cleanup.h"
#include "lib/base/stop_signals.h"
#include "lib/rpc/health.h"
#include "lib/shm/local_socket.h"
#include "sidecar/uplink.h"

#define MESSAGE_SIZE_MAX (16u << 20)
#define FLUSH_MS 2000
#define HEALTH_GRACE_MS 500
#define HEALTH_MESSAGE_SIZE_MAX 4096

struct sidecar {
    const struct diag_sidecar_options *options;
    struct diag_sidecar_labels labels;
    int signal_fd, listen_fd, lock_fd;
    struct diag_loop *loop;
    struct diag_rpc_health *health;
    struct diag_rpc_method health_methods[DIAG_RPC_HEALTH_METHOD_COUNT];
    struct diag_rpc_server *health_server;
    struct diag_rpc_client *client;
    struct diag_mailbox mailbox;
    struct diag_reporter reporter;
    struct diag_session session;
    struct diag_uplink uplink;
    struct diag_local *local;
    struct diag_loop_timer flush;
    bool is_stopping;
};

/* ---- stopping: the local thread first, then what it had to tell, then the loop ---- */

static void on_flushed(void *context) {
    struct sidecar *sidecar = context;

    diag_loop_timer_stop(sidecar->loop, &sidecar->flush);
    diag_reporter_enable(&sidecar->reporter, false);
    diag_loop_stop(sidecar->loop);
}

static void on_local_stopped(void *context) {
    struct sidecar *sidecar = context;

    diag_session_stop(&sidecar->session);
    diag_loop_timer_start(sidecar->loop, &sidecar->flush, FLUSH_MS, on_flushed, sidecar);
    diag_reporter_when_drained(&sidecar->reporter, on_flushed, sidecar);
}

static void on_signal(void *context) {
    struct sidecar *sidecar = context;

    if (sidecar->is_stopping)
        return;
    sidecar->is_stopping = true;
    diag_log_info("stopping");
    if (sidecar->health != NULL)
        diag_rpc_health_set_serving(sidecar->health, false);
    diag_mailbox_post_stop(&sidecar->mailbox);
}

/* ---- starting ---- */

static void tell_labels_left_out(const struct sidecar *sidecar) {
    const struct diag_sidecar_labels *labels = &sidecar->labels;

    for (size_t i = 0; i < labels->too_long.count; i++) {
        const char *label = labels->too_long.items[i], *equals = strchr(label, '=');

        diag_log_warning("--label-default: a value of \"%.*s\" is left out: it has %zu bytes; %d "
                         "are allowed",
                         (int)(equals - label), label, strlen(equals + 1), DIAG_SIDECAR_LABEL_MAX);
    }
    if (labels->left_out_count > 0)
        diag_log_warning(
            "--labels-file %s: the last %zu labels are left out; %d are allowed in all",
            sidecar->options->labels_file, labels->left_out_count, DIAG_SIDECAR_LABELS_MAX);
}

/* The default folder lies in /run, which is empty after a boot. */
static enum diag_status make_folder(const char *socket_path, struct diag_error *err) {
    const char *slash = strrchr(socket_path, '/');
    DIAG_CLEANUP(diag_freep) char *folder = NULL;

    if (slash == NULL || slash == socket_path)
        return DIAG_OK;
    folder = strndup(socket_path, (size_t)(slash - socket_path));
    if (folder == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "--socket");
    if (mkdir(folder, 0755) != 0 && errno != EEXIST)
        return diag_error_set(err, DIAG_ERR_IO, errno, "--socket: folder %s", folder);
    return DIAG_OK;
}

static enum diag_status open_local(struct sidecar *sidecar, struct diag_error *err) {
    const char *path = sidecar->options->socket;
    enum diag_status status = make_folder(path, err);
    sigset_t signals = diag_stop_signals();

    if (status != DIAG_OK)
        return status;
    status = diag_local_socket_listen(path, &sidecar->listen_fd, &sidecar->lock_fd, err);
    if (status != DIAG_OK) {
        diag_error_prefix(err, "--socket");
        return status;
    }
    sidecar->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (sidecar->signal_fd < 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "signalfd");
    return DIAG_OK;
}

static enum diag_status open_health(struct sidecar *sidecar, struct diag_error *err) {
    struct diag_rpc_server_options options = {
        .address = sidecar->options->health,
        .tls = {.allow_plaintext = true}, /* for health alone it is fine anywhere */
        .methods = sidecar->health_methods,
        .method_count = DIAG_RPC_HEALTH_METHOD_COUNT,
        .max_message_size = HEALTH_MESSAGE_SIZE_MAX,
    };
    enum diag_status status;

    if (sidecar->options->health == NULL)
        return DIAG_OK;
    status = diag_rpc_health_new(NULL, 0, &sidecar->health, err);
    if (status != DIAG_OK)
        return status;
    diag_rpc_health_methods(sidecar->health, sidecar->health_methods);
    status = diag_rpc_server_new(sidecar->loop, &options, &sidecar->health_server, err);
    if (status != DIAG_OK)
        diag_error_prefix(err, "--health");
    return status;
}

/* A pod must not fail to start because its certificate is late: the application goes on without. */
static void tell_missing_files(const struct diag_rpc_tls *tls) {
    struct diag_error err;

    if (tls->reload_s > 0 && diag_rpc_tls_check_files(tls, &err) != DIAG_OK)
        diag_log_warning("%s; waiting for it", err.message);
}

static enum diag_status open_rpc(struct sidecar *sidecar, struct diag_error *err) {
    struct diag_rpc_client_options options = {
        .address = sidecar->options->controller,
        .tls = sidecar->options->tls,
        .max_message_size = MESSAGE_SIZE_MAX,
        .min_backoff_ms = DIAG_BACKOFF_MIN_MS,
        .max_backoff_ms = DIAG_BACKOFF_MAX_MS,
    };
    enum diag_status status = diag_loop_new(&sidecar->loop, err);

    if (status == DIAG_OK)
        status = open_health(sidecar, err);
    tell_missing_files(&sidecar->options->tls);
    if (status == DIAG_OK)
        status = diag_rpc_client_new(sidecar->loop, &options, &sidecar->client, err);
    return status;
}

static enum diag_status assemble(struct sidecar *sidecar, struct diag_error *err) {
    struct diag_local_options local = {
        .listen_fd = sidecar->listen_fd,
        .signal_fd = sidecar->signal_fd,
        .mailbox = &sidecar->mailbox,
        .ring_size = sidecar->options->ring_size,
        .max_processes = (size_t)sidecar->options->max_processes,
        .max_memory = sidecar->options->max_memory,
    };
    enum diag_status status;

    sidecar->uplink = (struct diag_uplink){
        .loop = sidecar->loop,
        .session = &sidecar->session,
        .reporter = &sidecar->reporter,
        .signalled = on_signal,
        .stopped = on_local_stopped,
        .context = sidecar,
    };
    local.sink = diag_uplink_sink(&sidecar->uplink);
    diag_reporter_init(&sidecar->reporter, sidecar->loop, sidecar->client, &sidecar->mailbox);
    status = diag_session_init(&sidecar->session, sidecar->options, &sidecar->labels, sidecar->loop,
                               sidecar->client, &sidecar->mailbox, &sidecar->reporter, err);
    if (status == DIAG_OK)
        status = diag_local_new(&local, &sidecar->local, err);
    return status;
}

static void *run_local(void *context) {
    diag_local_run(context);
    return NULL;
}

static enum diag_status serve(struct sidecar *sidecar, struct diag_error *err) {
    pthread_t thread;
    int os_errno = pthread_create(&thread, NULL, run_local, sidecar->local);

    if (os_errno != 0)
        return diag_error_set(err, DIAG_ERR_IO, os_errno, "thread");
    diag_log_info("serving processes at %s for controller %s", sidecar->options->socket,
                  sidecar->options->controller);
    diag_session_start(&sidecar->session);
    diag_loop_run(sidecar->loop);
    pthread_join(thread, NULL);
    diag_log_info("stopped");
    return DIAG_OK;
}

static void close_local(struct sidecar *sidecar) {
    if (sidecar->listen_fd >= 0) {
        char lock_path[128];

        unlink(sidecar->options->socket);
        /* While we still hold it: whoever waits for it looks whether it is still the one. */
        snprintf(lock_path, sizeof lock_path, "%s.lock", sidecar->options->socket);
        unlink(lock_path);
    }
    diag_closep(&sidecar->listen_fd);
    diag_closep(&sidecar->lock_fd);
    diag_closep(&sidecar->signal_fd);
}

enum diag_status diag_sidecar_run(const struct diag_sidecar_options *options,
                                  struct diag_error *err) {
    struct sidecar sidecar = {.options = options, .signal_fd = -1, .listen_fd = -1, .lock_fd = -1};
    enum diag_status status = diag_mailbox_init(&sidecar.mailbox, err);

    if (status != DIAG_OK)
        return status;
    status = diag_sidecar_labels_collect(options, &sidecar.labels, err);
    if (status == DIAG_OK) {
        tell_labels_left_out(&sidecar);
        status = open_local(&sidecar, err);
    }
    if (status == DIAG_OK)
        status = open_rpc(&sidecar, err);
    if (status == DIAG_OK)
        status = assemble(&sidecar, err);
    if (status == DIAG_OK)
        status = serve(&sidecar, err);
    diag_rpc_client_free(sidecar.client);
    diag_rpc_server_stop_and_free(sidecar.health_server, HEALTH_GRACE_MS);
    diag_rpc_health_free(sidecar.health);
    if (sidecar.session.loop != NULL)
        diag_session_done(&sidecar.session);
    if (sidecar.reporter.loop != NULL)
        diag_reporter_done(&sidecar.reporter);
    diag_local_free(sidecar.local);
    diag_loop_free(sidecar.loop);
    close_local(&sidecar);
    diag_mailbox_done(&sidecar.mailbox);
    diag_sidecar_labels_done(&sidecar.labels);
    return status;
}
