/* SPDX-License-Identifier: MIT */
#include "inproc/engine/expression_names.h"

#include <stdio.h>
#include <string.h>

#include "inproc/engine/describe.h"

#define NAMELESS (-1)
#define NAME_TEXT_MAX 80

static bool is_inside_point(const struct diag_scope *scope) {
    return scope->point == DIAG_POINT_END || scope->point == DIAG_POINT_LINE;
}

/* Adds the names that the code and the functions in it load from outside to the set `loaded`, and
 * those that it binds by `:=` to the set `stored`. */
static int collect(PyCodeObject *code, PyObject *loaded, PyObject *stored) {
    PyObject *instructions = PyCode_GetCode(code);
    const unsigned char *bytes;
    int argument = 0, result = -1;

    if (instructions == NULL)
        return -1;
    bytes = (const unsigned char *)PyBytes_AS_STRING(instructions);
    for (Py_ssize_t i = 0; i + 1 < PyBytes_GET_SIZE(instructions); i += 2) {
        int index;

        argument = argument << 8 | bytes[i + 1];
        if (bytes[i] == EXTENDED_ARG)
            continue;
        index = diag_py_loaded_name(bytes[i], argument);
        if (index >= 0 && PySet_Add(loaded, PyTuple_GET_ITEM(code->co_names, index)) < 0)
            goto done;
        if ((bytes[i] == STORE_NAME || bytes[i] == STORE_GLOBAL) &&
            PySet_Add(stored, PyTuple_GET_ITEM(code->co_names, argument)) < 0)
            goto done;
        argument = 0;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(code->co_consts); i++) {
        PyObject *constant = PyTuple_GET_ITEM(code->co_consts, i);

        if (PyCode_Check(constant) && collect((PyCodeObject *)constant, loaded, stored) < 0)
            goto done;
    }
    result = 0;
done:
    Py_DECREF(instructions);
    return result;
}

/* True for the builtins that see all names at once. */
static bool is_all_seeing(PyObject *name) {
    static const char *const names[] = {"locals", "vars", "dir", "eval", "exec"};

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(names); i++)
        if (PyUnicode_CompareWithASCIIString(name, names[i]) == 0)
            return true;
    return false;
}

/* True if it is known what `name` is; then *out says it. */
static bool locate(const struct diag_runtime *runtime, const struct diag_scope *scope,
                   PyObject *name, struct diag_expression_parameter *out) {
    int context = diag_runtime_context_name(runtime, scope->point, name);

    out->context = context < 0 ? DIAG_CONTEXT_COUNT : (enum diag_context_name)context;
    if (is_inside_point(scope)) {
        out->index = diag_call_local_index(scope->code, name, NAMELESS);
        out->source =
            out->index >= 0 ? DIAG_EXPRESSION_SOURCE_VARIABLE : DIAG_EXPRESSION_SOURCE_LAST;
        return out->index >= 0 || context >= 0;
    }
    out->index = scope->code == NULL ? diag_call_name_index(scope->names, name, NAMELESS)
                                     : diag_call_argument_index(scope->code, name, NAMELESS);
    if (context >= 0 && (out->index < 0 || !diag_runtime_is_hidden(out->context)))
        out->source = DIAG_EXPRESSION_SOURCE_CONTEXT;
    else
        out->source = DIAG_EXPRESSION_SOURCE_ARGUMENT;
    return out->index >= 0 || context >= 0;
}

/* Sorts one name into parameters and names that a call may bring. */
static int classify(struct diag_expression_names *names, const struct diag_runtime *runtime,
                    const struct diag_scope *scope, PyObject *name, PyObject *unforeseen) {
    struct diag_expression_parameter parameter;

    if (!locate(runtime, scope, name, &parameter)) {
        if (is_all_seeing(name))
            names->needs_namespace = true;
        return PyList_Append(unforeseen, name);
    }
    if (names->parameter_count == DIAG_EXPRESSION_PARAMETERS_MAX) {
        names->needs_namespace = true;
        return 0;
    }
    parameter.name = Py_NewRef(name);
    names->parameters[names->parameter_count++] = parameter;
    return 0;
}

PyObject *diag_expression_names_builtins(PyObject *globals) {
    PyObject *builtins = globals == NULL ? NULL : PyDict_GetItemString(globals, "__builtins__");

    if (builtins != NULL && PyModule_Check(builtins))
        builtins = PyModule_GetDict(builtins);
    return builtins != NULL && PyDict_Check(builtins) ? builtins : PyEval_GetBuiltins();
}

