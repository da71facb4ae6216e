/* SPDX-License-Identifier: MIT */
#include "inproc/library/spec_document.h"

#include "inproc/library/spec_time.h"

#define COPY_DEPTH_MAX 32

int diag_spec_keys_init(struct diag_spec_keys *keys) {
    struct {
        PyObject **key;
        const char *text;
    } all[] = {
        {&keys->target, "target"},     {&keys->instrument, "instrument"},
        {&keys->lifespan, "lifespan"}, {&keys->lastmodified, "lastmodified"},
        {&keys->applied, "applied"},   {&keys->type, "type"},
        {&keys->name, "name"},         {&keys->value, "value"},
        {&keys->event, "event"},       {&keys->custom, "custom"},
        {&keys->tags, "tags"},         {&keys->lm, "lm"},
        {&keys->err, "err"},
    };

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(all); i++)
        if ((*all[i].key = PyUnicode_InternFromString(all[i].text)) == NULL)
            return -1;
    return 0;
}

void diag_spec_keys_done(struct diag_spec_keys *keys) {
    PyObject **all = (PyObject **)keys;

    for (size_t i = 0; i < sizeof *keys / sizeof *all; i++)
        Py_CLEAR(all[i]);
}

void diag_spec_document_done(struct diag_spec_document *document) {
    Py_CLEAR(document->target);
    Py_CLEAR(document->instrument);
    Py_CLEAR(document->lifespan);
    Py_CLEAR(document->lastmodified);
    Py_CLEAR(document->instrument_class);
}

int diag_spec_document_traverse(const struct diag_spec_document *document, visitproc visit,
                                void *arg) {
    Py_VISIT(document->target);
    Py_VISIT(document->instrument);
    Py_VISIT(document->lifespan);
    Py_VISIT(document->lastmodified);
    Py_VISIT(document->instrument_class);
    return 0;
}

/* A copy of the dicts and lists in it; whatever else there is, is shared. */
static PyObject *copy_containers(PyObject *value, int depth) {
    PyObject *copy, *key, *item;

    if (depth == COPY_DEPTH_MAX || !(PyDict_Check(value) || PyList_CheckExact(value)))
        return Py_NewRef(value);
    if (PyDict_Check(value)) {
        Py_ssize_t position = 0;

        copy = PyDict_Copy(value);
        /* the values of a dict may be replaced while it is gone through */
        while (copy != NULL && PyDict_Next(copy, &position, &key, &item)) {
            PyObject *inner = copy_containers(item, depth + 1);

            if (inner == NULL || PyDict_SetItem(copy, key, inner) < 0)
                Py_CLEAR(copy);
            Py_XDECREF(inner);
        }
        return copy;
    }
    copy = PyList_GetSlice(value, 0, PyList_GET_SIZE(value));
    for (Py_ssize_t i = 0; copy != NULL && i < PyList_GET_SIZE(copy); i++) {
        PyObject *inner = copy_containers(PyList_GET_ITEM(copy, i), depth + 1);

        if (inner == NULL || PyList_SetItem(copy, i, inner) < 0)
            Py_CLEAR(copy);
    }
    return copy;
}

/* What the dict has under the key, which must be of this type: a borrowed reference; NULL with an
 * exception. `prefix` goes before the key in its text. */
static PyObject *required(PyObject *dict, PyObject *key, const char *prefix, PyTypeObject *type) {
    PyObject *value = PyDict_GetItemWithError(dict, key);

    if (value == NULL) {
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_LookupError, "%s%U: missing", prefix, key);
        return NULL;
    }
    if (type != NULL && !PyObject_TypeCheck(value, type)) {
        PyErr_Format(PyExc_TypeError, "%s%U: must be a %s, not %s", prefix, key, type->tp_name,
                     Py_TYPE(value)->tp_name);
        return NULL;
    }
    return value;
}

static int check_event(PyObject *event) {
    static const char *const names[] = {"call", "return", "end"};
    const char *text;

    if (!PyUnicode_Check(event)) {
        PyErr_Format(PyExc_TypeError, "instrument.event: must be a str, not %s",
                     Py_TYPE(event)->tp_name);
        return -1;
    }
    if ((text = PyUnicode_AsUTF8(event)) == NULL)
        return -1;
    for (size_t i = 0; i < DIAG_ARRAY_SIZE(names); i++)
        if (strcmp(text, names[i]) == 0)
            return 0;
    if (strncmp(text, "line:", 5) == 0) {
        const char *digits = text + 5;

        if (*digits >= '1' && *digits <= '9' && digits[strspn(digits, "0123456789")] == '\0')
            return 0;
    }
    PyErr_Format(PyExc_ValueError, "instrument.event: %R is not one of: call, return, end, line:N",
                 event);
    return -1;
}

