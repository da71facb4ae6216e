/* SPDX-License-Identifier: MIT */
/* How a spec is followed: what its document was when it was applied is kept, and compared; only one
 * that differs is read, and given a new instrument. A spec that is in error is tried again at each
 * pass, since what is wrong with it may lie elsewhere (a class that is registered later), but told
 * about again only when the error or `lastmodified` is another one. */
#include "inproc/library/manager_pass.h"

#include "inproc/library/manager_report.h"
#include "inproc/library/spec_error.h"
#include "lib/base/clock.h"

/* Owned. */
struct pass {
    struct diag_manager *manager;
    PyObject *classes;     /* dict */
    PyObject *process_key; /* under which `applied` has this process */
    int64_t now_us;
};

static int report(struct diag_manager *manager, PyObject *probe, PyObject *instrument) {
    return diag_manager_report((PyObject *)manager, probe, instrument);
}

/* Takes the record's instruments out of service. */
static int withdraw(struct pass *pass, struct diag_placement *placement) {
    PyObject *probe, *instrument;
    int outcome;

    if (diag_placement_is_empty(placement))
        return 0;
    probe = Py_NewRef(placement->probe);
    instrument = Py_NewRef(placement->instrument);
    outcome = diag_placement_remove(placement);
    if (outcome < 0)
        outcome = report(pass->manager, probe, instrument);
    Py_DECREF(probe);
    Py_DECREF(instrument);
    return outcome;
}

static int withdraw_all(struct pass *pass, struct diag_manager_record *record) {
    if (withdraw(pass, &record->former) < 0)
        return -1;
    return withdraw(pass, &record->placement);
}

/* What the document has for `lastmodified`, whatever it is; borrowed, NULL: nothing. */
static PyObject *lastmodified_of(const struct pass *pass, PyObject *document) {
    PyObject *lastmodified =
        document == NULL ? NULL
                         : PyDict_GetItemWithError(document, pass->manager->keys.lastmodified);

    PyErr_Clear();
    return lastmodified;
}

/* The same exception with another text. Takes the reference, and gives one back. */
static PyObject *reword(PyObject *exception, PyObject *text) {
    PyObject *traceback = PyException_GetTraceback(exception);
    PyObject *notes = PyObject_GetAttrString(exception, "__notes__");
    PyObject *other;

    PyErr_Clear(); /* of what has no notes */
    other = PyObject_CallOneArg((PyObject *)Py_TYPE(exception), text);
    if (other != NULL) {
        if (traceback != NULL)
            PyException_SetTraceback(other, traceback);
        if (notes != NULL && PyObject_SetAttrString(other, "__notes__", notes) < 0)
            PyErr_Clear();
        PyException_SetCause(other, PyException_GetCause(exception));
        PyException_SetContext(other, PyException_GetContext(exception));
    }
    PyErr_Clear();
    Py_XDECREF(traceback);
    Py_XDECREF(notes);
    if (other == NULL)
        return exception;
    Py_DECREF(exception);
    return other;
}

/* The exception with the spec in its text, which takes the reference; or as it is, if it is the
 * program's own, with the spec in a note. */
static PyObject *name_spec(PyObject *exception, PyObject *id, bool is_ours) {
    PyObject *text;

    if (is_ours) {
        text = PyUnicode_FromFormat("spec %R: %S", id, exception);
        if (text != NULL)
            exception = reword(exception, text);
    } else if ((text = PyUnicode_FromFormat("spec %R", id)) != NULL) {
        diag_manager_add_note(exception, text);
    }
    Py_XDECREF(text);
    PyErr_Clear();
    return exception;
}

/* The exception that is set is what is wrong with this spec. `document`, `instrument`: may be NULL.
 * `is_ours`: the exception was made for the document, and its text begins with the key. */
static int fail(struct pass *pass, struct diag_manager_record *record, PyObject *document,
                PyObject *instrument, bool is_ours) {
    PyObject *exception, *text, *lastmodified;
    bool is_known;

    if (diag_manager_is_for_program())
        return -1;
    exception = diag_py_take_exception();
    lastmodified = lastmodified_of(pass, document);
    text = diag_manager_error_text(exception, !is_ours);
    if (text == NULL) {
        Py_DECREF(exception);
        return report(pass->manager, NULL, instrument);
    }
    is_known = record->error != NULL && PyUnicode_Compare(record->error, text) == 0 &&
               diag_spec_document_is_equal(record->error_lastmodified, lastmodified);
    Py_XSETREF(record->error, text);
    Py_XSETREF(record->error_lastmodified, Py_XNewRef(lastmodified));
    if (!is_known) {
        diag_py_set_exception(name_spec(exception, record->id, is_ours));
        if (report(pass->manager, NULL, instrument) < 0)
            return -1;
    } else {
        Py_DECREF(exception);
    }
    record->is_applied = false;
    diag_spec_document_done(&record->document);
    return withdraw_all(pass, record);
}

