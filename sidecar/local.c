/* SPDX-License-Identifier: MIT */
/* How it works: one epoll loop over the sockets, the rings' eventfds, the ends of processes and the
 * mailbox; local_rings.c says how rings are read. */
#include "sidecar/local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "sidecar/local_state.h"

#define HELLO_TIME_NS (5 * DIAG_NS_PER_S)
#define LEAVE_TIME_NS (500 * DIAG_NS_PER_MS)
#define ACCEPT_PAUSE_NS (100 * DIAG_NS_PER_MS)

#define STRANGERS_MAX 64     /* connections that have not said HELLO */
#define MESSAGES_PER_TURN 32 /* of one process, before the others get theirs */

static enum diag_status watch(struct diag_local *local, int fd, struct diag_watch *data,
                              struct diag_error *err) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = data};

    if (epoll_ctl(local->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "epoll_ctl");
    return DIAG_OK;
}

static void change_watch(struct diag_local *local, int fd, struct diag_watch *data,
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
        status = watch(local, options->listen_fd, &local->listener, err);
    if (status == DIAG_OK)
        status = watch(local, options->mailbox->event_fd, &local->mailbox, err);
    if (status == DIAG_OK && options->signal_fd >= 0)
        status = watch(local, options->signal_fd, &local->signal, err);
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

/* ---- coming and going ---- */

static void set_state(struct diag_local *local, struct diag_process *process,
                      enum diag_process_state state) {
    local->counts[process->state]--;
    process->state = state;
    local->counts[state]++;
}

static void forget_watches(struct diag_local *local, struct diag_process *process) {
    /* Closing a descriptor that a peer has too does not take it out of epoll. */
    if (process->wake_fd >= 0)
        epoll_ctl(local->epoll_fd, EPOLL_CTL_DEL, process->wake_fd, NULL);
    if (process->end_fd >= 0)
        epoll_ctl(local->epoll_fd, EPOLL_CTL_DEL, process->end_fd, NULL);
    if (process->socket_fd >= 0)
        epoll_ctl(local->epoll_fd, EPOLL_CTL_DEL, process->socket_fd, NULL);
}

/* What is left of it is a ring to drain, if that. */
static void end_process(struct diag_local *local, struct diag_process *process, bool is_dead) {
    bool was_known = process->state != DIAG_PROCESS_NEW;

    if (process->state == DIAG_PROCESS_ENDED)
        return;
    forget_watches(local, process);
    diag_closep(&process->socket_fd);
    diag_closep(&process->end_fd);
    set_state(local, process, DIAG_PROCESS_ENDED);
    process->is_dead = is_dead;
    process->deadline_ns = diag_clock_monotonic_ns();
    process->has_update = false;
    if (!was_known) {
        diag_segment_done(&process->segment);
        return;
    }
    diag_log_info("process %u (%s) has %s", process->source.pid, process->source.process_uid,
                  is_dead ? "ended" : "disconnected");
    local->options.sink.process_ended(local->options.sink.context, process->source.process_uid);
    local->next_pass_ns = 0;
}

static void leave(struct diag_local *local, struct diag_process *process) {
    if (process->state != DIAG_PROCESS_LIVE || process->end_fd < 0 ||
        diag_process_has_ended(process)) {
        end_process(local, process, true);
    } else {
        /* The hang-up stays readable for ever: look no more. */
        epoll_ctl(local->epoll_fd, EPOLL_CTL_DEL, process->socket_fd, NULL);
        set_state(local, process, DIAG_PROCESS_LEAVING);
        process->deadline_ns = diag_clock_monotonic_ns() + LEAVE_TIME_NS;
    }
}

/* Tells the peer why, and ends the connection. */
static void refuse(struct diag_local *local, struct diag_process *process,
                   const struct diag_error *why) {
    struct diag_local_message message;
    enum diag_status status;

    if (process->was_refused_before)
        diag_log_debug("refused a process again: %s", why->message);
    else if (process->state == DIAG_PROCESS_NEW)
        diag_log_warning("refused a process: %s", why->message);
    else
        diag_log_warning("hung up on process %u (%s): %s", process->source.pid,
                         process->source.process_uid, why->message);
    status = diag_local_socket_send(process->socket_fd, DIAG_SHM_MESSAGE_REFUSED,
                                    diag_bytes_from_text(why->message), NULL, 0, NULL);
    (void)status; /* it may be gone, or not listening */
    /* Unread messages would make the kernel reset the connection instead of closing it. */
    for (int i = 0; i < MESSAGES_PER_TURN; i++) {
        status = diag_local_socket_receive(process->socket_fd, local->buffer, &message, NULL);
        if (status == DIAG_OK)
            diag_local_message_done(&message);
        else if (status == DIAG_ERR_UNAVAILABLE || status == DIAG_ERR_CLOSED)
            break;
    }
    end_process(local, process, false);
}

static void accept_processes(struct diag_local *local) {
    for (;;) {
        int fd = accept4(local->options.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct diag_process *process;
        struct diag_error err;

        if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
            return;
        if (fd < 0) {
            /* Out of descriptors or memory: the listener would stay readable. */
            diag_log_warning("accept: %s; pausing", strerror(errno));
            change_watch(local, local->options.listen_fd, &local->listener, 0);
            local->accept_again_ns = diag_clock_monotonic_ns() + ACCEPT_PAUSE_NS;
            return;
        }
        if (diag_process_new(fd, &process, &err) != DIAG_OK) {
            diag_log_warning("%s", err.message);
            return;
        }
        process->next = local->processes;
        local->processes = process;
        local->counts[DIAG_PROCESS_NEW]++;
        process->deadline_ns = diag_clock_monotonic_ns() + HELLO_TIME_NS;
        if (local->counts[DIAG_PROCESS_NEW] > STRANGERS_MAX) {
            diag_error_set(&err, DIAG_ERR_FULL, 0, "%d connections have not said HELLO yet",
                           STRANGERS_MAX);
            refuse(local, process, &err);
        } else if (watch(local, fd, &process->socket_watch, &err) != DIAG_OK) {
            refuse(local, process, &err);
        }
    }
}

/* Gives up the ring of the process that has been dead for longest. False: there is none. */
static bool give_up_oldest(struct diag_local *local) {
    struct diag_process *oldest = NULL;

    for (struct diag_process *process = local->processes; process != NULL; process = process->next)
        if (process->state == DIAG_PROCESS_ENDED && process->segment.header != NULL &&
            (oldest == NULL || process->deadline_ns < oldest->deadline_ns))
            oldest = process;
    if (oldest == NULL)
        return false;
    diag_log_warning("process %u (%s) has ended, and no controller took its last events: given up",
                     oldest->source.pid, oldest->source.process_uid);
    diag_segment_done(&oldest->segment);
    return true;
}

/* ---- messages ---- */

static void tell_update(struct diag_local *local, struct diag_process *process, uint64_t now) {
    struct diag_buffer status = {0};

    process->has_update = false;
    process->last_update_at_ns = now;
    if (diag_process_encode(process, &status) != DIAG_OK) {
        diag_log_error("out of memory: a status was not reported");
        return;
    }
    local->options.sink.process_changed(local->options.sink.context, process->source.process_uid,
                                        status);
    if (diag_status_set_forget_removed(&process->statuses)) {
        process->has_update = true;
        process->update_at_ns = now + DIAG_PROCESS_COUNTERS_INTERVAL_NS;
    }
}

static void send_snapshot(struct diag_local *local, struct diag_process *process) {
    struct diag_error err;
    bool was_waiting = process->waits_for_room;

    if (local->mail.snapshot_fd < 0 || process->state != DIAG_PROCESS_LIVE)
        return;
    switch (
        diag_process_send_snapshot(process, local->mail.snapshot_fd, local->mail.snapshot, &err)) {
    case DIAG_OK:
    case DIAG_ERR_FULL:
    case DIAG_ERR_CLOSED: /* the hang-up comes by itself */
        break;
    default:
        refuse(local, process, &err);
        return;
    }
    if (was_waiting != process->waits_for_room)
        change_watch(local, process->socket_fd, &process->socket_watch,
                     EPOLLIN | EPOLLRDHUP | (process->waits_for_room ? EPOLLOUT : 0u));
}

/* Makes room for a process of this uid. DIAG_ERR_EXISTS: a connected one has it. */
static enum diag_status check_uid(struct diag_local *local, const struct diag_process *joining,
                                  bool brings_ring, struct diag_error *err) {
    for (struct diag_process *other = local->processes; other != NULL; other = other->next) {
        if (other == joining || other->state == DIAG_PROCESS_NEW ||
            memcmp(other->source.process_uid, joining->source.process_uid, DIAG_UID_SIZE) != 0)
            continue;
        if (other->state == DIAG_PROCESS_LIVE && !diag_process_has_hung_up(other))
            return diag_error_set(err, DIAG_ERR_EXISTS, 0,
                                  "HELLO: uid %s is connected already, as pid %u",
                                  other->source.process_uid, other->source.pid);
        /* It has come back before we saw it leave; a ring that it brings is read on as its own. */
        end_process(local, other, false);
        if (brings_ring && other->segment.header != NULL) {
            diag_drain_release(&other->source);
            diag_segment_done(&other->segment);
        }
    }
    return DIAG_OK;
}

static uint64_t memory_in_use(const struct diag_local *local) {
    uint64_t sum = 0;

    for (const struct diag_process *process = local->processes; process != NULL;
         process = process->next)
        sum += process->segment.mapped_size;
    return sum;
}

/* Room for one more process; the rings of the dead give way to the living. DIAG_ERR_FULL. */
static enum diag_status check_room(struct diag_local *local, const struct diag_process *process,
                                   uint64_t size, struct diag_error *err) {
    if (local->counts[DIAG_PROCESS_LIVE] >= local->options.max_processes)
        return diag_error_set(err, DIAG_ERR_FULL, 0,
                              "pid %u: %zu processes are connected, no more are allowed "
                              "(--max-processes)",
                              process->source.pid, local->options.max_processes);
    while (memory_in_use(local) + size > local->options.max_memory)
        if (!give_up_oldest(local))
            return diag_error_set(err, DIAG_ERR_FULL, 0,
                                  "pid %u: its ring of %llu bytes and the %llu bytes of the others "
                                  "exceed the %llu that are allowed (--max-memory)",
                                  process->source.pid, (unsigned long long)size,
                                  (unsigned long long)memory_in_use(local),
                                  (unsigned long long)local->options.max_memory);
    return DIAG_OK;
}

/* Lets people know of a process that finds no room; it will try again and again. */
static void tell_refused(struct diag_local *local, struct diag_process *process,
                         const char *reason) {
    struct diag_buffer status = {0};

    switch (diag_refusals_note(&local->refusals, process->source.process_uid,
                               diag_clock_monotonic_ns())) {
    case DIAG_REFUSALS_NEW:
        if (diag_process_encode_refused(process, reason, &status) == DIAG_OK)
            local->options.sink.process_changed(local->options.sink.context,
                                                process->source.process_uid, status);
        else
            diag_buffer_done(&status);
        break;
    case DIAG_REFUSALS_KNOWN:
        process->was_refused_before = true;
        break;
    case DIAG_REFUSALS_FULL:
        break;
    }
}

static enum diag_status join(struct diag_local *local, struct diag_process *process,
                             struct diag_local_message *message, struct diag_error *err) {
    enum diag_status status = diag_process_identify(process, message->payload, err);

    if (status == DIAG_OK)
        status = check_uid(local, process, message->fd_count > 0, err);
    if (status != DIAG_OK)
        return status;
    status = check_room(local, process,
                        diag_process_segment_size(message->fds[0], local->options.ring_size), err);
    if (status != DIAG_OK) {
        tell_refused(local, process, err->message);
        return status;
    }
    diag_refusals_forget(&local->refusals, process->source.process_uid);
    local->counts[DIAG_PROCESS_NEW]--;
    status = diag_process_welcome(process, &message->fds[0], local->options.ring_size, err);
    local->counts[process->state]++;
    if (status == DIAG_OK)
        status = watch(local, process->wake_fd, &process->wake_watch, err);
    if (status == DIAG_OK && process->end_fd >= 0)
        status = watch(local, process->end_fd, &process->end_watch, err);
    if (status != DIAG_OK)
        return status;
    diag_log_info("process %u (%s) has connected", process->source.pid,
                  process->source.process_uid);
    tell_update(local, process, diag_clock_monotonic_ns());
    local->next_pass_ns = 0;
    send_snapshot(local, process);
    return DIAG_OK;
}

static enum diag_status take_message(struct diag_local *local, struct diag_process *process,
                                     struct diag_local_message *message, struct diag_error *err) {
    bool is_news = false;
    enum diag_status status;

    if (process->state == DIAG_PROCESS_NEW) {
        if (message->type != DIAG_SHM_MESSAGE_HELLO)
            return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "message of type %d before HELLO",
                                  (int)message->type);
        return join(local, process, message, err);
    }
    if (message->type != DIAG_SHM_MESSAGE_REPORT)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "message of type %d where REPORT is due",
                              (int)message->type);
    status = diag_status_set_merge(&process->statuses, message->payload, &is_news, err);
    if (status == DIAG_OK)
        diag_process_note_update(process, is_news, diag_clock_monotonic_ns());
    return status;
}

