/* SPDX-License-Identifier: MIT */
/* frame_probe - one code object whose frames are looked into, and the actions that fire there: all
 * points of all functions that share the code, generators and coroutines included.
 *
 * Threading: the GIL. Calls in flight keep the actions that they began with, as far as those must
 * know how the call began. A probe may be freed meanwhile, and its calls in flight then go on
 *            untouched. */
#ifndef DIAG_INPROC_ENGINE_FRAME_PROBE_H
#define DIAG_INPROC_ENGINE_FRAME_PROBE_H

#include "inproc/engine/action_list.h"
#include "inproc/engine/observer.h"

struct diag_frame_probe;

/* Without actions; the code is left alone until there is one. The caller owns *out. */
DIAG_MUST_CHECK enum diag_status diag_frame_probe_new(const struct diag_observer_backend *backend,
                                                      PyCodeObject *code,
                                                      struct diag_frame_probe **out,
                                                      struct diag_error *err);
void diag_frame_probe_free(struct diag_frame_probe *probe); /* NULL is fine */

/* Takes a reference to the action. `function`: one that has the code, or NULL; the caller has one
 * reference to the code besides. */
DIAG_MUST_CHECK enum diag_status diag_frame_probe_add(struct diag_frame_probe *probe,
                                                      struct diag_action *action,
                                                      PyObject *function, struct diag_error *err);
void diag_frame_probe_remove(struct diag_frame_probe *probe, struct diag_action *action);

/* Borrowed. */
PyCodeObject *diag_frame_probe_code(const struct diag_frame_probe *probe);
bool diag_frame_probe_is_empty(const struct diag_frame_probe *probe);

/* How far it sees, while it has actions. */
const struct diag_observer_coverage *
diag_frame_probe_coverage(const struct diag_frame_probe *probe);
/* Events that were left out since an instrument ran on the same thread. */
uint64_t diag_frame_probe_reentrant(const struct diag_frame_probe *probe);

#endif
