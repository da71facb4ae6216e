/* SPDX-License-Identifier: MIT */
/* How it works: rings are read in passes. The first event wakes us through the ring's eventfd; a
 * pass collects what all rings have, and while a request is being filled further passes follow
 * until it is full or 1 ms old. Only then do the readers sleep again, so that busy writers make a
 * system call each millisecond and not with each event. While nobody wants events, rings are
 * emptied now and then, and writers wake nobody; until all of them have been empty for a while. */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "sidecar/local_state.h"

#define WINDOW_NS (1 * DIAG_NS_PER_MS)
#define BACKSTOP_NS (25 * DIAG_NS_PER_MS)
#define IDLE_BACKSTOP_NS (250 * DIAG_NS_PER_MS)
#define IDLE_PASSES 8 /* in a row that have found nothing */
#define AGGREGATES_INTERVAL_NS DIAG_NS_PER_S

#define COLLECT_BUDGET (16 << 10) /* bytes of one ring, before the others get theirs */
#define DISCARD_BUDGET (1 << 20)

static bool may_collect(const struct diag_local *local) {
    return local->mail.is_reporting && local->mail.are_events_wanted && local->mail.credits > 0;
}

void diag_local_flush(struct diag_local *local) {
    struct diag_buffer body;

    local->window_ends_ns = diag_clock_monotonic_ns() + WINDOW_NS;
    if (diag_drain_is_empty(&local->drain))
        return;
    if (diag_drain_take(&local->drain, &body) != DIAG_OK) {
        diag_log_error("out of memory: events wait");
        return;
    }
    for (struct diag_process *process = local->processes; process != NULL; process = process->next)
        if (process->segment.header != NULL)
            diag_drain_note_taken(&local->drain, &process->source);
    local->mail.credits--;
    local->options.sink.request(local->options.sink.context, body);
}

/* Requests are acknowledged in their order: what is not in flight any more has been. */
void diag_local_free_acknowledged(struct diag_local *local) {
    uint64_t taken = local->drain.request_count, in_flight = DIAG_DRAIN_IN_FLIGHT_MAX;

    in_flight -= local->mail.credits < in_flight ? local->mail.credits : in_flight;
    for (struct diag_process *process = local->processes; process != NULL; process = process->next)
        if (process->segment.header != NULL && taken >= in_flight)
            diag_drain_acknowledged(&process->source, taken - in_flight);
}

static void report_corruption(struct diag_process *process) {
    uint64_t torn = process->source.reader.torn;

    if (torn == 0 || process->has_corrupt_ring || process->is_dead)
        return;
    process->has_corrupt_ring = true;
    diag_log_warning("process %u (%s): its ring is corrupt; lost events are counted",
                     process->source.pid, process->source.process_uid);
}

/* True if the ring has been read to its end. */
static bool read_ring(struct diag_local *local, struct diag_process *process) {
    uint64_t lost_before = process->source.lost_total;
    enum diag_drain_result result;

    if (!local->mail.are_events_wanted) {
        result =
            diag_drain_discard(&local->drain, &process->source, process->is_dead, DISCARD_BUDGET);
    } else {
        result =
            diag_drain_collect(&local->drain, &process->source, process->is_dead, COLLECT_BUDGET);
        if (result == DIAG_DRAIN_FULL)
            diag_local_flush(local);
    }
    report_corruption(process);
    if (process->source.lost_total != lost_before && process->state == DIAG_PROCESS_LIVE)
        diag_process_note_update(process, false, diag_clock_monotonic_ns());
    return result == DIAG_DRAIN_EMPTY;
}

