/* SPDX-License-Identifier: MIT */
/* How another thread wakes the loop: C core has no public alarm, and only completed operations
 * come out of its queue. Watching the connectivity of a channel completes as soon as the channel's
 * state differs from the one given; a channel that nobody uses is IDLE for ever, so a watch that
 * gives READY completes at once, in under a microsecond and without a file descriptor. Posts wait
 * in a list; only the one that finds no wake-up under way starts one. */
#include "lib/rpc/loop.h"

#include <errno.h>
#include <grpc/grpc_security.h>
#if __has_include(<grpc/credentials.h>)
#include <grpc/credentials.h>
#endif
#include <grpc/support/log.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/rpc/loop_queue.h"
#include "lib/rpc/timer_heap.h"

struct task {
    struct task *next;
    diag_loop_fn *fn;
    void *context;
};

struct task_list {
    struct task *first;
    struct task **last; /* where the next one goes */
};

struct diag_loop {
    grpc_completion_queue *queue;
    grpc_channel *wake_channel; /* never connected */
    struct diag_loop_tag wake_tag;
    struct diag_timer_heap timers;
    struct task_list ready; /* posted, and fetched from `posted` */
    bool should_stop;       /* atomic */

    pthread_mutex_t lock; /* guards what follows */
    struct task_list posted;
    bool is_wake_pending;
};

static void task_list_init(struct task_list *list) {
    list->first = NULL;
    list->last = &list->first;
}

static void task_list_done(struct task_list *list) {
    while (list->first != NULL) {
        struct task *task = list->first;

        list->first = task->next;
        free(task);
    }
}

/* Moves all tasks of `from` to the end of `to`. */
static void task_list_move(struct task_list *to, struct task_list *from) {
    if (from->first == NULL)
        return;
    *to->last = from->first;
    to->last = from->last;
    task_list_init(from);
}

static struct task *task_list_pop(struct task_list *list) {
    struct task *task = list->first;

    if (task == NULL)
        return NULL;
    list->first = task->next;
    if (list->first == NULL)
        list->last = &list->first;
    return task;
}

/* Libraries do not write to standard error; but when gRPC is about to abort, say why. */
static void log_only_assertions(gpr_log_func_args *args) {
    if (strncmp(args->message, "assertion failed", strlen("assertion failed")) == 0)
        fprintf(stderr, "%s:%d: %s\n", args->file, args->line, args->message);
}

/* grpc_core::RegisterExtraFilters(), which the archive would add with all that it leads to: xDS and
 * its protocols, a quarter of each program, for addresses that no flag of ours takes. It is found
 * here first. A gRPC that has no such function leaves this one alone. */
void diag_rpc_register_no_extra_filters(void *builder) __asm__(
    "_ZN9grpc_core20RegisterExtraFiltersEPNS_17CoreConfiguration7BuilderE");
void diag_rpc_register_no_extra_filters(void *builder) {
    (void)builder;
}

/* What the environment says goes first. There is no grpc_shutdown to this grpc_init: it would wait
 * up to ten seconds for a poller that gRPC starts when a socket's buffer is full. */
static void set_up_grpc(void) {
    if (getenv("GRPC_VERBOSITY") == NULL)
        gpr_set_log_function(log_only_assertions);
    /* The system's own resolver: it sees what nsswitch.conf says, and c-ares leaks memory each
     * time that it looks up localhost. There is no other way to choose it. */
    setenv("GRPC_DNS_RESOLVER", "native", 0);
    grpc_init();
}

static void on_wake(void *context, bool is_ok) {
    struct diag_loop *loop = context;

    (void)is_ok;
    pthread_mutex_lock(&loop->lock);
    loop->is_wake_pending = false;
    task_list_move(&loop->ready, &loop->posted);
    pthread_mutex_unlock(&loop->lock);
}

static void wake_locked(struct diag_loop *loop) {
    if (loop->is_wake_pending)
        return;
    loop->is_wake_pending = true;
    grpc_channel_watch_connectivity_state(loop->wake_channel, GRPC_CHANNEL_READY,
                                          gpr_inf_future(GPR_CLOCK_REALTIME), loop->queue,
                                          diag_loop_tag_give(&loop->wake_tag));
}

enum diag_status diag_loop_new(struct diag_loop **out, struct diag_error *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct diag_loop *loop = calloc(1, sizeof *loop);
    grpc_channel_credentials *credentials;

    if (loop == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "completion loop");
    pthread_once(&once, set_up_grpc);
    task_list_init(&loop->ready);
    task_list_init(&loop->posted);
    pthread_mutex_init(&loop->lock, NULL);
    loop->wake_tag = (struct diag_loop_tag){on_wake, loop};
    loop->queue = grpc_completion_queue_create_for_next(NULL);
    credentials = grpc_insecure_credentials_create();
    loop->wake_channel = grpc_channel_create("unix:/nonexistent", credentials, NULL);
    grpc_channel_credentials_release(credentials);
    *out = loop;
    return DIAG_OK;
}

