/* SPDX-License-Identifier: MIT */
#include "ctl/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/escape.h"
#include "ctl/memory.h"
#include "ctl/suggest.h"
#include "ctl/value_codec.h"
#include "ctl/yaml_reader.h"
#include "lib/base/map.h"

#define SHOWN_MAX 64
#define MS_PER_MINUTE 60000.0
/* Far beyond what any server takes, and far below what would overflow. */
#define LIFESPAN_MAX_MINUTES 1e12

/* Where messages come from: the file, and the spec within a list of specs. */
struct place {
    const char *name;
    char index[32]; /* "[2]" or "" */
    struct diag_error *err;
};

static const char *const spec_fields[] = {"id",       "target",   "instrument",
                                          "lifespan", "selector", "status"};
static const char *const instrument_fields[] = {"type", "name", "value", "event", "custom"};
static const char *const selector_fields[] = {"labels"};

static enum diag_status refuse(const struct place *place, unsigned line, const char *format, ...)
    DIAG_PRINTF(3, 4);

static enum diag_status refuse(const struct place *place, unsigned line, const char *format, ...) {
    char message[DIAG_ERROR_MESSAGE_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return diag_error_set(place->err, DIAG_ERR_INVALID, 0, "%s:%u: %s%s%s", place->name, line,
                          place->index, place->index[0] != '\0' ? "." : "", message);
}

/* `path` is "" or ends with a dot. */
static enum diag_status check_fields(const struct place *place, const struct diag_document *map,
                                     const char *path, const char *const *fields,
                                     size_t field_count) {
    for (size_t i = 0; i < map->item_count; i++) {
        DIAG_CLEANUP(diag_freep) char *shown = NULL;
        const char *near;
        bool is_known = false;

        for (size_t j = 0; j < field_count; j++)
            is_known = is_known || strcmp(map->keys[i], fields[j]) == 0;
        if (is_known)
            continue;
        shown = diag_escape_text(map->keys[i], SHOWN_MAX);
        near = diag_suggest(map->keys[i], fields, field_count);
        if (near != NULL)
            return refuse(place, map->items[i]->line, "%s%s: unknown field; did you mean \"%s\"?",
                          path, shown, near);
        return refuse(place, map->items[i]->line, "%s%s: unknown field", path, shown);
    }
    return DIAG_OK;
}

/* The field, NULL when it is missing or null and not required. */
static enum diag_status find(const struct place *place, const struct diag_document *map,
                             const char *path, const char *field, bool is_required,
                             const struct diag_document **out) {
    const struct diag_document *found = diag_document_get(map, field);

    if (found == NULL && is_required)
        return refuse(place, map->line, "%s%s: missing", path, field);
    *out = found != NULL && found->kind == DIAG_DOCUMENT_NULL && !is_required ? NULL : found;
    return DIAG_OK;
}

static enum diag_status check_text(const struct place *place, const char *path, const char *field,
                                   const struct diag_document *found) {
    bool is_scalar = found->kind != DIAG_DOCUMENT_LIST && found->kind != DIAG_DOCUMENT_MAP;

    if (found->kind == DIAG_DOCUMENT_TEXT)
        return DIAG_OK;
    return refuse(place, found->line, "%s%s: must be text, not %s%s", path, field,
                  diag_document_kind_name(found->kind),
                  is_scalar && found->kind != DIAG_DOCUMENT_NULL ? "; put it in quotes" : "");
}

static enum diag_status take_text(const struct place *place, const struct diag_document *map,
                                  const char *path, const char *field, bool is_required,
                                  char **out) {
    const struct diag_document *found = NULL;
    enum diag_status status = find(place, map, path, field, is_required, &found);

    if (status == DIAG_OK && found != NULL)
        status = check_text(place, path, field, found);
    if (status == DIAG_OK && found != NULL)
        *out = diag_memory_text(found->text);
    return status;
}

static enum diag_status find_map(const struct place *place, const struct diag_document *map,
                                 const char *path, const char *field, bool is_required,
                                 const struct diag_document **out) {
    enum diag_status status = find(place, map, path, field, is_required, out);

    if (status == DIAG_OK && *out != NULL && (*out)->kind != DIAG_DOCUMENT_MAP)
        return refuse(place, (*out)->line, "%s%s: must be a map, not %s", path, field,
                      diag_document_kind_name((*out)->kind));
    return status;
}

static enum diag_status take_custom(const struct place *place,
                                    const struct diag_document *instrument,
                                    Diagnose__V1__DictValue **out) {
    const struct diag_document *custom, *tags;
    enum diag_status status = find_map(place, instrument, "instrument.", "custom", false, &custom);

    if (status != DIAG_OK || custom == NULL)
        return status;
    /* unquoted, {"region": self.region} is a map to YAML, and the server would never see it */
    tags = diag_document_get(custom, "tags");
    if (tags != NULL && (tags->kind == DIAG_DOCUMENT_MAP || tags->kind == DIAG_DOCUMENT_LIST))
        return refuse(place, tags->line,
                      "instrument.custom.tags: must be text (a Python expression), not %s; put it "
                      "in quotes",
                      diag_document_kind_name(tags->kind));
    *out = diag_value_to_dict(custom);
    return DIAG_OK;
}

static enum diag_status take_instrument(const struct place *place,
                                        const struct diag_document *document,
                                        Diagnose__V1__Spec *spec) {
    const struct diag_document *map;
    Diagnose__V1__Instrument *instrument;
    enum diag_status status = find_map(place, document, "", "instrument", true, &map);

    if (status == DIAG_OK)
        status = check_fields(place, map, "instrument.", instrument_fields,
                              DIAG_ARRAY_SIZE(instrument_fields));
    if (status != DIAG_OK)
        return status;
    instrument = diag_memory_new(1, sizeof *instrument);
    diagnose__v1__instrument__init(instrument);
    spec->instrument = instrument;
    status = take_text(place, map, "instrument.", "type", true, &instrument->type);
    if (status == DIAG_OK)
        status = take_text(place, map, "instrument.", "name", false, &instrument->name);
    if (status == DIAG_OK)
        status = take_text(place, map, "instrument.", "value", true, &instrument->value);
    if (status == DIAG_OK)
        status = take_text(place, map, "instrument.", "event", false, &instrument->event);
    if (status == DIAG_OK)
        status = take_custom(place, map, &instrument->custom);
    return status;
}

static enum diag_status take_lifespan(const struct place *place,
                                      const struct diag_document *document, uint64_t *out) {
    const struct diag_document *found = NULL;
    enum diag_status status = find(place, document, "", "lifespan", true, &found);
    double minutes;

    if (status != DIAG_OK)
        return status;
    if (found->kind != DIAG_DOCUMENT_INT && found->kind != DIAG_DOCUMENT_FLOAT)
        return refuse(place, found->line, "lifespan: must be a number of minutes, not %s",
                      diag_document_kind_name(found->kind));
    minutes = found->kind == DIAG_DOCUMENT_INT ? (double)found->integer : found->number;
    /* also false for a NaN */
    if (!(minutes * MS_PER_MINUTE >= 0.5) || minutes > LIFESPAN_MAX_MINUTES)
        return refuse(place, found->line,
                      "lifespan: must be a number of minutes above 0, at most 43200 (30 days)");
    *out = (uint64_t)llround(minutes * MS_PER_MINUTE);
    return DIAG_OK;
}

static enum diag_status take_labels(const struct place *place, const struct diag_document *labels,
                                    Diagnose__V1__Selector *selector) {
    selector->match_labels =
        diag_memory_new(labels->item_count + 1, sizeof *selector->match_labels);
    for (size_t i = 0; i < labels->item_count; i++) {
        DIAG_CLEANUP(diag_freep) char *shown = diag_escape_text(labels->keys[i], SHOWN_MAX);
        Diagnose__V1__Selector__MatchLabelsEntry *entry;
        enum diag_status status = check_text(place, "selector.labels.", shown, labels->items[i]);

        if (status != DIAG_OK)
            return status;
        entry = diag_memory_new(1, sizeof *entry);
        diagnose__v1__selector__match_labels_entry__init(entry);
        entry->key = diag_memory_text(labels->keys[i]);
        entry->value = diag_memory_text(labels->items[i]->text);
        selector->match_labels[selector->n_match_labels++] = entry;
    }
    return DIAG_OK;
}

static enum diag_status take_selector(const struct place *place,
                                      const struct diag_document *document,
                                      Diagnose__V1__Spec *spec) {
    const struct diag_document *map, *labels;
    enum diag_status status = find_map(place, document, "", "selector", false, &map);

    if (status != DIAG_OK || map == NULL)
        return status;
    status =
        check_fields(place, map, "selector.", selector_fields, DIAG_ARRAY_SIZE(selector_fields));
    if (status == DIAG_OK)
        status = find_map(place, map, "selector.", "labels", true, &labels);
    if (status != DIAG_OK)
        return status;
    spec->selector = diag_memory_new(1, sizeof *spec->selector);
    diagnose__v1__selector__init(spec->selector);
    return take_labels(place, labels, spec->selector);
}

static enum diag_status fill(const struct place *place, const struct diag_document *document,
                             Diagnose__V1__Spec *spec) {
    enum diag_status status =
        check_fields(place, document, "", spec_fields, DIAG_ARRAY_SIZE(spec_fields));

    if (status == DIAG_OK)
        status = take_text(place, document, "", "id", true, &spec->id);
    if (status == DIAG_OK)
        status = take_text(place, document, "", "target", true, &spec->target);
    if (status == DIAG_OK)
        status = take_instrument(place, document, spec);
    if (status == DIAG_OK)
        status = take_lifespan(place, document, &spec->lifespan_ms);
    if (status == DIAG_OK)
        status = take_selector(place, document, spec);
    return status;
}

static enum diag_status add_entry(const struct place *place, struct diag_map *seen,
                                  const struct diag_document *document,
                                  struct diag_manifest *manifest) {
    const struct diag_document *earlier;
    struct diag_manifest_entry *entry;

