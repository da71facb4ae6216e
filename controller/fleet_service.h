/* SPDX-License-Identifier: MIT */
/* fleet_service - diagnose.v1.Fleet: which sidecars and processes are connected.
 *
 * Threading: the loop's thread.
 * Ownership: the methods borrow the fleet. */
#ifndef DIAG_CONTROLLER_FLEET_SERVICE_H
#define DIAG_CONTROLLER_FLEET_SERVICE_H

#include "controller/fleet.h"
#include "lib/rpc/server.h"

DIAG_DECLS_BEGIN

#define DIAG_FLEET_SERVICE_METHOD_COUNT 1
void diag_fleet_service_methods(struct diag_fleet *fleet,
                                struct diag_rpc_method methods[DIAG_FLEET_SERVICE_METHOD_COUNT]);

DIAG_DECLS_END

#endif
