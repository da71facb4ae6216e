/* SPDX-License-Identifier: MIT */
#include "inproc/engine/heap.h"

bool diag_heap_each(bool (*visit)(void *context, PyObject *object), void *context) {
    for (int i = 0; i < DIAG_PY_GC_LISTS; i++) {
        PyGC_Head *list = diag_py_gc_list(i);

        for (PyGC_Head *at = _PyGCHead_NEXT(list); at != list; at = _PyGCHead_NEXT(at))
            if (!visit(context, (PyObject *)(void *)(at + 1)))
                return false;
    }
    return true;
}
