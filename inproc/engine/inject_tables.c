/* SPDX-License-Identifier: MIT */
/* How it works: a location entry is a byte 1CCCCLLL (a code, and the number of units less one), and
 * what the code asks for: short forms of a column pair, deltas of the line as varints (six bits a
 * byte, lowest first). A range of the exception table is four varints of the other order: start,
 * size, target, depth and lasti; the first byte of a range has its highest bit set. See
 * Objects/locations.md and Objects/exception_handling_notes.txt of CPython 3.11. */
#include "inproc/engine/inject_tables.h"

#if PY_VERSION_HEX < 0x030C0000

#include <stdlib.h>

enum {
    CODE_ONE_LINE_0 = 10, /* 11 and 12: one or two lines further */
    CODE_ONE_LINE_2 = 12,
    CODE_NO_COLUMNS = 13,
    CODE_LONG = 14,
    CODE_NONE = 15,
};

#define ENTRY_START 128
#define ENTRY_UNITS_MAX 8

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool is_malformed;
};

static unsigned read_byte(struct reader *reader) {
    if (reader->at == reader->end) {
        reader->is_malformed = true;
        return 0;
    }
    return *reader->at++;
}

static unsigned read_varint(struct reader *reader) {
    unsigned value = 0, byte, shift = 0;

    do {
        byte = read_byte(reader);
        value |= (byte & 63) << shift;
        shift += 6;
    } while ((byte & 64) && shift < 30);
    return value;
}

static int read_signed_varint(struct reader *reader) {
    unsigned value = read_varint(reader);

    return value & 1 ? -(int)(value >> 1) : (int)(value >> 1);
}

/* What follows an entry's first byte. *line: the last line so far. */
static struct diag_inject_location read_location(struct reader *reader, unsigned code, int *line) {
    struct diag_inject_location location = {DIAG_INJECT_NONE, DIAG_INJECT_NONE, DIAG_INJECT_NONE,
                                            DIAG_INJECT_NONE};

    if (code == CODE_NONE)
        return location;
    if (code == CODE_LONG) {
        location.line = *line += read_signed_varint(reader);
        location.end_line = location.line + (int)read_varint(reader);
        location.column = (int)read_varint(reader) - 1;
        location.end_column = (int)read_varint(reader) - 1;
        return location;
    }
    if (code == CODE_NO_COLUMNS) {
        *line += read_signed_varint(reader);
    } else if (code >= CODE_ONE_LINE_0) {
        *line += (int)(code - CODE_ONE_LINE_0);
        location.column = (int)read_byte(reader);
        location.end_column = (int)read_byte(reader);
    } else {
        unsigned columns = read_byte(reader);

        location.column = (int)(code << 3 | columns >> 4);
        location.end_column = location.column + (int)(columns & 15);
    }
    location.line = location.end_line = *line;
    return location;
}

bool diag_inject_read_locations(const uint8_t *table, size_t size, int first_line,
                                struct diag_inject_location *locations, int unit_count) {
    struct reader reader = {table, table + size, false};
    int unit = 0, line = first_line;

    while (reader.at < reader.end) {
        unsigned first = read_byte(&reader);
        struct diag_inject_location location = read_location(&reader, first >> 3 & 15, &line);

        if (!(first & ENTRY_START))
            return false;
        for (unsigned i = 0; i <= (first & 7) && unit < unit_count; i++)
            locations[unit++] = location;
    }
    while (unit < unit_count)
        locations[unit++] = (struct diag_inject_location){DIAG_INJECT_NONE, DIAG_INJECT_NONE,
                                                          DIAG_INJECT_NONE, DIAG_INJECT_NONE};
    return !reader.is_malformed;
}

/* Highest six bits first. */
static int read_range_varint(struct reader *reader) {
    unsigned byte = read_byte(reader), value = byte & 63;

    while (byte & 64) {
        byte = read_byte(reader);
        value = value << 6 | (byte & 63);
    }
    return (int)(value & INT32_MAX);
}

bool diag_inject_read_range(const uint8_t **table, const uint8_t *end,
                            struct diag_inject_range *range) {
    struct reader reader = {*table, end, false};
    int depth;

    range->start = read_range_varint(&reader);
    range->end = range->start + read_range_varint(&reader);
    range->handler.target = read_range_varint(&reader);
    depth = read_range_varint(&reader);
    range->handler.depth = depth >> 1;
    range->handler.has_lasti = depth & 1;
    *table = reader.at;
    return !reader.is_malformed;
}

