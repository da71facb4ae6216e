/* SPDX-License-Identifier: MIT */
#include "inproc/engine/tree_node.h"

#include "inproc/engine/pure_value.h"

#define NOTHING diag_operand_borrowed(NULL)

static struct diag_operand truth(int value) {
    return diag_operand_borrowed(value < 0 ? NULL : value ? Py_True : Py_False);
}

struct diag_operand diag_node_constant(struct diag_node *node, PyObject *const *values) {
    (void)values;
    return diag_operand_borrowed(node->object);
}

struct diag_operand diag_node_parameter(struct diag_node *node, PyObject *const *values) {
    return diag_operand_borrowed(values[node->operation]);
}

/* Borrowed, or NULL. */
static PyObject *find_global(struct diag_node *node) {
    PyObject *const dicts[] = {node->dicts->handler_globals, node->dicts->globals,
                               node->dicts->builtins};
    PyObject *value = NULL;

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(dicts); i++)
        if (dicts[i] != NULL && !diag_py_dict_has_only_text_keys(dicts[i]))
            return NULL;
    for (size_t i = 0; value == NULL && i < DIAG_ARRAY_SIZE(dicts); i++)
        if (dicts[i] != NULL)
            value = PyDict_GetItemWithError(dicts[i], node->object);
    if (value == NULL)
        PyErr_Clear();
    return value;
}

/* What a dict had is valid as long as its version is the same. */
static PyObject *global_of(struct diag_node *node) {
    const struct diag_expression_dicts *dicts = node->dicts;
    uint64_t handler_version =
        dicts->handler_globals == NULL ? 0 : diag_py_dict_version(dicts->handler_globals);
    uint64_t globals_version = diag_py_dict_version(dicts->globals);
    uint64_t builtins_version = diag_py_dict_version(dicts->builtins);

    if (node->global == NULL || node->globals_version != globals_version ||
        node->builtins_version != builtins_version || node->handler_version != handler_version) {
        node->global = find_global(node);
        node->is_builtin = node->global != NULL && node->builtin != NULL &&
                           diag_pure_builtin_is(node->builtin, node->global);
        node->handler_version = handler_version;
        node->globals_version = globals_version;
        node->builtins_version = builtins_version;
    }
    return node->global;
}

struct diag_operand diag_node_global(struct diag_node *node, PyObject *const *values) {
    (void)values;
    return diag_operand_borrowed(global_of(node));
}

struct diag_operand diag_node_attribute(struct diag_node *node, PyObject *const *values) {
    struct diag_operand whole = diag_node_evaluate(node->first, values);

    if (whole.object == NULL)
        return whole;
    return diag_operand_part(diag_pure_attribute_get(&node->attribute, node->object, whole.object),
                             whole);
}

struct diag_operand diag_node_subscript(struct diag_node *node, PyObject *const *values) {
    struct diag_operand whole = diag_node_evaluate(node->first, values), key, part;

    if (whole.object == NULL)
        return whole;
    key = diag_node_evaluate(node->second, values);
    part = key.object == NULL ? NOTHING : diag_pure_subscript(whole.object, key.object);
    part = diag_operand_part(part, whole);
    diag_operand_done(key);
    return part;
}

/* items: start, stop, step; NULL: left out. */
struct diag_operand diag_node_slice(struct diag_node *node, PyObject *const *values) {
    struct diag_operand whole = diag_node_evaluate(node->first, values);
    struct diag_operand bounds[3] = {NOTHING, NOTHING, NOTHING};
    bool is_complete = whole.object != NULL;
    PyObject *part = NULL;

    for (int i = 0; i < 3 && is_complete; i++)
        if (node->items[i] != NULL) {
            bounds[i] = diag_node_evaluate(node->items[i], values);
            is_complete = bounds[i].object != NULL;
        }
    if (is_complete)
        part = diag_pure_slice(whole.object, bounds[0].object, bounds[1].object, bounds[2].object);
    for (int i = 0; i < 3; i++)
        diag_operand_done(bounds[i]);
    diag_operand_done(whole);
    return diag_operand_owned(part);
}

static int compare(int operation, PyObject *a, PyObject *b) {
    int result;

    switch (operation) {
    case DIAG_NODE_IS:
        return a == b;
    case DIAG_NODE_IS_NOT:
        return a != b;
    case DIAG_NODE_IN:
        return diag_pure_contains(b, a);
    case DIAG_NODE_NOT_IN:
        result = diag_pure_contains(b, a);
        return result < 0 ? result : !result;
    default:
        return diag_pure_compare(a, b, operation);
    }
}

struct diag_operand diag_node_compare(struct diag_node *node, PyObject *const *values) {
    struct diag_operand a = diag_node_evaluate(node->first, values), b;
    int result;

    if (a.object == NULL)
        return a;
    b = diag_node_evaluate(node->second, values);
    result = b.object == NULL ? -1 : compare(node->operation, a.object, b.object);
    diag_operand_done(a);
    diag_operand_done(b);
    return truth(result);
}

struct diag_operand diag_node_compare_chain(struct diag_node *node, PyObject *const *values) {
    struct diag_operand a = diag_node_evaluate(node->items[0], values), b;
    int result = a.object == NULL ? -1 : 1;

