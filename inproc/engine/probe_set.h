/* SPDX-License-Identifier: MIT */
/* probe_set - the probes of an interpreter: one for each callable, and one for each code object.
 *
 * Threading: the GIL, and the turn: see engine_shared.h.
 * Ownership: the set owns its probes, which live as long as they have actions. */
#ifndef DIAG_INPROC_ENGINE_PROBE_SET_H
#define DIAG_INPROC_ENGINE_PROBE_SET_H

#include "inproc/engine/frame_probe.h"
#include "inproc/engine/pointer_table.h"
#include "inproc/engine/probe.h"

/* All zero is an empty set. */
struct diag_probe_set {
    struct diag_pointer_table callables, codes;
    uint64_t interception_changes; /* grows as actions that intercept come and go */
};

/* True if calls of this function are intercepted. */
bool diag_probe_set_intercepts(const struct diag_probe_set *set, PyObject *function);

/* Finds or makes the probe; *out is borrowed. A new one that gets no action is to be dropped. */
DIAG_MUST_CHECK enum diag_status
diag_probe_set_of_callable(struct diag_probe_set *set, const struct diag_backend *backend,
                           PyObject *callable, struct diag_probe **out, struct diag_error *err);
DIAG_MUST_CHECK enum diag_status
diag_probe_set_of_code(struct diag_probe_set *set, const struct diag_observer_backend *backend,
                       PyCodeObject *code, struct diag_frame_probe **out, struct diag_error *err);

/* Frees the probe if it has no actions. */
void diag_probe_set_drop(struct diag_probe_set *set, struct diag_probe *probe);
void diag_probe_set_drop_frame(struct diag_probe_set *set, struct diag_frame_probe *probe);

/* The set must be empty of probes. */
void diag_probe_set_done(struct diag_probe_set *set);

#endif
