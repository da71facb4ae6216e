/* SPDX-License-Identifier: MIT */
#include "controller/rollout.h"

#include <errno.h>
#include <string.h>

/* Field numbers of diagnose.v1.SyncResponse. */
enum {
    RESPONSE_UPSERTS = 3,
    RESPONSE_REMOVED_IDS = 4,
};

/* Where the specs go, and for whom. */
struct target {
    const struct diag_label *labels;
    size_t label_count;
    uint64_t now_unix_ns;
    struct diag_message_builder *builder;
};

void diag_rollout_done(struct diag_rollout *rollout) {
    diag_map_done(&rollout->sent);
}

/* A revision as a map's value, which must not be NULL. Revision 0, which no stored spec has, takes
 * the place of the last one. */
static void *revision_to_value(uint64_t revision) {
    return (void *)(uintptr_t)(revision != 0 ? revision : UINTPTR_MAX);
}

enum diag_status diag_rollout_hold(struct diag_rollout *rollout, const char *id, uint64_t revision,
                                   struct diag_error *err) {
    if (diag_map_put(&rollout->sent, id, revision_to_value(revision)) != DIAG_OK)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, ENOMEM, "rollout");
    return DIAG_OK;
}

static bool is_wanted(const struct diag_store_entry *entry, const struct target *target) {
    return entry != NULL && !diag_spec_is_expired(entry->spec, target->now_unix_ns) &&
           diag_spec_matches(entry->spec, target->labels, target->label_count);
}

static bool is_sent(const struct diag_rollout *rollout, const struct diag_store_entry *entry) {
    return diag_map_get(&rollout->sent, entry->spec->id) ==
           revision_to_value(entry->spec->revision);
}

static enum diag_status send_upsert(struct diag_rollout *rollout,
                                    const struct diag_store_entry *entry,
                                    const struct target *target, struct diag_error *err) {
    diag_message_builder_put_bytes(target->builder, RESPONSE_UPSERTS,
                                   diag_buffer_bytes(&entry->encoded));
    return diag_rollout_hold(rollout, entry->spec->id, entry->spec->revision, err);
}

static void send_removal(struct diag_rollout *rollout, const char *id,
                         const struct target *target) {
    diag_message_builder_put_bytes(target->builder, RESPONSE_REMOVED_IDS, diag_bytes_from_text(id));
    (void)diag_map_remove(&rollout->sent, id);
}

static bool is_full(const struct target *target) {
    return target->builder->has_failed || target->builder->buffer.size >= DIAG_ROLLOUT_BYTES_MAX;
}

static enum diag_status finish(const struct target *target, struct diag_error *err) {
    if (target->builder->has_failed)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, ENOMEM, "rollout");
    return DIAG_OK;
}

enum diag_status diag_rollout_next(struct diag_rollout *rollout, const struct diag_store *store,
                                   const struct diag_label *labels, size_t label_count,
                                   uint64_t now_unix_ns, struct diag_message_builder *builder,
                                   bool *is_complete, struct diag_error *err) {
    const struct target target = {labels, label_count, now_unix_ns, builder};
    const struct diag_store_entry *entry;
    size_t cursor = 0;

    while (diag_map_next(&rollout->sent, &cursor) != NULL && !is_full(&target)) {
        const char *id = rollout->sent.entries[cursor - 1].key;
        if (!is_wanted(diag_store_get(store, id), &target))
            send_removal(rollout, id, &target);
    }
    cursor = 0;
    while (!is_full(&target) && (entry = diag_store_next(store, &cursor)) != NULL) {
        enum diag_status status;

        if (!is_wanted(entry, &target) || is_sent(rollout, entry))
            continue;
        status = send_upsert(rollout, entry, &target, err);
        if (status != DIAG_OK)
            return status;
    }
    *is_complete = !is_full(&target);
    return finish(&target, err);
}

enum diag_status diag_rollout_next_of(struct diag_rollout *rollout, const struct diag_store *store,
                                      const char *id, const struct diag_label *labels,
                                      size_t label_count, uint64_t now_unix_ns,
                                      struct diag_message_builder *builder, bool *has_changed,
                                      struct diag_error *err) {
    const struct target target = {labels, label_count, now_unix_ns, builder};
    const struct diag_store_entry *entry = diag_store_get(store, id);
    enum diag_status status = DIAG_OK;

    *has_changed = false;
    if (is_wanted(entry, &target)) {
        *has_changed = !is_sent(rollout, entry);
        if (*has_changed)
            status = send_upsert(rollout, entry, &target, err);
    } else if (diag_map_get(&rollout->sent, id) != NULL) {
        *has_changed = true;
        send_removal(rollout, id, &target);
    }
    return status != DIAG_OK ? status : finish(&target, err);
}
