/* SPDX-License-Identifier: MIT */
/* bytes - a borrowed span of bytes, and an owned buffer that grows.
 *
 * Threading: none needed; one owner at a time. */
#ifndef DIAG_LIB_BASE_BYTES_H
#define DIAG_LIB_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

DIAG_DECLS_BEGIN

/* Borrowed. `data` may be NULL when `size` is 0. */
struct diag_bytes {
    const uint8_t *data;
    size_t size;
};

/* Owned. All zero is an empty buffer. */
struct diag_buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

static inline struct diag_bytes diag_bytes_make(const void *data, size_t size) {
    struct diag_bytes bytes = {(const uint8_t *)data, size};
    return bytes;
}

/* The bytes of a C string, without its NUL. */
struct diag_bytes diag_bytes_from_text(const char *text);

bool diag_bytes_equal(struct diag_bytes a, struct diag_bytes b);

/* A NUL-terminated copy, to be freed by the caller; NULL when out of memory. */
char *diag_bytes_dup_text(struct diag_bytes bytes);

/* True if the bytes are valid UTF-8 as in RFC 3629: no surrogates, no overlong forms. */
bool diag_bytes_is_utf8(struct diag_bytes bytes);

/* The largest n <= max such that the first n bytes do not end inside a UTF-8 sequence. */
size_t diag_bytes_utf8_cut(struct diag_bytes bytes, size_t max);

void diag_buffer_done(struct diag_buffer *buffer);

/* Makes room for `extra` more bytes. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_buffer_reserve(struct diag_buffer *buffer, size_t extra);

/* Appends. DIAG_ERR_NO_MEMORY: nothing appended. */
DIAG_MUST_CHECK enum diag_status diag_buffer_append(struct diag_buffer *buffer,
                                                    struct diag_bytes bytes);

static inline struct diag_bytes diag_buffer_bytes(const struct diag_buffer *buffer) {
    return diag_bytes_make(buffer->data, buffer->size);
}

DIAG_DECLS_END

#endif
