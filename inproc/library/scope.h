/* SPDX-License-Identifier: MIT */
/* scope - a dict that looks its names up in two others, in the order of eval(): locals, globals.
 * Functions and comprehensions within an expression find the names of both, too.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_LIBRARY_SCOPE_H
#define DIAG_INPROC_LIBRARY_SCOPE_H

#include "inproc/library/library_state.h"

DIAG_MUST_CHECK int diag_scope_add_type(struct diag_library *library);

/* `locals`: any mapping. One that is a dict of a class of its own, as that of a hit, has two parts:
 * what it holds comes before `globals` (a dict), what its __missing__ finds after. A new reference;
 * NULL with an exception. */
PyObject *diag_scope_new(struct diag_library *library, PyObject *globals, PyObject *locals);

#endif
