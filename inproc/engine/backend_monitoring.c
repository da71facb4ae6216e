/* SPDX-License-Identifier: MIT */
/* How it works: sys.monitoring (PEP 669) calls one callback per event of a tool. Ours are instances
 * of a type with a vectorcall of its own, which saves what a built-in function's call costs; they
 * find the observer by the code object. Events are local to the code objects observed, but for
 * PY_UNWIND and PY_THROW, which before 3.15 exist for the whole interpreter only: they are on as
 * long as somebody wants to know of exceptions, or of suspended frames, and cost each frame that an
 * exception leaves or is thrown into a few nanoseconds.
 *
 * A LINE event that nobody wants answers DISABLE, and costs nothing from then on, until other lines
 * are asked for: setting the code's events to none and back arms all of them again. On 3.13 LINE
 * does not come for a function of one line unless PY_START is on as well (gh-155992).
 *
 * The interpreter lets no events through on a thread while a callback runs there, or an instrument
 * (which counts as tracing, see action_list.c), unless that calls sys.call_tracing().
 *
 * The tool id and the table belong to the process: the interpreter has six ids, and callbacks can
 * come in as long as one of them is ours. */
#include "inproc/engine/observer.h"

#include "inproc/engine/pycompat.h"

#if PY_VERSION_HEX >= 0x030C0000

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <structmember.h>

#include "inproc/engine/describe.h"
#include "inproc/engine/guard.h"
#include "inproc/engine/pointer_table.h"

#define TOOL_NAME "diagnose"

struct entry {
    PyCodeObject *code;             /* NULL: free. Owned */
    struct diag_observer *observer; /* asked_for: the events that the code has been given */
};

enum event {
    EVENT_START,
    EVENT_RETURN,
    EVENT_UNWIND,
    EVENT_YIELD,
    EVENT_RESUME,
    EVENT_LINE,
    EVENT_THROW,
    EVENT_COUNT,
};

static const char *const event_names[EVENT_COUNT] = {
    "PY_START", "PY_RETURN", "PY_UNWIND", "PY_YIELD", "PY_RESUME", "LINE", "PY_THROW",
};

static struct {
    struct diag_pointer_table entries;
    size_t raise_count;   /* observers that want DIAG_OBSERVE_RAISE */
    size_t suspend_count; /* and DIAG_OBSERVE_SUSPEND */
    long global_events;   /* that are on */
    int tool;             /* -1: none */
    long masks[EVENT_COUNT];
    PyObject *module;  /* sys.monitoring; NULL: nothing of this is ready */
    PyObject *disable; /* sys.monitoring.DISABLE */
    PyTypeObject *callback_type;
    PyObject *callbacks[EVENT_COUNT];
} monitoring = {.tool = -1};

static inline struct entry *find(const void *code) {
    return diag_pointer_table_find(&monitoring.entries, code, sizeof(struct entry));
}

static inline bool is_reentrant(struct diag_observer *observer) {
    if (!diag_guard_is_up(diag_thread_state_get()))
        return false;
    observer->reentrant++;
    return true;
}

/* The observer to tell of an event, args[0] being the code; NULL: there is none, or an instrument
 * runs, or it is not the interpreter who calls with `count` arguments. */
static inline struct diag_observer *observer_of(PyObject *const *args, size_t nargsf,
                                                Py_ssize_t count) {
    struct entry *entry = PyVectorcall_NARGS(nargsf) < count ? NULL : find(args[0]);

    return entry == NULL || is_reentrant(entry->observer) ? NULL : entry->observer;
}

static inline diag_py_frame *frame(void) {
    return diag_py_current_frame(diag_py_thread());
}

static PyObject *on_start(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames) {
    struct diag_observer *observer = observer_of(args, nargsf, 2);

    (void)self;
    (void)kwnames;
    if (observer != NULL && (observer->events & DIAG_OBSERVE_START))
        observer->start(observer, frame());
    Py_RETURN_NONE;
}

static PyObject *on_return(PyObject *self, PyObject *const *args, size_t nargsf,
                           PyObject *kwnames) {
    struct diag_observer *observer = observer_of(args, nargsf, 3);

    (void)self;
    (void)kwnames;
    if (observer != NULL)
        observer->returned(observer, frame(), args[2]);
    Py_RETURN_NONE;
}

static PyObject *on_unwind(PyObject *self, PyObject *const *args, size_t nargsf,
                           PyObject *kwnames) {
    struct diag_observer *observer = observer_of(args, nargsf, 3);

    (void)self;
    (void)kwnames;
    if (observer != NULL && (observer->events & DIAG_OBSERVE_RAISE))
        observer->raised(observer, frame(), args[2]);
    Py_RETURN_NONE;
}

