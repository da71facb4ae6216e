/* SPDX-License-Identifier: MIT */
/* How it works: an inner function is a constant of the code that makes it, so it is there before
 * the first closure is. A module's own code is gone once it has run: what only that code knew
 * (lambdas, functions that a decorator or `del` has taken away) is looked for among the functions
 * of the heap, by the qualified name of their code. */
#include "inproc/engine/target_code.h"

#include <stdlib.h>
#include <string.h>

#include "inproc/engine/code_users.h"
#include "inproc/engine/describe.h"
#include "inproc/engine/expression_source.h"
#include "inproc/engine/inject.h"
#include "inproc/engine/target_walk.h"

#define NAME_MAX_SHOWN 200
#define TYPE_SCOPE "<generic parameters of "

static bool is_name(PyCodeObject *code, const char *name) {
    return PyUnicode_CompareWithASCIIString(code->co_name, name) == 0;
}

static bool begins_with(PyObject *text, const char *beginning) {
    Py_ssize_t size = (Py_ssize_t)strlen(beginning);

    if (PyUnicode_GET_LENGTH(text) < size)
        return false;
    for (Py_ssize_t i = 0; i < size; i++)
        if (PyUnicode_READ_CHAR(text, i) != (unsigned char)beginning[i])
            return false;
    return true;
}

enum diag_target_code_kind diag_target_code_kind(PyCodeObject *code) {
    if (begins_with(code->co_name, TYPE_SCOPE))
        return DIAG_TARGET_CODE_TYPE_SCOPE;
    if (!(code->co_flags & CO_OPTIMIZED))
        return DIAG_TARGET_CODE_CLASS;
    if (is_name(code, "<genexpr>") || is_name(code, "<listcomp>") || is_name(code, "<setcomp>") ||
        is_name(code, "<dictcomp>"))
        return DIAG_TARGET_CODE_COMPREHENSION;
    return DIAG_TARGET_CODE_FUNCTION;
}

PyCodeObject *diag_target_function_code(PyObject *function) {
    return diag_injection_original(diag_py_code(function));
}

PyCodeObject *diag_target_inner_code(PyCodeObject *code, Py_ssize_t index) {
    PyObject *constant = PyTuple_GET_ITEM(code->co_consts, index);

    return PyCode_Check(constant) ? diag_injection_original((PyCodeObject *)constant) : NULL;
}

/* ---- the list ---- */

void diag_target_codes_done(struct diag_target_codes *codes) {
    for (size_t i = 0; i < codes->count; i++) {
        Py_CLEAR(codes->items[i].code);
        Py_CLEAR(codes->items[i].globals);
    }
    codes->count = 0;
}

void diag_target_codes_add(struct diag_target_codes *codes, PyCodeObject *code, PyObject *globals) {
    for (size_t i = 0; i < codes->count; i++)
        if (codes->items[i].code == code && codes->items[i].globals == globals)
            return;
    if (codes->count == DIAG_TARGET_CODES_MAX) {
        codes->is_full = true;
        return;
    }
    codes->items[codes->count].code = (PyCodeObject *)Py_NewRef((PyObject *)code);
    codes->items[codes->count++].globals = Py_NewRef(globals);
}

static void module_name(PyObject *globals, char name[NAME_MAX_SHOWN]) {
    PyObject *text = diag_target_dict_item(globals, "__name__");

    if (text == NULL || !PyUnicode_Check(text))
        strcpy(name, "?");
    else
        name[diag_describe_str(text, name, NAME_MAX_SHOWN - 1, NULL)] = '\0';
}

/* A code that several dicts of globals were given to has no globals of its own. */
static bool have_one_module(const struct diag_target_codes *codes, struct diag_error *err) {
    char first[NAME_MAX_SHOWN], other[NAME_MAX_SHOWN];

    for (size_t i = 1; i < codes->count; i++) {
        if (codes->items[i].globals == codes->items[0].globals)
            continue;
        module_name(codes->items[0].globals, first);
        module_name(codes->items[i].globals, other);
        diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                       "target: is loaded more than once, as the modules %s and %s; name the "
                       "function by its module",
                       first, other);
        return false;
    }
    return true;
}

