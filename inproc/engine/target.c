/* SPDX-License-Identifier: MIT */
/* How it works: the longest beginning of the path that is a module in sys.modules, then from
 * there through the dicts of modules, classes and instances. A package may hold a function of the
 * same name as a submodule, so shorter beginnings are tried as well. */
#include "inproc/engine/target.h"

#include <stdio.h>
#include <string.h>

#include "inproc/engine/describe.h"
#include "lib/spec/spec.h"

#define PARTS_MAX 64
#define UNWRAP_MAX 8 /* a staticmethod of a classmethod of ... */
#define TYPE_MAX 200

struct path {
    char text[DIAG_SPEC_TARGET_MAX + 1];
    size_t ends[PARTS_MAX]; /* where each part ends in `text` */
    size_t count;
};

static bool refuse(struct diag_target *out, const char *reason) {
    out->outcome = DIAG_TARGET_REFUSED;
    diag_error_set(&out->error, DIAG_ERR_UNSUPPORTED, 0, "target: %s", reason);
    return false;
}

static bool parse(const char *text, struct path *path, struct diag_target *out) {
    size_t size = strlen(text);

    if (size > DIAG_SPEC_TARGET_MAX)
        return refuse(out, "too long");
    if (strstr(text, "<locals>") != NULL)
        return refuse(out, "functions inside of functions (<locals>) are not supported yet");
    memcpy(path->text, text, size + 1);
    path->count = 0;
    for (size_t start = 0, i = 0; i <= size; i++) {
        if (text[i] != '.' && text[i] != '\0')
            continue;
        if (i == start)
            return refuse(out, "has an empty name in it");
        if (path->count == PARTS_MAX)
            return refuse(out, "has too many names in it");
        path->ends[path->count++] = i;
        start = i + 1;
    }
    return true;
}

/* The text of the parts [first, end), for messages and lookups. */
static const char *parts_text(const struct path *path, size_t first, size_t end,
                              char out[DIAG_SPEC_TARGET_MAX + 1]) {
    size_t start = first == 0 ? 0 : path->ends[first - 1] + 1;
    size_t size = path->ends[end - 1] - start;

    memcpy(out, path->text + start, size);
    out[size] = '\0';
    return out;
}

static PyObject *dict_item(PyObject *dict, PyObject *name) {
    PyObject *value =
        dict != NULL && PyDict_Check(dict) ? PyDict_GetItemWithError(dict, name) : NULL;

    if (value == NULL)
        PyErr_Clear();
    return value;
}

/* Borrowed: what a class or one of its bases has under `name`. */
static PyObject *class_item(PyTypeObject *type, PyObject *name) {
    PyObject *mro = type->tp_mro;

    for (Py_ssize_t i = 0; mro != NULL && i < PyTuple_GET_SIZE(mro); i++) {
        PyObject *base = PyTuple_GET_ITEM(mro, i);
        PyObject *value =
            PyType_Check(base) ? dict_item(diag_py_type_dict((PyTypeObject *)base), name) : NULL;

        if (value != NULL)
            return value;
    }
    return NULL;
}

/* A member that a built-in type keeps in its C struct; runs only that type's own code. A new
 * reference, or NULL. */
static PyObject *builtin_member(PyTypeObject *type, PyObject *object, const char *name) {
    PyObject *descriptor = PyDict_GetItemString(diag_py_type_dict(type), name), *value;

    if (descriptor == NULL || Py_TYPE(descriptor)->tp_descr_get == NULL)
        return NULL;
    value = Py_TYPE(descriptor)->tp_descr_get(descriptor, object, (PyObject *)type);
    PyErr_Clear();
    return value;
}

static bool is_a(PyObject *object, const char *module_name, const char *class_name) {
    PyObject *module = PyDict_GetItemString(PyImport_GetModuleDict(), module_name), *type;

    if (module == NULL || !PyModule_Check(module))
        return false;
    type = PyDict_GetItemString(PyModule_GetDict(module), class_name);
    return type != NULL && PyType_Check(type) && PyObject_TypeCheck(object, (PyTypeObject *)type);
}

/* What lies inside of a descriptor: the function of a static or class method, a property's
 * getter, a cached property's function. A new reference; NULL: it is no such thing. */
static PyObject *unwrap(PyObject *object) {
    if (PyObject_TypeCheck(object, &PyStaticMethod_Type))
        return builtin_member(&PyStaticMethod_Type, object, "__func__");
    if (PyObject_TypeCheck(object, &PyClassMethod_Type))
        return builtin_member(&PyClassMethod_Type, object, "__func__");
    if (PyObject_TypeCheck(object, &PyProperty_Type))
        return builtin_member(&PyProperty_Type, object, "fget");
    if (is_a(object, "functools", "cached_property")) {
        PyObject *dict = diag_py_instance_dict(object);

        return Py_XNewRef(dict == NULL ? NULL : PyDict_GetItemString(dict, "func"));
    }
    return NULL;
}

