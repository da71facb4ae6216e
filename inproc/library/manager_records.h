/* SPDX-License-Identifier: MIT */
/* manager_records - what a manager has made of each spec, by the spec's id.
 *
 * Threading: the GIL; only the pass that is under way alters them.
 * Ownership: the records own what they refer to; a record stays where it is until it is removed. */
#ifndef DIAG_INPROC_LIBRARY_MANAGER_RECORDS_H
#define DIAG_INPROC_LIBRARY_MANAGER_RECORDS_H

#include "inproc/library/placement.h"
#include "inproc/library/spec_document.h"

/* It exists before anything is put in place, so that a process that was forked in the middle of a
 * pass finds what is half done. */
struct diag_manager_record {
    PyObject *id;
    struct diag_spec_document document; /* that is in force; empty unless is_applied */
    struct diag_placement placement;
    struct diag_placement former; /* what `placement` takes over from, while a pass is at it */
    PyObject *error;              /* str, as it goes into `applied`; NULL: none */
    PyObject *error_lastmodified; /* of the document that the error is about; NULL: it had none */
    bool is_applied;              /* false: to be done again in the next pass */
    uint64_t pass;                /* the last one that saw the spec */
};

struct diag_manager_records {
    PyObject *positions;              /* dict: id -> index into `all` */
    struct diag_manager_record **all; /* NULL: free */
    size_t count;                     /* of `all` */
};

/* -1 with an exception. */
DIAG_MUST_CHECK int diag_manager_records_init(struct diag_manager_records *records);
void diag_manager_records_done(struct diag_manager_records *records);
int diag_manager_records_traverse(const struct diag_manager_records *records, visitproc visit,
                                  void *arg);

/* The record of this id, made if there is none: borrowed. NULL with an exception, a TypeError if
 * the id has no hash. */
struct diag_manager_record *diag_manager_records_get(struct diag_manager_records *records,
                                                     PyObject *id);

/* What `fresh` says is in force, without an error. Takes what is in it. */
void diag_manager_record_settle(struct diag_manager_record *record,
                                struct diag_spec_document *fresh);

/* Forgets the record; what is placed stays in place. Without an exception. */
void diag_manager_records_remove(struct diag_manager_records *records,
                                 struct diag_manager_record *record);

#endif
