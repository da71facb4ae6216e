/* SPDX-License-Identifier: MIT */
/* pure_lookup - finds keys in dicts and sets without running the comparisons of unknown keys.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_PURE_LOOKUP_H
#define DIAG_INPROC_ENGINE_PURE_LOOKUP_H

#include "inproc/engine/pycompat.h"

enum diag_pure_lookup { DIAG_PURE_FOUND, DIAG_PURE_MISSING, DIAG_PURE_UNKNOWN };

/* `dict` is one, subclasses included (their methods are not called), `set` a set or frozenset.
 * *value: borrowed. UNKNOWN: code of the program would run. No exception is set. */
enum diag_pure_lookup diag_pure_dict_find(PyObject *dict, PyObject *key, PyObject **value);
enum diag_pure_lookup diag_pure_set_find(PyObject *set, PyObject *key);

#endif
