/* SPDX-License-Identifier: MIT */
/* How it works: every function of the heap whose code is of the file, and from there down into the
 * codes inside of it. A function is innermost at a line if its lines, from `def` or decorator to
 * the last one, hold the line and those of no function inside of it do. Comprehensions count as a
 * part of their function, but for lines that only they have. */
#include "inproc/engine/target_file.h"

#include <stdio.h>
#include <string.h>

#include "inproc/engine/describe.h"
#include "inproc/engine/target_code.h"
#include "inproc/engine/target_line.h"
#include "inproc/engine/target_walk.h"

#define INNER_DEPTH_MAX 100
#define FILES_SHOWN_MAX 3
#define MODULES_MAX 8 /* of one file */
#define TEXT_MAX 400

struct file_search {
    PyObject *wanted; /* str: the file as the target names it */
    int line;
    PyObject *files[FILES_SHOWN_MAX]; /* owned: the names that files which fit have, in order */
    size_t file_count;                /* of those */
    PyObject *modules[MODULES_MAX];   /* owned: the dicts of modules of such files */
    size_t module_count;
    bool has_import_in_flight; /* code of such a file still runs */
    PyObject *seen_filename;   /* borrowed, while the heap is walked */
    bool is_seen_wanted;
    struct diag_target_functions functions;
    struct diag_target_codes codes;
};

/* ---- files ---- */

static bool is_absolute(PyObject *file) {
    return PyUnicode_GET_LENGTH(file) > 0 && PyUnicode_READ_CHAR(file, 0) == '/';
}

/* True if `tail` is the end of `file`, whole names of folders only. */
static bool is_end_of(PyObject *tail, PyObject *file) {
    Py_ssize_t before = PyUnicode_GET_LENGTH(file) - PyUnicode_GET_LENGTH(tail) - 1;

    if (before < 0)
        return PyUnicode_Compare(tail, file) == 0;
    return PyUnicode_READ_CHAR(file, before) == '/' && PyUnicode_GET_LENGTH(tail) > 0 &&
           PyUnicode_Tailmatch(file, tail, 0, PY_SSIZE_T_MAX, 1) == 1;
}

static bool fits(const struct file_search *search, PyObject *filename) {
    if (is_absolute(search->wanted))
        return PyUnicode_Compare(filename, search->wanted) == 0;
    return is_end_of(search->wanted, filename);
}

/* Modules that are built into the interpreter have their file's name only in their dict. */
static bool is_frozen(PyObject *filename) {
    static const char beginning[] = "<frozen ";
    Py_ssize_t size = (Py_ssize_t)sizeof beginning - 1;

    if (PyUnicode_GET_LENGTH(filename) <= size)
        return false;
    for (Py_ssize_t i = 0; i < size; i++)
        if (PyUnicode_READ_CHAR(filename, i) != (Py_UCS4)beginning[i])
            return false;
    return true;
}

/* True for what fits, and for a relative name that may be short for the wanted file. */
static bool may_fit(void *context, PyObject *function) {
    struct file_search *search = context;
    PyObject *filename = diag_target_function_code(function)->co_filename;

    if (filename == search->seen_filename)
        return search->is_seen_wanted;
    search->seen_filename = filename;
    search->is_seen_wanted =
        fits(search, filename) || is_end_of(filename, search->wanted) || is_frozen(filename);
    return search->is_seen_wanted;
}

/* Borrowed: a module's __file__; NULL: it has none that is a str. */
static PyObject *file_of_globals(PyObject *globals) {
    PyObject *file = diag_target_dict_item(globals, "__file__");

    return file != NULL && PyUnicode_Check(file) ? file : NULL;
}

/* Borrowed: the name of the function's file if that fits, else NULL. A file that was compiled
 * under a relative name has its module's whole one. */
static PyObject *fitting_file(const struct file_search *search, PyObject *function) {
    PyObject *filename = diag_target_function_code(function)->co_filename;
    PyObject *file = file_of_globals(((PyFunctionObject *)function)->func_globals);

    if (file != NULL && fits(search, file) &&
        (is_frozen(filename) || (!is_absolute(filename) && is_end_of(filename, file))))
        return file;
    return fits(search, filename) ? filename : NULL;
}

/* Keeps the first few by name, so that messages do not depend on the heap. */
static void note_file(struct file_search *search, PyObject *file) {
    size_t at = 0;

    while (at < search->file_count && PyUnicode_Compare(search->files[at], file) < 0)
        at++;
    if (at < search->file_count && PyUnicode_Compare(search->files[at], file) == 0)
        return;
    if (at == FILES_SHOWN_MAX)
        return;
    if (search->file_count == FILES_SHOWN_MAX)
        Py_DECREF(search->files[--search->file_count]);
    memmove(&search->files[at + 1], &search->files[at],
            (search->file_count - at) * sizeof search->files[0]);
    search->files[at] = Py_NewRef(file);
    search->file_count++;
}

