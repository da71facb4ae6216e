/* SPDX-License-Identifier: MIT */
/* manager_turn - one pass over the specs at a time, whoever calls apply.
 *
 * Another thread waits for its turn, without the GIL. Those who cannot wait have the pass that is
 * under way repeated, and return at once: a call from within the pass (out of handle_error, say),
 * which gets one repetition; one from another greenlet of the thread; and one from a module that is
 * being imported, as the pass may have to wait for that import.
 *
 * Threading: the GIL.
 * Fork:      nothing to be done: a child finds that the lock is its parent's, and makes its own. */
#ifndef DIAG_INPROC_LIBRARY_MANAGER_TURN_H
#define DIAG_INPROC_LIBRARY_MANAGER_TURN_H

#include "inproc/engine/pycompat.h"

#include <sys/types.h>

/* All zero: nobody's turn yet. */
struct diag_manager_turn {
    PyThread_type_lock lock; /* held by whose turn it is; NULL: not made yet */
    pid_t pid;               /* whose lock it is */
    uint64_t thread;         /* whose turn it is, if is_taken: PyThreadState_GetID, never reused */
    const void *stack;       /* the greenlet's: diag_py_stack */
    bool is_taken;
    bool is_wanted_inside; /* by a call from within the pass */
    bool is_wanted_outside;
};

/* 1: it is the caller's turn, until diag_manager_turn_end. 0: the pass that is under way will be
 * repeated. -1 with an exception: of a signal handler, or for want of memory. */
DIAG_MUST_CHECK int diag_manager_turn_take(struct diag_manager_turn *turn);

/* True if the pass is to be repeated. `is_first`: it was the first one of this turn. */
bool diag_manager_turn_is_wanted_again(struct diag_manager_turn *turn, bool is_first);

void diag_manager_turn_end(struct diag_manager_turn *turn);

/* Nobody waits for it any more. */
void diag_manager_turn_done(struct diag_manager_turn *turn);

#endif
