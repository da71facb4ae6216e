/* SPDX-License-Identifier: MIT */
/* target_testing - an extension module that resolves targets for Python tests. */
#include "inproc/engine/target.h"

#include <string.h>

static PyObject *or_none(PyObject *object) {
    return object == NULL ? Py_None : object;
}

static PyObject *codes_of(const struct diag_target *target) {
    PyObject *list = PyList_New(0);

    for (size_t i = 0; list != NULL && i < target->code_count; i++)
        if (PyList_Append(list, (PyObject *)target->codes[i]) < 0)
            Py_CLEAR(list);
    return list;
}

static int point_of(const char *name) {
    static const char *const names[] = {"call", "return", "end", "line"};

    for (int i = 0; i < 4; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return DIAG_POINT_CALL;
}

/* resolve(text, point, is_importing) -> dict */
static PyObject *resolve(PyObject *self, PyObject *args) {
    static const char *const outcomes[] = {"FOUND", "PENDING", "REFUSED"};
    const char *text, *point;
    int is_importing;
    struct diag_target target;
    PyObject *result;

    (void)self;
    if (!PyArg_ParseTuple(args, "ssp", &text, &point, &is_importing))
        return NULL;
    diag_target_resolve(text, (enum diag_point)point_of(point), is_importing, &target);
    if (PyErr_Occurred() != NULL) {
        diag_target_done(&target);
        return NULL;
    }
    result =
        Py_BuildValue("{s:s,s:s,s:O,s:O,s:N,s:O,s:O,s:O}", "outcome", outcomes[target.outcome],
                      "message", target.outcome == DIAG_TARGET_FOUND ? "" : target.error.message,
                      "function", or_none(target.function), "callable", or_none(target.callable),
                      "codes", codes_of(&target), "globals", or_none(target.globals), "written",
                      or_none(target.written), "self", or_none(target.self));
    diag_target_done(&target);
    return result;
}

/* check_line(codes, line) -> the message, "" if the line begins code */
static PyObject *check_line(PyObject *self, PyObject *args) {
    PyCodeObject *codes[DIAG_TARGET_CODES_MAX];
    struct diag_error error = {.message = ""};
    size_t count = 0;
    PyObject *list;
    int line;

    (void)self;
    if (!PyArg_ParseTuple(args, "O!i", &PyList_Type, &list, &line))
        return NULL;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list) && i < DIAG_TARGET_CODES_MAX; i++)
        codes[count++] = (PyCodeObject *)PyList_GET_ITEM(list, i);
    return PyUnicode_FromString(
        diag_target_check_line(codes, count, line, &error) == DIAG_OK ? "" : error.message);
}

static PyObject *walks_heap(PyObject *self, PyObject *text) {
    (void)self;
    return PyBool_FromLong(diag_target_walks_heap(PyUnicode_AsUTF8(text)));
}

static PyMethodDef methods[] = {
    {"resolve", resolve, METH_VARARGS, NULL},
    {"check_line", check_line, METH_VARARGS, NULL},
    {"walks_heap", walks_heap, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "target_testing", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_target_testing(void);

PyMODINIT_FUNC PyInit_target_testing(void) {
    return PyModule_Create(&definition);
}
