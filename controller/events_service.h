/* SPDX-License-Identifier: MIT */
/* events_service - diagnose.v1.Events: Report takes events in, Subscribe hands them out.
 *
 * Threading: the loop's thread.
 * Ownership: borrows the hub and the fleet. */
#ifndef DIAG_CONTROLLER_EVENTS_SERVICE_H
#define DIAG_CONTROLLER_EVENTS_SERVICE_H

#include "controller/fleet.h"
#include "controller/hub.h"
#include "lib/rpc/server.h"

DIAG_DECLS_BEGIN

#define DIAG_EVENTS_REPORT_MAX (1u << 20) /* bytes of one ReportRequest */

struct diag_events_service;

/* The fleet only serves to name the sidecar of a bad batch. */
DIAG_MUST_CHECK enum diag_status diag_events_service_new(struct diag_hub *hub,
                                                         const struct diag_fleet *fleet,
                                                         struct diag_events_service **out,
                                                         struct diag_error *err);

/* After the server that uses it. NULL is fine. */
void diag_events_service_free(struct diag_events_service *service);

#define DIAG_EVENTS_SERVICE_METHOD_COUNT 2
void diag_events_service_methods(struct diag_events_service *service,
                                 struct diag_rpc_method methods[DIAG_EVENTS_SERVICE_METHOD_COUNT]);

/* Ends all streams with UNAVAILABLE, and those that come from now on. */
void diag_events_service_stop(struct diag_events_service *service);

DIAG_DECLS_END

#endif
