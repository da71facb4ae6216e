/* SPDX-License-Identifier: MIT */
#include "inproc/library/instrument.h"

#include <string.h>

#include "inproc/library/binding.h"
#include "inproc/library/decorator.h"
#include "inproc/library/expiry.h"
#include "inproc/library/instrument_fields.h"
#include "inproc/library/instrument_methods.h"

#if PY_VERSION_HEX < 0x030C0000
#define Py_T_PYSSIZET T_PYSSIZET
#define Py_READONLY READONLY
#endif

PyObject *diag_instrument_manager(const struct diag_instrument_object *instrument) {
    const struct diag_library *library = instrument->library;
    PyObject *manager = instrument->manager;

    if (manager == NULL || manager == Py_None) {
        manager =
            PyDict_GetItemWithError(library->package_globals, library->names[DIAG_NAME_MANAGER]);
        if (manager == NULL)
            PyErr_Clear();
    }
    return manager == NULL ? Py_None : manager;
}

PyObject *diag_instrument_tags(const struct diag_instrument_object *instrument) {
    PyObject *tags;

    if (instrument->custom == NULL)
        return NULL;
    tags = PyDict_GetItemWithError(instrument->custom, instrument->library->names[DIAG_NAME_TAGS]);
    if (tags == NULL)
        PyErr_Clear();
    if (tags == Py_None ||
        (tags != NULL && PyUnicode_Check(tags) && PyUnicode_GET_LENGTH(tags) == 0))
        return NULL;
    return tags;
}

bool diag_instrument_alters(struct diag_instrument_object *instrument) {
    PyObject *alters =
        _PyType_Lookup(Py_TYPE(instrument), instrument->library->names[DIAG_NAME_ALTERS]);

    return alters != NULL && PyObject_IsTrue(alters) > 0;
}

bool diag_instrument_check(struct diag_library *library, PyObject *key, PyObject *object) {
    if (!PyObject_TypeCheck(object, library->instrument_type)) {
        PyErr_Format(PyExc_TypeError, "instruments[%R]: must be an Instrument, not %.200s", key,
                     Py_TYPE(object)->tp_name);
        return false;
    }
    if (!((struct diag_instrument_object *)object)->is_complete) {
        PyErr_Format(PyExc_TypeError,
                     "instruments[%R]: the __init__ of %.200s has not called super().__init__()",
                     key, Py_TYPE(object)->tp_name);
        return false;
    }
    return true;
}

/* ---- construction ---- */

static PyObject *new (PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    struct diag_library *library = diag_library_of_type(type);
    PyObject *self = library == NULL ? NULL : type->tp_alloc(type, 0);

    (void)args;
    (void)kwargs;
    if (self != NULL)
        ((struct diag_instrument_object *)self)->library = diag_library_ref(library);
    return self;
}

/* Python's own messages name the argument in some versions only, or count them. */
static int check_keywords(PyObject *object, PyObject *kwargs, char *const keywords[]) {
    const char *type = Py_TYPE(object)->tp_name, *last = strrchr(type, '.');
    PyObject *key, *value;
    Py_ssize_t position = 0;

    while (kwargs != NULL && PyDict_Next(kwargs, &position, &key, &value)) {
        char *const *known = keywords;

        while (*known != NULL && PyUnicode_CompareWithASCIIString(key, *known) != 0)
            known++;
        if (*known != NULL)
            continue;
        PyErr_Format(PyExc_TypeError, "%U: is no argument of %.200s", key,
                     last == NULL ? type : last + 1);
        return -1;
    }
    return 0;
}

static int init(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char name[] = "name", value[] = "value", event[] = "event", expires[] = "expires",
                custom[] = "custom", mgr[] = "mgr", type[] = "type";
    static char *keywords[] = {name, value, event, expires, custom, mgr, type, NULL};
    struct diag_instrument_object *self = (struct diag_instrument_object *)object;
    PyObject *given[DIAG_FIELD_COUNT] = {NULL, NULL, NULL, Py_None, Py_None, Py_None};
    PyObject *ignored, *made = NULL;
    int result = 0;

    if (check_keywords(object, kwargs, keywords) < 0 ||
        !PyArg_ParseTupleAndKeywords(args, kwargs, "OO|OOOOO:Instrument", keywords, &given[0],
                                     &given[1], &given[2], &given[3], &given[4], &given[5],
                                     &ignored))
        return -1;
    if (given[DIAG_FIELD_EVENT] == NULL) {
        made = PyUnicode_FromString(diag_instrument_alters(self) ? "call" : "return");
        if (made == NULL || PyErr_Occurred()) {
            Py_XDECREF(made);
            return -1;
        }
        given[DIAG_FIELD_EVENT] = made;
    }
    for (int field = 0; result == 0 && field < DIAG_FIELD_COUNT; field++)
        result = diag_field_init(self, (enum diag_field)field, given[field]);
    Py_XDECREF(made);
    if (result < 0)
        return -1;
    self->is_complete = true;
    return diag_binding_instrument_changed(self);
}

