/* SPDX-License-Identifier: MIT */
/* How it works: 3.11 has no sys.monitoring. So the functions of a code object get another one, with
 * calls of ours among its instructions (inject_probe.c, inject_rewrite.c), and so do the constants
 * of the code that makes further functions of it, for as long as the observer is attached. Frames
 * that have begun, and generators, hold the code that they began with.
 *
 * func_code is set directly: the attribute __code__ raises an audit event, and would have to be
 * found by way of a type that may be swapped. func_version becomes 0 as the attribute would do it:
 * no specialised instruction has cached that.
 *
 * What differs for the program while code is injected: f.__code__ is another object than before,
 * whose co_code, co_consts (ours are at the end), co_linetable, co_exceptiontable and co_stacksize
 * differ; so whoever knows code by its identity (co_extra, debuggers' tables of compiled
 * breakpoints) meets one that he does not know, and f_lasti is an offset in the new code. Name,
 * lines, columns, variables, flags and signature are the same; tracebacks, sys.settrace and
 * sys.setprofile see the same events ('opcode' events excepted). A copy by marshal or cloudpickle
 * does not observe.
 *
 * Not found: functions of code that only a variable of the program refers to, and that it has yet
 * to execute, and objects that a collection under way is looking at. */
#include "inproc/engine/inject.h"

#if PY_VERSION_HEX < 0x030C0000

#include <stdio.h>
#include <stdlib.h>

#include "inproc/engine/code_users.h"
#include "inproc/engine/observer.h"

#define BUCKETS 256

/* One attached observer. */
struct injection {
    struct injection *next;
    struct diag_inject_link *link; /* holds the original */
    PyCodeObject *code;            /* the injected one */
};

static struct injection *buckets[BUCKETS]; /* by the original's address */

static struct injection **bucket_of(const PyCodeObject *original) {
    return &buckets[((uintptr_t)original >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 32 &
                    (BUCKETS - 1)];
}

/* The place in the list that holds the injection, or would. */
static struct injection **find(const PyCodeObject *original) {
    struct injection **place = bucket_of(original);

    while (*place != NULL && (*place)->link->original != original)
        place = &(*place)->next;
    return place;
}

static void injection_free(struct injection *injection) {
    if (injection == NULL)
        return;
    diag_inject_link_unref(injection->link);
    Py_XDECREF((PyObject *)injection->code);
    free(injection);
}

struct replacement {
    PyCodeObject *from;
    PyCodeObject *to;
    uint32_t functions; /* how many have been given the other code */
};

/* Whoever replaces holds both, so that nothing is freed. */
static bool replace_in_function(void *context, PyObject *object) {
    struct replacement *replacement = context;
    PyFunctionObject *function = (PyFunctionObject *)object;

    if (function->func_code != (PyObject *)replacement->from)
        return true;
    function->func_code = Py_NewRef((PyObject *)replacement->to);
    function->func_version = 0;
    Py_DECREF(replacement->from);
    replacement->functions++;
    return true;
}

static void replace_in_constants(const struct replacement *replacement, PyObject *constants) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(constants); i++) {
        if (PyTuple_GET_ITEM(constants, i) != (PyObject *)replacement->from)
            continue;
        PyTuple_SET_ITEM(constants, i, Py_NewRef((PyObject *)replacement->to));
        Py_DECREF(replacement->from);
    }
}

/* Injected code has a copy of its original's constants; the original comes back one day. */
static void replace_in_code(void *context, PyCodeObject *code) {
    PyCodeObject *original = diag_injection_original(code);

    replace_in_constants(context, code->co_consts);
    if (original != code)
        replace_in_constants(context, original->co_consts);
}

/* `others`: references to `from` that are known not to be a function's. Returns the number of
 * functions. */
