/* SPDX-License-Identifier: MIT */
/* One process after another: its connection, its messages, its end. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
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

/* ---- its end ---- */

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

void diag_local_end_process(struct diag_local *local, struct diag_process *process, bool is_dead) {
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
        diag_local_end_process(local, process, true);
    } else {
        /* The hang-up stays readable for ever: look no more. */
        epoll_ctl(local->epoll_fd, EPOLL_CTL_DEL, process->socket_fd, NULL);
        set_state(local, process, DIAG_PROCESS_LEAVING);
        process->deadline_ns = diag_clock_monotonic_ns() + LEAVE_TIME_NS;
    }
}

void diag_local_refuse(struct diag_local *local, struct diag_process *process,
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
    diag_local_end_process(local, process, false);
}

/* ---- its connection ---- */

void diag_local_accept(struct diag_local *local) {
    for (;;) {
        int fd = accept4(local->options.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct diag_process *process;
        struct diag_error err;

        if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
            return;
        if (fd < 0) {
            /* Out of descriptors or memory: the listener would stay readable. */
            diag_log_warning("accept: %s; pausing", strerror(errno));
            diag_local_change_watch(local, local->options.listen_fd, &local->listener, 0);
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
            diag_local_refuse(local, process, &err);
        } else if (diag_local_watch(local, fd, &process->socket_watch, &err) != DIAG_OK) {
            diag_local_refuse(local, process, &err);
        }
    }
}

/* ---- its messages, and ours ---- */

void diag_local_tell_update(struct diag_local *local, struct diag_process *process, uint64_t now) {
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

void diag_local_send_snapshot(struct diag_local *local, struct diag_process *process) {
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
        diag_local_refuse(local, process, &err);
        return;
    }
    if (was_waiting != process->waits_for_room)
        diag_local_change_watch(local, process->socket_fd, &process->socket_watch,
                                EPOLLIN | EPOLLRDHUP | (process->waits_for_room ? EPOLLOUT : 0u));
}

static enum diag_status take_message(struct diag_local *local, struct diag_process *process,
                                     struct diag_local_message *message, struct diag_error *err) {
    bool is_news = false;
    enum diag_status status;

    if (process->state == DIAG_PROCESS_NEW) {
        if (message->type != DIAG_SHM_MESSAGE_HELLO)
            return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "message of type %d before HELLO",
                                  (int)message->type);
        return diag_local_join(local, process, message, err);
    }
    if (message->type != DIAG_SHM_MESSAGE_REPORT)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "message of type %d where REPORT is due",
                              (int)message->type);
    status = diag_status_set_merge(&process->statuses, message->payload, &is_news, err);
    if (status == DIAG_OK)
        diag_process_note_update(process, is_news, diag_clock_monotonic_ns());
    return status;
}

void diag_local_read_messages(struct diag_local *local, struct diag_process *process) {
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
            diag_local_refuse(local, process, &err);
            return;
        }
        if (process->state == DIAG_PROCESS_ENDED)
            return;
    }
}
