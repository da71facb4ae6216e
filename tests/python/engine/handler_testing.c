/* SPDX-License-Identifier: MIT */
/* handler_testing - engine_testing.Engine: an engine of its own, whose specs are put and removed
 * one by one, and whose hits go to Python objects:
 *
 *     class Handler:
 *         globals = callable = None    # or a dict, or what is to be probed
 *         wants_arguments = wants_namespace = False
 *         def fire(self, hit): ...             # hit: valid until this returns
 *         intercept = None         # or def intercept(self, interception): what the caller gets
 *
 * An exception that fire() lets out is counted as an error, and appended to handler.errors; one
 * that intercept() lets out is the caller's. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <structmember.h>

#include "inproc/engine/engine.h"
#include "inproc/engine/handler.h"
#include "lib/base/clock.h"
#include "tests/python/engine/engine_testing.h"

/* clang-format off: PyObject_HEAD brings its own semicolon */
struct engine {
    PyObject_HEAD struct diag_engine *engine;
    unsigned long status_changes;
    unsigned long long hits; /* of specs without a handler of the test's */
};

struct hit {
    PyObject_HEAD const struct diag_hit *hit; /* NULL: it is over */
    struct diag_interception *interception;   /* NULL: it is none */
};
/* clang-format on */

static PyTypeObject *hit_type;

static const struct diag_hit *hit_of(PyObject *self) {
    const struct diag_hit *hit = ((struct hit *)self)->hit;

    if (hit == NULL)
        PyErr_SetString(PyExc_RuntimeError, "the hit is over");
    return hit;
}

/* NotImplemented: NULL without an exception. */
static PyObject *maybe(PyObject *value) {
    return value == NULL && !PyErr_Occurred() ? Py_NewRef(Py_NotImplemented) : value;
}

static PyObject *hit_value(PyObject *self, PyObject *unused) {
    const struct diag_hit *hit = hit_of(self);

    (void)unused;
    return hit == NULL ? NULL : maybe(diag_hit_value(hit));
}

static PyObject *hit_tags(PyObject *self, PyObject *unused) {
    const struct diag_hit *hit = hit_of(self);

    (void)unused;
    return hit == NULL ? NULL : maybe(diag_hit_tags(hit));
}

static PyObject *hit_has_tags(PyObject *self, PyObject *unused) {
    const struct diag_hit *hit = hit_of(self);

    (void)unused;
    return hit == NULL ? NULL : PyBool_FromLong(diag_hit_has_tags(hit));
}

static PyObject *hit_namespace(PyObject *self, PyObject *unused) {
    const struct diag_hit *hit = hit_of(self);

    (void)unused;
    return hit == NULL ? NULL : diag_hit_namespace(hit);
}

static PyObject *hit_arguments(PyObject *self, PyObject *unused) {
    const struct diag_hit *hit = hit_of(self);
    PyObject *args, *kwargs;

    (void)unused;
    if (hit == NULL || diag_hit_arguments(hit, &args, &kwargs) < 0)
        return NULL;
    return Py_BuildValue("(NN)", args, kwargs);
}

static PyObject *hit_count_error(PyObject *self, PyObject *unused) {
    const struct diag_hit *hit = hit_of(self);

    (void)unused;
    return hit == NULL ? NULL : PyBool_FromLong(diag_hit_count_error(hit));
}

static struct diag_interception *interception_of(PyObject *self) {
    struct diag_interception *interception = ((struct hit *)self)->interception;

    if (interception == NULL)
        PyErr_SetString(PyExc_RuntimeError, "there is no interception, or it is over");
    return interception;
}

/* What the interception was given: (args, kwargs). */
static PyObject *hit_given(PyObject *self, PyObject *unused) {
    struct diag_interception *interception = interception_of(self);
    PyObject *args, *kwargs;

    (void)unused;
    if (interception == NULL || diag_interception_arguments(interception, &args, &kwargs) < 0)
        return NULL;
    return Py_BuildValue("(NN)", args, kwargs);
}

static PyObject *hit_proceed(PyObject *self, PyObject *args, PyObject *kwargs) {
    struct diag_interception *interception = interception_of(self);

    return interception == NULL ? NULL : diag_interception_proceed(interception, args, kwargs);
}

static PyMethodDef hit_methods[] = {
    {"value", hit_value, METH_NOARGS, NULL},
    {"tags", hit_tags, METH_NOARGS, NULL},
    {"has_tags", hit_has_tags, METH_NOARGS, NULL},
    {"namespace", hit_namespace, METH_NOARGS, NULL},
    {"arguments", hit_arguments, METH_NOARGS, NULL},
    {"count_error", hit_count_error, METH_NOARGS, NULL},
    {"given", hit_given, METH_NOARGS, NULL},
    {"proceed", (PyCFunction)(void (*)(void))hit_proceed, METH_VARARGS | METH_KEYWORDS, NULL},
    {NULL, NULL, 0, NULL},
};

