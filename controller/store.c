/* SPDX-License-Identifier: MIT */
/* How it works: a change is prepared in full (the new entry, a place in the table) inside the
 * database's transaction. Only the commit is left then, and after it nothing can fail. */
#include "controller/store.h"

#include <errno.h>

#include "controller/database.h"
#include "controller/message_builder.h"
#include "lib/base/map.h"
#include "lib/base/wire.h"
#include "lib/spec/spec_codec.h"

/* Field numbers of diagnose.v1.Spec: the inputs lie before the outputs. */
enum {
    SPEC_INPUT_LAST = 15,
    SPEC_REVISION = 16,
    SPEC_CREATED = 17,
    SPEC_MODIFIED = 18,
    SPEC_EXPIRES = 19,
};

struct diag_store {
    struct diag_database *database;
    struct diag_map entries; /* id -> struct diag_store_entry */
    uint64_t revision;
};

static void entry_free(struct diag_store_entry *entry) {
    if (entry == NULL)
        return;
    diag_spec_free(entry->spec);
    diag_buffer_done(&entry->encoded);
    free(entry);
}
DIAG_DEFINE_FREEP(entry, struct diag_store_entry)

/* ---- open and close ---- */

static enum diag_status load_row(void *context, const char *id, struct diag_bytes body,
                                 struct diag_error *err) {
    struct diag_store *store = context;
    DIAG_CLEANUP(entry_freep) struct diag_store_entry *entry = calloc(1, sizeof *entry);
    enum diag_status status;

    if (entry == NULL || diag_buffer_append(&entry->encoded, body) != DIAG_OK)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, ENOMEM, "load");
    status = diag_spec_decode(body, &entry->spec, err);
    if (status != DIAG_OK)
        return status;
    if (strcmp(entry->spec->id, id) != 0)
        return diag_error_set(err, DIAG_ERR_IO, 0, "corrupt: its body is of \"%.128s\"",
                              entry->spec->id);
    if (diag_map_put(&store->entries, id, entry) != DIAG_OK)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, ENOMEM, "load");
    (void)DIAG_TAKE_PTR(entry);
    return DIAG_OK;
}

enum diag_status diag_store_open(const char *path, struct diag_store **out,
                                 struct diag_error *err) {
    DIAG_CLEANUP(diag_store_freep) struct diag_store *store = calloc(1, sizeof *store);
    enum diag_status status;

    if (store == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "database %s", path);
    status = diag_database_open(path, &store->database, err);
    if (status == DIAG_OK)
        status = diag_database_load(store->database, load_row, store, &store->revision, err);
    if (status == DIAG_OK)
        *out = DIAG_TAKE_PTR(store);
    return status;
}

void diag_store_free(struct diag_store *store) {
    struct diag_store_entry *entry;
    size_t cursor = 0;

    if (store == NULL)
        return;
    while ((entry = diag_map_next(&store->entries, &cursor)) != NULL)
        entry_free(entry);
    diag_map_done(&store->entries);
    diag_database_free(store->database);
    free(store);
}

/* ---- changes ---- */

/* What a stored spec is made of: the request's inputs as they came, and our outputs. */
struct stamp {
    uint64_t revision, created_unix_ns, modified_unix_ns, expires_unix_ns;
};

static enum diag_status encode(struct diag_bytes request, const struct stamp *stamp,
                               struct diag_buffer *out, struct diag_error *err) {
    struct diag_message_builder builder = {0};
    struct diag_wire_reader reader = diag_wire_reader_make(request);
    struct diag_wire_field field;
    const uint8_t *start = reader.at;

    while (diag_wire_next(&reader, &field) == DIAG_OK) {
        if (field.number <= SPEC_INPUT_LAST)
            diag_message_builder_put_raw(&builder,
                                         diag_bytes_make(start, (size_t)(reader.at - start)));
        start = reader.at;
    }
    diag_message_builder_put_uint(&builder, SPEC_REVISION, stamp->revision);
    diag_message_builder_put_fixed64(&builder, SPEC_CREATED, stamp->created_unix_ns);
    diag_message_builder_put_fixed64(&builder, SPEC_MODIFIED, stamp->modified_unix_ns);
    diag_message_builder_put_fixed64(&builder, SPEC_EXPIRES, stamp->expires_unix_ns);
    if (builder.has_failed) {
        diag_message_builder_done(&builder);
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, ENOMEM, "spec");
    }
    *out = builder.buffer;
    return DIAG_OK;
}

static enum diag_status entry_new(struct diag_bytes request, const struct stamp *stamp,
                                  struct diag_store_entry **out, struct diag_error *err) {
    DIAG_CLEANUP(entry_freep) struct diag_store_entry *entry = calloc(1, sizeof *entry);
    enum diag_status status;

    if (entry == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "spec");
    status = encode(request, stamp, &entry->encoded, err);
    if (status == DIAG_OK)
        status = diag_spec_decode(diag_buffer_bytes(&entry->encoded), &entry->spec, err);
    if (status == DIAG_OK)
        *out = DIAG_TAKE_PTR(entry);
    return status;
}

