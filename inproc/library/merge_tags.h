/* SPDX-License-Identifier: MIT */
/* merge_tags - the manager's tags and those of an instrument as one.
 *
 * Threading: the GIL; runs str() of keys and values that become text. */
#ifndef DIAG_INPROC_LIBRARY_MERGE_TAGS_H
#define DIAG_INPROC_LIBRARY_MERGE_TAGS_H

#include "inproc/engine/pycompat.h"

/* A dict if both are dicts, or one is and the other is empty; the second's values win. Else a list
 * of "key:value". None, if there are neither: `common` empty or NULL, and `own` NULL. Each is a
 * dict, or a list, tuple or set of str: otherwise a TypeError that begins with its key. A new
 * reference; NULL with an exception. */
PyObject *diag_merge_tags(PyObject *common, const char *common_key, PyObject *own,
                          const char *own_key);

/* The same as a new list of str, whatever it is: dict, list, tuple, set or (one tag) str. */
PyObject *diag_tags_as_list(PyObject *tags, const char *key);

#endif