/* A new reference to the attribute, or NULL. */
static PyObject *attribute(PyObject *object, PyObject *name) {
    PyObject *value, *inner;

    if (PyModule_Check(object))
        return Py_XNewRef(dict_item(PyModule_GetDict(object), name));
    if (PyType_Check(object)) {
        value = class_item((PyTypeObject *)object, name);
        return Py_XNewRef(value != NULL ? value : class_item(Py_TYPE(object), name));
    }
    if (PyObject_TypeCheck(object, &PyProperty_Type)) {
        value = builtin_member(&PyProperty_Type, object, PyUnicode_AsUTF8(name));
        if (value != NULL)
            return value;
    }
    value = dict_item(diag_py_instance_dict(object), name);
    if (value != NULL)
        return Py_NewRef(value);
    inner = unwrap(object);
    if (inner != NULL) {
        value = PyUnicode_CompareWithASCIIString(name, "__func__") == 0 ? Py_NewRef(inner)
                                                                        : attribute(inner, name);
        Py_DECREF(inner);
        return value;
    }
    return Py_XNewRef(class_item(Py_TYPE(object), name));
}

/* True while the module's code runs. */
static bool is_being_imported(PyObject *module) {
    PyObject *spec, *dict;

    if (!PyModule_Check(module))
        return false;
    spec = PyDict_GetItemString(PyModule_GetDict(module), "__spec__");
    dict = spec == NULL ? NULL : diag_py_instance_dict(spec);
    return dict != NULL && PyDict_GetItemString(dict, "_initializing") == Py_True;
}

static void pend(struct diag_target *out, const struct path *path, size_t found, PyObject *object) {
    char owner[DIAG_SPEC_TARGET_MAX + 1], name[DIAG_SPEC_TARGET_MAX + 1];

    out->outcome = DIAG_TARGET_PENDING;
    if (found == 0) {
        diag_error_set(&out->error, DIAG_ERR_NOT_FOUND, 0, "module %s is not imported yet",
                       parts_text(path, 0, 1, name));
        return;
    }
    parts_text(path, 0, found, owner);
    if (PyModule_Check(object) && found + 1 < path->count &&
        PyDict_GetItemString(PyModule_GetDict(object), "__path__") != NULL) {
        diag_error_set(&out->error, DIAG_ERR_NOT_FOUND, 0, "module %s is not imported yet",
                       parts_text(path, 0, found + 1, name));
        return;
    }
    diag_error_set(&out->error, DIAG_ERR_NOT_FOUND, 0, "%s %s has no %s yet",
                   PyModule_Check(object) ? "module"
                   : PyType_Check(object) ? "class"
                                          : "object",
                   owner, parts_text(path, found, found + 1, name));
}

static void explain_bound_method(struct diag_target *out, PyObject *method) {
    PyObject *function = PyMethod_GET_FUNCTION(method);
    PyFunctionObject *python = (PyFunctionObject *)function;
    char module[TYPE_MAX] = "?", name[TYPE_MAX] = "?";

    if (diag_py_is_function(function)) {
        size_t size = diag_describe_str(python->func_qualname, name, sizeof name - 1, NULL);

        name[size] = '\0';
        if (python->func_module != NULL && PyUnicode_Check(python->func_module)) {
            size = diag_describe_str(python->func_module, module, sizeof module - 1, NULL);
            module[size] = '\0';
        }
    }
    diag_error_set(&out->error, DIAG_ERR_UNSUPPORTED, 0,
                   "target: is a bound method; its function is %s.%s", module, name);
}

static bool wraps_something(PyObject *object) {
    PyObject *dict = diag_py_instance_dict(object);

    return dict != NULL && PyDict_GetItemString(dict, "__wrapped__") != NULL;
}

