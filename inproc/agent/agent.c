/* SPDX-License-Identifier: MIT */
/* How fork is survived: pthread_atfork's child handler runs before any Python code of the child,
 * with no other thread alive, and only clears `has_ring`. From then on hits are counted as dropped
 * until diag_agent_after_fork, which Python calls a moment later, has made a new connection. */
#include <Python.h>

#include "inproc/agent/agent.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "inproc/agent/agent_state.h"
#include "lib/base/clock.h"

/* The agent of this process, for pthread_atfork, which takes no context. Written under the GIL. */
static struct diag_agent *process_agent;

static void abandon_ring_in_child(void) {
    if (process_agent != NULL)
        process_agent->has_ring = false;
}

void diag_agent_wake(struct diag_agent *agent) {
    uint64_t one = 1;

    if (!diag_owned_fd_is_ours(&agent->wake))
        return; /* the thread finds out by itself */
    /* fails only when the counter is full, and then the thread is awake anyway */
    if (write(agent->wake.fd, &one, sizeof one) < 0)
        return;
}

static enum diag_status emit(void *context, struct diag_bytes event, bool is_kept) {
    struct diag_agent *agent = context;

    if (!agent->has_ring)
        return DIAG_ERR_CLOSED;
    return is_kept ? diag_ring_writer_put_kept(&agent->writer, event)
                   : diag_ring_writer_put(&agent->writer, event);
}

static enum diag_status aggregate_open(void *context, const struct diag_engine_aggregate *which,
                                       uint64_t *handle, bool *is_overflow) {
    struct diag_agent *agent = context;
    struct diag_aggregate_key key = {
        .spec = which->spec,
        .tags = which->tags,
        .overflow = which->overflow,
        .is_overflow = which->is_overflow,
    };

    if (!agent->has_ring)
        return DIAG_ERR_CLOSED;
    return diag_aggregate_writer_open(&agent->aggregates, which->is_histogram, &key, handle,
                                      is_overflow);
}

static enum diag_status aggregate_update(void *context, uint64_t handle, double number) {
    struct diag_agent *agent = context;

    if (!agent->has_ring)
        return DIAG_ERR_CLOSED;
    return diag_aggregate_writer_update(&agent->aggregates, handle, number);
}

static void aggregate_retire(void *context, struct diag_bytes spec) {
    struct diag_agent *agent = context;

    if (agent->has_ring)
        diag_aggregate_writer_retire(&agent->aggregates, spec);
}

static void status_changed(void *context) {
    diag_agent_wake(context);
}

void diag_agent_drop_ring(struct diag_agent *agent) {
    agent->has_ring = false;
    agent->writer.wake_fd = -1;
    diag_aggregate_writer_done(&agent->aggregates);
    diag_owned_fd_close(&agent->ring_wake);
    diag_owned_fd_close(&agent->segment_file);
    diag_segment_done(&agent->segment);
}

static void agent_free(struct diag_agent *agent) {
    if (agent == NULL)
        return;
    if (process_agent == agent)
        process_agent = NULL;
    diag_engine_free(agent->engine);
    diag_link_close(&agent->link);
    diag_agent_drop_ring(agent);
    diag_status_report_done(&agent->report);
    diag_owned_fd_close(&agent->wake);
    pthread_cond_destroy(&agent->applied_changed);
    pthread_mutex_destroy(&agent->lock);
    free(agent->undecodable);
    free(agent->removed);
    free(agent->library_version);
    free(agent->python_version);
    free(agent->socket_path);
    free(agent);
}
DIAG_DEFINE_FREEP(agent, struct diag_agent)

