/* SPDX-License-Identifier: MIT */
#include "inproc/library/instrument_methods.h"

#include "inproc/library/evaluate.h"
#include "inproc/library/firing.h"
#include "inproc/library/instrument_error.h"
#include "inproc/library/instrument_fields.h"
#include "inproc/library/instrument_manager.h"

PyDoc_STRVAR(evaluate_doc,
             "evaluate($self, /, value, _globals, _locals)\n--\n\n"
             "What the Python expression `value` (a str) gives. Names are those of _locals (a\n"
             "mapping), then of _globals (a dict), also within its lambdas and comprehensions.\n\n"
             "Raises TypeError, ValueError (it does not compile), and what the expression raises.");

static PyObject *evaluate(PyObject *self, PyObject *args, PyObject *kwargs) {
    static char value[] = "value", globals[] = "_globals", names[] = "_locals";
    static char *keywords[] = {value, globals, names, NULL};
    PyObject *given[3];

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO:evaluate", keywords, &given[0], &given[1],
                                     &given[2]))
        return NULL;
    return diag_evaluate((struct diag_instrument_object *)self, given[0], given[1], given[2]);
}

PyDoc_STRVAR(merge_tags_doc,
             "merge_tags($self, /, _globals, _locals)\n--\n\n"
             "The manager's get_tags() and what the expression custom['tags'] gives, together: a\n"
             "dict if both are (the second one's values win), else a list of 'key:value'; None if\n"
             "there are neither.\n\n"
             "Raises TypeError for anything else than dicts, and lists, tuples or sets of str.");

static PyObject *merge_tags(PyObject *self, PyObject *args, PyObject *kwargs) {
    struct diag_firing firing;

    if (diag_firing_from_python(&firing, self, args, kwargs, "O!O:merge_tags") < 0)
        return NULL;
    firing.is_merging = true;
    return diag_firing_tags(&firing);
}

PyDoc_STRVAR(fire_doc,
             "fire($self, /, _globals, _locals)\n--\n\n"
             "Called at each hit: to be defined by subclasses. Evaluate with\n"
             "self.evaluate(self.value, _globals, _locals), self.merge_tags(_globals, _locals).\n\n"
             "_globals: the manager's global_namespace. _locals: all names that the expressions\n"
             "see; names that are added to it are seen, too. Whatever it returns is ignored.\n\n"
             "Raises NotImplementedError.");

int diag_instrument_fire(struct diag_firing *firing) {
    PyErr_Format(PyExc_NotImplementedError, "%.200s has no method fire(self, _globals, _locals)",
                 Py_TYPE(firing->instrument)->tp_name);
    return -1;
}

PyObject *diag_instrument_fire_method(PyObject *self, PyObject *args, PyObject *kwargs) {
    struct diag_firing firing;

    if (diag_firing_from_python(&firing, self, args, kwargs, "O!O:fire") == 0 &&
        diag_instrument_fire(&firing) == 0)
        Py_RETURN_NONE;
    return NULL;
}

PyDoc_STRVAR(check_call_doc,
             "check_call($self, probe, /, *args, **kwargs)\n--\n\n"
             "Called at each hit, before anything is evaluated, with the FunctionProbe and the\n"
             "arguments of the call: if it returns what is false, the hit is left out. Asks\n"
             "mgr.check_call(probe, self, *args, **kwargs); True without a manager.");

static PyObject *check_call(PyObject *object, PyObject *args, PyObject *kwargs) {
    struct diag_instrument_object *self = (struct diag_instrument_object *)object;
    PyObject *rest, *manager;
    int answer;

    if (PyTuple_GET_SIZE(args) == 0) {
        PyErr_SetString(PyExc_TypeError, "check_call() needs the probe, and the call's arguments");
        return NULL;
    }
    rest = PyTuple_GetSlice(args, 1, PyTuple_GET_SIZE(args));
    if (rest == NULL)
        return NULL;
    manager = Py_NewRef(diag_instrument_manager(self));
    answer = diag_manager_check_call(self->library, manager, PyTuple_GET_ITEM(args, 0), object,
                                     rest, kwargs);
    Py_DECREF(manager);
    Py_DECREF(rest);
    return answer < 0 ? NULL : PyBool_FromLong(answer);
}

