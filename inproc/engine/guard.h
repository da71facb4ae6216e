/* SPDX-License-Identifier: MIT */
/* guard - what is put up around an instrument that may run Python code: probes do not fire where it
 * runs, it has some levels of recursion of its own, and is not traced.
 *
 * Threading: the GIL; on one thread one guard at a time, but for greenlets: an instrument may
 * switch to another one, whose hits are hits and get a guard of their own. */
#ifndef DIAG_INPROC_ENGINE_GUARD_H
#define DIAG_INPROC_ENGINE_GUARD_H

#include "inproc/engine/interrupt.h"
#include "inproc/engine/pycompat.h"
#include "inproc/engine/thread_state.h"

/* Recursion levels that an instrument has when the target has used up its own. */
#define DIAG_GUARD_RECURSION_CREDIT 64

struct diag_guard {
    PyThreadState *thread;
    struct diag_guard_stack *other; /* NULL: its stack is the thread state's probe_stack */
    bool is_traced;
};

/* What is rare: other greenlets of the thread have a guard. */
bool diag_guard_is_up_here(const struct diag_thread_state *state);
struct diag_guard_stack *diag_guard_add_stack(struct diag_thread_state *state,
                                              PyThreadState *thread);
void diag_guard_remove_stack(struct diag_thread_state *state, struct diag_guard_stack *other);

/* True if a guard is up around the code that runs now. */
static inline bool diag_guard_is_up(const struct diag_thread_state *state) {
    return DIAG_UNLIKELY(state->is_in_probe) && diag_guard_is_up_here(state);
}

static inline struct diag_guard diag_guard_begin(void) {
    struct diag_thread_state *state = &diag_thread_state;
    struct diag_guard guard = {.thread = diag_py_thread()};

    guard.is_traced = diag_py_is_traced(guard.thread);
    if (DIAG_LIKELY(!state->is_in_probe)) {
        state->is_in_probe = state->has_probe_stack = true;
        state->probe_stack = diag_py_stack(guard.thread);
    } else {
        guard.other = diag_guard_add_stack(state, guard.thread);
    }
    diag_py_credit_recursion(guard.thread, DIAG_GUARD_RECURSION_CREDIT);
    if (guard.is_traced)
        PyThreadState_EnterTracing(guard.thread);
    return guard;
}

/* An exception may be set, and stays so. */
static inline void diag_guard_end(struct diag_guard guard) {
    struct diag_thread_state *state = &diag_thread_state;

    if (guard.is_traced)
        PyThreadState_LeaveTracing(guard.thread);
    diag_py_credit_recursion(guard.thread, -DIAG_GUARD_RECURSION_CREDIT);
    if (DIAG_LIKELY(guard.other == NULL))
        state->has_probe_stack = false;
    else
        diag_guard_remove_stack(state, guard.other);
    state->is_in_probe = state->has_probe_stack || state->other_stacks != NULL;
    if (DIAG_UNLIKELY(state->interrupt != NULL))
        diag_interrupt_deliver();
}

#endif