/* True if there is nothing more to read of its aggregates now. */
static bool read_aggregates(struct diag_local *local, struct diag_process *process) {
    uint64_t now = diag_clock_monotonic_ns();

    if (process->state != DIAG_PROCESS_ENDED && now < process->aggregates_due_ns)
        return true;
    if (!local->mail.are_events_wanted) {
        diag_aggregate_reader_discard(&process->source.aggregates);
    } else if (!may_collect(local)) {
        return false;
    } else if (diag_drain_collect_aggregates(&local->drain, &process->source, process->is_dead,
                                             diag_clock_unix_ns()) == DIAG_DRAIN_FULL) {
        diag_local_flush(local);
        return false;
    }
    process->aggregates_due_ns = now + AGGREGATES_INTERVAL_NS;
    return true;
}

/* Makes `first` the first in the list, followed by those behind it, then by those before it. */
static void rotate(struct diag_local *local, struct diag_process *first) {
    struct diag_process *last = first, *before = local->processes;

    if (first == local->processes)
        return;
    while (last->next != NULL)
        last = last->next;
    while (before->next != first)
        before = before->next;
    last->next = local->processes;
    before->next = NULL;
    local->processes = first;
}

/* Reads all rings and aggregates. True if there may be more to read at once. */
bool diag_local_read_rings(struct diag_local *local) {
    bool has_more = false;

    for (struct diag_process *process = local->processes; process != NULL;
         process = process->next) {
        bool is_done;

        if (process->segment.header == NULL)
            continue;
        if (local->mail.are_events_wanted && !may_collect(local)) {
            rotate(local, process); /* its turn comes with the next credit */
            return false;
        }
        is_done = read_ring(local, process);
        if (!read_aggregates(local, process))
            is_done = false;
        if (!is_done)
            has_more = true;
        else if (process->state == DIAG_PROCESS_ENDED) {
            diag_drain_release(&process->source); /* it may come back with its ring */
            diag_segment_done(&process->segment);
        }
    }
    return has_more;
}

/* True if a ring has something after all. */
static bool put_readers_to_sleep(struct diag_local *local) {
    bool has_more = false;

    for (struct diag_process *process = local->processes; process != NULL; process = process->next)
        if (process->state == DIAG_PROCESS_LIVE && process->segment.header != NULL &&
            !diag_ring_reader_prepare_sleep(&process->source.reader))
            has_more = true;
    return has_more;
}

/* True if the last passes have found nothing in any ring. */
static bool is_idle(struct diag_local *local) {
    uint64_t read_total = 0;

    for (struct diag_process *process = local->processes; process != NULL; process = process->next)
        read_total += process->source.reader.head;
    if (read_total != local->read_total)
        local->idle_pass_count = 0;
    else if (local->idle_pass_count < IDLE_PASSES)
        local->idle_pass_count++;
    local->read_total = read_total;
    return local->idle_pass_count == IDLE_PASSES;
}

void diag_local_run_pass(struct diag_local *local, uint64_t now) {
    bool was_empty = diag_drain_is_empty(&local->drain);
    bool has_more = false, are_idle;

    local->next_pass_ns = DIAG_LOCAL_NEVER;
    if (local->mail.is_reporting)
        has_more = diag_local_read_rings(local);
    are_idle = is_idle(local);
    if (was_empty && !diag_drain_is_empty(&local->drain))
        local->window_ends_ns = now + WINDOW_NS;
    if (!diag_drain_is_empty(&local->drain) && now >= local->window_ends_ns)
        diag_local_flush(local);
    if (!local->mail.is_reporting || (local->mail.are_events_wanted && local->mail.credits == 0))
        return;
    if (!has_more && (local->mail.are_events_wanted || are_idle) &&
        diag_drain_is_empty(&local->drain))
        has_more = put_readers_to_sleep(local);
    if (has_more)
        local->next_pass_ns = now;
    else if (!diag_drain_is_empty(&local->drain))
        local->next_pass_ns = local->window_ends_ns;
    else if (local->counts[DIAG_PROCESS_LIVE] + local->counts[DIAG_PROCESS_LEAVING] > 0)
        local->next_pass_ns = now + (are_idle ? IDLE_BACKSTOP_NS : BACKSTOP_NS);
}