static void note_module(struct file_search *search, PyObject *module) {
    PyObject *globals = PyModule_GetDict(module), *file = file_of_globals(globals);

    if (file == NULL || !fits(search, file))
        return;
    note_file(search, file);
    if (diag_target_is_being_imported(module))
        search->has_import_in_flight = true;
    if (search->module_count < MODULES_MAX)
        search->modules[search->module_count++] = Py_NewRef(globals);
}

static void note_modules(struct file_search *search) {
    PyObject *modules = PyDict_Copy(PyImport_GetModuleDict()), *name, *module;
    Py_ssize_t at = 0;

    while (modules != NULL && PyDict_Next(modules, &at, &name, &module))
        if (PyModule_Check(module))
            note_module(search, module);
    Py_XDECREF(modules);
    PyErr_Clear();
}

/* True if the function is of a module as sys.modules has it, not of one that was replaced. */
static bool is_current(const struct file_search *search, PyObject *function) {
    PyObject *globals = ((PyFunctionObject *)function)->func_globals;

    for (size_t i = 0; i < search->module_count; i++)
        if (search->modules[i] == globals)
            return true;
    return false;
}

/* Moves those that are kept to the front; returns how many. */
static size_t keep(struct file_search *search, size_t count,
                   bool (*is_kept)(const struct file_search *search, PyObject *function)) {
    PyObject **items = search->functions.items;
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        PyObject *function = items[i];

        if (!is_kept(search, function))
            continue;
        items[i] = items[kept];
        items[kept++] = function;
    }
    return kept;
}

static bool is_fitting(const struct file_search *search, PyObject *function) {
    return fitting_file(search, function) != NULL;
}

/* Leaves the functions of the file. Where a module of it is loaded, those of its forerunners (and
 * of what nobody refers to any more) do not count. */
static void keep_fitting(struct file_search *search) {
    struct diag_target_functions *functions = &search->functions;
    size_t fitting = keep(search, functions->count, is_fitting);
    size_t current = keep(search, fitting, is_current);

    if (search->module_count > 0)
        fitting = current;
    while (functions->count > fitting)
        Py_DECREF(functions->items[--functions->count]);
    for (size_t i = 0; i < functions->count; i++)
        note_file(search, fitting_file(search, functions->items[i]));
}

/* ---- lines ---- */

/* Adds comprehensions of a function that have the line. */
static bool add_comprehensions(struct file_search *search, PyCodeObject *code, PyObject *globals,
                               int depth) {
    bool is_found = false;

    for (Py_ssize_t i = 0; depth > 0 && i < diag_target_constant_count(code); i++) {
        PyCodeObject *inner = diag_target_inner_code(code, i);

        if (inner == NULL || diag_target_code_kind(inner) != DIAG_TARGET_CODE_COMPREHENSION)
            continue;
        if (diag_target_has_line(inner, search->line)) {
            diag_target_codes_add(&search->codes, inner, globals);
            is_found = true;
        } else if (add_comprehensions(search, inner, globals, depth - 1))
            is_found = true;
    }
    return is_found;
}

/* Adds the innermost functions in `code`, or itself. False: none holds the line. */
static bool add_innermost(struct file_search *search, PyCodeObject *code, PyObject *globals,
                          int depth) {
    bool is_found = false;

    if (depth == 0 || !diag_target_span_has(diag_target_span(code), search->line))
        return false;
    for (Py_ssize_t i = 0; i < diag_target_constant_count(code); i++) {
        PyCodeObject *inner = diag_target_inner_code(code, i);

        if (inner != NULL && add_innermost(search, inner, globals, depth - 1))
            is_found = true;
    }
    if (is_found || diag_target_code_kind(code) != DIAG_TARGET_CODE_FUNCTION)
        return is_found;
    if (diag_target_has_line(code, search->line) ||
        !add_comprehensions(search, code, globals, INNER_DEPTH_MAX))
        diag_target_codes_add(&search->codes, code, globals);
    return true;
}

/* A decorator's or a default's lambda is not inside of its function's code, but of its lines. */
static bool is_around(PyCodeObject *outer, PyCodeObject *inner) {
    struct diag_target_span a = diag_target_span(outer), b = diag_target_span(inner);

    return a.first <= b.first && b.last <= a.last && (a.first < b.first || b.last < a.last) &&
           PyUnicode_Compare(outer->co_qualname, inner->co_qualname) != 0;
}

static void drop_outer(struct diag_target_codes *codes) {
    for (size_t i = 0; i < codes->count;) {
        bool is_outer = false;

        for (size_t j = 0; j < codes->count && !is_outer; j++)
            is_outer = is_around(codes->items[i].code, codes->items[j].code);
        if (!is_outer) {
            i++;
            continue;
        }
        Py_DECREF(codes->items[i].code);
        Py_DECREF(codes->items[i].globals);
        codes->items[i] = codes->items[--codes->count];
    }
}