    if (document->kind != DIAG_DOCUMENT_MAP)
        return diag_error_set(place->err, DIAG_ERR_INVALID, 0,
                              "%s:%u: %s%sa spec must be a map, not %s", place->name,
                              document->line, place->index, place->index[0] != '\0' ? ": " : "",
                              diag_document_kind_name(document->kind));
    manifest->entries =
        diag_memory_resize(manifest->entries, manifest->entry_count + 1, sizeof *entry);
    entry = &manifest->entries[manifest->entry_count++];
    entry->document = document;
    entry->spec = diag_memory_new(1, sizeof *entry->spec);
    diagnose__v1__spec__init(entry->spec);
    if (fill(place, document, entry->spec) != DIAG_OK)
        return DIAG_ERR_INVALID;
    earlier = diag_map_get(seen, entry->spec->id);
    if (earlier != NULL) {
        DIAG_CLEANUP(diag_freep) char *shown = diag_escape_text(entry->spec->id, SHOWN_MAX);

        return refuse(place, diag_document_get(document, "id")->line,
                      "id: \"%s\" is the id of the spec in line %u too", shown, earlier->line);
    }
    /* the map only reads it back */
    if (diag_map_put(seen, entry->spec->id, (void *)(uintptr_t)document) != DIAG_OK)
        return diag_error_set(place->err, DIAG_ERR_NO_MEMORY, 0, "%s", place->name);
    return DIAG_OK;
}

static enum diag_status fill_manifest(struct diag_manifest *manifest, struct diag_error *err) {
    DIAG_CLEANUP(diag_map_done) struct diag_map seen = {0};
    struct place place = {.name = manifest->name, .err = err};

