/* SPDX-License-Identifier: MIT */
#include "inproc/engine/target_walk.h"

#include <string.h>

#define UNWRAP_MAX 8 /* a staticmethod of a classmethod of ... */
#define WRAPPED_MAX 64

void diag_target_place_done(struct diag_target_place *place) {
    Py_CLEAR(place->object);
    Py_CLEAR(place->self);
}

/* Takes over the reference to `object`. */
static bool move(struct diag_target_place *place, PyObject *object, PyObject *self) {
    if (object == NULL)
        return false;
    Py_XINCREF(self);
    Py_XSETREF(place->self, self);
    Py_SETREF(place->object, object);
    place->is_bound = false;
    return true;
}

static PyObject *dict_item(PyObject *dict, PyObject *name) {
    PyObject *value =
        dict != NULL && PyDict_Check(dict) ? PyDict_GetItemWithError(dict, name) : NULL;

    if (value == NULL)
        PyErr_Clear();
    return value;
}

/* What the compiler made of `name` (a private one: __name) inside of the class; a new reference,
 * or NULL: it is no private name. */
static PyObject *mangled(PyTypeObject *type, PyObject *name) {
    const char *text = PyUnicode_AsUTF8(name), *class_name = strrchr(type->tp_name, '.');
    size_t size = text == NULL ? 0 : strlen(text);
    PyObject *result;

    class_name = class_name == NULL ? type->tp_name : class_name + 1;
    class_name += strspn(class_name, "_");
    if (size < 3 || strncmp(text, "__", 2) != 0 || strcmp(text + size - 2, "__") == 0 ||
        *class_name == '\0')
        return NULL;
    result = PyUnicode_FromFormat("_%s%U", class_name, name);
    PyErr_Clear();
    return result;
}

/* Borrowed: what the class itself has. */
static PyObject *own_item(PyTypeObject *type, PyObject *name) {
    PyObject *dict = diag_py_type_dict(type), *value = dict_item(dict, name), *private;

    if (value != NULL)
        return value;
    private = mangled(type, name);
    if (private == NULL)
        return NULL;
    value = dict_item(dict, private);
    Py_DECREF(private);
    return value;
}

/* Borrowed: what a class or one of its bases has. */
static PyObject *class_item(PyTypeObject *type, PyObject *name) {
    PyObject *mro = type->tp_mro;

    for (Py_ssize_t i = 0; mro != NULL && i < PyTuple_GET_SIZE(mro); i++) {
        PyObject *base = PyTuple_GET_ITEM(mro, i);
        PyObject *value = PyType_Check(base) ? own_item((PyTypeObject *)base, name) : NULL;

        if (value != NULL)
            return value;
    }
    return NULL;
}

PyObject *diag_target_dict_item(PyObject *dict, const char *name) {
    PyObject *key = PyUnicode_FromString(name);
    PyObject *value = key == NULL ? NULL : dict_item(dict, key);

    Py_XDECREF(key);
    PyErr_Clear();
    return value;
}

PyObject *diag_target_class_item(PyTypeObject *type, const char *name) {
    PyObject *key = PyUnicode_FromString(name);
    PyObject *value = key == NULL ? NULL : class_item(type, key);

    Py_XDECREF(key);
    PyErr_Clear();
    return value;
}

PyObject *diag_target_instance_item(PyObject *object, const char *name) {
    PyObject *key = PyUnicode_FromString(name);
    PyObject *value = key == NULL ? NULL : diag_py_instance_item(object, key);

    Py_XDECREF(key);
    PyErr_Clear();
    return value;
}

static bool is_a(PyObject *object, const char *module_name, const char *class_name) {
    PyObject *module = diag_target_dict_item(PyImport_GetModuleDict(), module_name), *type;

    if (module == NULL || !PyModule_Check(module))
        return false;
    type = diag_target_dict_item(PyModule_GetDict(module), class_name);
    return type != NULL && PyType_Check(type) && PyObject_TypeCheck(object, (PyTypeObject *)type);
}

