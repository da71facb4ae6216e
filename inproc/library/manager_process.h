/* SPDX-License-Identifier: MIT */
/* manager_process - what process a manager is in, and telling the specs so.
 *
 * Threading: the GIL. Errors: Python exceptions. */
#ifndef DIAG_INPROC_LIBRARY_MANAGER_PROCESS_H
#define DIAG_INPROC_LIBRARY_MANAGER_PROCESS_H

#include "inproc/library/manager_object.h"

/* The property process_id. A str that was given, or "host:pid" of the moment, so that the children
 * of a fork differ; None (or deleting it) goes back to that. */
PyObject *diag_manager_get_process_id(PyObject *self, void *closure);
int diag_manager_set_process_id(PyObject *self, PyObject *value, void *closure);

/* specs[id]["applied"][process id] = {"lm": lastmodified, "err": error}; `applied` is made if there
 * is none. Nothing, if there is no such spec any more. */
DIAG_MUST_CHECK int diag_manager_mark_in_specs(PyObject *self, PyObject *id, PyObject *lastmodified,
                                               PyObject *error);

#endif
