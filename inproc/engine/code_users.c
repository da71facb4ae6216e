/* SPDX-License-Identifier: MIT */
#include "inproc/engine/code_users.h"

#include "inproc/engine/heap.h"

/* Code in code in code: no program has more, and a constant cannot lead back to its code. */
#define NESTING_MAX 100

/* PyFunction_Type cannot be derived from, but its type can be swapped: see backend_type_swap.c. */
static bool is_function(PyObject *object) {
    return Py_TYPE(object) == &PyFunction_Type || Py_TYPE(object)->tp_base == &PyFunction_Type;
}

struct function_visitor {
    bool (*visit)(void *context, PyObject *function);
    void *context;
};

static bool visit_if_function(void *context, PyObject *object) {
    const struct function_visitor *visitor = context;

    return !is_function(object) || visitor->visit(visitor->context, object);
}

void diag_code_users_each_function(bool (*visit)(void *context, PyObject *function),
                                   void *context) {
    struct function_visitor visitor = {visit, context};

    diag_heap_each(visit_if_function, &visitor);
}

struct function_list {
    PyCodeObject *code;
    PyObject **functions; /* NULL: they are only counted */
    Py_ssize_t count;
};

static bool note_function(void *context, PyObject *function) {
    struct function_list *list = context;

    if (diag_py_code(function) != list->code)
        return true;
    if (list->functions != NULL)
        list->functions[list->count] = function;
    list->count++;
    return true;
}

/* A list is tracked itself, and may set off a collection: so it is made between two walks, and only
 * filled if it has turned out to be as long as it must be. */
PyObject *diag_code_users_functions(PyCodeObject *code) {
    for (;;) {
        struct function_list list = {code, NULL, 0};
        Py_ssize_t expected;
        PyObject *found;

        diag_code_users_each_function(note_function, &list);
        expected = list.count;
        found = PyList_New(expected);
        if (found == NULL)
            return NULL;
        list.count = 0;
        diag_code_users_each_function(note_function, &list);
        if (list.count == expected) {
            list.functions = ((PyListObject *)found)->ob_item;
            list.count = 0;
            diag_code_users_each_function(note_function, &list);
            for (Py_ssize_t i = 0; i < expected; i++)
                Py_INCREF(list.functions[i]);
            return found;
        }
        Py_DECREF(found);
    }
}

struct code_visitor {
    void (*visit)(void *context, PyCodeObject *code);
    void *context;
};

static void visit_code(const struct code_visitor *visitor, PyObject *object, int nesting) {
    PyCodeObject *code = (PyCodeObject *)object;

    if (!PyCode_Check(object) || nesting > NESTING_MAX)
        return;
    visitor->visit(visitor->context, code);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(code->co_consts); i++)
        visit_code(visitor, PyTuple_GET_ITEM(code->co_consts, i), nesting + 1);
}

static bool visit_code_of(void *context, PyObject *object) {
    const struct code_visitor *visitor = context;
    const diag_py_frame *frame;

    if (is_function(object)) {
        visit_code(visitor, (PyObject *)diag_py_code(object), 0);
    } else if (PyGen_CheckExact(object) || PyCoro_CheckExact(object) ||
               PyAsyncGen_CheckExact(object)) {
        frame = diag_py_generator_frame(object);
        if (frame != NULL)
            visit_code(visitor, (PyObject *)diag_py_frame_code(frame), 0);
    }
    return true;
}

void diag_code_users_each_code(void (*visit)(void *context, PyCodeObject *code), void *context) {
    struct code_visitor visitor = {visit, context};
    PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Get());

    diag_heap_each(visit_code_of, &visitor);
    for (; thread != NULL; thread = PyThreadState_Next(thread))
        for (const diag_py_frame *frame = diag_py_thread_frame(thread); frame != NULL;
             frame = frame->previous)
            visit_code(&visitor, (PyObject *)diag_py_frame_code(frame), 0);
}

bool diag_code_users_is_only(PyCodeObject *code, PyObject *function, Py_ssize_t others) {
    return function != NULL && diag_py_code(function) == code && Py_REFCNT(code) == 1 + others;
}

bool diag_code_users_is_collecting(void) {
    return PyInterpreterState_Get()->gc.collecting;
}
