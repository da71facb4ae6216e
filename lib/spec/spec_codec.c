/* SPDX-License-Identifier: MIT */
/* How it works: each message is read field by field with diag_wire_next; a switch on the field's
 * number stores what it knows and refuses what it does not. Repeated scalar fields follow
 * protobuf's rule that the last one wins. */
#include "lib/spec/spec_codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/wire.h"

/* Field numbers of diagnose.v1.Spec, Selector, its map entry, Instrument, DictValue and
 * SpecSnapshot. */
enum {
    SPEC_ID = 1,
    SPEC_TARGET = 2,
    SPEC_INSTRUMENT = 3,
    SPEC_LIFESPAN_MS = 4,
    SPEC_SELECTOR = 5,
    SPEC_REVISION = 16,
    SPEC_CREATED = 17,
    SPEC_MODIFIED = 18,
    SPEC_EXPIRES = 19,

    SELECTOR_MATCH_LABELS = 1,
    MAP_KEY = 1,
    MAP_VALUE = 2,

    INSTRUMENT_TYPE = 1,
    INSTRUMENT_NAME = 2,
    INSTRUMENT_VALUE = 3,
    INSTRUMENT_EVENT = 4,
    INSTRUMENT_CUSTOM = 5,

    DICT_ENTRIES = 1,
    VALUE_STR = 5,

    SNAPSHOT_NUMBER = 1,
    SNAPSHOT_SPECS = 2,
    SNAPSHOT_TTL_MS = 3,
};

static enum diag_status malformed(const char *name, struct diag_error *err) {
    return diag_error_set(err, DIAG_ERR_INVALID, 0, "%s: malformed encoding", name);
}

static enum diag_status unknown_field(const char *name, uint32_t number, struct diag_error *err) {
    return diag_error_set(err, DIAG_ERR_VERSION, 0,
                          "%s: field number %u is not known to this release", name, number);
}

/* Replaces *text by the field's text. */
static enum diag_status take_text(const char *name, const struct diag_wire_field *field,
                                  char **text, struct diag_error *err) {
    char *copy;

    if (field->type != DIAG_WIRE_BYTES)
        return malformed(name, err);
    if (!diag_bytes_is_utf8(field->bytes))
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "%s: not valid UTF-8", name);
    if (field->bytes.size > 0 && memchr(field->bytes.data, '\0', field->bytes.size) != NULL)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "%s: has a NUL character", name);
    copy = diag_bytes_dup_text(field->bytes);
    if (copy == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "%s", name);
    free(*text);
    *text = copy;
    return DIAG_OK;
}

static enum diag_status take_integer(const char *name, const struct diag_wire_field *field,
                                     enum diag_wire_type type, uint64_t *out,
                                     struct diag_error *err) {
    if (field->type != type)
        return malformed(name, err);
    *out = field->integer;
    return DIAG_OK;
}

/* The status of a loop over fields that has come to its end. */
static enum diag_status end_of_fields(const char *name, enum diag_status status,
                                      struct diag_error *err) {
    return status == DIAG_ERR_CLOSED ? DIAG_OK : malformed(name, err);
}

/* The two fields of a map's or dict's entry. */
static enum diag_status split_entry(const char *name, struct diag_bytes entry,
                                    struct diag_wire_field *key, struct diag_wire_field *value,
                                    struct diag_error *err) {
    struct diag_wire_reader reader = diag_wire_reader_make(entry);
    struct diag_wire_field field;
    enum diag_status status;

    memset(key, 0, sizeof *key);
    memset(value, 0, sizeof *value);
    key->type = value->type = DIAG_WIRE_BYTES;
    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        if (field.number == MAP_KEY)
            *key = field;
        else if (field.number == MAP_VALUE)
            *value = field;
        else
            return unknown_field(name, field.number, err);
    }
    return end_of_fields(name, status, err);
}