static void plain_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);

    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot hit_slots[] = {
    {Py_tp_methods, hit_methods},
    {Py_tp_dealloc, (__extension__(void *)(plain_dealloc))},
    {0, NULL},
};

static PyType_Spec hit_spec = {
    .name = "engine_testing.Hit",
    .basicsize = sizeof(struct hit),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = hit_slots,
};

/* The exception that is set goes into object.errors, unless it is Ctrl-C's. */
static void note_error(PyObject *object, const struct diag_hit *hit) {
    PyObject *type, *value, *traceback, *errors;

    if (!diag_hit_count_error(hit))
        return;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    errors = PyObject_GetAttrString(object, "errors");
    if (errors == NULL || PyList_Append(errors, value) < 0)
        PyErr_Clear();
    Py_XDECREF(errors);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
}

static void fire(PyObject *object, const struct diag_hit *hit) {
    struct hit *wrapped = (struct hit *)hit_type->tp_alloc(hit_type, 0);
    PyObject *result = NULL;

    if (wrapped != NULL) {
        wrapped->hit = hit;
        result = PyObject_CallMethod(object, "fire", "O", wrapped);
        wrapped->hit = NULL;
    }
    if (result == NULL)
        note_error(object, hit);
    Py_XDECREF(result);
    Py_XDECREF((PyObject *)wrapped);
}

static PyObject *intercept(PyObject *object, struct diag_interception *interception) {
    struct hit *wrapped = (struct hit *)hit_type->tp_alloc(hit_type, 0);
    PyObject *result;

    if (wrapped == NULL)
        return NULL;
    wrapped->hit = diag_interception_hit(interception);
    wrapped->interception = interception;
    result = PyObject_CallMethod(object, "intercept", "O", wrapped);
    wrapped->hit = NULL;
    wrapped->interception = NULL;
    Py_DECREF((PyObject *)wrapped);
    return result;
}

static PyObject *pass_on(PyObject *object, struct diag_interception *interception) {
    PyObject *args, *kwargs, *result;

    (void)object;
    if (diag_interception_arguments(interception, &args, &kwargs) < 0)
        return NULL;
    result = diag_interception_proceed(interception, args, kwargs);
    Py_DECREF(args);
    Py_DECREF(kwargs);
    return result;
}

/* Of a spec without a handler of the test's: takes the value, and counts. */
static void take_value(PyObject *object, const struct diag_hit *hit) {
    PyObject *value = diag_hit_value(hit);

    ((struct engine *)object)->hits += value != NULL;
    Py_XDECREF(value);
    PyErr_Clear();
}

/* True if object.`name` is true; clears what is wrong. */
static bool flag_of(PyObject *object, const char *name) {
    PyObject *value = PyObject_GetAttrString(object, name);
    bool is_true = value != NULL && PyObject_IsTrue(value) == 1;

    Py_XDECREF(value);
    PyErr_Clear();
    return is_true;
}

static const char *const error_names[] = {
    [DIAG_ERR_INVALID] = "INVALID",         [DIAG_ERR_NOT_FOUND] = "NOT_FOUND",
    [DIAG_ERR_EXISTS] = "EXISTS",           [DIAG_ERR_TOO_LARGE] = "TOO_LARGE",
    [DIAG_ERR_UNAVAILABLE] = "UNAVAILABLE", [DIAG_ERR_UNSUPPORTED] = "UNSUPPORTED",
};

static PyObject *raise(const struct diag_error *error) {
    PyErr_Format(PyExc_RuntimeError, "%s: %s",
                 (size_t)error->status < sizeof error_names / sizeof *error_names &&
                         error_names[error->status] != NULL
                     ? error_names[error->status]
                     : "?",
                 error->message);
    return NULL;
}

static struct diag_engine *engine_of(PyObject *self) {
    struct diag_engine *engine = ((struct engine *)self)->engine;

    if (engine == NULL)
        PyErr_SetString(PyExc_RuntimeError, "the engine is closed");
    return engine;
}

/* A new reference to object.`name`, or NULL: it is None. */
static PyObject *object_of(PyObject *object, const char *name) {
    PyObject *value = PyObject_GetAttrString(object, name);

    PyErr_Clear();
    if (value == Py_None)
        Py_CLEAR(value);
    return value;
}

/* put(spec, handler); handler None: C code that takes the value; True: C code that intercepts the
 * call, and has it go on as it is. */
