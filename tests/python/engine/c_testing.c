/* SPDX-License-Identifier: MIT */
/* c_testing - an extension module that attaches hooks to callables in C straight through the
 * backend, has functions of every calling convention, and shows the pointers that are changed. */
#define PY_SSIZE_T_CLEAN
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "inproc/engine/backend.h"
#include "inproc/engine/hit_clock.h"
#include "inproc/engine/thread_state.h"

#define PROBES_MAX 16384

enum mode { MODE_COUNT, MODE_TIME, MODE_RECORD, MODE_CALL };

struct probe {
    struct diag_hook hook;
    struct diag_backend_coverage coverage;
    enum mode mode;
    PyObject *callable, *records, *callback;
    unsigned long long entered, left, exhausted;
    uint64_t elapsed_ns;
};

static struct probe *probes[PROBES_MAX];
static int probe_count;

/* As a guard does that is up for all greenlets (guard.h). */
static void set_in_probe(bool is_in_probe) {
    struct diag_thread_state *state = diag_thread_state_get();

    state->is_in_probe = state->has_probe_stack = is_in_probe;
    state->probe_stack = NULL;
}

static bool enter(struct diag_hook *hook, struct diag_call *call) {
    struct probe *probe = DIAG_CONTAINER_OF(hook, struct probe, hook);

    probe->entered++;
    if (probe->mode == MODE_COUNT)
        return false;
    call->state = probe;
    if (probe->mode == MODE_CALL) {
        PyObject *result;

        set_in_probe(true);
        result = PyObject_CallNoArgs(probe->callback);
        set_in_probe(false);
        if (result == NULL)
            PyErr_WriteUnraisable(probe->callback);
        Py_XDECREF(result);
        return true;
    }
    call->start_monotonic_ns = diag_hit_clock_monotonic_ns();
    return true;
}

static PyObject *or_none(PyObject *object) {
    return object == NULL ? Py_None : object;
}

/* (self, args, kwargs, names, result or exception, elapsed) */
static void record(struct probe *probe, const struct diag_call *call, PyObject *result) {
    Py_ssize_t keyword_count = diag_call_keyword_count(call);
    PyObject *args = PyTuple_New(call->arg_count), *kwargs = PyDict_New(), *item;

    for (Py_ssize_t i = 0; i < call->arg_count; i++)
        PyTuple_SET_ITEM(args, i, Py_NewRef(call->args[i]));
    for (Py_ssize_t i = 0; i < keyword_count; i++)
        PyDict_SetItem(kwargs, PyTuple_GET_ITEM(call->kwnames, i), call->args[call->arg_count + i]);
    item = Py_BuildValue("(ONNOOd)", or_none(call->self), args, kwargs, or_none(call->names),
                         result, diag_call_elapsed_s(call));
    PyList_Append(probe->records, item);
    Py_XDECREF(item);
}

static void leave(struct diag_call *call, PyObject *result) {
    struct probe *probe = call->state;
    PyObject *type = NULL, *value = NULL, *traceback = NULL;

    probe->left++;
    if (probe->mode == MODE_CALL)
        return;
    call->end_monotonic_ns = diag_hit_clock_monotonic_ns();
    probe->elapsed_ns += call->end_monotonic_ns - call->start_monotonic_ns;
    if (probe->mode != MODE_RECORD)
        return;
    if (result == NULL) {
        PyErr_Fetch(&type, &value, &traceback);
        PyErr_NormalizeException(&type, &value, &traceback);
    }
    record(probe, call, result == NULL ? value : result);
    if (result == NULL)
        PyErr_Restore(type, value, traceback);
}

static void exhausted(struct diag_hook *hook) {
    DIAG_CONTAINER_OF(hook, struct probe, hook)->exhausted++;
}

