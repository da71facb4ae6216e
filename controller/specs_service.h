/* SPDX-License-Identifier: MIT */
/* specs_service - diagnose.v1.Specs: apply, get, list and delete specs; and their expiry.
 *
 * Threading: the loop's thread.
 * Ownership: borrows what is in its options. */
#ifndef DIAG_CONTROLLER_SPECS_SERVICE_H
#define DIAG_CONTROLLER_SPECS_SERVICE_H

#include "controller/fleet.h"
#include "controller/store.h"
#include "lib/rpc/loop.h"
#include "lib/rpc/server.h"

DIAG_DECLS_BEGIN

#define DIAG_SPECS_REQUEST_MAX (1u << 20) /* bytes */

struct diag_specs_service;

/* A spec was applied or deleted, or has expired. */
typedef void diag_specs_changed_fn(void *context, const char *id);

struct diag_specs_service_options {
    struct diag_loop *loop;
    struct diag_store *store;
    const struct diag_fleet *fleet;
    diag_specs_changed_fn *changed;
    void *changed_context;
};

DIAG_MUST_CHECK enum diag_status
diag_specs_service_new(const struct diag_specs_service_options *options,
                       struct diag_specs_service **out, struct diag_error *err);

/* After the server that uses it. NULL is fine. */
void diag_specs_service_free(struct diag_specs_service *service);

#define DIAG_SPECS_SERVICE_METHOD_COUNT 4
void diag_specs_service_methods(struct diag_specs_service *service,
                                struct diag_rpc_method methods[DIAG_SPECS_SERVICE_METHOD_COUNT]);

DIAG_DECLS_END

#endif
