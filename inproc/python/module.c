/* SPDX-License-Identifier: MIT */
/* module - the extension diagnose._native: what the Python package calls.
 *
 * There is one agent per process. It lives in the module's state, and stays reachable for the
 * fork handler through the module object that the handler is bound to. */
#include <Python.h>

#include "inproc/agent/agent.h"
#include "inproc/library/library.h"
#include "inproc/library/manager.h"
#include "lib/base/clock.h"
#include "lib/base/version.h"

#define WAIT_SLICE_MS 50
#define SOCKET_PATH_MAX 107 /* unix(7) */

struct module_state {
    struct diag_agent *agent; /* NULL: not connected */
};

static struct module_state *state_of(PyObject *module) {
    return PyModule_GetState(module);
}

/* "3.11.2" out of "3.11.2 (main, ...) [GCC ...]" */
static void python_version(char *version, size_t size) {
    const char *full = Py_GetVersion();

    snprintf(version, size, "%.*s", (int)strcspn(full, " "), full);
}

/* In slices, between which signal handlers and other threads have their turn: one of them may
 * raise, or disconnect. */
static PyObject *wait_applied(struct module_state *state, double seconds) {
    enum diag_agent_wait outcome = DIAG_AGENT_WAIT_TIMEOUT;
    uint64_t end_ns = diag_clock_monotonic_ns() + (uint64_t)(seconds * 1e9);

    if (seconds == 0.0)
        Py_RETURN_TRUE;
    while (outcome == DIAG_AGENT_WAIT_TIMEOUT && state->agent != NULL) {
        uint64_t now_ns = diag_clock_monotonic_ns();

        if (now_ns >= end_ns)
            break;
        outcome = diag_agent_wait_applied(state->agent, WAIT_SLICE_MS);
        if (PyErr_CheckSignals() < 0)
            return NULL;
    }
    return PyBool_FromLong(outcome == DIAG_AGENT_WAIT_APPLIED);
}

PyDoc_STRVAR(connect_doc, "connect(socket, wait=0.0)\n--\n\n"
                          "Starts the control thread; see diagnose.connect.");

static PyObject *native_connect(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char socket_keyword[] = "socket", wait_keyword[] = "wait";
    static char *keywords[] = {socket_keyword, wait_keyword, NULL};
    struct module_state *state = state_of(module);
    PyObject *path;
    double wait = 0.0;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&|d:connect", keywords, PyUnicode_FSConverter,
                                     &path, &wait))
        return NULL;
    if (!(wait >= 0.0 && wait <= 3600.0)) {
        Py_DECREF(path);
        PyErr_SetString(PyExc_ValueError, "wait: must be from 0 to 3600 seconds");
        return NULL;
    }
    if (PyBytes_GET_SIZE(path) > SOCKET_PATH_MAX) {
        PyErr_Format(PyExc_ValueError, "socket: %zd bytes, a unix socket's path has at most %d",
                     PyBytes_GET_SIZE(path), SOCKET_PATH_MAX);
        Py_DECREF(path);
        return NULL;
    }
    if (state->agent == NULL) {
        struct diag_error err = {0};
        char version[32];
        enum diag_status status;

        python_version(version, sizeof version);
        status =
            diag_agent_start(PyBytes_AS_STRING(path), version, DIAG_VERSION, &state->agent, &err);
        if (status != DIAG_OK) {
            Py_DECREF(path);
            return diag_library_raise(&err);
        }
    } else {
        struct diag_agent_info info;

        diag_agent_info(state->agent, &info);
        if (strcmp(info.socket_path, PyBytes_AS_STRING(path)) != 0) {
            PyErr_Format(PyExc_RuntimeError,
                         "connected to %s already; call diagnose.disconnect() first",
                         info.socket_path);
            Py_DECREF(path);
            return NULL;
        }
    }
    Py_DECREF(path);
    return wait_applied(state, wait);
}

PyDoc_STRVAR(disconnect_doc, "disconnect()\n--\n\n"
                             "Disarms everything and stops the control thread.");

static PyObject *native_disconnect(PyObject *module, PyObject *Py_UNUSED(ignored)) {
    struct module_state *state = state_of(module);
    struct diag_agent *agent = state->agent;

    state->agent = NULL;
    diag_agent_stop(agent);
    Py_RETURN_NONE;
}

/* Skips by cause; NULL with an exception. */
static PyObject *skips_of(const struct diag_spec_status *status) {
    PyObject *skips = PyDict_New();

    for (int i = 0; skips != NULL && i < DIAG_SKIP_COUNT; i++) {
        PyObject *count = PyLong_FromUnsignedLongLong(status->skips[i]);

        if (count == NULL ||
            PyDict_SetItemString(skips, diag_skip_name((enum diag_skip)i), count) < 0)
            Py_CLEAR(skips);
        Py_XDECREF(count);
    }
    return skips;
}

