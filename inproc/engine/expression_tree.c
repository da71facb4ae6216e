/* SPDX-License-Identifier: MIT */
#include "inproc/engine/expression_tree.h"

#include <string.h>

struct diag_expression_tree {
    PyObject *constant; /* NULL: the parameter */
    int parameter;
    uint64_t fallbacks;
};

/* A field of a syntax node, borrowed, without asking its type. */
static PyObject *field(PyObject *syntax, const char *name) {
    PyObject **dict = _PyObject_GetDictPtr(syntax);

    return dict == NULL || *dict == NULL ? NULL : PyDict_GetItemString(*dict, name);
}

int diag_expression_tree_new(PyObject *syntax, const struct diag_expression_names *names,
                             PyObject *globals, PyObject *builtins,
                             struct diag_expression_tree **out) {
    PyObject *body = field(syntax, "body"), *constant = NULL, *name;
    int parameter = -1;

    (void)globals;
    (void)builtins;
    *out = NULL;
    if (strcmp(Py_TYPE(body)->tp_name, "Constant") == 0)
        constant = field(body, "value");
    else if (strcmp(Py_TYPE(body)->tp_name, "Name") == 0) {
        name = field(body, "id");
        parameter = diag_expression_names_index(names, name);
    }
    if (constant == NULL && parameter < 0)
        return 0;
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    (*out)->constant = Py_XNewRef(constant);
    (*out)->parameter = parameter;
    return 0;
}

void diag_expression_tree_free(struct diag_expression_tree *tree) {
    if (tree == NULL)
        return;
    Py_XDECREF(tree->constant);
    free(tree);
}

PyObject *diag_expression_tree_constant(const struct diag_expression_tree *tree) {
    return tree->constant;
}

int diag_expression_tree_parameter(const struct diag_expression_tree *tree) {
    return tree->parameter;
}

PyObject *diag_expression_tree_evaluate(struct diag_expression_tree *tree,
                                        PyObject *const *values) {
    return Py_NewRef(tree->constant != NULL ? tree->constant : values[tree->parameter]);
}

uint64_t diag_expression_tree_fallbacks(const struct diag_expression_tree *tree) {
    return tree->fallbacks;
}

void diag_expression_tree_count_fallback(struct diag_expression_tree *tree) {
    tree->fallbacks++;
}
