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

/* A new reference; NULL with an exception. */
PyObject *diag_frame_view_new(PyTypeObject *type, const struct diag_call *call);

#endif
