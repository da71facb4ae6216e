/* SPDX-License-Identifier: MIT */
#include "inproc/engine/thread_state.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STACK_RESERVE_MAX ((size_t)256 << 10)
#define STACK_RESERVE_MIN ((size_t)48 << 10) /* one event's scratch buffer and an evaluation */

/* GCC does not take the model over from the header. */
__thread struct diag_thread_state diag_thread_state __attribute__((tls_model("initial-exec")));

void diag_thread_state_fill(struct diag_thread_state *state) {
    pthread_attr_t attributes;
    void *low;
    size_t size;

    state->thread_id = (uint64_t)syscall(SYS_gettid);
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return; /* a reserve of 0: never low */
    if (pthread_attr_getstack(&attributes, &low, &size) == 0) {
        size_t reserve = size / 4;

        if (reserve > STACK_RESERVE_MAX)
            reserve = STACK_RESERVE_MAX;
        if (reserve < STACK_RESERVE_MIN)
            reserve = STACK_RESERVE_MIN;
        state->stack_low = (uintptr_t)low;
        state->stack_reserve = reserve;
    }
    pthread_attr_destroy(&attributes);
}

void diag_thread_state_after_fork(void) {
    diag_thread_state.thread_id = 0; /* to be filled in again */
}