/* Leaves no transaction behind when it fails. */
static enum diag_status write_entry(struct diag_store *store, struct diag_store_entry *entry,
                                    struct diag_error *err) {
    const char *id = entry->spec->id;
    struct diag_store_entry *old = diag_map_get(&store->entries, id);
    enum diag_status status = diag_database_begin(store->database, err);

    if (status != DIAG_OK)
        return status;
    status =
        diag_database_put(store->database, entry->spec, diag_buffer_bytes(&entry->encoded), err);
    if (status == DIAG_OK)
        status = diag_database_set_revision(store->database, entry->spec->revision, err);
    if (status == DIAG_OK && diag_map_put(&store->entries, id, entry) != DIAG_OK)
        status = diag_error_set(err, DIAG_ERR_NO_MEMORY, ENOMEM, "spec");
    if (status != DIAG_OK) {
        diag_database_rollback(store->database);
        return status;
    }
    status = diag_database_commit(store->database, err);
    if (status == DIAG_OK) {
        entry_free(old);
        return DIAG_OK;
    }
    if (old == NULL)
        (void)diag_map_remove(&store->entries, id);
    else if (diag_map_put(&store->entries, id, old) != DIAG_OK)
        status = diag_error_set(err, DIAG_ERR_INTERNAL, 0, "replacing a value allocated");
    return status;
}

enum diag_status diag_store_apply(struct diag_store *store, struct diag_bytes encoded,
                                  uint64_t now_unix_ns, const struct diag_store_entry **out,
                                  bool *is_created, struct diag_error *err) {
    DIAG_CLEANUP(diag_spec_freep) struct diag_spec *spec = NULL;
    DIAG_CLEANUP(entry_freep) struct diag_store_entry *entry = NULL;
    const struct diag_store_entry *old;
    struct stamp stamp;
    enum diag_status status = diag_spec_decode(encoded, &spec, err);

    if (status == DIAG_OK)
        status = diag_spec_validate(spec, err);
    if (status != DIAG_OK)
        return status;
    old = diag_store_get(store, spec->id);
    if (old == NULL && store->entries.count >= DIAG_STORE_SPECS_MAX)
        return diag_error_set(err, DIAG_ERR_FULL, 0,
                              "there are %d specs, and no more are allowed; delete some",
                              DIAG_STORE_SPECS_MAX);
    stamp.revision = store->revision + 1;
    stamp.created_unix_ns = old != NULL ? old->spec->created_unix_ns : now_unix_ns;
    stamp.modified_unix_ns = now_unix_ns;
    stamp.expires_unix_ns = now_unix_ns + spec->lifespan_ms * UINT64_C(1000000);
    status = entry_new(encoded, &stamp, &entry, err);
    if (status == DIAG_OK)
        status = write_entry(store, entry, err);
    if (status != DIAG_OK)
        return status;
    store->revision = stamp.revision;
    *is_created = old == NULL;
    *out = DIAG_TAKE_PTR(entry);
    return DIAG_OK;
}

enum diag_status diag_store_delete(struct diag_store *store, const char *id, uint64_t *revision,
                                   struct diag_error *err) {
    enum diag_status status;

    if (diag_store_get(store, id) == NULL)
        return diag_error_set(err, DIAG_ERR_NOT_FOUND, 0, "no spec \"%.128s\"", id);
    status = diag_database_begin(store->database, err);
    if (status != DIAG_OK)
        return status;
    status = diag_database_remove(store->database, id, err);
    if (status == DIAG_OK)
        status = diag_database_set_revision(store->database, store->revision + 1, err);
    if (status != DIAG_OK) {
        diag_database_rollback(store->database);
        return status;
    }
    status = diag_database_commit(store->database, err);
    if (status != DIAG_OK)
        return status;
    *revision = ++store->revision;
    entry_free(diag_map_remove(&store->entries, id));
    return DIAG_OK;
}

/* ---- reading ---- */

const struct diag_store_entry *diag_store_get(const struct diag_store *store, const char *id) {
    return diag_map_get(&store->entries, id);
}

const struct diag_store_entry *diag_store_next(const struct diag_store *store, size_t *cursor) {
    return diag_map_next(&store->entries, cursor);
}

size_t diag_store_count(const struct diag_store *store) {
    return store->entries.count;
}

uint64_t diag_store_revision(const struct diag_store *store) {
    return store->revision;
}

/* ---- expiry ---- */

const struct diag_store_entry *diag_store_take_expired(struct diag_store *store,
                                                       uint64_t now_unix_ns) {
    struct diag_store_entry *entry;
    size_t cursor = 0;

    while ((entry = diag_map_next(&store->entries, &cursor)) != NULL)
        if (!entry->is_expiry_announced && diag_spec_is_expired(entry->spec, now_unix_ns)) {
            entry->is_expiry_announced = true;
            return entry;
        }
    return NULL;
}

static uint64_t purge_time(const struct diag_store_entry *entry) {
    return entry->spec->expires_unix_ns + DIAG_STORE_EXPIRED_KEPT_NS;
}

/* Nothing changes for the fleet, which dropped the specs when they expired: no new revision. */
enum diag_status diag_store_purge(struct diag_store *store, uint64_t now_unix_ns,
                                  struct diag_error *err) {
    struct diag_store_entry *entry;
    size_t cursor = 0;

    while ((entry = diag_map_next(&store->entries, &cursor)) != NULL) {
        enum diag_status status;

        if (now_unix_ns < purge_time(entry))
            continue;
        /* outside of a transaction: a statement of its own is one */
        status = diag_database_remove(store->database, entry->spec->id, err);
        if (status != DIAG_OK)
            return status;
        (void)diag_map_remove(&store->entries, entry->spec->id);
        entry_free(entry);
    }
    return DIAG_OK;
}

uint64_t diag_store_next_deadline(const struct diag_store *store) {
    const struct diag_store_entry *entry;
    uint64_t next = UINT64_MAX;
    size_t cursor = 0;

    while ((entry = diag_map_next(&store->entries, &cursor)) != NULL) {
        uint64_t deadline =
            entry->is_expiry_announced ? purge_time(entry) : entry->spec->expires_unix_ns;
        if (deadline < next)
            next = deadline;
    }
    return next;
}
