/* SPDX-License-Identifier: MIT */
/* How it works: the text is compiled as it stands, which checks it (no statements, no await, no
 * yield). The names that its code loads from outside are looked up among the function's and the
 * context's; those found become the parameters of `lambda NAMES: (TEXT)`, made in the function's
 * globals. All other names are globals, unless the function takes **kwargs: then a call may bring
 * any of them, and such a call is evaluated in a namespace.
 *
 * Where the syntax allows, a tree does the lambda's work; the lambda takes over at the hits at
 * which the tree gives up. */
#include "inproc/engine/expression.h"

#include <stdio.h>
#include <string.h>

#include "inproc/engine/expression_names.h"
#include "inproc/engine/expression_source.h"
#include "inproc/engine/expression_tree.h"
#include "inproc/engine/interrupt.h"
#include "inproc/engine/tree_node.h"

#define ARGUMENT_BITS 64

enum form { FORM_CONSTANT, FORM_NAME, FORM_TREE, FORM_FUNCTION, FORM_NAMESPACE };

struct diag_expression {
    enum form form;
    enum diag_point point;
    unsigned needs;
    uint64_t arguments;
    struct diag_runtime *runtime;
    struct diag_expression_names names;
    PyCodeObject *target;      /* what the parameters' indices are about; NULL: implemented in C */
    int positional_count;      /* from outside, arguments below are given as they are */
    PyObject *code;            /* NAMESPACE, and for the calls with unforeseen keywords */
    PyObject *handler_globals; /* NULL: none */
    PyObject *globals;
    PyObject *function;                /* FUNCTION, TREE */
    struct diag_expression_tree *tree; /* CONSTANT, NAME, TREE */
    char *warning;                     /* NULL: none */
};

/* The parameters' values at one hit. */
struct values {
    PyObject *items[DIAG_EXPRESSION_PARAMETERS_MAX + 1]; /* from 1 on; 0 is the callee's to use */
    PyObject *owned[DIAG_EXPRESSION_PARAMETERS_MAX];     /* the same, or NULL: borrowed */
    size_t count;
    bool has_owned;
};

enum diag_status diag_expression_check(const char *text, const char *field,
                                       struct diag_error *err) {
    PyObject *code, *tree;
    enum diag_status status;

    do {
        status = diag_expression_source_compile(text, field, &code, &tree, err);
    } while (status == DIAG_ERR_UNAVAILABLE);
    diag_interrupt_deliver_soon();
    if (status == DIAG_OK) {
        Py_DECREF(code);
        Py_DECREF(tree);
    }
    return status;
}

static unsigned needs_of(enum diag_context_name context) {
    switch (context) {
    case DIAG_CONTEXT_START:
    case DIAG_CONTEXT_NOW:
        return DIAG_EXPRESSION_NEEDS_START;
    case DIAG_CONTEXT_ARGS:
    case DIAG_CONTEXT_KWARGS:
        return DIAG_EXPRESSION_NEEDS_GIVEN;
    case DIAG_CONTEXT_ACTIVE:
        return DIAG_EXPRESSION_NEEDS_ACTIVE;
    case DIAG_CONTEXT_END:
        return DIAG_EXPRESSION_NEEDS_END;
    case DIAG_CONTEXT_ELAPSED:
        return DIAG_EXPRESSION_NEEDS_ELAPSED;
    case DIAG_CONTEXT_HOTSPOTS:
        return DIAG_EXPRESSION_NEEDS_HOTSPOTS;
    case DIAG_CONTEXT_FRAME:
    case DIAG_CONTEXT_RESULT:
    case DIAG_CONTEXT_COUNT:
        break;
    }
    return 0;
}

static bool is_inside_point(enum diag_point point) {
    return point == DIAG_POINT_END || point == DIAG_POINT_LINE;
}

/* What is hard to note down at the start: the function may take items out of its **kwargs, and the
 * arguments that share the last bit cannot be told apart. */
