/* SPDX-License-Identifier: MIT */
/* How it works: the table of specs is altered by whoever applies, ticks or imports. Compiling an
 * expression may run a finaliser, and so release the GIL in the middle of that; `is_busy` keeps
 * the others out meanwhile. Those that can wait do, with the GIL released; an import and a tick
 * cannot, and leave word in `is_retry_wanted`. Hits touch actions only, never the table. */
#include "inproc/engine/engine.h"

#include <stdlib.h>

#include "inproc/engine/hit_clock.h"
#include "inproc/engine/import_watch.h"
#include "inproc/engine/spec_table.h"
#include "inproc/engine/thread_state.h"
#include "lib/base/clock.h"

#define VERIFY_INTERVAL_NS DIAG_NS_PER_S
#define WAIT_NS 500000

struct diag_engine {
    struct diag_engine_sink sink;
    struct diag_spec_table table;
    struct diag_import_watch *import_watch; /* while something is pending */
    uint64_t next_verify_ns;                /* monotonic */
    bool is_busy;
    unsigned long busy_thread;
    bool is_retry_wanted;
};

static void begin(struct diag_engine *engine) {
    engine->is_busy = true;
    engine->busy_thread = PyThread_get_thread_ident();
}

/* False if this thread is busy with the engine already: a finaliser that runs in the middle of an
 * apply has called us again. */
static bool acquire(struct diag_engine *engine) {
    while (engine->is_busy) {
        struct timespec pause = {0, WAIT_NS};

        if (engine->busy_thread == PyThread_get_thread_ident())
            return false;
        Py_BEGIN_ALLOW_THREADS nanosleep(&pause, NULL);
        Py_END_ALLOW_THREADS
    }
    begin(engine);
    return true;
}

static void imported(void *context);

/* Without the watch a pending spec is armed by the next tick. */
static void update_import_watch(struct diag_engine *engine) {
    bool is_needed = diag_spec_table_has_pending(&engine->table);

    if (is_needed && engine->import_watch == NULL) {
        if (diag_import_watch_new(&diag_backend_type_swap, imported, engine, &engine->import_watch,
                                  NULL) != DIAG_OK)
            engine->import_watch = NULL;
    } else if (!is_needed && engine->import_watch != NULL) {
        diag_import_watch_free(engine->import_watch);
        engine->import_watch = NULL;
    }
}

/* True if what an import left word of changed a status. */
static bool release(struct diag_engine *engine) {
    bool has_changed = false;

    while (engine->is_retry_wanted) {
        engine->is_retry_wanted = false;
        if (diag_spec_table_retry(&engine->table, true))
            has_changed = true;
    }
    update_import_watch(engine);
    engine->is_busy = false;
    return has_changed;
}

static void imported(void *context) {
    struct diag_engine *engine = context;
    bool has_changed;

    if (engine->is_busy) {
        engine->is_retry_wanted = true;
        return;
    }
    begin(engine);
    has_changed = diag_spec_table_retry(&engine->table, true);
    if (release(engine) || has_changed)
        engine->sink.status_changed(engine->sink.context);
}

enum diag_status diag_engine_new(const struct diag_engine_sink *sink, struct diag_engine **out,
                                 struct diag_error *err) {
    struct diag_engine *engine;
    enum diag_status status = diag_backend_check_interpreter(err);

    if (status != DIAG_OK)
        return status;
    engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "probe engine");
    diag_hit_clock_init();
    engine->sink = *sink;
    engine->table.sink = &engine->sink;
    status = diag_runtime_new(&engine->table.runtime, err);
    if (status != DIAG_OK) {
        free(engine);
        return status;
    }
    *out = engine;
    return DIAG_OK;
}

void diag_engine_free(struct diag_engine *engine) {
    if (engine == NULL || !acquire(engine)) /* whoever is busy with it still needs it */
        return;
    diag_import_watch_free(engine->import_watch);
    diag_spec_table_done(&engine->table);
    free(engine);
}

enum diag_status diag_engine_apply(struct diag_engine *engine, struct diag_spec **specs,
                                   size_t spec_count, struct diag_error *err) {
    enum diag_status status;

    if (!acquire(engine)) {
        for (size_t i = 0; i < spec_count; i++)
            diag_spec_free(specs[i]);
        return diag_error_set(err, DIAG_ERR_UNAVAILABLE, 0,
                              "specs are applied from within the engine's own work");
    }
    status = diag_spec_table_apply(&engine->table, specs, spec_count, diag_clock_unix_ns(), err);
    release(engine);
    return status;
}

void diag_engine_tick(struct diag_engine *engine, uint64_t now_unix_ns) {
    uint64_t now_ns = diag_clock_monotonic_ns();

    if (engine->is_busy)
        return;
    begin(engine);
    diag_spec_table_sweep(&engine->table, now_unix_ns);
    if (now_ns >= engine->next_verify_ns) {
        engine->next_verify_ns = now_ns + VERIFY_INTERVAL_NS;
        diag_spec_table_verify(&engine->table);
    }
    diag_spec_table_retry(&engine->table, false);
    release(engine);
}

uint64_t diag_engine_next_expiry(const struct diag_engine *engine) {
    uint64_t next = 0;

    for (size_t i = 0; i < engine->table.count; i++) {
        const struct diag_spec_entry *entry = &engine->table.entries[i];
        enum diag_spec_state state = diag_spec_entry_state(entry);
        uint64_t expires = entry->spec->expires_unix_ns;

        if ((state == DIAG_SPEC_STATE_ARMED || state == DIAG_SPEC_STATE_PENDING) && expires != 0 &&
            (next == 0 || expires < next))
            next = expires;
    }
    return next;
}

void diag_engine_statuses(struct diag_engine *engine, diag_engine_status_fn *visit, void *context) {
    if (!acquire(engine))
        return;
    for (size_t i = 0; i < engine->table.count; i++) {
        struct diag_spec_status status;

        diag_spec_entry_status(&engine->table.entries[i], &status);
        visit(context, &status);
    }
    for (size_t i = 0; i < engine->table.removed_count; i++)
        visit(context, &engine->table.removed[i]);
    engine->table.removed_count = 0;
    release(engine);
}

void diag_engine_after_fork(struct diag_engine *engine) {
    diag_thread_state_reset();
    engine->is_busy = false; /* whoever was busy is not in this process ... */
    diag_spec_table_after_fork(&engine->table);
    engine->is_retry_wanted = diag_spec_table_has_pending(&engine->table);
}
