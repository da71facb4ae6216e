/* SPDX-License-Identifier: MIT */
/* c_method - functions and methods in C: a thunk in the place of their PyMethodDef's ml_meth, which
 * every call through the Python object reads, specialised instructions included.
 *
 * A PyMethodDef may be shared by many objects: a thunk has a list of listeners, each of which hears
 * only what is its own.
 *
 * Threading: the GIL. Process-wide, as the PyMethodDefs are. */
#ifndef DIAG_INPROC_ENGINE_C_METHOD_H
#define DIAG_INPROC_ENGINE_C_METHOD_H

#include "inproc/engine/c_listener.h"

/* Calls by way of `definition` are heard by the listener. Takes a reference to it.
 * DIAG_ERR_FULL: all thunks are taken. DIAG_ERR_PERMISSION: the definition cannot be written.
 * DIAG_ERR_UNSUPPORTED: unknown flags. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_c_method_attach(struct diag_c_listener *listener,
                                                      PyMethodDef *definition,
                                                      struct diag_error *err);

/* The listener of this hook, or with `hook` NULL, the one of this callable. NULL: none. */
struct diag_c_listener *diag_c_method_find(PyObject *callable, const struct diag_hook *hook);

/* Restores the definition along with its last listener. The listener is attached. */
void diag_c_method_detach(struct diag_c_listener *listener);

#endif
