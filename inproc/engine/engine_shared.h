/* SPDX-License-Identifier: MIT */
/* engine_shared - what the engines of an interpreter have in common: its probes, the Python objects
 * that expressions need, the watch on imports, and the turn: one at a time alters specs and probes.
 *
 * Threading: the GIL.
 * Fork:      diag_engine_shared_after_fork in the child.
 * Ownership: it is there as long as there is an engine. */
#ifndef DIAG_INPROC_ENGINE_ENGINE_SHARED_H
#define DIAG_INPROC_ENGINE_ENGINE_SHARED_H

#include "inproc/engine/spec_table.h"

struct diag_engine {
    struct diag_engine *next;
    struct diag_engine_sink sink;
    struct diag_spec_table table;
    uint64_t next_verify_ns; /* monotonic */
    bool has_changed;        /* a status, while something else had the turn */
    bool is_tick_wanted;     /* one came while something else had the turn */
    bool is_leaving;         /* it was freed on the thread that had the turn */
};

/* Adds an engine whose sink is set, and gives its table what it needs. */
DIAG_MUST_CHECK enum diag_status diag_engine_shared_join(struct diag_engine *engine,
                                                         struct diag_error *err);

/* Takes the turn, and waits for it with the GIL released. False: this thread has it already, a
 * finaliser that runs in the middle of its work has called us again. */
bool diag_engine_shared_acquire(void);

/* The same without waiting. */
bool diag_engine_shared_try_acquire(void);

/* Does what was left to be done meanwhile, gives the turn back, and tells the sinks of what has
 * changed. Frees engines that are leaving, also the caller's. */
void diag_engine_shared_release(void);

/* To be done by whoever gives the turn back next: what the flags of the engine or its table say. */
void diag_engine_shared_leave_word(void);

/* Has targets of pending specs looked for, by whoever gives the turn back next. */
void diag_engine_shared_want_retry(void);

/* See diag_engine_tick; with the turn. True if a status changed. */
bool diag_engine_shared_tick(struct diag_engine *engine, uint64_t now_unix_ns);

/* Once for each engine, in any order. True: this thread had the turn, and still has it. */
bool diag_engine_shared_after_fork(void);

#endif
