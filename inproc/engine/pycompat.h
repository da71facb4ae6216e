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

#include <internal/pycore_code.h>

/* 3.12 drags in a type of this name, which is everybody's favourite for a variable. */
#define object diag_py_asdl_object
#include <internal/pycore_interp.h>
#include <internal/pycore_runtime.h>
#undef object

#include <internal/pycore_dict.h>
#include <internal/pycore_frame.h>
#include <internal/pycore_object.h>
#include <opcode.h>
#include <stdbool.h>
#if PY_VERSION_HEX < 0x030C0000
#include <structmember.h> /* PyMember_GetOne, which Python.h has later */
#endif

#include "lib/base/compiler.h"

#if PY_VERSION_HEX < 0x030B0000 || PY_VERSION_HEX >= 0x030E0000
#error "CPython 3.11, 3.12 or 3.13 is needed"
#endif

/* ISO C has no conversion from functions to void *, PyType_Slot wants one. */
#define DIAG_PY_SLOT(function) (__extension__(void *)(function))

/* What a call of a Python function from C takes of the C recursion limit: ceval.c's
 * PY_EVAL_C_STACK_UNITS. */
#define DIAG_PY_EVAL_C_UNITS 2

/* Types that the interpreter itself brings have some of their parts elsewhere. */
#if PY_VERSION_HEX >= 0x030C0000
#define DIAG_PY_TPFLAGS_BUILTIN _Py_TPFLAGS_STATIC_BUILTIN
#else
#define DIAG_PY_TPFLAGS_BUILTIN 0
#endif

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

/* True if there is no event for a generator of this code that is closed at a bare yield: gh-140373.
 */
static inline bool diag_py_closes_silently(PyCodeObject *code) {
#if PY_VERSION_HEX >= 0x030D0000
    return diag_py_is_generator(code);
#else
    (void)code;
    return false;
#endif
}

/* Borrowed; NULL: none. */
static inline PyObject *diag_py_type_dict(PyTypeObject *type) {
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *dict = PyType_GetDict(type); /* the interpreter has those of built-in types */

    Py_XDECREF(dict);
    return dict;
#else
    return type->tp_dict;
#endif
}

/* The attributes of an object that has no dict of its own yet, in the order of its class's keys;
 * NULL: it has one, or has no attributes. */
static inline PyDictValues *diag_py_inline_values(PyObject *object) {
#if PY_VERSION_HEX >= 0x030D0000
    if (!(Py_TYPE(object)->tp_flags & Py_TPFLAGS_INLINE_VALUES))
        return NULL;
    return _PyObject_InlineValues(object)->valid ? _PyObject_InlineValues(object) : NULL;
#else
    if (!(Py_TYPE(object)->tp_flags & Py_TPFLAGS_MANAGED_DICT))
        return NULL;
#if PY_VERSION_HEX >= 0x030C0000
    PyDictOrValues dict_or_values = *_PyObject_DictOrValuesPointer(object);

    return _PyDictOrValues_IsValues(dict_or_values) ? _PyDictOrValues_GetValues(dict_or_values)
                                                    : NULL;
#else
    return *_PyObject_ValuesPointer(object);
#endif
#endif
}

/* Borrowed: what the object's __dict__ has under `name` (a str), without asking its type, and
 * without making a dict where there is none yet. NULL: nothing; no exception is set. */
static inline PyObject *diag_py_instance_item(PyObject *object, PyObject *name) {
    PyDictValues *values = diag_py_inline_values(object);
    PyObject **dict, *item;

    if (values != NULL) {
        PyDictKeysObject *keys = ((PyHeapTypeObject *)Py_TYPE(object))->ht_cached_keys;

        for (Py_ssize_t i = 0; i < keys->dk_nentries; i++) {
            PyObject *key = DK_UNICODE_ENTRIES(keys)[i].me_key;

            if (key == name || (key != NULL && PyUnicode_Compare(key, name) == 0))
                return values->values[i];
        }
        return NULL;
    }
    dict = _PyObject_GetDictPtr(object);
    if (dict == NULL || *dict == NULL || !PyDict_Check(*dict))
        return NULL;
    item = PyDict_GetItemWithError(*dict, name);
    if (item == NULL)
        PyErr_Clear();
    return item;
}

