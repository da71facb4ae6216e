/* SPDX-License-Identifier: MIT */
#include "controller/database.h"

#include <errno.h>
#include <sqlite3.h>
#include <string.h>

#define SCHEMA_VERSION 1

struct diag_database {
    sqlite3 *sqlite;
    char *path;
};

/* Of the last call that failed. */
static enum diag_status sqlite_error(const struct diag_database *database, struct diag_error *err) {
    int code = sqlite3_errcode(database->sqlite) & 0xFF;
    int os_errno = code == SQLITE_CANTOPEN || code == SQLITE_IOERR
                       ? sqlite3_system_errno(database->sqlite)
                       : 0;
    enum diag_status status = DIAG_ERR_IO;

    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        return diag_error_set(err, DIAG_ERR_BUSY, 0, "database %s is in use by another controller",
                              database->path);
    if (code == SQLITE_FULL)
        status = DIAG_ERR_FULL;
    else if (code == SQLITE_NOMEM)
        status = DIAG_ERR_NO_MEMORY;
    else if (code == SQLITE_PERM || code == SQLITE_READONLY)
        status = DIAG_ERR_PERMISSION;
    return diag_error_set(err, status, os_errno, "database %s: %s", database->path,
                          sqlite3_errmsg(database->sqlite));
}

static enum diag_status execute(struct diag_database *database, const char *sql,
                                struct diag_error *err) {
    if (sqlite3_exec(database->sqlite, sql, NULL, NULL, NULL) != SQLITE_OK)
        return sqlite_error(database, err);
    return DIAG_OK;
}

static void finalize(sqlite3_stmt **statement) {
    sqlite3_finalize(*statement);
}

static enum diag_status prepare(struct diag_database *database, const char *sql, sqlite3_stmt **out,
                                struct diag_error *err) {
    if (sqlite3_prepare_v2(database->sqlite, sql, -1, out, NULL) != SQLITE_OK)
        return sqlite_error(database, err);
    return DIAG_OK;
}

/* Runs a statement that gives no rows. */
static enum diag_status run(struct diag_database *database, sqlite3_stmt *statement,
                            struct diag_error *err) {
    if (sqlite3_step(statement) != SQLITE_DONE)
        return sqlite_error(database, err);
    return DIAG_OK;
}

/* The first column of the first row. */
static enum diag_status query_integer(struct diag_database *database, const char *sql, int64_t *out,
                                      struct diag_error *err) {
    DIAG_CLEANUP(finalize) sqlite3_stmt *statement = NULL;
    enum diag_status status = prepare(database, sql, &statement, err);

    if (status != DIAG_OK)
        return status;
    if (sqlite3_step(statement) != SQLITE_ROW)
        return sqlite_error(database, err);
    *out = sqlite3_column_int64(statement, 0);
    return DIAG_OK;
}

static enum diag_status check_integrity(struct diag_database *database, struct diag_error *err) {
    DIAG_CLEANUP(finalize) sqlite3_stmt *statement = NULL;
    enum diag_status status = prepare(database, "PRAGMA quick_check(1)", &statement, err);
    const char *verdict;

    if (status != DIAG_OK)
        return status;
    if (sqlite3_step(statement) != SQLITE_ROW)
        return sqlite_error(database, err);
    verdict = (const char *)sqlite3_column_text(statement, 0);
    if (verdict == NULL || strcmp(verdict, "ok") != 0)
        return diag_error_set(err, DIAG_ERR_IO, 0, "database %s: corrupt: %s", database->path,
                              verdict != NULL ? verdict : "no verdict");
    return DIAG_OK;
}

static enum diag_status make_schema(struct diag_database *database, struct diag_error *err) {
    int64_t table_count;
    enum diag_status status =
        query_integer(database, "SELECT count(*) FROM sqlite_master", &table_count, err);

    if (status != DIAG_OK)
        return status;
    if (table_count != 0)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "database %s: holds something else than the specs of a controller",
                              database->path);
    return execute(database,
                   "CREATE TABLE specs (id TEXT PRIMARY KEY, revision INTEGER NOT NULL,"
                   " created INTEGER NOT NULL, modified INTEGER NOT NULL,"
                   " expires INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;"
                   "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
                   "INSERT INTO meta VALUES ('revision', 0);"
                   "PRAGMA user_version = 1",
                   err);
}

static enum diag_status check_schema(struct diag_database *database, struct diag_error *err) {
    int64_t version;
    enum diag_status status = query_integer(database, "PRAGMA user_version", &version, err);

    if (status != DIAG_OK)
        return status;
    if (version == 0)
        return make_schema(database, err);
    if (version != SCHEMA_VERSION)
        return diag_error_set(err, DIAG_ERR_VERSION, 0,
                              "database %s: has schema %lld, this release knows %d; was it written "
                              "by a newer one?",
                              database->path, (long long)version, SCHEMA_VERSION);
    return check_integrity(database, err);
}

static enum diag_status configure(struct diag_database *database, struct diag_error *err) {
    /* locking_mode comes before the first access, else WAL keeps its index in shared memory and
     * lets others in */
    enum diag_status status = execute(database,
                                      "PRAGMA locking_mode = EXCLUSIVE;"
                                      "PRAGMA journal_mode = WAL;"
                                      "PRAGMA synchronous = FULL",
                                      err);

    /* The lock is taken with the first write, and kept. */
    if (status == DIAG_OK)
        status = execute(database, "BEGIN IMMEDIATE", err);
    if (status != DIAG_OK)
        return status;
    status = check_schema(database, err);
    if (status == DIAG_OK)
        status = diag_database_commit(database, err);
    return status;
}

