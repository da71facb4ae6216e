/* SPDX-License-Identifier: MIT */
/* namespace - a dict that looks further in other ones, for expressions whose names are not known
 * beforehand: eval() and locals() see a dict, nested functions find the names too.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_NAMESPACE_H
#define DIAG_INPROC_ENGINE_NAMESPACE_H

#include "inproc/engine/pycompat.h"

/* A new heap type; NULL with an exception. */
PyTypeObject *diag_namespace_type_new(void);

#define DIAG_NAMESPACE_FALLBACKS 4

/* A new reference to one that holds what `names` (a dict) holds, and then looks in the fallbacks
 * (dicts, or NULL), one after the other; NULL with an exception. */
PyObject *diag_namespace_new(PyTypeObject *type, PyObject *names,
                             PyObject *const fallbacks[DIAG_NAMESPACE_FALLBACKS]);

#endif