/* The instrument that the document asks for. A new reference; NULL with an exception. */
static PyObject *make_instrument(struct pass *pass, const struct diag_spec_document *document) {
    PyObject *keywords = diag_spec_document_keywords(document);
    PyObject *no_arguments = PyTuple_New(0), *instrument = NULL;

    if (keywords != NULL && no_arguments != NULL &&
        PyDict_SetItemString(keywords, "mgr", (PyObject *)pass->manager) == 0)
        instrument = PyObject_Call(document->instrument_class, no_arguments, keywords);
    Py_XDECREF(keywords);
    Py_XDECREF(no_arguments);
    return instrument;
}

/* As `fail`, for what making or arming the instrument has raised. */
static int fail_making(struct pass *pass, struct diag_manager_record *record, PyObject *document,
                       PyObject *instrument, const struct diag_spec_document *fresh) {
    PyObject *exception, *text;

    if (diag_manager_is_for_program())
        return -1;
    exception = diag_py_take_exception();
    text = diag_spec_error_text(exception, fresh->instrument);
    if (text != NULL)
        exception = reword(exception, text);
    diag_py_set_exception(exception);
    Py_XDECREF(text);
    return fail(pass, record, document, instrument, text != NULL);
}

/* Puts what `fresh` asks for in the place of what the record has. Takes what is in `fresh`. */
static int replace(struct pass *pass, struct diag_manager_record *record, PyObject *document,
                   struct diag_spec_document *fresh) {
    PyObject *instrument = make_instrument(pass, fresh), *name = NULL;
    int outcome = -1;

    if (instrument != NULL)
        name = PyObject_Str(record->id);
    if (name != NULL) {
        record->is_applied = false;
        record->former = record->placement;
        record->placement = (struct diag_placement){0};
        outcome = diag_placement_put(&record->placement, &record->former, fresh->target, name,
                                     instrument);
    }
    if (outcome < 0)
        outcome = fail_making(pass, record, document, instrument, fresh);
    else if ((outcome = withdraw(pass, &record->former)) == 0)
        diag_manager_record_settle(record, fresh);
    Py_XDECREF(instrument);
    Py_XDECREF(name);
    return outcome;
}

static int renew(struct pass *pass, struct diag_manager_record *record, PyObject *document) {
    struct diag_spec_document fresh = {0};
    int outcome;

    if (withdraw(pass, &record->former) < 0)
        return -1;
    if (diag_spec_document_read(&pass->manager->keys, document, pass->classes, &fresh) < 0)
        return fail(pass, record, document, NULL, true);
    if (fresh.expires_us > pass->now_us) {
        outcome = replace(pass, record, document, &fresh);
    } else {
        outcome = withdraw_all(pass, record);
        diag_manager_record_settle(record, &fresh);
    }
    diag_spec_document_done(&fresh);
    return outcome;
}

/* Sees to it that the document's `applied` has what became of it. */
static int mark(struct pass *pass, struct diag_manager_record *record, PyObject *document) {
    PyObject *lastmodified = lastmodified_of(pass, document), *result;

    if (diag_spec_document_is_marked(&pass->manager->keys, document, pass->process_key,
                                     lastmodified, record->error))
        return 0;
    result = PyObject_CallMethod((PyObject *)pass->manager, "mark", "OOO", record->id,
                                 lastmodified == NULL ? Py_None : lastmodified,
                                 record->error == NULL ? Py_None : record->error);
    if (result == NULL)
        return report(pass->manager, NULL, NULL);
    Py_DECREF(result);
    return 0;
}

/* The document as a dict, a new reference; NULL with an exception. Stores have mappings of their
 * own kinds. */