static int traverse(PyObject *object, visitproc visit, void *arg) {
    struct diag_instrument_object *self = (struct diag_instrument_object *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->dict);
    for (int field = 0; field < DIAG_FIELD_COUNT; field++)
        Py_VISIT(diag_field_get(self, (enum diag_field)field));
    Py_VISIT(self->codes);
    Py_VISIT(self->log);
    Py_VISIT(self->library->module);
    return 0;
}

/* What is left looks as if __init__ had not run. */
static int clear(PyObject *object) {
    struct diag_instrument_object *self = (struct diag_instrument_object *)object;

    self->is_complete = false;
    Py_CLEAR(self->dict);
    Py_CLEAR(self->name);
    Py_CLEAR(self->value);
    Py_CLEAR(self->event);
    Py_CLEAR(self->expires);
    Py_CLEAR(self->custom);
    Py_CLEAR(self->manager);
    Py_CLEAR(self->codes);
    Py_CLEAR(self->log);
    return 0;
}

static void dealloc(PyObject *object) {
    struct diag_instrument_object *self = (struct diag_instrument_object *)object;
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    if (self->weak_references != NULL)
        PyObject_ClearWeakRefs(object);
    clear(object);
    diag_library_unref(self->library);
    type->tp_free(object);
    Py_DECREF(type);
}

/* ---- attributes ---- */

static const char *const field_texts[DIAG_FIELD_COUNT] = {"name",    "value",  "event",
                                                          "expires", "custom", "mgr"};

static PyObject *get_field(PyObject *object, void *closure) {
    enum diag_field field = (enum diag_field)(intptr_t)closure;
    PyObject *value = diag_field_get((struct diag_instrument_object *)object, field);

    if (value == NULL)
        PyErr_Format(PyExc_AttributeError,
                     "%s: there is none yet: the __init__ of %.200s has not called "
                     "super().__init__()",
                     field_texts[field], Py_TYPE(object)->tp_name);
    return Py_XNewRef(value);
}

/* The manager of the moment, if none was given. */
static PyObject *get_mgr(PyObject *object, void *closure) {
    (void)closure;
    return Py_NewRef(diag_instrument_manager((struct diag_instrument_object *)object));
}

/* Takes effect, or is taken back. */
static int set_field(PyObject *object, PyObject *value, void *closure) {
    enum diag_field field = (enum diag_field)(intptr_t)closure;
    struct diag_instrument_object *self = (struct diag_instrument_object *)object;
    PyObject *former, *error;
    int result;

    if (value == NULL) {
        PyErr_Format(PyExc_TypeError, "%s: cannot be deleted", field_texts[field]);
        return -1;
    }
    former = Py_XNewRef(diag_field_get(self, field));
    result = diag_field_keep(self, field, value);
    if (result == 0 && diag_binding_instrument_changed(self) < 0) {
        result = -1;
        error = diag_py_take_exception();
        if (former != NULL &&
            (diag_field_keep(self, field, former) < 0 || diag_binding_instrument_changed(self) < 0))
            PyErr_Clear(); /* the first error tells more */
        diag_py_set_exception(error);
    }
    Py_XDECREF(former);
    return result;
}

/* As Python does it, but that an attribute of the class (a default) hides none of ours. */
static int set_attribute(PyObject *object, PyObject *name, PyObject *value) {
    struct diag_instrument_object *self = (struct diag_instrument_object *)object;
    enum diag_field field = DIAG_FIELD_COUNT;

    if (!Py_IS_TYPE(object, self->library->instrument_type) && PyUnicode_Check(name))
        field = diag_field_named(self->library, name);
    if (field == DIAG_FIELD_COUNT || !diag_field_is_shadowed(self, field))
        return PyObject_GenericSetAttr(object, name, value);
    return set_field(object, value, (void *)(intptr_t)field);
}

#define FIELD(name, get, doc, field)                                                               \
    { name, get, set_field, doc, (void *)(intptr_t)(field) }

