/* SPDX-License-Identifier: MIT */
/* How it works: what a type has to say about a name is worked out once and remembered with the
 * type's version, which changes with each attribute of the type and its bases. */
#include "inproc/engine/pure_attribute.h"

#include <structmember.h>

#define CLASS_NAME "__class__"
#define AUDITED 2 /* PY_AUDIT_READ, Py_AUDIT_READ: tells sys.addaudithook's hooks */

enum kind {
    KIND_IMPURE,
    KIND_INSTANCE,    /* in the instance, or nowhere that would not run code */
    KIND_CLASS_VALUE, /* in the instance, else the class has it */
    KIND_SLOT,        /* an object at an offset */
    KIND_MEMBER,      /* another C field */
    KIND_GETTER,      /* of those in `getters` */
    KIND_MODULE,
    KIND_CLASS, /* of a class itself */
    KIND_TYPE,  /* __class__ */
};

static bool is_named(PyObject *name, const char *text) {
    return PyUnicode_CompareWithASCIIString(name, text) == 0;
}

/* Attributes that are made by C code which is known to be harmless. */
static bool is_known_getter(PyObject *found, PyObject *name) {
    static const char *const names[] = {"args", "__traceback__", "__context__", "__cause__"};

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(names); i++)
        if (is_named(name, names[i]))
            return found == _PyType_Lookup((PyTypeObject *)PyExc_BaseException, name);
    return false;
}

static enum kind kind_of_member(PyTypeObject *type, PyObject *found, Py_ssize_t *offset) {
    const PyMemberDef *member = ((PyMemberDescrObject *)found)->d_member;

    if (!PyType_IsSubtype(type, PyDescr_TYPE(found)) || (member->flags & AUDITED))
        return KIND_IMPURE;
    *offset = member->offset;
    return member->type == T_OBJECT_EX ? KIND_SLOT : KIND_MEMBER;
}

static enum kind kind_of(PyTypeObject *type, PyObject *name, PyObject *found, Py_ssize_t *offset) {
    PyTypeObject *descriptor = found == NULL ? NULL : Py_TYPE(found);

    if (type == &PyModule_Type)
        return found == NULL ? KIND_MODULE : KIND_IMPURE;
    if (type == &PyType_Type)
        return found == NULL || is_named(name, "__name__") || is_named(name, "__qualname__")
                   ? KIND_CLASS
                   : KIND_IMPURE;
    if (type->tp_getattro != PyObject_GenericGetAttr)
        return KIND_IMPURE;
    if (found == NULL)
        return KIND_INSTANCE;
    if (descriptor->tp_descr_set == NULL)
        return descriptor->tp_descr_get == NULL ? KIND_CLASS_VALUE : KIND_INSTANCE;
    if (descriptor == &PyMemberDescr_Type)
        return kind_of_member(type, found, offset);
    if (descriptor == &PyGetSetDescr_Type && is_known_getter(found, name))
        return KIND_GETTER;
    if (is_named(name, CLASS_NAME) && found == _PyType_Lookup(&PyBaseObject_Type, name))
        return KIND_TYPE;
    return KIND_IMPURE;
}

/* True if looking up a name in the type and its bases compares texts only. */
static bool has_only_text_keys(PyTypeObject *type) {
    PyObject *bases = type->tp_mro;

    if (bases == NULL)
        return false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(bases); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(bases, i);

        if ((base->tp_flags & Py_TPFLAGS_HEAPTYPE) &&
            !diag_py_dict_has_only_text_keys(base->tp_dict))
            return false;
    }
    return true;
}

static __attribute__((noinline)) void fill(struct diag_pure_attribute *cache, PyTypeObject *type,
                                           PyObject *name) {
    bool is_safe = has_only_text_keys(type);
    PyObject *found = is_safe ? _PyType_Lookup(type, name) : NULL;

    cache->index = 0;
    cache->kind = is_safe ? kind_of(type, name, found, &cache->index) : KIND_IMPURE;
    cache->found = found;
    cache->type = type;
    cache->version = diag_py_type_version(type);
}

/* Borrowed: the dict of an instance that has no inline values, or NULL. */
static PyObject *dict_of(PyObject *object) {
    PyObject **dict = _PyObject_GetDictPtr(object);

    return dict == NULL ? NULL : *dict;
}

