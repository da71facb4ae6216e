/* SPDX-License-Identifier: MIT */
/* process_identity - what the environment says of who this process is, beyond its pid: the name of
 * its container, which only the pod's manifest knows, and that of its service.
 *
 * Threading: reading the environment needs that nobody writes it meanwhile: in Python, the GIL. */
#ifndef DIAG_INPROC_AGENT_PROCESS_IDENTITY_H
#define DIAG_INPROC_AGENT_PROCESS_IDENTITY_H

#include "lib/base/bytes.h"

DIAG_DECLS_BEGIN

#define DIAG_PROCESS_IDENTITY_MAX 256 /* bytes of each name; longer ones are cut */

/* Valid UTF-8; empty: not told. */
struct diag_process_identity {
    char container[DIAG_PROCESS_IDENTITY_MAX + 1];
    char service[DIAG_PROCESS_IDENTITY_MAX + 1];
};

/* `container`: $DIAGNOSE_CONTAINER. `service`: $OTEL_SERVICE_NAME, else service.name in
 * $OTEL_RESOURCE_ATTRIBUTES, as OpenTelemetry's SDKs do
 * (https://opentelemetry.io/docs/specs/otel/resource/sdk/). */
void diag_process_identity_read(struct diag_process_identity *out);

/* Copies `text` to `out`, which has room for `max` bytes and a NUL: cut there, and each byte that
 * is not ASCII replaced by '?' unless all of it is UTF-8. Returns the size. */
size_t diag_process_identity_clean(struct diag_bytes text, char *out, size_t max);

DIAG_DECLS_END

#endif