enum diag_status diag_database_open(const char *path, struct diag_database **out,
                                    struct diag_error *err) {
    DIAG_CLEANUP(diag_database_freep) struct diag_database *database = calloc(1, sizeof *database);
    enum diag_status status;

    if (database == NULL || (database->path = strdup(path)) == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "database %s", path);
    if (sqlite3_open_v2(path, &database->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                        NULL) != SQLITE_OK) {
        if (database->sqlite == NULL)
            return diag_error_set(err, DIAG_ERR_NO_MEMORY, ENOMEM, "database %s", path);
        return sqlite_error(database, err);
    }
    status = configure(database, err);
    if (status != DIAG_OK)
        return status;
    *out = DIAG_TAKE_PTR(database);
    return DIAG_OK;
}

void diag_database_free(struct diag_database *database) {
    if (database == NULL)
        return;
    sqlite3_close(database->sqlite);
    free(database->path);
    free(database);
}

static enum diag_status load_rows(struct diag_database *database, sqlite3_stmt *statement,
                                  diag_database_row_fn *row, void *context,
                                  struct diag_error *err) {
    int code;

    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *id = (const char *)sqlite3_column_text(statement, 0);
        const void *body = sqlite3_column_blob(statement, 1);
        size_t size = (size_t)sqlite3_column_bytes(statement, 1);
        enum diag_status status;

        if (id == NULL)
            return diag_error_set(err, DIAG_ERR_IO, 0, "database %s: a spec has no id",
                                  database->path);
        status = row(context, id, diag_bytes_make(body, size), err);
        if (status != DIAG_OK) {
            diag_error_prefix(err, "database %s: spec \"%s\"", database->path, id);
            return status;
        }
    }
    return code == SQLITE_DONE ? DIAG_OK : sqlite_error(database, err);
}

enum diag_status diag_database_load(struct diag_database *database, diag_database_row_fn *row,
                                    void *context, uint64_t *revision, struct diag_error *err) {
    DIAG_CLEANUP(finalize) sqlite3_stmt *statement = NULL;
    enum diag_status status = prepare(database, "SELECT id, body FROM specs", &statement, err);
    int64_t last;

    if (status == DIAG_OK)
        status = load_rows(database, statement, row, context, err);
    if (status == DIAG_OK)
        status =
            query_integer(database, "SELECT value FROM meta WHERE key = 'revision'", &last, err);
    if (status == DIAG_OK)
        *revision = (uint64_t)last;
    return status;
}

enum diag_status diag_database_begin(struct diag_database *database, struct diag_error *err) {
    return execute(database, "BEGIN IMMEDIATE", err);
}

enum diag_status diag_database_put(struct diag_database *database, const struct diag_spec *spec,
                                   struct diag_bytes body, struct diag_error *err) {
    DIAG_CLEANUP(finalize) sqlite3_stmt *statement = NULL;
    enum diag_status status = prepare(
        database, "INSERT OR REPLACE INTO specs VALUES (?, ?, ?, ?, ?, ?)", &statement, err);

    if (status != DIAG_OK)
        return status;
    if (sqlite3_bind_text(statement, 1, spec->id, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_int64(statement, 2, (int64_t)spec->revision) != SQLITE_OK ||
        sqlite3_bind_int64(statement, 3, (int64_t)spec->created_unix_ns) != SQLITE_OK ||
        sqlite3_bind_int64(statement, 4, (int64_t)spec->modified_unix_ns) != SQLITE_OK ||
        sqlite3_bind_int64(statement, 5, (int64_t)spec->expires_unix_ns) != SQLITE_OK ||
        sqlite3_bind_blob64(statement, 6, body.data, body.size, SQLITE_STATIC) != SQLITE_OK)
        return sqlite_error(database, err);
    return run(database, statement, err);
}

enum diag_status diag_database_remove(struct diag_database *database, const char *id,
                                      struct diag_error *err) {
    DIAG_CLEANUP(finalize) sqlite3_stmt *statement = NULL;
    enum diag_status status = prepare(database, "DELETE FROM specs WHERE id = ?", &statement, err);

    if (status != DIAG_OK)
        return status;
    if (sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC) != SQLITE_OK)
        return sqlite_error(database, err);
    return run(database, statement, err);
}

enum diag_status diag_database_set_revision(struct diag_database *database, uint64_t revision,
                                            struct diag_error *err) {
    DIAG_CLEANUP(finalize) sqlite3_stmt *statement = NULL;
    enum diag_status status =
        prepare(database, "UPDATE meta SET value = ? WHERE key = 'revision'", &statement, err);

    if (status != DIAG_OK)
        return status;
    if (sqlite3_bind_int64(statement, 1, (int64_t)revision) != SQLITE_OK)
        return sqlite_error(database, err);
    return run(database, statement, err);
}

enum diag_status diag_database_commit(struct diag_database *database, struct diag_error *err) {
    enum diag_status status = execute(database, "COMMIT", err);

    if (status != DIAG_OK)
        diag_database_rollback(database);
    return status;
}

void diag_database_rollback(struct diag_database *database) {
    /* Some errors have rolled back already; there is nothing left to do about a failure. */
    if (sqlite3_get_autocommit(database->sqlite) == 0)
        (void)sqlite3_exec(database->sqlite, "ROLLBACK", NULL, NULL, NULL);
}
