/* SPDX-License-Identifier: MIT */
/* sync_service - diagnose.v1.Sync: one stream per sidecar, over which specs go out as deltas and
 * the states of processes come in.
 *
 * Threading: the loop's thread.
 * Ownership: borrows what is in its options. */
#ifndef DIAG_CONTROLLER_SYNC_SERVICE_H
#define DIAG_CONTROLLER_SYNC_SERVICE_H

#include "controller/fleet.h"
#include "controller/hub.h"
#include "controller/store.h"
#include "lib/rpc/loop.h"
#include "lib/rpc/server.h"

DIAG_DECLS_BEGIN

struct diag_sync_service;

struct diag_sync_service_options {
    struct diag_loop *loop;
    const struct diag_store *store;
    struct diag_fleet *fleet;
    const struct diag_hub *hub;
    uint64_t ttl_ms; /* how long sidecars keep specs without us; refreshed three times as often */
};

DIAG_MUST_CHECK enum diag_status
diag_sync_service_new(const struct diag_sync_service_options *options,
                      struct diag_sync_service **out, struct diag_error *err);

/* After the server that uses it. NULL is fine. */
void diag_sync_service_free(struct diag_sync_service *service);

#define DIAG_SYNC_SERVICE_METHOD_COUNT 1
void diag_sync_service_methods(struct diag_sync_service *service,
                               struct diag_rpc_method methods[DIAG_SYNC_SERVICE_METHOD_COUNT]);

/* The spec was applied or deleted, or has expired: tells the sidecars that it concerns. */
void diag_sync_service_spec_changed(struct diag_sync_service *service, const char *id);

/* Subscribers have come or gone: tells all sidecars. */
void diag_sync_service_events_wanted_changed(struct diag_sync_service *service);

/* Ends all streams with UNAVAILABLE, and those that come from now on. */
void diag_sync_service_stop(struct diag_sync_service *service);

DIAG_DECLS_END

#endif