PyDoc_STRVAR(handle_error_doc,
             "handle_error($self, probe, /)\n--\n\n"
             "Called when any of the other methods, or an expression, has raised; sys.exc_info()\n"
             "is the error. Switches the instrument off, by setting expires to the class's\n"
             "error_expiration (None: it goes on), and calls mgr.handle_error(probe, self);\n"
             "without a manager, the traceback goes to sys.stderr.");

static PyObject *handle_error(PyObject *self, PyObject *probe) {
    if (diag_instrument_handle_error((struct diag_instrument_object *)self, probe) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(finish_doc,
             "finish($self, /)\n--\n\n"
             "Called once each time that the instrument leaves service: it was removed or\n"
             "replaced, its probe was stopped, it has expired, or raised. Does nothing.");

static PyObject *finish(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(unused)) {
    Py_RETURN_NONE;
}

PyDoc_STRVAR(restore_doc,
             "_restore($type, name, value, event, expires, custom, mgr, /)\n--\n\n"
             "An instrument with these attributes, without its __init__: for pickle and copy.");

/* Not by calling the class, whose __init__ may take other arguments. */
static PyObject *restore(PyObject *object, PyObject *args) {
    PyTypeObject *type = (PyTypeObject *)object;
    PyObject *given[DIAG_FIELD_COUNT], *no_arguments, *made;
    struct diag_instrument_object *self;

    if (!PyArg_ParseTuple(args, "OOOOOO:_restore", &given[DIAG_FIELD_NAME],
                          &given[DIAG_FIELD_VALUE], &given[DIAG_FIELD_EVENT],
                          &given[DIAG_FIELD_EXPIRES], &given[DIAG_FIELD_CUSTOM],
                          &given[DIAG_FIELD_MGR]))
        return NULL;
    no_arguments = PyTuple_New(0);
    made = no_arguments == NULL ? NULL : type->tp_new(type, no_arguments, NULL);
    Py_XDECREF(no_arguments);
    if (made == NULL)
        return NULL;
    if (!Py_IS_TYPE(made, type)) {
        PyErr_Format(PyExc_TypeError, "the __new__ of %.200s has returned a %.200s", type->tp_name,
                     Py_TYPE(made)->tp_name);
        Py_DECREF(made);
        return NULL;
    }
    self = (struct diag_instrument_object *)made;
    for (int field = 0; made != NULL && field < DIAG_FIELD_COUNT; field++)
        if (diag_field_keep(self, (enum diag_field)field, given[field]) < 0)
            Py_CLEAR(made);
    if (made != NULL)
        self->is_complete = true;
    return made;
}

PyDoc_STRVAR(reduce_doc,
             "__reduce__($self, /)\n--\n\n"
             "Pickled and copied are name, value, event, expires, custom and mgr, and the\n"
             "attributes that were added; not what it is attached to. __init__ is not called.");

static PyObject *reduce(PyObject *object, PyObject *Py_UNUSED(unused)) {
    struct diag_instrument_object *self = (struct diag_instrument_object *)object;

    if (!self->is_complete) {
        PyErr_Format(PyExc_TypeError, "the __init__ of %.200s has not called super().__init__()",
                     Py_TYPE(object)->tp_name);
        return NULL;
    }
    return Py_BuildValue("N(OOOOOO)O",
                         PyObject_GetAttrString((PyObject *)Py_TYPE(object), "_restore"),
                         self->name, self->value, self->event, self->expires, self->custom,
                         self->manager, self->dict == NULL ? Py_None : self->dict);
}

PyMethodDef diag_instrument_methods[] = {
    {"evaluate", (PyCFunction)(void (*)(void))evaluate, METH_VARARGS | METH_KEYWORDS, evaluate_doc},
    {"merge_tags", (PyCFunction)(void (*)(void))merge_tags, METH_VARARGS | METH_KEYWORDS,
     merge_tags_doc},
    {"fire", (PyCFunction)(void (*)(void))diag_instrument_fire_method, METH_VARARGS | METH_KEYWORDS,
     fire_doc},
    {"check_call", (PyCFunction)(void (*)(void))check_call, METH_VARARGS | METH_KEYWORDS,
     check_call_doc},
    {"handle_error", handle_error, METH_O, handle_error_doc},
    {"finish", finish, METH_NOARGS, finish_doc},
    {"_restore", restore, METH_VARARGS | METH_CLASS, restore_doc},
    {"__reduce__", reduce, METH_NOARGS, reduce_doc},
    {NULL, NULL, 0, NULL},
};
