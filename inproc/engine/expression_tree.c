/* SPDX-License-Identifier: MIT */
/* How it works: Python's own parser gives a tree of ast objects, which is walked once. What is not
 * in the tables below is not of the subset. Operations on constants alone are done at once. */
#include "inproc/engine/expression_tree.h"

#include <stdlib.h>
#include <string.h>

#include "inproc/engine/pure_value.h"
#include "inproc/engine/tree_node.h"

#define NODES_MAX 512
#define DEPTH_MAX 48 /* levels of recursion on the stack of whichever thread is hit */
#define FORMAT_MAX 8 /* characters */

struct diag_expression_tree {
    struct diag_node *root;
    struct diag_node *nodes;            /* all of them */
    struct diag_expression_dicts dicts; /* owned */
    uint64_t fallbacks;
};

struct builder {
    struct diag_expression_tree *tree;
    const struct diag_expression_names *names;
    int node_count;
    int depth;
};

/* NULL: not of the subset; or out of memory, with an exception. */
static struct diag_node *build(struct builder *builder, PyObject *syntax);

static struct diag_node *node_new(struct builder *builder, diag_node_fn *evaluate) {
    struct diag_node *node;

    if (++builder->node_count > NODES_MAX)
        return NULL;
    node = calloc(1, sizeof *node);
    if (node == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    node->evaluate = evaluate;
    node->dicts = &builder->tree->dicts;
    node->next = builder->tree->nodes;
    builder->tree->nodes = node;
    return node;
}

/* A field of an ast object, borrowed, without asking its type; NULL: it is None or not there. */
static PyObject *field(PyObject *syntax, const char *name) {
    PyObject **dict = _PyObject_GetDictPtr(syntax);
    PyObject *value = dict == NULL || *dict == NULL ? NULL : PyDict_GetItemString(*dict, name);

    return value == Py_None ? NULL : value;
}

static bool is_a(PyObject *syntax, const char *kind) {
    return syntax != NULL && strcmp(Py_TYPE(syntax)->tp_name, kind) == 0;
}

static bool is_constant(const struct diag_node *node) {
    return node->evaluate == diag_node_constant;
}

/* Does at once what is the same at every hit. */
static struct diag_node *fold(struct diag_node *node) {
    PyObject *value = diag_operand_take(node->evaluate(node, NULL));

    if (value != NULL) {
        node->evaluate = diag_node_constant;
        Py_XSETREF(node->object, value);
    }
    return node;
}

/* The fields `first`, `second` and `third` (NULL: none). */
static struct diag_node *build_node(struct builder *builder, PyObject *syntax,
                                    diag_node_fn *evaluate, const char *first, const char *second,
                                    const char *third) {
    struct diag_node *node = node_new(builder, evaluate);

    if (node == NULL || (node->first = build(builder, field(syntax, first))) == NULL ||
        (second != NULL && (node->second = build(builder, field(syntax, second))) == NULL) ||
        (third != NULL && (node->third = build(builder, field(syntax, third))) == NULL))
        return NULL;
    return node;
}

static bool reserve_items(struct diag_node *node, Py_ssize_t count) {
    node->items = calloc((size_t)count + 1, sizeof *node->items);
    if (node->items == NULL)
        PyErr_NoMemory();
    return node->items != NULL;
}

/* Appends a node for each of the list `syntaxes`. */
static bool append_items(struct builder *builder, struct diag_node *node, PyObject *syntaxes) {
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(syntaxes); i++) {
        struct diag_node *item = build(builder, PyList_GET_ITEM(syntaxes, i));

        if (item == NULL)
            return false;
        node->items[node->item_count++] = item;
    }
    return true;
}

/* Of a display or the like, whose operands are in the field `name`. */
static struct diag_node *build_items(struct builder *builder, PyObject *syntax,
                                     diag_node_fn *evaluate, const char *name) {
    PyObject *syntaxes = field(syntax, name);
    struct diag_node *node = node_new(builder, evaluate);

    if (node == NULL || syntaxes == NULL || !reserve_items(node, PyList_GET_SIZE(syntaxes)) ||
        !append_items(builder, node, syntaxes))
        return NULL;
    return node;
}

static bool are_constant(const struct diag_node *node) {
    for (Py_ssize_t i = 0; i < node->item_count; i++)
        if (!is_constant(node->items[i]))
            return false;
    return true;
}

static struct diag_node *build_constant(struct builder *builder, PyObject *syntax) {
    struct diag_node *node = node_new(builder, diag_node_constant);
    PyObject *value = field(syntax, "value");

    if (node != NULL)
        node->object = Py_NewRef(value == NULL ? Py_None : value);
    return node;
}

