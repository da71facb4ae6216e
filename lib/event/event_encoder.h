/* SPDX-License-Identifier: MIT */
/* event_encoder - writes diagnose.v1.Event and Value straight into their wire form.
 *
 * For the hit path: no allocation, no failure but running out of room, which the wire writer
 * remembers (see lib/base/wire.h) and the caller answers by rewinding and writing less.
 *
 *     diag_event_begin(&writer, prefix, DIAG_EVENT_KIND_HIT, now, thread);
 *     diag_value_put_int(&writer, DIAG_EVENT_FIELD_VALUE, 5);
 *     diag_event_put_tag(&writer, key, value);
 *
 * Threading: none needed; a writer belongs to one thread at a time. */
#ifndef DIAG_LIB_EVENT_EVENT_ENCODER_H
#define DIAG_LIB_EVENT_EVENT_ENCODER_H

#include "lib/base/wire.h"

DIAG_DECLS_BEGIN

#define DIAG_EVENT_MAX 16384 /* bytes of one encoded event; equals DIAG_SHM_RECORD_MAX */

/* Field numbers of diagnose.v1.Event, Value, ListValue, DictValue, DictEntry and Repr. */
enum {
    DIAG_EVENT_FIELD_SPEC_ID = 1,
    DIAG_EVENT_FIELD_SPEC_REVISION = 2,
    DIAG_EVENT_FIELD_KIND = 3,
    DIAG_EVENT_FIELD_TIME_UNIX_NANOS = 4,
    DIAG_EVENT_FIELD_THREAD_ID = 5,
    DIAG_EVENT_FIELD_VALUE = 6,
    DIAG_EVENT_FIELD_TAGS = 7,
    DIAG_EVENT_FIELD_ERROR = 8,

    DIAG_VALUE_FIELD_NONE = 1,
    DIAG_VALUE_FIELD_BOOL = 2,
    DIAG_VALUE_FIELD_INT = 3,
    DIAG_VALUE_FIELD_FLOAT = 4,
    DIAG_VALUE_FIELD_STR = 5,
    DIAG_VALUE_FIELD_BYTES = 6,
    DIAG_VALUE_FIELD_LIST = 7,
    DIAG_VALUE_FIELD_DICT = 8,
    DIAG_VALUE_FIELD_REPR = 9,
    DIAG_VALUE_FIELD_ORIGINAL_SIZE = 15,

    DIAG_LIST_FIELD_ITEMS = 1,
    DIAG_DICT_FIELD_ENTRIES = 1,
    DIAG_DICT_ENTRY_FIELD_KEY = 1,
    DIAG_DICT_ENTRY_FIELD_VALUE = 2,
    DIAG_REPR_FIELD_TYPE = 1,
    DIAG_REPR_FIELD_TEXT = 2,

    DIAG_TAG_FIELD_KEY = 1,
    DIAG_TAG_FIELD_VALUE = 2,
};

enum diag_event_kind {
    DIAG_EVENT_KIND_HIT = 1,
    DIAG_EVENT_KIND_ERROR = 2,
};

/* Encodes spec_id and spec_revision once, for use as `prefix` at each hit. Returns its size;
 * `prefix` has at least DIAG_EVENT_PREFIX_MAX bytes. `spec_id` has at most 128 bytes. */
#define DIAG_EVENT_PREFIX_MAX 160
size_t diag_event_prefix(uint8_t *prefix, const char *spec_id, uint64_t spec_revision);

/* What an event without text, tags or containers takes behind its prefix, at most. */
#define DIAG_EVENT_SCALAR_MAX 64

/* Everything up to the value. */
static inline void diag_event_begin(struct diag_wire_writer *writer, struct diag_bytes prefix,
                                    enum diag_event_kind kind, uint64_t time_unix_ns,
                                    uint64_t thread_id) {
    diag_wire_put_raw(writer, prefix);
    diag_wire_put_varint(writer, DIAG_EVENT_FIELD_KIND, kind);
    diag_wire_put_fixed64(writer, DIAG_EVENT_FIELD_TIME_UNIX_NANOS, time_unix_ns);
    diag_wire_put_varint(writer, DIAG_EVENT_FIELD_THREAD_ID, thread_id);
}

void diag_event_put_tag(struct diag_wire_writer *writer, struct diag_bytes key,
                        struct diag_bytes value);
void diag_event_put_error(struct diag_wire_writer *writer, struct diag_bytes text);

/* One complete Value as field `number` of the message that the writer is in. `original_size` 0:
 * complete. Text must be UTF-8. */
void diag_value_put_none(struct diag_wire_writer *writer, uint32_t number);
void diag_value_put_bool(struct diag_wire_writer *writer, uint32_t number, bool value);
static inline void diag_value_put_int(struct diag_wire_writer *writer, uint32_t number,
                                      int64_t value) {
    size_t mark = diag_wire_begin(writer, number);

    diag_wire_put_sint(writer, DIAG_VALUE_FIELD_INT, value);
    diag_wire_end(writer, mark);
}

static inline void diag_value_put_float(struct diag_wire_writer *writer, uint32_t number,
                                        double value) {
    size_t mark = diag_wire_begin(writer, number);

    diag_wire_put_double(writer, DIAG_VALUE_FIELD_FLOAT, value);
    diag_wire_end(writer, mark);
}

void diag_value_put_str(struct diag_wire_writer *writer, uint32_t number, struct diag_bytes text,
                        uint64_t original_size);
void diag_value_put_bytes(struct diag_wire_writer *writer, uint32_t number, struct diag_bytes data,
                          uint64_t original_size);
void diag_value_put_repr(struct diag_wire_writer *writer, uint32_t number, struct diag_bytes type,
                         struct diag_bytes text, uint64_t original_size);

/* A list or dict is opened, filled and closed:
 *
 *     struct diag_value_mark mark = diag_value_begin(&writer, number, DIAG_VALUE_FIELD_LIST);
 *     diag_value_put_int(&writer, DIAG_LIST_FIELD_ITEMS, 1);
 *     diag_value_end(&writer, mark, original_size);
 *
 * Entries of a dict: diag_wire_begin(&writer, DIAG_DICT_FIELD_ENTRIES), two values as fields
 * DIAG_DICT_ENTRY_FIELD_KEY and DIAG_DICT_ENTRY_FIELD_VALUE, diag_wire_end. */
struct diag_value_mark {
    size_t value;
    size_t container;
};
struct diag_value_mark diag_value_begin(struct diag_wire_writer *writer, uint32_t number,
                                        uint32_t kind_field);
void diag_value_end(struct diag_wire_writer *writer, struct diag_value_mark mark,
                    uint64_t original_size);

DIAG_DECLS_END

#endif
