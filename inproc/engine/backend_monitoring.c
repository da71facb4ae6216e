/* SPDX-License-Identifier: MIT */
/* How it works: sys.monitoring (PEP 669) calls one callback per event of a tool; ours find the
 * observer by the code object. Events are local to the code objects observed, but for PY_UNWIND and
 * PY_THROW, which before 3.15 exist for the whole interpreter only: they are on as long as somebody
 * wants to know of exceptions, or of suspended frames, and cost each frame that an exception leaves
 * or is thrown into a few nanoseconds.
 *
 * A LINE event that nobody wants answers DISABLE, and costs nothing from then on, until other lines
 * are asked for: setting the code's events to none and back arms all of them again. On 3.13 LINE
 * does not come for a function of one line unless PY_START is on as well (gh-155992).
 *
 * The interpreter lets no events through on a thread while a callback runs there, or an instrument
 * (which counts as tracing, see action_list.c), unless that calls sys.call_tracing().
 *
 * Tool and table belong to the process: callbacks can come in as long as an id is ours. */
#include "inproc/engine/observer.h"

#include "inproc/engine/pycompat.h"

#if PY_VERSION_HEX >= 0x030C0000

#include <stdlib.h>
#include <string.h>

#include "inproc/engine/describe.h"
#include "inproc/engine/guard.h"
#include "inproc/engine/monitoring_tool.h"
#include "inproc/engine/pointer_table.h"

struct entry {
    PyCodeObject *code;             /* NULL: free. Owned */
    struct diag_observer *observer; /* asked_for: the events that the code has been given */
};

static struct {
    struct diag_monitoring_tool tool;
    struct diag_pointer_table entries;
    size_t raise_count;   /* observers that want DIAG_OBSERVE_RAISE */
    size_t suspend_count; /* and DIAG_OBSERVE_SUSPEND */
} monitoring = {.tool = {.id = -1}};

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
        return Py_NewRef(monitoring.tool.disable);
    if (!is_reentrant(entry->observer))
        entry->observer->line(entry->observer, frame(), (int)line);
    Py_RETURN_NONE;
}

static const vectorcallfunc handlers[DIAG_MONITORING_EVENT_COUNT] = {
    on_start, on_return, on_unwind, on_yield, on_resume, on_line, on_throw,
};

/* True if LINE alone would not tell of the function's first line: see the top. */
static bool needs_start(PyCodeObject *code, const struct diag_observer *observer) {
    if (observer->events & DIAG_OBSERVE_LINES)
        return true;
    return observer->line_count > 0 && observer->lines[0] <= code->co_firstlineno;
}

static long events_of(PyCodeObject *code, const struct diag_observer *observer) {
    long events = 0;

    if ((observer->events & DIAG_OBSERVE_START) || needs_start(code, observer))
        events |= monitoring.tool.masks[DIAG_MONITORING_START];
    if (observer->events & DIAG_OBSERVE_RETURN)
        events |= monitoring.tool.masks[DIAG_MONITORING_RETURN];
    if (observer->events & DIAG_OBSERVE_SUSPEND)
        events |= monitoring.tool.masks[DIAG_MONITORING_YIELD] |
                  monitoring.tool.masks[DIAG_MONITORING_RESUME];
    if ((observer->events & DIAG_OBSERVE_LINES) || observer->line_count > 0)
        events |= monitoring.tool.masks[DIAG_MONITORING_LINE];
    return events;
}

static int set_global_events(void) {
    return diag_monitoring_tool_set_global(
        &monitoring.tool,
        (monitoring.raise_count > 0 ? monitoring.tool.masks[DIAG_MONITORING_UNWIND] : 0) |
            (monitoring.suspend_count > 0 ? monitoring.tool.masks[DIAG_MONITORING_THROW] : 0));
}

/* With another id, everything that was observed is asked for again. */
static int ensure_tool(void) {
    int result = diag_monitoring_tool_ensure(&monitoring.tool, handlers);

    if (result <= 0)
        return result;
    for (size_t i = 0; i < monitoring.entries.capacity; i++) {
        struct entry *entry = diag_pointer_table_at(&monitoring.entries, i, sizeof *entry);

        if (entry->code != NULL &&
            diag_monitoring_tool_set_local(&monitoring.tool, entry->code,
                                           events_of(entry->code, entry->observer)) < 0)
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
    if (monitoring.entries.count == 0 && monitoring.tool.id >= 0)
        diag_monitoring_tool_leave(&monitoring.tool);
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
    return diag_monitoring_tool_set_local(&monitoring.tool, code, events_of(code, observer));
}

static void stop_events(PyCodeObject *code, struct diag_observer *observer) {
    if (diag_monitoring_tool_is_ours(&monitoring.tool) &&
        diag_monitoring_tool_set_local(&monitoring.tool, code, 0) < 0)
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
    step->function = PyObject_GetAttrString(monitoring.tool.module, "set_local_events");
    step->former = Py_BuildValue("(iOl)", monitoring.tool.id, code, former);
    step->none = Py_BuildValue("(iOl)", monitoring.tool.id, code, 0L);
    step->wanted = Py_BuildValue("(iOl)", monitoring.tool.id, code, wanted);
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
