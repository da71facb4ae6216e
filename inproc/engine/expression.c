/* SPDX-License-Identifier: MIT */
/* How it works: the text is compiled as it stands, which checks it (no statements, no await, no
 * yield). The names that its code loads from outside are looked up among the context names and
 * the arguments; those found become the parameters of `lambda NAMES: (TEXT)`, made in the
 * function's globals. All other names are globals, unless the function takes **kwargs: then a
 * call may bring any of them, and such a call is evaluated in a namespace. */
#include "inproc/engine/expression.h"

#include <stdio.h>
#include <string.h>

#include "inproc/engine/describe.h"
#include "lib/spec/spec.h"

#define PARAMETERS_MAX 64
#define NAMELESS (-1)

enum form { FORM_CONSTANT, FORM_NAME, FORM_FUNCTION, FORM_NAMESPACE };

struct parameter {
    PyObject *name;
    int context;  /* enum diag_context_name, or -1: an argument */
    int argument; /* its index when the expression was compiled */
};

struct diag_expression {
    enum form form;
    unsigned needs;
    struct diag_runtime *runtime;
    PyObject *code;       /* NAMESPACE, and for the calls with unforeseen keywords */
    PyObject *constant;   /* CONSTANT */
    PyObject *function;   /* FUNCTION */
    PyObject *unforeseen; /* tuple of the names that **kwargs may bring, or NULL */
    size_t parameter_count;
    struct parameter parameters[PARAMETERS_MAX];
};

static const char *skip_indent(const char *text) {
    while (*text == ' ' || *text == '\t')
        text++;
    return text;
}

/* Puts ("ignore", None, SyntaxWarning, None, 0) before the program's filters, which are left as
 * they were by unfilter_warnings: the compiler's opinion of an instrument is neither printed on the
 * program's standard error, nor told to its hooks, nor made an error of by -W error. */
static PyObject *filter_warnings(PyObject **filters) {
    PyObject *module = PyDict_GetItemString(PyImport_GetModuleDict(), "warnings");
    PyObject *item;

    *filters = module != NULL && PyModule_Check(module)
                   ? PyDict_GetItemString(PyModule_GetDict(module), "filters")
                   : NULL;
    if (*filters == NULL || !PyList_Check(*filters))
        return NULL;
    item = Py_BuildValue("(sOOOi)", "ignore", Py_None, PyExc_SyntaxWarning, Py_None, 0);
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
static PyObject *compile(const char *text) {
    PyCompilerFlags flags = {.cf_flags = PyCF_SOURCE_IS_UTF8,
                             .cf_feature_version = PY_MINOR_VERSION};
    PyObject *name = PyUnicode_FromString("<instrument>");
    PyObject *source = PyBytes_FromFormat("%s\n", text), *code = NULL;
    PyObject *filters, *filter = filter_warnings(&filters);

    if (name != NULL && source != NULL)
        code = Py_CompileStringObject(PyBytes_AS_STRING(source), name, Py_eval_input, &flags, -1);
    unfilter_warnings(filters, filter);
    Py_XDECREF(name);
    Py_XDECREF(source);
    return code;
}

/* Turns the exception that is set into an error of `field`. */
static enum diag_status fail(const char *field, struct diag_error *err) {
    char reason[DIAG_ERROR_MESSAGE_MAX];

    diag_describe_exception(reason, sizeof reason);
    return diag_error_set(err, DIAG_ERR_INVALID, 0, "%s: %s", field, reason);
}

static enum diag_status compile_checked(const char *text, const char *field, PyObject **code,
                                        struct diag_error *err) {
    size_t size = strlen(text);
    PyObject *compiled;

    if (size > DIAG_SPEC_EXPRESSION_MAX)
        return diag_error_set(err, DIAG_ERR_TOO_LARGE, 0, "%s: %zu bytes, at most %d", field, size,
                              DIAG_SPEC_EXPRESSION_MAX);
    if (*skip_indent(text) == '\0')
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "%s: is empty", field);
    compiled = compile(skip_indent(text));
    if (compiled == NULL)
        return fail(field, err);
    *code = compiled;
    return DIAG_OK;
}

