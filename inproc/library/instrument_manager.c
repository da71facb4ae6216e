/* SPDX-License-Identifier: MIT */
#include "inproc/library/instrument_manager.h"

/* True if `method` of the manager is the one of our InstrumentManager. */
static bool is_ours(struct diag_library *library, PyObject *manager, enum diag_name method) {
    PyTypeObject *type = library->manager_type;
    PyObject *name = library->names[method];

    if (type == NULL || !PyObject_TypeCheck(manager, type))
        return false;
    if (!Py_IS_TYPE(manager, type) &&
        _PyType_Lookup(Py_TYPE(manager), name) != _PyType_Lookup(type, name))
        return false;
    return diag_py_instance_item(manager, name) == NULL;
}

/* True if there is somebody to call. */
static bool has_method(struct diag_library *library, PyObject *manager, enum diag_name method) {
    return manager != Py_None && !is_ours(library, manager, method);
}

bool diag_manager_wants_calls(struct diag_library *library, PyObject *manager) {
    return has_method(library, manager, DIAG_NAME_CHECK_CALL);
}

PyObject *diag_call_method(PyObject *object, PyObject *method, PyObject *first, PyObject *second,
                           PyObject *args, PyObject *kwargs) {
    Py_ssize_t fixed = second == NULL ? 1 : 2, count = PyTuple_GET_SIZE(args);
    PyObject *all = PyTuple_New(fixed + count), *callable, *result = NULL;

    if (all == NULL)
        return NULL;
    PyTuple_SET_ITEM(all, 0, Py_NewRef(first));
    if (second != NULL)
        PyTuple_SET_ITEM(all, 1, Py_NewRef(second));
    for (Py_ssize_t i = 0; i < count; i++)
        PyTuple_SET_ITEM(all, fixed + i, Py_NewRef(PyTuple_GET_ITEM(args, i)));
    callable = PyObject_GetAttr(object, method);
    if (callable != NULL)
        result = PyObject_Call(callable, all, kwargs);
    Py_XDECREF(callable);
    Py_DECREF(all);
    return result;
}

int diag_manager_check_call(struct diag_library *library, PyObject *manager, PyObject *probe,
                            PyObject *instrument, PyObject *args, PyObject *kwargs) {
    PyObject *answer;
    int is_true;

    if (!has_method(library, manager, DIAG_NAME_CHECK_CALL))
        return 1;
    answer = diag_call_method(manager, library->names[DIAG_NAME_CHECK_CALL], probe, instrument,
                              args, kwargs);
    if (answer == NULL)
        return -1;
    is_true = PyObject_IsTrue(answer);
    Py_DECREF(answer);
    return is_true;
}

PyObject *diag_manager_get_tags(struct diag_library *library, PyObject *manager) {
    if (!has_method(library, manager, DIAG_NAME_GET_TAGS))
        return NULL;
    return PyObject_CallMethodNoArgs(manager, library->names[DIAG_NAME_GET_TAGS]);
}

int diag_manager_handle_error(struct diag_library *library, PyObject *manager, PyObject *probe,
                              PyObject *instrument) {
    PyObject *exception, *result;

    if (!has_method(library, manager, DIAG_NAME_HANDLE_ERROR)) {
        exception = PyErr_GetHandledException();
        if (exception != NULL)
            diag_print_exception(exception);
        Py_XDECREF(exception);
        return 0;
    }
    result = PyObject_CallMethodObjArgs(manager, library->names[DIAG_NAME_HANDLE_ERROR], probe,
                                        instrument, NULL);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

PyObject *diag_manager_globals(struct diag_library *library, PyObject *manager) {
    PyObject *globals;

    if (manager == Py_None)
        return NULL;
    globals = PyObject_GetAttr(manager, library->names[DIAG_NAME_GLOBAL_NAMESPACE]);
    if (globals == NULL && PyErr_ExceptionMatches(PyExc_AttributeError) &&
        _PyType_Lookup(Py_TYPE(manager), library->names[DIAG_NAME_GLOBAL_NAMESPACE]) == NULL)
        PyErr_Format(PyExc_TypeError, "mgr: %.200s has no global_namespace",
                     Py_TYPE(manager)->tp_name);
    if (globals != NULL && !PyDict_Check(globals)) {
        PyErr_Format(PyExc_TypeError, "global_namespace: must be a dict, not %.200s",
                     Py_TYPE(globals)->tp_name);
        Py_CLEAR(globals);
    }
    return globals;
}

void diag_print_exception(PyObject *exception) {
    PyObject *file = PySys_GetObject("stderr");

    if (file == NULL || file == Py_None || exception == Py_None)
        return;
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_DisplayException(exception);
#else
    PyObject *traceback = PyException_GetTraceback(exception);

    PyErr_Display((PyObject *)Py_TYPE(exception), exception, traceback);
    Py_XDECREF(traceback);
#endif
    PyErr_Clear();
}
