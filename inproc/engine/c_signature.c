/* SPDX-License-Identifier: MIT */
/* How it works: a documentation "get($self, key, default=None, /)\n--\n\n..." holds a signature, as
 * the interpreter itself tells it: the function's name, parameters up to ")\n--\n\n", and a `$`
 * before the one that is bound. Defaults are Python expressions: commas in their brackets and
 * texts do not count. */
#include "inproc/engine/c_signature.h"

#include <string.h>

#include "inproc/engine/c_callable.h"

#define SIGNATURE_END ")\n--\n\n"

/* The end of the parameter that begins at `text`: its comma, or `end`. */
static const char *parameter_end(const char *text, const char *end) {
    int depth = 0;
    char quote = '\0';

    for (; text < end; text++) {
        if (quote != '\0') {
            if (*text == '\\' && text + 1 < end)
                text++;
            else if (*text == quote)
                quote = '\0';
        } else if (*text == '\'' || *text == '"')
            quote = *text;
        else if (strchr("([{", *text) != NULL)
            depth++;
        else if (strchr(")]}", *text) != NULL)
            depth--;
        else if (*text == ',' && depth <= 0)
            break;
    }
    return text;
}

static int append_name(PyObject *names, const char *start, const char *end) {
    PyObject *name = PyUnicode_FromStringAndSize(start, end - start);
    int failed;

    if (name == NULL)
        return -1;
    PyUnicode_InternInPlace(&name);
    failed = PyList_Append(names, name);
    Py_DECREF(name);
    return failed;
}

/* The parameters, into `names`. */
static int parse(PyObject *names, const char *text, const char *end) {
    while (text < end) {
        const char *next = parameter_end(text, end), *name_end;

        while (text < next && strchr(" \n\t", *text) != NULL)
            text++;
        name_end = text + strcspn(text, " \n\t=:,)");
        if (name_end > next)
            name_end = next;
        if (*text == '*' && name_end > text + 1)
            return 0;
        if (name_end > text && strchr("$/*", *text) == NULL && append_name(names, text, name_end))
            return -1;
        text = next + 1;
    }
    return 0;
}

/* Most signatures do not tell in a way of their own what the `self` is called. */
static int append_self(PyObject *names, const char *text) {
    static const char otherwise[] = "self";

    if (*text != '$')
        return append_name(names, otherwise, otherwise + sizeof otherwise - 1);
    return append_name(names, text + 1, text + 1 + strcspn(text + 1, " \n\t=:,)"));
}

static PyObject *names_of_documentation(const PyMethodDef *definition, bool has_self) {
    const char *text = definition->ml_doc, *end;
    PyObject *names, *tuple = NULL;
    size_t name_size;

    if (text == NULL || definition->ml_name == NULL)
        return NULL;
    name_size = strlen(definition->ml_name);
    if (strncmp(text, definition->ml_name, name_size) != 0 || text[name_size] != '(')
        return NULL;
    text += name_size + 1;
    end = strstr(text, SIGNATURE_END);
    if (end == NULL)
        return NULL;
    names = PyList_New(0);
    if (names != NULL && (!has_self || append_self(names, text) == 0) &&
        parse(names, text, end) == 0)
        tuple = PyList_AsTuple(names);
    Py_XDECREF(names);
    return tuple;
}

/* A method has its `self` among the arguments or apart from them: its name is the first anyway. */
static PyObject *names_of_code(PyObject *function) {
    PyObject *object = PyObject_GetAttrString(function, "__code__"), *variables, *names = NULL;

    if (object != NULL && PyCode_Check(object)) {
        PyCodeObject *code = (PyCodeObject *)object;
        int count = code->co_argcount;

        if (!(code->co_flags & CO_VARARGS))
            count += code->co_kwonlyargcount;
        variables = PyCode_GetVarnames(code);
        if (variables != NULL && PyTuple_GET_SIZE(variables) >= count)
            names = PyTuple_GetSlice(variables, 0, count);
        Py_XDECREF(variables);
    }
    Py_XDECREF(object);
    return names;
}

/* The function that a wrapper in C (functools.lru_cache) says that it wraps; NULL: none. */
static PyObject *wrapped_function(PyObject *callable) {
    PyObject *name = PyUnicode_InternFromString("__wrapped__"), *wrapped;

    if (name == NULL)
        return NULL;
    wrapped = diag_py_instance_item(callable, name);
    Py_DECREF(name);
    return wrapped != NULL && diag_py_is_function(wrapped) ? wrapped : NULL;
}

PyObject *diag_c_signature(PyObject *callable, bool has_self) {
    PyMethodDef *definition = diag_c_definition(callable);
    PyObject *names = NULL, *wrapped;

    if (diag_c_is_cython(callable))
        names = names_of_code(callable);
    else if (definition != NULL)
        names = names_of_documentation(definition, has_self);
    else if ((wrapped = wrapped_function(callable)) != NULL)
        names = names_of_code(wrapped);
    if (names == NULL)
        PyErr_Clear();
    return names;
}
