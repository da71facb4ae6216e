/* SPDX-License-Identifier: MIT */
/* How it works: the types' tp_hash and tp_richcompare, and the slot wrappers that lead to them, go
 * on to the original functions with a copy of the object that has a definition as it was. */
#include "inproc/engine/c_identity.h"

static size_t user_count;
static diag_c_identity_fn *original_of;
static hashfunc original_hash;
static richcmpfunc original_compare;

/* A built-in function as it was, for C functions that only look at it. */
struct likeness {
    PyCMethodObject object;
    PyMethodDef definition;
};

/* `function` itself if it is unchanged. */
static PyObject *likeness_of(PyObject *function, struct likeness *likeness) {
    const PyCFunctionObject *changed = (PyCFunctionObject *)function;
    PyCFunction original = original_of(changed->m_ml);

    if (original == NULL)
        return function;
    likeness->definition = *changed->m_ml;
    likeness->definition.ml_meth = original;
    likeness->object.func = *changed;
    likeness->object.func.m_ml = &likeness->definition;
    return (PyObject *)&likeness->object;
}

static Py_hash_t hash(PyObject *self) {
    struct likeness likeness;

    return original_hash(likeness_of(self, &likeness));
}

static PyObject *compare(PyObject *self, PyObject *other, int operation) {
    struct likeness likenesses[2];

    if (!PyCFunction_Check(self) || !PyCFunction_Check(other))
        return original_compare(self, other, operation);
    return original_compare(likeness_of(self, &likenesses[0]), likeness_of(other, &likenesses[1]),
                            operation);
}

/* A wrapper that leads to `from` leads to `to`. */
static void redirect(PyObject *wrapper, void *from, void *to) {
    if (Py_IS_TYPE(wrapper, &PyWrapperDescr_Type) &&
        ((PyWrapperDescrObject *)wrapper)->d_wrapped == from)
        ((PyWrapperDescrObject *)wrapper)->d_wrapped = to;
}

static void replace(hashfunc old_hash, hashfunc new_hash, richcmpfunc old_compare,
                    richcmpfunc new_compare) {
    PyTypeObject *types[] = {&PyCFunction_Type, &PyCMethod_Type};
    PyObject *key, *value;
    Py_ssize_t position = 0;

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(types); i++) {
        if (types[i]->tp_hash == old_hash)
            types[i]->tp_hash = new_hash;
        if (types[i]->tp_richcompare == old_compare)
            types[i]->tp_richcompare = new_compare;
    }
    while (PyDict_Next(diag_py_type_dict(&PyCFunction_Type), &position, &key, &value)) {
        redirect(value, DIAG_PY_SLOT(old_hash), DIAG_PY_SLOT(new_hash));
        redirect(value, DIAG_PY_SLOT(old_compare), DIAG_PY_SLOT(new_compare));
    }
}

void diag_c_identity_keep(diag_c_identity_fn *function) {
    if (user_count++ > 0)
        return;
    original_of = function;
    if (original_hash == NULL) { /* once: later on it may be somebody's who goes on to ours */
        original_hash = PyCFunction_Type.tp_hash;
        original_compare = PyCFunction_Type.tp_richcompare;
    }
    replace(original_hash, hash, original_compare, compare);
}

void diag_c_identity_release(void) {
    if (--user_count == 0)
        replace(hash, original_hash, compare, original_compare);
}