enum diag_status diag_expression_check(const char *text, const char *field,
                                       struct diag_error *err) {
    PyObject *code;
    enum diag_status status = compile_checked(text, field, &code, err);

    if (status == DIAG_OK)
        Py_DECREF(code);
    return status;
}

/* Adds to the set `names` what the code and the functions in it load from outside. */
static int collect_names(PyCodeObject *code, PyObject *names) {
    PyObject *instructions = PyCode_GetCode(code);
    const unsigned char *bytes;
    int argument = 0;

    if (instructions == NULL)
        return -1;
    bytes = (const unsigned char *)PyBytes_AS_STRING(instructions);
    for (Py_ssize_t i = 0; i + 1 < PyBytes_GET_SIZE(instructions); i += 2) {
        int index;

        argument = argument << 8 | bytes[i + 1];
        if (bytes[i] == EXTENDED_ARG)
            continue;
        index = diag_py_loaded_name(bytes[i], argument);
        argument = 0;
        if (index >= 0 && PySet_Add(names, PyTuple_GET_ITEM(code->co_names, index)) < 0) {
            Py_DECREF(instructions);
            return -1;
        }
    }
    Py_DECREF(instructions);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(code->co_consts); i++) {
        PyObject *constant = PyTuple_GET_ITEM(code->co_consts, i);

        if (PyCode_Check(constant) && collect_names((PyCodeObject *)constant, names) < 0)
            return -1;
    }
    return 0;
}

/* True for the builtins that see all names at once. */
static bool is_all_seeing(PyObject *name) {
    static const char *const names[] = {"locals", "vars", "dir", "eval", "exec"};

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(names); i++)
        if (PyUnicode_CompareWithASCIIString(name, names[i]) == 0)
            return true;
    return false;
}

/* Sorts one name into parameters and names that a call may bring. */
static int classify_name(struct diag_expression *expression, PyCodeObject *code, PyObject *name,
                         bool is_return, PyObject *unforeseen) {
    int argument = diag_call_argument_index(code, name, NAMELESS);
    int context = diag_runtime_context_name(expression->runtime, name);
    struct parameter *parameter;

    if (context >= DIAG_CONTEXT_RESULT ? !is_return : argument >= 0)
        context = NAMELESS;
    if (context < 0 && argument < 0) {
        if (is_all_seeing(name))
            expression->form = FORM_NAMESPACE;
        return PyList_Append(unforeseen, name);
    }
    if (expression->parameter_count == PARAMETERS_MAX) {
        expression->form = FORM_NAMESPACE;
        return 0;
    }
    parameter = &expression->parameters[expression->parameter_count++];
    parameter->name = Py_NewRef(name);
    parameter->context = context;
    parameter->argument = argument;
    if (context == DIAG_CONTEXT_START || context == DIAG_CONTEXT_NOW)
        expression->needs |= DIAG_EXPRESSION_NEEDS_START;
    if (context == DIAG_CONTEXT_ELAPSED)
        expression->needs |= DIAG_EXPRESSION_NEEDS_ELAPSED;
    return 0;
}

static int classify_names(struct diag_expression *expression, PyCodeObject *target,
                          bool is_return) {
    PyObject *names = PySet_New(NULL), *sorted = NULL, *unforeseen = PyList_New(0);
    int result = -1;

    if (names == NULL || unforeseen == NULL ||
        collect_names((PyCodeObject *)expression->code, names) < 0)
        goto done;
    sorted = PySequence_List(names);
    if (sorted == NULL || PyList_Sort(sorted) < 0)
        goto done;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(sorted); i++)
        if (classify_name(expression, target, PyList_GET_ITEM(sorted, i), is_return, unforeseen) <
            0)
            goto done;
    if ((target->co_flags & CO_VARKEYWORDS) && PyList_GET_SIZE(unforeseen) > 0) {
        expression->unforeseen = PyList_AsTuple(unforeseen);
        if (expression->unforeseen == NULL)
            goto done;
        /* A call may need the namespace, which has every name. */
        expression->needs |= DIAG_EXPRESSION_NEEDS_START | DIAG_EXPRESSION_NEEDS_ELAPSED;
    }
    result = 0;
