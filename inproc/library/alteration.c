/* SPDX-License-Identifier: MIT */
/* How it works: the interception of a call lies on the C stack of the thread that makes the call,
 * and of the greenlet, which has that stack in turn with others. `proceed` may get anywhere, so it
 * notes whose it is by what outlives that stack, and touches the interception only there. */
#include "inproc/library/alteration.h"

#include "inproc/library/binding.h"
#include "inproc/library/firing.h"
#include "inproc/library/instrument_error.h"
#include "inproc/library/instrument_manager.h"
#include "inproc/library/raised.h"

/* ---- proceed ---- */

struct proceed {
    PyObject_HEAD struct diag_interception *interception; /* NULL: intercept() has returned */
    uint64_t thread;                                      /* PyThreadState_GetID, never reused */
    const void *stack;                                    /* the greenlet's: diag_py_stack */
    struct diag_raised raised; /* what the target last came to: raised ... */
    PyObject *result;          /* ... or returned; NULL, too: it has not run */
};

/* What keeps `proceed` from being called here and now; NULL: nothing. */
static const char *refusal_of(const struct proceed *proceed) {
    PyThreadState *thread = diag_py_thread();

    if (proceed->interception == NULL)
        return "proceed: the call is over, as intercept() has returned";
    if (proceed->thread != PyThreadState_GetID(thread))
        return "proceed: the call is another thread's";
    if (!diag_py_is_on_stack(thread, proceed->stack))
        return "proceed: the call is another greenlet's";
    return NULL;
}

static PyObject *proceed_call(PyObject *object, PyObject *args, PyObject *kwargs) {
    struct proceed *self = (struct proceed *)object;
    const char *refusal = refusal_of(self);
    PyObject *result;

    if (refusal != NULL) {
        PyErr_SetString(PyExc_RuntimeError, refusal);
        return NULL;
    }
    result = diag_interception_proceed(self->interception, args, kwargs);
    diag_raised_done(&self->raised);
    Py_CLEAR(self->result);
    if (result == NULL)
        diag_raised_note(&self->raised);
    else
        self->result = Py_NewRef(result);
    return result;
}

static int proceed_traverse(PyObject *object, visitproc visit, void *arg) {
    struct proceed *self = (struct proceed *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->result);
    return diag_raised_traverse(&self->raised, visit, arg);
}

static int proceed_clear(PyObject *object) {
    struct proceed *self = (struct proceed *)object;

    diag_raised_done(&self->raised);
    Py_CLEAR(self->result);
    return 0;
}

static void proceed_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    proceed_clear(object);
    type->tp_free(object);
    Py_DECREF(type);
}

PyDoc_STRVAR(proceed_doc, "proceed(*args, **kwargs): runs the target, and gives what it returns.");

static int add_proceed_type(struct diag_library *library) {
    PyType_Slot slots[] = {
        {Py_tp_doc, (void *)proceed_doc},
        {Py_tp_call, DIAG_PY_SLOT(proceed_call)},
        {Py_tp_traverse, DIAG_PY_SLOT(proceed_traverse)},
        {Py_tp_clear, DIAG_PY_SLOT(proceed_clear)},
        {Py_tp_dealloc, DIAG_PY_SLOT(proceed_dealloc)},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "diagnose.instruments.proceed",
        .basicsize = sizeof(struct proceed),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = slots,
    };

    library->proceed_type = diag_library_add_type(library, NULL, &spec, NULL);
    return library->proceed_type == NULL ? -1 : 0;
}

static struct proceed *proceed_new(struct diag_library *library,
                                   struct diag_interception *interception) {
    PyTypeObject *type = library->proceed_type;
    PyThreadState *thread = diag_py_thread();
    const void *stack = diag_py_stack(thread);
    struct proceed *proceed;

    if (stack == NULL)
        return (struct proceed *)PyErr_NoMemory();
    proceed = (struct proceed *)type->tp_alloc(type, 0);
    if (proceed != NULL) {
        proceed->interception = interception;
        proceed->thread = PyThreadState_GetID(thread);
        proceed->stack = stack;
    }
    return proceed;
}

/* ---- Raise ---- */

struct raise {
    PyObject_HEAD PyObject *exception;
};

static PyObject *raise_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char exception_keyword[] = "exception";
    static char *keywords[] = {exception_keyword, NULL};
    PyObject *exception, *self;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:Raise", keywords, &exception))
        return NULL;
    if (PyExceptionClass_Check(exception))
        exception = PyObject_CallNoArgs(exception);
    else
        Py_INCREF(exception);
    if (exception != NULL && !PyExceptionInstance_Check(exception)) {
        PyErr_Format(PyExc_TypeError, "exception: must be an exception, not %.200s",
                     Py_TYPE(exception)->tp_name);
        Py_CLEAR(exception);
    }
    self = exception == NULL ? NULL : type->tp_alloc(type, 0);
    if (self == NULL)
        Py_XDECREF(exception);
    else
        ((struct raise *)self)->exception = exception;
    return self;
}

