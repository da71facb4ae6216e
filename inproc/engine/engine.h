/* SPDX-License-Identifier: MIT */
/* engine - probes on the functions of this interpreter: specs in, events and statuses out.
 *
 * The engine knows nothing of sidecars: events go to a sink. Nothing that an instrument does
 * reaches the target: it returns what it would have returned and raises what it would have raised.
 *
 * Threading: every function needs the GIL. One thread at a time alters probes: the others wait with
 *            the GIL released (not with a lock that a finaliser may want). The sink's functions are
 *            called with the GIL held, `emit` from whichever thread hit a probe.
 *            A finaliser of the program may run in the middle of these functions, and call them
 *            again on the same thread: diag_engine_apply and diag_engine_put then fail with
 *            DIAG_ERR_UNAVAILABLE, diag_engine_statuses does nothing; what the others are asked for
 *            is done as soon as that work ends.
 * Fork:      the child inherits armed probes; it calls diag_engine_after_fork for each engine
 * before anything else, in any order. Ownership: an interpreter has one set of probes, and may have
 * several engines on it: that of the fleet's specs and that of the program's own. */
#ifndef DIAG_INPROC_ENGINE_ENGINE_H
#define DIAG_INPROC_ENGINE_ENGINE_H

#include "lib/base/bytes.h"
#include "lib/spec/spec.h"
#include "lib/spec/spec_status.h"

struct diag_engine;
struct diag_handler;
struct _object; /* PyObject */

/* A running total: that of one spec and tag set. Each text is a piece of an encoded
 * diagnose.v1.Aggregate, see lib/event/aggregate_encoder.h. */
struct diag_engine_aggregate {
    bool is_histogram;
    bool is_overflow; /* the one of all tag sets that do not fit */
    struct diag_bytes spec;
    struct diag_bytes tags;
    struct diag_bytes overflow; /* in place of the tags, where they do not fit */
};

/* If all specs have handlers, only `status_changed` is called. */
struct diag_engine_sink {
    void *context;
    /* NULL, or takes the hits of `log` instruments in place of `emit`, as Python objects (borrowed;
     * `tags`: NULL without a tags expression). Must not block. */
    void (*hit)(void *context, const char *spec_id, struct _object *value, struct _object *tags);
    /* Takes one encoded diagnose.v1.Event; must not block, allocate or touch Python objects.
     * Anything but DIAG_OK counts as dropped for the probe. `is_kept`: must not be dropped for want
     * of room as long as there is any (an error is told once, a hit again and again). */
    enum diag_status (*emit)(void *context, struct diag_bytes event, bool is_kept);
    /* NULL, or told that a status has changed outside of diag_engine_apply, diag_engine_put and
     * diag_engine_tick: an instrument raised, a module was imported. Must not block. */
    void (*status_changed)(void *context);

    /* Finds or makes a total. Anything but DIAG_OK counts as dropped for the probe. `is_overflow`:
     * it is the overflow's. None of these three blocks, allocates or touches Python objects. */
    enum diag_status (*aggregate_open)(void *context, const struct diag_engine_aggregate *which,
                                       uint64_t *handle, bool *is_overflow);
    /* Adds a finite number. DIAG_ERR_NOT_FOUND: the handle is stale, open again. */
    enum diag_status (*aggregate_update)(void *context, uint64_t handle, double number);
    /* The totals of this spec are complete. */
    void (*aggregate_retire)(void *context, struct diag_bytes spec);
};

/* Refuses interpreters that the engine does not support, with the reason. `sink` (copied): NULL if
 * all specs will have handlers, which make no events and no totals. The caller owns *out; no Python
 * exception is set. */
DIAG_MUST_CHECK enum diag_status diag_engine_new(const struct diag_engine_sink *sink,
                                                 struct diag_engine **out, struct diag_error *err);

/* Disarms everything; the sink is not called any more. NULL is fine. */
void diag_engine_free(struct diag_engine *engine);

/* Makes `specs` the set that is armed: new and edited ones (a new revision) are armed, those that
 * are gone are disarmed and reported as REMOVED once. Takes ownership of the specs, not of the
 * array. Errors of single specs become their statuses. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_engine_apply(struct diag_engine *engine,
                                                   struct diag_spec **specs, size_t spec_count,
                                                   struct diag_error *err);

/* Arms one spec beside the others of this engine, or in place of the one of this id; its hits go to
 * the handler (copied; its objects are referenced; NULL: to the sink). An engine is used either by
 * diag_engine_apply or by put and remove. Takes ownership of the spec. What is wrong with the spec
 * itself becomes its status, and also the error; a target that is not there yet is DIAG_OK and
 * PENDING. A spec that is put as it was, with the handler as it was, goes on with its counts, and
 * is armed again if it was not any more; what is new about it has it count from 0.
 * DIAG_ERR_UNAVAILABLE: see above; DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_engine_put(struct diag_engine *engine, struct diag_spec *spec,
                                                 const struct diag_handler *handler,
                                                 struct diag_error *err);

/* Disarms the spec of this id, if there is one: it fires no more. */
void diag_engine_remove(struct diag_engine *engine, const char *id);

/* The status of one spec, without waiting; false: there is none of this id. */
bool diag_engine_status(struct diag_engine *engine, const char *id, struct diag_spec_status *out);

/* Disarms what has expired, looks again for the targets of pending specs, follows targets that
 * were replaced (a reloaded module). Cheap when there is nothing to do. To be called about every
 * `DIAG_ENGINE_TICK_MS`, and at the time that diag_engine_next_expiry gives. */
#define DIAG_ENGINE_TICK_MS 200
void diag_engine_tick(struct diag_engine *engine, uint64_t now_unix_ns);

/* Follows targets that were replaced, at once: diag_engine_tick does so once in a second. Leaves it
 * to whoever is altering probes, if there is one. */
void diag_engine_follow_targets(struct diag_engine *engine);

/* When the next armed or pending spec expires, Unix nanoseconds; 0: none does. */
uint64_t diag_engine_next_expiry(const struct diag_engine *engine);

/* Calls `visit` for the status of each spec, those that are REMOVED since the last call for the
 * last time. */
typedef void diag_engine_status_fn(void *context, const struct diag_spec_status *status);
void diag_engine_statuses(struct diag_engine *engine, diag_engine_status_fn *visit, void *context);

/* In the child of a fork: hits count from 0 again, locks are new. */
void diag_engine_after_fork(struct diag_engine *engine);

#endif
