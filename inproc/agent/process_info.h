/* SPDX-License-Identifier: MIT */
/* process_info - who this process is, as an encoded diagnose.v1.ProcessInfo.
 *
 * Threading: any thread. */
#ifndef DIAG_INPROC_AGENT_PROCESS_INFO_H
#define DIAG_INPROC_AGENT_PROCESS_INFO_H

#include "inproc/agent/process_identity.h"
#include "lib/base/bytes.h"
#include "lib/base/uid.h"

DIAG_DECLS_BEGIN

#define DIAG_PROCESS_INFO_MAX 1536
#define DIAG_PROCESS_COMMAND_MAX 512

/* Writes to `data` (DIAG_PROCESS_INFO_MAX bytes) and returns the part that was written. */
struct diag_bytes diag_process_info_encode(uint8_t *data, const char uid[DIAG_UID_SIZE],
                                           uint64_t started_unix_ns, const char *python_version,
                                           const char *library_version,
                                           const struct diag_process_identity *identity);

DIAG_DECLS_END

#endif
