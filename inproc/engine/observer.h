/* SPDX-License-Identifier: MIT */
/* observer - what happens inside of the frames of one code object, and how it is seen: by
 * sys.monitoring (3.12 and later, backend_monitoring.c) or by injected bytecode (3.11,
 * backend_injection.c).
 *
 * Threading: the GIL. Callbacks run in the thread that executes the frame. No exception is set when
 *            they are called, nor when they return. */
#ifndef DIAG_INPROC_ENGINE_OBSERVER_H
#define DIAG_INPROC_ENGINE_OBSERVER_H

#include "inproc/engine/pycompat.h"
#include "lib/base/error.h"

/* What an observer wants to be told. */
enum {
    DIAG_OBSERVE_START = 1,
    DIAG_OBSERVE_RETURN = 2,
    DIAG_OBSERVE_RAISE = 4,
    DIAG_OBSERVE_SUSPEND = 8, /* yields and awaits, and resumptions; generators and coroutines */
    DIAG_OBSERVE_LINES = 16,  /* each line; else those in `lines` */
};

struct diag_observer {
    unsigned events;
    int *lines; /* sorted; may be NULL if there are none */
    size_t line_count;
    uint64_t reentrant; /* counted by the backend: events while an instrument ran on the thread, as
                         * far as it is told of them */
    unsigned counted;   /* these two are the backend's own */
    long asked_for;

    /* What may spare a walk of the heap; read by attach and detach. */
    PyObject *function;    /* one that has the code; NULL: not known */
    Py_ssize_t references; /* to the code: the caller's own */

    /* The frame begins: its arguments are bound, none of its code has run. */
    void (*start)(struct diag_observer *observer, diag_py_frame *frame);
    /* The frame is about to return `result`; of a generator: its last value. */
    void (*returned)(struct diag_observer *observer, diag_py_frame *frame, PyObject *result);
    /* An exception leaves the frame. */
    void (*raised)(struct diag_observer *observer, diag_py_frame *frame, PyObject *exception);
    void (*suspended)(struct diag_observer *observer, diag_py_frame *frame);
    void (*resumed)(struct diag_observer *observer, diag_py_frame *frame);
    /* A line is about to be executed, one in `lines` or any. */
    void (*line)(struct diag_observer *observer, diag_py_frame *frame, int line);
};

/* How far an attached observer sees. */
struct diag_observer_coverage {
    uint32_t functions; /* function objects of this code; 0: not counted, the code itself is seen */
    char excluded[256]; /* what is not seen, and why; "": nothing */
};

struct diag_observer_backend {
    const char *name; /* a spec status's mechanism */
    /* Events of frames that begin from now on go to the observer, and where the backend can, those
     * of frames that have begun. DIAG_ERR_EXISTS: somebody else's observer is there.
     * DIAG_ERR_UNSUPPORTED: why this code cannot be observed. */
    enum diag_status (*attach)(PyCodeObject *code, struct diag_observer *observer,
                               struct diag_observer_coverage *coverage, struct diag_error *err);
    /* `events` or `lines` have changed; on failure nothing has. */
    enum diag_status (*update)(PyCodeObject *code, struct diag_observer *observer,
                               struct diag_error *err);
    /* No callback is called any more, not even by frames that go on. */
    void (*detach)(PyCodeObject *code, struct diag_observer *observer);
};

extern const struct diag_observer_backend diag_observer_backend_monitoring; /* 3.12 and later */
extern const struct diag_observer_backend diag_observer_backend_injection;  /* 3.11 */

#endif