/* (callable, mode, callback or nothing); not as a tuple, which would refer to the callable. */
static PyObject *attach(PyObject *self, PyObject *const *args, Py_ssize_t arg_count) {
    struct probe *probe = calloc(1, sizeof *probe);
    PyObject *callable = args[0], *callback = arg_count > 2 ? args[2] : NULL;
    struct diag_error error;

    (void)self;
    if (probe_count == PROBES_MAX) {
        free(probe);
        PyErr_SetString(PyExc_RuntimeError, "too many probes, reset() is missing");
        return NULL;
    }
    probe->mode = arg_count > 1 ? (enum mode)PyLong_AsLong(args[1]) : MODE_RECORD;
    probe->hook.enter = enter;
    probe->hook.leave = leave;
    probe->hook.exhausted = exhausted;
    probe->callable = Py_NewRef(callable);
    probe->callback = Py_XNewRef(callback);
    probe->records = PyList_New(0);
    if (diag_backend_c.attach(callable, &probe->hook, &probe->coverage, &error) != DIAG_OK) {
        Py_DECREF(probe->callable);
        Py_XDECREF(probe->callback);
        Py_DECREF(probe->records);
        free(probe);
        PyErr_Format(PyExc_RuntimeError, "%s: %s", diag_status_name(error.status), error.message);
        return NULL;
    }
    probes[probe_count] = probe;
    return PyLong_FromLong(probe_count++);
}

static PyObject *detach(PyObject *self, PyObject *number) {
    struct probe *probe = probes[PyLong_AsLong(number)];

    (void)self;
    diag_backend_c.detach(probe->callable, &probe->hook);
    Py_CLEAR(probe->callable);
    Py_CLEAR(probe->callback);
    Py_RETURN_NONE;
}

/* The numbers of probes begin anew; all are detached. */
static PyObject *reset(PyObject *self, PyObject *unused) {
    (void)self;
    (void)unused;
    for (int i = 0; i < probe_count; i++) {
        Py_DECREF(probes[i]->records);
        free(probes[i]);
    }
    probe_count = 0;
    Py_RETURN_NONE;
}

static PyObject *describe(PyObject *self, PyObject *number) {
    const struct probe *probe = probes[PyLong_AsLong(number)];

    (void)self;
    return Py_BuildValue(
        "{s:s,s:s,s:K,s:K,s:K,s:K,s:K,s:O}", "mechanism", probe->coverage.mechanism, "excluded",
        probe->coverage.excluded, "entered", probe->entered, "left", probe->left, "reentrant",
        (unsigned long long)probe->hook.reentrant, "exhausted", probe->exhausted, "elapsed_ns",
        (unsigned long long)probe->elapsed_ns, "records", probe->records);
}

/* What the backend changes, as numbers: ml_meth, vectorcall, tp_call, what __call__ wraps, the
 * interpreter's cached callables. */
static PyObject *pointers(PyObject *self, PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    PyObject *call = PyDict_GetItemString(
        type->tp_dict == NULL ? PyEval_GetBuiltins() : type->tp_dict, "__call__");
    void *ml_meth = NULL, *vectorcall = NULL, *wrapped = NULL;

    (void)self;
    if (PyCFunction_Check(object) || strstr(type->tp_name, "cython_function") != NULL)
        ml_meth = DIAG_PY_SLOT(((PyCFunctionObject *)object)->m_ml->ml_meth);
    else if (type == &PyMethodDescr_Type || type == &PyClassMethodDescr_Type)
        ml_meth = DIAG_PY_SLOT(((PyMethodDescrObject *)object)->d_method->ml_meth);
    if ((type->tp_flags & Py_TPFLAGS_HAVE_VECTORCALL) && type->tp_vectorcall_offset > 0)
        vectorcall = *(void **)(void *)((char *)object + type->tp_vectorcall_offset);
    if (call != NULL && Py_IS_TYPE(call, &PyWrapperDescr_Type))
        wrapped = ((PyWrapperDescrObject *)call)->d_wrapped;
    return Py_BuildValue("(NNNNNNN)", PyLong_FromVoidPtr(ml_meth), PyLong_FromVoidPtr(vectorcall),
                         PyLong_FromVoidPtr(DIAG_PY_SLOT(type->tp_call)),
                         PyLong_FromVoidPtr(wrapped),
                         PyLong_FromVoidPtr(*diag_py_cached_callable(0)),
                         PyLong_FromVoidPtr(*diag_py_cached_callable(1)),
                         PyLong_FromVoidPtr(*diag_py_cached_callable(2)));
}

