/* SPDX-License-Identifier: MIT */
#include "tests/python/engine/expression_testing.h"
#include "inproc/engine/expression.h"

#include <string.h>
#include <structmember.h>
#include <time.h>

/* clang-format off: PyObject_HEAD brings its own semicolon */
struct object {
    PyObject_HEAD struct diag_expression *expression;
    PyObject *function; /* or the names of a callable in C, or None */
    enum diag_point point;
};
/* clang-format on */

/* Expression(text, point, function or tuple of names or None, is_inside=False) */
static PyObject *new (PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static const char *const points[] = {"call", "return", "end", "line"};
    const char *text, *point;
    struct diag_runtime *runtime;
    struct diag_scope scope = {0};
    struct diag_error error;
    struct object *self;
    PyObject *function;
    enum diag_status status;
    int is_inside = 0;

    (void)kwargs;
    if (!PyArg_ParseTuple(args, "ssO|p", &text, &point, &function, &is_inside))
        return NULL;
    for (int i = 0; i < 4; i++)
        if (strcmp(points[i], point) == 0)
            scope.point = (enum diag_point)i;
    scope.is_inside = is_inside;
    if (PyFunction_Check(function)) {
        scope.code = diag_py_code(function);
        scope.globals = ((PyFunctionObject *)function)->func_globals;
    } else
        scope.names = function == Py_None ? NULL : function;
    self = (struct object *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->function = Py_NewRef(function);
    self->point = scope.point;
    if (diag_runtime_new(&runtime, &error) != DIAG_OK)
        return NULL;
    status = diag_expression_new(text, "field", runtime, &scope, &self->expression, &error);
    diag_runtime_unref(runtime);
    if (status == DIAG_OK)
        return (PyObject *)self;
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, error.message);
    Py_DECREF(self);
    return NULL;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);

    diag_expression_free(((struct object *)self)->expression);
    Py_XDECREF(((struct object *)self)->function);
    type->tp_free(self);
    Py_DECREF(type);
}

/* A value, or NotImplemented: a skip. */
static PyObject *evaluate(struct object *self, const struct diag_call *call) {
    PyObject *value = diag_expression_evaluate(self->expression, call);

    if (value == NULL && !PyErr_Occurred())
        return Py_NewRef(Py_NotImplemented);
    return value;
}

static void fill_times(struct diag_call *call) {
    call->start_unix_ns = 1000 * DIAG_NS_PER_S;
    call->end_unix_ns = 1003 * DIAG_NS_PER_S;
    call->start_monotonic_ns = 10 * DIAG_NS_PER_S;
    call->end_monotonic_ns = 13 * DIAG_NS_PER_S;
    call->active_ns = 2 * DIAG_NS_PER_S;
}

/* outside(*args, **kwargs): a call with these that returned "result". */
static PyObject *outside(PyObject *object, PyObject *const *args, Py_ssize_t count,
                         PyObject *kwnames) {
    struct object *self = (struct object *)object;
    bool is_python = PyFunction_Check(self->function);
    struct diag_call call = {.args = args, .arg_count = count, .kwnames = kwnames};
    PyObject *value;

    fill_times(&call);
    call.callable = self->function;
    if (is_python) {
        call.code = diag_py_code(self->function);
        call.globals = ((PyFunctionObject *)self->function)->func_globals;
    } else
        call.names = self->function == Py_None ? NULL : self->function;
    call.result = PyUnicode_FromString("result");
    value = evaluate(self, &call);
    Py_DECREF(call.result);
    return value;
}

/* method(self, *args): the same for a callable in C with a `self`. */
static PyObject *method(PyObject *object, PyObject *const *args, Py_ssize_t count,
                        PyObject *kwnames) {
    struct object *self = (struct object *)object;
    struct diag_call call = {.self = args[0],
                             .args = args + 1,
                             .arg_count = count - 1,
                             .kwnames = kwnames,
                             .callable = self->function,
                             .names = self->function == Py_None ? NULL : self->function,
                             .result = Py_None};

    fill_times(&call);
    return evaluate(self, &call);
}

