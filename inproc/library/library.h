/* SPDX-License-Identifier: MIT */
/* library - what `import diagnose` offers to a program on its own: probes and instruments.
 *
 * Threading: the GIL.
 * Fork:      the child inherits what is armed, and calls diag_library_after_fork before anything
 *            else of this room. */
#ifndef DIAG_INPROC_LIBRARY_LIBRARY_H
#define DIAG_INPROC_LIBRARY_LIBRARY_H

#include "lib/base/error.h"

struct _object; /* PyObject */

/* Makes the library, and gives `module` (diagnose._native), which has the types of managers
 * already, its types and functions. -1 with an exception. */
DIAG_MUST_CHECK int diag_library_add_to(struct _object *module);

/* In the child of a fork; at the interpreter's exit, when everything is disarmed. `module`: the one
 * given to diag_library_add_to. */
void diag_library_after_fork(struct _object *module);
void diag_library_stop(struct _object *module);

/* The one place where our errors become Python's. Returns NULL, with the exception set. */
struct _object *diag_library_raise(const struct diag_error *err);

#endif
