/* SPDX-License-Identifier: MIT */
/* spec_entry - one spec of a table, and what it has armed.
 *
 * Threading: the GIL, and the turn (engine_shared.h) for all but diag_spec_entry_status, _state and
 *            _silence. */
#ifndef DIAG_INPROC_ENGINE_SPEC_ENTRY_H
#define DIAG_INPROC_ENGINE_SPEC_ENTRY_H

#include "inproc/engine/arming.h"

struct diag_spec_table;

struct diag_spec_entry {
    struct diag_spec_entry *previous, *next;
    struct diag_spec *spec;
    struct diag_handler handler; /* all zero: none; its objects are owned */
    enum diag_spec_state state;  /* while there is no arming */
    char message[DIAG_SPEC_STATUS_MESSAGE_MAX + 1];
    struct diag_arming *arming;     /* NULL: not armed */
    struct diag_spec_entry *former; /* that it takes the place of, until it is armed itself */
    uint64_t generation;            /* the last diag_spec_table_apply that had it */
    bool is_leaving;                /* removed while something had the turn */
    /* of former armings */
    uint64_t hits, errors, dropped;
    uint64_t skips[DIAG_SKIP_COUNT];
};

void diag_spec_entry_free(struct diag_spec_entry *entry); /* not armed any more */

enum diag_spec_state diag_spec_entry_state(const struct diag_spec_entry *entry);
void diag_spec_entry_status(const struct diag_spec_entry *entry, struct diag_spec_status *out);

/* The state while nothing is armed. `message` may be NULL. */
void diag_spec_entry_set_state(struct diag_spec_table *table, struct diag_spec_entry *entry,
                               enum diag_spec_state state, const char *message);

/* Checks the spec, and arms it if it has not expired. What is wrong with it becomes its state, and
 * also the error. */
enum diag_status diag_spec_entry_start(struct diag_spec_table *table, struct diag_spec_entry *entry,
                                       uint64_t now_unix_ns, struct diag_error *err);

/* Arms a spec that has been checked for what its target is by now, or says in its state why not.
 * `is_importing`: see diag_target_resolve. */
enum diag_status diag_spec_entry_arm(struct diag_spec_table *table, struct diag_spec_entry *entry,
                                     bool is_importing, struct diag_error *err);

/* Keeps the counters; the state is the arming's, for the caller to overrule. */
void diag_spec_entry_disarm(struct diag_spec_table *table, struct diag_spec_entry *entry);

/* Has it, and what it takes the place of, fire no more. */
void diag_spec_entry_silence(const struct diag_spec_entry *entry);

/* Hits count from 0 again. */
void diag_spec_entry_reset_counts(struct diag_spec_entry *entry);

/* True if the entry is of this spec, and of this handler (NULL: none). Whether a spec expires at
 * all is known to its actions, and so makes a difference. */
bool diag_spec_entry_is_same(const struct diag_spec_entry *entry, const struct diag_spec *spec,
                             const struct diag_handler *handler);

#endif