/* inside(captured={}): in the frame that calls this; captured: values by the argument's index. */
static PyObject *inside(PyObject *object, PyObject *args) {
    struct object *self = (struct object *)object;
    diag_py_frame *frame = diag_py_current_frame(PyThreadState_Get());
    PyObject *captured = NULL, *values[64], *result;
    struct diag_call call = {
        .frame = frame,
        .code = diag_py_frame_code(frame),
        .globals = diag_py_frame_globals(frame),
        .locals = diag_py_frame_locals(frame),
        .captured = values,
    };
    size_t count = 0;

    if (!PyArg_ParseTuple(args, "|O", &captured))
        return NULL;
    for (int i = 0; i < 64 && captured != NULL; i++) {
        PyObject *key = PyLong_FromLong(i), *value = PyDict_GetItem(captured, key);

        Py_DECREF(key);
        if (value == NULL)
            continue;
        call.captured_mask |= UINT64_C(1) << i;
        values[count++] = value == Py_NotImplemented ? NULL : value;
    }
    fill_times(&call);
    call.result = PyUnicode_FromString("result");
    result = evaluate(self, &call);
    Py_DECREF(call.result);
    return result;
}

/* measure(count, *args): nanoseconds of one evaluation from outside. */
static PyObject *measure(PyObject *object, PyObject *const *args, Py_ssize_t count) {
    struct object *self = (struct object *)object;
    long rounds = PyLong_AsLong(args[0]);
    struct diag_call call = {.callable = self->function,
                             .code = diag_py_code(self->function),
                             .globals = ((PyFunctionObject *)self->function)->func_globals,
                             .args = args + 1,
                             .arg_count = count - 1,
                             .result = Py_None};
    uint64_t start_ns = diag_clock_monotonic_ns();

    for (long i = 0; i < rounds; i++) {
        PyObject *value = diag_expression_evaluate(self->expression, &call);

        if (value == NULL)
            return NULL;
        Py_DECREF(value);
    }
    return PyFloat_FromDouble((double)(diag_clock_monotonic_ns() - start_ns) / (double)rounds);
}

/* collecting(journal, *args): the length of the list `journal` right after an evaluation, for which
 * the garbage collector was switched on. */
static PyObject *collecting(PyObject *object, PyObject *const *args, Py_ssize_t count) {
    struct object *self = (struct object *)object;
    struct diag_call call = {.callable = self->function,
                             .code = diag_py_code(self->function),
                             .globals = ((PyFunctionObject *)self->function)->func_globals,
                             .args = args + 1,
                             .arg_count = count - 1,
                             .result = Py_None};
    PyObject *value;
    Py_ssize_t length;

    PyGC_Enable();
    value = diag_expression_evaluate(self->expression, &call);
    PyGC_Disable();
    length = PyList_GET_SIZE(args[0]);
    Py_XDECREF(value);
    return value == NULL ? NULL : PyLong_FromSsize_t(length);
}

static PyObject *facts(PyObject *object, PyObject *unused) {
    const struct diag_expression *expression = ((struct object *)object)->expression;
    PyObject *constant = diag_expression_constant(expression);

    (void)unused;
    return Py_BuildValue("{s:I,s:K,s:O,s:K,s:O,s:O,s:s}", "needs",
                         diag_expression_needs(expression), "arguments",
                         (unsigned long long)diag_expression_arguments(expression), "is_pure",
                         diag_expression_is_pure(expression) ? Py_True : Py_False, "fallbacks",
                         (unsigned long long)diag_expression_fallbacks(expression), "constant",
                         constant == NULL ? Py_NotImplemented : constant, "is_elapsed",
                         diag_expression_is_elapsed(expression) ? Py_True : Py_False, "warning",
                         diag_expression_warning(expression));
}

static PyMethodDef methods[] = {
    {"outside", (PyCFunction)(void (*)(void))outside, METH_FASTCALL | METH_KEYWORDS, NULL},
    {"method", (PyCFunction)(void (*)(void))method, METH_FASTCALL | METH_KEYWORDS, NULL},
    {"inside", inside, METH_VARARGS, NULL},
    {"measure", (PyCFunction)(void (*)(void))measure, METH_FASTCALL, NULL},
    {"collecting", (PyCFunction)(void (*)(void))collecting, METH_FASTCALL, NULL},
    {"facts", facts, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int diag_expression_testing_add(PyObject *module) {
    PyType_Slot slots[] = {
        {Py_tp_new, DIAG_PY_SLOT(new)},
        {Py_tp_dealloc, DIAG_PY_SLOT(dealloc)},
        {Py_tp_methods, methods},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "engine_testing.Expression",
        .basicsize = sizeof(struct object),
        .flags = Py_TPFLAGS_DEFAULT,
        .slots = slots,
    };
    PyObject *type = PyType_FromSpec(&spec);

    return type == NULL ? -1 : PyModule_AddObject(module, "Expression", type);
}