static int check_custom(const struct diag_spec_keys *keys, PyObject *custom) {
    PyObject *tags;

    if (custom == Py_None)
        return 0;
    if (!PyDict_Check(custom)) {
        PyErr_Format(PyExc_TypeError, "instrument.custom: must be a dict or None, not %s",
                     Py_TYPE(custom)->tp_name);
        return -1;
    }
    tags = PyDict_GetItemWithError(custom, keys->tags);
    if (tags != NULL && tags != Py_None && !PyUnicode_Check(tags)) {
        PyErr_Format(PyExc_TypeError, "instrument.custom.tags: must be a str, not %s",
                     Py_TYPE(tags)->tp_name);
        return -1;
    }
    return PyErr_Occurred() ? -1 : 0;
}

/* "hist, incr, log"; NULL with an exception. */
static PyObject *type_names(PyObject *classes) {
    PyObject *names = PySequence_List(classes), *comma = NULL, *joined = NULL;

    if (names == NULL || PyList_Sort(names) < 0 || (comma = PyUnicode_FromString(", ")) == NULL)
        goto done;
    joined = PyUnicode_Join(comma, names);
done:
    Py_XDECREF(names);
    Py_XDECREF(comma);
    return joined;
}

/* Borrowed; NULL with an exception. */
static PyObject *class_of(const struct diag_spec_keys *keys, PyObject *instrument,
                          PyObject *classes) {
    PyObject *type = required(instrument, keys->type, "instrument.", &PyUnicode_Type);
    PyObject *found, *names;

    if (type == NULL)
        return NULL;
    found = PyDict_GetItemWithError(classes, type);
    if (found != NULL && PyCallable_Check(found))
        return found;
    if (found != NULL)
        PyErr_Format(PyExc_TypeError, "instrument.type: instrument_classes[%R] is no class", type);
    else if (!PyErr_Occurred() && (names = type_names(classes)) != NULL) {
        PyErr_Format(PyExc_ValueError, "instrument.type: \"%U\" is not one of: %U", type, names);
        Py_DECREF(names);
    }
    return NULL;
}

/* The class, borrowed; NULL with an exception. */
static PyObject *check_instrument(const struct diag_spec_keys *keys, PyObject *instrument,
                                  PyObject *classes) {
    static const char *const ours[] = {"expires", "mgr"};
    PyObject *found = class_of(keys, instrument, classes);
    PyObject *event, *custom, *key, *item;
    Py_ssize_t position = 0;

    if (found == NULL || !required(instrument, keys->name, "instrument.", &PyUnicode_Type) ||
        !required(instrument, keys->value, "instrument.", &PyUnicode_Type))
        return NULL;
    event = PyDict_GetItemWithError(instrument, keys->event);
    if (event == NULL ? PyErr_Occurred() != NULL : check_event(event) < 0)
        return NULL;
    custom = PyDict_GetItemWithError(instrument, keys->custom);
    if (custom == NULL ? PyErr_Occurred() != NULL : check_custom(keys, custom) < 0)
        return NULL;
    while (PyDict_Next(instrument, &position, &key, &item)) {
        if (!PyUnicode_Check(key)) {
            PyErr_Format(PyExc_TypeError, "instrument: a key must be a str, not %s",
                         Py_TYPE(key)->tp_name);
            return NULL;
        }
        for (size_t i = 0; i < DIAG_ARRAY_SIZE(ours); i++)
            if (PyUnicode_CompareWithASCIIString(key, ours[i]) == 0) {
                PyErr_Format(PyExc_ValueError, "instrument.%U: is the manager's to give", key);
                return NULL;
            }
    }
    return found;
}

