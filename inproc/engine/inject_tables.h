/* SPDX-License-Identifier: MIT */
/* inject_tables - co_linetable and co_exceptiontable of CPython 3.11, read and written. Offsets are
 * code units (two bytes).
 *
 * Threading: none needed. */
#ifndef DIAG_INPROC_ENGINE_INJECT_TABLES_H
#define DIAG_INPROC_ENGINE_INJECT_TABLES_H

#include "inproc/engine/inject_body.h"

#if PY_VERSION_HEX < 0x030C0000

/* Reads the location of each of `unit_count` units; units behind the table's end have none. False:
 * the table is malformed. */
DIAG_MUST_CHECK bool diag_inject_read_locations(const uint8_t *table, size_t size, int first_line,
                                                struct diag_inject_location *locations,
                                                int unit_count);

struct diag_inject_range {
    int start;
    int end;
    struct diag_inject_handler handler; /* its target is an offset */
};

/* Takes one range off *table. False: malformed. */
DIAG_MUST_CHECK bool diag_inject_read_range(const uint8_t **table, const uint8_t *end,
                                            struct diag_inject_range *range);

/* A growing text of bytes. */
struct diag_inject_bytes {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool is_out_of_memory; /* puts are ignored from then on */
};

void diag_inject_bytes_put(struct diag_inject_bytes *bytes, unsigned byte);
void diag_inject_bytes_done(struct diag_inject_bytes *bytes);

/* Writes the location of the next `unit_count` units. *line: of the last location written, at first
 * that of the code. */
void diag_inject_write_location(struct diag_inject_bytes *bytes,
                                const struct diag_inject_location *location, int unit_count,
                                int *line);

void diag_inject_write_range(struct diag_inject_bytes *bytes,
                             const struct diag_inject_range *range);

#endif
#endif
