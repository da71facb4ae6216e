/* SPDX-License-Identifier: MIT */
/* fleet - the connected sidecars, their processes, and the state of each spec in each process.
 *
 * Bounded, since all of it comes from the network. A process's status is kept as the encoded
 * diagnose.v1.ProcessStatus that was reported.
 *
 * Threading: one thread.
 * Ownership: sidecars and processes are borrowed from the fleet. */
#ifndef DIAG_CONTROLLER_FLEET_H
#define DIAG_CONTROLLER_FLEET_H

#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/map.h"
#include "lib/base/uid.h"
#include "lib/base/wire.h"
#include "lib/spec/spec.h"

DIAG_DECLS_BEGIN

#define DIAG_FLEET_SIDECARS_MAX 10000
#define DIAG_FLEET_LABELS_MAX 64
#define DIAG_FLEET_TEXT_MAX 320          /* bytes of a host, a label's key or value */
#define DIAG_FLEET_PROCESSES_MAX 1024    /* of one sidecar */
#define DIAG_FLEET_BYTES_MAX (64u << 20) /* of all encoded statuses of one sidecar */

struct diag_fleet_process {
    char uid[DIAG_UID_SIZE];
    uint32_t pid;
    struct diag_bytes info;   /* ProcessInfo, a part of `status` */
    struct diag_bytes status; /* ProcessStatus */
    uint8_t data[];
};

struct diag_fleet_sidecar {
    char uid[DIAG_UID_SIZE];
    char *host;
    struct diag_label *labels;
    size_t label_count;
    struct diag_map processes; /* uid -> struct diag_fleet_process */
    size_t process_bytes;
    void *session; /* of whoever added it */
};

/* All zero is an empty fleet. */
struct diag_fleet {
    struct diag_map sidecars; /* uid -> struct diag_fleet_sidecar */
};

void diag_fleet_done(struct diag_fleet *fleet);

/* Adds a sidecar without processes; copies the labels. DIAG_ERR_INVALID names the field,
 * DIAG_ERR_EXISTS: the uid is connected already, DIAG_ERR_FULL. */
DIAG_MUST_CHECK enum diag_status diag_fleet_add(struct diag_fleet *fleet, const char *uid,
                                                const char *host, const struct diag_label *labels,
                                                size_t label_count, void *session,
                                                struct diag_fleet_sidecar **out,
                                                struct diag_error *err);

/* Removes the sidecar and its processes. NULL is fine. */
void diag_fleet_remove(struct diag_fleet *fleet, struct diag_fleet_sidecar *sidecar);

/* NULL: not connected. */
struct diag_fleet_sidecar *diag_fleet_get(const struct diag_fleet *fleet, const char *uid);

/* The sidecar that has this process, NULL: none. Looks at each sidecar. */
struct diag_fleet_sidecar *diag_fleet_find_process(const struct diag_fleet *fleet,
                                                   const char *process_uid);

/* Adds or replaces a process by its encoded ProcessStatus, which is copied; its text has been
 * checked before. DIAG_ERR_INVALID names the field, DIAG_ERR_FULL. */
DIAG_MUST_CHECK enum diag_status diag_fleet_put_process(struct diag_fleet_sidecar *sidecar,
                                                        struct diag_bytes status,
                                                        struct diag_error *err);

/* Unknown ones are ignored. */
void diag_fleet_end_process(struct diag_fleet_sidecar *sidecar, const char *process_uid);

/* One encoded SpecStatus out of a process's; borrowed. */
struct diag_fleet_status {
    char spec_id[DIAG_SPEC_ID_MAX + 1];
    uint64_t spec_revision;
    uint64_t state; /* enum diag_spec_state, or of a newer release */
    uint64_t hits, errors, dropped;
    uint64_t skipped; /* for all causes together, those of a newer release too */
    struct diag_bytes encoded;
};

/* Reads the next status; `reader` begins with diag_wire_reader_make(process->status). */
bool diag_fleet_next_status(struct diag_wire_reader *reader, struct diag_fleet_status *status);

/* The status of this revision of the spec in the process. False: there is none. */
bool diag_fleet_find_status(const struct diag_fleet_process *process, const struct diag_spec *spec,
                            struct diag_fleet_status *status);

/* What SpecSummary says of a spec. */
struct diag_fleet_summary {
    const struct diag_spec *spec; /* set by the caller */
    uint32_t matched, pending, armed, failed;
    uint64_t hits, errors, dropped, skipped;
};

/* Fills in everything but the specs, whose ids differ, in one walk over the fleet. */
DIAG_MUST_CHECK enum diag_status diag_fleet_summarize(const struct diag_fleet *fleet,
                                                      struct diag_fleet_summary *summaries,
                                                      size_t summary_count, struct diag_error *err);

/* The processes of one sidecar by pid, or the sidecars by host and uid: an array to be freed by
 * the caller. NULL: out of memory; never for an empty one. */
const struct diag_fleet_process **
diag_fleet_sort_processes(const struct diag_fleet_sidecar *sidecar);
const struct diag_fleet_sidecar **diag_fleet_sort_sidecars(const struct diag_fleet *fleet);

DIAG_DECLS_END

#endif
