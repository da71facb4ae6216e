/* SPDX-License-Identifier: MIT */
#include "lib/spec/spec_status_codec.h"

#include <string.h>

/* Field numbers of diagnose.v1.SpecStatus and SkipCount. */
enum {
    STATUS_SPEC_ID = 1,
    STATUS_SPEC_REVISION = 2,
    STATUS_STATE = 3,
    STATUS_MESSAGE = 4,
    STATUS_MECHANISM = 5,
    STATUS_FUNCTIONS = 6,
    STATUS_HITS = 7,
    STATUS_ERRORS = 8,
    STATUS_DROPPED = 9,
    STATUS_EXCLUDED = 10,
    STATUS_CODES = 11,
    STATUS_PURE = 12,
    STATUS_SKIPS = 13,

    SKIP_CAUSE = 1,
    SKIP_COUNT = 2,
};

#define CAUSE_OF_SKIP 1 /* diagnose.v1.SkipCause is enum diag_skip plus this */

bool diag_spec_status_is_counter(uint32_t number) {
    return number == STATUS_HITS || number == STATUS_ERRORS || number == STATUS_DROPPED ||
           number == STATUS_SKIPS;
}

bool diag_spec_status_skip_of_cause(uint64_t cause, enum diag_skip *out) {
    if (cause < CAUSE_OF_SKIP || cause >= DIAG_SKIP_COUNT + CAUSE_OF_SKIP)
        return false;
    *out = (enum diag_skip)(cause - CAUSE_OF_SKIP);
    return true;
}

/* ---- encoding ---- */

/* Size of the UTF-8 sequence at `at`, 0: none. */
static size_t sequence_size(const char *at, size_t left) {
    for (size_t size = 1; size <= 4 && size <= left; size++)
        if (diag_bytes_is_utf8(diag_bytes_make(at, size)))
            return size;
    return 0;
}

static void put_mended(struct diag_wire_writer *writer, uint32_t number, const char *text) {
    char mended[DIAG_SPEC_STATUS_MESSAGE_MAX + 1];
    size_t length = strlen(text);

    memcpy(mended, text, length + 1);
    for (size_t at = 0; at < length;) {
        size_t size = sequence_size(mended + at, length - at);

        if (size == 0)
            mended[at] = '?';
        at += size > 0 ? size : 1;
    }
    diag_wire_put_bytes(writer, number, diag_bytes_from_text(mended));
}

/* One that was cut may end inside of a character, and Python's messages may hold surrogates. */
static void put_text(struct diag_wire_writer *writer, uint32_t number, const char *text) {
    if (text[0] == '\0')
        return;
    if (diag_bytes_is_utf8(diag_bytes_from_text(text)))
        diag_wire_put_bytes(writer, number, diag_bytes_from_text(text));
    else
        put_mended(writer, number, text);
}

static void put_count(struct diag_wire_writer *writer, uint32_t number, uint64_t count) {
    if (count != 0)
        diag_wire_put_varint(writer, number, count);
}

static void put_skips(struct diag_wire_writer *writer, const uint64_t skips[DIAG_SKIP_COUNT]) {
    for (uint64_t skip = 0; skip < DIAG_SKIP_COUNT; skip++) {
        size_t mark;

        if (skips[skip] == 0)
            continue;
        mark = diag_wire_begin(writer, STATUS_SKIPS);
        put_count(writer, SKIP_CAUSE, skip + CAUSE_OF_SKIP);
        put_count(writer, SKIP_COUNT, skips[skip]);
        diag_wire_end(writer, mark);
    }
}

void diag_spec_status_encode(struct diag_wire_writer *writer, uint32_t number,
                             const struct diag_spec_status *status) {
    size_t mark = diag_wire_begin(writer, number);

    put_text(writer, STATUS_SPEC_ID, status->spec_id);
    put_count(writer, STATUS_SPEC_REVISION, status->spec_revision);
    put_count(writer, STATUS_STATE, status->state);
    put_text(writer, STATUS_MESSAGE, status->message);
    put_text(writer, STATUS_MECHANISM, status->mechanism);
    put_count(writer, STATUS_FUNCTIONS, status->functions);
    put_count(writer, STATUS_HITS, status->hits);
    put_count(writer, STATUS_ERRORS, status->errors);
    put_count(writer, STATUS_DROPPED, status->dropped);
    put_text(writer, STATUS_EXCLUDED, status->excluded);
    put_count(writer, STATUS_CODES, status->codes);
    put_count(writer, STATUS_PURE, status->is_pure);
    put_skips(writer, status->skips);
    diag_wire_end(writer, mark);
}

/* ---- decoding ---- */

static enum diag_status malformed(const char *name, struct diag_error *err) {
    return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "%s: malformed encoding", name);
}

