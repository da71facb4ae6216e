/* SPDX-License-Identifier: MIT */
/* How greenlets are told apart: all of a thread run on the same piece of the C stack, in turn, but
 * each has its own memory for the frames of Python, which the interpreter's thread state points to.
 * What is noted of a guard is not on the C stack, where it would be gone while another one runs. */
#include "inproc/engine/guard.h"

#include <stdlib.h>

struct diag_guard_stack {
    const void *stack; /* diag_py_stack */
    struct diag_guard_stack *next;
};

bool diag_guard_is_up_here(const struct diag_thread_state *state) {
    const PyThreadState *thread = diag_py_thread();

    if (state->has_probe_stack && diag_py_is_on_stack(thread, state->probe_stack))
        return true;
    for (const struct diag_guard_stack *one = state->other_stacks; one != NULL; one = one->next)
        if (diag_py_is_on_stack(thread, one->stack))
            return true;
    return false;
}

/* For want of memory this guard is that of all greenlets, until its own end. */
struct diag_guard_stack *diag_guard_add_stack(struct diag_thread_state *state,
                                              PyThreadState *thread) {
    struct diag_guard_stack *added = malloc(sizeof *added);

    if (added == NULL) {
        state->has_probe_stack = true;
        state->probe_stack = NULL;
        return NULL;
    }
    *added = (struct diag_guard_stack){diag_py_stack(thread), state->other_stacks};
    state->other_stacks = added;
    return added;
}

void diag_guard_remove_stack(struct diag_thread_state *state, struct diag_guard_stack *other) {
    struct diag_guard_stack **link = &state->other_stacks;

    while (*link != NULL && *link != other)
        link = &(*link)->next;
    if (*link != NULL)
        *link = other->next;
    free(other);
}
