/* SPDX-License-Identifier: MIT */
/* agent_state - the agent's insides, shared by agent.c and control.c only.
 *
 * Threading: each field says who may touch it. */
#ifndef DIAG_INPROC_AGENT_AGENT_STATE_H
#define DIAG_INPROC_AGENT_AGENT_STATE_H

#include <pthread.h>
#include <stdbool.h>

#include "inproc/agent/agent.h"
#include "inproc/agent/link.h"
#include "inproc/agent/process_identity.h"
#include "inproc/agent/status_report.h"
#include "inproc/engine/engine.h"
#include "lib/shm/aggregate_writer.h"
#include "lib/shm/ring_writer.h"

struct diag_agent {
    /* constant */
    char *socket_path;
    char *python_version;
    char *library_version;
    struct diag_process_identity identity;
    struct diag_engine *engine; /* the engine itself needs the GIL */

    /* under the GIL */
    char process_uid[DIAG_UID_SIZE];
    uint64_t started_unix_ns;
    pthread_t thread;
    bool has_thread;
    /* The ring and the aggregates that hits write to. In a forked child `has_ring` becomes false
     * before anything can be hit. */
    bool has_ring;
    /* What hits and the control thread use of the descriptors; see lib/base/owned_fd.h. */
    struct diag_owned_fd wake;         /* eventfd; whoever has the GIL writes */
    struct diag_owned_fd ring_wake;    /* the sidecar's eventfd: the writer's wake_fd */
    struct diag_owned_fd segment_file; /* to offer to the next sidecar; segment.fd is -1 */
    struct diag_segment segment;
    struct diag_ring_writer writer;
    struct diag_aggregate_writer aggregates;
    struct diag_spec_status *removed; /* removals that a caller of diag_agent_statuses saw first */
    size_t removed_count;
    bool is_connected;
    char last_error[DIAG_ERROR_MESSAGE_MAX];

    /* any thread, by __atomic */
    bool is_stopping;

    /* under `lock` */
    pthread_mutex_t lock;
    pthread_cond_t applied_changed;
    uint64_t applied_count; /* snapshots applied so far */
    size_t waiter_count;    /* threads in diag_agent_wait_applied */

    /* the control thread only */
    struct diag_link link;
    struct diag_status_report report;
    struct diag_spec_status *undecodable; /* specs of the snapshot that do not decode */
    size_t undecodable_count;
    uint64_t snapshot;
    uint64_t ttl_ms;
    uint64_t lost_ns;         /* when the sidecar was lost, CLOCK_MONOTONIC; 0: connected */
    uint64_t next_attempt_ns; /* when to connect again */
    uint64_t next_tick_ns;
    uint64_t next_report_ns;
    uint64_t backoff_ms;
    unsigned random_state;
    bool has_specs;
    bool is_welcome;
};

/* The control thread's function; `agent` as void *. */
void *diag_agent_control(void *agent);

/* Wakes the control thread. GIL; never blocks. */
void diag_agent_wake(struct diag_agent *agent);

/* Lets go of the ring. GIL. */
void diag_agent_drop_ring(struct diag_agent *agent);

#endif