/* ---- messages ---- */

static void pend(struct diag_target *out, const struct diag_target_path *path, const char *what) {
    out->outcome = DIAG_TARGET_PENDING;
    diag_error_set(&out->error, DIAG_ERR_UNAVAILABLE, 0, "file %s %s", path->text, what);
}

static void refuse_several(struct file_search *search, struct diag_target *out) {
    char text[TEXT_MAX];
    size_t size = 0;

    for (size_t i = 0; i < search->file_count && size + 3 < sizeof text; i++) {
        if (i > 0)
            size += (size_t)snprintf(text + size, sizeof text - size, ", ");
        size += diag_describe_str(search->files[i], text + size, sizeof text - size - 1, NULL);
        text[size] = '\0';
    }
    out->outcome = DIAG_TARGET_REFUSED;
    diag_error_set(&out->error, DIAG_ERR_UNSUPPORTED, 0, "target: several files have this name: %s",
                   text);
}

/* The last function before the line, or the first one behind it; NULL: none. */
static PyCodeObject *nearest_function(const struct file_search *search, bool is_before) {
    PyCodeObject *nearest = NULL;
    struct diag_target_span best = {0, 0};

    for (size_t i = 0; i < search->functions.count; i++) {
        PyCodeObject *code = diag_target_function_code(search->functions.items[i]);
        struct diag_target_span span = diag_target_span(code);

        if (is_before ? span.last >= search->line : span.first <= search->line)
            continue;
        if (nearest == NULL || (is_before ? span.last > best.last : span.first < best.first)) {
            nearest = code;
            best = span;
        }
    }
    return nearest;
}

static size_t describe_function(PyCodeObject *code, char *out, size_t capacity) {
    struct diag_target_span span = diag_target_span(code);
    size_t size = diag_describe_str(code->co_qualname, out, capacity - 1, NULL);

    size += (size_t)snprintf(out + size, capacity - size,
                             span.first == span.last ? " (line %d)" : " (lines %d to %d)",
                             span.first, span.last);
    return size;
}

static void refuse_outside(struct file_search *search, struct diag_target *out) {
    PyCodeObject *before = nearest_function(search, true);
    PyCodeObject *behind = nearest_function(search, false);
    char first[TEXT_MAX / 2] = "", second[TEXT_MAX / 2] = "";

    out->outcome = DIAG_TARGET_REFUSED;
    if (before == NULL) {
        before = behind;
        behind = NULL;
    }
    if (before == NULL) {
        diag_error_set(&out->error, DIAG_ERR_UNSUPPORTED, 0,
                       "target: line %d is outside of any function; the file has none",
                       search->line);
        return;
    }
    describe_function(before, first, sizeof first);
    if (behind != NULL)
        describe_function(behind, second, sizeof second);
    diag_error_set(&out->error, DIAG_ERR_UNSUPPORTED, 0,
                   "target: line %d is outside of any function; the nearest %s %s%s%s",
                   search->line, behind == NULL ? "is" : "are", first,
                   behind == NULL ? "" : " and ", second);
}

/* ---- all together ---- */

static void judge(struct file_search *search, const struct diag_target_path *path,
                  bool is_importing, struct diag_target *out) {
    for (size_t i = 0; i < search->functions.count; i++) {
        PyObject *function = search->functions.items[i];

        add_innermost(search, diag_target_function_code(function),
                      ((PyFunctionObject *)function)->func_globals, INNER_DEPTH_MAX);
    }
    drop_outer(&search->codes);
    if (search->file_count == 0)
        pend(out, path, "is not loaded yet");
    else if (search->file_count > 1)
        refuse_several(search, out);
    else if (search->has_import_in_flight && (is_importing || search->codes.count == 0))
        pend(out, path, "is being imported");
    else if (search->codes.count == 0)
        refuse_outside(search, out);
    else
        diag_target_codes_finish(&search->codes, out);
}

void diag_target_resolve_file(const struct diag_target_path *path, bool is_importing,
                              struct diag_target *out) {
    struct file_search search = {.line = path->line, .functions.is_wanted = may_fit};

    search.functions.context = &search;
    search.wanted = PyUnicode_FromString(path->text);
    if (search.wanted == NULL || !diag_target_functions_collect(&search.functions)) {
        PyErr_Clear();
        pend(out, path, "cannot be looked for: out of memory");
    } else {
        note_modules(&search);
        keep_fitting(&search);
        judge(&search, path, is_importing, out);
    }
    diag_target_codes_done(&search.codes);
    for (size_t i = 0; i < search.file_count; i++)
        Py_DECREF(search.files[i]);
    for (size_t i = 0; i < search.module_count; i++)
        Py_DECREF(search.modules[i]);
    diag_target_functions_done(&search.functions);
    Py_XDECREF(search.wanted);
}
