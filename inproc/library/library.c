/* SPDX-License-Identifier: MIT */
#include "inproc/library/library.h"

#include "inproc/engine/engine.h"
#include "inproc/library/alteration.h"
#include "inproc/library/binding.h"
#include "inproc/library/function_probe.h"
#include "inproc/library/instrument.h"
#include "inproc/library/instrument_map.h"
#include "inproc/library/library_state.h"
#include "inproc/library/log_instrument.h"
#include "inproc/library/probe_start.h"
#include "inproc/library/probe_test_instrument.h"
#include "inproc/library/scope.h"
#include "inproc/library/statsd_instruments.h"
#include "inproc/library/statsd_object.h"

#define STATE_ATTRIBUTE "_library" /* where diagnose._native keeps the module of the types */

static const char *const names[DIAG_NAME_COUNT] = {
#define NAME_TEXT(name, text) [DIAG_NAME_##name] = text,
    DIAG_NAMES(NAME_TEXT)
#undef NAME_TEXT
};

/* ---- the engine ---- */

struct diag_engine *diag_library_engine(struct diag_library *library) {
    struct diag_error err;

    if (library->is_stopped) {
        PyErr_SetString(PyExc_RuntimeError, "the interpreter is at its end: nothing is armed");
        return NULL;
    }
    if (library->engine == NULL && diag_engine_new(NULL, &library->engine, &err) != DIAG_OK)
        diag_library_raise(&err);
    return library->engine;
}

PyObject *diag_library_raise(const struct diag_error *err) {
    PyObject *type = PyExc_RuntimeError;

    switch (err->status) {
    case DIAG_ERR_NO_MEMORY:
        return PyErr_NoMemory();
    case DIAG_ERR_INVALID:
    case DIAG_ERR_TOO_LARGE:
        type = PyExc_ValueError;
        break;
    case DIAG_ERR_NOT_FOUND:
        type = PyExc_AttributeError;
        break;
    case DIAG_ERR_UNSUPPORTED:
        type = PyExc_NotImplementedError;
        break;
    case DIAG_ERR_IO:
        type = PyExc_OSError;
        break;
    default:
        break;
    }
    PyErr_SetString(type, err->message);
    return NULL;
}

/* ---- the module of the types ---- */

/* The references that are no names. */
#define EACH_REFERENCE(F)                                                                          \
    F(instrument_type)                                                                             \
    F(log_type)                                                                                    \
    F(histogram_type)                                                                              \
    F(increment_type)                                                                              \
    F(probe_test_type)                                                                             \
    F(raise_type)                                                                                  \
    F(proceed_type)                                                                                \
    F(probe_type)                                                                                  \
    F(instrument_map_type)                                                                         \
    F(binding_type)                                                                                \
    F(scope_type)                                                                                  \
    F(manager_type)                                                                                \
    F(active_probes)                                                                               \
    F(package_globals)                                                                             \
    F(instruments_globals)                                                                         \
    F(import_watches)                                                                              \
    F(warned_types)

static int traverse(PyObject *module, visitproc visit, void *arg) {
    struct diag_library *library = PyModule_GetState(module);

#define VISIT(name) Py_VISIT(library->name);
    EACH_REFERENCE(VISIT)
#undef VISIT
    return 0;
}

/* There is no m_clear: types, dicts and lists break every cycle that the module is in, and what is
 * left of the library's objects needs the state until the last of them is gone. */
static void free_state(void *module) {
    struct diag_library *library = PyModule_GetState(module);

    diag_engine_free(library->engine);
    library->engine = NULL;
#define CLEAR(name) Py_CLEAR(library->name);
    EACH_REFERENCE(CLEAR)
#undef CLEAR
    for (int i = 0; i < DIAG_NAME_COUNT; i++)
        Py_CLEAR(library->names[i]);
}

PyDoc_STRVAR(bind_doc, "_bind(package, instruments)\n--\n\n"
                       "Tells where `manager` and `statsd` are looked up: the namespaces of\n"
                       "diagnose and of diagnose.instruments.");

static PyObject *bind(PyObject *module, PyObject *args) {
    struct diag_library *library = PyModule_GetState(module);
    PyObject *package, *instruments;

    if (!PyArg_ParseTuple(args, "O!O!:_bind", &PyDict_Type, &package, &PyDict_Type, &instruments))
        return NULL;
    Py_XSETREF(library->package_globals, Py_NewRef(package));
    Py_XSETREF(library->instruments_globals, Py_NewRef(instruments));
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"_bind", bind, METH_VARARGS, bind_doc},
    {"attach_to", (PyCFunction)(void (*)(void))diag_probes_attach_to, METH_VARARGS | METH_KEYWORDS,
     diag_probes_attach_to_doc},
    {"start_all", diag_probes_start_all, METH_NOARGS, diag_probes_start_all_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "diagnose.probes", /* where people find its functions */
    .m_size = sizeof(struct diag_library),
    .m_methods = methods,
    .m_traverse = traverse,
    .m_free = free_state,
};

