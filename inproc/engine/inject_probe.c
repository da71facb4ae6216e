/* SPDX-License-Identifier: MIT */
/* How it works: injected code loads a probe and jumps, if it is false, to the next instruction:
 *
 *     LOAD_CONST  probe
 *     POP_JUMP_FORWARD_IF_FALSE  0
 *
 * So the interpreter calls nb_bool and nothing else happens: no argument, no result, no specialised
 * call that has to warm up, no c_call event for sys.setprofile, and none of the interpreter's
 * registers for a call under way (KW_NAMES) is touched. What a callback needs lies in the frame:
 * the value to return is the only one on the stack at RETURN_VALUE, and a handler that cuts the
 * stack to nothing finds the offset of the instruction that raised, then the exception.
 *
 * Code can be copied by value: to pickle (cloudpickle) a probe is True, to marshal it is a text of
 * bytes, so that the copy does nothing.
 *
 * The type is static since instances of heap types are tracked by the collector for their type's
 * sake; it holds no state. */
#include "inproc/engine/inject_probe.h"

#if PY_VERSION_HEX < 0x030C0000

#include <internal/pycore_pystate.h>
#include <stdlib.h>
#include <string.h>

#include "inproc/engine/guard.h"

#define TYPE_NAME "diagnose.probe"

/* clang-format off: PyObject_HEAD brings its own semicolon */
struct probe {
    PyObject_HEAD struct diag_inject_link *link;
    enum diag_inject_event event;
    int line;
    unsigned version;
};
/* clang-format on */

struct diag_inject_link *diag_inject_link_new(PyCodeObject *original,
                                              struct diag_observer *observer) {
    struct diag_inject_link *link = calloc(1, sizeof *link);

    if (link == NULL)
        return NULL;
    link->reference_count = 1;
    link->observer = observer;
    link->original = (PyCodeObject *)Py_NewRef((PyObject *)original);
    return link;
}

void diag_inject_link_unref(struct diag_inject_link *link) {
    if (link == NULL || --link->reference_count > 0)
        return;
    Py_DECREF(link->original);
    free(link);
}

/* Whether the observer still wants what an older version of the code tells. */
static bool is_wanted(const struct diag_observer *observer, const struct probe *probe) {
    static const unsigned masks[] = {
        [DIAG_INJECT_START] = DIAG_OBSERVE_START,
        [DIAG_INJECT_RETURNED] = DIAG_OBSERVE_RETURN,
        [DIAG_INJECT_RAISED] = DIAG_OBSERVE_RAISE,
        [DIAG_INJECT_SUSPENDED] = DIAG_OBSERVE_SUSPEND,
        [DIAG_INJECT_RESUMED] = DIAG_OBSERVE_SUSPEND,
        [DIAG_INJECT_LINE] = DIAG_OBSERVE_LINES,
    };

    if (observer->events & masks[probe->event])
        return true;
    if (probe->event == DIAG_INJECT_LINE)
        for (size_t i = 0; i < observer->line_count; i++)
            if (observer->lines[i] == probe->line)
                return true;
    return false;
}

/* Entry and handler have no location of their own: the frame is where it began, or where the
 * exception was raised. The interpreter does not read this back. */
static void set_position(diag_py_frame *frame, int unit) {
    frame->prev_instr = _PyCode_CODE(frame->f_code) + unit;
}

static void call(struct diag_observer *observer, const struct probe *probe, diag_py_frame *frame) {
    PyObject *const *stack = frame->localsplus + frame->f_code->co_nlocalsplus;

    switch (probe->event) {
    case DIAG_INJECT_START:
        set_position(frame, frame->f_code->_co_firsttraceable);
        observer->start(observer, frame);
        break;
    case DIAG_INJECT_RETURNED:
        if (DIAG_LIKELY(stack[0] != NULL)) /* only code by hand leaves something below the value */
            observer->returned(observer, frame, stack[0]);
        break;
    case DIAG_INJECT_RAISED:
        set_position(frame, (int)PyLong_AsLong(stack[0]));
        observer->raised(observer, frame, stack[1]);
        break;
    case DIAG_INJECT_SUSPENDED:
        observer->suspended(observer, frame);
        break;
    case DIAG_INJECT_RESUMED:
        observer->resumed(observer, frame);
        break;
    case DIAG_INJECT_LINE:
        observer->line(observer, frame, probe->line);
        break;
    }
}

/* nb_bool. The stack holds the probe, which holds the link; the observer may be gone afterwards. */
static int hit(PyObject *self) {
    const struct probe *probe = (struct probe *)self;
    struct diag_observer *observer = probe->link->observer;
    PyThreadState *thread;

    if (DIAG_UNLIKELY(observer == NULL))
        return 1;
    if (DIAG_UNLIKELY(probe->version != probe->link->version) && !is_wanted(observer, probe))
        return 1;
    if (diag_guard_is_up(diag_thread_state_get())) {
        observer->reentrant++;
        return 1;
    }
    thread = _PyThreadState_GET();
    call(observer, probe, diag_py_current_frame(thread));
    if (DIAG_UNLIKELY(thread->curexc_type != NULL))
        PyErr_Clear();
    return 1;
}

static void dealloc(PyObject *self) {
    diag_inject_link_unref(((struct probe *)self)->link);
    PyObject_Free(self);
}

static PyObject *reduce(PyObject *self, PyObject *protocol) {
    (void)self;
    (void)protocol;
    return Py_BuildValue("O(O)", &PyBool_Type, Py_True);
}

static int get_buffer(PyObject *self, Py_buffer *view, int flags) {
    static char text[] = "diagnose";

    return PyBuffer_FillInfo(view, self, text, sizeof text - 1, 1, flags);
}

static PyNumberMethods number_methods = {.nb_bool = hit};

static PyBufferProcs buffer_methods = {.bf_getbuffer = get_buffer};

static PyMethodDef methods[] = {
    {"__reduce_ex__", reduce, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject probe_type = {
    .ob_base = {PyObject_HEAD_INIT(NULL) 0},
    .tp_name = TYPE_NAME,
    .tp_basicsize = sizeof(struct probe),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = dealloc,
    .tp_as_number = &number_methods,
    .tp_as_buffer = &buffer_methods,
    .tp_methods = methods,
};

bool diag_inject_probe_init(void) {
    if (PyType_Ready(&probe_type) == 0)
        return true;
    PyErr_Clear();
    return false;
}

PyObject *diag_inject_probe_new(struct diag_inject_link *link, enum diag_inject_event event,
                                int line) {
    struct probe *probe = PyObject_New(struct probe, &probe_type);

    if (probe == NULL)
        return NULL;
    link->reference_count++;
    probe->link = link;
    probe->event = event;
    probe->line = line;
    probe->version = link->version + 1;
    return (PyObject *)probe;
}

/* Injected code has a probe for its last constant. NULL: it has no constants. */
static PyObject *last_constant(PyCodeObject *code) {
    Py_ssize_t count = PyTuple_GET_SIZE(code->co_consts);

    return count == 0 ? NULL : PyTuple_GET_ITEM(code->co_consts, count - 1);
}

struct diag_inject_link *diag_inject_link_of(PyCodeObject *code) {
    PyObject *last = last_constant(code);

    if (last == NULL || Py_TYPE(last) != &probe_type)
        return NULL;
    return ((struct probe *)last)->link;
}

bool diag_inject_is_foreign(PyCodeObject *code) {
    PyObject *last = last_constant(code);

    return last != NULL && Py_TYPE(last) != &probe_type &&
           strcmp(Py_TYPE(last)->tp_name, TYPE_NAME) == 0;
}

#endif
