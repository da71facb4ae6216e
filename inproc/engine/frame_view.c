/* SPDX-License-Identifier: MIT */
#include "inproc/engine/frame_view.h"

#include <stddef.h>
#include <structmember.h>

/* clang-format off: PyObject_HEAD brings its own semicolon */
struct frame_view {
    PyObject_HEAD PyObject *back;
    PyObject *code;
    PyObject *globals;
    PyObject *builtins;
    PyObject *locals;
    int line;
};
/* clang-format on */

static PyMemberDef members[] = {
    {"f_back", T_OBJECT, offsetof(struct frame_view, back), READONLY, NULL},
    {"f_code", T_OBJECT, offsetof(struct frame_view, code), READONLY, NULL},
    {"f_globals", T_OBJECT, offsetof(struct frame_view, globals), READONLY, NULL},
    {"f_builtins", T_OBJECT, offsetof(struct frame_view, builtins), READONLY, NULL},
    {"f_locals", T_OBJECT, offsetof(struct frame_view, locals), READONLY, NULL},
    {"f_lineno", T_INT, offsetof(struct frame_view, line), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static int traverse(PyObject *self, visitproc visit, void *arg) {
    struct frame_view *view = (struct frame_view *)self;

    Py_VISIT(Py_TYPE(self));
    Py_VISIT(view->back);
    Py_VISIT(view->code);
    Py_VISIT(view->globals);
    Py_VISIT(view->builtins);
    Py_VISIT(view->locals);
    return 0;
}

static int clear(PyObject *self) {
    struct frame_view *view = (struct frame_view *)self;

    Py_CLEAR(view->back);
    Py_CLEAR(view->code);
    Py_CLEAR(view->globals);
    Py_CLEAR(view->builtins);
    Py_CLEAR(view->locals);
    return 0;
}

static void dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

PyTypeObject *diag_frame_view_type_new(void) {
    PyType_Slot slots[] = {
        {Py_tp_members, members},
        {Py_tp_traverse, DIAG_PY_SLOT(traverse)},
        {Py_tp_clear, DIAG_PY_SLOT(clear)},
        {Py_tp_dealloc, DIAG_PY_SLOT(dealloc)},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "diagnose.frame",
        .basicsize = sizeof(struct frame_view),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION |
                 Py_TPFLAGS_IMMUTABLETYPE,
        .slots = slots,
    };

    return (PyTypeObject *)PyType_FromSpec(&spec);
}

/* The caller's frame; from inside, the frame that is executed is the function's own. */
static PyObject *caller_frame(const struct diag_call *call) {
    PyFrameObject *frame = PyEval_GetFrame();

    if (call->locals == NULL || frame == NULL)
        return Py_XNewRef((PyObject *)frame);
    return (PyObject *)PyFrame_GetBack(frame);
}

PyObject *diag_frame_view_new(PyTypeObject *type, enum diag_point point,
                              const struct diag_call *call) {
    bool has_variables = point == DIAG_POINT_END || point == DIAG_POINT_LINE;
    PyObject *locals = has_variables ? diag_call_locals(call) : diag_call_arguments(call);
    struct frame_view *view;

    if (locals == NULL)
        return NULL;
    view = (struct frame_view *)type->tp_alloc(type, 0);
    if (view == NULL) {
        Py_DECREF(locals);
        return NULL;
    }
    view->back = caller_frame(call);
    view->code = Py_XNewRef((PyObject *)call->code);
    view->globals = Py_XNewRef(call->globals);
    view->builtins = Py_XNewRef(diag_call_builtins(call));
    view->locals = locals;
    if (has_variables)
        view->line = PyFrame_GetLineNumber(PyEval_GetFrame());
    else
        view->line = call->code == NULL ? 0 : call->code->co_firstlineno;
    return (PyObject *)view;
}