/* Each convention's function gives back what it got: (args, kwargs). */
static PyObject *echo(PyObject *const *args, Py_ssize_t arg_count, PyObject *kwnames) {
    PyObject *tuple = PyTuple_New(arg_count), *dict = PyDict_New();

    for (Py_ssize_t i = 0; i < arg_count; i++)
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(args[i]));
    for (Py_ssize_t i = 0; kwnames != NULL && i < PyTuple_GET_SIZE(kwnames); i++)
        PyDict_SetItem(dict, PyTuple_GET_ITEM(kwnames, i), args[arg_count + i]);
    if (arg_count > 0 && PyExceptionInstance_Check(args[0])) {
        PyErr_SetObject((PyObject *)Py_TYPE(args[0]), args[0]);
        Py_DECREF(tuple);
        Py_DECREF(dict);
        return NULL;
    }
    return Py_BuildValue("(NN)", tuple, dict);
}

static PyObject *noargs(PyObject *self, PyObject *unused) {
    (void)self;
    (void)unused;
    return echo(NULL, 0, NULL);
}

static PyObject *one(PyObject *self, PyObject *arg) {
    (void)self;
    return echo(&arg, 1, NULL);
}

static PyObject *varargs(PyObject *self, PyObject *args) {
    (void)self;
    return echo(((PyTupleObject *)args)->ob_item, PyTuple_GET_SIZE(args), NULL);
}

static PyObject *varargs_keywords(PyObject *self, PyObject *args, PyObject *kwargs) {
    PyObject *arg = PyTuple_GET_SIZE(args) > 0 ? PyTuple_GET_ITEM(args, 0) : NULL;

    (void)self;
    if (arg != NULL && PyExceptionInstance_Check(arg)) {
        PyErr_SetObject((PyObject *)Py_TYPE(arg), arg);
        return NULL;
    }
    return Py_BuildValue("(ON)", args, kwargs == NULL ? PyDict_New() : PyDict_Copy(kwargs));
}

static PyObject *fast(PyObject *self, PyObject *const *args, Py_ssize_t arg_count) {
    (void)self;
    return echo(args, arg_count, NULL);
}

static PyObject *fast_keywords(PyObject *self, PyObject *const *args, Py_ssize_t arg_count,
                               PyObject *kwnames) {
    (void)self;
    return echo(args, arg_count, kwnames);
}

static PyObject *method(PyObject *self, PyTypeObject *type, PyObject *const *args,
                        Py_ssize_t arg_count, PyObject *kwnames) {
    (void)self;
    (void)type;
    return echo(args, arg_count, kwnames);
}

/* Breaks the rules: no result and no exception. */
static PyObject *null_without_exception(PyObject *self, PyObject *unused) {
    (void)self;
    (void)unused;
    return NULL;
}

/* Breaks the rules: a result and an exception. */
static PyObject *result_with_exception(PyObject *self, PyObject *unused) {
    (void)self;
    (void)unused;
    PyErr_SetString(PyExc_KeyError, "odd");
    return Py_NewRef(Py_None);
}

#define CONVENTIONS                                                                                \
    {"noargs", noargs, METH_NOARGS, "noargs($self, /)\n--\n\n"},                                   \
        {"one", one, METH_O, "one($self, x, /)\n--\n\n"},                                          \
        {"varargs", varargs, METH_VARARGS,                                                         \
         "varargs($self, a, b=(1, ','), c=\"),'\", /, *rest)\n--\n\n"},                            \
        {"varargs_keywords", (PyCFunction)(void (*)(void))varargs_keywords,                        \
         METH_VARARGS | METH_KEYWORDS, "varargs_keywords($self, a, *, b=1)\n--\n\n"},              \
        {"fast", (PyCFunction)(void (*)(void))fast, METH_FASTCALL, "fast(a, b)"}, {                \
        "fast_keywords", (PyCFunction)(void (*)(void))fast_keywords,                               \
            METH_FASTCALL | METH_KEYWORDS, "fast_keywords($self, /, a, b=None)\n--\n\n"            \
    }

