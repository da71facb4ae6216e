/* SPDX-License-Identifier: MIT */
#include "inproc/library/manager_mongodb.h"

#include "inproc/library/manager_object.h"
#include "inproc/library/manager_process.h"
#include "inproc/library/manager_report.h"

/* -1 with an exception. */
static int check_collection(PyObject *collection) {
    static const char *const needed[] = {"find", "update_one"};

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(needed); i++) {
        PyObject *function = PyObject_GetAttrString(collection, needed[i]);
        bool is_callable = function != NULL && PyCallable_Check(function);

        Py_XDECREF(function);
        if (is_callable)
            continue;
        if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_AttributeError))
            PyErr_Format(PyExc_TypeError, "collection: %s has no %s()",
                         Py_TYPE(collection)->tp_name, needed[i]);
        return -1;
    }
    return 0;
}

/* The process id is part of the path of a field. */
static int set_process_id(PyObject *self, PyObject *value, void *closure) {
    if (value != NULL && PyUnicode_Check(value) && PyUnicode_GET_LENGTH(value) > 0 &&
        (PyUnicode_READ_CHAR(value, 0) == '$' ||
         PyUnicode_FindChar(value, 0, 0, PyUnicode_GET_LENGTH(value), 1) >= 0)) {
        PyErr_Format(PyExc_ValueError,
                     "process_id: %R begins with $ or has a NUL; MongoDB has no such field names",
                     value);
        return -1;
    }
    return diag_manager_set_process_id(self, value, closure);
}

static int mongodb_init(PyObject *self, PyObject *args, PyObject *kwargs) {
    static char process_id_keyword[] = "process_id", collection_keyword[] = "collection",
                id_field_keyword[] = "id_field";
    static char *keywords[] = {process_id_keyword, collection_keyword, id_field_keyword, NULL};
    struct diag_manager *manager = diag_manager_of(self);
    PyObject *process_id, *collection, *id_field = NULL;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|O:MongoDBInstrumentManager", keywords,
                                     &process_id, &collection, &id_field) ||
        check_collection(collection) < 0)
        return -1;
    if (id_field != NULL && !PyUnicode_Check(id_field)) {
        PyErr_Format(PyExc_TypeError, "id_field: must be a str, not %s",
                     Py_TYPE(id_field)->tp_name);
        return -1;
    }
    if (id_field != NULL && PyUnicode_GET_LENGTH(id_field) == 0) {
        PyErr_SetString(PyExc_ValueError, "id_field: is empty");
        return -1;
    }
    if (set_process_id(self, process_id, NULL) < 0)
        return -1;
    id_field = id_field == NULL ? PyUnicode_FromString("id") : Py_NewRef(id_field);
    if (id_field == NULL)
        return -1;
    Py_XSETREF(manager->store.id_field, id_field);
    Py_XSETREF(manager->store.collection, Py_NewRef(collection));
    manager->has_dotless_keys = true;
    return 0;
}

/* What is wrong with a document that cannot be told in the document: to handle_error, unless that
 * was so the last time. `now_told` takes the text. -1 with an exception. */
static int complain(struct diag_manager *manager, PyObject *now_told, PyObject *type,
                    PyObject *text) {
    int is_known = manager->store.told == NULL ? 0 : PyDict_Contains(manager->store.told, text);

    if (is_known < 0 || PyDict_SetItem(now_told, text, Py_None) < 0)
        return -1;
    if (is_known)
        return 0;
    PyErr_SetObject(type, text);
    return diag_manager_report((PyObject *)manager, NULL, NULL);
}

/* "the document of _id ...", NULL with an exception. */
static PyObject *describe(PyObject *document) {
    PyObject *id = PyMapping_GetItemString(document, "_id"), *text;

    if (id == NULL) {
        PyErr_Clear();
        return PyUnicode_FromString("a document");
    }
    text = PyUnicode_FromFormat("the document of _id %R", id);
    Py_DECREF(id);
    return text;
}

/* Adds the document to the specs, or complains. -1 with an exception. */
static int take_document(struct diag_manager *manager, PyObject *specs, PyObject *now_told,
                         PyObject *document) {
    PyObject *id_field = manager->store.id_field, *type = NULL, *text = NULL, *subject;
    PyObject *id = PyObject_GetItem(document, id_field);
    int outcome = -1;

    if (id == NULL && !PyErr_ExceptionMatches(PyExc_KeyError))
        return -1;
    PyErr_Clear();
    subject = describe(document);
    if (subject == NULL)
        goto done;
    if (id == NULL) {
        type = PyExc_LookupError;
        text = PyUnicode_FromFormat("%U: missing in %U", id_field, subject);
    } else if (PyObject_Hash(id) == -1) {
        PyErr_Clear();
        type = PyExc_TypeError;
        text = PyUnicode_FromFormat("%U: must be a plain value, not %s, in %U", id_field,
                                    Py_TYPE(id)->tp_name, subject);
    } else if (PyDict_GetItemWithError(specs, id) != NULL) {
        type = PyExc_ValueError;
        text = PyUnicode_FromFormat("%U: %R, of %U, is that of an earlier document", id_field, id,
                                    subject);
    } else {
        outcome = PyErr_Occurred() ? -1 : PyDict_SetItem(specs, id, document);
    }
    if (text != NULL)
        outcome = complain(manager, now_told, type, text);
done:
    Py_XDECREF(id);
    Py_XDECREF(subject);
    Py_XDECREF(text);
    return outcome;
}

