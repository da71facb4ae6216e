/* SPDX-License-Identifier: MIT */
/* import_end - what waits for a name of a module whose code still runs is armed when it is done.
 * The engine itself watches imports that begin; this is for one that has begun already.
 *
 * Threading: the GIL.
 * Errors:    no exception is set afterwards: in the worst case, the next import arms it. */
#ifndef DIAG_INPROC_LIBRARY_IMPORT_END_H
#define DIAG_INPROC_LIBRARY_IMPORT_END_H

#include "inproc/library/library_state.h"

/* If a module that `target` (a str) begins with is being imported, has the engine look for its
 * targets again when that ends. */
void diag_import_end_watch(struct diag_library *library, PyObject *target);

#endif
