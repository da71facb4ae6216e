/* SPDX-License-Identifier: MIT */
/* How it works: the longest beginning of the path that is a module in sys.modules, then from
 * there through the dicts of modules, classes and instances (target_walk.c). A package may hold a
 * function of the same name as a submodule, so shorter beginnings are tried as well. What follows
 * <locals> is a constant of the function's code (target_code.c); lines of files are looked up among
 * the functions of the heap (target_file.c). */
#include "inproc/engine/target.h"

#include <string.h>

#include "inproc/engine/target_code.h"
#include "inproc/engine/target_file.h"
#include "inproc/engine/target_judge.h"
#include "inproc/engine/target_path.h"
#include "inproc/engine/target_walk.h"

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

bool diag_target_walks_heap(const char *text) {
    return strchr(text, '<') != NULL || strchr(text, ':') != NULL;
}

/* ---- not there yet ---- */

static void pend_module(struct diag_target *out, const struct diag_target_path *path,
                        size_t part_count, const char *what) {
    char name[DIAG_SPEC_TARGET_MAX + 1];

    out->outcome = DIAG_TARGET_PENDING;
    diag_error_set(&out->error, DIAG_ERR_UNAVAILABLE, 0, "module %s %s",
                   diag_target_path_text(path, 0, part_count, name), what);
}

/* `object`, to which the first `found` parts lead, has no attribute of the next one. */
static void pend_attribute(struct diag_target *out, const struct diag_target_path *path,
                           size_t found, PyObject *object) {
    char owner[DIAG_SPEC_TARGET_MAX + 1], name[DIAG_SPEC_TARGET_MAX + 1];

    if (PyModule_Check(object) && found + 1 < path->plain_count &&
        diag_target_dict_item(PyModule_GetDict(object), "__path__") != NULL) {
        pend_module(out, path, found + 1, "is not imported yet");
        return;
    }
    out->outcome = DIAG_TARGET_PENDING;
    diag_error_set(&out->error, DIAG_ERR_NOT_FOUND, 0, "%s %s has no %s yet",
                   PyModule_Check(object) ? "module"
                   : PyType_Check(object) ? "class"
                                          : "object",
                   diag_target_path_text(path, 0, found, owner),
                   diag_target_path_text(path, found, found + 1, name));
}

/* ---- functions inside of functions ---- */

/* What the path's parts behind <locals> name inside of the function at `place`. */
static void search_inside(const struct diag_target_path *path, struct diag_target_place *place,
                          struct diag_target_codes *codes) {
    size_t locals = path->plain_count;
    PyObject *written;

    if (locals + 1 >= path->count || !diag_target_path_is_text(path, locals, "<locals>"))
        return;
    written = diag_target_written(place->object);
    if (written == NULL)
        return;
    diag_target_codes_search(codes, diag_target_function_code(written),
                             ((PyFunctionObject *)written)->func_globals, path, locals + 1);
    Py_DECREF(written);
}

static void explain_missing_inner(const struct diag_target_path *path,
                                  struct diag_target_place *place, struct diag_target *out) {
    char owner[DIAG_SPEC_TARGET_MAX + 1], name[DIAG_SPEC_TARGET_MAX + 1];
    PyObject *written = diag_target_written(place->object);
    bool is_function = written != NULL;

    Py_XDECREF(written);
    diag_target_path_text(path, 0, path->plain_count, owner);
    diag_target_path_text(path, path->plain_count, path->count, name);
    if (!is_function && diag_target_path_is_text(path, path->plain_count, "<locals>")) {
        out->outcome = DIAG_TARGET_REFUSED;
        diag_error_set(&out->error, DIAG_ERR_UNSUPPORTED, 0,
                       "target: %s is no Python function, it has no functions inside of it", owner);
        return;
    }
    out->outcome = DIAG_TARGET_PENDING;
    diag_error_set(&out->error, DIAG_ERR_NOT_FOUND, 0, "%s %s has no function %s yet",
                   PyModule_Check(place->object) ? "module"
                   : PyType_Check(place->object) ? "class"
                                                 : "function",
                   owner, name);
}

