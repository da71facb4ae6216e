/* SPDX-License-Identifier: MIT */
/* How it works: 3.11 and 3.13 run calls of an exact PyFunction_Type inline in places, whatever its
 * vectorcall is; so an armed function gets the type below, a copy of PyFunction_Type, and each call
 * comes to `thunk`. The object itself stays, and with it every reference to it. Its func_version
 * becomes 0, which no specialised instruction has cached: BINARY_SUBSCR_GETITEM looks at nothing
 * else. What looks at less is init_cache.c's business. The version comes back with the vectorcall
 * if what it stands for is as it was: 3.13 gives a function no other one.
 *
 * The type must be a static one (instances of heap types are counted by their type), and a static
 * type can never be freed: hence the one process-wide `swapped`. The table of hooks lies
 * beside the type.
 *
 * On 3.13, calls of a class whose __init__ was probed when they ran stay unspecialised afterwards.
 *
 * What differs for the program while a function is armed: type(f) is not FunctionType, and a class
 * made meanwhile does not turn an armed function called __new__, __init_subclass__ or
 * __class_getitem__ into a static or class method by itself.
 *
 * A thunk costs C stack where a call from Python to Python costs none: see `exhausted`. */
#include "inproc/engine/backend.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <structmember.h>

#include "inproc/engine/guard.h"
#include "inproc/engine/init_cache.h"
#include "inproc/engine/pointer_table.h"

/* A function's version, and what it stands for. */
struct version {
    uint32_t number;
    PyObject *code, *defaults, *kwdefaults; /* owned: nothing else takes their addresses */
};

struct entry {
    PyObject *function; /* NULL: free. Owned */
    struct diag_hook *hook;
    vectorcallfunc original;
    struct version *version; /* owned */
};

struct swapped {
    PyTypeObject type;
    struct diag_pointer_table entries;
    vectorcallfunc unprobed; /* of functions that nobody has changed */
};

static struct swapped swapped;

static inline struct entry *find(const struct swapped *table, const void *function) {
    return diag_pointer_table_find(&table->entries, function, sizeof(struct entry));
}

static PyObject *thunk(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames);

static struct version *version_new(const PyFunctionObject *function) {
    struct version *version = malloc(sizeof *version);

    if (version == NULL)
        return NULL;
    version->number = function->func_version;
    version->code = Py_NewRef(function->func_code);
    version->defaults = Py_XNewRef(function->func_defaults);
    version->kwdefaults = Py_XNewRef(function->func_kwdefaults);
    return version;
}

static void version_free(struct version *version) {
    Py_DECREF(version->code);
    Py_XDECREF(version->defaults);
    Py_XDECREF(version->kwdefaults);
    free(version);
}

static bool is_version_of(const struct version *version, const PyFunctionObject *function) {
    return function->func_code == version->code && function->func_defaults == version->defaults &&
           function->func_kwdefaults == version->kwdefaults;
}

/* Gives back the function and what the table held. */
static void restore(struct swapped *table, struct entry *at) {
    struct entry entry = *at;
    PyFunctionObject *function = (PyFunctionObject *)entry.function;

    diag_pointer_table_remove(&table->entries, at, sizeof entry);
    if (Py_TYPE(function) == &table->type)
        Py_SET_TYPE(function, &PyFunction_Type);
    if (function->vectorcall == thunk) {
        diag_py_set_vectorcall(function, entry.original);
        if (is_version_of(entry.version, function))
            function->func_version = entry.version->number;
    }
    version_free(entry.version);
    Py_DECREF(function);
}

static __attribute__((noinline)) PyObject *call_exhausted(struct swapped *table,
                                                          struct entry *entry, PyObject *callable,
                                                          PyObject *const *args, size_t nargsf,
                                                          PyObject *kwnames) {
    struct diag_hook *hook = entry->hook;
    vectorcallfunc original = entry->original;

    restore(table, entry); /* the caller has a reference to the function, too */
    hook->exhausted(hook);
    return original(callable, args, nargsf, kwnames);
}

/* As calls from Python code to Python functions come to C only here, they do not count there. */
static PyObject *call_original(vectorcallfunc original, PyObject *callable, PyObject *const *args,
                               size_t nargsf, PyObject *kwnames) {
    PyThreadState *thread = diag_py_begin_uncounted_call();
    PyObject *result = original(callable, args, nargsf, kwnames);

    diag_py_end_uncounted_call(thread);
    return result;
}

