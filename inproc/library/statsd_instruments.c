/* SPDX-License-Identifier: MIT */
#include "inproc/library/statsd_instruments.h"

#include "inproc/library/firing.h"
#include "inproc/library/statsd_object.h"
#include "inproc/library/statsd_points.h"

struct kind {
    enum diag_name method;
    enum diag_statsd_type type;
};

static const struct kind histogram = {DIAG_NAME_HISTOGRAM, DIAG_STATSD_HISTOGRAM};
static const struct kind increment = {DIAG_NAME_INCREMENT, DIAG_STATSD_COUNTER};

/* A new reference to diagnose.instruments.statsd, whatever it is now. */
static PyObject *current_statsd(struct diag_library *library) {
    PyObject *statsd =
        PyDict_GetItemWithError(library->instruments_globals, library->names[DIAG_NAME_STATSD]);

    if ((statsd == NULL && !PyErr_Occurred()) || statsd == Py_None) {
        PyErr_SetString(PyExc_RuntimeError, "diagnose.instruments.statsd: there is none");
        statsd = NULL;
    }
    return Py_XNewRef(statsd);
}

/* By the client in C if it is ours, else by its method. */
static int emit(struct diag_instrument_object *instrument, struct kind kind, PyObject *name,
                PyObject *value, PyObject *tags) {
    struct diag_library *library = instrument->library;
    PyObject *statsd = current_statsd(library);
    int result;

    if (statsd == NULL)
        return -1;
    if (diag_statsd_object_is_exact(statsd))
        result = diag_statsd_object_send(statsd, kind.type, name, value, tags);
    else
        result = diag_statsd_points_send(statsd, library->names[kind.method], name, value, tags);
    Py_DECREF(statsd);
    return result;
}

int diag_histogram_emit(struct diag_instrument_object *instrument, PyObject *name, PyObject *value,
                        PyObject *tags) {
    return emit(instrument, histogram, name, value, tags);
}

int diag_increment_emit(struct diag_instrument_object *instrument, PyObject *name, PyObject *value,
                        PyObject *tags) {
    return emit(instrument, increment, name, value, tags);
}

PyObject *diag_histogram_emit_method(PyObject *self, PyObject *args, PyObject *kwargs) {
    PyObject *given[3];

    if (diag_firing_emit_arguments(args, kwargs, given) < 0 ||
        diag_histogram_emit((struct diag_instrument_object *)self, given[0], given[1], given[2]) <
            0)
        return NULL;
    Py_RETURN_NONE;
}

PyObject *diag_increment_emit_method(PyObject *self, PyObject *args, PyObject *kwargs) {
    PyObject *given[3];

    if (diag_firing_emit_arguments(args, kwargs, given) < 0 ||
        diag_increment_emit((struct diag_instrument_object *)self, given[0], given[1], given[2]) <
            0)
        return NULL;
    Py_RETURN_NONE;
}

#define VALUE_DOC                                                                                  \
    "value: gives a finite number, a list of numbers, or a list of (number, tag or tags)\n"        \
    "pairs; tags are a dict, a list of 'key:value', or one such text, and come after those of\n"   \
    "custom['tags']. None: the hit is left out. Anything else is an error of the instrument.\n"    \
    "statsd is looked up at each hit; any object will do that has this method.\n\n"                \
    "The arguments are those of Instrument."

PyDoc_STRVAR(histogram_doc, "HistogramInstrument(name, value, event='return', expires=None, "
                            "custom=None, mgr=None)\n--\n\n"
                            "Calls diagnose.instruments.statsd.histogram(name, number, tags=...).\n"
                            "\n" VALUE_DOC);
PyDoc_STRVAR(increment_doc, "IncrementInstrument(name, value, event='return', expires=None, "
                            "custom=None, mgr=None)\n--\n\n"
                            "Calls diagnose.instruments.statsd.increment(name, number, tags=...).\n"
                            "\n" VALUE_DOC);
PyDoc_STRVAR(emit_doc, "emit($self, /, name, value, tags)\n--\n\n"
                       "Sends the value. tags: None, a dict or a list.\n\n"
                       "Raises TypeError, ValueError.");

#define FIRE                                                                                       \
    {                                                                                              \
        "fire", (PyCFunction)(void (*)(void))diag_firing_output_method,                            \
            METH_VARARGS | METH_KEYWORDS, diag_firing_output_doc                                   \
    }

static PyMethodDef histogram_methods[] = {
    FIRE,
    {"emit", (PyCFunction)(void (*)(void))diag_histogram_emit_method, METH_VARARGS | METH_KEYWORDS,
     emit_doc},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef increment_methods[] = {
    FIRE,
    {"emit", (PyCFunction)(void (*)(void))diag_increment_emit_method, METH_VARARGS | METH_KEYWORDS,
     emit_doc},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject *add_type(struct diag_library *library, PyObject *module, const char *name,
                              const char *doc, PyMethodDef *methods) {
    PyType_Slot slots[] = {
        {Py_tp_doc, (void *)doc},
        {Py_tp_methods, methods},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = name,
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = slots,
    };

    return diag_library_add_type(library, module, &spec, library->instrument_type);
}

int diag_statsd_instruments_add_types(struct diag_library *library, PyObject *module) {
    library->histogram_type = add_type(library, module, "diagnose.instruments.HistogramInstrument",
                                       histogram_doc, histogram_methods);
    library->increment_type = add_type(library, module, "diagnose.instruments.IncrementInstrument",
                                       increment_doc, increment_methods);
    return library->histogram_type == NULL || library->increment_type == NULL ? -1 : 0;
}
