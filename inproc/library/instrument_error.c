/* SPDX-License-Identifier: MIT */
#include "inproc/library/instrument_error.h"

#include "inproc/engine/describe.h"
#include "inproc/engine/guard.h"
#include "inproc/engine/interrupt.h"
#include "inproc/library/instrument_manager.h"

int diag_instrument_handle_error(struct diag_instrument_object *instrument, PyObject *probe) {
    struct diag_library *library = instrument->library;
    PyObject *expiration =
        PyObject_GetAttr((PyObject *)instrument, library->names[DIAG_NAME_ERROR_EXPIRATION]);
    PyObject *manager;
    int result = 0;

    if (expiration == NULL)
        return -1;
    if (expiration != Py_None)
        result =
            PyObject_SetAttr((PyObject *)instrument, library->names[DIAG_NAME_EXPIRES], expiration);
    Py_DECREF(expiration);
    if (result < 0)
        return -1;
    manager = Py_NewRef(diag_instrument_manager(instrument));
    result = diag_manager_handle_error(library, manager, probe, (PyObject *)instrument);
    Py_DECREF(manager);
    return result;
}

/* The method, or what it is known to do. */
static int call(struct diag_binding *binding) {
    struct diag_instrument_object *instrument = binding->instrument;
    PyObject *result;

    if (!diag_overrides_of(instrument)->has_handle_error)
        return diag_instrument_handle_error(instrument, (PyObject *)binding->probe);
    result = PyObject_CallMethodOneArg((PyObject *)instrument,
                                       binding->library->names[DIAG_NAME_HANDLE_ERROR],
                                       (PyObject *)binding->probe);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

bool diag_instrument_was_interrupted(void) {
    if (!diag_interrupt_take(true))
        return false;
    diag_interrupt_deliver_soon();
    return true;
}

void diag_instrument_error(struct diag_binding *binding) {
    PyThreadState *thread = PyThreadState_Get();
    PyObject *error = diag_py_take_exception();
    _PyErr_StackItem handled = {.exc_value = error, .previous_item = thread->exc_info};

    binding->errors++;
    diag_py_set_exception(Py_NewRef(error));
    diag_describe_exception(binding->message, sizeof binding->message);
    thread->exc_info = &handled; /* as if in an except clause */
    if (call(binding) < 0 && !diag_instrument_was_interrupted()) {
        PyObject *second = diag_py_take_exception();

        diag_print_exception(second); /* the first one is its context */
        Py_DECREF(second);
        binding->is_failed = true;
        if (diag_binding_update(binding) < 0)
            PyErr_Clear();
    }
    thread->exc_info = handled.previous_item;
    Py_XDECREF(handled.exc_value);
}
