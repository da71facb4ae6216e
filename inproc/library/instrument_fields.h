/* SPDX-License-Identifier: MIT */
/* instrument_fields - the attributes of an instrument that are ours: checked, and kept.
 *
 * A class may have one of these names for itself (a property, a default): then it is set and read
 * the way that Python would, and what it says is taken over whenever the instrument is armed. What
 * a getter assigns to the instrument holds from then on, and has no other effect.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_LIBRARY_INSTRUMENT_FIELDS_H
#define DIAG_INPROC_LIBRARY_INSTRUMENT_FIELDS_H

#include "inproc/library/instrument.h"

enum diag_field {
    DIAG_FIELD_NAME,
    DIAG_FIELD_VALUE,
    DIAG_FIELD_EVENT,
    DIAG_FIELD_EXPIRES,
    DIAG_FIELD_CUSTOM,
    DIAG_FIELD_MGR,
    DIAG_FIELD_COUNT
};

/* As diag_library_raise, for an error about a spec: the key in front is that of the attribute. */
void diag_instrument_raise(struct diag_error *err);

/* What is kept; borrowed; NULL before __init__. */
PyObject *diag_field_get(const struct diag_instrument_object *instrument, enum diag_field field);

/* Checks and keeps it, and does nothing else: TypeError or ValueError, which begin with the name of
 * the attribute, and the former one stays. */
DIAG_MUST_CHECK int diag_field_set(struct diag_instrument_object *instrument, enum diag_field field,
                                   PyObject *value);

/* True if the class has a plain attribute of this name (a default), which hides ours. */
bool diag_field_is_shadowed(struct diag_instrument_object *instrument, enum diag_field field);

/* The field of that name (a str); DIAG_FIELD_COUNT: there is none. */
enum diag_field diag_field_named(const struct diag_library *library, PyObject *name);

/* As diag_field_set, also for an instance whose class has a plain attribute of this name. */
DIAG_MUST_CHECK int diag_field_keep(struct diag_instrument_object *instrument,
                                    enum diag_field field, PyObject *value);

/* The same, and for the class's own property, if it has one of this name. */
DIAG_MUST_CHECK int diag_field_init(struct diag_instrument_object *instrument,
                                    enum diag_field field, PyObject *value);

/* Takes over what the class's own attributes of these names say. */
DIAG_MUST_CHECK int diag_field_refresh(struct diag_instrument_object *instrument);

#endif
