/* SPDX-License-Identifier: MIT */
#include "inproc/engine/expression_source.h"

#include <ctype.h>
#include <string.h>

#include "inproc/engine/describe.h"
#include "inproc/engine/interrupt.h"
#include "lib/spec/spec.h"

#define FILE_NAME "<instrument>"

#define BRACKETS_MAX 256 /* Python itself allows 200 */

/* What lies between two brackets, for the bound of the nesting. */
struct level {
    int run;    /* operators since the last comma, `and` or `or`: those end what they apply to */
    int sticky; /* brackets, lambda, if: what follows them may contain everything else */
    bool has_lambda; /* the commas may be those of its parameters */
};

struct scanner {
    struct level levels[BRACKETS_MAX];
    int depth;
    int total, total_max;
    bool skips_strings;
};

static void count(struct scanner *scanner, int *counter) {
    (*counter)++;
    if (++scanner->total > scanner->total_max)
        scanner->total_max = scanner->total;
}

static void end_run(struct scanner *scanner) {
    struct level *level = &scanner->levels[scanner->depth];

    scanner->total -= level->run;
    level->run = 0;
}

static void open_bracket(struct scanner *scanner) {
    count(scanner, &scanner->levels[scanner->depth].run);
    scanner->levels[++scanner->depth] = (struct level){0, 0, false};
}

static void close_bracket(struct scanner *scanner) {
    struct level *level = &scanner->levels[scanner->depth];

    if (scanner->depth == 0)
        return;
    scanner->total -= level->run + level->sticky;
    scanner->depth--;
}

static const char *scan_string(const char *quote) {
    size_t width = quote[1] == quote[0] && quote[2] == quote[0] ? 3 : 1;
    const char *at = quote + width;

    for (; *at != '\0'; at++)
        if (*at == '\\' && at[1] != '\0')
            at++;
        else if (strncmp(at, quote, width) == 0)
            return at + width;
    return at;
}

static bool is_word(const char *word, size_t size, const char *keyword) {
    return strlen(keyword) == size && memcmp(word, keyword, size) == 0;
}

static const char *scan_word(struct scanner *scanner, const char *word) {
    struct level *level = &scanner->levels[scanner->depth];
    const char *end = word;
    size_t size;

    while (isalnum((unsigned char)*end) || *end == '_' || (unsigned char)*end >= 0x80)
        end++;
    size = (size_t)(end - word);
    if (is_word(word, size, "and") || is_word(word, size, "or"))
        end_run(scanner);
    else if (is_word(word, size, "lambda")) {
        level->has_lambda = true;
        count(scanner, &level->sticky);
    } else if (is_word(word, size, "if"))
        count(scanner, &level->sticky);
    else if (is_word(word, size, "not") || is_word(word, size, "in") || is_word(word, size, "is") ||
             is_word(word, size, "await") || is_word(word, size, "yield"))
        count(scanner, &level->run);
    return end;
}

/* Formatted strings contain expressions. */
static bool has_formatted_string(const char *text) {
    for (const char *at = text; *at != '\0'; at++) {
        const char *prefix = at;

        if (*at != '"' && *at != '\'')
            continue;
        while (prefix > text && isalpha((unsigned char)prefix[-1]))
            if (tolower(*--prefix) == 'f')
                return true;
    }
    return false;
}

/* An upper bound of how many operators and brackets lie inside of each other, found before the
 * compiler sees the text: its recursion has failed with MemoryError and worse. */
static int nesting(const char *text) {
    struct scanner scanner = {.skips_strings = !has_formatted_string(text)};
    const char *at = text;

    while (*at != '\0' && scanner.depth + 1 < BRACKETS_MAX) {
        if (isalnum((unsigned char)*at) || *at == '_' || (unsigned char)*at >= 0x80) {
            at = scan_word(&scanner, at);
            continue;
        }
        if (scanner.skips_strings && (*at == '"' || *at == '\'')) {
            at = scan_string(at);
            continue;
        }
        if (scanner.skips_strings && *at == '#')
            at += strcspn(at, "\n");
        else if (strchr("([{", *at) != NULL)
            open_bracket(&scanner);
        else if (strchr(")]}", *at) != NULL)
            close_bracket(&scanner);
        else if (*at == ',' && !scanner.levels[scanner.depth].has_lambda)
            end_run(&scanner);
        else if (strchr("+-*/%@&|^~<>=!.", *at) != NULL &&
                 (*at != '=' || at == text || strchr("<>=!", at[-1]) == NULL))
            count(&scanner, &scanner.levels[scanner.depth].run);
        if (*at != '\0')
            at++;
    }
    return scanner.total_max;
}

static const char *skip_indent(const char *text) {
    while (*text == ' ' || *text == '\t')
        text++;
    return text;
}

/* Puts ("ignore", None, Warning, None, 0) before the program's filters, which are left as they were
 * by unfilter_warnings: the compiler's opinion of an instrument is neither printed on the program's
 * standard error, nor told to its hooks, nor made an error of by -W error. */
