/* SPDX-License-Identifier: MIT */
/* How it works: one counter for each line from the function's first one on. The Python object
 * shares the counters; its dict `calls` is made when somebody asks for it, and so is the text of a
 * line (by linecache). */
#include "inproc/engine/hotspots.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <structmember.h>

#include "lib/base/clock.h"
#include "lib/base/compiler.h"

#define LINES_MIN 32
#define LINES_MAX (1 << 20) /* of one function; further ones are not measured */

struct line_time {
    uint64_t count, max_ns, sum_ns;
};

struct diag_hotspots {
    size_t references;
    int first_line;
    int current; /* index of the line that is executed, -1: none */
    bool is_running;
    uint64_t since_ns;   /* the line goes on since then, */
    uint64_t earlier_ns; /* and took this long before it was suspended */
    size_t capacity;
    struct line_time *lines;
};

struct diag_hotspots *diag_hotspots_new(PyCodeObject *code) {
    struct diag_hotspots *hotspots = calloc(1, sizeof *hotspots);

    if (hotspots == NULL)
        return NULL;
    hotspots->lines = calloc(LINES_MIN, sizeof *hotspots->lines);
    if (hotspots->lines == NULL) {
        free(hotspots);
        return NULL;
    }
    hotspots->references = 1;
    hotspots->capacity = LINES_MIN;
    hotspots->first_line = code->co_firstlineno;
    hotspots->current = -1;
    return hotspots;
}

void diag_hotspots_unref(struct diag_hotspots *hotspots) {
    if (hotspots == NULL || --hotspots->references > 0)
        return;
    free(hotspots->lines);
    free(hotspots);
}

static bool make_room(struct diag_hotspots *hotspots, size_t index) {
    size_t capacity = hotspots->capacity;
    struct line_time *lines;

    if (index >= LINES_MAX)
        return false;
    while (capacity <= index)
        capacity *= 2;
    lines = realloc(hotspots->lines, capacity * sizeof *lines);
    if (lines == NULL)
        return false;
    memset(lines + hotspots->capacity, 0, (capacity - hotspots->capacity) * sizeof *lines);
    hotspots->lines = lines;
    hotspots->capacity = capacity;
    return true;
}

static void close_line(struct diag_hotspots *hotspots, uint64_t now_ns) {
    struct line_time *line;
    uint64_t ns = hotspots->earlier_ns;

    if (hotspots->current < 0)
        return;
    if (hotspots->is_running && now_ns > hotspots->since_ns)
        ns += now_ns - hotspots->since_ns;
    line = &hotspots->lines[hotspots->current];
    line->count++;
    line->sum_ns += ns;
    if (ns > line->max_ns)
        line->max_ns = ns;
}

void diag_hotspots_line(struct diag_hotspots *hotspots, int line, uint64_t now_ns) {
    size_t index = (size_t)(line - hotspots->first_line);

    close_line(hotspots, now_ns);
    hotspots->current = -1;
    if (line < hotspots->first_line ||
        (DIAG_UNLIKELY(index >= hotspots->capacity) && !make_room(hotspots, index)))
        return;
    hotspots->current = (int)index;
    hotspots->is_running = true;
    hotspots->since_ns = now_ns;
    hotspots->earlier_ns = 0;
}

void diag_hotspots_pause(struct diag_hotspots *hotspots, uint64_t now_ns) {
    if (hotspots->is_running && now_ns > hotspots->since_ns)
        hotspots->earlier_ns += now_ns - hotspots->since_ns;
    hotspots->is_running = false;
}

void diag_hotspots_resume(struct diag_hotspots *hotspots, uint64_t now_ns) {
    hotspots->is_running = true;
    hotspots->since_ns = now_ns;
}

void diag_hotspots_end(struct diag_hotspots *hotspots, uint64_t now_ns) {
    close_line(hotspots, now_ns);
    hotspots->current = -1;
}

/* clang-format off: PyObject_HEAD brings its own semicolon */
struct view {
    PyObject_HEAD struct diag_hotspots *hotspots; /* a reference */
    PyObject *calls;                              /* NULL: nobody has asked yet */
    PyObject *filename;
    PyObject *globals;
};
/* clang-format on */

/* Made at the first use, and kept as long as the process. */
static PyTypeObject *view_type;
static PyObject *hotspot_type; /* a namedtuple of Python's */

static double seconds(uint64_t ns) {
    return (double)ns / (double)DIAG_NS_PER_S;
}

static PyObject *source(PyObject *self, PyObject *lineno) {
    struct view *view = (struct view *)self;
    PyObject *module = PyImport_ImportModule("linecache"), *line;

    if (module == NULL)
        return NULL;
    line = PyObject_CallMethod(module, "getline", "OOO", view->filename, lineno, view->globals);
    Py_DECREF(module);
    return line;
}

/* `index`: of a line, -1: none. */
static PyObject *hotspot(struct view *view, ptrdiff_t index, uint64_t time_ns) {
    PyObject *lineno, *text, *hotspot = NULL;

    if (index < 0)
        Py_RETURN_NONE;
    lineno = PyLong_FromSsize_t(view->hotspots->first_line + index);
    text = lineno == NULL ? NULL : source((PyObject *)view, lineno);
    if (text != NULL)
        hotspot = PyObject_CallFunction(hotspot_type, "dOO", seconds(time_ns), lineno, text);
    Py_XDECREF(lineno);
    Py_XDECREF(text);
    return hotspot;
}