static void init_lock(struct diag_agent *agent) {
    pthread_condattr_t attributes;

    pthread_mutex_init(&agent->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&agent->applied_changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* Starts the control thread with all signals blocked: they are the application's. */
static enum diag_status start_thread(struct diag_agent *agent, struct diag_error *err) {
    sigset_t all, before;
    int os_errno;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    os_errno = pthread_create(&agent->thread, NULL, diag_agent_control, agent);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (os_errno != 0)
        return diag_error_set(err, DIAG_ERR_IO, os_errno, "control thread");
    agent->has_thread = true;
    pthread_setname_np(agent->thread, "diagnose");
    return DIAG_OK;
}

enum diag_status diag_agent_start(const char *socket_path, const char *python_version,
                                  const char *library_version, struct diag_agent **out,
                                  struct diag_error *err) {
    static bool has_atfork;
    struct diag_engine_sink sink = {
        .emit = emit,
        .status_changed = status_changed,
        .aggregate_open = aggregate_open,
        .aggregate_update = aggregate_update,
        .aggregate_retire = aggregate_retire,
    };
    DIAG_CLEANUP(agent_freep) struct diag_agent *agent = calloc(1, sizeof *agent);
    enum diag_status status;

    if (agent == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "agent");
    init_lock(agent);
    diag_link_init(&agent->link);
    agent->segment.fd = agent->writer.wake_fd = -1;
    agent->ring_wake.fd = agent->segment_file.fd = -1;
    agent->socket_path = strdup(socket_path);
    agent->python_version = strdup(python_version);
    agent->library_version = strdup(library_version);
    if (agent->socket_path == NULL || agent->python_version == NULL ||
        agent->library_version == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "agent");
    diag_process_identity_read(&agent->identity);
    agent->wake = diag_owned_fd_take(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (agent->wake.fd < 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "eventfd");
    status = diag_uid_make(agent->process_uid, err);
    if (status != DIAG_OK)
        return status;
    agent->started_unix_ns = diag_clock_unix_ns();
    sink.context = agent;
    status = diag_engine_new(&sink, &agent->engine, err);
    if (status != DIAG_OK)
        return status;
    if (!has_atfork) {
        int os_errno = pthread_atfork(NULL, NULL, abandon_ring_in_child);
        if (os_errno != 0)
            return diag_error_set(err, DIAG_ERR_IO, os_errno, "pthread_atfork");
        has_atfork = true;
    }
    process_agent = agent;
    status = start_thread(agent, err);
    if (status != DIAG_OK)
        return status;
    *out = DIAG_TAKE_PTR(agent);
    return DIAG_OK;
}

/* Those in diag_agent_wait_applied let go of the agent before it is freed. */
static void dismiss_waiters(struct diag_agent *agent) {
    pthread_mutex_lock(&agent->lock);
    pthread_cond_broadcast(&agent->applied_changed);
    while (agent->waiter_count > 0)
        pthread_cond_wait(&agent->applied_changed, &agent->lock);
    pthread_mutex_unlock(&agent->lock);
}

void diag_agent_stop(struct diag_agent *agent) {
    if (agent == NULL)
        return;
    __atomic_store_n(&agent->is_stopping, true, __ATOMIC_RELAXED);
    diag_agent_wake(agent);
    Py_BEGIN_ALLOW_THREADS;
    if (agent->has_thread)
        pthread_join(agent->thread, NULL);
    dismiss_waiters(agent);
    Py_END_ALLOW_THREADS;
    agent_free(agent);
}

void diag_agent_after_fork(struct diag_agent *agent) {
    /* whatever the parent's thread was in the middle of is not ours to finish */
    agent->has_thread = false;
    init_lock(agent);
    diag_link_close(&agent->link);
    diag_agent_drop_ring(agent);
    memset(&agent->report, 0, sizeof agent->report); /* leaked: it may be half-built */
    agent->undecodable = NULL;
    agent->undecodable_count = 0;
    diag_owned_fd_close(&agent->wake);
    agent->wake = diag_owned_fd_take(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    agent->snapshot = 0;
    agent->applied_count = agent->waiter_count = 0;
    agent->lost_ns = agent->next_attempt_ns = agent->next_tick_ns = agent->next_report_ns = 0;
    agent->is_connected = agent->is_welcome = false;
    agent->last_error[0] = '\0';
    agent->started_unix_ns = diag_clock_unix_ns();
    diag_engine_after_fork(agent->engine);
    if (agent->wake.fd < 0 || diag_uid_make(agent->process_uid, NULL) != DIAG_OK)
        return;
    if (start_thread(agent, NULL) != DIAG_OK)
        return;
}

static struct timespec in_ms(uint64_t ms) {
    uint64_t ns = diag_clock_monotonic_ns() + ms * DIAG_NS_PER_MS;

    return (struct timespec){.tv_sec = (time_t)(ns / DIAG_NS_PER_S),
                             .tv_nsec = (long)(ns % DIAG_NS_PER_S)};
}

/* Counted as a waiter before the GIL goes: only who has it can stop the agent. */
enum diag_agent_wait diag_agent_wait_applied(struct diag_agent *agent, uint64_t timeout_ms) {
    enum diag_agent_wait outcome = DIAG_AGENT_WAIT_TIMEOUT;
    struct timespec deadline = in_ms(timeout_ms);

    pthread_mutex_lock(&agent->lock);
    agent->waiter_count++;
    pthread_mutex_unlock(&agent->lock);
    Py_BEGIN_ALLOW_THREADS;
    pthread_mutex_lock(&agent->lock);
    while (agent->applied_count == 0 && !__atomic_load_n(&agent->is_stopping, __ATOMIC_RELAXED) &&
           pthread_cond_timedwait(&agent->applied_changed, &agent->lock, &deadline) == 0)
        continue;
    if (agent->applied_count > 0)
        outcome = DIAG_AGENT_WAIT_APPLIED;
    else if (__atomic_load_n(&agent->is_stopping, __ATOMIC_RELAXED))
        outcome = DIAG_AGENT_WAIT_STOPPED;
    agent->waiter_count--;
    pthread_cond_broadcast(&agent->applied_changed);
    pthread_mutex_unlock(&agent->lock);
    Py_END_ALLOW_THREADS;
    return outcome;
}

void diag_agent_info(struct diag_agent *agent, struct diag_agent_info *out) {
    memcpy(out->process_uid, agent->process_uid, sizeof out->process_uid);
    out->is_connected = agent->is_connected;
    memcpy(out->last_error, agent->last_error, sizeof out->last_error);
    out->socket_path = agent->socket_path;
}

struct statuses_visit {
    struct diag_agent *agent;
    diag_agent_status_fn *visit;
    void *context;
};

/* Passes a status on; keeps removals, of which the engine tells only once, for the sidecar. */
static void visit_status(void *context, const struct diag_spec_status *status) {
    struct statuses_visit *visit = context;
    struct diag_agent *agent = visit->agent;
    struct diag_spec_status *removed;

    if (status->state != DIAG_SPEC_STATE_REMOVED) {
        visit->visit(visit->context, status);
        return;
    }
    removed = realloc(agent->removed, (agent->removed_count + 1) * sizeof *removed);
    if (removed == NULL)
        return;
    agent->removed = removed;
    removed[agent->removed_count++] = *status;
}

void diag_agent_statuses(struct diag_agent *agent, diag_agent_status_fn *visit, void *context) {
    struct statuses_visit all = {agent, visit, context};

    diag_engine_statuses(agent->engine, visit_status, &all);
}
