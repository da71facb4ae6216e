/* SPDX-License-Identifier: MIT */
/* c_reference - the last resort for a callable that cannot be changed: another object takes its
 * place wherever the collector finds a reference to it, and gives it back in the same way.
 *
 * Threading: the GIL. Runs no code of the program. Takes milliseconds: the whole heap is visited.
 */
#ifndef DIAG_INPROC_ENGINE_C_REFERENCE_H
#define DIAG_INPROC_ENGINE_C_REFERENCE_H

#include <stddef.h>

#include "inproc/engine/c_listener.h"

/* Calls by way of references that there are now, and copies of them, are heard by the listener.
 * Takes a reference to it. `excluded` says what is not seen. DIAG_ERR_UNSUPPORTED: no reference
 * could be replaced. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_c_reference_attach(struct diag_c_listener *listener,
                                                         char *excluded, size_t excluded_size,
                                                         struct diag_error *err);

/* The listener of this callable, or of its stand-in. NULL: none. */
struct diag_c_listener *diag_c_reference_find(PyObject *callable);

/* Puts the callable back. References that cannot be reached go on to it, unheard. */
void diag_c_reference_detach(struct diag_c_listener *listener);

#endif