/* The line with the most of the figure in struct line_time that `closure` is the offset of. */
static PyObject *longest(PyObject *self, void *closure) {
    struct view *view = (struct view *)self;
    const struct diag_hotspots *hotspots = view->hotspots;
    ptrdiff_t found = -1;
    uint64_t found_ns = 0;

    for (size_t i = 0; i < hotspots->capacity; i++) {
        const struct line_time *line = &hotspots->lines[i];
        uint64_t time_ns;

        memcpy(&time_ns, (const char *)line + (uintptr_t)closure, sizeof time_ns);
        if (line->count == 0 || (found >= 0 && time_ns <= found_ns))
            continue;
        found = (ptrdiff_t)i;
        found_ns = time_ns;
    }
    return hotspot(view, found, found_ns);
}

static int put_line(PyObject *calls, int line, const struct line_time *time) {
    PyObject *key = PyLong_FromLong(line);
    PyObject *value = Py_BuildValue("[Kdd]", (unsigned long long)time->count, seconds(time->max_ns),
                                    seconds(time->sum_ns));
    int result = key == NULL || value == NULL ? -1 : PyDict_SetItem(calls, key, value);

    Py_XDECREF(key);
    Py_XDECREF(value);
    return result;
}

static PyObject *calls(PyObject *self, void *closure) {
    struct view *view = (struct view *)self;
    const struct diag_hotspots *hotspots = view->hotspots;
    PyObject *dict;

    (void)closure;
    if (view->calls != NULL)
        return Py_NewRef(view->calls);
    dict = PyDict_New();
    for (size_t i = 0; dict != NULL && i < hotspots->capacity; i++)
        if (hotspots->lines[i].count > 0 &&
            put_line(dict, hotspots->first_line + (int)i, &hotspots->lines[i]) < 0)
            Py_CLEAR(dict);
    Py_XSETREF(view->calls, Py_XNewRef(dict));
    return dict;
}

static void dealloc(PyObject *self) {
    struct view *view = (struct view *)self;
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    Py_CLEAR(view->calls);
    Py_CLEAR(view->filename);
    Py_CLEAR(view->globals);
    diag_hotspots_unref(view->hotspots);
    type->tp_free(self);
    Py_DECREF(type);
}

static int traverse(PyObject *self, visitproc visit, void *arg) {
    struct view *view = (struct view *)self;

    Py_VISIT(Py_TYPE(self));
    Py_VISIT(view->calls);
    Py_VISIT(view->globals);
    return 0;
}

static PyObject *repr(PyObject *self) {
    PyObject *dict = calls(self, NULL), *text;

    if (dict == NULL)
        return NULL;
    text = PyUnicode_FromFormat("<hotspots of %R: %R>", ((struct view *)self)->filename, dict);
    Py_DECREF(dict);
    return text;
}

static PyMemberDef members[] = {
    {"filename", T_OBJECT, offsetof(struct view, filename), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"calls", calls, NULL, NULL, NULL},
    {"slowest", longest, NULL, NULL, (void *)offsetof(struct line_time, max_ns)},
    {"worst", longest, NULL, NULL, (void *)offsetof(struct line_time, sum_ns)},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef methods[] = {
    {"source", source, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyObject *make_hotspot_type(void) {
    PyObject *collections = PyImport_ImportModule("collections"), *module, *type;

    if (collections == NULL)
        return NULL;
    module = PyUnicode_FromString("diagnose");
    type = PyObject_CallMethod(collections, "namedtuple", "s(sss)", "hotspot", "time", "lineno",
                               "source");
    if (type != NULL && (module == NULL || PyObject_SetAttrString(type, "__module__", module) < 0))
        Py_CLEAR(type);
    Py_DECREF(collections);
    Py_XDECREF(module);
    return type;
}

static int make_types(void) {
    PyType_Slot slots[] = {
        {Py_tp_members, members},
        {Py_tp_getset, getset},
        {Py_tp_methods, methods},
        {Py_tp_repr, DIAG_PY_SLOT(repr)},
        {Py_tp_traverse, DIAG_PY_SLOT(traverse)},
        {Py_tp_dealloc, DIAG_PY_SLOT(dealloc)},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "diagnose.hotspots",
        .basicsize = sizeof(struct view),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION |
                 Py_TPFLAGS_IMMUTABLETYPE,
        .slots = slots,
    };

    if (hotspot_type == NULL)
        hotspot_type = make_hotspot_type();
    if (view_type == NULL)
        view_type = (PyTypeObject *)PyType_FromSpec(&spec);
    return hotspot_type == NULL || view_type == NULL ? -1 : 0;
}

PyObject *diag_hotspots_object(struct diag_hotspots *hotspots, PyCodeObject *code,
                               PyObject *globals) {
    struct view *view;

    if (make_types() < 0)
        return NULL;
    view = (struct view *)view_type->tp_alloc(view_type, 0);
    if (view == NULL)
        return NULL;
    hotspots->references++;
    view->hotspots = hotspots;
    view->filename = Py_NewRef(code->co_filename);
    view->globals = Py_NewRef(globals == NULL ? Py_None : globals);
    return (PyObject *)view;
}