/* A new reference to what a slot of the object's C struct holds, or NULL. */
static PyObject *member(PyObject *object, PyObject *descriptor) {
    PyMemberDescrObject *member = (PyMemberDescrObject *)descriptor;
    PyObject *value;

    if (!PyObject_TypeCheck(object, PyDescr_TYPE(member)))
        return NULL;
    value = PyMember_GetOne((const char *)object, member->d_member);
    PyErr_Clear();
    return value;
}

static PyObject *member_named(PyObject *object, PyTypeObject *type, const char *name) {
    PyObject *descriptor = diag_target_dict_item(diag_py_type_dict(type), name);

    if (descriptor == NULL || !Py_IS_TYPE(descriptor, &PyMemberDescr_Type))
        return NULL;
    return member(object, descriptor);
}

static bool is_static_or_class_method(PyObject *object) {
    return PyObject_TypeCheck(object, &PyStaticMethod_Type) ||
           PyObject_TypeCheck(object, &PyClassMethod_Type);
}

/* Borrowed: the function that a descriptor of the standard library's keeps as a plain attribute;
 * NULL: the object is none of those. */
static PyObject *kept_function(PyObject *object) {
    static const struct {
        const char *module, *name, *attribute;
    } kinds[] = {
        {"functools", "cached_property", "func"},
        {"functools", "singledispatchmethod", "func"},
        {"functools", "partialmethod", "func"},
        {"types", "DynamicClassAttribute", "fget"}, /* enum.property is one */
    };

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(kinds); i++)
        if (is_a(object, kinds[i].module, kinds[i].name))
            return diag_target_instance_item(object, kinds[i].attribute);
    return NULL;
}

/* A new reference to what lies inside of a descriptor; NULL: it is none. */
static PyObject *inside(PyObject *object) {
    if (PyObject_TypeCheck(object, &PyStaticMethod_Type))
        return member_named(object, &PyStaticMethod_Type, "__func__");
    if (PyObject_TypeCheck(object, &PyClassMethod_Type))
        return member_named(object, &PyClassMethod_Type, "__func__");
    if (PyObject_TypeCheck(object, &PyProperty_Type))
        return member_named(object, &PyProperty_Type, "fget");
    return Py_XNewRef(kept_function(object));
}

/* Classes and modules are not instances: calls through them are not told apart. */
static PyObject *instance_or_null(PyObject *object) {
    return object == NULL || PyType_Check(object) || PyModule_Check(object) ? NULL : object;
}

/* Those call what is in them; the others bind it first. */
static bool is_property(PyObject *object) {
    return PyObject_TypeCheck(object, &PyProperty_Type) ||
           is_a(object, "functools", "cached_property") ||
           is_a(object, "types", "DynamicClassAttribute");
}

/* One descriptor less; false: the object is none. */
static bool unwrap_once(struct diag_target_place *place) {
    PyObject *object = place->object;
    PyObject *self = PyMethod_Check(object) ? instance_or_null(PyMethod_GET_SELF(object))
                     : is_static_or_class_method(object) ? NULL
                                                         : place->self;
    bool is_bound = self != NULL && (PyMethod_Check(object) || is_property(object));

    if (!move(place,
              PyMethod_Check(object) ? Py_NewRef(PyMethod_GET_FUNCTION(object)) : inside(object),
              self))
        return false;
    place->is_bound = is_bound;
    return true;
}

void diag_target_unwrap(struct diag_target_place *place) {
    for (int i = 0; i < UNWRAP_MAX && unwrap_once(place); i++)
        continue;
}

static bool is_named(PyObject *name, const char *text) {
    return PyUnicode_CompareWithASCIIString(name, text) == 0;
}

static bool is_descriptor(PyObject *object) {
    return PyMethod_Check(object) || is_static_or_class_method(object) || is_property(object) ||
           kept_function(object) != NULL;
}

