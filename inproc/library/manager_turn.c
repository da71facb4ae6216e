/* SPDX-License-Identifier: MIT */
#include "inproc/library/manager_turn.h"

#include <unistd.h>

#define WAIT_SLICE_US 50000 /* between two looks at the signals */

/* The parent's lock is left as it is: a thread that is not here may hold it, and its turn is over.
 * That of a greenlet of this thread goes on. */
static int make_lock(struct diag_manager_turn *turn) {
    struct diag_manager_turn made = {0};

    if (turn->lock != NULL && turn->pid == getpid())
        return 0;
    if (turn->is_taken && turn->thread == PyThreadState_GetID(diag_py_thread()))
        made = *turn;
    made.pid = getpid();
    made.lock = PyThread_allocate_lock();
    if (made.lock == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (made.is_taken)
        PyThread_acquire_lock(made.lock, NOWAIT_LOCK);
    *turn = made;
    return 0;
}

/* True if the calling code is, at some remove, the body of a module that is being imported. */
static bool is_importing(void) {
    PyFrameObject *frame = PyThreadState_GetFrame(diag_py_thread());
    bool is_found = false;

    while (frame != NULL) {
        PyFrameObject *back = PyFrame_GetBack(frame);
        PyCodeObject *code = PyFrame_GetCode(frame);

        is_found = is_found || PyUnicode_CompareWithASCIIString(
                                   code->co_filename, "<frozen importlib._bootstrap>") == 0;
        Py_DECREF(code);
        Py_DECREF(frame);
        frame = back;
    }
    return is_found;
}

/* True if the caller cannot wait for its turn: the pass will be repeated on its behalf. */
static bool ask_for_another_pass(struct diag_manager_turn *turn) {
    if (!turn->is_taken)
        return false;
    if (turn->thread != PyThreadState_GetID(diag_py_thread())) {
        if (!is_importing())
            return false;
        turn->is_wanted_outside = true;
    } else if (diag_py_is_on_stack(diag_py_thread(), turn->stack)) {
        turn->is_wanted_inside = true;
    } else {
        turn->is_wanted_outside = true;
    }
    return true;
}

int diag_manager_turn_take(struct diag_manager_turn *turn) {
    PyLockStatus status;

    if (make_lock(turn) < 0)
        return -1;
    if (ask_for_another_pass(turn))
        return 0;
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
    turn->is_wanted_inside = turn->is_wanted_outside = false;
    turn->thread = PyThreadState_GetID(diag_py_thread());
    turn->stack = diag_py_stack(diag_py_thread());
    return 1;
}

bool diag_manager_turn_is_wanted_again(struct diag_manager_turn *turn, bool is_first) {
    bool is_wanted = turn->is_wanted_outside || (is_first && turn->is_wanted_inside);

    turn->is_wanted_inside = turn->is_wanted_outside = false;
    return is_wanted;
}

void diag_manager_turn_end(struct diag_manager_turn *turn) {
    turn->is_taken = false;
    if (turn->pid == getpid()) /* else it is a child that was forked from within the pass */
        PyThread_release_lock(turn->lock);
}

void diag_manager_turn_done(struct diag_manager_turn *turn) {
    if (turn->lock != NULL && turn->pid == getpid())
        PyThread_free_lock(turn->lock);
    turn->lock = NULL;
}