/* Appends a status to the list `context`; leaves a Python exception set when it cannot. */
static void append_status(void *context, const struct diag_spec_status *status) {
    PyObject *item;

    if (PyErr_Occurred())
        return;
    item = Py_BuildValue(
        "{s:s,s:K,s:s,s:s,s:s,s:s,s:I,s:I,s:O,s:K,s:K,s:K,s:N}", "id", status->spec_id, "revision",
        (unsigned long long)status->spec_revision, "state", diag_spec_state_name(status->state),
        "message", status->message, "mechanism", status->mechanism, "excluded", status->excluded,
        "functions", (unsigned)status->functions, "codes", (unsigned)status->codes, "pure",
        status->is_pure ? Py_True : Py_False, "hits", (unsigned long long)status->hits, "errors",
        (unsigned long long)status->errors, "dropped", (unsigned long long)status->dropped, "skips",
        skips_of(status));
    if (item == NULL)
        return;
    if (PyList_Append(context, item) < 0) {
        Py_DECREF(item);
        return;
    }
    Py_DECREF(item);
}

PyDoc_STRVAR(status_doc, "status()\n--\n\nSee diagnose.status.");

static PyObject *native_status(PyObject *module, PyObject *Py_UNUSED(ignored)) {
    struct module_state *state = state_of(module);
    struct diag_agent_info info = {.socket_path = ""};
    PyObject *specs = PyList_New(0);

    if (specs == NULL)
        return NULL;
    if (state->agent != NULL) {
        diag_agent_info(state->agent, &info);
        diag_agent_statuses(state->agent, append_status, specs);
    }
    if (PyErr_Occurred()) {
        Py_DECREF(specs);
        return NULL;
    }
    return Py_BuildValue("{s:O,s:s,s:s,s:s,s:N}", "connected",
                         info.is_connected ? Py_True : Py_False, "socket", info.socket_path, "uid",
                         info.process_uid, "error", info.last_error, "specs", specs);
}

static PyObject *after_fork_in_child(PyObject *module, PyObject *Py_UNUSED(ignored)) {
    struct module_state *state = state_of(module);

    if (state->agent != NULL)
        diag_agent_after_fork(state->agent);
    diag_library_after_fork(module);
    Py_RETURN_NONE;
}

/* What runs while the interpreter comes apart is not probed. */
static PyObject *at_exit(PyObject *module, PyObject *unused) {
    diag_library_stop(module);
    return native_disconnect(module, unused);
}

static PyMethodDef methods[] = {
    {"connect", (PyCFunction)(void (*)(void))native_connect, METH_VARARGS | METH_KEYWORDS,
     connect_doc},
    {"disconnect", native_disconnect, METH_NOARGS, disconnect_doc},
    {"status", native_status, METH_NOARGS, status_doc},
    {"_at_exit", at_exit, METH_NOARGS, NULL},
    {"_after_fork_in_child", after_fork_in_child, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

/* Calls function `name` of Python module `module_name` with a bound method of ours. */
static int register_with(PyObject *module, const char *module_name, const char *name,
                         const char *keyword, const char *method) {
    PyObject *registry = PyImport_ImportModule(module_name);
    PyObject *function = registry != NULL ? PyObject_GetAttrString(registry, name) : NULL;
    PyObject *callback = PyObject_GetAttrString(module, method);
    PyObject *args = NULL, *kwargs = NULL, *result = NULL;

    if (function == NULL || callback == NULL)
        goto done;
    args = keyword != NULL ? PyTuple_New(0) : PyTuple_Pack(1, callback);
    kwargs = keyword != NULL ? Py_BuildValue("{s:O}", keyword, callback) : NULL;
    if (args == NULL || (keyword != NULL && kwargs == NULL))
        goto done;
    result = PyObject_Call(function, args, kwargs);
done:
    Py_XDECREF(registry);
    Py_XDECREF(function);
    Py_XDECREF(callback);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    if (result == NULL)
        return -1;
    Py_DECREF(result);
    return 0;
}

static int module_exec(PyObject *module) {
    if (PyModule_AddStringConstant(module, "__version__", DIAG_VERSION) < 0)
        return -1;
    if (diag_manager_add_to(module) < 0 || diag_library_add_to(module) < 0)
        return -1;
    /* the thread must be gone before the interpreter is */
    if (register_with(module, "atexit", "register", NULL, "_at_exit") < 0)
        return -1;
    return register_with(module, "os", "register_at_fork", "after_in_child",
                         "_after_fork_in_child");
}

static void module_free(void *module) {
    struct module_state *state = state_of(module);

    if (state != NULL && state->agent != NULL) {
        diag_agent_stop(state->agent);
        state->agent = NULL;
    }
}

static PyModuleDef_Slot slots[] = {
    /* __extension__: ISO C has no void * for functions, but the slots are made of them */
    {Py_mod_exec, __extension__(void *) module_exec},
#ifdef Py_mod_multiple_interpreters
    /* imported everywhere, so that connect() can say why it does not work in sub-interpreters */
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "diagnose._native",
    .m_doc = "The C half of the package diagnose.",
    .m_size = sizeof(struct module_state),
    .m_methods = methods,
    .m_slots = slots,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__native(void);
PyMODINIT_FUNC PyInit__native(void) {
    return PyModuleDef_Init(&definition);
}