/* Borrowed: the object's __dict__, without asking its type; made if the object keeps its
 * attributes in another way. NULL: it has none. */
static inline PyObject *diag_py_instance_dict(PyObject *object) {
    PyObject **dict;

    if (diag_py_inline_values(object) != NULL) {
        PyObject *made = PyObject_GenericGetDict(object, NULL);

        if (made == NULL)
            PyErr_Clear();
        Py_XDECREF(made); /* the object has it */
        return made;
    }
    dict = _PyObject_GetDictPtr(object);
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
#if PY_VERSION_HEX >= 0x030C0000
    thread->py_recursion_remaining += levels;
    thread->c_recursion_remaining += levels;
#else
    thread->recursion_remaining += levels;
#endif
}

/* 3.12 and later count calls that come from C apart from those from Python to Python, and allow
 * for few of them. A call that comes from C only because it is probed is not counted between
 * these two. */
static inline PyThreadState *diag_py_begin_uncounted_call(void) {
#if PY_VERSION_HEX >= 0x030C0000
    PyThreadState *thread = PyThreadState_Get();

    thread->c_recursion_remaining += DIAG_PY_EVAL_C_UNITS;
    return thread;
#else
    return NULL;
#endif
}

static inline void diag_py_end_uncounted_call(PyThreadState *thread) {
#if PY_VERSION_HEX >= 0x030C0000
    thread->c_recursion_remaining -= DIAG_PY_EVAL_C_UNITS;
#else
    (void)thread;
#endif
}

static inline PyThreadState *diag_py_thread(void) {
    return PyThreadState_Get();
}

/* As the interpreter does at a thread's or a greenlet's first frame of Python. The first item stays
 * free: a piece is given back when its first item is. */
static inline const void *diag_py_new_stack(PyThreadState *thread) {
    const size_t size = 16384; /* the interpreter's DATA_STACK_CHUNK_SIZE */
    PyObjectArenaAllocator arenas;
    _PyStackChunk *chunk;

    PyObject_GetArenaAllocator(&arenas);
    chunk = (_PyStackChunk *)arenas.alloc(arenas.ctx, size);
    if (chunk == NULL)
        return NULL;
    chunk->previous = NULL;
    chunk->size = size;
    chunk->top = 0;
    thread->datastack_chunk = chunk;
    thread->datastack_limit = (PyObject **)((char *)chunk + size);
    thread->datastack_top = &chunk->data[1];
    return chunk;
}

/* What tells greenlets of one thread apart: the piece of memory that the thread's Python frames are
 * in; each greenlet has its own. It is made here if C code alone has run so far. NULL: no memory.
 */
static inline const void *diag_py_stack(PyThreadState *thread) {
    if (DIAG_UNLIKELY(thread->datastack_chunk == NULL))
        return diag_py_new_stack(thread);
    return thread->datastack_chunk;
}

/* True if the thread still runs on what was its stack: on the same piece, or deeper. */
static inline bool diag_py_is_on_stack(const PyThreadState *thread, const void *stack) {
    const _PyStackChunk *chunk = thread->datastack_chunk;

    while (chunk != NULL && chunk != stack)
        chunk = chunk->previous;
    return chunk == stack;
}

/* The exception that is set, which is then not set any more; with its traceback in it. A new
 * reference. */
static inline PyObject *diag_py_take_exception(void) {
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
#endif
}

/* Takes the reference. */
static inline void diag_py_set_exception(PyObject *exception) {
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(exception);
#else
    PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(exception)), exception,
                  PyException_GetTraceback(exception));
#endif
}

/* The frame that the thread executes. */
static inline diag_py_frame *diag_py_current_frame(const PyThreadState *thread) {
#if PY_VERSION_HEX >= 0x030D0000
    return thread->current_frame;
#else
    return thread->cframe->current_frame;
#endif
}

/* The frame that another thread executes; NULL: it has not begun. */
static inline diag_py_frame *diag_py_thread_frame(const PyThreadState *thread) {
#if PY_VERSION_HEX < 0x030D0000
    if (thread->cframe == NULL)
        return NULL;
#endif
    return diag_py_current_frame(thread);
}

/* The frame of a generator, coroutine or asynchronous generator; NULL: it is done. */
static inline diag_py_frame *diag_py_generator_frame(PyObject *object) {
    PyGenObject *generator = (PyGenObject *)object;

    if (generator->gi_frame_state >= FRAME_CLEARED)
        return NULL;
    return (diag_py_frame *)generator->gi_iframe;
}

