/* SPDX-License-Identifier: MIT */
#include "inproc/library/instrument_fields.h"

#include <stdio.h>
#include <string.h>

#include "inproc/engine/expression.h"
#include "inproc/library/expiry.h"
#include "lib/spec/spec.h"

#define SPEC_PREFIX "instrument." /* of the messages about specs */

static const enum diag_name field_names[DIAG_FIELD_COUNT] = {
    [DIAG_FIELD_NAME] = DIAG_NAME_NAME,     [DIAG_FIELD_VALUE] = DIAG_NAME_VALUE,
    [DIAG_FIELD_EVENT] = DIAG_NAME_EVENT,   [DIAG_FIELD_EXPIRES] = DIAG_NAME_EXPIRES,
    [DIAG_FIELD_CUSTOM] = DIAG_NAME_CUSTOM, [DIAG_FIELD_MGR] = DIAG_NAME_MGR,
};

static PyObject **place_of(struct diag_instrument_object *instrument, enum diag_field field) {
    PyObject **const places[DIAG_FIELD_COUNT] = {
        [DIAG_FIELD_NAME] = &instrument->name,     [DIAG_FIELD_VALUE] = &instrument->value,
        [DIAG_FIELD_EVENT] = &instrument->event,   [DIAG_FIELD_EXPIRES] = &instrument->expires,
        [DIAG_FIELD_CUSTOM] = &instrument->custom, [DIAG_FIELD_MGR] = &instrument->manager,
    };

    return places[field];
}

PyObject *diag_field_get(const struct diag_instrument_object *instrument, enum diag_field field) {
    return *place_of((struct diag_instrument_object *)instrument, field);
}

/* ---- checks ---- */

void diag_instrument_raise(struct diag_error *err) {
    static const struct {
        const char *of_spec, *key;
    } keys[] = {{SPEC_PREFIX "custom.tags", DIAG_TAGS_KEY}, {SPEC_PREFIX, ""}};
    char message[sizeof err->message];

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(keys); i++) {
        size_t size = strlen(keys[i].of_spec);

        if (strncmp(err->message, keys[i].of_spec, size) != 0)
            continue;
        snprintf(message, sizeof message, "%s%s", keys[i].key, err->message + size);
        memcpy(err->message, message, sizeof message);
        break;
    }
    diag_library_raise(err);
}

/* The text of a str without NUL characters, borrowed from it; NULL with an exception. */
static const char *text_of(PyObject *value, const char *key) {
    Py_ssize_t size;
    const char *text;

    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s: must be a str, not %.200s", key,
                     Py_TYPE(value)->tp_name);
        return NULL;
    }
    text = PyUnicode_AsUTF8AndSize(value, &size);
    if (text != NULL && strlen(text) != (size_t)size) {
        PyErr_Format(PyExc_ValueError, "%s: has a null character", key);
        return NULL;
    }
    return text;
}

static int check_name(PyObject *value) {
    const char *text = text_of(value, "name");

    if (text == NULL || *text != '\0')
        return text == NULL ? -1 : 0;
    PyErr_SetString(PyExc_ValueError, "name: must not be empty");
    return -1;
}

static int check_expression(PyObject *value, const char *key) {
    const char *text = text_of(value, key);
    struct diag_error err;

    if (text == NULL)
        return -1;
    if (diag_expression_check(text, key, &err) == DIAG_OK)
        return 0;
    diag_library_raise(&err);
    return -1;
}

static int check_event(struct diag_instrument_object *instrument, PyObject *value) {
    const char *text = text_of(value, "event");
    enum diag_spec_event event;
    struct diag_error err;
    int line;

    if (text == NULL)
        return -1;
    if (diag_spec_event_parse(text, &event, &line, &err) != DIAG_OK) {
        diag_instrument_raise(&err);
        return -1;
    }
    if (event != DIAG_SPEC_EVENT_CALL && diag_instrument_alters(instrument)) {
        PyErr_Format(PyExc_ValueError, "event: must be call, as %.200s alters calls, not \"%s\"",
                     Py_TYPE(instrument)->tp_name, text);
        return -1;
    }
    return PyErr_Occurred() ? -1 : 0;
}