static PyObject *on_yield(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames) {
    struct diag_observer *observer = observer_of(args, nargsf, 3);

    (void)self;
    (void)kwnames;
    if (observer != NULL)
        observer->suspended(observer, frame());
    Py_RETURN_NONE;
}

static PyObject *on_resume(PyObject *self, PyObject *const *args, size_t nargsf,
                           PyObject *kwnames) {
    struct diag_observer *observer = observer_of(args, nargsf, 2);

    (void)self;
    (void)kwnames;
    if (observer != NULL)
        observer->resumed(observer, frame());
    Py_RETURN_NONE;
}

/* An exception is thrown into a suspended frame, which goes on. */
static PyObject *on_throw(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames) {
    struct diag_observer *observer = observer_of(args, nargsf, 3);

    (void)self;
    (void)kwnames;
    if (observer != NULL && (observer->events & DIAG_OBSERVE_SUSPEND))
        observer->resumed(observer, frame());
    Py_RETURN_NONE;
}

static bool is_wanted(const struct diag_observer *observer, int line) {
    if (observer->events & DIAG_OBSERVE_LINES)
        return true;
    for (size_t i = 0; i < observer->line_count && observer->lines[i] <= line; i++)
        if (observer->lines[i] == line)
            return true;
    return false;
}

static PyObject *on_line(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames) {
    struct entry *entry;
    long line;

    (void)self;
    (void)kwnames;
    if (PyVectorcall_NARGS(nargsf) < 2 || !PyLong_Check(args[1])) /* it is not the interpreter */
        Py_RETURN_NONE;
    entry = find(args[0]);
    if (DIAG_UNLIKELY(!diag_py_small_int(args[1], &line)))
        line = PyLong_AsLong(args[1]);
    if (entry == NULL || !is_wanted(entry->observer, (int)line))
        return Py_NewRef(monitoring.disable);
    if (!is_reentrant(entry->observer))
        entry->observer->line(entry->observer, frame(), (int)line);
    Py_RETURN_NONE;
}

static const vectorcallfunc handlers[EVENT_COUNT] = {
    on_start, on_return, on_unwind, on_yield, on_resume, on_line, on_throw,
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

static int read_masks(void) {
    PyObject *events = PyObject_GetAttrString(monitoring.module, "events");

    for (int i = 0; events != NULL && i < EVENT_COUNT; i++) {
        PyObject *mask = PyObject_GetAttrString(events, event_names[i]);

        monitoring.masks[i] = mask == NULL ? -1 : PyLong_AsLong(mask);
        Py_XDECREF(mask);
        if (monitoring.masks[i] == -1)
            Py_CLEAR(events);
    }
    Py_XDECREF(events);
    return events == NULL ? -1 : 0;
}

/* What stays as it is once it is there. */
static int prepare(void) {
    PyObject *module = PySys_GetObject("monitoring");

    if (monitoring.module != NULL)
        return 0;
    if (module == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "sys.monitoring is missing");
        return -1;
    }
    monitoring.module = Py_NewRef(module);
    monitoring.disable = PyObject_GetAttrString(module, "DISABLE");
    monitoring.callback_type = make_callback_type();
    if (monitoring.disable == NULL || monitoring.callback_type == NULL || read_masks() < 0)
        goto failed;
    for (int i = 0; i < EVENT_COUNT; i++) {
        struct callback *callback =
            (struct callback *)monitoring.callback_type->tp_alloc(monitoring.callback_type, 0);

        if (callback == NULL)
            goto failed;
        callback->vectorcall = handlers[i];
        monitoring.callbacks[i] = (PyObject *)callback;
    }
    return 0;
failed:
    for (int i = 0; i < EVENT_COUNT; i++)
        Py_CLEAR(monitoring.callbacks[i]);
    Py_CLEAR(monitoring.callback_type);
    Py_CLEAR(monitoring.disable);
    Py_CLEAR(monitoring.module);
    return -1;
}

static int call(const char *function, const char *format, ...) {
    PyObject *callable = PyObject_GetAttrString(monitoring.module, function);
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
static int take_tool(void) {
    static const int order[] = {3, 4, 0, 1, 2, 5};

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(order); i++) {
        if (call("use_tool_id", "(is)", order[i], TOOL_NAME) == 0) {
            monitoring.tool = order[i];
            return 0;
        }
        if (!PyErr_ExceptionMatches(PyExc_ValueError))
            return -1;
        PyErr_Clear();
    }
    PyErr_SetString(PyExc_RuntimeError, "all tool ids of sys.monitoring are in use");
    return -1;
}