static struct diag_node *build_name(struct builder *builder, PyObject *syntax) {
    PyObject *name = field(syntax, "id");
    struct diag_node *node = node_new(builder, diag_node_parameter);

    if (node == NULL)
        return NULL;
    node->operation = diag_expression_names_index(builder->names, name);
    if (node->operation < 0) {
        node->evaluate = diag_node_global;
        node->object = Py_NewRef(name);
    }
    return node;
}

static struct diag_node *build_attribute(struct builder *builder, PyObject *syntax) {
    struct diag_node *node = build_node(builder, syntax, diag_node_attribute, "value", NULL, NULL);

    if (node == NULL)
        return NULL;
    node->object = Py_NewRef(field(syntax, "attr"));
    PyUnicode_InternInPlace(&node->object);
    return node;
}

static struct diag_node *build_slice(struct builder *builder, PyObject *syntax) {
    static const char *const bounds[] = {"lower", "upper", "step"};
    struct diag_node *node = build_node(builder, syntax, diag_node_slice, "value", NULL, NULL);

    if (node == NULL || !reserve_items(node, 3))
        return NULL;
    for (int i = 0; i < 3; i++) {
        PyObject *bound = field(field(syntax, "slice"), bounds[i]);

        if (bound == NULL)
            continue;
        node->items[i] = build(builder, bound);
        if (node->items[i] == NULL)
            return NULL;
    }
    return node;
}

static struct diag_node *build_subscript(struct builder *builder, PyObject *syntax) {
    if (is_a(field(syntax, "slice"), "Slice"))
        return build_slice(builder, syntax);
    return build_node(builder, syntax, diag_node_subscript, "value", "slice", NULL);
}

struct operation {
    const char *kind;
    int operation;
};

/* -1: there is none. */
static int operation_of(PyObject *syntax, const struct operation *operations, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (is_a(syntax, operations[i].kind))
            return operations[i].operation;
    return -1;
}

static int comparison_of(PyObject *syntax) {
    static const struct operation comparisons[] = {
        {"Lt", Py_LT},        {"LtE", Py_LE},
        {"Eq", Py_EQ},        {"NotEq", Py_NE},
        {"Gt", Py_GT},        {"GtE", Py_GE},
        {"Is", DIAG_NODE_IS}, {"IsNot", DIAG_NODE_IS_NOT},
        {"In", DIAG_NODE_IN}, {"NotIn", DIAG_NODE_NOT_IN},
    };

    return operation_of(syntax, comparisons, DIAG_ARRAY_SIZE(comparisons));
}

