/* SPDX-License-Identifier: MIT */
#include "lib/base/bytes.h"

#include <stdlib.h>
#include <string.h>

struct diag_bytes diag_bytes_from_text(const char *text) {
    return diag_bytes_make(text, strlen(text));
}

bool diag_bytes_equal(struct diag_bytes a, struct diag_bytes b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

char *diag_bytes_dup_text(struct diag_bytes bytes) {
    char *text = malloc(bytes.size + 1);

    if (text == NULL)
        return NULL;
    if (bytes.size > 0)
        memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    return text;
}

/* Length of the valid sequence at `p`, 0 if there is none. */
static size_t sequence_length(const uint8_t *p, size_t left) {
    uint8_t lead = p[0];
    uint8_t low = 0x80, high = 0xBF; /* bounds of the second byte */
    size_t length;

    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF) {
        length = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        length = 3;
        if (lead == 0xE0)
            low = 0xA0;
        if (lead == 0xED)
            high = 0x9F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        length = 4;
        if (lead == 0xF0)
            low = 0x90;
        if (lead == 0xF4)
            high = 0x8F;
    } else {
        return 0;
    }
    if (left < length || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return length;
}

bool diag_bytes_is_utf8(struct diag_bytes bytes) {
    size_t at = 0;

    while (at < bytes.size) {
        size_t length = sequence_length(bytes.data + at, bytes.size - at);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

size_t diag_bytes_utf8_cut(struct diag_bytes bytes, size_t max) {
    size_t end = bytes.size < max ? bytes.size : max;

    if (end == bytes.size)
        return end;
    while (end > 0 && (bytes.data[end] & 0xC0) == 0x80)
        end--;
    return end;
}

void diag_buffer_done(struct diag_buffer *buffer) {
    free(buffer->data);
    memset(buffer, 0, sizeof *buffer);
}

enum diag_status diag_buffer_reserve(struct diag_buffer *buffer, size_t extra) {
    size_t capacity = buffer->capacity > 0 ? buffer->capacity : 256;
    uint8_t *data;

    if (extra > SIZE_MAX / 2 - buffer->size)
        return DIAG_ERR_NO_MEMORY;
    if (buffer->size + extra <= buffer->capacity)
        return DIAG_OK;
    while (capacity < buffer->size + extra)
        capacity *= 2;
    data = realloc(buffer->data, capacity);
    if (data == NULL)
        return DIAG_ERR_NO_MEMORY;
    buffer->data = data;
    buffer->capacity = capacity;
    return DIAG_OK;
}

enum diag_status diag_buffer_append(struct diag_buffer *buffer, struct diag_bytes bytes) {
    enum diag_status status = diag_buffer_reserve(buffer, bytes.size);

    if (status != DIAG_OK)
        return status;
    if (bytes.size > 0)
        memcpy(buffer->data + buffer->size, bytes.data, bytes.size);
    buffer->size += bytes.size;
    return DIAG_OK;
}
