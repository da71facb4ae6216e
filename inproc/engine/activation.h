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
#include "inproc/engine/pointer_table.h"

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
    struct diag_pointer_table further;
};

/* Where the place of its own is taken, or may hold what is left of the frame. */
struct diag_activation *diag_activation_add_further(struct diag_activation_table *table,
                                                    const diag_py_frame *frame,
                                                    struct diag_activation *left);
bool diag_activation_take_further(struct diag_activation_table *table, const diag_py_frame *frame,
                                  struct diag_activation *out);

/* A fresh one for `frame`; what was left there goes to *left (its `frame` is NULL if there was
 * nothing), for the caller to free. Valid until the next call of this function or of
 * diag_activation_take. NULL: out of memory. */
static inline struct diag_activation *diag_activation_add(struct diag_activation_table *table,
                                                          const diag_py_frame *frame,
                                                          struct diag_activation *left) {
    struct diag_activation *activation = &table->first;

    left->frame = NULL;
    if (DIAG_UNLIKELY(table->first.frame != NULL || table->further.count > 0)) {
        activation = diag_activation_add_further(table, frame, left);
        if (activation == NULL)
            return NULL;
    }
    activation->frame = frame;
    activation->list = NULL;
    activation->active_ns = 0;
    activation->hotspots = NULL;
    activation->captured_mask = 0;
    return activation;
}

/* NULL: none. */
static inline struct diag_activation *diag_activation_find(struct diag_activation_table *table,
                                                           const diag_py_frame *frame) {
    return DIAG_LIKELY(table->first.frame == frame)
               ? &table->first
               : diag_pointer_table_find(&table->further, frame, sizeof(struct diag_activation));
}

/* Moves the activation out of the table; false: there is none. The caller owns what it holds. */
static inline bool diag_activation_take(struct diag_activation_table *table,
                                        const diag_py_frame *frame, struct diag_activation *out) {
    if (DIAG_UNLIKELY(table->first.frame != frame))
        return diag_activation_take_further(table, frame, out);
    *out = table->first;
    table->first.frame = NULL;
    return true;
}

/* Frees what an activation holds but the reference to its list. May run finalisers. */
void diag_activation_free_notes(struct diag_activation *activation);

/* Frees what an activation holds. May run finalisers. */
static inline void diag_activation_done(struct diag_activation *activation) {
    if (DIAG_UNLIKELY(activation->captured_mask != 0 || activation->hotspots != NULL))
        diag_activation_free_notes(activation);
    diag_action_list_unref(activation->list);
}

void diag_activation_table_done(struct diag_activation_table *table);

#endif
