/* SPDX-License-Identifier: MIT */
/* How it works: tp_traverse of every object in the collector's lists tells how often it refers to
 * the one that is looked for. Those that do are noted first, as replacing may move objects between
 * the lists; then each is searched in its own way, and what is not found there counts as left. */
#include "inproc/engine/c_referrers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <structmember.h>

#include "inproc/engine/heap.h"

struct referrer {
    PyObject *object; /* owned */
    size_t count;     /* of its references */
    bool is_dict_changed;
};

struct search {
    PyObject *from;
    PyObject *to;
    const PyObject *keeper;
    size_t found; /* in the object at hand */
    struct referrer *referrers;
    size_t count, capacity;
};

static int count_reference(PyObject *object, void *context) {
    struct search *search = context;

    search->found += object == search->from;
    return 0;
}

static bool note(struct search *search, PyObject *object) {
    if (search->count == search->capacity) {
        size_t capacity = search->capacity == 0 ? 64 : search->capacity * 2;
        struct referrer *referrers = realloc(search->referrers, capacity * sizeof *referrers);

        if (referrers == NULL)
            return false;
        search->referrers = referrers;
        search->capacity = capacity;
    }
    search->referrers[search->count++] =
        (struct referrer){.object = Py_NewRef(object), .count = search->found};
    return true;
}

static bool note_if_referrer(void *context, PyObject *object) {
    struct search *search = context;

    if (object == search->keeper || object == search->from)
        return true;
    search->found = 0;
    Py_TYPE(object)->tp_traverse(object, count_reference, search);
    return search->found == 0 || note(search, object);
}

/* One reference that is not counted elsewhere. */
static size_t replace_at(const struct search *search, PyObject **at) {
    if (*at != search->from)
        return 0;
    *at = Py_NewRef(search->to);
    Py_DECREF(search->from); /* the caller has one, too */
    return 1;
}

static size_t replace_items(const struct search *search, PyObject **items, Py_ssize_t count) {
    size_t replaced = 0;

    for (Py_ssize_t i = 0; i < count; i++)
        replaced += replace_at(search, &items[i]);
    return replaced;
}

static size_t replace_in_dict(const struct search *search, PyObject *dict) {
    PyObject *key, *value;
    Py_ssize_t position = 0;
    size_t replaced = 0;

    while (PyDict_Next(dict, &position, &key, &value)) {
        if (value != search->from)
            continue;
        if (_PyDict_SetItem_KnownHash(dict, key, search->to,
                                      diag_py_dict_key_hash(dict, key, position)) == 0)
            replaced++;
        else
            PyErr_Clear();
    }
    return replaced;
}

/* Attributes that the class has reserved room for: __slots__. */
static size_t replace_in_slots(const struct search *search, PyObject *object) {
    size_t replaced = 0;

    for (PyTypeObject *type = Py_TYPE(object); type != NULL; type = type->tp_base) {
        if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE))
            continue;
        for (PyMemberDef *member = diag_py_type_members(type);
             member != NULL && member->name != NULL; member++)
            if (member->type == T_OBJECT_EX || member->type == T_OBJECT)
                replaced +=
                    replace_at(search, (PyObject **)(void *)((char *)object + member->offset));
    }
    return replaced;
}

/* Types in C whose references to callables all lie in the object itself. */
static bool is_plain(PyTypeObject *type) {
    return type == &PyMethod_Type || type == &PyStaticMethod_Type || type == &PyClassMethod_Type ||
           type == &PyProperty_Type || type == &PyCell_Type || type == &PyFunction_Type ||
           strcmp(type->tp_name, "functools.partial") == 0;
}

static size_t replace_in(const struct search *search, struct referrer *referrer) {
    PyObject *object = referrer->object;
    PyTypeObject *type = Py_TYPE(object);
    size_t replaced = 0;

    if (PyDict_Check(object)) {
        replaced = replace_in_dict(search, object);
        referrer->is_dict_changed = replaced > 0;
        return replaced;
    }
    if (PyType_Check(object) || PyModule_Check(object) || PyFrame_Check(object) ||
        PyGen_Check(object) || PyCoro_CheckExact(object) || PyAsyncGen_CheckExact(object))
        return 0; /* a class or module's own are in its dict */
    if (PyList_Check(object))
        replaced =
            replace_items(search, ((PyListObject *)object)->ob_item, PyList_GET_SIZE(object));
    else if (PyTuple_Check(object))
        replaced =
            replace_items(search, ((PyTupleObject *)object)->ob_item, PyTuple_GET_SIZE(object));
    else if (is_plain(type))
        replaced = replace_items(search, (PyObject **)(void *)(object + 1),
                                 (type->tp_basicsize - (Py_ssize_t)sizeof *object) /
                                     (Py_ssize_t)sizeof object);
    else
        replaced = replace_in_slots(search, object);
    if (replaced < referrer->count && diag_py_inline_values(object) != NULL) {
        PyObject *dict = diag_py_instance_dict(object);

        replaced += dict == NULL ? 0 : replace_in_dict(search, dict);
    }
    return replaced;
}

/* Tells classes whose dicts were changed, all subclasses of `type` included. */
static void tell_types(const struct search *search, PyTypeObject *type) {
    PyObject *dict = diag_py_type_dict(type);
    PyObject *subclasses =
        PyObject_CallMethod((PyObject *)&PyType_Type, "__subclasses__", "O", type);

    for (size_t i = 0; i < search->count; i++)
        if (search->referrers[i].is_dict_changed && search->referrers[i].object == dict)
            PyType_Modified(type);
    for (Py_ssize_t i = 0; subclasses != NULL && i < PyList_GET_SIZE(subclasses); i++) {
        PyTypeObject *subclass = (PyTypeObject *)PyList_GET_ITEM(subclasses, i);

        if (subclass->tp_base == type) /* each once */
            tell_types(search, subclass);
    }
    PyErr_Clear();
    Py_XDECREF(subclasses);
}

static void add_left(struct diag_c_replaced *out, PyObject *object, size_t count) {
    const char *name = Py_TYPE(object)->tp_name;
    size_t used = strlen(out->left_in);

    if (count == 0)
        return;
    out->left_count += count;
    if (strstr(out->left_in, name) == NULL)
        snprintf(out->left_in + used, sizeof out->left_in - used, "%s%s", used == 0 ? "" : ", ",
                 name);
}

enum diag_status diag_c_referrers_replace(PyObject *from, PyObject *to, const PyObject *keeper,
                                          struct diag_c_replaced *out, struct diag_error *err) {
    struct search search = {.from = from, .to = to, .keeper = keeper};
    struct diag_c_replaced done = {.reference_count = 0};
    bool are_all_known = diag_heap_each(note_if_referrer, &search), has_changed_dict = false;

    for (size_t i = 0; i < search.count && are_all_known; i++) {
        struct referrer *referrer = &search.referrers[i];
        size_t replaced = replace_in(&search, referrer);

        done.reference_count += replaced;
        has_changed_dict |= referrer->is_dict_changed;
        add_left(&done, referrer->object,
                 replaced < referrer->count ? referrer->count - replaced : 0);
    }
    if (has_changed_dict)
        tell_types(&search, &PyBaseObject_Type);
    for (size_t i = 0; i < search.count; i++)
        Py_DECREF(search.referrers[i].object);
    free(search.referrers);
    if (!are_all_known)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "referrers");
    *out = done;
    return DIAG_OK;
}
