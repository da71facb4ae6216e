/* SPDX-License-Identifier: MIT */
/* A process that says HELLO: whether it has a right to its uid, whether there is room for it. */
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "sidecar/local_state.h"

bool diag_local_give_up_oldest(struct diag_local *local) {
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
        diag_local_end_process(local, other, false);
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
        if (!diag_local_give_up_oldest(local))
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

enum diag_status diag_local_join(struct diag_local *local, struct diag_process *process,
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
        status = diag_local_watch(local, process->wake_fd, &process->wake_watch, err);
    if (status == DIAG_OK && process->end_fd >= 0)
        status = diag_local_watch(local, process->end_fd, &process->end_watch, err);
    if (status != DIAG_OK)
        return status;
    diag_log_info("process %u (%s) has connected", process->source.pid,
                  process->source.process_uid);
    diag_local_tell_update(local, process, diag_clock_monotonic_ns());
    local->next_pass_ns = 0;
    diag_local_send_snapshot(local, process);
    return DIAG_OK;
}
