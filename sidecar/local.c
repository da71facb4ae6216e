/* SPDX-License-Identifier: MIT */
/* How it works: one epoll loop over the sockets, the rings' eventfds, the ends of processes and the
 * mailbox. local_process.c says what a process tells us and how it comes and goes, local_join.c
 * which ones find room, local_rings.c how rings are read. */
#include "sidecar/local.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "sidecar/local_state.h"

enum diag_status diag_local_watch(struct diag_local *local, int fd, struct diag_watch *data,
                                  struct diag_error *err) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = data};

    if (epoll_ctl(local->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "epoll_ctl");
    return DIAG_OK;
}

void diag_local_change_watch(struct diag_local *local, int fd, struct diag_watch *data,
                             uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = data};

    epoll_ctl(local->epoll_fd, EPOLL_CTL_MOD, fd, &event);
}

enum diag_status diag_local_new(const struct diag_local_options *options, struct diag_local **out,
                                struct diag_error *err) {
    struct diag_local *local = calloc(1, sizeof *local);
    enum diag_status status;

    if (local == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "local thread");
    local->options = *options;
    local->mail.snapshot_fd = -1;
    local->accept_again_ns = DIAG_LOCAL_NEVER;
    local->next_pass_ns = DIAG_LOCAL_NEVER;
    local->listener.kind = DIAG_WATCH_LISTENER;
    local->mailbox.kind = DIAG_WATCH_MAILBOX;
    local->signal.kind = DIAG_WATCH_SIGNAL;
    local->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (local->epoll_fd < 0)
        status = diag_error_set(err, DIAG_ERR_IO, errno, "epoll_create1");
    else
        status = diag_drain_init(&local->drain, err);
    if (status == DIAG_OK)
        status = diag_local_watch(local, options->listen_fd, &local->listener, err);
    if (status == DIAG_OK)
        status = diag_local_watch(local, options->mailbox->event_fd, &local->mailbox, err);
    if (status == DIAG_OK && options->signal_fd >= 0)
        status = diag_local_watch(local, options->signal_fd, &local->signal, err);
    if (status != DIAG_OK) {
        diag_local_free(local);
        return status;
    }
    *out = local;
    return DIAG_OK;
}

void diag_local_free(struct diag_local *local) {
    if (local == NULL)
        return;
    while (local->processes != NULL) {
        struct diag_process *process = local->processes;

        local->processes = process->next;
        diag_process_free(process);
    }
    diag_closep(&local->mail.snapshot_fd);
    diag_closep(&local->epoll_fd);
    diag_drain_done(&local->drain);
    free(local);
}

/* ---- time ---- */

static void free_ended(struct diag_local *local) {
    struct diag_process **link = &local->processes;

    while (*link != NULL) {
        struct diag_process *process = *link;

        if (process->state != DIAG_PROCESS_ENDED || process->segment.header != NULL) {
            link = &process->next;
            continue;
        }
        *link = process->next;
        local->counts[DIAG_PROCESS_ENDED]--;
        diag_process_free(process);
    }
}

/* The rings of the dead wait for a controller, but may not pile up. */
static void limit_the_dead(struct diag_local *local) {
    while (local->counts[DIAG_PROCESS_ENDED] > local->options.max_processes &&
           diag_local_give_up_oldest(local))
        free_ended(local);
}

static void run_timers(struct diag_local *local, uint64_t now) {
    char uid[DIAG_UID_SIZE];
    struct diag_error err;

    if (now >= local->accept_again_ns) {
        local->accept_again_ns = DIAG_LOCAL_NEVER;
        diag_local_change_watch(local, local->options.listen_fd, &local->listener, EPOLLIN);
    }
    for (struct diag_process *process = local->processes; process != NULL;
         process = process->next) {
        if (process->has_update && now >= process->update_at_ns)
            diag_local_tell_update(local, process, now);
        if (process->state == DIAG_PROCESS_LEAVING && now >= process->deadline_ns)
            diag_local_end_process(local, process, false);
        if (process->state == DIAG_PROCESS_NEW && process->socket_fd >= 0 &&
            now >= process->deadline_ns) {
            diag_error_set(&err, DIAG_ERR_TIMEOUT, 0, "no HELLO within 5 seconds");
            diag_local_refuse(local, process, &err);
        }
    }
    while (diag_refusals_expire(&local->refusals, now, uid))
        local->options.sink.process_ended(local->options.sink.context, uid);
    if (now >= local->next_pass_ns)
        diag_local_run_pass(local, now);
    free_ended(local);
    limit_the_dead(local);
}

