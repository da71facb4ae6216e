/* SPDX-License-Identifier: MIT */
/* heap - every object that the collector knows, those that gc.freeze() has put aside included.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_HEAP_H
#define DIAG_INPROC_ENGINE_HEAP_H

#include "inproc/engine/pycompat.h"

/* Calls `visit` with each object until it returns false; returns what it returned last. It makes no
 * object that the collector knows, and gives up none. */
bool diag_heap_each(bool (*visit)(void *context, PyObject *object), void *context);

#endif