done:
    Py_XDECREF(names);
    Py_XDECREF(sorted);
    Py_XDECREF(unforeseen);
    return result;
}

/* Makes the parameter function. The line break ends a comment at the end of the text. */
static int make_function(struct diag_expression *expression, const char *text, PyObject *globals) {
    PyObject *names = PyList_New(0), *separator = PyUnicode_FromString(", ");
    PyObject *joined = NULL, *source = NULL, *code = NULL;
    const char *utf8;

    for (size_t i = 0; names != NULL && i < expression->parameter_count; i++)
        if (PyList_Append(names, expression->parameters[i].name) < 0)
            goto done;
    if (names == NULL || separator == NULL)
        goto done;
    joined = PyUnicode_Join(separator, names);
    if (joined == NULL)
        goto done;
    source = PyUnicode_FromFormat("lambda %U: (%s\n)", joined, text);
    utf8 = source == NULL ? NULL : PyUnicode_AsUTF8(source);
    if (utf8 == NULL)
        goto done;
    code = compile(utf8);
    if (code != NULL)
        expression->function = PyEval_EvalCode(code, globals, globals);
done:
    Py_XDECREF(names);
    Py_XDECREF(separator);
    Py_XDECREF(joined);
    Py_XDECREF(source);
    Py_XDECREF(code);
    return expression->function == NULL ? -1 : 0;
}

/* If the code is nothing but `load X; return`: the load's opcode and argument. */
static bool is_single_load(PyCodeObject *code, int *opcode, int *argument) {
    PyObject *instructions = PyCode_GetCode(code);
    const unsigned char *bytes;
    int loads = 0, others = 0;

    if (instructions == NULL) {
        PyErr_Clear();
        return false;
    }
    bytes = (const unsigned char *)PyBytes_AS_STRING(instructions);
    for (Py_ssize_t i = 0; i + 1 < PyBytes_GET_SIZE(instructions); i += 2) {
        if (bytes[i] == LOAD_CONST || bytes[i] == LOAD_NAME) {
            loads++;
            *opcode = bytes[i];
            *argument = bytes[i + 1];
        } else if (bytes[i] != RESUME && bytes[i] != RETURN_VALUE && bytes[i] != CACHE)
            others++;
    }
    Py_DECREF(instructions);
    return loads == 1 && others == 0;
}

static int build(struct diag_expression *expression, const char *text,
                 const struct diag_scope *scope) {
    PyCodeObject *code = (PyCodeObject *)expression->code;
    bool is_simple;
    int opcode = 0, argument = 0;

    expression->form = FORM_FUNCTION;
    if (classify_names(expression, scope->code, scope->point == DIAG_POINT_RETURN) < 0)
        return -1;
    is_simple = is_single_load(code, &opcode, &argument);
    if (is_simple && opcode == LOAD_CONST) {
        expression->form = FORM_CONSTANT;
        expression->constant = Py_NewRef(PyTuple_GET_ITEM(code->co_consts, argument));
    } else if (is_simple && expression->parameter_count == 1)
        expression->form = FORM_NAME;
    if (expression->form == FORM_NAMESPACE)
        expression->needs |= DIAG_EXPRESSION_NEEDS_START | DIAG_EXPRESSION_NEEDS_ELAPSED;
    if (expression->form != FORM_FUNCTION)
        return 0;
    return make_function(expression, skip_indent(text), scope->globals);
}

enum diag_status diag_expression_new(const char *text, const char *field,
                                     struct diag_runtime *runtime, const struct diag_scope *scope,
                                     struct diag_expression **out, struct diag_error *err) {
    DIAG_CLEANUP(diag_expression_freep)
    struct diag_expression *expression = calloc(1, sizeof *expression);
    enum diag_status status;

    if (expression == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "%s", field);
    expression->runtime = diag_runtime_ref(runtime);
    status = compile_checked(text, field, &expression->code, err);
    if (status != DIAG_OK)
        return status;
    if (build(expression, text, scope) < 0)
        return fail(field, err);
    *out = DIAG_TAKE_PTR(expression);
    return DIAG_OK;
}