/* Copies the field to `text`, which has room for `max` bytes and a NUL. */
static enum diag_status take_text(const char *name, const struct diag_wire_field *field, char *text,
                                  size_t max, struct diag_error *err) {
    struct diag_bytes bytes = field->bytes;

    if (field->type != DIAG_WIRE_BYTES)
        return malformed(name, err);
    if (bytes.size > max)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "%s: %zu bytes, at most %zu are allowed",
                              name, bytes.size, max);
    if (!diag_bytes_is_utf8(bytes))
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "%s: not valid UTF-8", name);
    if (bytes.size > 0 && memchr(bytes.data, '\0', bytes.size) != NULL)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "%s: has a NUL character", name);
    if (bytes.size > 0)
        memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    return DIAG_OK;
}

bool diag_spec_status_read_skip(const struct diag_wire_field *field, uint64_t *cause,
                                uint64_t *count) {
    struct diag_wire_reader reader = diag_wire_reader_make(field->bytes);
    struct diag_wire_field inner;
    enum diag_status status;

    if (field->number != STATUS_SKIPS || field->type != DIAG_WIRE_BYTES)
        return false;
    *cause = *count = 0;
    while ((status = diag_wire_next(&reader, &inner)) == DIAG_OK) {
        if (inner.number != SKIP_CAUSE && inner.number != SKIP_COUNT)
            continue;
        if (inner.type != DIAG_WIRE_VARINT)
            return false;
        *(inner.number == SKIP_CAUSE ? cause : count) = inner.integer;
    }
    return status == DIAG_ERR_CLOSED;
}

static enum diag_status take_skip(const struct diag_wire_field *field,
                                  uint64_t skips[DIAG_SKIP_COUNT], struct diag_error *err) {
    uint64_t cause, count;
    enum diag_skip skip;

    if (!diag_spec_status_read_skip(field, &cause, &count))
        return malformed("skips", err);
    if (diag_spec_status_skip_of_cause(cause, &skip))
        skips[skip] += count;
    return DIAG_OK;
}

static enum diag_status take_number(struct diag_spec_status *out,
                                    const struct diag_wire_field *field, struct diag_error *err) {
    static const char *const names[] = {
        [STATUS_SPEC_REVISION] = "spec_revision",
        [STATUS_STATE] = "state",
        [STATUS_FUNCTIONS] = "functions",
        [STATUS_HITS] = "hits",
        [STATUS_ERRORS] = "errors",
        [STATUS_DROPPED] = "dropped",
        [STATUS_CODES] = "codes",
        [STATUS_PURE] = "pure",
    };
    uint64_t number = field->integer;

    if (field->number >= DIAG_ARRAY_SIZE(names) || names[field->number] == NULL)
        return DIAG_OK; /* of a newer release */
    if (field->type != DIAG_WIRE_VARINT)
        return malformed(names[field->number], err);
    switch (field->number) {
    case STATUS_SPEC_REVISION:
        out->spec_revision = number;
        break;
    case STATUS_STATE:
        out->state = number <= DIAG_SPEC_STATE_TRIPPED ? (enum diag_spec_state)number
                                                       : DIAG_SPEC_STATE_UNSPECIFIED;
        break;
    case STATUS_FUNCTIONS:
        out->functions = (uint32_t)number;
        break;
    case STATUS_HITS:
        out->hits = number;
        break;
    case STATUS_ERRORS:
        out->errors = number;
        break;
    case STATUS_DROPPED:
        out->dropped = number;
        break;
    case STATUS_CODES:
        out->codes = (uint32_t)number;
        break;
    case STATUS_PURE:
        out->is_pure = number != 0;
        break;
    }
    return DIAG_OK;
}

static enum diag_status take_field(struct diag_spec_status *out,
                                   const struct diag_wire_field *field, struct diag_error *err) {
    switch (field->number) {
    case STATUS_SPEC_ID:
        return take_text("spec_id", field, out->spec_id, DIAG_SPEC_ID_MAX, err);
    case STATUS_MESSAGE:
        return take_text("message", field, out->message, DIAG_SPEC_STATUS_MESSAGE_MAX, err);
    case STATUS_MECHANISM:
        return take_text("mechanism", field, out->mechanism, DIAG_SPEC_STATUS_MECHANISM_MAX, err);
    case STATUS_EXCLUDED:
        return take_text("excluded", field, out->excluded, DIAG_SPEC_STATUS_EXCLUDED_MAX, err);
    case STATUS_SKIPS:
        return take_skip(field, out->skips, err);
    default:
        return take_number(out, field, err);
    }
}

enum diag_status diag_spec_status_decode(struct diag_bytes encoded, struct diag_spec_status *out,
                                         struct diag_error *err) {
    struct diag_wire_reader reader = diag_wire_reader_make(encoded);
    struct diag_wire_field field;
    struct diag_spec_status decoded = {0};
    enum diag_status status;

    if (encoded.size > DIAG_SPEC_STATUS_ENCODED_MAX)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "%zu bytes, at most %d are allowed",
                              encoded.size, DIAG_SPEC_STATUS_ENCODED_MAX);
    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        status = take_field(&decoded, &field, err);
        if (status != DIAG_OK)
            return status;
    }
    if (status != DIAG_ERR_CLOSED)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "malformed encoding");
    if (decoded.spec_id[0] == '\0')
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "spec_id: missing");
    *out = decoded;
    return DIAG_OK;
}
