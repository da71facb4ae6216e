/* SPDX-License-Identifier: MIT */
#include "inproc/engine/target_judge.h"

#include <string.h>

#include "inproc/engine/describe.h"

#define TYPE_MAX 200
#define PATH_SHOWN_MAX 200

static void refuse(struct diag_target *out, const char *reason) {
    out->outcome = DIAG_TARGET_REFUSED;
    diag_error_set(&out->error, DIAG_ERR_UNSUPPORTED, 0, "target: %s", reason);
}

/* ---- refusals ---- */

/* How much of a path is shown: whole characters. */
static int shown_size(const char *text) {
    size_t size = strlen(text);

    if (size <= PATH_SHOWN_MAX)
        return (int)size;
    for (size = PATH_SHOWN_MAX; size > 0 && ((unsigned char)text[size] & 0xC0) == 0x80;)
        size--;
    return (int)size;
}

/* True if the class (or a base) has a method of this name that is written in Python. */
static bool has_python_method(PyTypeObject *type, const char *name) {
    PyObject *item = diag_target_class_item(type, name);
    struct diag_target_place place = {Py_XNewRef(item), NULL, false};
    bool has_it = false;

    if (item != NULL) {
        diag_target_unwrap(&place);
        has_it = diag_py_is_function(place.object);
    }
    diag_target_place_done(&place);
    return has_it;
}

static void refuse_class(struct diag_target *out, PyTypeObject *type, const char *text) {
    const char *method = has_python_method(type, "__init__")  ? "__init__"
                         : has_python_method(type, "__new__") ? "__new__"
                                                              : NULL;

    out->outcome = DIAG_TARGET_REFUSED;
    if (method == NULL)
        diag_error_set(&out->error, DIAG_ERR_UNSUPPORTED, 0,
                       "target: is a class, not a function; name a method of it (%.*s has no "
                       "__init__ and no __new__ in Python)",
                       shown_size(text), text);
    else
        diag_error_set(&out->error, DIAG_ERR_UNSUPPORTED, 0,
                       "target: is a class, not a function; name a method of it, such as "
                       "%.*s.%s",
                       shown_size(text), text, method);
}

static void refuse_type(struct diag_target *out, PyObject *object, const char *format) {
    char type[TYPE_MAX], reason[2 * TYPE_MAX];

    diag_describe_type(Py_TYPE(object), type, sizeof type);
    PyOS_snprintf(reason, sizeof reason, format, type);
    refuse(out, reason);
}

static void refuse_none(struct diag_target *out, PyObject *object, const char *text) {
    const char *last = strrchr(text, '.');

    if (last != NULL && strcmp(last, ".fset") == 0)
        refuse(out, "is a property without a setter");
    else if (last != NULL && strcmp(last, ".fdel") == 0)
        refuse(out, "is a property without a deleter");
    else if (last != NULL && strcmp(last, ".fget") == 0)
        refuse(out, "is a property without a getter");
    else
        refuse_type(out, object, "is a %s object, which has no __call__");
}

static void refuse_uncallable(struct diag_target *out, PyObject *object, const char *text) {
    char type[TYPE_MAX];

    if (object == Py_None) {
        refuse_none(out, object, text);
        return;
    }
    if (diag_target_instance_item(object, "__wrapped__") == NULL) {
        refuse_type(out, object, "is a %s object, which has no __call__");
        out->error.status = DIAG_ERR_INVALID;
        return;
    }
    diag_describe_type(Py_TYPE(object), type, sizeof type);
    out->outcome = DIAG_TARGET_REFUSED;
    diag_error_set(&out->error, DIAG_ERR_INVALID, 0,
                   "target: is a %s object, which has no __call__; the function that it wraps is "
                   "at %.*s.__wrapped__",
                   type, shown_size(text), text);
}

/* x.__add__ of a type in C. Its type is not exported. */
static bool is_method_wrapper(PyObject *object) {
    return strcmp(Py_TYPE(object)->tp_name, "method-wrapper") == 0;
}

/* What looks callable but is not how calls are made, or no callable at all. NULL: neither. */
static const char *reason_against(PyObject *object) {
    if (PyModule_Check(object))
        return "is a module, not a function";
    if (Py_IS_TYPE(object, &PyWrapperDescr_Type) || is_method_wrapper(object))
        return "is a slot of a type in C: operators and constructors reach it without a call";
    if (Py_IS_TYPE(object, &PyGetSetDescr_Type) || Py_IS_TYPE(object, &PyMemberDescr_Type))
        return "is an attribute that is kept in C, not a function";
    return NULL;
}

/* ---- what is found ---- */

static bool is_inside(enum diag_point point) {
    return point == DIAG_POINT_END || point == DIAG_POINT_LINE;
}