    for (size_t i = 0; i < manifest->documents->item_count; i++) {
        const struct diag_document *document = manifest->documents->items[i];
        enum diag_status status = DIAG_OK;

        place.index[0] = '\0';
        if (document->kind == DIAG_DOCUMENT_NULL) /* nothing between two "---" */
            continue;
        if (document->kind != DIAG_DOCUMENT_LIST)
            status = add_entry(&place, &seen, document, manifest);
        for (size_t j = 0;
             document->kind == DIAG_DOCUMENT_LIST && status == DIAG_OK && j < document->item_count;
             j++) {
            snprintf(place.index, sizeof place.index, "[%zu]", j);
            status = add_entry(&place, &seen, document->items[j], manifest);
        }
        if (status != DIAG_OK)
            return status;
    }
    place.index[0] = '\0';
    if (manifest->entry_count == 0)
        return refuse(&place, 1, "there is no spec in it");
    return DIAG_OK;
}

enum diag_status diag_manifest_parse(const char *name, struct diag_bytes text,
                                     struct diag_manifest **out, struct diag_error *err) {
    DIAG_CLEANUP(diag_manifest_freep)
    struct diag_manifest *manifest = diag_memory_new(1, sizeof *manifest);
    enum diag_status status = diag_yaml_read(name, text, &manifest->documents, err);