static bool reads_what_alters(const struct diag_expression *expression) {
    PyCodeObject *code = expression->target;
    int last = code == NULL ? 0 : diag_py_argument_count(code) - 1;

    if (code == NULL)
        return false;
    if (last >= ARGUMENT_BITS - 1)
        return expression->arguments >> (ARGUMENT_BITS - 1);
    return (code->co_flags & CO_VARKEYWORDS) &&
           (expression->names.unforeseen != NULL || (expression->arguments >> last & 1));
}

/* What a hit has to bring along. */
static void sum_up(struct diag_expression *expression) {
    bool reads_all = expression->names.unforeseen != NULL || expression->form == FORM_NAMESPACE;

    for (size_t i = 0; i < expression->names.parameter_count; i++) {
        const struct diag_expression_parameter *parameter = &expression->names.parameters[i];

        if (parameter->source == DIAG_EXPRESSION_SOURCE_CONTEXT ||
            parameter->source == DIAG_EXPRESSION_SOURCE_LAST)
            expression->needs |= needs_of(parameter->context);
        if (parameter->source == DIAG_EXPRESSION_SOURCE_ARGUMENT)
            expression->arguments |= UINT64_C(1)
                                     << (parameter->index < ARGUMENT_BITS ? parameter->index
                                                                          : ARGUMENT_BITS - 1);
        if (parameter->source == DIAG_EXPRESSION_SOURCE_CONTEXT &&
            (parameter->context == DIAG_CONTEXT_ARGS || parameter->context == DIAG_CONTEXT_KWARGS ||
             parameter->context == DIAG_CONTEXT_FRAME))
            reads_all = true;
    }
    if (reads_all) {
        if (expression->form == FORM_NAMESPACE || expression->names.unforeseen != NULL)
            expression->needs |= DIAG_EXPRESSION_NEEDS_NAMESPACE;
        if (expression->form == FORM_NAMESPACE)
            expression->needs |= DIAG_EXPRESSION_NEEDS_GIVEN;
        expression->arguments = UINT64_MAX;
    }
    if (expression->point == DIAG_POINT_RETURN && reads_what_alters(expression))
        expression->needs |= DIAG_EXPRESSION_NEEDS_GIVEN;
    if (is_inside_point(expression->point)) {
        expression->needs &= ~(unsigned)DIAG_EXPRESSION_NEEDS_GIVEN;
        expression->arguments = 0;
    }
}

/* A new reference: where the expression's function looks for its globals. */
static PyObject *globals_of_function(const struct diag_expression *expression) {
    if (expression->handler_globals == NULL)
        return Py_NewRef(expression->globals);
    return diag_runtime_globals(expression->runtime, expression->handler_globals,
                                expression->globals,
                                diag_expression_names_builtins(expression->globals));
}

static int choose_form(struct diag_expression *expression, const char *text, PyObject *syntax) {
    struct diag_expression_dicts dicts = {expression->handler_globals, expression->globals, NULL};
    PyObject *names = NULL, *function_globals;

    if (expression->names.needs_namespace) {
        expression->form = FORM_NAMESPACE;
        return 0;
    }
    names = diag_expression_names_list(&expression->names);
    function_globals = globals_of_function(expression);
    if (names != NULL && function_globals != NULL)
        expression->function = diag_expression_source_function(text, names, function_globals);
    Py_XDECREF(names);
    Py_XDECREF(function_globals);
    if (expression->function == NULL)
        return -1;
    dicts.builtins = ((PyFunctionObject *)expression->function)->func_builtins;
    if (diag_expression_tree_new(syntax, &expression->names, &dicts, &expression->tree) < 0)
        return -1;
    if (expression->tree == NULL)
        expression->form = FORM_FUNCTION;
    else if (diag_expression_tree_constant(expression->tree) != NULL)
        expression->form = FORM_CONSTANT;
    else if (diag_expression_tree_parameter(expression->tree) >= 0)
        expression->form = FORM_NAME;
    else
        expression->form = FORM_TREE;
    return 0;
}

