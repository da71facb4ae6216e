/* SPDX-License-Identifier: MIT */
/* manager_turn - one pass over the specs at a time, whoever calls apply.
 *
 * Another thread waits for its turn, without the GIL. The same thread cannot wait for itself: a
 * call from within the pass (out of handle_error, say), or from another greenlet of the thread, has
 * the pass repeated before it ends.
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
    unsigned long thread;    /* whose turn it is, if is_taken */
    bool is_taken;
    bool is_wanted_again;
};

/* 1: it is the caller's turn, until diag_manager_turn_end. 0: it is this thread's turn already; the
 * pass that is under way will be repeated. -1 with an exception: of a signal handler, or for want
 * of memory. */
DIAG_MUST_CHECK int diag_manager_turn_take(struct diag_manager_turn *turn);

/* True once if the pass is to be repeated. */
bool diag_manager_turn_is_wanted_again(struct diag_manager_turn *turn);

void diag_manager_turn_end(struct diag_manager_turn *turn);

/* Nobody waits for it any more. */
void diag_manager_turn_done(struct diag_manager_turn *turn);

#endif
