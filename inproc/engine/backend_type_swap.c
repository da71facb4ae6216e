/* SPDX-License-Identifier: MIT */
/* How it works: 3.11 runs calls of an exact PyFunction_Type inline, whatever its vectorcall is;
 * so an armed function gets the type below, a copy of PyFunction_Type, and each call comes to
 * `thunk`. The object itself stays, and with it every reference to it. Its func_version becomes
 * 0, which no specialised instruction has cached: BINARY_SUBSCR_GETITEM looks at nothing else.
 * It stays 0 when the function is restored, as __code__ or the defaults may have been replaced
 * meanwhile; the interpreter then numbers it anew.
 *
 * The type must be a static one (instances of heap types are counted by their type), and a static
 * type can never be freed: hence the one process-wide `swapped`. The table of hooks lies
 * beside the type.
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

#include "inproc/engine/init_cache.h"
#include "inproc/engine/thread_state.h"

struct entry {
    PyObject *function; /* NULL: free. Owned */
    struct diag_hook *hook;
    vectorcallfunc original;
};

struct swapped {
    PyTypeObject type;
    struct entry *entries; /* open addressing, linear probing */
    size_t capacity;       /* a power of two, or 0 */
    size_t count;
    vectorcallfunc unprobed; /* of functions that nobody has changed */
};

static struct swapped swapped;

static size_t slot_of(const struct swapped *table, const void *function) {
    return (size_t)(((uintptr_t)function >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 32) &
           (table->capacity - 1);
}

static struct entry *find(const struct swapped *table, const void *function) {
    if (table->count == 0)
        return NULL;
    for (size_t i = slot_of(table, function);; i = (i + 1) & (table->capacity - 1)) {
        if (table->entries[i].function == function)
            return &table->entries[i];
        if (table->entries[i].function == NULL)
            return NULL;
    }
}

static void insert(struct swapped *table, struct entry entry) {
    size_t i = slot_of(table, entry.function);

    while (table->entries[i].function != NULL)
        i = (i + 1) & (table->capacity - 1);
    table->entries[i] = entry;
    table->count++;
}

/* At most half full. */
static bool make_room(struct swapped *table) {
    struct entry *old = table->entries;
    size_t old_capacity = table->capacity;
    size_t capacity = old_capacity == 0 ? 16 : old_capacity * 2;
    struct entry *entries;

    if ((table->count + 1) * 2 <= old_capacity)
        return true;
    entries = calloc(capacity, sizeof *entries);
    if (entries == NULL)
        return false;
    table->entries = entries;
    table->capacity = capacity;
    table->count = 0;
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i].function != NULL)
            insert(table, old[i]);
    free(old);
    return true;
}

/* Entries behind the hole that would no longer be found move into it. */
static void erase(struct swapped *table, struct entry *entry) {
    size_t mask = table->capacity - 1, hole = (size_t)(entry - table->entries), i = hole;

    for (;;) {
        i = (i + 1) & mask;
        if (table->entries[i].function == NULL)
            break;
        if (((i - slot_of(table, table->entries[i].function)) & mask) >= ((i - hole) & mask)) {
            table->entries[hole] = table->entries[i];
            hole = i;
        }
    }
    memset(&table->entries[hole], 0, sizeof table->entries[hole]);
    table->count--;
}

static PyObject *thunk(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames);

/* Gives back the function and what the table held. */
static void restore(struct swapped *table, struct entry *entry) {
    PyFunctionObject *function = (PyFunctionObject *)entry->function;

    if (Py_TYPE(function) == &table->type)
        Py_SET_TYPE(function, &PyFunction_Type);
    diag_py_set_vectorcall(function,
                           function->vectorcall == thunk ? entry->original : function->vectorcall);
    erase(table, entry);
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
    if (DIAG_UNLIKELY(thread->is_in_probe)) {
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
    if (!hook->enter(hook, &call))
        return call_original(original, callable, args, nargsf, kwnames);
    result = call_original(original, callable, args, nargsf, kwnames);
    leave(&call, result);
    return result;
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
    Py_SET_REFCNT(type, 1);
    type->tp_base = &PyFunction_Type;
    type->tp_dict = type->tp_bases = type->tp_mro = NULL;
    type->tp_cache = type->tp_weaklist = NULL;
    type->tp_subclasses = NULL;
    type->tp_methods = methods;
    type->tp_getset = getset;
    type->tp_members = members;
    type->tp_new = NULL;
    type->tp_version_tag = 0;
    type->tp_flags &= ~(Py_TPFLAGS_READY | Py_TPFLAGS_READYING | Py_TPFLAGS_VALID_VERSION_TAG |
                        DIAG_PY_TPFLAGS_BUILTIN);
    type->tp_flags |= Py_TPFLAGS_DISALLOW_INSTANTIATION;
    if (PyType_Ready(type) == 0)
        return 0;
    PyErr_Clear();
    return -1;
}

static enum diag_status attach(PyObject *object, struct diag_hook *hook,
                               struct diag_backend_coverage *coverage, struct diag_error *err) {
    PyFunctionObject *function = (PyFunctionObject *)object;
    struct entry entry = {object, hook, function->vectorcall};
    enum diag_status status;

    if (find(&swapped, object) != NULL)
        return diag_error_set(err, DIAG_ERR_EXISTS, 0, "another engine probes this function");
    if (swapped.unprobed == NULL)
        swapped.unprobed = find_unprobed(function);
    if (swapped.unprobed == NULL || ready(&swapped) < 0 || !make_room(&swapped))
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "type swap");
    Py_INCREF(object);
    insert(&swapped, entry);
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