/* Borrowed; not always code on 3.12 and later, if it is not the current frame. */
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

/* Borrowed: the function object that was called. */
static inline PyObject *diag_py_frame_function(const diag_py_frame *frame) {
#if PY_VERSION_HEX >= 0x030C0000
    return frame->f_funcobj;
#else
    return (PyObject *)frame->f_func;
#endif
}

/* Borrowed. */
static inline PyObject *diag_py_frame_globals(const diag_py_frame *frame) {
    return frame->f_globals;
}

/* True if the variable `index` lies in a cell, so that inner functions may alter it. */
static inline bool diag_py_is_cell(PyCodeObject *code, int index) {
    return (_PyLocals_GetKind(code->co_localspluskinds, index) & CO_FAST_CELL) != 0;
}

/* The variables that an instruction binds or deletes; -1: none. */
static inline void diag_py_bound_variables(int opcode, int argument, int variables[2]) {
    variables[0] = variables[1] = -1;
    switch (opcode) {
    case STORE_FAST:
    case DELETE_FAST:
    case STORE_DEREF:
    case DELETE_DEREF:
#if PY_VERSION_HEX >= 0x030C0000
    case LOAD_FAST_AND_CLEAR:
#endif
        variables[0] = argument;
        break;
#if PY_VERSION_HEX >= 0x030D0000
    case STORE_FAST_STORE_FAST:
        variables[0] = argument >> 4;
        variables[1] = argument & 15;
        break;
    case STORE_FAST_LOAD_FAST:
        variables[0] = argument >> 4;
        break;
#endif
    default:
        break;
    }
}

/* True if sys.settrace, sys.setprofile or sys.monitoring may see what this thread runs. */
static inline bool diag_py_is_traced(const PyThreadState *thread) {
#if PY_VERSION_HEX >= 0x030C0000
    return thread->tracing == 0; /* monitoring tools need not be set up for the thread */
#else
    return thread->tracing == 0 && (thread->c_tracefunc != NULL || thread->c_profilefunc != NULL);
#endif
}

/* Makes the bytes of a built-in type those of a type of its own that is yet to be readied. */
static inline void diag_py_detach_copied_type(PyTypeObject *type) {
    Py_SET_REFCNT(type, 1); /* since 3.12, static types are immortal, and this changes nothing */
    type->tp_dict = type->tp_bases = type->tp_mro = NULL;
    type->tp_cache = type->tp_weaklist = NULL;
    type->tp_subclasses = NULL;
    type->tp_version_tag = 0;
    type->tp_flags &= ~(Py_TPFLAGS_READY | Py_TPFLAGS_READYING | Py_TPFLAGS_VALID_VERSION_TAG |
                        DIAG_PY_TPFLAGS_BUILTIN);
#if PY_VERSION_HEX >= 0x030C0000
    type->tp_watched = 0;
#endif
#if PY_VERSION_HEX >= 0x030D0000
    type->tp_versions_used = 0;
#endif
}

/* Gives a function another vectorcall, and no version: nothing that specialised instructions have
 * noted about it applies any more. The function's type must be PyFunction_Type. */
static inline void diag_py_set_vectorcall(PyFunctionObject *function, vectorcallfunc vectorcall) {
#if PY_VERSION_HEX >= 0x030C0000
    PyFunction_SetVectorcall(function, vectorcall);
#else
    function->vectorcall = vectorcall;
    function->func_version = 0;
#endif
}

/* True if the variable `index` of localsplus lies in a cell: of this function or of an outer one.
 */
static inline bool diag_py_is_cell_variable(PyCodeObject *code, int index) {
    return (_PyLocals_GetKind(code->co_localspluskinds, index) & (CO_FAST_CELL | CO_FAST_FREE)) !=
           0;
}

/* True if locals() leaves out the variable `index`. */
static inline bool diag_py_is_hidden_variable(PyCodeObject *code, int index) {
#if PY_VERSION_HEX >= 0x030C0000
    return (_PyLocals_GetKind(code->co_localspluskinds, index) & CO_FAST_HIDDEN) != 0;
#else
    (void)code;
    (void)index;
    return false;
#endif
}