void diag_loop_free(struct diag_loop *loop) {
    if (loop == NULL)
        return;
    grpc_completion_queue_shutdown(loop->queue);
    while (grpc_completion_queue_next(loop->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
           GRPC_QUEUE_SHUTDOWN)
        continue;
    grpc_completion_queue_destroy(loop->queue);
    grpc_channel_destroy(loop->wake_channel);
    task_list_done(&loop->ready);
    task_list_done(&loop->posted);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

grpc_completion_queue *diag_loop_queue(struct diag_loop *loop) {
    return loop->queue;
}

gpr_timespec diag_loop_time(uint64_t monotonic_ns) {
    gpr_timespec time;

    if (monotonic_ns == UINT64_MAX)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    time.tv_sec = (int64_t)(monotonic_ns / DIAG_NS_PER_S);
    time.tv_nsec = (int32_t)(monotonic_ns % DIAG_NS_PER_S);
    time.clock_type = GPR_CLOCK_MONOTONIC;
    return time;
}

uint64_t diag_loop_deadline_ns(uint64_t delay_ms) {
    uint64_t now_ns = diag_clock_monotonic_ns();

    if (delay_ms > (UINT64_MAX - now_ns) / DIAG_NS_PER_MS)
        return UINT64_MAX;
    return now_ns + delay_ms * DIAG_NS_PER_MS;
}

static bool run_due_timer(struct diag_loop *loop) {
    struct diag_loop_timer *timer = loop->timers.earliest;

    if (timer == NULL || timer->deadline_ns > diag_clock_monotonic_ns())
        return false;
    diag_loop_timer_stop(loop, timer);
    timer->fn(timer->context);
    return true;
}

static bool run_ready_task(struct diag_loop *loop) {
    DIAG_CLEANUP(diag_freep) struct task *task = task_list_pop(&loop->ready);

    if (task == NULL)
        return false;
    task->fn(task->context);
    return true;
}

/* Waits for one event until `limit_ns` or the earliest timer, and handles it. */
static void handle_event(struct diag_loop *loop, uint64_t limit_ns) {
    struct diag_loop_timer *timer = loop->timers.earliest;
    grpc_event event;

    if (timer != NULL && timer->deadline_ns < limit_ns)
        limit_ns = timer->deadline_ns;
    event = grpc_completion_queue_next(loop->queue, diag_loop_time(limit_ns), NULL);
    if (event.type == GRPC_OP_COMPLETE) {
        struct diag_loop_tag *tag = event.tag;

        DIAG_LOOP_ACQUIRE(tag);
        tag->fn(tag->context, event.success != 0);
    }
}

/* Serves until `*is_over` or `limit_ns`. Timers, posts and events take turns, so that none of them
 * can hold up the others for ever. */
static void serve(struct diag_loop *loop, const bool *is_over, uint64_t limit_ns) {
    while (!__atomic_load_n(is_over, __ATOMIC_ACQUIRE)) {
        bool is_busy = run_due_timer(loop);

        if (__atomic_load_n(is_over, __ATOMIC_ACQUIRE))
            return;
        is_busy |= run_ready_task(loop);
        if (__atomic_load_n(is_over, __ATOMIC_ACQUIRE))
            return;
        if (limit_ns != UINT64_MAX && diag_clock_monotonic_ns() >= limit_ns)
            return;
        handle_event(loop, is_busy ? 0 : limit_ns);
    }
}

void diag_loop_run(struct diag_loop *loop) {
    serve(loop, &loop->should_stop, UINT64_MAX);
    __atomic_store_n(&loop->should_stop, false, __ATOMIC_RELEASE);
}

bool diag_loop_run_until(struct diag_loop *loop, const bool *is_done, uint64_t timeout_ms) {
    serve(loop, is_done, diag_loop_deadline_ns(timeout_ms));
    return *is_done;
}

void diag_loop_stop(struct diag_loop *loop) {
    pthread_mutex_lock(&loop->lock);
    /* release; pairs with the acquire in serve() */
    __atomic_store_n(&loop->should_stop, true, __ATOMIC_RELEASE);
    wake_locked(loop);
    pthread_mutex_unlock(&loop->lock);
}

enum diag_status diag_loop_post(struct diag_loop *loop, diag_loop_fn *fn, void *context) {
    struct task *task = malloc(sizeof *task);

    if (task == NULL)
        return DIAG_ERR_NO_MEMORY;
    *task = (struct task){NULL, fn, context};
    pthread_mutex_lock(&loop->lock);
    *loop->posted.last = task;
    loop->posted.last = &task->next;
    wake_locked(loop);
    pthread_mutex_unlock(&loop->lock);
    return DIAG_OK;
}

void diag_loop_timer_start(struct diag_loop *loop, struct diag_loop_timer *timer, uint64_t delay_ms,
                           diag_loop_fn *fn, void *context) {
    diag_loop_timer_stop(loop, timer);
    timer->deadline_ns = diag_loop_deadline_ns(delay_ms);
    timer->fn = fn;
    timer->context = context;
    timer->is_running = true;
    diag_timer_heap_add(&loop->timers, timer);
}

void diag_loop_timer_stop(struct diag_loop *loop, struct diag_loop_timer *timer) {
    if (!timer->is_running)
        return;
    timer->is_running = false;
    diag_timer_heap_remove(&loop->timers, timer);
}