/* Of callables that are implemented in C: a namespace in which there are only builtins. */
static PyObject *globals_of(const struct diag_scope *scope) {
    if (scope->globals != NULL)
        return Py_NewRef(scope->globals);
    return Py_BuildValue("{sO}", "__builtins__", PyEval_GetBuiltins());
}

static int build(struct diag_expression *expression, const char *text, const char *field,
                 const struct diag_scope *scope, PyObject *syntax) {
    expression->point = scope->point;
    expression->target = (PyCodeObject *)Py_XNewRef((PyObject *)scope->code);
    if (scope->code != NULL && !scope->is_inside)
        expression->positional_count = scope->code->co_argcount;
    expression->handler_globals = Py_XNewRef(scope->handler_globals);
    expression->globals = globals_of(scope);
    if (expression->globals == NULL ||
        diag_expression_names_find(expression->code, expression->runtime, scope,
                                   &expression->names) < 0 ||
        choose_form(expression, text, syntax) < 0)
        return -1;
    sum_up(expression);
    if (expression->names.warning[0] != '\0' &&
        asprintf(&expression->warning, "%s: %s", field, expression->names.warning) < 0) {
        expression->warning = NULL;
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static enum diag_status make(const char *text, const char *field, struct diag_runtime *runtime,
                             const struct diag_scope *scope, struct diag_expression **out,
                             struct diag_error *err) {
    DIAG_CLEANUP(diag_expression_freep)
    struct diag_expression *expression = calloc(1, sizeof *expression);
    PyObject *syntax;
    enum diag_status status;
    int result;

    if (expression == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "%s", field);
    expression->runtime = diag_runtime_ref(runtime);
    status = diag_expression_source_compile(text, field, &expression->code, &syntax, err);
    if (status != DIAG_OK)
        return status;
    result = build(expression, text, field, scope, syntax);
    Py_DECREF(syntax);
    if (result < 0)
        return diag_expression_source_fail(field, err);
    if (expression->names.error[0] != '\0')
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "%s: %s", field, expression->names.error);
    *out = DIAG_TAKE_PTR(expression);
    return DIAG_OK;
}

enum diag_status diag_expression_new(const char *text, const char *field,
                                     struct diag_runtime *runtime, const struct diag_scope *scope,
                                     struct diag_expression **out, struct diag_error *err) {
    enum diag_status status;

    do {
        status = make(text, field, runtime, scope, out, err);
    } while (status == DIAG_ERR_UNAVAILABLE); /* one attempt more than signals came */
    diag_interrupt_deliver_soon();
    return status;
}

void diag_expression_free(struct diag_expression *expression) {
    if (expression == NULL)
        return;
    diag_expression_names_done(&expression->names);
    diag_expression_tree_free(expression->tree);
    Py_XDECREF(expression->target);
    Py_XDECREF(expression->code);
    Py_XDECREF(expression->handler_globals);
    Py_XDECREF(expression->globals);
    Py_XDECREF(expression->function);
    diag_runtime_unref(expression->runtime);
    free(expression->warning);
    free(expression);
}

unsigned diag_expression_needs(const struct diag_expression *expression) {
    return expression->needs;
}

uint64_t diag_expression_arguments(const struct diag_expression *expression) {
    return expression->arguments;
}

bool diag_expression_is_pure(const struct diag_expression *expression) {
    return expression->tree != NULL;
}

uint64_t diag_expression_fallbacks(const struct diag_expression *expression) {
    return expression->tree == NULL ? 0 : diag_expression_tree_fallbacks(expression->tree);
}

PyObject *diag_expression_constant(const struct diag_expression *expression) {
    return expression->form == FORM_CONSTANT ? diag_expression_tree_constant(expression->tree)
                                             : NULL;
}

bool diag_expression_is_elapsed(const struct diag_expression *expression) {
    const struct diag_expression_parameter *parameter = &expression->names.parameters[0];

    return expression->form == FORM_NAME && expression->names.unforeseen == NULL &&
           parameter->source == DIAG_EXPRESSION_SOURCE_CONTEXT &&
           parameter->context == DIAG_CONTEXT_ELAPSED;
}

const char *diag_expression_warning(const struct diag_expression *expression) {
    return expression->warning == NULL ? "" : expression->warning;
}

/* Each of the next three: borrowed if *owned stays NULL. */

static PyObject *argument_value(const struct diag_expression *expression,
                                const struct diag_expression_parameter *parameter,
                                const struct diag_call *call, PyObject **owned) {
    int index = parameter->index;
    PyObject *value;

    if (DIAG_UNLIKELY(call->code != expression->target)) /* the function has a new code object */
        index = diag_call_argument_index(call->code, parameter->name, index);
    if (index < 0)
        return NULL;
    value = diag_call_borrow_argument(call, index);
    if (value == NULL)
        value = *owned = diag_call_argument(call, index);
    return value;
}

static PyObject *last_value(const struct diag_expression *expression,
                            const struct diag_expression_parameter *parameter,
                            const struct diag_call *call, PyObject **owned) {
    PyObject *value = NULL;

    if (expression->handler_globals != NULL)
        value = PyDict_GetItemWithError(expression->handler_globals, parameter->name);
    if (value == NULL && !PyErr_Occurred())
        value = PyDict_GetItemWithError(call->globals, parameter->name);
    if (value == NULL && !PyErr_Occurred())
        value = PyDict_GetItemWithError(diag_call_builtins(call), parameter->name);
    if (value == NULL && !PyErr_Occurred())
        value = *owned = diag_runtime_context_value(expression->runtime, expression->point, call,
                                                    parameter->context);
    return value;
}

static inline PyObject *parameter_value(const struct diag_expression *expression,
                                        const struct diag_expression_parameter *parameter,
                                        const struct diag_call *call, PyObject **owned) {
    int index;

    switch (parameter->source) {
    case DIAG_EXPRESSION_SOURCE_ARGUMENT:
        if (DIAG_LIKELY(parameter->index < expression->positional_count &&
                        parameter->index < call->arg_count && call->code == expression->target))
            return call->args[parameter->index];
        return argument_value(expression, parameter, call, owned);
    case DIAG_EXPRESSION_SOURCE_VARIABLE:
        index = parameter->index;
        if (DIAG_UNLIKELY(call->code != expression->target))
            index = diag_call_local_index(call->code, parameter->name, index);
        return index < 0 ? NULL : diag_call_borrow_local(call, index);
    case DIAG_EXPRESSION_SOURCE_LAST:
        return last_value(expression, parameter, call, owned);
    case DIAG_EXPRESSION_SOURCE_CONTEXT:
        break;
    }
    if (parameter->context == DIAG_CONTEXT_RESULT)
        return call->result;
    return *owned = diag_runtime_context_value(expression->runtime, expression->point, call,
                                               parameter->context);
}

static inline void values_done(struct values *values) {
    if (!values->has_owned)
        return;
    for (size_t i = 0; i < values->count; i++)
        Py_XDECREF(values->owned[i]);
}

/* False: one of them is not there, or an exception is set. */
static inline bool values_fetch(struct values *values, const struct diag_expression *expression,
                                const struct diag_call *call) {
    values->count = 0;
    values->has_owned = false;
    for (size_t i = 0; i < expression->names.parameter_count; i++) {
        values->owned[i] = NULL;
        values->items[i + 1] =
            parameter_value(expression, &expression->names.parameters[i], call, &values->owned[i]);
        if (values->items[i + 1] == NULL) {
            values_done(values);
            return false;
        }
        values->has_owned |= values->owned[i] != NULL;
        values->count++;
    }
    return true;
}

static PyObject *evaluate_name(const struct diag_expression *expression,
                               const struct diag_call *call) {
    int index = diag_expression_tree_parameter(expression->tree);
    PyObject *owned = NULL;
    PyObject *value =
        parameter_value(expression, &expression->names.parameters[index], call, &owned);

    return owned != NULL ? owned : Py_XNewRef(value);
}

static PyObject *evaluate_function(const struct diag_expression *expression,
                                   struct values *values) {
    return PyObject_Vectorcall(expression->function, values->items + 1,
                               values->count | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
}

static PyObject *evaluate(const struct diag_expression *expression, const struct diag_call *call) {
    struct values values;
    PyObject *result = NULL;

    if (!values_fetch(&values, expression, call))
        return NULL;
    if (expression->form == FORM_TREE)
        result = diag_expression_tree_evaluate(expression->tree, values.items + 1);
    if (result == NULL)
        result = evaluate_function(expression, &values);
    values_done(&values);
    return result;
}

static PyObject *evaluate_in_namespace(const struct diag_expression *expression,
                                       const struct diag_call *call) {
    struct values values;
    PyObject *namespace, *result;

    if (!values_fetch(&values, expression, call)) /* as in the other forms */
        return NULL;
    values_done(&values);
    if (expression->tree != NULL)
        diag_expression_tree_count_fallback(expression->tree);
    namespace = diag_runtime_namespace(expression->runtime, expression->point, call,
                                       expression->handler_globals,
                                       expression->needs & DIAG_EXPRESSION_NEEDS_HOTSPOTS);
    if (namespace == NULL)
        return NULL;
    result = PyEval_EvalCode(expression->code, namespace, namespace);
    Py_DECREF(namespace);
    return result;
}

/* True if the call brings one of the names that the expression takes for globals. */
static bool brings_unforeseen(const struct diag_expression *expression,
                              const struct diag_call *call) {
    PyObject *names = expression->names.unforeseen;

    if (call->locals == NULL && call->kwnames == NULL)
        return false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++)
        if (diag_call_has_extra_keyword(call, PyTuple_GET_ITEM(names, i)))
            return true;
    return false;
}

bool diag_expression_is_fetch(const struct diag_expression *expression) {
    const struct diag_expression_parameter *parameter = &expression->names.parameters[0];

    if (expression->form != FORM_NAME || expression->names.unforeseen != NULL ||
        expression->names.parameter_count != 1 || expression->target == NULL)
        return false;
    switch (parameter->source) {
    case DIAG_EXPRESSION_SOURCE_CONTEXT:
        return parameter->context == DIAG_CONTEXT_RESULT;
    case DIAG_EXPRESSION_SOURCE_ARGUMENT:
        return parameter->index < expression->target->co_argcount;
    case DIAG_EXPRESSION_SOURCE_VARIABLE:
        return true;
    default:
        return false;
    }
}

PyObject *diag_expression_borrow(const struct diag_expression *expression,
                                 const struct diag_call *call) {
    const struct diag_expression_parameter *parameter = &expression->names.parameters[0];

    if (parameter->source == DIAG_EXPRESSION_SOURCE_CONTEXT)
        return call->result;
    if (DIAG_UNLIKELY(call->code != expression->target)) /* the function has a new code object */
        return NULL;
    return parameter->source == DIAG_EXPRESSION_SOURCE_VARIABLE
               ? diag_call_borrow_local(call, parameter->index)
               : diag_call_borrow_argument(call, parameter->index);
}

PyObject *diag_expression_evaluate(const struct diag_expression *expression,
                                   const struct diag_call *call) {
    if (DIAG_UNLIKELY(expression->names.unforeseen != NULL) && brings_unforeseen(expression, call))
        return evaluate_in_namespace(expression, call);
    switch (expression->form) {
    case FORM_CONSTANT:
        return Py_NewRef(diag_expression_tree_constant(expression->tree));
    case FORM_NAME:
        return evaluate_name(expression, call);
    case FORM_TREE:
    case FORM_FUNCTION:
        return evaluate(expression, call);
    case FORM_NAMESPACE:
        return evaluate_in_namespace(expression, call);
    }
    return NULL;
}
