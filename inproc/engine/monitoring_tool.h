/* SPDX-License-Identifier: MIT */
/* monitoring_tool - a tool of sys.monitoring (PEP 669): its id, its callbacks, its events.
 *
 * Callbacks are instances of a type with a vectorcall of its own, which saves what a built-in
 * function's call costs. The interpreter has six ids. Others may free ours, and take it: that is
 * looked for at each change.
 *
 * Threading: the GIL. The functions run no code of the program.
 * Errors:    -1 with an exception. */
#ifndef DIAG_INPROC_ENGINE_MONITORING_TOOL_H
#define DIAG_INPROC_ENGINE_MONITORING_TOOL_H

#include "inproc/engine/pycompat.h"

#if PY_VERSION_HEX >= 0x030C0000

enum diag_monitoring_event {
    DIAG_MONITORING_START,
    DIAG_MONITORING_RETURN,
    DIAG_MONITORING_UNWIND,
    DIAG_MONITORING_YIELD,
    DIAG_MONITORING_RESUME,
    DIAG_MONITORING_LINE,
    DIAG_MONITORING_THROW,
    DIAG_MONITORING_EVENT_COUNT,
};

struct diag_monitoring_tool {
    int id;             /* -1: none */
    long global_events; /* that are on for the whole interpreter */
    long masks[DIAG_MONITORING_EVENT_COUNT];
    PyObject *module;  /* sys.monitoring; NULL: nothing of this is ready */
    PyObject *disable; /* sys.monitoring.DISABLE */
    PyTypeObject *callback_type;
    PyObject *callbacks[DIAG_MONITORING_EVENT_COUNT];
};

/* Has the handlers (of each event; static) called. 1: the tool has an id that it had not, under
 * which nothing has been asked for yet; 0: it has its id. */
DIAG_MUST_CHECK int
diag_monitoring_tool_ensure(struct diag_monitoring_tool *tool,
                            const vectorcallfunc handlers[DIAG_MONITORING_EVENT_COUNT]);

/* False if somebody has freed the id, and perhaps somebody else taken it. */
bool diag_monitoring_tool_is_ours(const struct diag_monitoring_tool *tool);

/* Gives the id back, if there is one. */
void diag_monitoring_tool_leave(struct diag_monitoring_tool *tool);

/* Events are masks, added up. */
DIAG_MUST_CHECK int diag_monitoring_tool_set_local(const struct diag_monitoring_tool *tool,
                                                   PyCodeObject *code, long events);

/* Those of the whole interpreter. Nothing if they are on already, or the id is not ours. */
DIAG_MUST_CHECK int diag_monitoring_tool_set_global(struct diag_monitoring_tool *tool, long events);

#endif
#endif