static PyObject *thunk(PyObject *callable, PyObject *const *args, size_t nargsf,
                       PyObject *kwnames) {
    struct diag_thread_state *thread = diag_thread_state_get();
    struct entry *entry = find(&swapped, callable);
    void (*leave)(struct diag_call *, PyObject *);
    struct diag_hook *hook;
    vectorcallfunc original;
    struct diag_call call;
    PyObject *result;

    if (DIAG_UNLIKELY(entry == NULL)) /* restored, and called through a copy of vectorcall */
        return swapped.unprobed(callable, args, nargsf, kwnames);
    if (DIAG_UNLIKELY(diag_thread_state_is_stack_low(thread)))
        return call_exhausted(&swapped, entry, callable, args, nargsf, kwnames);
    original = entry->original;
    hook = entry->hook;
    leave = hook->leave; /* the hook may be gone after the call */
    if (diag_guard_is_up(thread) && !hook->is_never_left_out) {
        hook->reentrant++;
        return call_original(original, callable, args, nargsf, kwnames);
    }
    call.callable = callable;
    call.code = diag_py_code(callable);
    call.globals = ((PyFunctionObject *)callable)->func_globals;
    call.self = call.names = NULL;
    call.args = args;
    call.arg_count = PyVectorcall_NARGS(nargsf);
    call.kwnames = kwnames;
    call.frame = NULL;
    call.locals = NULL;
    call.unprobed = original;
    if (DIAG_UNLIKELY(hook->intercept != NULL))
        return hook->intercept(hook, &call);
    if (!hook->enter(hook, &call))
        return call_original(original, callable, args, nargsf, kwnames);
    result = call_original(original, callable, args, nargsf, kwnames);
    leave(&call, result);
    return result;
}

PyObject *diag_backend_proceed(const struct diag_call *call, PyObject *const *args,
                               Py_ssize_t arg_count, PyObject *kwnames) {
    return call_original(call->unprobed, call->callable, args, (size_t)arg_count, kwnames);
}

/* pickle and copy ask for the reduction of what is not exactly a function: by name. */
static PyObject *reduce(PyObject *self, PyObject *protocol) {
    (void)protocol;
    return Py_NewRef(((PyFunctionObject *)self)->func_qualname);
}

/* Code that asks for __class__ instead of type() sees no difference. */
static PyObject *get_class(PyObject *self, void *closure) {
    (void)self;
    (void)closure;
    return Py_NewRef((PyObject *)&PyFunction_Type);
}

static PyMethodDef methods[] = {
    {"__reduce_ex__", reduce, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

/* Each type has a __doc__ of its own, which would hide the function's. */
static PyMemberDef members[] = {
    {"__doc__", T_OBJECT, offsetof(PyFunctionObject, func_doc), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"__class__", get_class, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

/* The vectorcall of a function that is made of the code of another one, and never runs. */
static vectorcallfunc find_unprobed(const PyFunctionObject *like) {
    PyObject *function = PyFunction_New(like->func_code, like->func_globals);
    vectorcallfunc unprobed = function == NULL ? NULL : ((PyFunctionObject *)function)->vectorcall;

    Py_XDECREF(function);
    PyErr_Clear();
    return unprobed;
}

static int ready(struct swapped *table) {
    PyTypeObject *type = &table->type;

    if (type->tp_flags & Py_TPFLAGS_READY)
        return 0;
    memcpy(type, &PyFunction_Type, sizeof *type);
    diag_py_detach_copied_type(type);
    type->tp_base = &PyFunction_Type;
    type->tp_methods = methods;
    type->tp_getset = getset;
    type->tp_members = members;
    type->tp_new = NULL;
    type->tp_flags |= Py_TPFLAGS_DISALLOW_INSTANTIATION;
    if (PyType_Ready(type) == 0)
        return 0;
    PyErr_Clear();
    return -1;
}

static enum diag_status attach(PyObject *object, struct diag_hook *hook,
                               struct diag_backend_coverage *coverage, struct diag_error *err) {
    PyFunctionObject *function = (PyFunctionObject *)object;
    struct entry entry = {.function = object, .hook = hook, .original = function->vectorcall};
    enum diag_status status;

    if (find(&swapped, object) != NULL)
        return diag_error_set(err, DIAG_ERR_EXISTS, 0, "another engine probes this function");
    if (swapped.unprobed == NULL)
        swapped.unprobed = find_unprobed(function);
    if (swapped.unprobed == NULL || ready(&swapped) < 0 ||
        (entry.version = version_new(function)) == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "type swap");
    if (diag_pointer_table_add(&swapped.entries, &entry, sizeof entry) == NULL) {
        version_free(entry.version);
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "type swap");
    }
    Py_INCREF(object);
    diag_py_set_vectorcall(function, thunk);
    Py_SET_TYPE(function, &swapped.type);
    status = diag_init_cache_forget(object, err);
    if (status != DIAG_OK) {
        restore(&swapped, find(&swapped, object));
        return status;
    }
    *coverage = (struct diag_backend_coverage){.mechanism = "type-swap"};
    return DIAG_OK;
}

static void detach(PyObject *object, struct diag_hook *hook) {
    struct entry *entry = find(&swapped, object);

    if (entry != NULL && entry->hook == hook)
        restore(&swapped, entry);
}

const struct diag_backend diag_backend_type_swap = {
    .name = "type-swap",
    .attach = attach,
    .detach = detach,
};
