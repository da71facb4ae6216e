/* SPDX-License-Identifier: MIT */
/* firing - one hit of one instrument: what `fire` works with, whether the engine calls it or a
 * method in Python does.
 *
 * Threading: the GIL; belongs to the thread that made the call.
 * Ownership: borrows everything but `made_names`. */
#ifndef DIAG_INPROC_LIBRARY_FIRING_H
#define DIAG_INPROC_LIBRARY_FIRING_H

#include "inproc/engine/handler.h"

struct diag_binding;
struct diag_instrument_object;

struct diag_firing {
    struct diag_instrument_object *instrument;
    const struct diag_hit *hit; /* NULL: by a method in Python, with `globals` and `names` */
    PyObject *globals;          /* dict: the manager's, or one of ours */
    PyObject *names;            /* what the expressions see; of a hit: NULL until somebody asks */
    PyObject *made_names;       /* owned: `names` of a hit */
    bool is_merging;            /* merge_tags as the base class has it is what was asked for */
    bool is_stale; /* what the engine has compiled is no longer what the instrument means */
};

/* The hit of a spec whose handler is that of a binding (see diag_handler.fire). */
void diag_firing_run(PyObject *binding, const struct diag_hit *hit);

/* New references. NULL with an exception: it raised. NULL without one: the hit is left out, as a
 * name has no value in this call. Tags: what merge_tags gives, perhaps None. */
PyObject *diag_firing_value(struct diag_firing *firing);
PyObject *diag_firing_tags(struct diag_firing *firing);

/* The `fire` of those that hand what they have to `emit`; see diag_fire_fn. */
int diag_firing_output(struct diag_firing *firing);

/* False if the hit is not to be seen: the instrument is off, or has just expired. */
bool diag_firing_is_due(struct diag_binding *binding);

/* check_call: 1, or 0, which is counted; -1 with an exception. */
DIAG_MUST_CHECK int diag_firing_check_call(struct diag_binding *binding, PyObject *args,
                                           PyObject *kwargs);

/* The arguments of methods in Python: of fire and merge_tags, (_globals, _locals), by a `format` of
 * "O!O:NAME"; and of emit, (name, value, tags), borrowed. */
DIAG_MUST_CHECK int diag_firing_from_python(struct diag_firing *firing, PyObject *self,
                                            PyObject *args, PyObject *kwargs, const char *format);
DIAG_MUST_CHECK int diag_firing_emit_arguments(PyObject *args, PyObject *kwargs,
                                               PyObject *given[3]);

/* The method `fire` of diag_firing_output: METH_VARARGS | METH_KEYWORDS. */
PyObject *diag_firing_output_method(PyObject *self, PyObject *args, PyObject *kwargs);
extern const char diag_firing_output_doc[];

/* True if they are what the fire() of the instrument that runs in this thread was given. */
bool diag_firing_has_namespace(const struct diag_instrument_object *instrument,
                               const PyObject *globals, const PyObject *names);

#endif
