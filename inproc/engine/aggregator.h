/* SPDX-License-Identifier: MIT */
/* aggregator - what makes an action an `incr` or `hist`: numbers out of its value, added up in the
 * sink's aggregates.
 *
 * Threading: the GIL; str() of tags may release it.
 * Ownership: one for each action; borrows the sink. */
#ifndef DIAG_INPROC_ENGINE_AGGREGATOR_H
#define DIAG_INPROC_ENGINE_AGGREGATOR_H

#include "inproc/engine/engine.h"
#include "inproc/engine/pycompat.h"

#define DIAG_AGGREGATOR_VALUES_MAX 100 /* of one hit */

struct diag_aggregator;

/* True for the instruments that need one: all but `log`. */
bool diag_aggregator_is_for(const struct diag_spec *spec);

/* The caller owns *out. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_aggregator_new(const struct diag_spec *spec,
                                                     const struct diag_engine_sink *sink,
                                                     struct diag_aggregator **out,
                                                     struct diag_error *err);
void diag_aggregator_free(struct diag_aggregator *aggregator); /* NULL is fine */

/* Adds the number (int, float, bool), numbers (a list or tuple of them) or (number, tags) pairs
 * that `value` is; all of them or, if one is refused, none. `tags`: as of the tags expression, or
 * NULL. Nothing is added if *is_active has become false meanwhile.
 *
 * Returns how many numbers the sink had no room for; -1 with an exception, and whether the tags
 * expression is to blame. */
DIAG_MUST_CHECK int diag_aggregator_put(struct diag_aggregator *aggregator, PyObject *value,
                                        PyObject *tags, const bool *is_active,
                                        bool *are_tags_to_blame);

/* The same for one number without tags, finite and not negative: no Python object is needed. */
DIAG_MUST_CHECK int diag_aggregator_put_number(struct diag_aggregator *aggregator, double number);

/* True once some numbers were added under the overflow tag. */
bool diag_aggregator_has_overflowed(const struct diag_aggregator *aggregator);

/* Tells the sink that the spec's aggregates are complete. */
void diag_aggregator_retire(const struct diag_spec *spec, const struct diag_engine_sink *sink);

#endif
