/* SPDX-License-Identifier: MIT */
#include "inproc/library/binding.h"

#include "inproc/engine/describe.h"
#include "inproc/engine/engine.h"
#include "inproc/engine/thread_state.h"
#include "inproc/library/binding_terms.h"
#include "inproc/library/function_probe.h"
#include "inproc/library/import_end.h"
#include "inproc/library/instrument_error.h"
#include "inproc/library/instrument_fields.h"
#include "inproc/library/instrument_manager.h"
#include "lib/base/clock.h"

/* The instrument that this thread reads. If reading assigned something, and that armed it anew, it
 * would never end. */
static __thread const struct diag_instrument_object *being_read
    __attribute__((tls_model("initial-exec")));

/* ---- the object ---- */

static int traverse(PyObject *object, visitproc visit, void *arg) {
    struct diag_binding *self = (struct diag_binding *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->probe);
    Py_VISIT(self->instrument);
    Py_VISIT(self->terms.value);
    Py_VISIT(self->terms.event);
    Py_VISIT(self->terms.tags);
    Py_VISIT(self->terms.globals);
    Py_VISIT(self->terms.callable);
    Py_VISIT(self->decorated);
    Py_VISIT(self->own_globals);
    Py_VISIT(self->library->module);
    return 0;
}

/* Not instrument and probe, which are needed as long as it is on their lists: their own references
 * lead back here through a dict, which breaks the cycle. */
static int clear(PyObject *object) {
    struct diag_binding *self = (struct diag_binding *)object;

    diag_binding_terms_done(&self->terms);
    Py_CLEAR(self->decorated);
    Py_CLEAR(self->own_globals);
    return 0;
}

static void leave_lists(struct diag_binding *self) {
    struct diag_binding **place = &self->instrument->bindings;

    while (*place != NULL && *place != self)
        place = &(*place)->next_of_instrument;
    if (*place != NULL)
        *place = self->next_of_instrument;
    if (self->previous != NULL)
        self->previous->next = self->next;
    else
        self->library->bindings = self->next;
    if (self->next != NULL)
        self->next->previous = self->previous;
}

static void dealloc(PyObject *object) {
    struct diag_binding *self = (struct diag_binding *)object;
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    leave_lists(self);
    clear(object);
    Py_CLEAR(self->instrument);
    Py_CLEAR(self->probe);
    diag_library_unref(self->library);
    type->tp_free(object);
    Py_DECREF(type);
}

int diag_binding_add_type(struct diag_library *library) {
    PyType_Slot slots[] = {
        {Py_tp_traverse, DIAG_PY_SLOT(traverse)},
        {Py_tp_clear, DIAG_PY_SLOT(clear)},
        {Py_tp_dealloc, DIAG_PY_SLOT(dealloc)},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "diagnose.binding",
        .basicsize = sizeof(struct diag_binding),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
                 Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = slots,
    };

    library->binding_type = diag_library_add_type(library, NULL, &spec, NULL);
    return library->binding_type == NULL ? -1 : 0;
}

struct diag_binding *diag_binding_new(struct diag_library *library, struct diag_probe_object *probe,
                                      struct diag_instrument_object *instrument) {
    PyTypeObject *type = library->binding_type;
    struct diag_binding *self = (struct diag_binding *)type->tp_alloc(type, 0);

    if (self == NULL)
        return NULL;
    self->library = diag_library_ref(library);
    self->probe = (struct diag_probe_object *)Py_NewRef((PyObject *)probe);
    self->instrument = (struct diag_instrument_object *)Py_NewRef((PyObject *)instrument);
    self->number = ++library->last_binding;
    self->next_of_instrument = instrument->bindings;
    instrument->bindings = self;
    self->next = library->bindings;
    if (self->next != NULL)
        self->next->previous = self;
    library->bindings = self;
    return self;
}

/* ---- on and off ---- */

/* Keeps the exception's text for the status. */
static void note_exception(struct diag_binding *binding) {
    PyObject *exception = diag_py_take_exception();

    diag_py_set_exception(Py_NewRef(exception));
    diag_describe_exception(binding->message, sizeof binding->message);
    diag_py_set_exception(exception);
}

void diag_binding_remove_spec(struct diag_binding *binding) {
    struct diag_engine *engine = binding->library->engine;
    struct diag_spec_status status;
    char id[DIAG_BINDING_ID_MAX];

    if (!binding->is_put)
        return;
    binding->is_put = false;
    if (engine == NULL)
        return;
    diag_binding_id(binding, id);
    if (diag_engine_status(engine, id, &status))
        for (int i = 0; i < DIAG_SKIP_COUNT; i++)
            binding->skips[i] += status.skips[i];
    diag_engine_remove(engine, id);
}

static void call_finish(struct diag_binding *binding) {
    struct diag_instrument_object *instrument = binding->instrument;
    PyObject *result;

    if (!diag_overrides_of(instrument)->has_finish)
        return;
    result = PyObject_CallMethodNoArgs((PyObject *)instrument,
                                       binding->library->names[DIAG_NAME_FINISH]);
    if (result == NULL && !diag_instrument_was_interrupted())
        diag_instrument_error(binding);
    Py_XDECREF(result);
}