/* Borrowed, or NULL: the instance does not have it, or may not. */
static PyObject *instance_value(struct diag_pure_attribute *cache, PyObject *name,
                                PyObject *object) {
    PyDictValues *values = diag_py_inline_values(object);
    PyObject *dict, *value;

    if (values != NULL) {
        PyDictKeysObject *keys = ((PyHeapTypeObject *)Py_TYPE(object))->ht_cached_keys;
        PyDictUnicodeEntry *entries = DK_UNICODE_ENTRIES(keys);

        if (cache->index < keys->dk_nentries && entries[cache->index].me_key == name)
            return values->values[cache->index];
        for (Py_ssize_t i = 0; i < keys->dk_nentries; i++)
            if (entries[i].me_key == name) {
                cache->index = i;
                return values->values[i];
            }
        return NULL;
    }
    dict = dict_of(object);
    if (dict == NULL || !diag_py_dict_has_only_text_keys(dict))
        return NULL;
    value = PyDict_GetItemWithError(dict, name);
    if (value == NULL)
        PyErr_Clear();
    return value;
}

/* True if it is certain that the instance does not have it, where instance_value gave NULL. The
 * keys of inline values are interned, as `name` is. */
static bool is_absent(PyObject *object) {
    PyObject *dict = diag_py_inline_values(object) != NULL ? NULL : dict_of(object);

    return dict == NULL || diag_py_dict_has_only_text_keys(dict);
}

static struct diag_operand module_value(PyObject *name, PyObject *module) {
    PyObject *dict = PyModule_GetDict(module), *value;

    if (!diag_py_dict_has_only_text_keys(dict))
        return diag_operand_borrowed(NULL);
    value = PyDict_GetItemWithError(dict, name);
    if (value == NULL)
        PyErr_Clear();
    return diag_operand_borrowed(value);
}

static struct diag_operand class_value(PyObject *name, PyObject *found_in_type, PyObject *object) {
    PyTypeObject *type = (PyTypeObject *)object;
    PyObject *value;

    if (found_in_type != NULL)
        return diag_operand_made(is_named(name, "__name__") ? PyType_GetName(type)
                                                            : PyType_GetQualName(type));
    value = has_only_text_keys(type) ? _PyType_Lookup(type, name) : NULL;
    if (value == NULL || Py_TYPE(value)->tp_descr_get != NULL)
        return diag_operand_borrowed(NULL);
    return diag_operand_borrowed(value);
}

static struct diag_operand getter_value(PyObject *found, PyObject *object) {
    const PyGetSetDef *definition = ((PyGetSetDescrObject *)found)->d_getset;

    return diag_operand_made(definition->get(object, definition->closure));
}

struct diag_operand diag_pure_attribute_get(struct diag_pure_attribute *cache, PyObject *name,
                                            PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    PyObject *value;

    if (DIAG_UNLIKELY(cache->type != type || cache->version == 0 ||
                      cache->version != diag_py_type_version(type)))
        fill(cache, type, name);
    switch ((enum kind)cache->kind) {
    case KIND_INSTANCE:
        if (cache->found != NULL && Py_TYPE(cache->found)->tp_descr_set != NULL)
            break; /* its own type has changed */
        return diag_operand_borrowed(instance_value(cache, name, object));
    case KIND_CLASS_VALUE:
        if (Py_TYPE(cache->found)->tp_descr_get != NULL ||
            Py_TYPE(cache->found)->tp_descr_set != NULL)
            break;
        value = instance_value(cache, name, object);
        if (value == NULL && is_absent(object))
            value = cache->found;
        return diag_operand_borrowed(value);
    case KIND_SLOT:
        return diag_operand_borrowed(*(PyObject **)((char *)object + cache->index));
    case KIND_MEMBER:
        return diag_operand_made(
            PyMember_GetOne((const char *)object, ((PyMemberDescrObject *)cache->found)->d_member));
    case KIND_GETTER:
        return getter_value(cache->found, object);
    case KIND_MODULE:
        return module_value(name, object);
    case KIND_CLASS:
        return class_value(name, cache->found, object);
    case KIND_TYPE:
        return diag_operand_borrowed((PyObject *)type);
    case KIND_IMPURE:
        break;
    }
    return diag_operand_borrowed(NULL);
}

bool diag_pure_has_plain_class(PyTypeObject *type) {
    PyObject *dict;

    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(type->tp_mro); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(type->tp_mro, i);

        if (!(base->tp_flags & Py_TPFLAGS_HEAPTYPE))
            continue;
        dict = base->tp_dict;
        if (!diag_py_dict_has_only_text_keys(dict) || PyDict_GetItemString(dict, CLASS_NAME))
            return false;
    }
    return true;
}