static uint32_t replace(PyCodeObject *from, PyCodeObject *to, PyObject *function,
                        Py_ssize_t others) {
    struct replacement replacement = {from, to, 0};
    bool is_only = diag_code_users_is_only(from, function, others);

    if (function != NULL) /* a collection under way may hide it */
        replace_in_function(&replacement, function);
    if (!is_only) {
        diag_code_users_each_function(replace_in_function, &replacement);
        diag_code_users_each_code(replace_in_code, &replacement);
    }
    return replacement.functions;
}

static enum diag_status injection_new(PyCodeObject *original, struct diag_observer *observer,
                                      struct injection **out, struct diag_error *err) {
    struct injection *injection = calloc(1, sizeof *injection);
    enum diag_status status;

    if (injection != NULL)
        injection->link = diag_inject_link_new(original, observer);
    if (injection == NULL || injection->link == NULL || !diag_inject_probe_init()) {
        injection_free(injection);
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "injection of bytecode");
    }
    status = diag_inject(injection->link, &injection->code, err);
    if (status == DIAG_OK)
        *out = injection;
    else
        injection_free(injection);
    return status;
}

static enum diag_status attach(PyCodeObject *code, struct diag_observer *observer,
                               struct diag_observer_coverage *coverage, struct diag_error *err) {
    PyCodeObject *original = diag_injection_original(code);
    struct injection *injection = NULL;
    enum diag_status status;

    if (*find(original) != NULL)
        return diag_error_set(err, DIAG_ERR_EXISTS, 0, "the code is observed already");
    if (diag_inject_is_foreign(original))
        return diag_error_set(err, DIAG_ERR_EXISTS, 0, "another engine observes this function");
    status = injection_new(original, observer, &injection, err);
    if (status != DIAG_OK)
        return status;
    *coverage = (struct diag_observer_coverage){0};
    if (diag_code_users_is_collecting())
        snprintf(coverage->excluded, sizeof coverage->excluded,
                 "functions that a garbage collection was just looking at");
    coverage->functions =
        replace(original, injection->code, observer->function, observer->references + 1);
    injection->next = *bucket_of(original);
    *bucket_of(original) = injection;
    return DIAG_OK;
}

static enum diag_status update(PyCodeObject *code, struct diag_observer *observer,
                               struct diag_error *err) {
    struct injection *injection = *find(diag_injection_original(code));
    PyCodeObject *previous, *next;
    enum diag_status status;

    if (injection == NULL || injection->link->observer != observer)
        return diag_error_set(err, DIAG_ERR_NOT_FOUND, 0, "the code is not observed");
    status = diag_inject(injection->link, &next, err);
    if (status != DIAG_OK)
        return status;
    previous = injection->code;
    replace(previous, next, observer->function, 1);
    injection->code = next;
    Py_DECREF(previous);
    return DIAG_OK;
}

/* A call of a generator function begins as a plain frame; RETURN_GENERATOR copies it into a
 * generator that is as large as the code that the function has by then. If a collection has let
 * us in between the two (cells are made first), the original must ask for as much room. */
static void keep_room(const struct injection *injection) {
    PyCodeObject *original = injection->link->original;
    PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Get());

    if (!diag_py_is_generator(original) || Py_REFCNT(injection->code) == 1)
        return;
    for (; thread != NULL; thread = PyThreadState_Next(thread))
        for (const diag_py_frame *frame = diag_py_thread_frame(thread); frame != NULL;
             frame = frame->previous)
            if (frame->f_code == injection->code &&
                _PyInterpreterFrame_LASTI(frame) < frame->f_code->_co_firsttraceable)
                original->co_stacksize = injection->code->co_stacksize;
}

static void detach(PyCodeObject *code, struct diag_observer *observer) {
    struct injection **place = find(diag_injection_original(code)), *injection = *place;

    if (injection == NULL || injection->link->observer != observer)
        return;
    injection->link->observer = NULL;
    *place = injection->next;
    replace(injection->code, injection->link->original, observer->function, 1);
    keep_room(injection);
    injection_free(injection);
}

const struct diag_observer_backend diag_observer_backend_injection = {
    .name = "injection",
    .attach = attach,
    .update = update,
    .detach = detach,
};

#endif
