/* SPDX-License-Identifier: MIT */
/* How it works: a call of an object goes to its own vectorcall, or if it has none to its type's
 * tp_call; `object.__call__` goes to the function that the type's slot wrapper holds. All three are
 * overwritten. The thunks find the object in a table; those for tp_call, of which there is a fixed
 * number, go on to the function that they were made for first, as subclasses that are made
 * meanwhile inherit the thunk.
 *
 * A vectorcall may find that it has to give up, set the object's own to NULL, and go on to tp_call
 * (functools.partial does): that is still the same call. */
#include "inproc/engine/c_slot.h"

#include <stdlib.h>
#include <string.h>

#include "inproc/engine/pointer_table.h"

#define THUNK_COUNT 64

/* The reverse of DIAG_PY_SLOT. */
#define FUNCTION(pointer) (__extension__(ternaryfunc)(pointer))

struct entry {
    PyObject *callable;               /* the listener's; NULL: free */
    struct diag_c_listener *listener; /* owned */
    vectorcallfunc vectorcall;        /* the object's own; NULL: it has none */
    void **patched[2];                /* in its type, and in the slot wrapper; NULL: not patched */
};

/* A pointer to a tp_call function that was overwritten. */
struct patch {
    void **address;  /* NULL: free */
    PyObject *owner; /* of the memory; owned. A type or a slot wrapper */
    size_t user_count;
};

static struct diag_pointer_table table;

static ternaryfunc originals[THUNK_COUNT]; /* never change once they are set */
static struct patch patches[2 * THUNK_COUNT];

/* The object whose vectorcall this thread is about to go on to. */
static __thread PyObject *passing __attribute__((tls_model("initial-exec")));

static inline struct entry *find(const void *object) {
    return diag_pointer_table_find(&table, object, sizeof(struct entry));
}

/* NULL: objects of this type have none. */
static vectorcallfunc *vectorcall_of(PyObject *object) {
    const PyTypeObject *type = Py_TYPE(object);

    if (!(type->tp_flags & Py_TPFLAGS_HAVE_VECTORCALL) || type->tp_vectorcall_offset <= 0)
        return NULL;
    return (vectorcallfunc *)(void *)((char *)object + type->tp_vectorcall_offset);
}

static PyObject *vectorcall_thunk(PyObject *callable, PyObject *const *args, size_t nargsf,
                                  PyObject *kwnames) {
    const struct entry *entry = find(callable);
    struct diag_c_flight flight;
    vectorcallfunc original;
    PyObject *outer, *result;
    bool has_begun;

    if (DIAG_UNLIKELY(entry == NULL ||
                      entry->vectorcall == NULL)) /* the thunk's address was kept */
        return PyObject_Vectorcall(callable, args, nargsf, kwnames);
    original = entry->vectorcall;
    has_begun =
        diag_c_begin(entry->listener, NULL, args, PyVectorcall_NARGS(nargsf), kwnames, &flight);
    outer = passing;
    passing = callable;
    result = original(callable, args, nargsf, kwnames);
    passing = outer;
    return has_begun ? diag_c_finish(&flight, result) : result;
}

/* True if this is a call that vectorcall_thunk has seen. */
static bool is_given_up(struct entry *entry) {
    PyObject *callable = entry->listener->callable;

    if (DIAG_LIKELY(passing != callable || entry->vectorcall == NULL ||
                    *vectorcall_of(callable) != NULL))
        return false;
    entry->vectorcall = NULL;
    passing = NULL;
    return true;
}

