/* SPDX-License-Identifier: MIT */
#include "inproc/library/evaluate.h"

#include "inproc/engine/expression.h"
#include "inproc/library/firing.h"
#include "inproc/library/scope.h"

#define FILE_NAME "<instrument>"
#define CODES_MAX 64 /* texts of one instrument; beyond that, all are forgotten */

/* A new reference. */
static PyObject *compile(PyObject *text) {
    const char *utf8 = PyUnicode_AsUTF8(text);
    PyCompilerFlags flags = _PyCompilerFlags_INIT;
    struct diag_error err;

    if (utf8 == NULL)
        return NULL;
    if (diag_expression_check(utf8, "value", &err) != DIAG_OK) /* bounds its nesting, too */
        return diag_library_raise(&err);
    while (*utf8 == ' ' || *utf8 == '\t')
        utf8++;
    flags.cf_flags = PyCF_IGNORE_COOKIE;
    return Py_CompileStringExFlags(utf8, FILE_NAME, Py_eval_input, &flags, -1);
}

/* A new reference. */
static PyObject *code_of(struct diag_instrument_object *instrument, PyObject *text) {
    PyObject *code;

    if (instrument->codes == NULL && (instrument->codes = PyDict_New()) == NULL)
        return NULL;
    code = PyDict_GetItemWithError(instrument->codes, text);
    if (code != NULL || PyErr_Occurred())
        return Py_XNewRef(code);
    code = compile(text);
    if (code == NULL)
        return NULL;
    if (PyDict_GET_SIZE(instrument->codes) >= CODES_MAX)
        PyDict_Clear(instrument->codes);
    if (PyDict_SetItem(instrument->codes, text, code) < 0)
        Py_CLEAR(code);
    return code;
}

PyObject *diag_evaluate(struct diag_instrument_object *instrument, PyObject *text,
                        PyObject *globals, PyObject *names) {
    PyObject *code, *scope, *value;

    if (!PyUnicode_Check(text) || !PyDict_Check(globals)) {
        PyErr_Format(PyExc_TypeError, "%s: must be a %s, not %.200s",
                     PyUnicode_Check(text) ? "_globals" : "value",
                     PyUnicode_Check(text) ? "dict" : "str",
                     Py_TYPE(PyUnicode_Check(text) ? globals : text)->tp_name);
        return NULL;
    }
    text = PyUnicode_FromObject(text); /* a class derived from str may have a __hash__ of its own */
    code = text == NULL ? NULL : code_of(instrument, text);
    Py_XDECREF(text);
    if (code == NULL)
        return NULL;
    if (diag_firing_has_namespace(instrument, globals, names)) /* it is complete */
        scope = Py_NewRef(names);
    else
        scope = diag_scope_new(instrument->library, globals, names);
    value = scope == NULL ? NULL : PyEval_EvalCode(code, scope, scope);
    Py_XDECREF(scope);
    Py_DECREF(code);
    return value;
}