/* `is_there`: `place` is what the plain parts lead to; else `out` says already why it is not. */
static void resolve_inner(const struct diag_target_path *path, PyObject *module,
                          size_t module_count, struct diag_target_place *place, bool is_there,
                          struct diag_target *out) {
    struct diag_target_codes codes = {.count = 0};
    bool is_ok = true;

    if (is_there)
        search_inside(path, place, &codes);
    if (codes.count == 0 && PyModule_Check(module))
        is_ok = diag_target_codes_search_heap(&codes, module, path, module_count);
    if (codes.count > 0)
        diag_target_codes_finish(&codes, out);
    else if (!is_ok)
        pend_module(out, path, module_count, "cannot be searched: out of memory");
    else if (is_there)
        explain_missing_inner(path, place, out);
    diag_target_codes_done(&codes);
}

/* ---- names ---- */

/* Walks from the module of the first `module_count` parts. */
static void walk(const struct diag_target_path *path, PyObject *module, size_t module_count,
                 enum diag_point point, struct diag_target *out) {
    struct diag_target_place place = {Py_NewRef(module), NULL, false};
    bool is_there = true;

    for (size_t i = module_count; is_there && i < path->plain_count; i++) {
        char text[DIAG_SPEC_TARGET_MAX + 1];
        PyObject *name = PyUnicode_FromString(diag_target_path_text(path, i, i + 1, text));

        is_there = name != NULL && diag_target_walk(&place, name, i + 1 == path->count);
        if (!is_there)
            pend_attribute(out, path, i, place.object);
        Py_XDECREF(name);
        PyErr_Clear();
    }
    if (path->plain_count < path->count)
        resolve_inner(path, module, module_count, &place, is_there, out);
    else if (is_there)
        diag_target_judge(&place, path->text, point, out);
    diag_target_place_done(&place);
}

static void resolve_names(const struct diag_target_path *path, enum diag_point point,
                          bool is_importing, struct diag_target *out) {
    bool is_first = true;

    pend_module(out, path, 1, "is not imported yet");
    for (size_t count = path->plain_count; count > 0; count--) {
        char name[DIAG_SPEC_TARGET_MAX + 1];
        PyObject *module = diag_target_dict_item(PyImport_GetModuleDict(),
                                                 diag_target_path_text(path, 0, count, name));
        struct diag_target attempt = {0};

        if (module == NULL || module == Py_None)
            continue;
        if (is_importing && diag_target_is_being_imported(module)) {
            if (is_first)
                pend_module(out, path, count, "is being imported");
            return;
        }
        Py_INCREF(module);
        walk(path, module, count, point, &attempt);
        Py_DECREF(module);
        if (is_first || attempt.outcome == DIAG_TARGET_FOUND)
            *out = attempt;
        if (attempt.outcome == DIAG_TARGET_FOUND)
            return;
        is_first = false;
    }
}

/* A message that was cut to fit must not end within a character. */
static void cut_message(struct diag_error *error) {
    size_t size = strlen(error->message), start = size;

    if (size < sizeof error->message - 1)
        return;
    while (start > 0 && ((unsigned char)error->message[start - 1] & 0xC0) == 0x80)
        start--;
    if (start > 0 && (unsigned char)error->message[start - 1] >= 0xC0)
        error->message[start - 1] = '\0';
}

void diag_target_resolve(const char *text, enum diag_point point, bool is_importing,
                         struct diag_target *out) {
    struct diag_target_path path;

    memset(out, 0, sizeof *out);
    out->outcome = DIAG_TARGET_REFUSED;
    if (diag_target_path_parse(text, &path, &out->error) != DIAG_OK)
        return;
    if (path.line != 0)
        diag_target_resolve_file(&path, is_importing, out);
    else
        resolve_names(&path, point, is_importing, out);
    if (out->outcome != DIAG_TARGET_FOUND)
        cut_message(&out->error);
}

void diag_target_resolve_object(PyObject *object, const char *text, enum diag_point point,
                                struct diag_target *out) {
    struct diag_target_place place = {Py_NewRef(object), NULL, false};

    memset(out, 0, sizeof *out);
    diag_target_judge(&place, text, point, out);
    if (out->outcome != DIAG_TARGET_FOUND)
        cut_message(&out->error);
}
