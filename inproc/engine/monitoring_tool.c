/* SPDX-License-Identifier: MIT */
#include "inproc/engine/monitoring_tool.h"

#if PY_VERSION_HEX >= 0x030C0000

#include <stddef.h>
#include <structmember.h>

#define TOOL_NAME "diagnose"

static const char *const event_names[DIAG_MONITORING_EVENT_COUNT] = {
    "PY_START", "PY_RETURN", "PY_UNWIND", "PY_YIELD", "PY_RESUME", "LINE", "PY_THROW",
};

/* clang-format off: PyObject_HEAD brings its own semicolon */
struct callback {
    PyObject_HEAD vectorcallfunc vectorcall;
};
/* clang-format on */

static PyMemberDef callback_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(struct callback, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject *make_callback_type(void) {
    PyType_Slot slots[] = {
        {Py_tp_members, callback_members},
        {Py_tp_call, DIAG_PY_SLOT(PyVectorcall_Call)},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "diagnose.monitoring_callback",
        .basicsize = sizeof(struct callback),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL |
                 Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
        .slots = slots,
    };

    return (PyTypeObject *)PyType_FromSpec(&spec);
}

static int read_masks(struct diag_monitoring_tool *tool) {
    PyObject *events = PyObject_GetAttrString(tool->module, "events");

    for (int i = 0; events != NULL && i < DIAG_MONITORING_EVENT_COUNT; i++) {
        PyObject *mask = PyObject_GetAttrString(events, event_names[i]);

        tool->masks[i] = mask == NULL ? -1 : PyLong_AsLong(mask);
        Py_XDECREF(mask);
        if (tool->masks[i] == -1)
            Py_CLEAR(events);
    }
    Py_XDECREF(events);
    return events == NULL ? -1 : 0;
}

/* What stays as it is once it is there. */
static int prepare(struct diag_monitoring_tool *tool,
                   const vectorcallfunc handlers[DIAG_MONITORING_EVENT_COUNT]) {
    PyObject *module = PySys_GetObject("monitoring");

    if (tool->module != NULL)
        return 0;
    if (module == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "sys.monitoring is missing");
        return -1;
    }
    tool->module = Py_NewRef(module);
    tool->disable = PyObject_GetAttrString(module, "DISABLE");
    tool->callback_type = make_callback_type();
    if (tool->disable == NULL || tool->callback_type == NULL || read_masks(tool) < 0)
        goto failed;
    for (int i = 0; i < DIAG_MONITORING_EVENT_COUNT; i++) {
        struct callback *callback =
            (struct callback *)tool->callback_type->tp_alloc(tool->callback_type, 0);

        if (callback == NULL)
            goto failed;
        callback->vectorcall = handlers[i];
        tool->callbacks[i] = (PyObject *)callback;
    }
    return 0;
failed:
    for (int i = 0; i < DIAG_MONITORING_EVENT_COUNT; i++)
        Py_CLEAR(tool->callbacks[i]);
    Py_CLEAR(tool->callback_type);
    Py_CLEAR(tool->disable);
    Py_CLEAR(tool->module);
    return -1;
}

static int call(const struct diag_monitoring_tool *tool, const char *function, const char *format,
                ...) {
    PyObject *callable = PyObject_GetAttrString(tool->module, function);
    PyObject *args, *result = NULL;
    va_list list;

    va_start(list, format);
    args = Py_VaBuildValue(format, list);
    va_end(list);
    if (callable != NULL && args != NULL)
        result = PyObject_Call(callable, args, NULL);
    Py_XDECREF(callable);
    Py_XDECREF(args);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Ids 0, 1, 2 and 5 are by convention those of debuggers, coverage, profilers and optimizers. */
static int take(struct diag_monitoring_tool *tool) {
    static const int order[] = {3, 4, 0, 1, 2, 5};

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(order); i++) {
        if (call(tool, "use_tool_id", "(is)", order[i], TOOL_NAME) == 0) {
            tool->id = order[i];
            return 0;
        }
        if (!PyErr_ExceptionMatches(PyExc_ValueError))
            return -1;
        PyErr_Clear();
    }
    PyErr_SetString(PyExc_RuntimeError, "all tool ids of sys.monitoring are in use");
    return -1;
}

bool diag_monitoring_tool_is_ours(const struct diag_monitoring_tool *tool) {
    PyObject *name = PyObject_CallMethod(tool->module, "get_tool", "i", tool->id);
    bool is_ours = name != NULL && PyUnicode_Check(name) &&
                   PyUnicode_CompareWithASCIIString(name, TOOL_NAME) == 0;

    Py_XDECREF(name);
    PyErr_Clear();
    return is_ours;
}

void diag_monitoring_tool_leave(struct diag_monitoring_tool *tool) {
    if (!diag_monitoring_tool_is_ours(tool)) {
        tool->id = -1;
        return;
    }
    for (int i = 0; i < DIAG_MONITORING_EVENT_COUNT; i++)
        if (call(tool, "register_callback", "(ilO)", tool->id, tool->masks[i], Py_None) < 0)
            PyErr_Clear();
    if (call(tool, "free_tool_id", "(i)", tool->id) < 0)
        PyErr_Clear();
    tool->id = -1;
}

static int register_callbacks(struct diag_monitoring_tool *tool) {
    for (int i = 0; i < DIAG_MONITORING_EVENT_COUNT; i++)
        if (call(tool, "register_callback", "(ilO)", tool->id, tool->masks[i], tool->callbacks[i]) <
            0) {
            PyObject *exception = PyErr_GetRaisedException();

            diag_monitoring_tool_leave(tool);
            PyErr_SetRaisedException(exception);
            return -1;
        }
    return 0;
}

/* The id is somebody else's now: takes our callbacks from it, and no others. */
static void abandon(struct diag_monitoring_tool *tool) {
    for (int i = 0; i < DIAG_MONITORING_EVENT_COUNT; i++) {
        PyObject *callback = PyObject_CallMethod(tool->module, "register_callback", "ilO", tool->id,
                                                 tool->masks[i], Py_None);

        if (callback != NULL && callback != Py_None && callback != tool->callbacks[i])
            call(tool, "register_callback", "(ilO)", tool->id, tool->masks[i], callback);
        Py_XDECREF(callback);
        PyErr_Clear();
    }
    tool->id = -1;
}

int diag_monitoring_tool_ensure(struct diag_monitoring_tool *tool,
                                const vectorcallfunc handlers[DIAG_MONITORING_EVENT_COUNT]) {
    if (tool->id >= 0 && diag_monitoring_tool_is_ours(tool))
        return 0;
    if (tool->id >= 0)
        abandon(tool);
    tool->global_events = 0;
    if (prepare(tool, handlers) < 0 || take(tool) < 0 || register_callbacks(tool) < 0)
        return -1;
    return 1;
}

int diag_monitoring_tool_set_local(const struct diag_monitoring_tool *tool, PyCodeObject *code,
                                   long events) {
    return call(tool, "set_local_events", "(iOl)", tool->id, code, events);
}

int diag_monitoring_tool_set_global(struct diag_monitoring_tool *tool, long events) {
    if (events == tool->global_events || !diag_monitoring_tool_is_ours(tool))
        return 0;
    if (call(tool, "set_events", "(il)", tool->id, events) < 0)
        return -1;
    tool->global_events = events;
    return 0;
}

#endif