    for (Py_ssize_t i = 1; i < node->item_count && result == 1; i++) {
        b = diag_node_evaluate(node->items[i], values);
        result = b.object == NULL ? -1 : compare(node->operations[i - 1], a.object, b.object);
        diag_operand_done(a);
        a = b;
    }
    diag_operand_done(a);
    return truth(result);
}

/* Goes on while the truth of the operands is `wanted`. */
static struct diag_operand connect(struct diag_node *node, PyObject *const *values, int wanted) {
    struct diag_operand operand = NOTHING;

    for (Py_ssize_t i = 0; i < node->item_count; i++) {
        int is_true;

        diag_operand_done(operand);
        operand = diag_node_evaluate(node->items[i], values);
        if (operand.object == NULL || i == node->item_count - 1)
            break;
        is_true = diag_pure_truth(operand.object);
        if (is_true < 0) {
            diag_operand_done(operand);
            return NOTHING;
        }
        if (is_true != wanted)
            break;
    }
    return operand;
}

struct diag_operand diag_node_and(struct diag_node *node, PyObject *const *values) {
    return connect(node, values, 1);
}

struct diag_operand diag_node_or(struct diag_node *node, PyObject *const *values) {
    return connect(node, values, 0);
}

static int truth_of(struct diag_node *node, PyObject *const *values) {
    struct diag_operand operand = diag_node_evaluate(node, values);
    int is_true = operand.object == NULL ? -1 : diag_pure_truth(operand.object);

    diag_operand_done(operand);
    return is_true;
}

struct diag_operand diag_node_not(struct diag_node *node, PyObject *const *values) {
    int is_true = truth_of(node->first, values);

    return truth(is_true < 0 ? is_true : !is_true);
}

struct diag_operand diag_node_conditional(struct diag_node *node, PyObject *const *values) {
    int is_true = truth_of(node->first, values);

    return is_true < 0 ? NOTHING : diag_node_evaluate(is_true ? node->second : node->third, values);
}

struct diag_operand diag_node_binary(struct diag_node *node, PyObject *const *values) {
    struct diag_operand a = diag_node_evaluate(node->first, values), b;
    PyObject *result = NULL;

    if (a.object == NULL)
        return a;
    b = diag_node_evaluate(node->second, values);
    if (b.object != NULL)
        result = diag_pure_binary((enum diag_pure_operation)node->operation, a.object, b.object);
    diag_operand_done(a);
    diag_operand_done(b);
    return diag_operand_owned(result);
}

struct diag_operand diag_node_unary(struct diag_node *node, PyObject *const *values) {
    struct diag_operand a = diag_node_evaluate(node->first, values);
    PyObject *result = NULL;

    if (a.object != NULL)
        result = diag_pure_unary((enum diag_pure_operation)node->operation, a.object);
    diag_operand_done(a);
    return diag_operand_owned(result);
}

/* items: the arguments; object: the builtin's name. */
struct diag_operand diag_node_call(struct diag_node *node, PyObject *const *values) {
    struct diag_operand operands[DIAG_PURE_ARGUMENTS_MAX], result = NOTHING;
    PyObject *arguments[DIAG_PURE_ARGUMENTS_MAX];
    Py_ssize_t count = 0;
    bool is_owned = false;

    if (global_of(node) == NULL || !node->is_builtin)
        return result;
    for (; count < node->item_count; count++) {
        operands[count] = diag_node_evaluate(node->items[count], values);
        arguments[count] = operands[count].object;
        if (arguments[count] == NULL)
            break;
        is_owned = is_owned || operands[count].owned != NULL;
    }
    if (count == node->item_count)
        result = node->builtin->call(arguments, count);
    if (is_owned && result.owned == NULL) /* it may be one of the arguments */
        result.owned = Py_XNewRef(result.object);
    while (count-- > 0)
        diag_operand_done(operands[count]);
    return result;
}

/* `{first!s:format}`; object: the format, or NULL; operation: the conversion, or -1. */
struct diag_operand diag_node_format(struct diag_node *node, PyObject *const *values) {
    struct diag_operand value = diag_node_evaluate(node->first, values);
    PyObject *result = NULL;

    if (value.object == NULL)
        return value;
    if (node->object == NULL)
        result = diag_pure_text(value.object, node->operation == 'r');
    else if (node->operation < 0 && PyFloat_CheckExact(value.object)) {
        result = PyObject_Format(value.object, node->object);
        if (result == NULL)
            PyErr_Clear();
    }
    diag_operand_done(value);
    return diag_operand_owned(result);
}

struct diag_operand diag_node_join(struct diag_node *node, PyObject *const *values) {
    PyObject *text = PyUnicode_New(0, 0);

    for (Py_ssize_t i = 0; i < node->item_count && text != NULL; i++) {
        struct diag_operand part = diag_node_evaluate(node->items[i], values);
        PyObject *longer = NULL;

        if (part.object != NULL && PyUnicode_GET_LENGTH(text) <= DIAG_PURE_LENGTH_MAX)
            longer = PyUnicode_Concat(text, part.object);
        if (longer == NULL)
            PyErr_Clear();
        diag_operand_done(part);
        Py_SETREF(text, longer);
    }
    return diag_operand_owned(text);
}