static PyMethodDef box_methods[] = {
    CONVENTIONS,
    {"method", (PyCFunction)(void (*)(void))method, METH_METHOD | METH_FASTCALL | METH_KEYWORDS,
     "method($self, a, b)\n--\n\n"},
    {"of_class", (PyCFunction)(void (*)(void))fast_keywords,
     METH_FASTCALL | METH_KEYWORDS | METH_CLASS, NULL},
    {"of_none", (PyCFunction)(void (*)(void))fast_keywords,
     METH_FASTCALL | METH_KEYWORDS | METH_STATIC, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot box_slots[] = {{Py_tp_methods, box_methods}, {0, NULL}};

static PyType_Spec box_spec = {
    .name = "c_testing.Box",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = box_slots,
};

static PyMethodDef echoes[] = {CONVENTIONS, {NULL, NULL, 0, NULL}};

static PyMethodDef *echo_named(const char *name) {
    for (PyMethodDef *definition = echoes; definition->ml_name != NULL; definition++)
        if (strcmp(definition->ml_name, name) == 0)
            return definition;
    return NULL;
}

/* A function whose PyMethodDef lies in memory that is read-only ("readonly"), that is and stays so
 * ("sealed"), or that has flags nobody knows ("unknown"). */
static PyObject *make(PyObject *self, PyObject *args) {
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    PyObject *function, *name;
    PyMethodDef definition, *mapped;
    const char *echo_name, *kind;
    int file;

    if (!PyArg_ParseTuple(args, "ss", &echo_name, &kind))
        return NULL;
    definition = *echo_named(echo_name);
    definition.ml_name = strdup(kind);
    file = memfd_create("definition", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0 || ftruncate(file, (off_t)size) < 0 ||
        write(file, &definition, sizeof definition) != (ssize_t)sizeof definition)
        return PyErr_SetFromErrno(PyExc_OSError);
    if (strcmp(kind, "sealed") == 0)
        fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
    mapped = mmap(NULL, size, strcmp(kind, "unknown") == 0 ? PROT_READ | PROT_WRITE : PROT_READ,
                  MAP_SHARED, file, 0);
    close(file);
    if (mapped == MAP_FAILED)
        return PyErr_SetFromErrno(PyExc_OSError);
    name = PyModule_GetNameObject(self);
    function = PyCFunction_NewEx(mapped, self, name);
    Py_XDECREF(name);
    if (strcmp(kind, "unknown") == 0)
        mapped->ml_flags = METH_NOARGS | METH_O;
    return function;
}

static PyMethodDef methods[] = {
    CONVENTIONS,
    {"null_without_exception", null_without_exception, METH_NOARGS, NULL},
    {"result_with_exception", result_with_exception, METH_NOARGS, NULL},
    {"attach", (PyCFunction)(void (*)(void))attach, METH_FASTCALL, NULL},
    {"detach", detach, METH_O, NULL},
    {"reset", reset, METH_NOARGS, NULL},
    {"describe", describe, METH_O, NULL},
    {"pointers", pointers, METH_O, NULL},
    {"make", make, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "c_testing", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_c_testing(void);

PyMODINIT_FUNC PyInit_c_testing(void) {
    PyObject *module = PyModule_Create(&definition);

    diag_hit_clock_init();
    if (module == NULL)
        return NULL;
    if (PyModule_AddIntConstant(module, "COUNT", MODE_COUNT) < 0 ||
        PyModule_AddIntConstant(module, "TIME", MODE_TIME) < 0 ||
        PyModule_AddIntConstant(module, "RECORD", MODE_RECORD) < 0 ||
        PyModule_AddIntConstant(module, "CALL", MODE_CALL) < 0 ||
        PyModule_AddObject(module, "Box", PyType_FromSpec(&box_spec)) < 0)
        return NULL;
    return module;
}
