/* SPDX-License-Identifier: MIT */
/* store - the specs of the fleet: a table in memory, and the SQLite database behind it.
 *
 * A change is on disk (synchronous=FULL) before the function that makes it returns, and visible in
 * memory only then. Revisions are given out once, also after deletions and restarts. The database
 * is locked while the store is open: a second one on the same file is refused.
 *
 * Threading: one thread.
 * Fork:      never with an open store.
 * Ownership: entries and what they hold are borrowed from the store until its next change. */
#ifndef DIAG_CONTROLLER_STORE_H
#define DIAG_CONTROLLER_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/spec/spec.h"

DIAG_DECLS_BEGIN

#define DIAG_STORE_SPECS_MAX 10000
/* Expired specs are kept this long. */
#define DIAG_STORE_EXPIRED_KEPT_NS (UINT64_C(86400) * 1000000000)

struct diag_store;

struct diag_store_entry {
    struct diag_spec *spec;
    struct diag_buffer encoded; /* diagnose.v1.Spec, output fields included */
    bool is_expiry_announced;   /* see diag_store_take_expired */
};

/* Opens the database at `path`, or makes it, and loads all specs. The message names the path.
 * DIAG_ERR_BUSY: another controller has it open. DIAG_ERR_VERSION: a newer release wrote it. */
DIAG_MUST_CHECK enum diag_status diag_store_open(const char *path, struct diag_store **out,
                                                 struct diag_error *err);

/* Closes the database too. NULL is fine. */
void diag_store_free(struct diag_store *store);
DIAG_DEFINE_FREEP(diag_store, struct diag_store)

/* Stores the encoded diagnose.v1.Spec, whose output fields are ignored, under a new revision;
 * `created` and the lifespan's begin are set from `now_unix_ns`. Decodes and validates it first:
 * DIAG_ERR_INVALID or DIAG_ERR_VERSION name the field. DIAG_ERR_FULL: too many specs, or no room
 * on the disk. */
DIAG_MUST_CHECK enum diag_status diag_store_apply(struct diag_store *store,
                                                  struct diag_bytes encoded, uint64_t now_unix_ns,
                                                  const struct diag_store_entry **out,
                                                  bool *is_created, struct diag_error *err);

/* DIAG_ERR_NOT_FOUND. */
DIAG_MUST_CHECK enum diag_status diag_store_delete(struct diag_store *store, const char *id,
                                                   uint64_t *revision, struct diag_error *err);

/* NULL: not there. */
const struct diag_store_entry *diag_store_get(const struct diag_store *store, const char *id);

/* Walks the specs in no order: start with *cursor = 0, until it returns NULL. */
const struct diag_store_entry *diag_store_next(const struct diag_store *store, size_t *cursor);

size_t diag_store_count(const struct diag_store *store);

/* The last revision that was given out, 0 before the first. */
uint64_t diag_store_revision(const struct diag_store *store);

/* A spec that has expired and was not returned by this function before; NULL: no more. */
const struct diag_store_entry *diag_store_take_expired(struct diag_store *store,
                                                       uint64_t now_unix_ns);

/* Deletes for good what has been expired for DIAG_STORE_EXPIRED_KEPT_NS. */
DIAG_MUST_CHECK enum diag_status diag_store_purge(struct diag_store *store, uint64_t now_unix_ns,
                                                  struct diag_error *err);

/* When the next spec expires or is to be purged; UINT64_MAX: never. */
uint64_t diag_store_next_deadline(const struct diag_store *store);

DIAG_DECLS_END

#endif
