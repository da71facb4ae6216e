/* SPDX-License-Identifier: MIT */
/* c_referrers - puts one object in the place of another wherever the collector knows a reference.
 *
 * Reaches what gc.get_referrers finds, and what gc.freeze() has put aside: values of dicts,
 * modules', classes' and instances' attributes, slots, lists, tuples, cells, bound methods,
 * partials, static and class methods, properties.
 *
 * Threading: the GIL. Runs no code of the program. */
#ifndef DIAG_INPROC_ENGINE_C_REFERRERS_H
#define DIAG_INPROC_ENGINE_C_REFERRERS_H

#include <stddef.h>

#include "inproc/engine/pycompat.h"
#include "lib/base/error.h"

struct diag_c_replaced {
    size_t reference_count; /* that were replaced */
    size_t left_count;      /* that were not */
    char left_in[128];      /* the types of the objects that have these, separated by commas */
};

/* `keeper` (NULL: none) is left alone. DIAG_ERR_NO_MEMORY: nothing was replaced. */
DIAG_MUST_CHECK enum diag_status diag_c_referrers_replace(PyObject *from, PyObject *to,
                                                          const PyObject *keeper,
                                                          struct diag_c_replaced *out,
                                                          struct diag_error *err);

#endif
