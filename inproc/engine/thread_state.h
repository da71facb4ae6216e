/* SPDX-License-Identifier: MIT */
/* thread_state - what the hit path keeps per thread.
 *
 * A hit must find it in a nanosecond, so it is thread-local in the static TLS block. The only other
 * mutable state of the process is what engines share (engine_shared.c, and the backends' tables)
 * and the scale of the clock (hit_clock.c).
 *
 * Threading: each thread its own. Fork: diag_thread_state_after_fork in the child. */
#ifndef DIAG_INPROC_ENGINE_THREAD_STATE_H
#define DIAG_INPROC_ENGINE_THREAD_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/compiler.h"

struct diag_thread_state {
    uint64_t thread_id; /* the operating system's; 0: this struct is not filled in yet */
    uintptr_t stack_low;
    size_t stack_reserve; /* closer to stack_low than this is too close */
    bool is_in_probe;     /* an instrument runs, perhaps that of another greenlet: see guard.h */
    bool has_probe_stack;
    const void *probe_stack;               /* of the greenlet whose instrument it is */
    struct diag_guard_stack *other_stacks; /* of further greenlets that have one running */
    void *interrupt;                       /* an exception to raise afterwards: see interrupt.h */
};

extern __thread struct diag_thread_state diag_thread_state
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

void diag_thread_state_fill(struct diag_thread_state *state);

static inline struct diag_thread_state *diag_thread_state_get(void) {
    struct diag_thread_state *state = &diag_thread_state;

    if (DIAG_UNLIKELY(state->thread_id == 0))
        diag_thread_state_fill(state);
    return state;
}

/* True if the C stack is nearly used up. An address outside of the thread's stack (coroutine
 * libraries with stacks of their own) wraps around and counts as far away. */
static inline bool diag_thread_state_is_stack_low(const struct diag_thread_state *state) {
    return (uintptr_t)__builtin_frame_address(0) - state->stack_low < state->stack_reserve;
}

/* The thread that forked goes on, an instrument that it was in included. */
void diag_thread_state_after_fork(void);

#endif