void diag_inject_bytes_put(struct diag_inject_bytes *bytes, unsigned byte) {
    if (bytes->size == bytes->capacity) {
        size_t capacity = bytes->capacity == 0 ? 256 : bytes->capacity * 2;
        uint8_t *data = bytes->is_out_of_memory ? NULL : realloc(bytes->data, capacity);

        if (data == NULL) {
            bytes->is_out_of_memory = true;
            return;
        }
        bytes->data = data;
        bytes->capacity = capacity;
    }
    bytes->data[bytes->size++] = (uint8_t)byte;
}

void diag_inject_bytes_done(struct diag_inject_bytes *bytes) {
    free(bytes->data);
    *bytes = (struct diag_inject_bytes){0};
}

static void put_varint(struct diag_inject_bytes *bytes, unsigned value) {
    while (value >= 64) {
        diag_inject_bytes_put(bytes, 64 | (value & 63));
        value >>= 6;
    }
    diag_inject_bytes_put(bytes, value);
}

static void put_signed_varint(struct diag_inject_bytes *bytes, int value) {
    put_varint(bytes, value < 0 ? (unsigned)-value << 1 | 1 : (unsigned)value << 1);
}

static void write_first_byte(struct diag_inject_bytes *bytes, unsigned code, int unit_count) {
    diag_inject_bytes_put(bytes, ENTRY_START | code << 3 | (unsigned)(unit_count - 1));
}

/* One entry, in the shortest form that holds it. */
static void write_entry(struct diag_inject_bytes *bytes,
                        const struct diag_inject_location *location, int unit_count, int *line) {
    int delta = location->line - *line, column = location->column, end = location->end_column;
    bool has_columns = column >= 0 && end >= 0, is_one_line = location->end_line == location->line;

    if (location->line == DIAG_INJECT_NONE) {
        write_first_byte(bytes, CODE_NONE, unit_count);
        return;
    }
    *line = location->line;
    if (!has_columns && is_one_line && column < 0 && end < 0) {
        write_first_byte(bytes, CODE_NO_COLUMNS, unit_count);
        put_signed_varint(bytes, delta);
    } else if (has_columns && is_one_line && delta == 0 && column < 80 && end >= column &&
               end - column < 16) {
        write_first_byte(bytes, (unsigned)column >> 3, unit_count);
        diag_inject_bytes_put(bytes, ((unsigned)column & 7) << 4 | (unsigned)(end - column));
    } else if (has_columns && is_one_line && delta >= 0 &&
               delta <= CODE_ONE_LINE_2 - CODE_ONE_LINE_0 && column < 128 && end < 128) {
        write_first_byte(bytes, CODE_ONE_LINE_0 + (unsigned)delta, unit_count);
        diag_inject_bytes_put(bytes, (unsigned)column);
        diag_inject_bytes_put(bytes, (unsigned)end);
    } else {
        write_first_byte(bytes, CODE_LONG, unit_count);
        put_signed_varint(bytes, delta);
        put_varint(bytes, (unsigned)(location->end_line - location->line));
        put_varint(bytes, (unsigned)(column + 1));
        put_varint(bytes, (unsigned)(end + 1));
    }
}

void diag_inject_write_location(struct diag_inject_bytes *bytes,
                                const struct diag_inject_location *location, int unit_count,
                                int *line) {
    for (; unit_count > ENTRY_UNITS_MAX; unit_count -= ENTRY_UNITS_MAX)
        write_entry(bytes, location, ENTRY_UNITS_MAX, line);
    write_entry(bytes, location, unit_count, line);
}

static void write_range_varint(struct diag_inject_bytes *bytes, int value, unsigned flag) {
    for (int shift = 30; shift > 0; shift -= 6)
        if (value >> shift) {
            diag_inject_bytes_put(bytes, flag | 64 | ((unsigned)(value >> shift) & 63));
            flag = 0;
        }
    diag_inject_bytes_put(bytes, flag | ((unsigned)value & 63));
}

void diag_inject_write_range(struct diag_inject_bytes *bytes,
                             const struct diag_inject_range *range) {
    write_range_varint(bytes, range->start, ENTRY_START);
    write_range_varint(bytes, range->end - range->start, 0);
    write_range_varint(bytes, range->handler.target, 0);
    write_range_varint(bytes, range->handler.depth << 1 | range->handler.has_lasti, 0);
}

#endif
