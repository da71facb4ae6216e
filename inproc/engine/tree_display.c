/* SPDX-License-Identifier: MIT */
#include "inproc/engine/pure_value.h"
#include "inproc/engine/tree_node.h"

/* A list or tuple of the items' values, or NULL. */
static PyObject *sequence(struct diag_node *node, PyObject *const *values, bool is_list) {
    int gc = diag_py_pause_gc();
    PyObject *result = is_list ? PyList_New(node->item_count) : PyTuple_New(node->item_count);

    diag_py_resume_gc(gc);
    if (result == NULL)
        PyErr_Clear();
    for (Py_ssize_t i = 0; i < node->item_count && result != NULL; i++) {
        PyObject *item = diag_operand_take(diag_node_evaluate(node->items[i], values));

        if (item == NULL)
            Py_CLEAR(result);
        else if (is_list)
            PyList_SET_ITEM(result, i, item);
        else
            PyTuple_SET_ITEM(result, i, item);
    }
    return result;
}

struct diag_operand diag_node_tuple(struct diag_node *node, PyObject *const *values) {
    return diag_operand_owned(sequence(node, values, false));
}

struct diag_operand diag_node_list(struct diag_node *node, PyObject *const *values) {
    return diag_operand_owned(sequence(node, values, true));
}

/* Takes the reference. -1: it is no key whose comparison is known. */
static int add(PyObject *set, PyObject *item) {
    int result = item != NULL && diag_pure_is_key(item) ? PySet_Add(set, item) : -1;

    Py_XDECREF(item);
    return result;
}

struct diag_operand diag_node_set(struct diag_node *node, PyObject *const *values) {
    int gc = diag_py_pause_gc();
    PyObject *set = PySet_New(NULL);

    diag_py_resume_gc(gc);
    for (Py_ssize_t i = 0; i < node->item_count && set != NULL; i++)
        if (add(set, diag_operand_take(diag_node_evaluate(node->items[i], values))) < 0)
            Py_CLEAR(set);
    return diag_operand_made(set);
}

/* items: a key, its value, ... */
struct diag_operand diag_node_dict(struct diag_node *node, PyObject *const *values) {
    int gc = diag_py_pause_gc();
    PyObject *dict = PyDict_New();

    diag_py_resume_gc(gc);
    for (Py_ssize_t i = 0; i + 1 < node->item_count && dict != NULL; i += 2) {
        struct diag_operand key = diag_node_evaluate(node->items[i], values), value;

        if (key.object == NULL || !diag_pure_is_key(key.object)) {
            diag_operand_done(key);
            Py_CLEAR(dict);
            break;
        }
        value = diag_node_evaluate(node->items[i + 1], values);
        if (value.object == NULL || PyDict_SetItem(dict, key.object, value.object) < 0)
            Py_CLEAR(dict);
        diag_operand_done(key);
        diag_operand_done(value);
    }
    return diag_operand_made(dict);
}
