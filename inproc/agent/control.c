/* SPDX-License-Identifier: MIT */
/* How it works: the control thread is a loop around poll() on the sidecar's socket and the wake
 * eventfd. Each turn does what is due: connect, receive, look after the engine, report. The GIL is
 * taken only around calls into the engine and changes of the ring that hits write to. */
#include <Python.h>

#include "inproc/agent/agent_state.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inproc/agent/process_info.h"
#include "lib/base/clock.h"
#include "lib/spec/spec_codec.h"

#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 1000
#define REPORT_PERIOD_MS 1000

/* A stay with the interpreter. The garbage collector is off meanwhile: it would run the program's
 * finalisers on our thread, where many of them may not run. */
struct python_stay {
    PyGILState_STATE gil;
    int was_collecting;
};

static struct python_stay enter_python(void) {
    struct python_stay stay = {.gil = PyGILState_Ensure()};

    stay.was_collecting = PyGC_Disable();
    return stay;
}

static void leave_python(struct python_stay stay) {
    if (stay.was_collecting)
        PyGC_Enable();
    PyGILState_Release(stay.gil);
}

static bool is_stopping(const struct diag_agent *agent) {
    return __atomic_load_n(&agent->is_stopping, __ATOMIC_RELAXED);
}

static void set_error(struct diag_agent *agent, const char *message) {
    struct python_stay stay = enter_python();

    agent->is_connected = message == NULL;
    snprintf(agent->last_error, sizeof agent->last_error, "%s", message != NULL ? message : "");
    leave_python(stay);
}

/* Loses the sidecar, or fails to find it: tries again after a jittered, growing while. */
static void disconnect(struct diag_agent *agent, const char *message) {
    uint64_t now_ns = diag_clock_monotonic_ns();
    uint64_t jitter_ms = (uint64_t)rand_r(&agent->random_state) % (agent->backoff_ms + 1);

    diag_link_close(&agent->link);
    if (agent->is_welcome || agent->lost_ns == 0)
        agent->lost_ns = now_ns;
    agent->is_welcome = false;
    agent->next_attempt_ns = now_ns + (agent->backoff_ms / 2 + jitter_ms / 2) * DIAG_NS_PER_MS;
    agent->backoff_ms =
        2 * agent->backoff_ms < BACKOFF_MAX_MS ? 2 * agent->backoff_ms : BACKOFF_MAX_MS;
    set_error(agent, message);
}

/* The application may have closed descriptors of ours, as daemons do with all that are open: then
 * the numbers are forgotten, and there is a new connection, and a new ring if need be. */