static PyObject *engine_put(PyObject *self, PyObject *args) {
    struct diag_engine *engine = engine_of(self);
    struct diag_handler handler = {.fire = take_value, .object = self};
    PyObject *spec, *object;
    struct diag_error error;
    enum diag_status status;

    if (engine == NULL || !PyArg_ParseTuple(args, "OO", &spec, &object))
        return NULL;
    if (object == Py_True) {
        handler.intercept = pass_on;
    } else if (object != Py_None) {
        handler.object = object;
        handler.fire = fire;
        handler.intercept = flag_of(object, "intercept") ? intercept : NULL;
        handler.wants_arguments = flag_of(object, "wants_arguments");
        handler.wants_namespace = flag_of(object, "wants_namespace");
        handler.globals = object_of(object, "globals");
        handler.callable = object_of(object, "callable");
    }
    status = diag_engine_put(engine, diag_engine_testing_spec(spec), &handler, &error);
    Py_XDECREF(handler.globals);
    Py_XDECREF(handler.callable);
    if (status != DIAG_OK)
        return raise(&error);
    Py_RETURN_NONE;
}

static PyObject *engine_remove(PyObject *self, PyObject *id) {
    struct diag_engine *engine = engine_of(self);

    if (engine == NULL)
        return NULL;
    diag_engine_remove(engine, PyUnicode_AsUTF8(id));
    Py_RETURN_NONE;
}

/* A dict, or None. */
static PyObject *engine_status(PyObject *self, PyObject *id) {
    struct diag_engine *engine = engine_of(self);
    struct diag_spec_status status;

    if (engine == NULL)
        return NULL;
    if (!diag_engine_status(engine, PyUnicode_AsUTF8(id), &status))
        Py_RETURN_NONE;
    return diag_engine_testing_status(&status);
}

static PyObject *engine_tick(PyObject *self, PyObject *args) {
    struct diag_engine *engine = engine_of(self);
    unsigned long long now = diag_clock_unix_ns();

    if (engine == NULL || !PyArg_ParseTuple(args, "|K", &now))
        return NULL;
    diag_engine_tick(engine, now);
    Py_RETURN_NONE;
}

static PyObject *engine_after_fork(PyObject *self, PyObject *unused) {
    struct diag_engine *engine = engine_of(self);

    (void)unused;
    if (engine == NULL)
        return NULL;
    diag_engine_after_fork(engine);
    Py_RETURN_NONE;
}

static PyObject *engine_close(PyObject *self, PyObject *unused) {
    struct diag_engine *engine = ((struct engine *)self)->engine;

    (void)unused;
    ((struct engine *)self)->engine = NULL;
    diag_engine_free(engine);
    Py_RETURN_NONE;
}

static void status_changed(void *context) {
    ((struct engine *)context)->status_changes++;
}

static PyObject *engine_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    struct diag_engine_sink sink = {.status_changed = status_changed};
    struct engine *self;
    struct diag_error error;

    (void)args;
    (void)kwargs;
    self = (struct engine *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    sink.context = self;
    if (diag_engine_new(&sink, &self->engine, &error) == DIAG_OK)
        return (PyObject *)self;
    Py_DECREF(self);
    return raise(&error);
}

static void engine_dealloc(PyObject *self) {
    diag_engine_free(((struct engine *)self)->engine);
    plain_dealloc(self);
}

static PyMethodDef engine_methods[] = {
    {"put", engine_put, METH_VARARGS, NULL},
    {"remove", engine_remove, METH_O, NULL},
    {"status", engine_status, METH_O, NULL},
    {"tick", engine_tick, METH_VARARGS, NULL},
    {"after_fork", engine_after_fork, METH_NOARGS, NULL},
    {"close", engine_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef engine_members[] = {
    {"status_changes", T_ULONG, offsetof(struct engine, status_changes), READONLY, NULL},
    {"hits", T_ULONGLONG, offsetof(struct engine, hits), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot engine_slots[] = {
    {Py_tp_new, (__extension__(void *)(engine_new))},
    {Py_tp_dealloc, (__extension__(void *)(engine_dealloc))},
    {Py_tp_methods, engine_methods},
    {Py_tp_members, engine_members},
    {0, NULL},
};

static PyType_Spec engine_spec = {
    .name = "engine_testing.Engine",
    .basicsize = sizeof(struct engine),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = engine_slots,
};

int diag_handler_testing_add(PyObject *module) {
    PyObject *engine_type = PyType_FromSpec(&engine_spec);

    hit_type = (PyTypeObject *)PyType_FromSpec(&hit_spec);
    if (engine_type == NULL || hit_type == NULL)
        return -1;
    return PyModule_AddObject(module, "Engine", engine_type);
}