/* Somebody may have freed the id, and somebody else taken it. */
static bool is_tool_ours(void) {
    PyObject *name = PyObject_CallMethod(monitoring.module, "get_tool", "i", monitoring.tool);
    bool is_ours = name != NULL && PyUnicode_Check(name) &&
                   PyUnicode_CompareWithASCIIString(name, TOOL_NAME) == 0;

    Py_XDECREF(name);
    PyErr_Clear();
    return is_ours;
}

static void leave_tool(void) {
    if (!is_tool_ours()) {
        monitoring.tool = -1;
        return;
    }
    for (int i = 0; i < EVENT_COUNT; i++)
        if (call("register_callback", "(ilO)", monitoring.tool, monitoring.masks[i], Py_None) < 0)
            PyErr_Clear();
    if (call("free_tool_id", "(i)", monitoring.tool) < 0)
        PyErr_Clear();
    monitoring.tool = -1;
}

static int set_events(PyCodeObject *code, long events) {
    return call("set_local_events", "(iOl)", monitoring.tool, code, events);
}

/* True if LINE alone would not tell of the function's first line: see the top. */
static bool needs_start(PyCodeObject *code, const struct diag_observer *observer) {
    if (observer->events & DIAG_OBSERVE_LINES)
        return true;
    return observer->line_count > 0 && observer->lines[0] <= code->co_firstlineno;
}

static long events_of(PyCodeObject *code, const struct diag_observer *observer) {
    long events = 0;

    if ((observer->events & DIAG_OBSERVE_START) || needs_start(code, observer))
        events |= monitoring.masks[EVENT_START];
    if (observer->events & DIAG_OBSERVE_RETURN)
        events |= monitoring.masks[EVENT_RETURN];
    if (observer->events & DIAG_OBSERVE_SUSPEND)
        events |= monitoring.masks[EVENT_YIELD] | monitoring.masks[EVENT_RESUME];
    if ((observer->events & DIAG_OBSERVE_LINES) || observer->line_count > 0)
        events |= monitoring.masks[EVENT_LINE];
    return events;
}

static int set_global_events(void) {
    long events = (monitoring.raise_count > 0 ? monitoring.masks[EVENT_UNWIND] : 0) |
                  (monitoring.suspend_count > 0 ? monitoring.masks[EVENT_THROW] : 0);

    if (events == monitoring.global_events || !is_tool_ours())
        return 0;
    if (call("set_events", "(il)", monitoring.tool, events) < 0)
        return -1;
    monitoring.global_events = events;
    return 0;
}

static int register_callbacks(void) {
    for (int i = 0; i < EVENT_COUNT; i++)
        if (call("register_callback", "(ilO)", monitoring.tool, monitoring.masks[i],
                 monitoring.callbacks[i]) < 0) {
            PyObject *exception = PyErr_GetRaisedException();

            leave_tool();
            PyErr_SetRaisedException(exception);
            return -1;
        }
    return 0;
}

/* The id is somebody else's now: takes our callbacks from it, and no others. */
static void abandon_tool(void) {
    for (int i = 0; i < EVENT_COUNT; i++) {
        PyObject *callback = PyObject_CallMethod(monitoring.module, "register_callback", "ilO",
                                                 monitoring.tool, monitoring.masks[i], Py_None);

        if (callback != NULL && callback != Py_None && callback != monitoring.callbacks[i])
            call("register_callback", "(ilO)", monitoring.tool, monitoring.masks[i], callback);
        Py_XDECREF(callback);
        PyErr_Clear();
    }
    monitoring.tool = -1;
}

/* With another id, everything that was observed is asked for again. */
static int ensure_tool(void) {
    if (monitoring.tool >= 0 && is_tool_ours())
        return 0;
    if (monitoring.tool >= 0)
        abandon_tool();
    monitoring.global_events = 0;
    if (prepare() < 0 || take_tool() < 0 || register_callbacks() < 0)
        return -1;
    for (size_t i = 0; i < monitoring.entries.capacity; i++) {
        struct entry *entry = diag_pointer_table_at(&monitoring.entries, i, sizeof *entry);

        if (entry->code != NULL &&
            set_events(entry->code, events_of(entry->code, entry->observer)) < 0)
            return -1;
    }
    return set_global_events();
}

/* Counts the observer in or out of the events that exist for the whole interpreter only. */
static int count_global(struct diag_observer *observer, unsigned events) {
    unsigned counted = observer->counted;

    events &= DIAG_OBSERVE_RAISE | DIAG_OBSERVE_SUSPEND;
    monitoring.raise_count += !!(events & DIAG_OBSERVE_RAISE);
    monitoring.raise_count -= !!(counted & DIAG_OBSERVE_RAISE);
    monitoring.suspend_count += !!(events & DIAG_OBSERVE_SUSPEND);
    monitoring.suspend_count -= !!(counted & DIAG_OBSERVE_SUSPEND);
    observer->counted = events;
    return set_global_events();
}