static int check_custom(struct diag_instrument_object *instrument, PyObject *value) {
    PyObject *tags;

    if (!PyDict_Check(value)) {
        PyErr_Format(PyExc_TypeError, "custom: must be a dict or None, not %.200s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    tags = PyDict_GetItemWithError(value, instrument->library->names[DIAG_NAME_TAGS]);
    if (tags == NULL)
        return PyErr_Occurred() ? -1 : 0;
    if (tags == Py_None || (PyUnicode_Check(tags) && PyUnicode_GET_LENGTH(tags) == 0))
        return 0;
    return check_expression(tags, DIAG_TAGS_KEY);
}

static int check(struct diag_instrument_object *instrument, enum diag_field field,
                 PyObject *value) {
    switch (field) {
    case DIAG_FIELD_NAME:
        return check_name(value);
    case DIAG_FIELD_VALUE:
        return check_expression(value, "value");
    case DIAG_FIELD_EVENT:
        return check_event(instrument, value);
    case DIAG_FIELD_CUSTOM:
        return check_custom(instrument, value);
    case DIAG_FIELD_EXPIRES:
    case DIAG_FIELD_MGR:
    case DIAG_FIELD_COUNT:
        break;
    }
    return 0;
}

/* ---- keeping ---- */

int diag_field_set(struct diag_instrument_object *instrument, enum diag_field field,
                   PyObject *value) {
    uint64_t expires_unix_ns = 0;
    PyObject *kept, **place = place_of(instrument, field);

    if (field == DIAG_FIELD_CUSTOM && value == Py_None)
        kept = PyDict_New();
    else
        kept = Py_NewRef(value);
    if (kept == NULL)
        return -1;
    if (check(instrument, field, kept) < 0 ||
        (field == DIAG_FIELD_EXPIRES && diag_expiry_parse(kept, "expires", &expires_unix_ns) < 0)) {
        Py_DECREF(kept);
        return -1;
    }
    if (field == DIAG_FIELD_EXPIRES)
        instrument->expires_unix_ns = expires_unix_ns;
    Py_XSETREF(*place, kept);
    return 0;
}

/* True if the class has something of its own under this name. */
static bool is_hidden(struct diag_instrument_object *instrument, enum diag_field field) {
    struct diag_library *library = instrument->library;
    PyObject *name = library->names[field_names[field]];

    return !Py_IS_TYPE((PyObject *)instrument, library->instrument_type) &&
           _PyType_Lookup(Py_TYPE(instrument), name) !=
               _PyType_Lookup(library->instrument_type, name);
}

bool diag_field_is_shadowed(struct diag_instrument_object *instrument, enum diag_field field) {
    PyObject *found;

    if (!is_hidden(instrument, field))
        return false;
    found = _PyType_Lookup(Py_TYPE(instrument), instrument->library->names[field_names[field]]);
    return found == NULL || Py_TYPE(found)->tp_descr_set == NULL;
}

enum diag_field diag_field_named(const struct diag_library *library, PyObject *name) {
    int field = 0;

    while (field < DIAG_FIELD_COUNT && library->names[field_names[field]] != name &&
           PyUnicode_Compare(library->names[field_names[field]], name) != 0)
        field++;
    return (enum diag_field)field;
}

/* What a plain attribute of the class hides is kept where Python looks for it, too. */
int diag_field_keep(struct diag_instrument_object *instrument, enum diag_field field,
                    PyObject *value) {
    if (diag_field_set(instrument, field, value) < 0)
        return -1;
    if (!diag_field_is_shadowed(instrument, field))
        return 0;
    return PyObject_GenericSetAttr((PyObject *)instrument,
                                   instrument->library->names[field_names[field]],
                                   diag_field_get(instrument, field));
}

int diag_field_init(struct diag_instrument_object *instrument, enum diag_field field,
                    PyObject *value) {
    PyObject *name = instrument->library->names[field_names[field]];

    if (diag_field_keep(instrument, field, value) < 0)
        return -1;
    if (!is_hidden(instrument, field) || diag_field_is_shadowed(instrument, field))
        return 0;
    return PyObject_SetAttr((PyObject *)instrument, name, value);
}

int diag_field_refresh(struct diag_instrument_object *instrument) {
    for (int field = 0; field < DIAG_FIELD_COUNT; field++) {
        PyObject *value;
        int result;

        if (!is_hidden(instrument, (enum diag_field)field))
            continue;
        value = PyObject_GetAttr((PyObject *)instrument,
                                 instrument->library->names[field_names[field]]);
        if (value == NULL)
            return -1;
        result = value == diag_field_get(instrument, (enum diag_field)field)
                     ? 0
                     : diag_field_set(instrument, (enum diag_field)field, value);
        Py_DECREF(value);
        if (result < 0)
            return -1;
    }
    return 0;
}
