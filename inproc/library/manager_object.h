/* SPDX-License-Identifier: MIT */
/* manager_object - what the sources of the managers share: the struct behind InstrumentManager.
 *
 * Threading: the GIL. `records` belongs to whose turn it is. */
#ifndef DIAG_INPROC_LIBRARY_MANAGER_OBJECT_H
#define DIAG_INPROC_LIBRARY_MANAGER_OBJECT_H

#include "inproc/library/manager_records.h"
#include "inproc/library/manager_turn.h"

/* The thread of apply_in_background. */
struct diag_manager_background {
    double period_s;
    PyObject *event;  /* threading.Event that cuts a wait short; a thread ends when this is not its
                         own any more. NULL: no thread is wanted */
    bool is_greenlet; /* it is no thread, and goes on in the child of a fork */
    bool has_fork_hook;
};

/* Of MongoDBInstrumentManager; all NULL in others. */
struct diag_manager_store {
    PyObject *collection;
    PyObject *id_field; /* str */
    PyObject *told;     /* dict: what was wrong with the collection when it was read last, as str */
};

struct diag_manager {
    PyObject_HEAD PyObject *dict; /* __dict__: has specs, instrument_classes and global_namespace */
    PyObject *weak_references;
    PyObject *process_id; /* str; NULL: host and pid of the moment */
    struct diag_manager_records records;
    uint64_t pass;
    bool has_dotless_keys; /* the keys of `applied` have "_" for the dots of process ids */
    struct diag_spec_keys keys;
    struct diag_manager_turn turn;
    struct diag_manager_background background;
    struct diag_manager_store store;
};

static inline struct diag_manager *diag_manager_of(PyObject *self) {
    return (struct diag_manager *)self;
}

#endif