/* Of two entries with one key the last counts, as in every map of protobuf. */
static enum diag_status add_label(struct diag_spec *spec, struct diag_bytes entry,
                                  struct diag_error *err) {
    const char *name = "selector.labels";
    struct diag_wire_field key, value;
    DIAG_CLEANUP(diag_freep) char *key_text = NULL;
    struct diag_label *labels;
    enum diag_status status = split_entry(name, entry, &key, &value, err);

    if (status == DIAG_OK)
        status = take_text(name, &key, &key_text, err);
    if (status != DIAG_OK)
        return status;
    for (size_t i = 0; i < spec->match_label_count; i++)
        if (strcmp(spec->match_labels[i].key, key_text) == 0)
            return take_text(name, &value, &spec->match_labels[i].value, err);
    if (spec->match_label_count == DIAG_SPEC_LABELS_MAX)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "%s: more than %d labels", name,
                              DIAG_SPEC_LABELS_MAX);
    labels = realloc(spec->match_labels, (spec->match_label_count + 1) * sizeof *labels);
    if (labels == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "%s", name);
    spec->match_labels = labels;
    labels[spec->match_label_count] = (struct diag_label){.key = DIAG_TAKE_PTR(key_text)};
    spec->match_label_count++;
    return take_text(name, &value, &labels[spec->match_label_count - 1].value, err);
}

static enum diag_status decode_selector(struct diag_spec *spec, struct diag_bytes encoded,
                                        struct diag_error *err) {
    struct diag_wire_reader reader = diag_wire_reader_make(encoded);
    struct diag_wire_field field;
    enum diag_status status;

    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        if (field.number != SELECTOR_MATCH_LABELS)
            return unknown_field("selector", field.number, err);
        if (field.type != DIAG_WIRE_BYTES)
            return malformed("selector.labels", err);
        status = add_label(spec, field.bytes, err);
        if (status != DIAG_OK)
            return status;
    }
    return end_of_fields("selector", status, err);
}

/* Looks into an encoded Value for a str. */
static enum diag_status take_tags(struct diag_bytes value, char **tags, struct diag_error *err) {
    const char *name = "instrument.custom.tags";
    struct diag_wire_reader reader = diag_wire_reader_make(value);
    struct diag_wire_field field;
    enum diag_status status;
    bool is_str = false;

    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        is_str = field.number == VALUE_STR;
        if (!is_str)
            continue;
        status = take_text(name, &field, tags, err);
        if (status != DIAG_OK)
            return status;
    }
    if (status == DIAG_ERR_CLOSED && !is_str)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "%s: must be a string with a Python expression", name);
    return end_of_fields(name, status, err);
}

/* Custom is a DictValue; only "tags" is looked at. */
static enum diag_status decode_custom(struct diag_instrument *instrument, struct diag_bytes encoded,
                                      struct diag_error *err) {
    const char *name = "instrument.custom";
    struct diag_wire_reader reader = diag_wire_reader_make(encoded);
    struct diag_wire_field field;
    enum diag_status status;

    if (encoded.size > DIAG_SPEC_CUSTOM_MAX)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "%s: %zu bytes, at most %d are allowed",
                              name, encoded.size, DIAG_SPEC_CUSTOM_MAX);
    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        struct diag_wire_field key, value, key_text;
        struct diag_wire_reader key_reader;

        if (field.number != DICT_ENTRIES)
            return unknown_field(name, field.number, err);
        if (field.type != DIAG_WIRE_BYTES)
            return malformed(name, err);
        status = split_entry(name, field.bytes, &key, &value, err);
        if (status != DIAG_OK)
            return status;
        if (key.type != DIAG_WIRE_BYTES || value.type != DIAG_WIRE_BYTES)
            return malformed(name, err);
        key_reader = diag_wire_reader_make(key.bytes);
        if (diag_wire_next(&key_reader, &key_text) == DIAG_OK && key_text.number == VALUE_STR &&
            key_text.type == DIAG_WIRE_BYTES &&
            diag_bytes_equal(key_text.bytes, diag_bytes_from_text("tags"))) {
            status = take_tags(value.bytes, &instrument->tags, err);
            if (status != DIAG_OK)
                return status;
        }
    }
    return end_of_fields(name, status, err);
}

