/* SPDX-License-Identifier: MIT */
/* overrides - which methods of an instrument are ours still, so that a hit need not look them up.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_LIBRARY_OVERRIDES_H
#define DIAG_INPROC_LIBRARY_OVERRIDES_H

#include "inproc/engine/handler.h"
#include "inproc/engine/pycompat.h"

struct diag_firing;
struct diag_instrument_object;

/* What fire of a built-in instrument does at a hit. -1 with an exception. */
typedef int diag_fire_fn(struct diag_firing *firing);

/* What emit of a built-in instrument does with a value. -1 with an exception. `tags`: None, a dict
 * or a list. */
typedef int diag_emit_fn(struct diag_instrument_object *instrument, PyObject *name, PyObject *value,
                         PyObject *tags);

struct diag_overrides {
    unsigned type_version; /* of the type when this was found out; 0: not yet */
    uint64_t dict_version; /* of the instance's dict; 0: it had none */
    diag_fire_fn *fire;    /* NULL: a method in Python */
    diag_emit_fn *emit;    /* NULL: a method in Python */
    bool has_evaluate, has_merge_tags, has_check_call, has_handle_error, has_finish;
};

/* What holds now. Borrowed from the instrument, until any Python code runs. */
const struct diag_overrides *diag_overrides_of(struct diag_instrument_object *instrument);

#endif
