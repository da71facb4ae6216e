/* SPDX-License-Identifier: MIT */
/* spec_document - a spec of the library's managers, as the dict that a program or a store has of
 * it:
 *
 *     target        str, "module.Class.function"
 *     instrument    dict: type (a key of the manager's instrument_classes), name and value (str);
 *                   event (str) and custom (dict or None; its `tags` are a str) may be left out;
 *                   whatever else there is goes to the class
 *     lifespan      minutes from `lastmodified`, int or float; None: never expires; 0 or less:
 *                   expired from the start
 *     lastmodified  datetime; a naive one is UTC
 *     applied       dict, may be left out: see manager.h
 *
 * Further keys of a spec are its store's, and are left alone. Nothing of the document is altered.
 *
 * Threading: the GIL. Reading runs code of the program: a tzinfo's, or that of subclasses of dict.
 * Errors:    a Python exception: TypeError, ValueError or KeyError's like, whose text begins with
 *            the key that is wrong ("instrument.value: must be a str, not int"); LookupError where
 *            a key is missing. */
#ifndef DIAG_INPROC_LIBRARY_SPEC_DOCUMENT_H
#define DIAG_INPROC_LIBRARY_SPEC_DOCUMENT_H

#include "inproc/engine/pycompat.h"

#define DIAG_SPEC_NEVER INT64_MAX   /* it does not expire */
#define DIAG_SPEC_AT_ONCE INT64_MIN /* it has expired, whatever the time */

/* The keys, interned. Owned. */
struct diag_spec_keys {
    PyObject *target, *instrument, *lifespan, *lastmodified, *applied;
    PyObject *type, *name, *value, *event, *custom, *tags;
    PyObject *lm, *err; /* of what `applied` has of a process */
};

/* What was read. Owned, all of it; all zero: nothing. */
struct diag_spec_document {
    PyObject *target;
    PyObject *instrument; /* a copy, down to its innermost dict or list: the original may be edited
                             in place */
    PyObject *lifespan;
    PyObject *lastmodified;
    PyObject *instrument_class;
    int64_t expires_us; /* Unix microseconds, or DIAG_SPEC_NEVER, DIAG_SPEC_AT_ONCE */
};

/* -1 with an exception. */
DIAG_MUST_CHECK int diag_spec_keys_init(struct diag_spec_keys *keys);
void diag_spec_keys_done(struct diag_spec_keys *keys);

/* Checks and reads the dict `document`; `classes` is the dict of instrument types. 0, and the
 * caller owns what *out has; or -1 with an exception, and *out is untouched. */
DIAG_MUST_CHECK int diag_spec_document_read(const struct diag_spec_keys *keys, PyObject *document,
                                            PyObject *classes, struct diag_spec_document *out);
void diag_spec_document_done(struct diag_spec_document *document);
int diag_spec_document_traverse(const struct diag_spec_document *document, visitproc visit,
                                void *arg);

/* True if reading `document` again would give what was read. A comparison that raises counts as the
 * same, provided that `lastmodified` is: never an exception. */
bool diag_spec_document_is_same(const struct diag_spec_keys *keys,
                                const struct diag_spec_document *document, PyObject *current,
                                PyObject *classes);

/* The keyword arguments for the instrument's class, without `mgr`: a new dict, with a copy of what
 * is mutable in it, and `expires` as a naive datetime in UTC or None. NULL with an exception. */
PyObject *diag_spec_document_keywords(const struct diag_spec_document *document);

/* True if `applied` of the dict `document` says of this process that this `lastmodified` (NULL:
 * None) was applied with this error (NULL: None), or is of a kind that cannot say so. Never an
 * exception. */
bool diag_spec_document_is_marked(const struct diag_spec_keys *keys, PyObject *document,
                                  PyObject *process_key, PyObject *lastmodified, PyObject *error);

/* NULL equals NULL only; a comparison that raises counts as equal. Never an exception. */
bool diag_spec_document_is_equal(PyObject *a, PyObject *b);

#endif