static void read_messages(struct diag_local *local, struct diag_process *process) {
    for (int i = 0; i < MESSAGES_PER_TURN; i++) {
        struct diag_local_message message;
        struct diag_error err;
        enum diag_status status =
            diag_local_socket_receive(process->socket_fd, local->buffer, &message, &err);

        if (status == DIAG_ERR_UNAVAILABLE)
            return;
        if (status == DIAG_ERR_CLOSED) {
            leave(local, process);
            return;
        }
        if (status == DIAG_OK) {
            status = take_message(local, process, &message, &err);
            diag_local_message_done(&message);
        }
        if (status != DIAG_OK) {
            refuse(local, process, &err);
            return;
        }
        if (process->state == DIAG_PROCESS_ENDED)
            return;
    }
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
           give_up_oldest(local))
        free_ended(local);
}

static void run_timers(struct diag_local *local, uint64_t now) {
    char uid[DIAG_UID_SIZE];
    struct diag_error err;

    if (now >= local->accept_again_ns) {
        local->accept_again_ns = DIAG_LOCAL_NEVER;
        change_watch(local, local->options.listen_fd, &local->listener, EPOLLIN);
    }
    for (struct diag_process *process = local->processes; process != NULL;
         process = process->next) {
        if (process->has_update && now >= process->update_at_ns)
            tell_update(local, process, now);
        if (process->state == DIAG_PROCESS_LEAVING && now >= process->deadline_ns)
            end_process(local, process, false);
        if (process->state == DIAG_PROCESS_NEW && process->socket_fd >= 0 &&
            now >= process->deadline_ns) {
            diag_error_set(&err, DIAG_ERR_TIMEOUT, 0, "no HELLO within 5 seconds");
            refuse(local, process, &err);
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
        send_snapshot(local, process);
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
            read_messages(local, process);
        if (process->state != DIAG_PROCESS_ENDED)
            end_process(local, process, true);
    } else {
        if ((events & EPOLLOUT) != 0)
            send_snapshot(local, process);
        if (process->state == DIAG_PROCESS_NEW || process->state == DIAG_PROCESS_LIVE)
            read_messages(local, process);
    }
}

static void serve(struct diag_local *local, const struct epoll_event *event) {
    const struct diag_watch *source = event->data.ptr;

    switch (source->kind) {
    case DIAG_WATCH_LISTENER:
        accept_processes(local);
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
