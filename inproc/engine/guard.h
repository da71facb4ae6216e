/* SPDX-License-Identifier: MIT */
/* guard - what is put up around an instrument that may run Python code: probes do not fire on the
 * thread, it has some levels of recursion of its own, and is not traced.
 *
 * Threading: the GIL; on one thread one guard at a time. */
#ifndef DIAG_INPROC_ENGINE_GUARD_H
#define DIAG_INPROC_ENGINE_GUARD_H

#include "inproc/engine/interrupt.h"
#include "inproc/engine/pycompat.h"
#include "inproc/engine/thread_state.h"

/* Recursion levels that an instrument has when the target has used up its own. */
#define DIAG_GUARD_RECURSION_CREDIT 64

struct diag_guard {
    PyThreadState *thread;
    bool is_traced;
};

static inline struct diag_guard diag_guard_begin(void) {
    struct diag_guard guard = {.thread = diag_py_thread()};

    guard.is_traced = diag_py_is_traced(guard.thread);
    diag_thread_state.is_in_probe = true;
    diag_py_credit_recursion(guard.thread, DIAG_GUARD_RECURSION_CREDIT);
    if (guard.is_traced)
        PyThreadState_EnterTracing(guard.thread);
    return guard;
}

/* An exception may be set, and stays so. */
static inline void diag_guard_end(struct diag_guard guard) {
    if (guard.is_traced)
        PyThreadState_LeaveTracing(guard.thread);
    diag_py_credit_recursion(guard.thread, -DIAG_GUARD_RECURSION_CREDIT);
    diag_thread_state.is_in_probe = false;
    if (DIAG_UNLIKELY(diag_thread_state.interrupt != NULL))
        diag_interrupt_deliver();
}

#endif
