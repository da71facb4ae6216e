/* SPDX-License-Identifier: MIT */
/* agent - keeps the engine in step with the sidecar: specs down, statuses and events up.
 *
 * One control thread per process waits on the socket without the GIL, and takes the GIL only to
 * apply a snapshot, to look after pending and expiring specs, and to read statuses. Hits write
 * their events straight into the shared ring.
 *
 * Threading: every function needs the GIL.
 * Fork:      the child inherits a dead agent: at the fork it stops writing to its parent's ring,
 *            and diag_agent_after_fork gives it a life of its own.
 * Ownership: one agent per process; it owns its engine. */
#ifndef DIAG_INPROC_AGENT_AGENT_H
#define DIAG_INPROC_AGENT_AGENT_H

#include <stdbool.h>

#include "lib/base/uid.h"
#include "lib/spec/spec_status.h"

DIAG_DECLS_BEGIN

struct diag_agent;

/* Starts the control thread, which connects to `socket_path` and keeps trying. `python_version`:
 * "3.11.2". Strings are copied. Reads who the process is out of its environment
 * (process_identity.h). The caller owns *out. DIAG_ERR_UNSUPPORTED: not this interpreter, with the
 * reason. */
DIAG_MUST_CHECK enum diag_status diag_agent_start(const char *socket_path,
                                                  const char *python_version,
                                                  const char *library_version,
                                                  struct diag_agent **out, struct diag_error *err);

/* Disarms everything, stops the thread (the GIL is released meanwhile) and frees. Events that are
 * in the ring are still delivered. NULL is fine. */
void diag_agent_stop(struct diag_agent *agent);

/* In the child of a fork, with the GIL: new uid, new connection, new thread. Never fails loudly:
 * without a thread, the child stays armed but silent. */
void diag_agent_after_fork(struct diag_agent *agent);

enum diag_agent_wait {
    DIAG_AGENT_WAIT_APPLIED, /* a first snapshot has been applied */
    DIAG_AGENT_WAIT_TIMEOUT, /* it took longer */
    DIAG_AGENT_WAIT_STOPPED, /* the agent was stopped meanwhile: it is gone */
};

/* Waits, without the GIL, until a first snapshot has been applied. */
enum diag_agent_wait diag_agent_wait_applied(struct diag_agent *agent, uint64_t timeout_ms);

struct diag_agent_info {
    char process_uid[DIAG_UID_SIZE];
    bool is_connected;
    char last_error[DIAG_ERROR_MESSAGE_MAX]; /* why it is not connected; "" if it is */
    const char *socket_path;                 /* borrowed from the agent */
};
void diag_agent_info(struct diag_agent *agent, struct diag_agent_info *out);

/* Visits the present status of each spec. */
typedef void diag_agent_status_fn(void *context, const struct diag_spec_status *status);
void diag_agent_statuses(struct diag_agent *agent, diag_agent_status_fn *visit, void *context);

DIAG_DECLS_END

#endif