static struct diag_node *build_chain(struct builder *builder, PyObject *syntax, PyObject *operators,
                                     PyObject *operands) {
    Py_ssize_t count = PyList_GET_SIZE(operands);
    struct diag_node *node = node_new(builder, diag_node_compare_chain);

    if (node == NULL || !reserve_items(node, count + 1))
        return NULL;
    node->operations = calloc((size_t)count, sizeof *node->operations);
    if (node->operations == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    node->items[0] = build(builder, field(syntax, "left"));
    node->item_count = 1;
    if (node->items[0] == NULL || !append_items(builder, node, operands))
        return NULL;
    for (Py_ssize_t i = 0; i < count; i++)
        node->operations[i] = comparison_of(PyList_GET_ITEM(operators, i));
    return node;
}

static struct diag_node *build_compare(struct builder *builder, PyObject *syntax) {
    PyObject *operators = field(syntax, "ops"), *operands = field(syntax, "comparators");
    struct diag_node *node;

    if (PyList_GET_SIZE(operands) > 1)
        return build_chain(builder, syntax, operators, operands);
    node = build_node(builder, syntax, diag_node_compare, "left", NULL, NULL);
    if (node == NULL || (node->second = build(builder, PyList_GET_ITEM(operands, 0))) == NULL)
        return NULL;
    node->operation = comparison_of(PyList_GET_ITEM(operators, 0));
    return is_constant(node->first) && is_constant(node->second) ? fold(node) : node;
}

static struct diag_node *build_connection(struct builder *builder, PyObject *syntax) {
    return build_items(builder, syntax,
                       is_a(field(syntax, "op"), "And") ? diag_node_and : diag_node_or, "values");
}

static struct diag_node *build_unary(struct builder *builder, PyObject *syntax) {
    static const struct operation operations[] = {
        {"USub", DIAG_PURE_NEGATIVE}, {"UAdd", DIAG_PURE_POSITIVE}, {"Invert", DIAG_PURE_INVERT}};
    PyObject *sign = field(syntax, "op");
    struct diag_node *node =
        build_node(builder, syntax, is_a(sign, "Not") ? diag_node_not : diag_node_unary, "operand",
                   NULL, NULL);

    if (node == NULL)
        return NULL;
    node->operation = operation_of(sign, operations, DIAG_ARRAY_SIZE(operations));
    return is_constant(node->first) ? fold(node) : node;
}

static struct diag_node *build_binary(struct builder *builder, PyObject *syntax) {
    static const struct operation operations[] = {
        {"Add", DIAG_PURE_ADD},
        {"Sub", DIAG_PURE_SUBTRACT},
        {"Mult", DIAG_PURE_MULTIPLY},
        {"Div", DIAG_PURE_DIVIDE},
        {"FloorDiv", DIAG_PURE_FLOOR_DIVIDE},
        {"Mod", DIAG_PURE_REMAINDER},
        {"Pow", DIAG_PURE_POWER},
        {"BitAnd", DIAG_PURE_AND},
        {"BitOr", DIAG_PURE_OR},
        {"BitXor", DIAG_PURE_XOR},
        {"LShift", DIAG_PURE_LEFT_SHIFT},
        {"RShift", DIAG_PURE_RIGHT_SHIFT},
    };
    int operation = operation_of(field(syntax, "op"), operations, DIAG_ARRAY_SIZE(operations));
    struct diag_node *node;

    if (operation < 0) /* @ */
        return NULL;
    node = build_node(builder, syntax, diag_node_binary, "left", "right", NULL);
    if (node == NULL)
        return NULL;
    node->operation = operation;
    return is_constant(node->first) && is_constant(node->second) ? fold(node) : node;
}

static struct diag_node *build_conditional(struct builder *builder, PyObject *syntax) {
    return build_node(builder, syntax, diag_node_conditional, "test", "body", "orelse");
}

static struct diag_node *build_call(struct builder *builder, PyObject *syntax) {
    PyObject *function = field(syntax, "func"), *name;
    const struct diag_pure_builtin *builtin;
    struct diag_node *node;

    if (!is_a(function, "Name") || PyList_GET_SIZE(field(syntax, "keywords")) > 0)
        return NULL;
    name = field(function, "id");
    builtin = diag_pure_builtin_find(name);
    if (builtin == NULL || diag_expression_names_index(builder->names, name) >= 0)
        return NULL;
    node = build_items(builder, syntax, diag_node_call, "args");
    if (node == NULL || node->item_count < builtin->count_min ||
        node->item_count > builtin->count_max)
        return NULL;
    node->builtin = builtin;
    node->object = Py_NewRef(name);
    return node;
}

/* Borrowed: a format that is written out, and makes no large text. */
static PyObject *simple_format(PyObject *syntax) {
    PyObject *values = field(syntax, "values"), *format;
    int digits = 0;

    if (!is_a(syntax, "JoinedStr") || values == NULL || PyList_GET_SIZE(values) != 1 ||
        !is_a(PyList_GET_ITEM(values, 0), "Constant"))
        return NULL;
    format = field(PyList_GET_ITEM(values, 0), "value");
    if (format == NULL || !PyUnicode_IS_COMPACT_ASCII(format) ||
        PyUnicode_GET_LENGTH(format) > FORMAT_MAX)
        return NULL;
    for (const Py_UCS1 *at = PyUnicode_1BYTE_DATA(format); *at != '\0'; at++) {
        digits = *at >= '0' && *at <= '9' ? digits + 1 : 0;
        if (digits > 2)
            return NULL;
    }
    return format;
}

/* The format of `{x:}`. */
static bool is_empty(PyObject *format) {
    PyObject *values = field(format, "values");

    return values != NULL && PyList_GET_SIZE(values) == 0;
}

static struct diag_node *build_format(struct builder *builder, PyObject *syntax) {
    PyObject *format = field(syntax, "format_spec"), *simple = NULL;
    struct diag_node *node;
    long conversion = PyLong_AsLong(field(syntax, "conversion"));

    if (format != NULL && !is_empty(format) && (simple = simple_format(format)) == NULL)
        return NULL;
    if (conversion == 'a')
        return NULL;
    node = build_node(builder, syntax, diag_node_format, "value", NULL, NULL);
    if (node == NULL)
        return NULL;
    node->object = Py_XNewRef(simple);
    node->operation = (int)conversion;
    return node;
}

static struct diag_node *build_join(struct builder *builder, PyObject *syntax) {
    return build_items(builder, syntax, diag_node_join, "values");
}

static struct diag_node *build_tuple(struct builder *builder, PyObject *syntax) {
    struct diag_node *node = build_items(builder, syntax, diag_node_tuple, "elts");

    return node != NULL && are_constant(node) ? fold(node) : node;
}

static struct diag_node *build_list(struct builder *builder, PyObject *syntax) {
    return build_items(builder, syntax, diag_node_list, "elts");
}

static struct diag_node *build_set(struct builder *builder, PyObject *syntax) {
    return build_items(builder, syntax, diag_node_set, "elts");
}

static struct diag_node *build_dict(struct builder *builder, PyObject *syntax) {
    PyObject *keys = field(syntax, "keys"), *values = field(syntax, "values");
    struct diag_node *node = node_new(builder, diag_node_dict);

    if (node == NULL || !reserve_items(node, 2 * PyList_GET_SIZE(keys)))
        return NULL;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(keys); i++) {
        struct diag_node *key, *value;

        if (PyList_GET_ITEM(keys, i) == Py_None) /* ** */
            return NULL;
        key = build(builder, PyList_GET_ITEM(keys, i));
        value = key == NULL ? NULL : build(builder, PyList_GET_ITEM(values, i));
        if (value == NULL)
            return NULL;
        node->items[node->item_count++] = key;
        node->items[node->item_count++] = value;
    }
    return node;
}