static void explain_refusal(struct diag_target *out, const struct path *path, PyObject *object) {
    char type[TYPE_MAX];

    diag_describe_type(Py_TYPE(object), type, sizeof type);
    if (PyMethod_Check(object)) {
        out->outcome = DIAG_TARGET_REFUSED;
        explain_bound_method(out, object);
    } else if (PyModule_Check(object))
        refuse(out, "is a module, not a function");
    else if (PyType_Check(object)) {
        out->outcome = DIAG_TARGET_REFUSED;
        diag_error_set(&out->error, DIAG_ERR_UNSUPPORTED, 0,
                       "target: is a class, not a function; name a method of it, such as "
                       "%.200s.__init__",
                       path->text);
    } else if (PyCFunction_Check(object))
        refuse(out, "is a built-in function; only Python functions are supported yet");
    else if (Py_IS_TYPE(object, &PyMethodDescr_Type) ||
             Py_IS_TYPE(object, &PyClassMethodDescr_Type) ||
             Py_IS_TYPE(object, &PyWrapperDescr_Type) || Py_IS_TYPE(object, &PyGetSetDescr_Type) ||
             Py_IS_TYPE(object, &PyMemberDescr_Type))
        refuse(out, "is implemented in C; only Python functions are supported yet");
    else if (is_a(object, "functools", "partial"))
        refuse(out, "is a functools.partial object; name the function in it");
    else if (wraps_something(object)) {
        out->outcome = DIAG_TARGET_REFUSED;
        diag_error_set(&out->error, DIAG_ERR_UNSUPPORTED, 0,
                       "target: is a %s object, not a function; its function is at "
                       "%.200s.__wrapped__",
                       type, path->text);
    } else {
        out->outcome = DIAG_TARGET_REFUSED;
        diag_error_set(&out->error, DIAG_ERR_UNSUPPORTED, 0,
                       "target: is a %s object, not a Python function", type);
    }
}

static void check_function(struct diag_target *out, PyObject *function, bool is_return) {
    if (is_return && diag_py_is_generator(diag_py_code(function))) {
        refuse(out, "return of a generator function or coroutine would fire when the generator "
                    "is created; not supported yet (event: call is)");
        return;
    }
    out->outcome = DIAG_TARGET_FOUND;
    out->function = Py_NewRef(function);
    out->written = Py_NewRef(function);
    out->globals = Py_NewRef(((PyFunctionObject *)function)->func_globals);
}

void diag_target_done(struct diag_target *target) {
    Py_CLEAR(target->function);
    Py_CLEAR(target->callable);
    for (size_t i = 0; i < target->code_count; i++)
        Py_CLEAR(target->codes[i]);
    target->code_count = 0;
    Py_CLEAR(target->globals);
    Py_CLEAR(target->written);
    Py_CLEAR(target->self);
}

/* Judges what lies at the end of the path. */
static void judge(struct diag_target *out, const struct path *path, PyObject *object,
                  bool is_return) {
    PyObject *at = Py_NewRef(object);

    for (int i = 0; i < UNWRAP_MAX; i++) {
        PyObject *inner = unwrap(at);

        if (inner == NULL)
            break;
        Py_SETREF(at, inner);
    }
    if (diag_py_is_function(at))
        check_function(out, at, is_return);
    else if (at == Py_None && PyObject_TypeCheck(object, &PyProperty_Type))
        refuse(out, "is a property without a getter");
    else
        explain_refusal(out, path, at);
    Py_DECREF(at);
}

/* Walks from the module of the first `from` parts. */
static void walk(struct diag_target *out, const struct path *path, PyObject *module, size_t from,
                 bool is_return) {
    PyObject *object = Py_NewRef(module);

    for (size_t i = from; i < path->count; i++) {
        char text[DIAG_SPEC_TARGET_MAX + 1];
        PyObject *name = PyUnicode_FromString(parts_text(path, i, i + 1, text));
        PyObject *next = name == NULL ? NULL : attribute(object, name);

        Py_XDECREF(name);
        PyErr_Clear();
        if (next == NULL) {
            pend(out, path, i, object);
            Py_DECREF(object);
            return;
        }
        Py_SETREF(object, next);
    }
    judge(out, path, object, is_return);
    Py_DECREF(object);
}

void diag_target_resolve(const char *path_text, enum diag_point point, bool is_importing,
                         struct diag_target *out) {
    bool is_return = point == DIAG_POINT_RETURN, is_first = true;
    struct path path;

    memset(out, 0, sizeof *out);
    if (!parse(path_text, &path, out))
        return;
    pend(out, &path, 0, NULL);
    for (size_t count = path.count; count > 0; count--) {
        char name[DIAG_SPEC_TARGET_MAX + 1];
        PyObject *module =
            PyDict_GetItemString(PyImport_GetModuleDict(), parts_text(&path, 0, count, name));
        struct diag_target attempt = {0};

        if (module == NULL || module == Py_None)
            continue;
        if (is_importing && is_being_imported(module)) {
            if (is_first)
                diag_error_set(&out->error, DIAG_ERR_NOT_FOUND, 0, "module %s is being imported",
                               name);
            return;
        }
        walk(&attempt, &path, module, count, is_return);
        if (is_first || attempt.outcome == DIAG_TARGET_FOUND)
            *out = attempt;
        if (attempt.outcome == DIAG_TARGET_FOUND)
            return;
        is_first = false;
    }
}