static enum diag_status decode_instrument(struct diag_instrument *instrument,
                                          struct diag_bytes encoded, struct diag_error *err) {
    struct diag_wire_reader reader = diag_wire_reader_make(encoded);
    struct diag_wire_field field;
    enum diag_status status;

    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        switch (field.number) {
        case INSTRUMENT_TYPE:
            status = take_text("instrument.type", &field, &instrument->type, err);
            break;
        case INSTRUMENT_NAME:
            status = take_text("instrument.name", &field, &instrument->name, err);
            break;
        case INSTRUMENT_VALUE:
            status = take_text("instrument.value", &field, &instrument->value, err);
            break;
        case INSTRUMENT_EVENT:
            status = take_text("instrument.event", &field, &instrument->event, err);
            break;
        case INSTRUMENT_CUSTOM:
            status = field.type == DIAG_WIRE_BYTES ? decode_custom(instrument, field.bytes, err)
                                                   : malformed("instrument.custom", err);
            break;
        default:
            status = unknown_field("instrument", field.number, err);
        }
        if (status != DIAG_OK)
            return status;
    }
    return end_of_fields("instrument", status, err);
}

static enum diag_status decode_field(struct diag_spec *spec, const struct diag_wire_field *field,
                                     struct diag_error *err) {
    switch (field->number) {
    case SPEC_ID:
        return take_text("id", field, &spec->id, err);
    case SPEC_TARGET:
        return take_text("target", field, &spec->target, err);
    case SPEC_INSTRUMENT:
        return field->type == DIAG_WIRE_BYTES
                   ? decode_instrument(&spec->instrument, field->bytes, err)
                   : malformed("instrument", err);
    case SPEC_LIFESPAN_MS:
        return take_integer("lifespan", field, DIAG_WIRE_VARINT, &spec->lifespan_ms, err);
    case SPEC_SELECTOR:
        return field->type == DIAG_WIRE_BYTES ? decode_selector(spec, field->bytes, err)
                                              : malformed("selector", err);
    case SPEC_REVISION:
        return take_integer("revision", field, DIAG_WIRE_VARINT, &spec->revision, err);
    case SPEC_CREATED:
        return take_integer("created_unix_nanos", field, DIAG_WIRE_FIXED64, &spec->created_unix_ns,
                            err);
    case SPEC_MODIFIED:
        return take_integer("modified_unix_nanos", field, DIAG_WIRE_FIXED64,
                            &spec->modified_unix_ns, err);
    case SPEC_EXPIRES:
        return take_integer("expires_unix_nanos", field, DIAG_WIRE_FIXED64, &spec->expires_unix_ns,
                            err);
    default:
        return unknown_field("spec", field->number, err);
    }
}

/* Makes *text a copy of `otherwise` if it is NULL or, where that has a meaning, empty. */
static enum diag_status set_default(char **text, const char *otherwise, struct diag_error *err) {
    if (*text != NULL && (**text != '\0' || *otherwise == '\0'))
        return DIAG_OK;
    free(*text);
    *text = strdup(otherwise);
    if (*text == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "spec");
    return DIAG_OK;
}

static enum diag_status set_defaults(struct diag_spec *spec, struct diag_error *err) {
    enum diag_status status;

    if ((status = set_default(&spec->id, "", err)) != DIAG_OK ||
        (status = set_default(&spec->target, "", err)) != DIAG_OK ||
        (status = set_default(&spec->instrument.type, "", err)) != DIAG_OK ||
        (status = set_default(&spec->instrument.name, spec->id, err)) != DIAG_OK ||
        (status = set_default(&spec->instrument.value, "", err)) != DIAG_OK ||
        (status = set_default(&spec->instrument.event, "return", err)) != DIAG_OK)
        return status;
    return DIAG_OK;
}