int diag_spec_document_read(const struct diag_spec_keys *keys, PyObject *document,
                            PyObject *classes, struct diag_spec_document *out) {
    struct diag_spec_document read = {0};
    PyObject *target, *instrument, *lifespan, *lastmodified, *applied, *found;

    if ((target = required(document, keys->target, "", &PyUnicode_Type)) == NULL ||
        (instrument = required(document, keys->instrument, "", &PyDict_Type)) == NULL ||
        (lifespan = required(document, keys->lifespan, "", NULL)) == NULL ||
        (lastmodified = required(document, keys->lastmodified, "", NULL)) == NULL)
        return -1;
    applied = PyDict_GetItemWithError(document, keys->applied);
    if (applied != NULL && !PyDict_Check(applied))
        PyErr_Format(PyExc_TypeError, "applied: must be a dict, not %s", Py_TYPE(applied)->tp_name);
    else if (PyUnicode_GET_LENGTH(target) == 0)
        PyErr_SetString(PyExc_ValueError, "target: is empty");
    if (PyErr_Occurred() || (found = check_instrument(keys, instrument, classes)) == NULL)
        return -1;
    /* from here on, code of the program may run and take the document apart */
    read.target = Py_NewRef(target);
    read.lifespan = Py_NewRef(lifespan);
    read.lastmodified = Py_NewRef(lastmodified);
    read.instrument_class = Py_NewRef(found);
    read.instrument = copy_containers(instrument, 0);
    if (read.instrument == NULL ||
        diag_spec_time_expiry(read.lastmodified, read.lifespan, &read.expires_us) < 0) {
        diag_spec_document_done(&read);
        return -1;
    }
    *out = read;
    return 0;
}

bool diag_spec_document_is_equal(PyObject *a, PyObject *b) {
    int outcome;

    if (a == b || a == NULL || b == NULL)
        return a == b;
    Py_INCREF(a); /* the comparison may take the document apart */
    Py_INCREF(b);
    outcome = PyObject_RichCompareBool(a, b, Py_EQ);
    Py_DECREF(a);
    Py_DECREF(b);
    if (outcome < 0)
        PyErr_Clear();
    return outcome != 0;
}

bool diag_spec_document_is_same(const struct diag_spec_keys *keys,
                                const struct diag_spec_document *document, PyObject *current,
                                PyObject *classes) {
    const struct {
        PyObject *key, *value;
    } parts[] = {
        {keys->lastmodified, document->lastmodified},
        {keys->target, document->target},
        {keys->lifespan, document->lifespan},
        {keys->instrument, document->instrument},
    };
    PyObject *type, *applied;

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(parts); i++) {
        PyObject *value = PyDict_GetItemWithError(current, parts[i].key);

        if (value == NULL || Py_TYPE(value) != Py_TYPE(parts[i].value) ||
            !diag_spec_document_is_equal(value, parts[i].value)) {
            PyErr_Clear();
            return false;
        }
    }
    type = PyDict_GetItemWithError(document->instrument, keys->type);
    applied = PyDict_GetItemWithError(current, keys->applied);
    if (type == NULL || (applied != NULL && !PyDict_Check(applied)) ||
        PyDict_GetItemWithError(classes, type) != document->instrument_class) {
        PyErr_Clear();
        return false;
    }
    return true;
}

PyObject *diag_spec_document_keywords(const struct diag_spec_document *document) {
    PyObject *keywords = copy_containers(document->instrument, 0);
    PyObject *plain = NULL, *expires = diag_spec_time_datetime(document->expires_us);

    if (keywords != NULL && expires != NULL && !PyDict_CheckExact(keywords)) {
        plain = PyDict_New(); /* a subclass of dict: no keyword arguments for C */
        if (plain != NULL && PyDict_Update(plain, keywords) < 0)
            Py_CLEAR(plain);
        Py_SETREF(keywords, plain);
    }
    if (keywords == NULL || expires == NULL ||
        PyDict_SetItemString(keywords, "expires", expires) < 0)
        Py_CLEAR(keywords);
    Py_XDECREF(expires);
    return keywords;
}

/* None stands for NULL. */
static bool has_equal(PyObject *dict, PyObject *key, PyObject *value) {
    PyObject *found = PyDict_GetItemWithError(dict, key);

    PyErr_Clear();
    return found != NULL && diag_spec_document_is_equal(found, value == NULL ? Py_None : value);
}

bool diag_spec_document_is_marked(const struct diag_spec_keys *keys, PyObject *document,
                                  PyObject *process_key, PyObject *lastmodified, PyObject *error) {
    PyObject *applied = PyDict_GetItemWithError(document, keys->applied), *entry;

    PyErr_Clear();
    if (applied == NULL)
        return false;
    if (!PyDict_Check(applied))
        return true;
    entry = PyDict_GetItemWithError(applied, process_key);
    PyErr_Clear();
    return entry != NULL && PyDict_Check(entry) && has_equal(entry, keys->lm, lastmodified) &&
           has_equal(entry, keys->err, error);
}
