/* SPDX-License-Identifier: MIT */
#include "inproc/engine/c_proxy.h"

#include <stddef.h>
#include <structmember.h>

#include "inproc/engine/c_callable.h"

/* clang-format off: PyObject_HEAD brings its own semicolon */
struct proxy {
    PyObject_HEAD vectorcallfunc vectorcall;
    PyObject *original;
    struct diag_c_listener *listener; /* NULL: silenced. Owned */
};
/* clang-format on */

/* Process-wide, as the objects may outlive every engine. NULL: not made yet. */
static PyTypeObject *proxy_type;

static PyObject *original_of(PyObject *self) {
    return ((struct proxy *)self)->original;
}

static PyObject *proxy_vectorcall(PyObject *self, PyObject *const *args, size_t nargsf,
                                  PyObject *kwnames) {
    PyObject *original = Py_NewRef(original_of(self)), *bound = NULL, *result;
    struct diag_c_listener *listener = ((struct proxy *)self)->listener;
    Py_ssize_t arg_count = PyVectorcall_NARGS(nargsf);
    PyObject *const *seen = args;
    struct diag_c_flight flight;
    bool has_begun = false;

    if (listener != NULL) {
        if (PyCFunction_Check(original))
            bound = PyCFunction_GET_SELF(original);
        else if (diag_c_is_cython(original))
            bound = original;
        else if (arg_count > 0) { /* a descriptor */
            bound = args[0];
            seen++;
            arg_count--;
        }
        has_begun = diag_c_begin(listener, bound, seen, arg_count, kwnames, &flight);
    }
    result = PyObject_Vectorcall(original, args, nargsf, kwnames);
    if (has_begun)
        diag_c_finish(&flight, result);
    Py_DECREF(original);
    return result;
}

static PyObject *descriptor_get(PyObject *self, PyObject *object, PyObject *type) {
    PyObject *original = original_of(self);

    if ((Py_IS_TYPE(original, &PyMethodDescr_Type) || diag_c_is_cython(original)) &&
        object != NULL && object != Py_None)
        return PyMethod_New(self, object);
    if (Py_IS_TYPE(original, &PyClassMethodDescr_Type) && (type != NULL || object != NULL))
        return PyMethod_New(self, type != NULL ? type : (PyObject *)Py_TYPE(object));
    return Py_NewRef(self);
}

static PyObject *get_attribute(PyObject *self, PyObject *name) {
    return PyObject_GetAttr(original_of(self), name);
}

static int set_attribute(PyObject *self, PyObject *name, PyObject *value) {
    return PyObject_SetAttr(original_of(self), name, value);
}

static PyObject *represent(PyObject *self) {
    return PyObject_Repr(original_of(self));
}

static Py_hash_t hash(PyObject *self) {
    return PyObject_Hash(original_of(self));
}

static PyObject *compare(PyObject *self, PyObject *other, int operation) {
    PyObject *original = diag_c_proxy_original(other);

    return PyObject_RichCompare(original_of(self), original == NULL ? other : original, operation);
}

static int traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(original_of(self));
    return 0;
}

static void dealloc(PyObject *self) {
    struct proxy *proxy = (struct proxy *)self;
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    Py_DECREF(proxy->original);
    if (proxy->listener != NULL)
        diag_c_listener_unref(proxy->listener);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(struct proxy, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject *type_new(void) {
    PyType_Slot slots[] = {
        {Py_tp_members, members},
        {Py_tp_call, DIAG_PY_SLOT(PyVectorcall_Call)},
        {Py_tp_descr_get, DIAG_PY_SLOT(descriptor_get)},
        {Py_tp_getattro, DIAG_PY_SLOT(get_attribute)},
        {Py_tp_setattro, DIAG_PY_SLOT(set_attribute)},
        {Py_tp_repr, DIAG_PY_SLOT(represent)},
        {Py_tp_hash, DIAG_PY_SLOT(hash)},
        {Py_tp_richcompare, DIAG_PY_SLOT(compare)},
        {Py_tp_traverse, DIAG_PY_SLOT(traverse)},
        {Py_tp_dealloc, DIAG_PY_SLOT(dealloc)},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "diagnose.stand_in",
        .basicsize = sizeof(struct proxy),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
                 Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
        .slots = slots,
    };

    return (PyTypeObject *)PyType_FromSpec(&spec);
}

PyObject *diag_c_proxy_new(struct diag_c_listener *listener) {
    struct proxy *proxy = NULL;

    if (proxy_type == NULL)
        proxy_type = type_new();
    if (proxy_type != NULL)
        proxy = (struct proxy *)proxy_type->tp_alloc(proxy_type, 0);
    if (proxy == NULL) {
        PyErr_Clear();
        return NULL;
    }
    proxy->vectorcall = proxy_vectorcall;
    proxy->original = Py_NewRef(listener->callable);
    proxy->listener = diag_c_listener_ref(listener);
    return (PyObject *)proxy;
}

void diag_c_proxy_silence(PyObject *self) {
    struct proxy *proxy = (struct proxy *)self;
    struct diag_c_listener *listener = proxy->listener;

    proxy->listener = NULL;
    if (listener != NULL)
        diag_c_listener_unref(listener);
}

PyObject *diag_c_proxy_original(PyObject *object) {
    return proxy_type != NULL && Py_IS_TYPE(object, proxy_type) ? original_of(object) : NULL;
}