/* True if all keys of the dict are str itself: looking up one runs no code of the program. */
static inline bool diag_py_dict_has_only_text_keys(PyObject *dict) {
    return DK_IS_UNICODE(((PyDictObject *)dict)->ma_keys);
}

/* True if this thread runs another interpreter than the first one. */
static inline bool diag_py_is_other_interpreter(void) {
    return _PyRuntime.interpreters.head != _PyRuntime.interpreters.main && /* newest first */
           PyInterpreterState_Get() != PyInterpreterState_Main();
}

/* Built-in callables that specialised instructions compare with, to call nothing: len, isinstance,
 * list.append. Where the interpreter keeps its (borrowed) reference, which may be NULL. */
#define DIAG_PY_CACHED_CALLABLES 3
static inline PyObject **diag_py_cached_callable(int index) {
    struct callable_cache *cache = &PyInterpreterState_Get()->callable_cache;
    PyObject **cached[] = {&cache->len, &cache->isinstance, &cache->list_append};

    return cached[index];
}

/* Of METH_FASTCALL, and with METH_KEYWORDS. */
#if PY_VERSION_HEX >= 0x030D0000
typedef PyCFunctionFast diag_py_fast_function;
typedef PyCFunctionFastWithKeywords diag_py_fast_keywords_function;
#else
typedef _PyCFunctionFast diag_py_fast_function;
typedef _PyCFunctionFastWithKeywords diag_py_fast_keywords_function;
#endif

/* The lists of what the collector knows: its generations, and what gc.freeze() has put aside. */
#define DIAG_PY_GC_LISTS (NUM_GENERATIONS + 1)
static inline PyGC_Head *diag_py_gc_list(int index) {
    struct _gc_runtime_state *gc = &PyInterpreterState_Get()->gc;

    return index < NUM_GENERATIONS ? &gc->generations[index].head : &gc->permanent_generation.head;
}

/* What a class's __slots__ have made; NULL: nothing. `type` is a heap type. */
static inline PyMemberDef *diag_py_type_members(PyTypeObject *type) {
    return Py_SIZE(type) == 0 ? NULL
                              : (PyMemberDef *)(void *)((char *)type + Py_TYPE(type)->tp_basicsize);
}

/* The hash of the key that PyDict_Next has given, along with the position that it has set. Runs no
 * code of the program. */
static inline Py_hash_t diag_py_dict_key_hash(PyObject *dict, PyObject *key, Py_ssize_t position) {
    PyDictKeysObject *keys = ((PyDictObject *)dict)->ma_keys;

    return DK_IS_UNICODE(keys) ? PyObject_Hash(key) : DK_ENTRIES(keys)[position - 1].me_hash;
}

/* If the int (exactly) is a small one, of a single digit, its value. */
static inline bool diag_py_small_int(PyObject *number, long *value) {
#if PY_VERSION_HEX >= 0x030C0000
    if (!PyUnstable_Long_IsCompact((PyLongObject *)number))
        return false;
    *value = (long)PyUnstable_Long_CompactValue((PyLongObject *)number);
#else
    Py_ssize_t size = Py_SIZE(number);

    if (size < -1 || size > 1)
        return false;
    *value = (long)size * (long)((PyLongObject *)number)->ob_digit[0];
#endif
    return true;
}

/* Differs from what it was if the dict has changed; unique among all dicts. */
static inline uint64_t diag_py_dict_version(PyObject *dict) {
    return ((PyDictObject *)dict)->ma_version_tag;
}

/* Differs from what it was if an attribute of the type or its bases has changed; unique among all
 * types. 0: it is not known. */
static inline unsigned diag_py_type_version(PyTypeObject *type) {
#if PY_VERSION_HEX < 0x030D0000
    if (!(type->tp_flags & Py_TPFLAGS_VALID_VERSION_TAG))
        return 0;
#endif
    return type->tp_version_tag;
}

/* 3.11 collects garbage, which runs finalizers, when a container is made; later versions do so
 * between two instructions. To be undone with what it returns. */
static inline int diag_py_pause_gc(void) {
#if PY_VERSION_HEX >= 0x030C0000
    return 0;
#else
    return PyGC_Disable();
#endif
}

static inline void diag_py_resume_gc(int was_enabled) {
    if (was_enabled)
        PyGC_Enable();
}

#endif