static enum diag_status fail(struct diag_error *err) {
    char reason[DIAG_ERROR_MESSAGE_MAX];

    diag_describe_exception(reason, sizeof reason);
    return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0, "sys.monitoring: %s", reason);
}

static void release_if_unused(void) {
    if (monitoring.entries.count == 0 && monitoring.tool >= 0)
        leave_tool();
}

static void forget(struct entry *entry) {
    PyCodeObject *code = entry->code;

    diag_pointer_table_remove(&monitoring.entries, entry, sizeof *entry);
    Py_DECREF(code);
    release_if_unused();
}

static int start_events(PyCodeObject *code, struct diag_observer *observer) {
    if (count_global(observer, observer->events) < 0)
        return -1;
    return set_events(code, events_of(code, observer));
}

static void stop_events(PyCodeObject *code, struct diag_observer *observer) {
    if (is_tool_ours() && set_events(code, 0) < 0)
        PyErr_Clear();
    if (count_global(observer, 0) < 0)
        PyErr_Clear();
}

static enum diag_status attach(PyCodeObject *code, struct diag_observer *observer,
                               struct diag_observer_coverage *coverage, struct diag_error *err) {
    struct entry entry = {code, observer};

    if (find(code) != NULL)
        return diag_error_set(err, DIAG_ERR_EXISTS, 0, "another engine probes this function");
    if (ensure_tool() < 0)
        return fail(err);
    if (diag_pointer_table_add(&monitoring.entries, &entry, sizeof entry) == NULL) {
        release_if_unused();
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "sys.monitoring");
    }
    Py_INCREF(code);
    observer->counted = 0;
    if (start_events(code, observer) < 0) {
        enum diag_status status = fail(err);

        stop_events(code, observer);
        forget(find(code));
        return status;
    }
    observer->asked_for = events_of(code, observer);
    memset(coverage, 0, sizeof *coverage);
    return DIAG_OK;
}

/* What sys.monitoring is called with, made beforehand: taking a step back must not fail. */
struct step {
    PyObject *function;               /* set_local_events */
    PyObject *former, *none, *wanted; /* its arguments */
};

static int step_prepare(struct step *step, PyCodeObject *code, long former, long wanted) {
    step->function = PyObject_GetAttrString(monitoring.module, "set_local_events");
    step->former = Py_BuildValue("(iOl)", monitoring.tool, code, former);
    step->none = Py_BuildValue("(iOl)", monitoring.tool, code, 0L);
    step->wanted = Py_BuildValue("(iOl)", monitoring.tool, code, wanted);
    return step->function == NULL || step->former == NULL || step->none == NULL ||
                   step->wanted == NULL
               ? -1
               : 0;
}

static int step_do(const struct step *step, PyObject *args) {
    PyObject *result = PyObject_Call(step->function, args, NULL);

    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static void step_back(const struct step *step, struct diag_observer *observer, unsigned counted) {
    PyObject *exception = PyErr_GetRaisedException();

    if (count_global(observer, counted) < 0)
        PyErr_Clear();
    if (step->former != NULL && step->function != NULL && step_do(step, step->former) < 0)
        PyErr_Clear();
    PyErr_SetRaisedException(exception);
}

static void step_done(struct step *step) {
    Py_XDECREF(step->function);
    Py_XDECREF(step->former);
    Py_XDECREF(step->none);
    Py_XDECREF(step->wanted);
}

/* The way by none at all has lines asked for again that had been told to be unwanted. */
static enum diag_status update(PyCodeObject *code, struct diag_observer *observer,
                               struct diag_error *err) {
    long events = events_of(code, observer);
    unsigned counted = observer->counted;
    enum diag_status status = DIAG_OK;
    struct step step;

    if (step_prepare(&step, code, observer->asked_for, events) < 0 ||
        count_global(observer, observer->events) < 0 || step_do(&step, step.none) < 0 ||
        step_do(&step, step.wanted) < 0) {
        step_back(&step, observer, counted);
        status = fail(err);
    } else {
        observer->asked_for = events;
    }
    step_done(&step);
    return status;
}

static void detach(PyCodeObject *code, struct diag_observer *observer) {
    struct entry *entry = find(code);
    PyObject *exception;

    if (entry == NULL || entry->observer != observer)
        return;
    exception = PyErr_GetRaisedException();
    stop_events(code, observer);
    forget(find(code));
    PyErr_SetRaisedException(exception);
}

const struct diag_observer_backend diag_observer_backend_monitoring = {
    .name = "monitoring",
    .attach = attach,
    .update = update,
    .detach = detach,
};

#endif
