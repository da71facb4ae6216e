/* SPDX-License-Identifier: MIT */
/* tree_node - the nodes that expression trees are made of, and how each is evaluated.
 *
 * Threading: the GIL.
 * Ownership: a tree owns its nodes, and releases what they hold. */
#ifndef DIAG_INPROC_ENGINE_TREE_NODE_H
#define DIAG_INPROC_ENGINE_TREE_NODE_H

#include "inproc/engine/operand.h"
#include "inproc/engine/pure_attribute.h"

/* Where a tree looks for names that are no parameters: dicts, one after the other. Borrowed. */
struct diag_expression_dicts {
    PyObject *handler_globals; /* or NULL */
    PyObject *globals;
    PyObject *builtins;
};

struct diag_node;

/* Comparisons besides Py_LT to Py_GE. */
enum { DIAG_NODE_IS = 16, DIAG_NODE_IS_NOT, DIAG_NODE_IN, DIAG_NODE_NOT_IN };

/* Evaluates a node. `values` are the parameters'. */
typedef struct diag_operand diag_node_fn(struct diag_node *node, PyObject *const *values);

struct diag_node {
    struct diag_node *next; /* of the tree's */
    diag_node_fn *evaluate;
    struct diag_node *first, *second, *third;
    struct diag_node **items; /* operands of chains, displays and calls; allocated */
    Py_ssize_t item_count;
    int operation;    /* index of a parameter, Py_LT ..., enum diag_pure_operation ... */
    int *operations;  /* of a chain of comparisons; allocated */
    PyObject *object; /* owned: a constant, or a name */
    const struct diag_expression_dicts *dicts; /* of a global name or a call; the tree's */
    const struct diag_pure_builtin *builtin;
    /* what is remembered of the last hit */
    struct diag_pure_attribute attribute;
    PyObject *global;
    uint64_t handler_version, globals_version, builtins_version;
    bool is_builtin; /* the global is the `builtin` */
};

diag_node_fn diag_node_constant, diag_node_parameter, diag_node_global, diag_node_attribute;
diag_node_fn diag_node_subscript, diag_node_slice, diag_node_compare, diag_node_compare_chain;
diag_node_fn diag_node_and, diag_node_or, diag_node_not, diag_node_conditional;
diag_node_fn diag_node_binary, diag_node_unary, diag_node_call, diag_node_format;
diag_node_fn diag_node_join, diag_node_tuple, diag_node_list, diag_node_set, diag_node_dict;

/* The commonest nodes are not worth a call. */
static inline struct diag_operand diag_node_evaluate(struct diag_node *node,
                                                     PyObject *const *values) {
    if (node->evaluate == diag_node_parameter)
        return diag_operand_borrowed(values[node->operation]);
    if (node->evaluate == diag_node_constant)
        return diag_operand_borrowed(node->object);
    return node->evaluate(node, values);
}

#endif
