/* SPDX-License-Identifier: MIT */
/* engine_testing - what the parts of the extension module engine_testing share.
 *
 * Threading: the GIL. */
#ifndef DIAG_TESTS_PYTHON_ENGINE_ENGINE_TESTING_H
#define DIAG_TESTS_PYTHON_ENGINE_ENGINE_TESTING_H

#include "lib/spec/spec.h"
#include "lib/spec/spec_status.h"

struct _object; /* PyObject: Python.h is to be included with other settings here and there */

/* The spec of a dict: id, target, type, name, value, event, tags, revision, expires. The caller
 * owns it. */
struct diag_spec *diag_engine_testing_spec(struct _object *dict);

/* A new dict. */
struct _object *diag_engine_testing_status(const struct diag_spec_status *status);

/* Adds the type Engine (handler_testing.c) to the module; -1 with an exception. */
int diag_handler_testing_add(struct _object *module);

#endif