static uint64_t earlier(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static int next_timeout_ms(const struct diag_local *local) {
    uint64_t next = earlier(local->next_pass_ns, local->accept_again_ns);
    uint64_t now = diag_clock_monotonic_ns();

    next = earlier(next, diag_refusals_next_ns(&local->refusals));
    for (const struct diag_process *process = local->processes; process != NULL;
         process = process->next) {
        if (process->has_update)
            next = earlier(next, process->update_at_ns);
        if (process->state == DIAG_PROCESS_NEW || process->state == DIAG_PROCESS_LEAVING)
            next = earlier(next, process->deadline_ns);
    }
    if (next == DIAG_LOCAL_NEVER)
        return -1;
    return next <= now ? 0 : (int)((next - now + DIAG_NS_PER_MS - 1) / DIAG_NS_PER_MS);
}

/* ---- the thread ---- */

static void take_mail(struct diag_local *local) {
    struct diag_mail mail = diag_mailbox_take(local->options.mailbox);

    mail.credits += local->mail.credits;
    if (mail.snapshot_fd < 0) {
        mail.snapshot_fd = local->mail.snapshot_fd;
    } else {
        diag_closep(&local->mail.snapshot_fd);
    }
    local->mail = mail;
    diag_local_free_acknowledged(local);
    local->next_pass_ns = 0;
    for (struct diag_process *process = local->processes; process != NULL; process = process->next)
        diag_local_send_snapshot(local, process);
}

static void read_signal(struct diag_local *local) {
    struct signalfd_siginfo info;

    if (read(local->options.signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        local->options.sink.signalled(local->options.sink.context);
}

static void serve_process(struct diag_local *local, const struct diag_watch *source,
                          uint32_t events) {
    struct diag_process *process = source->process;
    uint64_t count;

    if (process->state == DIAG_PROCESS_ENDED)
        return; /* by an earlier event of this round */
    if (source->kind == DIAG_WATCH_RING) {
        ssize_t got = read(process->wake_fd, &count, sizeof count);
        (void)got;
        local->next_pass_ns = 0;
    } else if (source->kind == DIAG_WATCH_END) {
        /* What it said last first. */
        if (process->state == DIAG_PROCESS_LIVE)
            diag_local_read_messages(local, process);
        if (process->state != DIAG_PROCESS_ENDED)
            diag_local_end_process(local, process, true);
    } else {
        if ((events & EPOLLOUT) != 0)
            diag_local_send_snapshot(local, process);
        if (process->state == DIAG_PROCESS_NEW || process->state == DIAG_PROCESS_LIVE)
            diag_local_read_messages(local, process);
    }
}

static void serve(struct diag_local *local, const struct epoll_event *event) {
    const struct diag_watch *source = event->data.ptr;

    switch (source->kind) {
    case DIAG_WATCH_LISTENER:
        diag_local_accept(local);
        break;
    case DIAG_WATCH_MAILBOX:
        take_mail(local);
        break;
    case DIAG_WATCH_SIGNAL:
        read_signal(local);
        break;
    case DIAG_WATCH_SOCKET:
    case DIAG_WATCH_RING:
    case DIAG_WATCH_END:
        serve_process(local, source, event->events);
        break;
    }
}

void diag_local_run(struct diag_local *local) {
    struct epoll_event events[64];

    while (!local->mail.should_stop) {
        int count = epoll_wait(local->epoll_fd, events, (int)DIAG_ARRAY_SIZE(events),
                               next_timeout_ms(local));

        for (int i = 0; i < count; i++)
            serve(local, &events[i]);
        run_timers(local, diag_clock_monotonic_ns());
    }
    if (local->mail.is_reporting && local->mail.are_events_wanted) {
        while (diag_local_read_rings(local))
            continue;
        diag_local_flush(local);
        /* the reporter waits until the controller has it all */
        for (struct diag_process *process = local->processes; process != NULL;
             process = process->next)
            if (process->segment.header != NULL)
                diag_drain_release(&process->source);
    }
    local->options.sink.stopped(local->options.sink.context);
}