static void switch_off(struct diag_binding *binding) {
    bool was_serving = binding->is_serving;

    binding->is_on = binding->is_serving = false;
    if (binding->is_put && diag_thread_state.is_in_probe)
        diag_binding_update_soon(binding); /* the call that was hit need not wait for it */
    else
        diag_binding_remove_spec(binding);
    if (was_serving)
        call_finish(binding);
}

/* What the instrument's own code (a property's getter) assigns to it meanwhile is taken as well. */
static int take_terms(struct diag_binding *binding, struct diag_binding_terms *out) {
    const struct diag_instrument_object *former = being_read;
    int result;

    being_read = binding->instrument;
    result = diag_binding_terms_take(binding, out);
    being_read = former;
    return result;
}

static int switch_on(struct diag_binding *binding) {
    struct diag_engine *engine;
    struct diag_binding_terms terms, former;
    struct diag_error err;
    enum diag_status status;

    if (binding->library->is_stopped)
        return 0;
    engine = diag_library_engine(binding->library);
    if (engine == NULL || take_terms(binding, &terms) < 0) {
        note_exception(binding);
        return -1;
    }
    binding->message[0] = '\0';
    if (binding->is_put && diag_binding_terms_equal(&terms, &binding->terms)) {
        diag_binding_terms_done(&terms);
        binding->is_on = binding->is_serving = true;
        return 0;
    }
    status = diag_binding_terms_put(binding, &terms, engine, &err);
    if (status == DIAG_ERR_UNAVAILABLE) {
        diag_binding_terms_done(&terms);
        diag_binding_update_soon(binding);
        return 0;
    }
    binding->is_put = true;
    if (status != DIAG_OK) {
        diag_binding_terms_done(&terms);
        diag_binding_remove_spec(binding);
        diag_instrument_raise(&err);
        note_exception(binding);
        return -1;
    }
    if (binding->library->is_stopped) /* meanwhile */
        diag_binding_remove_spec(binding);
    former = binding->terms;
    binding->terms = terms;
    diag_binding_terms_done(&former);
    binding->is_on = binding->is_serving = true;
    return 0;
}

int diag_binding_update(struct diag_binding *binding) {
    int result;

    if (binding->is_busy) {
        binding->is_dirty = true;
        return 0;
    }
    Py_INCREF((PyObject *)binding);
    binding->is_busy = true;
    do {
        binding->is_dirty = false;
        result = 0;
        if (!binding->is_wanted || binding->is_failed ||
            diag_instrument_is_expired(binding->instrument, diag_clock_unix_ns())) {
            switch_off(binding);
        } else if (switch_on(binding) < 0) {
            PyObject *error = diag_py_take_exception();

            if (!binding->is_put) /* else it waits for its target */
                switch_off(binding);
            diag_py_set_exception(error);
            result = -1;
        }
        if (binding->is_dirty)
            PyErr_Clear(); /* of what holds no longer */
    } while (binding->is_dirty);
    binding->is_busy = false;
    Py_DECREF((PyObject *)binding);
    return result;
}

/* The spec is the engine's; but perhaps its target is a name that nobody has. */
static int check_target(struct diag_binding *binding) {
    struct diag_error err;

    if (!binding->is_put || !diag_binding_is_pending(binding))
        return 0;
    if (diag_binding_check_target(binding, &err) == DIAG_OK) {
        diag_import_end_watch(binding->library, binding->probe->target);
        return 0;
    }
    binding->is_serving = false; /* until it is hit */
    diag_library_raise(&err);
    return -1;
}

int diag_binding_want(struct diag_binding *binding, bool is_wanted) {
    binding->is_wanted = is_wanted;
    binding->is_failed = false;
    if (diag_binding_update(binding) < 0)
        return -1;
    return is_wanted ? check_target(binding) : 0;
}

void diag_binding_give_up(struct diag_binding *binding) {
    PyObject *error = PyErr_Occurred() ? diag_py_take_exception() : NULL;

    if (diag_binding_want(binding, false) < 0)
        PyErr_Clear();
    if (error != NULL)
        diag_py_set_exception(error);
}

/* Of a snapshot: finish() and the like may add and remove bindings. */
int diag_binding_instrument_changed(struct diag_instrument_object *instrument) {
    PyObject *bindings;
    int result = 0;

    if (instrument->bindings == NULL || instrument == being_read)
        return 0;
    bindings = PyList_New(0);
    if (bindings == NULL)
        return -1;
    for (struct diag_binding *at = instrument->bindings; at != NULL; at = at->next_of_instrument)
        if (result == 0)
            result = PyList_Append(bindings, (PyObject *)at);
    for (Py_ssize_t i = 0; result == 0 && i < PyList_GET_SIZE(bindings); i++) {
        struct diag_binding *binding = (struct diag_binding *)PyList_GET_ITEM(bindings, i);

        binding->is_failed = false;
        if (binding->is_wanted)
            result = diag_binding_update(binding);
    }
    Py_DECREF(bindings);
    return result;
}

void diag_binding_expire(struct diag_binding *binding) {
    if (diag_binding_update(binding) < 0)
        PyErr_Clear(); /* it has been renewed meanwhile; its status says what is wrong */
}
