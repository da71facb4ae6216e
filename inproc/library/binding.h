/* SPDX-License-Identifier: MIT */
/* binding - one instrument at work on one probe: what the engine calls at a hit.
 *
 *     off --(the probe runs, the instrument is in it and has not expired)--> on
 *     on  --(removed, replaced, stopped, expired, switched off by an error)--> off: finish()
 *
 * On, the engine has a spec of it; a hit never does more than clear `is_on`, and has the spec
 * removed by a pending call soon after.
 *
 * Threading: the GIL, which arming may release, so that several threads may be at it: who comes
 *            second leaves the work to who is at it already.
 * Ownership: owns instrument and probe; the engine owns it while it has the spec. */
#ifndef DIAG_INPROC_LIBRARY_BINDING_H
#define DIAG_INPROC_LIBRARY_BINDING_H

#include "inproc/library/instrument.h"
#include "lib/spec/spec_status.h"

struct diag_probe_object;

/* What the engine was given, to compare with what the instrument is now. Owned references. */
struct diag_binding_terms {
    PyObject *value, *event;
    PyObject *tags;     /* NULL: none */
    PyObject *globals;  /* dict */
    PyObject *callable; /* NULL: the target's names lead to it */
    bool wants_arguments;
    bool wants_namespace;
    bool alters;
};

struct diag_binding {
    PyObject_HEAD struct diag_library *library;
    struct diag_probe_object *probe;
    struct diag_instrument_object *instrument;
    struct diag_binding *next_of_instrument;
    struct diag_binding *next, *previous; /* of the library */
    uint64_t number;                      /* what its spec is called by */
    uint64_t revision;

    bool is_wanted;  /* in the instruments of a probe that runs */
    bool is_on;      /* hits count */
    bool is_put;     /* the engine has a spec of it */
    bool is_serving; /* since it was on, finish() has not been called */
    bool is_busy;    /* somebody is at it ... */
    bool is_dirty;   /* ... and shall look again */
    bool is_due;     /* to be updated by the pending call */
    bool is_failed;  /* its handle_error has raised: off until it is wanted anew, or edited */
    struct diag_binding_terms terms;
    PyObject *decorated;   /* weak reference to what a decorator was called with; NULL: none was */
    PyObject *own_globals; /* dict, in place of a manager's; NULL: not needed yet */

    uint64_t hits, errors, declined;
    uint64_t skips[DIAG_SKIP_COUNT];                /* of former specs */
    char message[DIAG_SPEC_STATUS_MESSAGE_MAX + 1]; /* what its last error was; "": none */
};

DIAG_MUST_CHECK int diag_binding_add_type(struct diag_library *library);

/* A new reference, off; NULL with an exception. */
struct diag_binding *diag_binding_new(struct diag_library *library, struct diag_probe_object *probe,
                                      struct diag_instrument_object *instrument);

/* Wants it on or off, and sees to it. -1 with an exception: it cannot be armed, and is still
 * wanted; it is off then, unless its target is a name that may yet come (AttributeError). */
DIAG_MUST_CHECK int diag_binding_want(struct diag_binding *binding, bool is_wanted);

/* Wants it off, whatever that comes to: the exception that is set, if there is one, stays set. */
void diag_binding_give_up(struct diag_binding *binding);

/* Looks again, as something that it depends on may have changed. */
DIAG_MUST_CHECK int diag_binding_update(struct diag_binding *binding);

/* The attributes of the instrument have changed: updates all bindings of it. */
DIAG_MUST_CHECK int diag_binding_instrument_changed(struct diag_instrument_object *instrument);

/* From a hit: the instrument has expired. */
void diag_binding_expire(struct diag_binding *binding);

/* From a hit: has it updated soon. */
void diag_binding_update_soon(struct diag_binding *binding);

/* The global_namespace of the manager of the moment, or one of its own. A new reference to a dict;
 * NULL with an exception. */
PyObject *diag_binding_globals(struct diag_binding *binding);

/* A dict {state, message, mechanism, hits, errors, skips}; a new reference. */
PyObject *diag_binding_status(struct diag_binding *binding);

void diag_binding_after_fork(struct diag_library *library);

/* At the interpreter's end: disarms all, and calls nobody. Threads may be at it still. */
void diag_binding_stop_all(struct diag_library *library);

/* Takes the spec from the engine, if it has it. */
void diag_binding_remove_spec(struct diag_binding *binding);

#endif
