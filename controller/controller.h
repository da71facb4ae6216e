/* SPDX-License-Identifier: MIT */
/* controller - the store, the fleet, the hub and their services behind one server.
 *
 * Threading: the loop's thread; new may be called before it runs.
 * Ownership: borrows the loop; copies nothing of the options, which must outlive it. */
#ifndef DIAG_CONTROLLER_CONTROLLER_H
#define DIAG_CONTROLLER_CONTROLLER_H

#include <stdint.h>

#include "lib/rpc/credentials.h"
#include "lib/rpc/loop.h"

DIAG_DECLS_BEGIN

struct diag_controller;

struct diag_controller_options {
    const char *listen;   /* "HOST:PORT" or "unix:PATH" */
    const char *database; /* path */
    const char *health;   /* where health alone is served, in plaintext, too; NULL: nowhere */
    uint64_t ttl_ms;
    struct diag_rpc_tls tls;
};

/* Opens the database, binds and serves. Errors name the path or the address. */
DIAG_MUST_CHECK enum diag_status diag_controller_new(struct diag_loop *loop,
                                                     const struct diag_controller_options *options,
                                                     struct diag_controller **out,
                                                     struct diag_error *err);

/* The port that was bound, 0 for a unix socket. */
int diag_controller_port(const struct diag_controller *controller);

/* Graceful: health says NOT_SERVING, streams are ended, open calls have `grace_ms`. Runs the loop
 * until all is over, closes the database and frees the controller. NULL is fine. */
void diag_controller_stop_and_free(struct diag_controller *controller, uint64_t grace_ms);

DIAG_DECLS_END

#endif
