/* SPDX-License-Identifier: MIT */
/* probe - one callable whose calls are seen from outside, and the actions that fire when it is
 * called, or that take the place of its calls.
 *
 * An exception that the callable raised reaches its caller as it was: the same object, with the
 * same traceback, context and cause.
 *
 * Threading: the GIL. Calls in flight keep the actions that they began with; a probe may be freed
 *            meanwhile. */
#ifndef DIAG_INPROC_ENGINE_PROBE_H
#define DIAG_INPROC_ENGINE_PROBE_H

#include "inproc/engine/action_list.h"
#include "inproc/engine/backend.h"

struct diag_probe;

/* Without actions; the callable is left alone until there is one. The caller owns *out. */
DIAG_MUST_CHECK enum diag_status diag_probe_new(const struct diag_backend *backend,
                                                PyObject *callable, struct diag_probe **out,
                                                struct diag_error *err);

/* Restores the callable. NULL is fine. */
void diag_probe_free(struct diag_probe *probe);
DIAG_DEFINE_FREEP(diag_probe, struct diag_probe)

/* Takes a reference to the action. */
DIAG_MUST_CHECK enum diag_status diag_probe_add(struct diag_probe *probe,
                                                struct diag_action *action, struct diag_error *err);

/* The callable is restored along with its last action. */
void diag_probe_remove(struct diag_probe *probe, struct diag_action *action);

/* Borrowed. */
PyObject *diag_probe_callable(const struct diag_probe *probe);
const struct diag_backend *diag_probe_backend(const struct diag_probe *probe);
/* True if one of the actions takes the place of the calls. */
bool diag_probe_intercepts(const struct diag_probe *probe);
bool diag_probe_is_empty(const struct diag_probe *probe);

/* How far it sees, while it has actions. */
const struct diag_backend_coverage *diag_probe_coverage(const struct diag_probe *probe);
/* Calls that were left out since an instrument ran on the same thread. */
uint64_t diag_probe_reentrant(const struct diag_probe *probe);

#endif
