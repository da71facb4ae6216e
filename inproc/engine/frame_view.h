/* SPDX-License-Identifier: MIT */
/* frame_view - the context name `frame`: stands for the probed function's frame, whose f_back is
 * the frame of its caller.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_FRAME_VIEW_H
#define DIAG_INPROC_ENGINE_FRAME_VIEW_H

#include "inproc/engine/call.h"

/* A new heap type; NULL with an exception. */
PyTypeObject *diag_frame_view_type_new(void);

/* A new reference; NULL with an exception. CALL and RETURN: f_locals are the arguments, f_lineno is
 * where the function begins; END and LINE: all variables, and the line of the hit. What a callable
 * that is implemented in C does not have is None. */
PyObject *diag_frame_view_new(PyTypeObject *type, enum diag_point point,
                              const struct diag_call *call);

#endif
