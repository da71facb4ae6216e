/* SPDX-License-Identifier: MIT */
/* c_slot - instances of types in C that can be called: their own vectorcall where they have one,
 * and the tp_call of their type, which is filtered by the object.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_C_SLOT_H
#define DIAG_INPROC_ENGINE_C_SLOT_H

#include "inproc/engine/c_listener.h"

/* Calls of the listener's callable are heard by it. Takes a reference to it. `*has_vectorcall` is
 * whether that is where most calls come in. DIAG_ERR_FULL: all thunks for tp_call are taken.
 * DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_c_slot_attach(struct diag_c_listener *listener,
                                                    bool *has_vectorcall, struct diag_error *err);

/* NULL: none. */
struct diag_c_listener *diag_c_slot_find(PyObject *callable);

/* Restores the object, and its type along with the last one of it. */
void diag_c_slot_detach(struct diag_c_listener *listener);

#endif