/* True also if finding out would run code of the program. */
static bool may_have(PyObject *dict, PyObject *name) {
    return dict != NULL &&
           (!diag_py_dict_has_only_text_keys(dict) || PyDict_Contains(dict, name) != 0);
}

static void append_warning(struct diag_expression_names *names, PyObject *name) {
    char text[NAME_TEXT_MAX];
    size_t at = strlen(names->warning);

    text[diag_describe_str(name, text, sizeof text - 1, NULL)] = '\0';
    if (at == 0)
        snprintf(names->warning, sizeof names->warning, "nothing is called '%s'", text);
    else if (at + strlen(text) + sizeof " or '' yet" < sizeof names->warning)
        snprintf(names->warning + at, sizeof names->warning - at, " or '%s'", text);
}

/* True if a call may bring names that are not known beforehand. */
static bool takes_any_keyword(const struct diag_scope *scope) {
    if (is_inside_point(scope))
        return false;
    return scope->code == NULL || (scope->code->co_flags & CO_VARKEYWORDS);
}

static const char *const point_names[] = {
    [DIAG_POINT_CALL] = "call",
    [DIAG_POINT_RETURN] = "return",
    [DIAG_POINT_END] = "end",
    [DIAG_POINT_LINE] = "a line",
};

/* Names the ones that none of the globals nor the builtins have. */
static int warn(struct diag_expression_names *names, const struct diag_runtime *runtime,
                const struct diag_scope *scope, PyObject *unforeseen, PyObject *stored) {
    PyObject *builtins = diag_expression_names_builtins(scope->globals);

    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(unforeseen); i++) {
        PyObject *name = PyList_GET_ITEM(unforeseen, i);
        int is_stored = PySet_Contains(stored, name);
        const char *points = diag_runtime_points_of(runtime, name);

        if (is_stored < 0)
            return -1;
        if (is_stored || may_have(scope->handler_globals, name) || may_have(scope->globals, name) ||
            may_have(builtins, name))
            continue;
        append_warning(names, name);
        if (points != NULL && !takes_any_keyword(scope))
            snprintf(names->error, sizeof names->error, "'%s' is known at %s only, not at %s",
                     PyUnicode_AsUTF8(name), points, point_names[scope->point]);
    }
    if (names->warning[0] != '\0')
        strcat(names->warning, " yet");
    return 0;
}

int diag_expression_names_find(PyObject *code, const struct diag_runtime *runtime,
                               const struct diag_scope *scope, struct diag_expression_names *out) {
    PyObject *loaded = PySet_New(NULL), *stored = PySet_New(NULL), *unforeseen = PyList_New(0);
    PyObject *sorted = NULL;
    int result = -1;

    memset(out, 0, sizeof *out);
    if (loaded == NULL || stored == NULL || unforeseen == NULL ||
        collect((PyCodeObject *)code, loaded, stored) < 0)
        goto done;
    sorted = PySequence_List(loaded);
    if (sorted == NULL || PyList_Sort(sorted) < 0)
        goto done;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(sorted); i++)
        if (classify(out, runtime, scope, PyList_GET_ITEM(sorted, i), unforeseen) < 0)
            goto done;
    if (warn(out, runtime, scope, unforeseen, stored) < 0)
        goto done;
    if (takes_any_keyword(scope) && PyList_GET_SIZE(unforeseen) > 0) {
        out->unforeseen = PyList_AsTuple(unforeseen);
        if (out->unforeseen == NULL)
            goto done;
    }
    result = 0;
done:
    Py_XDECREF(loaded);
    Py_XDECREF(stored);
    Py_XDECREF(unforeseen);
    Py_XDECREF(sorted);
    return result;
}

void diag_expression_names_done(struct diag_expression_names *names) {
    for (size_t i = 0; i < names->parameter_count; i++)
        Py_DECREF(names->parameters[i].name);
    names->parameter_count = 0;
    Py_CLEAR(names->unforeseen);
}

int diag_expression_names_index(const struct diag_expression_names *names, PyObject *name) {
    for (size_t i = 0; i < names->parameter_count; i++)
        if (PyUnicode_Compare(names->parameters[i].name, name) == 0)
            return (int)i;
    return -1;
}

PyObject *diag_expression_names_list(const struct diag_expression_names *names) {
    PyObject *list = PyList_New((Py_ssize_t)names->parameter_count);

    for (size_t i = 0; list != NULL && i < names->parameter_count; i++)
        PyList_SET_ITEM(list, (Py_ssize_t)i, Py_NewRef(names->parameters[i].name));
    return list;
}
