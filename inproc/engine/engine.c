/* SPDX-License-Identifier: MIT */
/* How it works: see engine_shared.c. */
#include "inproc/engine/engine.h"

#include <stdlib.h>

#include "inproc/engine/engine_shared.h"
#include "inproc/engine/hit_clock.h"
#include "inproc/engine/thread_state.h"
#include "lib/base/clock.h"

static void ignore_hit(void *context, const char *spec_id, PyObject *value, PyObject *tags) {
    (void)context;
    (void)spec_id;
    (void)value;
    (void)tags;
}

static enum diag_status refuse_event(void *context, struct diag_bytes event, bool is_kept) {
    (void)context;
    (void)event;
    (void)is_kept;
    return DIAG_ERR_CLOSED;
}

static enum diag_status refuse_aggregate(void *context, const struct diag_engine_aggregate *which,
                                         uint64_t *handle, bool *is_overflow) {
    (void)context;
    (void)which;
    (void)handle;
    (void)is_overflow;
    return DIAG_ERR_CLOSED;
}

static enum diag_status refuse_update(void *context, uint64_t handle, double number) {
    (void)context;
    (void)handle;
    (void)number;
    return DIAG_ERR_CLOSED;
}

static void ignore_retirement(void *context, struct diag_bytes spec) {
    (void)context;
    (void)spec;
}

static const struct diag_engine_sink SILENT_SINK = {
    .emit = refuse_event,
    .aggregate_open = refuse_aggregate,
    .aggregate_update = refuse_update,
    .aggregate_retire = ignore_retirement,
};

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
    engine->sink = sink == NULL ? SILENT_SINK : *sink;
    status = diag_engine_shared_join(engine, err);
    if (status != DIAG_OK) {
        free(engine);
        return status;
    }
    *out = engine;
    return DIAG_OK;
}

/* The caller's sink may be gone before the engine is: when a finaliser that runs in the middle of
 * the engine's work frees it. */
static void silence(struct diag_engine *engine) {
    bool has_hit = engine->sink.hit != NULL; /* actions rely on it */

    engine->sink = SILENT_SINK;
    if (has_hit)
        engine->sink.hit = ignore_hit;
    diag_spec_table_silence(&engine->table);
}

void diag_engine_free(struct diag_engine *engine) {
    bool is_turn;

    if (engine == NULL)
        return;
    is_turn = diag_engine_shared_acquire();
    engine->is_leaving = true;
    if (is_turn)
        diag_engine_shared_release();
    else
        silence(engine);
}

enum diag_status diag_engine_apply(struct diag_engine *engine, struct diag_spec **specs,
                                   size_t spec_count, struct diag_error *err) {
    enum diag_status status;

    if (!diag_engine_shared_acquire()) {
        for (size_t i = 0; i < spec_count; i++)
            diag_spec_free(specs[i]);
        return diag_error_set(err, DIAG_ERR_UNAVAILABLE, 0,
                              "specs are applied from within the engine's own work");
    }
    status = diag_spec_table_apply(&engine->table, specs, spec_count, diag_clock_unix_ns(), err);
    diag_engine_shared_release();
    return status;
}

enum diag_status diag_engine_put(struct diag_engine *engine, struct diag_spec *spec,
                                 const struct diag_handler *handler, struct diag_error *err) {
    enum diag_status status;

    if (!diag_engine_shared_acquire()) {
        diag_spec_free(spec);
        return diag_error_set(err, DIAG_ERR_UNAVAILABLE, 0,
                              "a spec is put from within the engine's own work");
    }
    status = diag_spec_table_put(&engine->table, spec, handler, diag_clock_unix_ns(), err);
    diag_engine_shared_release();
    return status;
}

void diag_engine_remove(struct diag_engine *engine, const char *id) {
    if (diag_engine_shared_acquire()) {
        diag_spec_table_remove(&engine->table, id);
        diag_engine_shared_release();
    } else if (diag_spec_table_mark_leaving(&engine->table, id)) {
        diag_engine_shared_leave_word();
    }
}

bool diag_engine_status(struct diag_engine *engine, const char *id, struct diag_spec_status *out) {
    const struct diag_spec_entry *entry = diag_spec_table_find(&engine->table, id);

    if (entry == NULL)
        return false;
    diag_spec_entry_status(entry, out);
    return true;
}

void diag_engine_tick(struct diag_engine *engine, uint64_t now_unix_ns) {
    if (!diag_engine_shared_try_acquire()) {
        engine->is_tick_wanted = true;
        diag_engine_shared_leave_word();
        return;
    }
    diag_engine_shared_tick(engine, now_unix_ns);
    diag_engine_shared_release();
}

void diag_engine_follow_targets(struct diag_engine *engine) {
    engine->next_verify_ns = 0;
    diag_engine_tick(engine, diag_clock_unix_ns());
}

uint64_t diag_engine_next_expiry(const struct diag_engine *engine) {
    return diag_spec_table_next_expiry(&engine->table);
}

void diag_engine_statuses(struct diag_engine *engine, diag_engine_status_fn *visit, void *context) {
    if (!diag_engine_shared_acquire())
        return;
    diag_spec_table_statuses(&engine->table, visit, context);
    diag_engine_shared_release();
}

void diag_engine_after_fork(struct diag_engine *engine) {
    bool has_turn = diag_engine_shared_after_fork();

    diag_thread_state_after_fork();
    diag_spec_table_after_fork(&engine->table, has_turn);
    if (engine->table.pending_count > 0)
        diag_engine_shared_want_retry();
}
