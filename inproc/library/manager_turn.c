/* SPDX-License-Identifier: MIT */
#include "inproc/library/manager_turn.h"

#include <unistd.h>

#define WAIT_SLICE_US 50000 /* between two looks at the signals */

/* The parent's lock is left as it is: a thread that is not here may hold it. */
static int make_lock(struct diag_manager_turn *turn) {
    PyThread_type_lock lock;

    if (turn->lock != NULL && turn->pid == getpid())
        return 0;
    lock = PyThread_allocate_lock();
    if (lock == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    *turn = (struct diag_manager_turn){.lock = lock, .pid = getpid()};
    return 0;
}

int diag_manager_turn_take(struct diag_manager_turn *turn) {
    PyLockStatus status;

    if (make_lock(turn) < 0)
        return -1;
    if (turn->is_taken && turn->thread == PyThread_get_thread_ident()) {
        turn->is_wanted_again = true;
        return 0;
    }
    status = PyThread_acquire_lock_timed(turn->lock, 0, 0);
    while (status != PY_LOCK_ACQUIRED) {
        PyThread_type_lock lock;

        if (PyErr_CheckSignals() < 0 || make_lock(turn) < 0) /* a handler may fork */
            return -1;
        lock = turn->lock;
        Py_BEGIN_ALLOW_THREADS status = PyThread_acquire_lock_timed(lock, WAIT_SLICE_US, 1);
        Py_END_ALLOW_THREADS
    }
    turn->is_taken = true;
    turn->is_wanted_again = false;
    turn->thread = PyThread_get_thread_ident();
    return 1;
}

bool diag_manager_turn_is_wanted_again(struct diag_manager_turn *turn) {
    bool is_wanted = turn->is_wanted_again;

    turn->is_wanted_again = false;
    return is_wanted;
}

void diag_manager_turn_end(struct diag_manager_turn *turn) {
    if (turn->pid != getpid() || !turn->is_taken)
        return; /* a child that was forked from within the pass */
    turn->is_taken = false;
    PyThread_release_lock(turn->lock);
}

void diag_manager_turn_done(struct diag_manager_turn *turn) {
    if (turn->lock != NULL && turn->pid == getpid())
        PyThread_free_lock(turn->lock);
    turn->lock = NULL;
}
