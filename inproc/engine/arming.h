/* SPDX-License-Identifier: MIT */
/* arming - one spec at work: its actions, and the probes that they are on.
 *
 * Which mechanism is used when is told in docs/engine.md.
 *
 * Threading: the GIL, and the turn: see engine_shared.h.
 * Ownership: a probe set owns the probes; an arming borrows them. */
#ifndef DIAG_INPROC_ENGINE_ARMING_H
#define DIAG_INPROC_ENGINE_ARMING_H

#include "inproc/engine/probe_set.h"
#include "inproc/engine/target.h"

struct diag_arming;

/* All that arming a spec takes besides the spec. */
struct diag_arming_context {
    struct diag_action_context action;
    struct diag_probe_set *probes;
    struct diag_arming **making; /* where it is noted down while it is being made */
};

/* Compiles and attaches; on failure nothing is attached. The caller owns *out. */
DIAG_MUST_CHECK enum diag_status diag_arming_new(const struct diag_arming_context *context,
                                                 const struct diag_spec *spec,
                                                 const struct diag_target *target,
                                                 struct diag_arming **out, struct diag_error *err);

/* Detaches. NULL is fine. */
void diag_arming_free(struct diag_arming *arming, struct diag_probe_set *probes);

/* True if this is what it was armed for, code and all, and its calls are seen from where they are
 * to be seen: see diag_arming_is_in_place. */
bool diag_arming_is_for(const struct diag_arming *arming, const struct diag_target *target,
                        const struct diag_probe_set *probes);

/* False if it was armed before something began to intercept the function's calls, or ceased to:
 * what callers get of those is seen from outside only. */
bool diag_arming_is_in_place(const struct diag_arming *arming, const struct diag_probe_set *probes);

/* ARMED, or what the hit path made of it; `*message` (borrowed) says why, or warns. */
enum diag_spec_state diag_arming_state(const struct diag_arming *arming, const char **message);

/* Has nothing of it fire any more. */
void diag_arming_silence(struct diag_arming *arming);

void diag_arming_set_expiry(struct diag_arming *arming, uint64_t expires_unix_ns);

/* Adds counts, mechanism and coverage to the status. */
void diag_arming_status(const struct diag_arming *arming, struct diag_spec_status *status);

/* In the child of a fork: hits count from 0 again. */
void diag_arming_reset_counts(struct diag_arming *arming);

/* The point of a spec's event, and the line of a LINE. The spec is valid. */
enum diag_point diag_arming_point(const struct diag_spec *spec, int *line);

#endif