static struct diag_node *build(struct builder *builder, PyObject *syntax) {
    static const struct {
        const char *kind;
        struct diag_node *(*build)(struct builder *builder, PyObject *syntax);
    } kinds[] = {
        {"Constant", build_constant},
        {"Name", build_name},
        {"Attribute", build_attribute},
        {"Subscript", build_subscript},
        {"Compare", build_compare},
        {"BoolOp", build_connection},
        {"UnaryOp", build_unary},
        {"BinOp", build_binary},
        {"IfExp", build_conditional},
        {"Call", build_call},
        {"JoinedStr", build_join},
        {"FormattedValue", build_format},
        {"Tuple", build_tuple},
        {"List", build_list},
        {"Set", build_set},
        {"Dict", build_dict},
    };
    struct diag_node *node = NULL;

    if (builder->depth == DEPTH_MAX)
        return NULL;
    builder->depth++;
    for (size_t i = 0; i < DIAG_ARRAY_SIZE(kinds); i++)
        if (is_a(syntax, kinds[i].kind)) {
            node = kinds[i].build(builder, syntax);
            break;
        }
    builder->depth--;
    return node;
}

int diag_expression_tree_new(PyObject *syntax, const struct diag_expression_names *names,
                             const struct diag_expression_dicts *dicts,
                             struct diag_expression_tree **out) {
    DIAG_CLEANUP(diag_expression_tree_freep)
    struct diag_expression_tree *tree = calloc(1, sizeof *tree);
    struct builder builder = {tree, names, 0, 0};

    if (tree == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    tree->dicts.handler_globals = Py_XNewRef(dicts->handler_globals);
    tree->dicts.globals = Py_NewRef(dicts->globals);
    tree->dicts.builtins = Py_NewRef(dicts->builtins);
    tree->root = build(&builder, field(syntax, "body"));
    if (tree->root == NULL && PyErr_Occurred())
        return -1;
    *out = tree->root == NULL ? NULL : DIAG_TAKE_PTR(tree);
    return 0;
}

void diag_expression_tree_free(struct diag_expression_tree *tree) {
    if (tree == NULL)
        return;
    while (tree->nodes != NULL) {
        struct diag_node *node = tree->nodes;

        tree->nodes = node->next;
        Py_XDECREF(node->object);
        free(node->items);
        free(node->operations);
        free(node);
    }
    Py_XDECREF(tree->dicts.handler_globals);
    Py_XDECREF(tree->dicts.globals);
    Py_XDECREF(tree->dicts.builtins);
    free(tree);
}

PyObject *diag_expression_tree_constant(const struct diag_expression_tree *tree) {
    return is_constant(tree->root) ? tree->root->object : NULL;
}

int diag_expression_tree_parameter(const struct diag_expression_tree *tree) {
    return tree->root->evaluate == diag_node_parameter ? tree->root->operation : -1;
}

PyObject *diag_expression_tree_evaluate(struct diag_expression_tree *tree,
                                        PyObject *const *values) {
    PyObject *value = diag_operand_take(diag_node_evaluate(tree->root, values));

    if (DIAG_UNLIKELY(value == NULL))
        tree->fallbacks++;
    return value;
}

uint64_t diag_expression_tree_fallbacks(const struct diag_expression_tree *tree) {
    return tree->fallbacks;
}

void diag_expression_tree_count_fallback(struct diag_expression_tree *tree) {
    tree->fallbacks++;
}
