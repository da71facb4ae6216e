/* SPDX-License-Identifier: MIT */
/* pycompat - every difference between CPython versions that the engine knows of.
 *
 * The rest of inproc/engine includes this instead of Python.h.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_PYCOMPAT_H
#define DIAG_INPROC_ENGINE_PYCOMPAT_H

#ifndef PY_SSIZE_T_CLEAN
#define PY_SSIZE_T_CLEAN
#endif
#define Py_BUILD_CORE_MODULE 1 /* interpreter frames */
#include <Python.h>

#include <internal/pycore_frame.h>
#include <opcode.h>
#include <stdbool.h>

#include "lib/base/compiler.h"

#if PY_VERSION_HEX < 0x030B0000
#error "CPython 3.11 or later is needed"
#endif

/* ISO C has no conversion from functions to void *, PyType_Slot wants one. */
#define DIAG_PY_SLOT(function) (__extension__(void *)(function))

/* What the interpreter keeps of a call of a Python function; a PyFrameObject is made of it only
 * when somebody asks. */
typedef struct _PyInterpreterFrame diag_py_frame;

/* Functions whose type was swapped included; PyFunction_Check would say no to those. */
static inline bool diag_py_is_function(PyObject *object) {
    return PyObject_TypeCheck(object, &PyFunction_Type);
}

static inline PyCodeObject *diag_py_code(PyObject *function) {
    return (PyCodeObject *)((PyFunctionObject *)function)->func_code;
}

/* Name of the argument `index`: positional ones, keyword-only ones, *args, **kwargs. */
static inline PyObject *diag_py_argument_name(PyCodeObject *code, int index) {
    return PyTuple_GET_ITEM(code->co_localsplusnames, index);
}

/* *args and **kwargs included. */
static inline int diag_py_argument_count(PyCodeObject *code) {
    return code->co_argcount + code->co_kwonlyargcount + !!(code->co_flags & CO_VARARGS) +
           !!(code->co_flags & CO_VARKEYWORDS);
}

static inline bool diag_py_is_generator(PyCodeObject *code) {
    return code->co_flags & (CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR);
}

/* Borrowed; NULL: none. */
static inline PyObject *diag_py_type_dict(PyTypeObject *type) {
    return type->tp_dict;
}

/* Borrowed: the object's __dict__, without asking its type; NULL: it has none. */
static inline PyObject *diag_py_instance_dict(PyObject *object) {
    PyObject **dict = _PyObject_GetDictPtr(object);

    return dict == NULL ? NULL : *dict;
}

/* If the instruction loads a variable that is no local one, the index of its name, else -1. */
static inline int diag_py_loaded_name(int opcode, int argument) {
    if (opcode == LOAD_NAME)
        return argument;
    if (opcode == LOAD_GLOBAL)
        return argument >> 1;
    return -1;
}

/* An expression may be evaluated where the target has used up the recursion limit: give it
 * `levels` of its own. A negative number takes them back. */
static inline void diag_py_credit_recursion(PyThreadState *thread, int levels) {
    thread->recursion_remaining += levels;
}

/* The frame that the thread executes. */
static inline diag_py_frame *diag_py_current_frame(const PyThreadState *thread) {
#if PY_VERSION_HEX >= 0x030D0000
    return thread->current_frame;
#else
    return thread->cframe->current_frame;
#endif
}

/* Borrowed. */
static inline PyCodeObject *diag_py_frame_code(const diag_py_frame *frame) {
#if PY_VERSION_HEX >= 0x030D0000
    return (PyCodeObject *)frame->f_executable;
#else
    return frame->f_code;
#endif
}

/* The frame's variables, in the order of the code's localsplus; NULL: unbound. */
static inline PyObject *const *diag_py_frame_locals(const diag_py_frame *frame) {
    return frame->localsplus;
}

/* Borrowed. */
static inline PyObject *diag_py_frame_globals(const diag_py_frame *frame) {
    return frame->f_globals;
}

/* True if sys.settrace or sys.setprofile would see what this thread runs. */
static inline bool diag_py_is_traced(const PyThreadState *thread) {
    return thread->tracing == 0 && (thread->c_tracefunc != NULL || thread->c_profilefunc != NULL);
}

#endif