void diag_target_codes_finish(struct diag_target_codes *codes, struct diag_target *out) {
    out->outcome = DIAG_TARGET_REFUSED;
    if (codes->is_full) {
        diag_error_set(&out->error, DIAG_ERR_UNSUPPORTED, 0, "target: names more than %d functions",
                       DIAG_TARGET_CODES_MAX);
        return;
    }
    if (!have_one_module(codes, &out->error))
        return;
    out->outcome = DIAG_TARGET_FOUND;
    out->globals = Py_NewRef(codes->items[0].globals);
    for (size_t i = 0; i < codes->count; i++)
        out->codes[out->code_count++] = (PyCodeObject *)Py_NewRef((PyObject *)codes->items[i].code);
}

/* ---- by name ---- */

void diag_target_codes_search(struct diag_target_codes *codes, PyCodeObject *code,
                              PyObject *globals, const struct diag_target_path *path,
                              size_t first) {
    bool is_last = first + 1 == path->count;

    for (Py_ssize_t i = 0; i < diag_target_constant_count(code); i++) {
        PyCodeObject *inner = diag_target_inner_code(code, i);
        enum diag_target_code_kind kind;
        bool has_locals;

        if (inner == NULL)
            continue;
        kind = diag_target_code_kind(inner);
        if (kind == DIAG_TARGET_CODE_TYPE_SCOPE)
            diag_target_codes_search(codes, inner, globals, path, first);
        else if (diag_target_path_is(path, first, inner->co_name)) {
            has_locals = !is_last && diag_target_path_is_text(path, first + 1, "<locals>");
            if (is_last && kind != DIAG_TARGET_CODE_CLASS)
                diag_target_codes_add(codes, inner, globals);
            else if (kind == DIAG_TARGET_CODE_CLASS && !is_last && !has_locals)
                diag_target_codes_search(codes, inner, globals, path, first + 1);
            else if (kind != DIAG_TARGET_CODE_CLASS && has_locals && first + 2 < path->count)
                diag_target_codes_search(codes, inner, globals, path, first + 2);
        }
    }
}

/* ---- the heap ---- */

static bool collect(void *context, PyObject *function) {
    struct diag_target_functions *functions = context;

    if (diag_expression_source_is_ours(diag_py_code(function)) ||
        !functions->is_wanted(functions->context, function))
        return true;
    if (functions->count == functions->capacity) {
        size_t capacity = functions->capacity == 0 ? 64 : functions->capacity * 2;
        PyObject **items = realloc(functions->items, capacity * sizeof(PyObject *));

        if (items == NULL) {
            functions->is_out_of_memory = true;
            return false;
        }
        functions->items = items;
        functions->capacity = capacity;
    }
    functions->items[functions->count++] = Py_NewRef(function);
    return true;
}

bool diag_target_functions_collect(struct diag_target_functions *functions) {
    diag_code_users_each_function(collect, functions);
    return !functions->is_out_of_memory;
}

void diag_target_functions_done(struct diag_target_functions *functions) {
    for (size_t i = 0; i < functions->count; i++)
        Py_DECREF(functions->items[i]);
    free(functions->items);
    functions->items = NULL;
    functions->count = functions->capacity = 0;
}

static bool is_of_module(void *globals, PyObject *function) {
    return ((PyFunctionObject *)function)->func_globals == globals;
}

/* Adds the function's code, or what the path names inside of it. */
static void search_function(struct diag_target_codes *codes, PyCodeObject *code, PyObject *globals,
                            const struct diag_target_path *path, size_t module_count) {
    const char *rest = path->text + diag_target_path_start(path, module_count);
    Py_ssize_t size;
    const char *name = PyUnicode_AsUTF8AndSize(code->co_qualname, &size);

    if (name == NULL) {
        PyErr_Clear();
        return;
    }
    if (strncmp(rest, name, (size_t)size) != 0)
        return;
    if (rest[size] == '\0') {
        diag_target_codes_add(codes, code, globals);
        return;
    }
    for (size_t i = module_count + 1; i + 1 < path->count; i++)
        if (path->text + path->ends[i - 1] == rest + size &&
            diag_target_path_is_text(path, i, "<locals>"))
            diag_target_codes_search(codes, code, globals, path, i + 1);
}

bool diag_target_codes_search_heap(struct diag_target_codes *codes, PyObject *module,
                                   const struct diag_target_path *path, size_t module_count) {
    PyObject *globals = PyModule_GetDict(module);
    struct diag_target_functions functions = {.is_wanted = is_of_module, .context = globals};
    bool is_ok = diag_target_functions_collect(&functions);

    for (size_t i = 0; is_ok && i < functions.count; i++)
        search_function(codes, diag_target_function_code(functions.items[i]), globals, path,
                        module_count);
    diag_target_functions_done(&functions);
    return is_ok;
}
