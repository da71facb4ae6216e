/* SPDX-License-Identifier: MIT */
#include "sidecar/labels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/map.h"
#include "sidecar/labels_file.h"

void diag_sidecar_labels_done(struct diag_sidecar_labels *labels) {
    for (size_t i = 0; i < labels->count; i++) {
        free(labels->items[i].key);
        free(labels->items[i].value);
    }
    *labels = (struct diag_sidecar_labels){0};
}

static bool has_key(const struct diag_sidecar_labels *labels, const char *key, size_t key_size) {
    for (size_t i = 0; i < labels->count; i++)
        if (strlen(labels->items[i].key) == key_size &&
            memcmp(labels->items[i].key, key, key_size) == 0)
            return true;
    return false;
}

/* DIAG_ERR_FULL, DIAG_ERR_NO_MEMORY: nothing added. */
static enum diag_status add(struct diag_sidecar_labels *labels, const char *key, size_t key_size,
                            const char *value) {
    struct diag_label label;

    if (labels->count == DIAG_SIDECAR_LABELS_MAX)
        return DIAG_ERR_FULL;
    label = (struct diag_label){.key = strndup(key, key_size), .value = strdup(value)};
    if (label.key == NULL || label.value == NULL) {
        free(label.key);
        free(label.value);
        return DIAG_ERR_NO_MEMORY;
    }
    labels->items[labels->count++] = label;
    return DIAG_OK;
}

/* "KEY=VALUE", checked by options.c. What a default says comes from the pod's metadata, which must
 * not keep the sidecar, and so the pod, from starting. */
static enum diag_status add_list(struct diag_sidecar_labels *labels,
                                 const struct diag_flag_list *list, bool are_defaults,
                                 struct diag_error *err) {
    for (size_t i = 0; i < list->count; i++) {
        const char *equals = strchr(list->items[i], '=');
        size_t key_size = (size_t)(equals - list->items[i]);
        enum diag_status status;

        if (are_defaults && (equals[1] == '\0' || has_key(labels, list->items[i], key_size)))
            continue;
        if (are_defaults && strlen(equals + 1) > DIAG_SIDECAR_LABEL_MAX) {
            labels->too_long.items[labels->too_long.count++] = list->items[i];
            continue;
        }
        status = add(labels, list->items[i], key_size, equals + 1);
        if (status == DIAG_ERR_FULL)
            return diag_error_set(err, DIAG_ERR_INVALID, 0,
                                  "--label-default: \"%.*s\" is one label more than the %d that "
                                  "are allowed",
                                  (int)key_size, list->items[i], DIAG_SIDECAR_LABELS_MAX);
        if (status != DIAG_OK)
            return diag_error_set(err, status, errno, "labels");
    }
    return DIAG_OK;
}

static enum diag_status add_file(struct diag_sidecar_labels *labels, struct diag_bytes text,
                                 struct diag_error *err) {
    struct diag_labels_file file = diag_labels_file_make(text);
    DIAG_CLEANUP(diag_map_done) struct diag_map seen = {0};
    struct diag_labels_file_entry entry;
    enum diag_status status;

    while ((status = diag_labels_file_next(&file, &entry, err)) == DIAG_OK) {
        if (diag_map_get(&seen, entry.key) != NULL)
            return diag_error_set(err, DIAG_ERR_INVALID, 0,
                                  "line %zu: the key \"%s\" is there twice", file.line, entry.key);
        if (diag_map_put(&seen, entry.key, labels) != DIAG_OK)
            return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "labels");
        if (has_key(labels, entry.key, strlen(entry.key)))
            continue;
        status = add(labels, entry.key, strlen(entry.key), entry.value);
        if (status == DIAG_ERR_FULL)
            labels->left_out_count++;
        else if (status != DIAG_OK)
            return diag_error_set(err, status, errno, "labels");
    }
    return status == DIAG_ERR_CLOSED ? DIAG_OK : status;
}

enum diag_status diag_sidecar_labels_collect(const struct diag_sidecar_options *options,
                                             struct diag_sidecar_labels *out,
                                             struct diag_error *err) {
    DIAG_CLEANUP(diag_sidecar_labels_done) struct diag_sidecar_labels labels = {0};
    DIAG_CLEANUP(diag_buffer_done) struct diag_buffer text = {0};
    enum diag_status status = add_list(&labels, &options->labels, false, err);

    if (status == DIAG_OK)
        status = add_list(&labels, &options->label_defaults, true, err);
    if (status == DIAG_OK && options->labels_file != NULL) {
        status = diag_labels_file_load(options->labels_file, &text, err);
        if (status == DIAG_OK) {
            status = add_file(&labels, diag_buffer_bytes(&text), err);
            if (status != DIAG_OK)
                diag_error_prefix(err, "%s", options->labels_file);
        }
        if (status != DIAG_OK)
            diag_error_prefix(err, "--labels-file");
    }
    if (status != DIAG_OK)
        return status;
    *out = labels;
    labels = (struct diag_sidecar_labels){0};
    return DIAG_OK;
}