    manifest->name = diag_memory_text(name);
    if (status == DIAG_OK)
        status = fill_manifest(manifest, err);
    if (status != DIAG_OK)
        return status;
    *out = DIAG_TAKE_PTR(manifest);
    return DIAG_OK;
}

static enum diag_status read_file(int fd, const char *name, struct diag_buffer *text,
                                  struct diag_error *err) {
    if (diag_buffer_reserve(text, DIAG_MANIFEST_SIZE_MAX + 1) != DIAG_OK)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "%s", name);
    while (text->size <= DIAG_MANIFEST_SIZE_MAX) {
        ssize_t got = read(fd, text->data + text->size, DIAG_MANIFEST_SIZE_MAX + 1 - text->size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return diag_error_set(err, DIAG_ERR_IO, errno, "%s", name);
        if (got == 0)
            return DIAG_OK;
        text->size += (size_t)got;
    }
    return diag_error_set(err, DIAG_ERR_TOO_LARGE, 0,
                          "%s: the manifest is larger than 1 MiB; split it into several files",
                          name);
}

enum diag_status diag_manifest_read(const char *path, struct diag_manifest **out,
                                    struct diag_error *err) {
    DIAG_CLEANUP(diag_buffer_done) struct diag_buffer text = {0};
    DIAG_CLEANUP(diag_closep) int opened = -1;
    bool is_stdin = strcmp(path, "-") == 0;
    const char *name = is_stdin ? "stdin" : path;
    enum diag_status status;

    if (!is_stdin) {
        opened = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (opened < 0)
            return diag_error_set(err, DIAG_ERR_IO, errno, "%s", name);
    }
    status = read_file(is_stdin ? STDIN_FILENO : opened, name, &text, err);
    if (status != DIAG_OK)
        return status;
    return diag_manifest_parse(name, diag_buffer_bytes(&text), out, err);
}

void diag_manifest_free(struct diag_manifest *manifest) {
    if (manifest == NULL)
        return;
    for (size_t i = 0; i < manifest->entry_count; i++)
        diagnose__v1__spec__free_unpacked(manifest->entries[i].spec, NULL);
    free(manifest->entries);
    diag_document_free(manifest->documents);
    free(manifest->name);
    free(manifest);
}

unsigned diag_manifest_line(const struct diag_manifest_entry *entry, const char *message) {
    const struct diag_document *at = entry->document;
    unsigned line = at->line;

    while (at != NULL) {
        size_t length = strcspn(message, ".: ");
        DIAG_CLEANUP(diag_freep) char *key = diag_bytes_dup_text(diag_bytes_make(message, length));

        at = key != NULL ? diag_document_get(at, key) : NULL;
        if (at != NULL)
            line = at->line;
        if (message[length] != '.')
            break;
        message += length + 1;
    }
    return line;
}
