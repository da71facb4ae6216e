/* SPDX-License-Identifier: MIT */
/* database - the SQLite file of the store: one table of specs, one row with the last revision.
 *
 * WAL with synchronous=FULL: what is committed survives a killed process and a lost power supply.
 * locking_mode=EXCLUSIVE: one controller at a time, and no shared memory beside the file.
 *
 * Threading: one thread.
 * Fork:      never with an open database. */
#ifndef DIAG_CONTROLLER_DATABASE_H
#define DIAG_CONTROLLER_DATABASE_H

#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/spec/spec.h"

DIAG_DECLS_BEGIN

struct diag_database;

/* Opens, locks, checks and, if new, makes the file. Errors are those of diag_store_open. */
DIAG_MUST_CHECK enum diag_status diag_database_open(const char *path, struct diag_database **out,
                                                    struct diag_error *err);

/* NULL is fine. */
void diag_database_free(struct diag_database *database);
DIAG_DEFINE_FREEP(diag_database, struct diag_database)

/* Takes one stored spec; anything but DIAG_OK ends the load with it. */
typedef enum diag_status diag_database_row_fn(void *context, const char *id, struct diag_bytes body,
                                              struct diag_error *err);

/* Hands all specs to `row`, and gives the last revision. */
DIAG_MUST_CHECK enum diag_status diag_database_load(struct diag_database *database,
                                                    diag_database_row_fn *row, void *context,
                                                    uint64_t *revision, struct diag_error *err);

/* Begins a change. It is nothing until diag_database_commit; on any error until then the caller
 * rolls back. */
DIAG_MUST_CHECK enum diag_status diag_database_begin(struct diag_database *database,
                                                     struct diag_error *err);
DIAG_MUST_CHECK enum diag_status diag_database_put(struct diag_database *database,
                                                   const struct diag_spec *spec,
                                                   struct diag_bytes body, struct diag_error *err);
DIAG_MUST_CHECK enum diag_status diag_database_remove(struct diag_database *database,
                                                      const char *id, struct diag_error *err);
DIAG_MUST_CHECK enum diag_status diag_database_set_revision(struct diag_database *database,
                                                            uint64_t revision,
                                                            struct diag_error *err);
/* On disk when this returns DIAG_OK; otherwise rolled back. */
DIAG_MUST_CHECK enum diag_status diag_database_commit(struct diag_database *database,
                                                      struct diag_error *err);
void diag_database_rollback(struct diag_database *database);

DIAG_DECLS_END

#endif