static PyObject *filter_warnings(PyObject **filters) {
    PyObject *module = PyDict_GetItemString(PyImport_GetModuleDict(), "warnings");
    PyObject *item;

    *filters = module != NULL && PyModule_Check(module)
                   ? PyDict_GetItemString(PyModule_GetDict(module), "filters")
                   : NULL;
    if (*filters == NULL || !PyList_Check(*filters))
        return NULL;
    item = Py_BuildValue("(sOOOi)", "ignore", Py_None, PyExc_Warning, Py_None, 0);
    if (item == NULL || PyList_Insert(*filters, 0, item) < 0) {
        PyErr_Clear();
        Py_CLEAR(item);
        return NULL;
    }
    Py_INCREF(*filters);
    return item;
}

static void unfilter_warnings(PyObject *filters, PyObject *item) {
    PyObject *type, *value, *traceback;

    if (item == NULL)
        return;
    PyErr_Fetch(&type, &value, &traceback);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(filters); i++)
        if (PyList_GET_ITEM(filters, i) == item) {
            PyList_SetSlice(filters, i, i + 1, NULL);
            break;
        }
    Py_DECREF(filters);
    Py_DECREF(item);
    PyErr_Restore(type, value, traceback);
}

/* The line break at the end lets an error at the end of the text have a position. */
static PyObject *compile(const char *text, int flags_added) {
    PyCompilerFlags flags = {.cf_flags = PyCF_SOURCE_IS_UTF8 | flags_added,
                             .cf_feature_version = PY_MINOR_VERSION};
    PyObject *name = PyUnicode_FromString(FILE_NAME);
    PyObject *source = PyBytes_FromFormat("%s\n", text), *code = NULL;
    PyObject *filters, *filter = filter_warnings(&filters);

    if (name != NULL && source != NULL)
        code = Py_CompileStringObject(PyBytes_AS_STRING(source), name, Py_eval_input, &flags, -1);
    unfilter_warnings(filters, filter);
    Py_XDECREF(name);
    Py_XDECREF(source);
    return code;
}

enum diag_status diag_expression_source_fail(const char *field, struct diag_error *err) {
    char reason[DIAG_ERROR_MESSAGE_MAX];

    if (diag_interrupt_take(true))
        return diag_error_set(err, DIAG_ERR_UNAVAILABLE, 0, "%s: interrupted by a signal", field);
    diag_describe_exception(reason, sizeof reason);
    return diag_error_set(err, DIAG_ERR_INVALID, 0, "%s: %s", field, reason);
}

enum diag_status diag_expression_source_compile(const char *text, const char *field,
                                                PyObject **code, PyObject **tree,
                                                struct diag_error *err) {
    size_t size = strlen(text);
    PyObject *compiled, *parsed;

    if (size > DIAG_SPEC_EXPRESSION_MAX)
        return diag_error_set(err, DIAG_ERR_TOO_LARGE, 0, "%s: %zu bytes, at most %d", field, size,
                              DIAG_SPEC_EXPRESSION_MAX);
    text = skip_indent(text);
    if (*text == '\0')
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "%s: is empty", field);
    if (nesting(text) > DIAG_EXPRESSION_NESTING_MAX)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "%s: is nested too deeply: more than %d operators and brackets inside"
                              " of each other",
                              field, DIAG_EXPRESSION_NESTING_MAX);
    compiled = compile(text, 0);
    if (compiled == NULL)
        return diag_expression_source_fail(field, err);
    parsed = compile(text, PyCF_ONLY_AST);
    if (parsed == NULL) {
        Py_DECREF(compiled);
        return diag_expression_source_fail(field, err);
    }
    *code = compiled;
    *tree = parsed;
    return DIAG_OK;
}

/* The line break ends a comment at the end of the text. */
PyObject *diag_expression_source_function(const char *text, PyObject *parameters,
                                          PyObject *globals) {
    PyObject *separator = PyUnicode_FromString(", "), *joined = NULL, *source = NULL;
    PyObject *code = NULL, *function = NULL;
    const char *utf8;

    if (separator == NULL)
        goto done;
    joined = PyUnicode_Join(separator, parameters);
    if (joined == NULL)
        goto done;
    source = PyUnicode_FromFormat("lambda %U: (%s\n)", joined, skip_indent(text));
    utf8 = source == NULL ? NULL : PyUnicode_AsUTF8(source);
    if (utf8 == NULL)
        goto done;
    code = compile(utf8, 0);
    if (code != NULL)
        function = PyEval_EvalCode(code, globals, globals);
done:
    Py_XDECREF(separator);
    Py_XDECREF(joined);
    Py_XDECREF(source);
    Py_XDECREF(code);
    return function;
}

bool diag_expression_source_is_ours(PyCodeObject *code) {
    return PyUnicode_CompareWithASCIIString(code->co_filename, FILE_NAME) == 0;
}
