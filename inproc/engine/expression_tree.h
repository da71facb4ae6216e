/* SPDX-License-Identifier: MIT */
/* expression_tree - the pure subset of expressions as a tree of C closures.
 *
 * Evaluating a tree changes nothing and runs no code of the program, by construction: every node
 * checks the exact types of what it meets, and gives up where Python would call anything that is
 * not known to be harmless. The rules are in docs/engine.md. Nothing has happened then, so that
 * evaluating the expression again as a Python function gives exactly what Python gives, exceptions
 * included.
 *
 * Threading: the GIL, which is not released in between.
 * Ownership: a tree keeps its constants and dicts alive. Its caches may point to types and values
 *            that are gone; they are compared, never used, until their versions have matched. */
#ifndef DIAG_INPROC_ENGINE_EXPRESSION_TREE_H
#define DIAG_INPROC_ENGINE_EXPRESSION_TREE_H

#include "inproc/engine/expression_names.h"
#include "lib/base/cleanup.h"

struct diag_expression_dicts; /* tree_node.h */
struct diag_expression_tree;

/* *out: the tree of `syntax`, an ast.Expression; NULL if that is not of the subset. The caller owns
 * it. -1 with an exception: out of memory. */
DIAG_MUST_CHECK int diag_expression_tree_new(PyObject *syntax,
                                             const struct diag_expression_names *names,
                                             const struct diag_expression_dicts *dicts,
                                             struct diag_expression_tree **out);
void diag_expression_tree_free(struct diag_expression_tree *tree); /* NULL is fine */
DIAG_DEFINE_FREEP(diag_expression_tree, struct diag_expression_tree)

/* The value, if it is always the same (borrowed), or NULL. */
PyObject *diag_expression_tree_constant(const struct diag_expression_tree *tree);

/* If the whole expression is one parameter, its index, else -1. */
int diag_expression_tree_parameter(const struct diag_expression_tree *tree);

/* A new reference. `values` are the parameters'. NULL, without an exception: it has given up. */
PyObject *diag_expression_tree_evaluate(struct diag_expression_tree *tree, PyObject *const *values);

/* How often it has given up; and one more hit that had to do without the tree. */
uint64_t diag_expression_tree_fallbacks(const struct diag_expression_tree *tree);
void diag_expression_tree_count_fallback(struct diag_expression_tree *tree);

#endif