static __attribute__((noinline)) PyObject *call(PyObject *callable, PyObject *args,
                                                PyObject *kwargs, ternaryfunc original) {
    struct entry *entry = diag_py_is_other_interpreter() ? NULL : find(callable);
    struct diag_c_packed packed = {NULL, NULL};
    struct diag_c_flight flight;
    PyObject *values = args, *result;

    if (DIAG_LIKELY(entry == NULL) || is_given_up(entry))
        return original(callable, args, kwargs);
    if (diag_c_has_keywords(kwargs)) {
        struct diag_c_listener *listener = diag_c_listener_ref(entry->listener);
        bool is_packed = diag_c_pack(args, kwargs, &packed) && listener->hook != NULL;

        diag_c_listener_unref(listener);
        if (!is_packed) {
            diag_c_packed_done(&packed);
            return original(callable, args, kwargs);
        }
        entry = find(callable); /* finalizers may have run */
        values = packed.values;
    }
    if (diag_c_begin(entry->listener, NULL, diag_c_items(values), PyTuple_GET_SIZE(args),
                     packed.kwnames, &flight))
        result = diag_c_finish(&flight, original(callable, args, kwargs));
    else
        result = original(callable, args, kwargs);
    diag_c_packed_done(&packed);
    return result;
}

/* `n` is two octal digits. */
#define THUNK(n)                                                                                   \
    static PyObject *thunk_##n(PyObject *callable, PyObject *args, PyObject *kwargs) {             \
        return call(callable, args, kwargs, originals[0##n]);                                      \
    }
#define NAME(n) thunk_##n,
#define EIGHT(macro, n)                                                                            \
    macro(n##0) macro(n##1) macro(n##2) macro(n##3) macro(n##4) macro(n##5) macro(n##6) macro(n##7)
#define ALL(macro)                                                                                 \
    EIGHT(macro, 0)                                                                                \
    EIGHT(macro, 1)                                                                                \
    EIGHT(macro, 2)                                                                                \
    EIGHT(macro, 3) EIGHT(macro, 4) EIGHT(macro, 5) EIGHT(macro, 6) EIGHT(macro, 7)

ALL(THUNK)

static const ternaryfunc thunks[THUNK_COUNT] = {ALL(NAME)};

/* -1: it is none. */
static int thunk_index(const void *function) {
    for (int i = 0; i < THUNK_COUNT; i++)
        if (DIAG_PY_SLOT(thunks[i]) == function)
            return i;
    return -1;
}

/* The thunk that goes on to `original`. NULL: all are taken. */
static ternaryfunc thunk_for(ternaryfunc original) {
    for (int i = 0; i < THUNK_COUNT; i++) {
        if (originals[i] == NULL)
            originals[i] = original;
        if (originals[i] == original)
            return thunks[i];
    }
    return NULL;
}

/* Has a thunk at `address`, whose memory is the owner's. False: there is none left. */
static bool patch_add(void **address, PyObject *owner) {
    struct patch *room = NULL;
    ternaryfunc thunk;

    for (struct patch *patch = patches; patch < patches + DIAG_ARRAY_SIZE(patches); patch++) {
        if (patch->address == address) {
            patch->user_count++;
            return true;
        }
        if (patch->address == NULL && room == NULL)
            room = patch;
    }
    thunk = thunk_index(*address) >= 0 ? NULL : thunk_for(FUNCTION(*address));
    if (room == NULL || (thunk == NULL && thunk_index(*address) < 0))
        return false;
    if (thunk != NULL)
        *address = DIAG_PY_SLOT(thunk);
    *room = (struct patch){address, Py_NewRef(owner), 1};
    return true;
}

/* Subclasses that were made meanwhile have inherited the thunk. */
static void restore_subclasses(PyTypeObject *type) {
    PyObject *subclasses =
        PyObject_CallMethod((PyObject *)&PyType_Type, "__subclasses__", "O", type);

    for (Py_ssize_t i = 0; subclasses != NULL && i < PyList_GET_SIZE(subclasses); i++) {
        PyTypeObject *subclass = (PyTypeObject *)PyList_GET_ITEM(subclasses, i);
        int index = thunk_index(DIAG_PY_SLOT(subclass->tp_call));
        bool is_patched = false;

        for (size_t j = 0; j < DIAG_ARRAY_SIZE(patches); j++)
            if (patches[j].owner == (PyObject *)subclass)
                is_patched = true;
        if (index < 0 || is_patched)
            continue;
        subclass->tp_call = originals[index];
        restore_subclasses(subclass);
    }
    Py_XDECREF(subclasses);
    PyErr_Clear();
}

static void patch_remove(void **address) {
    for (struct patch *patch = patches; patch < patches + DIAG_ARRAY_SIZE(patches); patch++) {
        PyObject *owner = patch->owner;
        int index;

        if (patch->address != address || address == NULL || --patch->user_count > 0)
            continue;
        index = thunk_index(*address);
        if (index >= 0)
            *address = DIAG_PY_SLOT(originals[index]);
        memset(patch, 0, sizeof *patch);
        if (PyType_Check(owner))
            restore_subclasses((PyTypeObject *)owner);
        Py_DECREF(owner);
        return;
    }
}

/* Where a call by way of `object.__call__` comes in; NULL: nowhere else. */
static void **wrapped_of(PyTypeObject *type) {
    PyObject *name = PyUnicode_InternFromString("__call__");
    PyObject *wrapper = name == NULL ? NULL : _PyType_Lookup(type, name);

    Py_XDECREF(name);
    PyErr_Clear();
    if (wrapper == NULL || !Py_IS_TYPE(wrapper, &PyWrapperDescr_Type))
        return NULL;
    return &((PyWrapperDescrObject *)wrapper)->d_wrapped;
}

static enum diag_status patch_type(PyTypeObject *type, void **patched[2], struct diag_error *err) {
    void **slot = (void **)(void *)&type->tp_call, **wrapped = wrapped_of(type);

    if (!patch_add(slot, (PyObject *)type))
        return diag_error_set(err, DIAG_ERR_FULL, 0,
                              "all %d thunks for types with instances to call are taken",
                              THUNK_COUNT);
    patched[0] = slot;
    if (wrapped != NULL &&
        patch_add(wrapped, (PyObject *)DIAG_CONTAINER_OF(wrapped, PyWrapperDescrObject, d_wrapped)))
        patched[1] = wrapped;
    return DIAG_OK;
}

enum diag_status diag_c_slot_attach(struct diag_c_listener *listener, bool *has_vectorcall,
                                    struct diag_error *err) {
    PyObject *object = listener->callable;
    vectorcallfunc *own = vectorcall_of(object);
    struct entry entry = {
        .callable = object, .listener = listener, .vectorcall = own == NULL ? NULL : *own};
    enum diag_status status;

    /* PyVectorcall_Call goes to the object's own */
    if (entry.vectorcall == NULL || Py_TYPE(object)->tp_call != PyVectorcall_Call) {
        status = patch_type(Py_TYPE(object), entry.patched, err);
        if (status != DIAG_OK)
            return status;
    }
    if (diag_pointer_table_add(&table, &entry, sizeof entry) == NULL) {
        patch_remove(entry.patched[0]);
        patch_remove(entry.patched[1]);
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "listener");
    }
    diag_c_listener_ref(listener);
    if (entry.vectorcall != NULL)
        *own = vectorcall_thunk;
    *has_vectorcall = entry.vectorcall != NULL;
    return DIAG_OK;
}

struct diag_c_listener *diag_c_slot_find(PyObject *callable) {
    const struct entry *entry = find(callable);

    return entry == NULL ? NULL : entry->listener;
}

void diag_c_slot_detach(struct diag_c_listener *listener) {
    struct entry *entry = find(listener->callable), gone = *entry;
    vectorcallfunc *own = vectorcall_of(listener->callable);

    listener->hook = NULL;
    if (own != NULL && *own == vectorcall_thunk)
        *own = gone.vectorcall;
    diag_pointer_table_remove(&table, entry, sizeof *entry);
    patch_remove(gone.patched[0]);
    patch_remove(gone.patched[1]);
    diag_c_listener_unref(listener);
}
