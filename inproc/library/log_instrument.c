/* SPDX-License-Identifier: MIT */
#include "inproc/library/log_instrument.h"

#include "inproc/engine/bounded_repr.h"
#include "inproc/library/firing.h"

#define ELLIPSIS "..."
#define BYTES_PER_CHAR 4 /* at most, in UTF-8 */

/* True for what writes itself out piece by piece, however large it is: str() of it is its repr().
 */
static bool is_container(PyObject *object) {
    return PyList_CheckExact(object) || PyTuple_CheckExact(object) || PyDict_CheckExact(object) ||
           PyAnySet_CheckExact(object);
}

/* A new reference to repr() of a container, or the beginning of it. */
static PyObject *bounded_repr(PyObject *container) {
    char text[(DIAG_LOG_CHARS_MAX + 1) * BYTES_PER_CHAR];
    uint64_t full_size;
    size_t size;

    if (diag_bounded_repr(container, text, sizeof text, &size, &full_size) < 0)
        return NULL;
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)size, "replace");
}

/* A new reference to str(object), cut to DIAG_LOG_CHARS_MAX characters. */
static PyObject *cut_str(PyObject *object) {
    PyObject *text = is_container(object) ? bounded_repr(object) : PyObject_Str(object);
    PyObject *begin;

    if (text == NULL || PyUnicode_GET_LENGTH(text) <= DIAG_LOG_CHARS_MAX)
        return text;
    begin = PyUnicode_Substring(text, 0, DIAG_LOG_CHARS_MAX - (Py_ssize_t)sizeof ELLIPSIS + 1);
    Py_DECREF(text);
    text = begin == NULL ? NULL : PyUnicode_FromFormat("%U" ELLIPSIS, begin);
    Py_XDECREF(begin);
    return text;
}

static PyObject *format_line(PyObject *name, PyObject *value, PyObject *tags) {
    PyObject *value_text = cut_str(value), *tags_text = NULL, *line = NULL;
    int has_tags = value_text == NULL ? -1 : PyObject_IsTrue(tags);

    if (has_tags == 0)
        line = PyUnicode_FromFormat("Probe (%U) = %U\n", name, value_text);
    else if (has_tags > 0 && (tags_text = cut_str(tags)) != NULL)
        line = PyUnicode_FromFormat("Probe (%U)[tags=%U] = %U\n", name, tags_text, value_text);
    Py_XDECREF(value_text);
    Py_XDECREF(tags_text);
    return line;
}

/* A new reference; Py_None: there is no output. */
static PyObject *output_of(struct diag_instrument_object *instrument) {
    PyObject *out =
        PyObject_GetAttr((PyObject *)instrument, instrument->library->names[DIAG_NAME_OUT]);

    if (out == Py_None) {
        Py_DECREF(out);
        out = PySys_GetObject("stdout");
        out = Py_NewRef(out == NULL ? Py_None : out);
    }
    return out;
}

/* In one piece, so that lines of several threads do not mix. */
int diag_log_emit(struct diag_instrument_object *instrument, PyObject *name, PyObject *value,
                  PyObject *tags) {
    PyObject *line = format_line(name, value, tags), *out, *result = NULL;

    if (line == NULL)
        return -1;
    out = output_of(instrument);
    if (out == Py_None)
        result = Py_NewRef(Py_None);
    else if (out != NULL)
        result = PyObject_CallMethodOneArg(out, instrument->library->names[DIAG_NAME_WRITE], line);
    Py_XDECREF(out);
    Py_DECREF(line);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

PyObject *diag_log_emit_method(PyObject *self, PyObject *args, PyObject *kwargs) {
    PyObject *given[3];

    if (diag_firing_emit_arguments(args, kwargs, given) < 0 ||
        diag_log_emit((struct diag_instrument_object *)self, given[0], given[1], given[2]) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(emit_doc, "emit($self, /, name, value, tags)\n--\n\n"
                       "Writes one line. tags: None, a dict or a list; without any they are left\n"
                       "out of the line.");

static PyMethodDef methods[] = {
    {"fire", (PyCFunction)(void (*)(void))diag_firing_output_method, METH_VARARGS | METH_KEYWORDS,
     diag_firing_output_doc},
    {"emit", (PyCFunction)(void (*)(void))diag_log_emit_method, METH_VARARGS | METH_KEYWORDS,
     emit_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(doc,
             "LogInstrument(name, value, event='return', expires=None, custom=None, mgr=None)\n"
             "--\n\n"
             "Writes a line for each hit whose value is not None:\n\n"
             "    Probe (NAME) = VALUE\n"
             "    Probe (NAME)[tags=TAGS] = VALUE\n\n"
             "VALUE is str() of the value and TAGS that of the dict or list of tags, each cut at\n"
             "MAX_CHARS characters, the last three of which are then '...'.\n\n"
             "out: where to, an object with write(str); None: sys.stdout of the moment.\n\n"
             "The arguments are those of Instrument.");

int diag_log_instrument_add_type(struct diag_library *library, PyObject *module) {
    PyType_Slot slots[] = {
        {Py_tp_doc, (void *)doc},
        {Py_tp_methods, methods},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "diagnose.instruments.LogInstrument",
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = slots,
    };
    PyObject *type, *chars_max;
    int result = -1;

    library->log_type = diag_library_add_type(library, module, &spec, library->instrument_type);
    if (library->log_type == NULL)
        return -1;
    type = (PyObject *)library->log_type;
    chars_max = PyLong_FromLong(DIAG_LOG_CHARS_MAX);
    if (chars_max != NULL && PyObject_SetAttr(type, library->names[DIAG_NAME_OUT], Py_None) == 0)
        result = PyObject_SetAttrString(type, "MAX_CHARS", chars_max);
    Py_XDECREF(chars_max);
    return result;
}