static void look_after_descriptors(struct diag_agent *agent) {
    bool has_lost_segment = agent->has_ring && !diag_owned_fd_is_ours(&agent->segment_file);
    bool has_lost_wake = agent->has_ring && !diag_owned_fd_is_ours(&agent->ring_wake);
    bool has_lost_socket =
        agent->link.socket.fd >= 0 && !diag_owned_fd_is_ours(&agent->link.socket);
    struct python_stay stay;

    if (!diag_owned_fd_is_ours(&agent->wake)) {
        stay = enter_python();
        agent->wake = diag_owned_fd_take(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        leave_python(stay);
    }
    if (!has_lost_segment && !has_lost_wake && !has_lost_socket)
        return;
    stay = enter_python();
    if (has_lost_segment)
        diag_agent_drop_ring(agent);
    else if (has_lost_wake)
        agent->writer.wake_fd = agent->ring_wake.fd = -1;
    leave_python(stay);
    disconnect(agent, "the application has closed our descriptors");
}

static void connect_to_sidecar(struct diag_agent *agent) {
    uint8_t data[DIAG_PROCESS_INFO_MAX];
    struct diag_bytes info =
        diag_process_info_encode(data, agent->process_uid, agent->started_unix_ns,
                                 agent->python_version, agent->library_version, &agent->identity);
    struct diag_error err = {0};

    /* only this thread changes the segment while it runs */
    if (diag_link_open(&agent->link, agent->socket_path, info, agent->segment_file.fd, &err) !=
        DIAG_OK)
        disconnect(agent, err.message);
}

static bool is_same_file(int a, int b) {
    struct stat a_stat, b_stat;

    return a >= 0 && b >= 0 && fstat(a, &a_stat) == 0 && fstat(b, &b_stat) == 0 &&
           a_stat.st_dev == b_stat.st_dev && a_stat.st_ino == b_stat.st_ino;
}

/* Takes over the ring, new or the one that we had offered. */
static void on_welcome(struct diag_agent *agent, struct diag_link_event *event) {
    struct python_stay stay;

    if (strcmp(event->segment.header->process_uid, agent->process_uid) != 0) {
        diag_segment_done(&event->segment);
        diag_closep(&event->wake_fd);
        disconnect(agent, "the sidecar handed over the ring of another process");
        return;
    }
    stay = enter_python();
    if (is_same_file(event->segment.fd, agent->segment_file.fd)) {
        diag_segment_done(&event->segment);
        diag_owned_fd_close(&agent->ring_wake);
    } else {
        diag_agent_drop_ring(agent);
        agent->segment = event->segment;
        agent->segment_file = diag_owned_fd_take(DIAG_TAKE_FD(agent->segment.fd));
        diag_aggregate_writer_init(&agent->aggregates, &agent->segment);
    }
    agent->ring_wake = diag_owned_fd_take(event->wake_fd);
    agent->writer.segment = &agent->segment;
    agent->writer.wake_fd = agent->ring_wake.fd;
    agent->has_ring = true;
    leave_python(stay);
    agent->is_welcome = true;
    agent->lost_ns = 0;
    agent->backoff_ms = BACKOFF_MIN_MS;
    agent->next_report_ns = 0;
    diag_status_report_reset(&agent->report);
    set_error(agent, NULL);
}

/* A spec that this release cannot read fails by itself, not the whole snapshot. */
static void add_undecodable(struct diag_agent *agent, struct diag_bytes encoded,
                            const struct diag_error *err) {
    struct diag_spec_status *statuses =
        realloc(agent->undecodable, (agent->undecodable_count + 1) * sizeof *statuses);
    struct diag_spec_status *status;

    if (statuses == NULL)
        return;
    agent->undecodable = statuses;
    status = &statuses[agent->undecodable_count++];
    memset(status, 0, sizeof *status);
    diag_spec_peek(encoded, status->spec_id, &status->spec_revision);
    status->state = DIAG_SPEC_STATE_FAILED;
    snprintf(status->message, sizeof status->message, "%s", err->message);
}

/* Hands the specs (taken over) to the engine. */
static enum diag_status apply(struct diag_agent *agent, struct diag_spec **specs, size_t count,
                              struct diag_error *err) {
    struct python_stay stay = enter_python();
    enum diag_status status = diag_engine_apply(agent->engine, specs, count, err);

    leave_python(stay);
    if (status != DIAG_OK)
        return status;
    agent->has_specs = count > 0;
    pthread_mutex_lock(&agent->lock);
    agent->applied_count++;
    pthread_cond_broadcast(&agent->applied_changed);
    pthread_mutex_unlock(&agent->lock);
    return DIAG_OK;
}

static void decode_specs(struct diag_agent *agent, const struct diag_spec_snapshot *snapshot,
                         struct diag_spec **specs, size_t *count) {
    agent->undecodable_count = 0;
    for (size_t i = 0; i < snapshot->spec_count; i++) {
        struct diag_error err = {0};
        struct diag_spec *spec;

        if (diag_spec_decode(snapshot->specs[i], &spec, &err) != DIAG_OK) {
            add_undecodable(agent, snapshot->specs[i], &err);
            continue;
        }
        if (diag_spec_validate(spec, &err) != DIAG_OK) {
            add_undecodable(agent, snapshot->specs[i], &err);
            diag_spec_free(spec);
            continue;
        }
        specs[(*count)++] = spec;
    }
}

static void on_snapshot(struct diag_agent *agent, struct diag_bytes content) {
    DIAG_CLEANUP(diag_spec_snapshot_done) struct diag_spec_snapshot snapshot = {0};
    DIAG_CLEANUP(diag_freep) struct diag_spec **specs = NULL;
    struct diag_error err = {0};
    size_t count = 0;
    enum diag_status status = diag_spec_snapshot_decode(content, &snapshot, &err);

    if (status == DIAG_OK) {
        specs = calloc(snapshot.spec_count + 1, sizeof(struct diag_spec *));
        if (specs == NULL)
            status = diag_error_set(&err, DIAG_ERR_NO_MEMORY, errno, "snapshot");
    }
    if (status == DIAG_OK) {
        decode_specs(agent, &snapshot, specs, &count);
        status = apply(agent, specs, count, &err);
    }
    if (status != DIAG_OK) {
        disconnect(agent, err.message);
        return;
    }
    agent->snapshot = snapshot.snapshot;
    agent->ttl_ms = snapshot.ttl_ms;
    agent->next_report_ns = 0;
}

static void receive(struct diag_agent *agent) {
    while (agent->link.socket.fd >= 0 && !is_stopping(agent)) {
        struct diag_link_event event;
        struct diag_error err = {0};
        enum diag_status status = diag_link_receive(&agent->link, &event, &err);

        if (status == DIAG_ERR_UNAVAILABLE)
            return;
        if (status != DIAG_OK) {
            disconnect(agent, err.message);
            return;
        }
        switch (event.kind) {
        case DIAG_LINK_WELCOME:
            on_welcome(agent, &event);
            break;
        case DIAG_LINK_SNAPSHOT:
            on_snapshot(agent, event.snapshot);
            diag_sealed_memfd_unmap(event.snapshot);
            break;
        case DIAG_LINK_REFUSED: {
            char reason[DIAG_ERROR_MESSAGE_MAX];
            snprintf(reason, sizeof reason, "refused by the sidecar: %.*s", (int)event.reason.size,
                     (const char *)event.reason.data);
            agent->backoff_ms = BACKOFF_MAX_MS;
            disconnect(agent, reason);
            break;
        }
        }
    }
}

static enum diag_status send_report(void *context, struct diag_bytes message) {
    struct diag_agent *agent = context;

    return diag_link_report(&agent->link, message, NULL);
}

static void add_status(void *context, const struct diag_spec_status *status) {
    diag_status_report_add(context, status);
}

static void report(struct diag_agent *agent, bool is_forced) {
    struct python_stay stay;
    enum diag_status status;

    diag_status_report_begin(&agent->report);
    stay = enter_python();
    for (size_t i = 0; i < agent->removed_count; i++)
        diag_status_report_add(&agent->report, &agent->removed[i]);
    agent->removed_count = 0;
    diag_engine_statuses(agent->engine, add_status, &agent->report);
    leave_python(stay);
    for (size_t i = 0; i < agent->undecodable_count; i++)
        diag_status_report_add(&agent->report, &agent->undecodable[i]);
    status =
        diag_status_report_send(&agent->report, agent->snapshot, is_forced, send_report, agent);
    if (status != DIAG_OK && status != DIAG_ERR_FULL)
        disconnect(agent, "the sidecar has gone");
}

/* Without a sidecar for longer than it granted, nothing stays armed. */
static void enforce_ttl(struct diag_agent *agent, uint64_t now_ns) {
    if (!agent->has_specs || agent->lost_ns == 0 || agent->ttl_ms == 0 ||
        now_ns - agent->lost_ns < agent->ttl_ms * DIAG_NS_PER_MS)
        return;
    agent->undecodable_count = 0;
    if (apply(agent, NULL, 0, NULL) != DIAG_OK)
        agent->lost_ns = now_ns; /* out of memory: once more, later */
}

static void look_after_engine(struct diag_agent *agent, uint64_t now_ns) {
    struct python_stay stay;
    uint64_t expiry_unix_ns, now_unix_ns = diag_clock_unix_ns();

    if (!agent->has_specs || now_ns < agent->next_tick_ns)
        return;
    stay = enter_python();
    diag_engine_tick(agent->engine, now_unix_ns);
    expiry_unix_ns = diag_engine_next_expiry(agent->engine);
    leave_python(stay);
    agent->next_tick_ns = now_ns + DIAG_ENGINE_TICK_MS * DIAG_NS_PER_MS;
    if (expiry_unix_ns > now_unix_ns &&
        now_ns + (expiry_unix_ns - now_unix_ns) < agent->next_tick_ns)
        agent->next_tick_ns = now_ns + (expiry_unix_ns - now_unix_ns);
}

/* Does what is due without waiting. */
static void turn(struct diag_agent *agent, bool is_woken) {
    uint64_t now_ns = diag_clock_monotonic_ns();

    look_after_descriptors(agent);
    if (agent->link.socket.fd < 0 && now_ns >= agent->next_attempt_ns)
        connect_to_sidecar(agent);
    if (agent->link.socket.fd >= 0)
        receive(agent);
    now_ns = diag_clock_monotonic_ns();
    enforce_ttl(agent, now_ns);
    look_after_engine(agent, now_ns);
    if (agent->is_welcome && (is_woken || now_ns >= agent->next_report_ns)) {
        report(agent, agent->next_report_ns == 0);
        agent->next_report_ns = now_ns + REPORT_PERIOD_MS * DIAG_NS_PER_MS;
    }
}

static int timeout_ms(const struct diag_agent *agent) {
    uint64_t now_ns = diag_clock_monotonic_ns();
    uint64_t due_ns = now_ns + 3600 * DIAG_NS_PER_S;

    if (agent->link.socket.fd < 0 && agent->next_attempt_ns < due_ns)
        due_ns = agent->next_attempt_ns;
    if (agent->has_specs && agent->next_tick_ns < due_ns)
        due_ns = agent->next_tick_ns;
    if (agent->is_welcome && agent->has_specs && agent->next_report_ns < due_ns)
        due_ns = agent->next_report_ns;
    return due_ns <= now_ns ? 0 : (int)((due_ns - now_ns) / DIAG_NS_PER_MS) + 1;
}

void *diag_agent_control(void *context) {
    struct diag_agent *agent = context;
    bool is_woken = false;

    agent->random_state = (unsigned)diag_clock_monotonic_ns() ^ (unsigned)getpid();
    agent->backoff_ms = BACKOFF_MIN_MS;
    while (!is_stopping(agent)) {
        struct pollfd fds[2] = {{.events = POLLIN}, {.events = POLLIN}};
        uint64_t count;

        turn(agent, is_woken);
        fds[0].fd = agent->wake.fd;
        fds[1].fd = agent->link.socket.fd;
        poll(fds, 2, timeout_ms(agent));
        is_woken = diag_owned_fd_is_ours(&agent->wake) &&
                   read(agent->wake.fd, &count, sizeof count) == sizeof count;
    }
    return NULL;
}