static PyObject *as_dict(PyObject *document) {
    PyObject *dict;

    if (PyDict_Check(document))
        return Py_NewRef(document);
    if (!PyMapping_Check(document) || !PyObject_HasAttrString(document, "keys")) {
        PyErr_Format(PyExc_TypeError, "must be a dict, not %s", Py_TYPE(document)->tp_name);
        return NULL;
    }
    dict = PyDict_New();
    if (dict != NULL && PyDict_Update(dict, document) < 0)
        Py_CLEAR(dict);
    return dict;
}

static int follow(struct pass *pass, PyObject *id, PyObject *document) {
    struct diag_manager *manager = pass->manager;
    struct diag_manager_record *record = diag_manager_records_get(&manager->records, id);
    PyObject *dict;
    int outcome = 0;

    if (record == NULL)
        return report(manager, NULL, NULL);
    record->pass = manager->pass;
    dict = as_dict(document);
    if (dict == NULL)
        return fail(pass, record, NULL, NULL, true);
    if (!record->is_applied ||
        !diag_spec_document_is_same(&manager->keys, &record->document, dict, pass->classes))
        outcome = renew(pass, record, dict);
    else if (record->document.expires_us <= pass->now_us)
        outcome = withdraw_all(pass, record);
    if (outcome == 0)
        outcome = mark(pass, record, dict);
    Py_DECREF(dict);
    return outcome;
}

static int forget_what_is_gone(struct pass *pass) {
    struct diag_manager_records *records = &pass->manager->records;

    for (size_t i = 0; i < records->count; i++) {
        struct diag_manager_record *record = records->all[i];

        if (record == NULL || record->pass == pass->manager->pass)
            continue;
        if (withdraw_all(pass, record) < 0)
            return -1;
        diag_manager_records_remove(records, record);
    }
    return 0;
}

/* A list of pairs of id and document. NULL with an exception. */
static PyObject *items_of(struct diag_manager *manager) {
    PyObject *specs = PyObject_GetAttrString((PyObject *)manager, "specs"), *items = NULL;

    if (specs == NULL)
        return NULL;
    if (PyDict_Check(specs))
        items = PyDict_Items(specs);
    else if (PyMapping_Check(specs) && PyObject_HasAttrString(specs, "items"))
        items = PyMapping_Items(specs);
    else
        PyErr_Format(PyExc_TypeError, "specs: must be a dict, not %s", Py_TYPE(specs)->tp_name);
    Py_DECREF(specs);
    return items;
}

/* Under which `applied` has this process; NULL with an exception. */
static PyObject *process_key_of(struct diag_manager *manager) {
    PyObject *process_id = PyObject_GetAttrString((PyObject *)manager, "process_id");

    if (process_id != NULL && !PyUnicode_Check(process_id)) {
        PyErr_Format(PyExc_TypeError, "process_id: must be a str, not %s",
                     Py_TYPE(process_id)->tp_name);
        Py_CLEAR(process_id);
    }
    if (process_id != NULL && manager->has_dotless_keys)
        Py_SETREF(process_id, PyObject_CallMethod(process_id, "replace", "ss", ".", "_"));
    return process_id;
}

static PyObject *classes_of(struct diag_manager *manager) {
    PyObject *classes = PyObject_GetAttrString((PyObject *)manager, "instrument_classes");

    if (classes != NULL && !PyDict_Check(classes)) {
        PyErr_Format(PyExc_TypeError, "instrument_classes: must be a dict, not %s",
                     Py_TYPE(classes)->tp_name);
        Py_CLEAR(classes);
    }
    return classes;
}

int diag_manager_pass(struct diag_manager *manager) {
    struct pass pass = {.manager = manager, .now_us = (int64_t)(diag_clock_unix_ns() / 1000)};
    PyObject *items = NULL;
    int outcome = -1;

    if ((pass.process_key = process_key_of(manager)) == NULL ||
        (pass.classes = classes_of(manager)) == NULL || (items = items_of(manager)) == NULL) {
        outcome = report(manager, NULL, NULL);
        goto done;
    }
    manager->pass++;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items); i++) {
        PyObject *pair = PyList_GET_ITEM(items, i);

        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
            PyErr_SetString(PyExc_TypeError, "specs: its items are no pairs");
            outcome = report(manager, NULL, NULL);
            goto done;
        }
        if (follow(&pass, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1)) < 0)
            goto done;
    }
    outcome = forget_what_is_gone(&pass);
done:
    Py_XDECREF(items);
    Py_XDECREF(pass.classes);
    Py_XDECREF(pass.process_key);
    return outcome;
}