/* True if the attribute is a function that gets the arguments which the object gets. */
static bool has_same_arguments(PyObject *object, PyObject *name) {
    return is_named(name, "__wrapped__") || is_property(object) ||
           (is_named(name, "func") && kept_function(object) != NULL);
}

/* What the object itself has: slots and its dict. */
static bool walk_own(struct diag_target_place *place, PyObject *of_class, PyObject *name) {
    PyObject *object = place->object;
    PyObject *self = has_same_arguments(object, name) ? place->self : NULL;

    if (of_class != NULL && Py_IS_TYPE(of_class, &PyMemberDescr_Type))
        return move(place, member(object, of_class), self);
    return move(place, Py_XNewRef(diag_py_instance_item(object, name)), self);
}

/* A method of a descriptor's function: its attributes are those of the descriptor as well. */
static bool walk_inside(struct diag_target_place *place, PyObject *name, bool is_last) {
    struct diag_target_place inner = {Py_NewRef(place->object), Py_XNewRef(place->self), false};
    bool is_found;

    diag_target_unwrap(&inner);
    is_found = !is_descriptor(inner.object) && diag_target_walk(&inner, name, is_last);
    if (is_found)
        move(place, Py_NewRef(inner.object), inner.self);
    diag_target_place_done(&inner);
    return is_found;
}

bool diag_target_walk(struct diag_target_place *place, PyObject *name, bool is_last) {
    PyObject *object = place->object, *of_class;

    if (PyModule_Check(object))
        return move(place, Py_XNewRef(dict_item(PyModule_GetDict(object), name)), NULL);
    if (PyType_Check(object)) {
        of_class = class_item((PyTypeObject *)object, name);
        if (of_class == NULL)
            of_class = class_item(Py_TYPE(object), name);
        return move(place, Py_XNewRef(of_class), NULL);
    }
    of_class = class_item(Py_TYPE(object), name);
    if (diag_py_is_function(object)) /* what its class has is no target */
        return walk_own(place, NULL, name);
    if (is_descriptor(object)) {
        if (is_named(name, "__func__") && !PyObject_TypeCheck(object, &PyProperty_Type))
            return unwrap_once(place);
        return walk_own(place, of_class, name) || walk_inside(place, name, is_last);
    }
    if (of_class == NULL || (!PyObject_TypeCheck(of_class, &PyProperty_Type) &&
                             !(is_last && is_a(of_class, "functools", "cached_property"))))
        if (walk_own(place, of_class, name))
            return true;
    if (of_class != NULL && Py_IS_TYPE(of_class, &PyMemberDescr_Type))
        return false; /* a slot without a value */
    return move(place, Py_XNewRef(of_class), object);
}

PyObject *diag_target_written(PyObject *object) {
    struct diag_target_place place = {Py_NewRef(object), NULL, false};
    const PyObject *seen[WRAPPED_MAX];
    PyObject *written = NULL;

    for (size_t count = 0; count < WRAPPED_MAX; count++) {
        PyObject *next;

        diag_target_unwrap(&place);
        for (size_t i = 0; i < count; i++)
            if (seen[i] == place.object)
                goto done;
        seen[count] = place.object;
        if (diag_py_is_function(place.object))
            Py_XSETREF(written, Py_NewRef(place.object));
        next = PyType_Check(place.object) ? NULL
                                          : diag_target_instance_item(place.object, "__wrapped__");
        if (!move(&place, Py_XNewRef(next), NULL))
            break;
    }
done:
    diag_target_place_done(&place);
    return written;
}

bool diag_target_is_being_imported(PyObject *module) {
    PyObject *spec;

    if (!PyModule_Check(module))
        return false;
    spec = diag_target_dict_item(PyModule_GetDict(module), "__spec__");
    return spec != NULL && diag_target_instance_item(spec, "_initializing") == Py_True;
}