enum diag_status diag_spec_decode(struct diag_bytes encoded, struct diag_spec **out,
                                  struct diag_error *err) {
    DIAG_CLEANUP(diag_spec_freep) struct diag_spec *spec = calloc(1, sizeof *spec);
    struct diag_wire_reader reader = diag_wire_reader_make(encoded);
    struct diag_wire_field field;
    enum diag_status status;

    if (spec == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "spec");
    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        status = decode_field(spec, &field, err);
        if (status != DIAG_OK)
            return status;
    }
    status = end_of_fields("spec", status, err);
    if (status != DIAG_OK)
        return status;
    status = set_defaults(spec, err);
    if (status != DIAG_OK)
        return status;
    *out = DIAG_TAKE_PTR(spec);
    return DIAG_OK;
}

void diag_spec_peek(struct diag_bytes encoded, char id[DIAG_SPEC_ID_MAX + 1], uint64_t *revision) {
    struct diag_wire_reader reader = diag_wire_reader_make(encoded);
    struct diag_wire_field field;

    id[0] = '\0';
    *revision = 0;
    while (diag_wire_next(&reader, &field) == DIAG_OK) {
        if (field.number == SPEC_REVISION && field.type == DIAG_WIRE_VARINT)
            *revision = field.integer;
        if (field.number == SPEC_ID && field.type == DIAG_WIRE_BYTES &&
            field.bytes.size <= DIAG_SPEC_ID_MAX) {
            if (field.bytes.size > 0)
                memcpy(id, field.bytes.data, field.bytes.size);
            id[field.bytes.size] = '\0';
        }
    }
}

void diag_spec_snapshot_done(struct diag_spec_snapshot *snapshot) {
    free(snapshot->specs);
    memset(snapshot, 0, sizeof *snapshot);
}

static enum diag_status append_spec(struct diag_spec_snapshot *snapshot, struct diag_bytes encoded,
                                    struct diag_error *err) {
    size_t count = snapshot->spec_count;
    struct diag_bytes *specs = snapshot->specs;

    if ((count & (count - 1)) == 0) { /* full at each power of two */
        specs = realloc(specs, (count > 0 ? 2 * count : 1) * sizeof *specs);
        if (specs == NULL)
            return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "snapshot");
        snapshot->specs = specs;
    }
    specs[snapshot->spec_count++] = encoded;
    return DIAG_OK;
}

enum diag_status diag_spec_snapshot_decode(struct diag_bytes encoded,
                                           struct diag_spec_snapshot *out, struct diag_error *err) {
    DIAG_CLEANUP(diag_spec_snapshot_done) struct diag_spec_snapshot snapshot = {0};
    struct diag_wire_reader reader = diag_wire_reader_make(encoded);
    struct diag_wire_field field;
    enum diag_status status;

    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        if (field.number == SNAPSHOT_NUMBER)
            status = take_integer("snapshot", &field, DIAG_WIRE_VARINT, &snapshot.snapshot, err);
        else if (field.number == SNAPSHOT_TTL_MS)
            status = take_integer("ttl_ms", &field, DIAG_WIRE_VARINT, &snapshot.ttl_ms, err);
        else if (field.number == SNAPSHOT_SPECS)
            status = field.type == DIAG_WIRE_BYTES ? append_spec(&snapshot, field.bytes, err)
                                                   : malformed("specs", err);
        if (status != DIAG_OK)
            return status;
    }
    status = end_of_fields("snapshot", status, err);
    if (status != DIAG_OK)
        return status;
    *out = snapshot;
    memset(&snapshot, 0, sizeof snapshot);
    return DIAG_OK;
}
