/* SPDX-License-Identifier: MIT */
/* How it works: specs and probes are altered by whoever applies, puts, ticks or imports. Compiling
 * an expression may run a finaliser, and so release the GIL in the middle of that; the turn keeps
 * the others out meanwhile. Those that can wait do, with the GIL released; an import, a tick, and
 * what a finaliser asks for cannot, and leave word. Hits touch actions only, and need no turn.
 *
 * Objects of specs that are gone are released without the turn, so that their finalisers may do as
 * they like. */
#include "inproc/engine/engine_shared.h"

#include <stdlib.h>

#include "inproc/engine/import_watch.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"

#define VERIFY_INTERVAL_NS DIAG_NS_PER_S
#define WAIT_NS 500000

static struct {
    struct diag_engine *engines;
    struct diag_runtime *runtime;
    struct diag_probe_set probes;
    struct diag_import_watch *import_watch; /* while something is pending */
    bool is_busy;
    unsigned long busy_thread;
    bool has_word;
    bool is_retry_wanted;
    uint64_t interception_changes; /* those of the probes that have been followed */
} shared;

static void begin(void) {
    shared.is_busy = true;
    shared.busy_thread = PyThread_get_thread_ident();
}

bool diag_engine_shared_try_acquire(void) {
    if (shared.is_busy)
        return false;
    begin();
    return true;
}

bool diag_engine_shared_acquire(void) {
    while (shared.is_busy) {
        struct timespec pause = {0, WAIT_NS};

        if (shared.busy_thread == PyThread_get_thread_ident())
            return false;
        Py_BEGIN_ALLOW_THREADS nanosleep(&pause, NULL);
        Py_END_ALLOW_THREADS
    }
    begin();
    return true;
}

void diag_engine_shared_leave_word(void) {
    shared.has_word = true;
}

void diag_engine_shared_want_retry(void) {
    shared.is_retry_wanted = true;
}

enum diag_status diag_engine_shared_join(struct diag_engine *engine, struct diag_error *err) {
    struct diag_runtime *runtime = NULL;
    enum diag_status status = shared.runtime == NULL ? diag_runtime_new(&runtime, err) : DIAG_OK;

    if (status != DIAG_OK)
        return status;
    if (shared.runtime == NULL) /* no other thread has brought one meanwhile */
        shared.runtime = DIAG_TAKE_PTR(runtime);
    diag_runtime_unref(runtime);
    engine->table.sink = &engine->sink;
    engine->table.runtime = shared.runtime;
    engine->table.probes = &shared.probes;
    engine->next = shared.engines;
    shared.engines = engine;
    return DIAG_OK;
}

static void imported(void *context) {
    (void)context;
    shared.is_retry_wanted = true;
    if (diag_engine_shared_try_acquire())
        diag_engine_shared_release();
}

/* Without the watch a pending spec is armed by the next tick. */
static void update_import_watch(void) {
    bool is_needed = false;

    for (const struct diag_engine *engine = shared.engines; engine != NULL; engine = engine->next)
        is_needed = is_needed || engine->table.pending_count > 0;
    if (is_needed && shared.import_watch == NULL) {
        if (diag_import_watch_new(&diag_backend_type_swap, imported, NULL, &shared.import_watch,
                                  NULL) != DIAG_OK)
            shared.import_watch = NULL;
    } else if (!is_needed && shared.import_watch != NULL) {
        diag_import_watch_free(shared.import_watch);
        shared.import_watch = NULL;
    }
}

static void retry_all(void) {
    for (struct diag_engine *engine = shared.engines; engine != NULL; engine = engine->next)
        if (diag_spec_table_retry(&engine->table, true))
            engine->has_changed = true;
}

bool diag_engine_shared_tick(struct diag_engine *engine, uint64_t now_unix_ns) {
    uint64_t now_ns = diag_clock_monotonic_ns();
    bool has_changed = diag_spec_table_sweep(&engine->table, now_unix_ns);

    if (now_ns >= engine->next_verify_ns) {
        engine->next_verify_ns = now_ns + VERIFY_INTERVAL_NS;
        diag_spec_table_verify(&engine->table);
    }
    return diag_spec_table_retry(&engine->table, false) || has_changed;
}

/* What the flags ask for. Engines are not freed here, so that the list stays as it is. */
static void heed_words(void) {
    for (struct diag_engine *engine = shared.engines; engine != NULL; engine = engine->next) {
        diag_spec_table_remove_leaving(&engine->table);
        if (engine->is_tick_wanted) {
            engine->is_tick_wanted = false;
            engine->has_changed |= diag_engine_shared_tick(engine, diag_clock_unix_ns());
        }
    }
}

static void move_all(void) {
    for (struct diag_engine *engine = shared.engines; engine != NULL; engine = engine->next)
        diag_spec_table_move(&engine->table);
}

static void do_what_is_left(void) {
    for (;;) {
        if (shared.has_word) {
            shared.has_word = false;
            heed_words();
        } else if (shared.is_retry_wanted) {
            shared.is_retry_wanted = false;
            retry_all();
        } else if (shared.interception_changes != shared.probes.interception_changes) {
            shared.interception_changes = shared.probes.interception_changes;
            move_all();
        } else {
            return;
        }
    }
}

/* Takes an engine that is leaving out of the list, and disarms its specs; NULL: there is none. */
static struct diag_engine *take_leaving(void) {
    struct diag_engine **place = &shared.engines, *engine;

    while (*place != NULL && !(*place)->is_leaving)
        place = &(*place)->next;
    engine = *place;
    if (engine == NULL)
        return NULL;
    *place = engine->next;
    diag_spec_table_clear(&engine->table);
    return engine;
}

static void free_all(struct diag_engine *engines) {
    while (engines != NULL) {
        struct diag_engine *engine = engines;

        engines = engine->next;
        diag_spec_table_done(&engine->table);
        free(engine);
    }
}

/* The runtime and the tables go with the last engine. */
static void finish_if_unused(void) {
    if (shared.engines != NULL)
        return;
    diag_probe_set_done(&shared.probes);
    diag_runtime_unref(shared.runtime);
    shared.runtime = NULL;
}

/* The objects of specs that are gone, of all engines. */
static struct diag_spec_entry *take_gone(void) {
    struct diag_spec_entry *gone = NULL;

    for (struct diag_engine *engine = shared.engines; engine != NULL; engine = engine->next)
        gone = diag_spec_table_take_gone(&engine->table, gone);
    return gone;
}

static void tell_changes(void) {
    struct diag_engine *engine = shared.engines;

    while (engine != NULL) {
        bool has_changed = engine->has_changed;
        const struct diag_engine_sink *sink = &engine->sink;

        engine->has_changed = false;
        engine = engine->next;
        if (has_changed && sink->status_changed != NULL)
            sink->status_changed(sink->context);
    }
}

void diag_engine_shared_release(void) {
    struct diag_engine *leaving = NULL, *engine;
    struct diag_spec_entry *gone;

    do {
        do_what_is_left();
        engine = take_leaving();
        if (engine != NULL) {
            engine->next = leaving;
            leaving = engine;
        }
        update_import_watch();
    } while (engine != NULL || shared.has_word || shared.is_retry_wanted);
    gone = take_gone();
    finish_if_unused();
    shared.is_busy = false;
    tell_changes();
    diag_spec_entries_free(gone);
    free_all(leaving);
}

bool diag_engine_shared_after_fork(void) {
    if (shared.is_busy && shared.busy_thread == PyThread_get_thread_ident())
        return true;
    shared.is_busy = false; /* whoever had the turn is not in this process */
    return false;
}