void diag_expression_free(struct diag_expression *expression) {
    if (expression == NULL)
        return;
    for (size_t i = 0; i < expression->parameter_count; i++)
        Py_DECREF(expression->parameters[i].name);
    Py_XDECREF(expression->code);
    Py_XDECREF(expression->constant);
    Py_XDECREF(expression->function);
    Py_XDECREF(expression->unforeseen);
    diag_runtime_unref(expression->runtime);
    free(expression);
}

unsigned diag_expression_needs(const struct diag_expression *expression) {
    return expression->needs;
}

bool diag_expression_is_elapsed(const struct diag_expression *expression) {
    return expression->form == FORM_NAME && expression->unforeseen == NULL &&
           expression->parameters[0].context == DIAG_CONTEXT_ELAPSED;
}

static PyObject *parameter_value(const struct diag_expression *expression,
                                 const struct parameter *parameter, const struct diag_call *call) {
    int index;

    if (parameter->context >= 0)
        return diag_runtime_context_value(expression->runtime, call,
                                          (enum diag_context_name)parameter->context);
    index = diag_call_argument_index(call->code, parameter->name, parameter->argument);
    return index < 0 ? NULL : diag_call_argument(call, index);
}

static PyObject *call_function(const struct diag_expression *expression,
                               const struct diag_call *call) {
    PyObject *values[PARAMETERS_MAX + 1], *result = NULL;
    size_t count = 0;

    for (; count < expression->parameter_count; count++) {
        values[count + 1] = parameter_value(expression, &expression->parameters[count], call);
        if (values[count + 1] == NULL)
            goto done;
    }
    result = PyObject_Vectorcall(expression->function, values + 1,
                                 count | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
done:
    for (size_t i = 0; i < count; i++)
        Py_DECREF(values[i + 1]);
    return result;
}

static PyObject *evaluate_in_namespace(const struct diag_expression *expression,
                                       const struct diag_call *call) {
    PyObject *namespace, *result;

    for (size_t i = 0; i < expression->parameter_count; i++) {
        PyObject *value = parameter_value(expression, &expression->parameters[i], call);

        if (value == NULL)
            return NULL;
        Py_DECREF(value);
    }
    namespace = diag_runtime_namespace(expression->runtime, call);
    if (namespace == NULL)
        return NULL;
    result = PyEval_EvalCode(expression->code, namespace, namespace);
    Py_DECREF(namespace);
    return result;
}

/* True if the call brings one of the names that the expression takes for globals. */
static bool brings_unforeseen(const struct diag_expression *expression,
                              const struct diag_call *call) {
    for (Py_ssize_t i = 0; i < diag_call_keyword_count(call); i++) {
        PyObject *keyword = PyTuple_GET_ITEM(call->kwnames, i);

        for (Py_ssize_t j = 0; j < PyTuple_GET_SIZE(expression->unforeseen); j++)
            if (PyUnicode_Compare(keyword, PyTuple_GET_ITEM(expression->unforeseen, j)) == 0)
                return true;
    }
    return false;
}

PyObject *diag_expression_evaluate(const struct diag_expression *expression,
                                   const struct diag_call *call) {
    if (DIAG_UNLIKELY(expression->unforeseen != NULL) && call->kwnames != NULL &&
        brings_unforeseen(expression, call))
        return evaluate_in_namespace(expression, call);
    switch (expression->form) {
    case FORM_CONSTANT:
        return Py_NewRef(expression->constant);
    case FORM_NAME:
        return parameter_value(expression, &expression->parameters[0], call);
    case FORM_FUNCTION:
        return call_function(expression, call);
    case FORM_NAMESPACE:
        return evaluate_in_namespace(expression, call);
    }
    return NULL;
}
