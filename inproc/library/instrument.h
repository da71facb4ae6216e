/* SPDX-License-Identifier: MIT */
/* instrument - the type Instrument: what is to be evaluated, when, until when.
 *
 * Its attributes are live: a new value takes effect at once on every probe that the instrument is
 * at work on, or is refused and leaves the old one.
 *
 * Threading: the GIL.
 * Ownership: bindings own the instrument, and take themselves off its list when they are freed. */
#ifndef DIAG_INPROC_LIBRARY_INSTRUMENT_H
#define DIAG_INPROC_LIBRARY_INSTRUMENT_H

#include "inproc/library/library_state.h"
#include "inproc/library/overrides.h"

struct diag_instrument_object {
    PyObject_HEAD PyObject *dict; /* of the attributes that are not ours; NULL: none yet */
    PyObject *weak_references;
    struct diag_library *library;
    /* NULL before __init__; assignments may come before it */
    PyObject *name;                /* str */
    PyObject *value;               /* str */
    PyObject *event;               /* str */
    PyObject *expires;             /* datetime or None */
    PyObject *custom;              /* dict */
    PyObject *manager;             /* None: the global one of the moment */
    uint64_t expires_unix_ns;      /* 0: never */
    bool is_complete;              /* __init__ has run: none of them is NULL */
    PyObject *codes;               /* dict: text -> code, of `evaluate`; NULL: none yet */
    PyObject *log;                 /* list, of a ProbeTestInstrument; else NULL */
    struct diag_binding *bindings; /* all of this instrument's, borrowed */
    struct diag_overrides overrides;
};

DIAG_MUST_CHECK int diag_instrument_add_type(struct diag_library *library, PyObject *module);

/* True for an Instrument whose __init__ has run. Otherwise false, with a TypeError that names the
 * key that it was given for: "instruments['x']: must be an Instrument, not int". */
bool diag_instrument_check(struct diag_library *library, PyObject *key, PyObject *object);

/* Borrowed: the manager of the moment; Py_None: there is none. */
PyObject *diag_instrument_manager(const struct diag_instrument_object *instrument);

#define DIAG_TAGS_KEY "custom['tags']" /* in messages */

/* Borrowed: what custom has under `tags`; NULL: nothing, or an empty text. */
PyObject *diag_instrument_tags(const struct diag_instrument_object *instrument);

/* True if the class says that it alters calls. False with an exception: it could not be asked. */
bool diag_instrument_alters(struct diag_instrument_object *instrument);

static inline bool diag_instrument_is_expired(const struct diag_instrument_object *instrument,
                                              uint64_t now_unix_ns) {
    return instrument->expires_unix_ns != 0 && now_unix_ns >= instrument->expires_unix_ns;
}

#endif
