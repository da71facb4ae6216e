/* SPDX-License-Identifier: MIT */
/* activation - what a probe notes down of a frame between its start and its end: when it began, how
 * long it ran, arguments that its code rebinds, hotspots.
 *
 * Kept by the address of the frame, so that generators that move between threads, greenlets and
 * recursion need no thought. A frame that vanishes without a word (3.13 closes a generator that is
 * suspended at a bare yield without an event, gh-140373) leaves its activation behind until another
 * frame begins at its address, or the probe ends.
 *
 * Threading: the GIL.
 * Ownership: a table belongs to one probe. */
#ifndef DIAG_INPROC_ENGINE_ACTIVATION_H
#define DIAG_INPROC_ENGINE_ACTIVATION_H

#include "inproc/engine/action_list.h"
#include "inproc/engine/hotspots.h"

struct diag_activation {
    const diag_py_frame *frame;    /* NULL: free */
    struct diag_action_list *list; /* a reference: the actions that the call began with */
    uint64_t start_monotonic_ns;
    uint64_t resumed_monotonic_ns; /* 0: suspended */
    uint64_t active_ns;            /* until it was suspended last */
    struct diag_hotspots *hotspots;
    uint64_t captured_mask; /* see diag_call */
    PyObject **captured;    /* allocated; one for each bit */
};

/* One call at a time is the rule: its activation has a place of its own. */
struct diag_activation_table {
    struct diag_activation first;
    struct diag_activation *entries; /* open addressing, linear probing, at most half full */
    size_t capacity;                 /* a power of two, or 0 */
    size_t count;                    /* of entries */
};

/* A fresh one for `frame`; what was left there goes to *left (its `frame` is NULL if there was
 * nothing), for the caller to free. Valid until the next call of this function or of
 * diag_activation_take. NULL: out of memory. */
struct diag_activation *diag_activation_add(struct diag_activation_table *table,
                                            const diag_py_frame *frame,
                                            struct diag_activation *left);

/* NULL: none. */
struct diag_activation *diag_activation_find(struct diag_activation_table *table,
                                             const diag_py_frame *frame);

/* Moves the activation out of the table; false: there is none. The caller owns what it holds. */
bool diag_activation_take(struct diag_activation_table *table, const diag_py_frame *frame,
                          struct diag_activation *out);

/* Frees what an activation holds. May run finalisers. */
void diag_activation_done(struct diag_activation *activation);

void diag_activation_table_done(struct diag_activation_table *table);

#endif
