/* SPDX-License-Identifier: MIT */
/* library_state - what the types of the library share.
 *
 * The types belong to a module object of their own, which nobody imports: its state is this
 * interpreter's library. diagnose._native has their names.
 *
 * Threading: the GIL.
 * Ownership: types keep their module alive, and so the state, but the garbage collector may take
 *            a type apart before its last object: those that need the state own it, too. */
#ifndef DIAG_INPROC_LIBRARY_LIBRARY_STATE_H
#define DIAG_INPROC_LIBRARY_LIBRARY_STATE_H

#include "inproc/engine/pycompat.h"
#include "inproc/library/library.h"
#include "inproc/library/names.h"

struct diag_binding;
struct diag_engine;

/* What each type's module keeps. The references are owned. */
struct diag_library {
    PyObject *module;           /* borrowed: the one whose state this is */
    struct diag_engine *engine; /* NULL: nothing has been armed yet */
    PyObject *names[DIAG_NAME_COUNT];

    PyTypeObject *instrument_type;
    PyTypeObject *log_type;
    PyTypeObject *histogram_type;
    PyTypeObject *increment_type;
    PyTypeObject *probe_test_type;
    PyTypeObject *raise_type;
    PyTypeObject *proceed_type;
    PyTypeObject *probe_type;
    PyTypeObject *instrument_map_type;
    PyTypeObject *binding_type;
    PyTypeObject *scope_type;
    PyTypeObject *manager_type; /* InstrumentManager; NULL: unknown */

    PyObject *active_probes;       /* dict: target -> FunctionProbe */
    PyObject *package_globals;     /* dict: the namespace of diagnose; has `manager` */
    PyObject *instruments_globals; /* dict: that of diagnose.instruments; has `statsd` */
    PyObject *import_watches;      /* list: weak references, see import_end.h */
    PyObject *warned_types;        /* list: weak references to classes that were warned of */

    struct diag_binding *bindings; /* all that there are, borrowed */
    uint64_t last_binding;         /* the number of the newest */
    bool is_stopped;               /* the interpreter is at its end: nothing is armed any more */
    bool is_sweep_due;             /* a pending call will disarm what is off */
};

/* A reference to the state, and letting go of it. */
static inline struct diag_library *diag_library_ref(struct diag_library *library) {
    Py_INCREF(library->module);
    return library;
}
static inline void diag_library_unref(struct diag_library *library) {
    if (library != NULL)
        Py_DECREF(library->module);
}

/* Borrowed: that of a type of ours, or of a class derived from it; NULL with an exception. */
struct diag_library *diag_library_of_type(PyTypeObject *type);
static inline struct diag_library *diag_library_of(PyObject *object) {
    return diag_library_of_type(Py_TYPE(object));
}

/* The engine, made at first use, and there until the end; NULL with an exception: this interpreter
 * is not supported, or at its end. */
struct diag_engine *diag_library_engine(struct diag_library *library);

/* Makes a heap type of the library's, with `base` (NULL: object), and adds it to `module` under
 * its own name unless that is NULL. A new reference; NULL with an exception. */
PyTypeObject *diag_library_add_type(struct diag_library *library, PyObject *module,
                                    PyType_Spec *spec, PyTypeObject *base);

#endif