/* The property `specs`. */
static PyObject *find_specs(PyObject *self, void *Py_UNUSED(closure)) {
    struct diag_manager *manager = diag_manager_of(self);
    PyObject *specs, *now_told, *cursor, *iterator = NULL, *document, *proxy = NULL;

    if (manager->store.collection == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "specs: __init__ was not called with a collection");
        return NULL;
    }
    specs = PyDict_New();
    now_told = PyDict_New();
    cursor = PyObject_CallMethod(manager->store.collection, "find", NULL);
    if (specs != NULL && now_told != NULL && cursor != NULL)
        iterator = PyObject_GetIter(cursor);
    while (iterator != NULL && (document = PyIter_Next(iterator)) != NULL) {
        if (take_document(manager, specs, now_told, document) < 0)
            Py_CLEAR(iterator);
        Py_DECREF(document);
    }
    if (iterator != NULL && !PyErr_Occurred()) {
        Py_XSETREF(manager->store.told, Py_NewRef(now_told));
        proxy = PyDictProxy_New(specs);
    }
    Py_XDECREF(specs);
    Py_XDECREF(now_told);
    Py_XDECREF(cursor);
    Py_XDECREF(iterator);
    return proxy;
}

/* "applied.host:12", with "_" for the dots of the process id; NULL with an exception. */
static PyObject *field_of_process(PyObject *self) {
    PyObject *process_id = PyObject_GetAttrString(self, "process_id"), *field = NULL, *key;

    if (process_id == NULL)
        return NULL;
    key = PyObject_CallMethod(process_id, "replace", "ss", ".", "_");
    Py_DECREF(process_id);
    if (key != NULL)
        field = PyUnicode_FromFormat("applied.%S", key);
    Py_XDECREF(key);
    return field;
}

PyDoc_STRVAR(
    mark_doc,
    "mark($self, id, lastmodified, error=None)\n--\n\n"
    "As that of InstrumentManager; sets the field \"applied.PROCESS_ID\", with \"_\" for dots in\n"
    "the process id, by update_one.");

static PyObject *mark(PyObject *self, PyObject *args, PyObject *kwargs) {
    static char id_keyword[] = "id", lastmodified_keyword[] = "lastmodified",
                error_keyword[] = "error";
    static char *keywords[] = {id_keyword, lastmodified_keyword, error_keyword, NULL};
    struct diag_manager *manager = diag_manager_of(self);
    PyObject *id, *lastmodified, *error = Py_None, *field, *filter, *update, *result = NULL;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|O:mark", keywords, &id, &lastmodified,
                                     &error))
        return NULL;
    if (manager->store.collection == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "mark: __init__ was not called with a collection");
        return NULL;
    }
    field = field_of_process(self);
    if (field == NULL)
        return NULL;
    filter = Py_BuildValue("{O:O}", manager->store.id_field, id);
    update = Py_BuildValue("{s:{O:{s:O,s:O}}}", "$set", field, "lm", lastmodified, "err", error);
    if (filter != NULL && update != NULL)
        result = PyObject_CallMethod(manager->store.collection, "update_one", "OO", filter, update);
    Py_DECREF(field);
    Py_XDECREF(filter);
    Py_XDECREF(update);
    if (result == NULL)
        return NULL;
    Py_DECREF(result);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"mark", (PyCFunction)(void (*)(void))mark, METH_VARARGS | METH_KEYWORDS, mark_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"specs", find_specs, NULL,
     "What collection.find() gives, as a read-only mapping of id -> document: a query each time. "
     "A\n"
     "document without an id, or with that of an earlier one, is left out, and goes to "
     "handle_error.",
     NULL},
    {"process_id", diag_manager_get_process_id, set_process_id,
     "str: as that of InstrumentManager; \"_\" takes the place of its dots in `applied`.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(
    mongodb_doc,
    "MongoDBInstrumentManager(process_id, collection, id_field=\"id\")\n--\n\n"
    "An InstrumentManager whose specs are the documents of a MongoDB collection: whoever edits\n"
    "them has every process follow at its next apply(), which is one find(), and an update_one\n"
    "for each spec whose `applied` does not say yet what came of it here. If the collection\n"
    "raises, that goes to handle_error, and what is applied stays in place.\n\n"
    "process_id: str, or None for \"host:pid\" of the moment; neither \"$\" at its beginning nor\n"
    "    a NUL.\n"
    "collection: pymongo's Collection, or whatever has its find() and update_one(filter,\n"
    "    update).\n"
    "id_field: str, the field that tells specs apart.\n\n"
    "Raises TypeError or ValueError that names the argument.");

int diag_manager_mongodb_add_to(PyObject *module, PyObject *manager_type) {
    PyType_Slot slots[] = {
        {Py_tp_doc, (void *)(uintptr_t)mongodb_doc},
        {Py_tp_init, DIAG_PY_SLOT(mongodb_init)},
        {Py_tp_methods, methods},
        {Py_tp_getset, properties},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "diagnose.managers.MongoDBInstrumentManager",
        .basicsize = sizeof(struct diag_manager),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = slots,
    };
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, manager_type);
    int outcome = type == NULL ? -1 : PyModule_AddType(module, (PyTypeObject *)type);

    Py_XDECREF(type);
    return outcome;
}