static int raise_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((struct raise *)self)->exception);
    return 0;
}

static int raise_clear(PyObject *self) {
    Py_CLEAR(((struct raise *)self)->exception);
    return 0;
}

static void raise_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    raise_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *raise_repr(PyObject *self) {
    return PyUnicode_FromFormat("Raise(%R)", ((struct raise *)self)->exception);
}

static PyObject *raise_get(PyObject *self, void *Py_UNUSED(closure)) {
    return Py_XNewRef(((struct raise *)self)->exception);
}

PyDoc_STRVAR(raise_doc,
             "Raise(exception)\n--\n\n"
             "What intercept() returns to have the caller see an exception: an instance,\n"
             "or a class, which is called without arguments.\n\n"
             "Raises TypeError.");

static PyGetSetDef raise_getset[] = {
    {"exception", raise_get, NULL, "BaseException: what the caller gets to see.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static int add_raise_type(struct diag_library *library, PyObject *module) {
    PyType_Slot slots[] = {
        {Py_tp_doc, (void *)raise_doc},
        {Py_tp_new, DIAG_PY_SLOT(raise_new)},
        {Py_tp_traverse, DIAG_PY_SLOT(raise_traverse)},
        {Py_tp_clear, DIAG_PY_SLOT(raise_clear)},
        {Py_tp_dealloc, DIAG_PY_SLOT(raise_dealloc)},
        {Py_tp_repr, DIAG_PY_SLOT(raise_repr)},
        {Py_tp_getset, raise_getset},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "diagnose.instruments.Raise",
        .basicsize = sizeof(struct raise),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
        .slots = slots,
    };

    library->raise_type = diag_library_add_type(library, module, &spec, NULL);
    return library->raise_type == NULL ? -1 : 0;
}

int diag_alteration_add_types(struct diag_library *library, PyObject *module) {
    return add_proceed_type(library) < 0 ? -1 : add_raise_type(library, module);
}

/* ---- an intercepted call ---- */

/* What the target itself came to; it is run now if it was not. `error`, if not NULL, is what has
 * come out of intercept(). */
static PyObject *own_outcome(struct proceed *proceed, struct diag_interception *interception,
                             PyObject *args, PyObject *kwargs) {
    if (proceed != NULL && proceed->result != NULL)
        return Py_NewRef(proceed->result);
    if (proceed != NULL && proceed->raised.exception != NULL) {
        diag_raised_again(&proceed->raised);
        return NULL;
    }
    return diag_interception_proceed(interception, args, kwargs);
}

/* The instrument has raised; or the target has, and the instrument let it through. */
static PyObject *recover(struct diag_binding *binding, struct proceed *proceed,
                         struct diag_interception *interception, PyObject *args, PyObject *kwargs) {
    PyObject *error = diag_py_take_exception();
    bool is_targets = proceed != NULL && error == proceed->raised.exception;

    if (is_targets) {
        Py_DECREF(error);
    } else {
        diag_py_set_exception(error);
        if (diag_hit_count_error(diag_interception_hit(interception)))
            diag_instrument_error(binding);
    }
    return own_outcome(proceed, interception, args, kwargs);
}

static PyObject *intercept(struct diag_binding *binding, struct proceed *proceed, PyObject *args,
                           PyObject *kwargs) {
    struct diag_library *library = binding->library;
    PyObject *result =
        diag_call_method((PyObject *)binding->instrument, library->names[DIAG_NAME_INTERCEPT],
                         (PyObject *)proceed, NULL, args, kwargs);

    proceed->interception = NULL;
    if (result == NULL)
        return NULL;
    binding->hits++;
    return result;
}

static PyObject *run(struct diag_binding *binding, struct diag_interception *interception,
                     PyObject *args, PyObject *kwargs) {
    struct diag_library *library = binding->library;
    int is_allowed =
        diag_firing_is_due(binding) ? diag_firing_check_call(binding, args, kwargs) : 0;
    struct proceed *proceed = NULL;
    PyObject *result = NULL, *exception;

    if (is_allowed == 0)
        return diag_interception_proceed(interception, args, kwargs);
    if (is_allowed > 0)
        proceed = proceed_new(library, interception);
    if (proceed != NULL)
        result = intercept(binding, proceed, args, kwargs);
    if (result == NULL) {
        result = recover(binding, proceed, interception, args, kwargs);
    } else if (PyObject_TypeCheck(result, library->raise_type)) {
        exception = Py_NewRef(((struct raise *)result)->exception);
        Py_CLEAR(result);
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
        Py_DECREF(exception);
    }
    Py_XDECREF((PyObject *)proceed);
    return result;
}

PyObject *diag_alteration_run(PyObject *object, struct diag_interception *interception) {
    PyObject *args, *kwargs, *result;

    if (diag_interception_arguments(interception, &args, &kwargs) < 0)
        return NULL;
    result = run((struct diag_binding *)object, interception, args, kwargs);
    Py_DECREF(args);
    Py_DECREF(kwargs);
    return result;
}