static void find_globals(struct diag_target *out, enum diag_point point) {
    PyObject *function = is_inside(point) || out->function == NULL ? out->written : out->function;

    if (function != NULL)
        out->globals = Py_NewRef(((PyFunctionObject *)function)->func_globals);
}

/* `outer`: where the chain of __wrapped__ begins. */
static void found_function(struct diag_target *out, PyObject *function, PyObject *outer,
                           PyObject *self, enum diag_point point) {
    out->outcome = DIAG_TARGET_FOUND;
    out->function = Py_NewRef(function);
    if (outer != function)
        out->written = diag_target_written(outer);
    /* whoever wraps a function by an instance calls it without that instance */
    if (out->written == NULL || !is_inside(point))
        out->self = Py_XNewRef(self);
    if (out->written == NULL)
        out->written = diag_target_written(function);
    find_globals(out, point);
}

static void found_callable(struct diag_target *out, PyObject *callable, PyObject *self,
                           enum diag_point point) {
    out->written = diag_target_written(callable);
    if (is_inside(point) && out->written == NULL) {
        refuse(out, "is implemented in C: it has no lines or variables to look at");
        return;
    }
    out->outcome = DIAG_TARGET_FOUND;
    out->callable = Py_NewRef(callable);
    out->self = Py_XNewRef(self);
    find_globals(out, point);
}

/* Not Cython's, which are bound to themselves. */
static bool is_builtin_function(PyObject *object) {
    return Py_IS_TYPE(object, &PyCFunction_Type) || Py_IS_TYPE(object, &PyCMethod_Type);
}

/* Built-in functions and methods: `self` is what they were bound to, or found through. */
static void found_builtin(struct diag_target *out, PyObject *object, PyObject *self,
                          enum diag_point point) {
    if (is_builtin_function(object)) {
        self = PyCFunction_GET_SELF(object);
        if (self != NULL && (PyModule_Check(self) || PyType_Check(self)))
            self = NULL;
    } else if (Py_IS_TYPE(object, &PyClassMethodDescr_Type))
        self = NULL;
    found_callable(out, object, self, point);
}

/* True if an instance binds the object as it does a function: calls get the instance first. */
static bool binds_like_function(PyObject *object) {
    return (Py_TYPE(object)->tp_flags & Py_TPFLAGS_METHOD_DESCRIPTOR) != 0 ||
           strcmp(Py_TYPE(object)->tp_name, "cython_function_or_method") == 0;
}

/* An object whose class may have a __call__. */
static void judge_instance(struct diag_target *out, struct diag_target_place *place,
                           const char *text, enum diag_point point) {
    PyObject *object = place->object;
    PyObject *item = diag_target_class_item(Py_TYPE(object), "__call__");
    bool is_bound = place->is_bound || binds_like_function(object);
    struct diag_target_place call = {Py_XNewRef(item), Py_NewRef(object), false};

    if (place->self != NULL && !is_bound && Py_TYPE(object)->tp_descr_get != NULL) {
        refuse_type(out, object,
                    "is a %s object, which instances bind in a way of its own; name it by its "
                    "class");
    } else if (item == NULL || Py_TYPE(object)->tp_call == NULL) {
        refuse_uncallable(out, object, text);
    } else {
        diag_target_unwrap(&call);
        if (diag_py_is_function(call.object))
            found_function(out, call.object, object, call.self, point);
        else if (Py_IS_TYPE(call.object, &PyWrapperDescr_Type))
            found_callable(out, object, is_bound ? place->self : NULL, point);
        else
            refuse_type(out, object, "is a %s object whose __call__ is no Python function");
    }
    diag_target_place_done(&call);
}

void diag_target_judge(struct diag_target_place *place, const char *text, enum diag_point point,
                       struct diag_target *out) {
    bool is_property = PyObject_TypeCheck(place->object, &PyProperty_Type);
    PyObject *object;

    diag_target_unwrap(place);
    object = place->object;
    if (diag_py_is_function(object))
        found_function(out, object, object, place->self, point);
    else if (is_property && object == Py_None)
        refuse(out, "is a property without a getter");
    else if (PyType_Check(object))
        refuse_class(out, (PyTypeObject *)object, text);
    else if (reason_against(object) != NULL) {
        refuse(out, reason_against(object));
        if (PyModule_Check(object))
            out->error.status = DIAG_ERR_INVALID;
    } else if (is_builtin_function(object) || Py_IS_TYPE(object, &PyMethodDescr_Type) ||
               Py_IS_TYPE(object, &PyClassMethodDescr_Type))
        found_builtin(out, object, place->self, point);
    else
        judge_instance(out, place, text, point);
    diag_target_place_done(place);
}