static PyGetSetDef getset[] = {
    FIELD("name", get_field, "str: what the output is called.", DIAG_FIELD_NAME),
    FIELD("value", get_field, "str: the Python expression that is evaluated at each hit.",
          DIAG_FIELD_VALUE),
    FIELD("event", get_field, "str: when it fires: 'call', 'return', 'end' or 'line:N'.",
          DIAG_FIELD_EVENT),
    FIELD("expires", get_field,
          "datetime (a naive one is UTC) after which it does not fire, or None: never ends.",
          DIAG_FIELD_EXPIRES),
    FIELD("custom", get_field, "dict: `tags` is a Python expression; the rest is for subclasses.",
          DIAG_FIELD_CUSTOM),
    FIELD("mgr", get_mgr, "The manager: the one that was given, else diagnose.manager.",
          DIAG_FIELD_MGR),
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
    {"__dictoffset__", Py_T_PYSSIZET, offsetof(struct diag_instrument_object, dict), Py_READONLY,
     NULL},
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(struct diag_instrument_object, weak_references),
     Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyObject *repr(PyObject *object) {
    struct diag_instrument_object *self = (struct diag_instrument_object *)object;
    const char *name = Py_TYPE(object)->tp_name, *last = strrchr(name, '.');
    int depth;
    PyObject *text;

    name = last == NULL ? name : last + 1;
    if (!self->is_complete)
        return PyUnicode_FromFormat("<%s without an __init__>", name);
    depth = Py_ReprEnter(object);
    if (depth != 0)
        return depth < 0 ? NULL : PyUnicode_FromFormat("%s(...)", name);
    text = PyUnicode_FromFormat("%s(name=%R, value=%R, event=%R, expires=%R, custom=%R)", name,
                                self->name, self->value, self->event, self->expires, self->custom);
    Py_ReprLeave(object);
    return text;
}

/* ---- the type ---- */

PyDoc_STRVAR(doc,
             "Instrument(name, value, event='return', expires=None, custom=None, mgr=None)\n--\n\n"
             "What a probe does at each hit. This base class does nothing yet: derive from it and\n"
             "define fire(), or use LogInstrument, HistogramInstrument, IncrementInstrument.\n\n"
             "name: str, used in the output, as that of a statsd metric.\n"
             "value: str, a Python expression.\n"
             "event: when it fires: 'call', 'return' (also when the function raises), 'end' or\n"
             "    'line:N'; 'call' by default if the class alters calls.\n"
             "expires: datetime after which it does not fire any more (naive: UTC), or None.\n"
             "custom: dict; `tags` is a Python expression for a dict or list of tags.\n"
             "mgr: the manager; None: diagnose.manager at the time of use.\n\n"
             "All of them are attributes that may be assigned at any time, with effect at once.\n"
             "Called with a function, as a decorator, it attaches itself to the function.\n\n"
             "Raises TypeError or ValueError, which begin with the name of the argument.");

int diag_instrument_add_type(struct diag_library *library, PyObject *module) {
    PyType_Slot slots[] = {
        {Py_tp_doc, (void *)doc},
        {Py_tp_new, DIAG_PY_SLOT(new)},
        {Py_tp_init, DIAG_PY_SLOT(init)},
        {Py_tp_traverse, DIAG_PY_SLOT(traverse)},
        {Py_tp_clear, DIAG_PY_SLOT(clear)},
        {Py_tp_dealloc, DIAG_PY_SLOT(dealloc)},
        {Py_tp_repr, DIAG_PY_SLOT(repr)},
        {Py_tp_call, DIAG_PY_SLOT(diag_decorator_call)},
        {Py_tp_setattro, DIAG_PY_SLOT(set_attribute)},
        {Py_tp_getset, getset},
        {Py_tp_members, members},
        {Py_tp_methods, diag_instrument_methods},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "diagnose.instruments.Instrument",
        .basicsize = sizeof(struct diag_instrument_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
        .slots = slots,
    };
    PyObject *type, *epoch = NULL;
    int result = -1;

    library->instrument_type = diag_library_add_type(library, module, &spec, NULL);
    type = (PyObject *)library->instrument_type;
    if (type != NULL)
        epoch = diag_expiry_epoch();
    if (epoch != NULL &&
        PyObject_SetAttr(type, library->names[DIAG_NAME_ERROR_EXPIRATION], epoch) == 0)
        result = PyObject_SetAttr(type, library->names[DIAG_NAME_ALTERS], Py_False);
    Py_XDECREF(epoch);
    return result;
}