struct diag_library *diag_library_of_type(PyTypeObject *type) {
    PyObject *module = PyType_GetModuleByDef(type, &definition);

    return module == NULL ? NULL : PyModule_GetState(module);
}

PyTypeObject *diag_library_add_type(struct diag_library *library, PyObject *module,
                                    PyType_Spec *spec, PyTypeObject *base) {
    PyTypeObject *type =
        (PyTypeObject *)PyType_FromModuleAndSpec(library->module, spec, (PyObject *)base);

    if (type != NULL && module != NULL && PyModule_AddType(module, type) < 0)
        Py_CLEAR(type);
    return type;
}

/* ---- setting up ---- */

static int make_names(struct diag_library *library) {
    for (int i = 0; i < DIAG_NAME_COUNT; i++) {
        library->names[i] = PyUnicode_InternFromString(names[i]);
        if (library->names[i] == NULL)
            return -1;
    }
    return 0;
}

static int make_state(struct diag_library *library) {
    library->active_probes = PyDict_New();
    library->warned_types = PyList_New(0);
    library->import_watches = PyList_New(0);
    /* until diagnose/__init__.py has told the real ones */
    library->package_globals = PyDict_New();
    library->instruments_globals = PyDict_New();
    if (library->active_probes == NULL || library->warned_types == NULL ||
        library->import_watches == NULL || library->package_globals == NULL ||
        library->instruments_globals == NULL)
        return -1;
    return make_names(library);
}

static int add_types(struct diag_library *library, PyObject *module) {
    if (diag_scope_add_type(library) < 0 || diag_binding_add_type(library) < 0 ||
        diag_instrument_add_type(library, module) < 0 ||
        diag_log_instrument_add_type(library, module) < 0 ||
        diag_statsd_instruments_add_types(library, module) < 0 ||
        diag_statsd_object_add_type(module) < 0 ||
        diag_probe_test_instrument_add_type(library, module) < 0 ||
        diag_alteration_add_types(library, module) < 0 || diag_instrument_map_add_type(library) < 0)
        return -1;
    return diag_function_probe_add_type(library, module);
}

/* The names of diagnose._native that are this module's functions and objects. */
static int add_names(struct diag_library *library, PyObject *module) {
    for (const PyMethodDef *method = methods; method->ml_name != NULL; method++) {
        PyObject *function = PyObject_GetAttrString(library->module, method->ml_name);
        int result = PyModule_AddObjectRef(module, method->ml_name, function);

        Py_XDECREF(function);
        if (result < 0)
            return -1;
    }
    if (PyModule_AddObjectRef(module, "active_probes", library->active_probes) < 0)
        return -1;
    return PyModule_AddObjectRef(module, STATE_ATTRIBUTE, library->module);
}

int diag_library_add_to(PyObject *module) {
    PyObject *own = PyModule_Create(&definition);
    struct diag_library *library;
    int result = -1;

    if (own == NULL)
        return -1;
    library = PyModule_GetState(own);
    library->module = own;
    library->manager_type = (PyTypeObject *)Py_XNewRef(
        PyDict_GetItemString(PyModule_GetDict(module), "InstrumentManager"));
    if (make_state(library) == 0 && add_types(library, module) == 0)
        result = add_names(library, module);
    Py_DECREF(own);
    return result;
}

/* Borrowed; NULL: the library could not be made, or somebody has taken it away. */
static struct diag_library *library_in(PyObject *module) {
    PyObject *own = PyDict_GetItemString(PyModule_GetDict(module), STATE_ATTRIBUTE);

    if (own == NULL || !PyModule_Check(own) || PyModule_GetDef(own) != &definition)
        return NULL;
    return PyModule_GetState(own);
}

void diag_library_after_fork(PyObject *module) {
    struct diag_library *library = library_in(module);

    if (library == NULL)
        return;
    if (library->engine != NULL)
        diag_engine_after_fork(library->engine);
    diag_binding_after_fork(library);
}

void diag_library_stop(PyObject *module) {
    struct diag_library *library = library_in(module);

    if (library == NULL)
        return;
    library->is_stopped = true;
    diag_binding_stop_all(library);
}
