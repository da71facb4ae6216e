/* SPDX-License-Identifier: MIT */
/* manager_defaults - what a new manager has for specs, instrument_classes and global_namespace.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_LIBRARY_MANAGER_DEFAULTS_H
#define DIAG_INPROC_LIBRARY_MANAGER_DEFAULTS_H

#include "inproc/library/manager_object.h"

/* Adds the function `mag` to the module, and to the type the class attributes that instances copy:
 * global_namespace, with the modules datetime, math and time, and mag; instrument_classes, which is
 * empty until the package fills it. -1 with an exception. */
DIAG_MUST_CHECK int diag_manager_defaults_add_to(PyObject *module, PyObject *type);

/* Gives the manager dicts of its own, copies of its class's, so that managers share none by
 * accident. A class whose attribute is no dict but, say, a property, keeps that. -1 with an
 * exception. */
DIAG_MUST_CHECK int diag_manager_defaults_copy(struct diag_manager *manager);

#endif
