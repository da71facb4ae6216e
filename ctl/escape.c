/* SPDX-License-Identifier: MIT */
#include "ctl/escape.h"

#include <stdio.h>
#include <string.h>

#include "ctl/memory.h"

int32_t diag_escape_next(struct diag_bytes text, size_t *at) {
    const uint8_t *p = text.data + *at;
    size_t length = p[0] < 0x80 ? 1 : p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    int32_t code_point;

    if (length > text.size - *at || !diag_bytes_is_utf8(diag_bytes_make(p, length))) {
        *at += 1;
        return -1;
    }
    *at += length;
    if (length == 1)
        return p[0];
    code_point = p[0] & (0x7F >> length);
    for (size_t i = 1; i < length; i++)
        code_point = code_point << 6 | (p[i] & 0x3F);
    return code_point;
}

bool diag_escape_is_unsafe(int32_t code_point) {
    return code_point < 0x20 || (code_point >= 0x7F && code_point <= 0x9F) ||
           code_point == 0x061C || code_point == 0x200E || code_point == 0x200F ||
           (code_point >= 0x2028 && code_point <= 0x202E) ||
           (code_point >= 0x2066 && code_point <= 0x2069) || code_point == 0xFEFF;
}

static void append_unsafe(struct diag_buffer *out, int32_t code_point) {
    switch (code_point) {
    case '\n':
        diag_memory_append_text(out, "\\n");
        break;
    case '\t':
        diag_memory_append_text(out, "\\t");
        break;
    case '\r':
        diag_memory_append_text(out, "\\r");
        break;
    default:
        diag_memory_append_format(out, code_point < 0x100 ? "\\x%02x" : "\\u%04x",
                                  (unsigned)code_point);
    }
}

static void escape(struct diag_buffer *out, struct diag_bytes text, bool is_quoted) {
    size_t at = 0;

    while (at < text.size) {
        size_t start = at;
        int32_t code_point = diag_escape_next(text, &at);

        if (code_point < 0)
            append_unsafe(out, text.data[start]);
        else if (diag_escape_is_unsafe(code_point))
            append_unsafe(out, code_point);
        else {
            if (is_quoted && (code_point == '"' || code_point == '\\'))
                diag_memory_append_text(out, "\\");
            diag_memory_append(out, diag_bytes_make(text.data + start, at - start));
        }
    }
}

void diag_escape_plain(struct diag_buffer *out, struct diag_bytes text) {
    escape(out, text, false);
}

void diag_escape_quoted(struct diag_buffer *out, struct diag_bytes text) {
    diag_memory_append_text(out, "\"");
    escape(out, text, true);
    diag_memory_append_text(out, "\"");
}

void diag_escape_bytes(struct diag_buffer *out, struct diag_bytes bytes) {
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t byte = bytes.data[i];

        if (byte == '"' || byte == '\\')
            diag_memory_append_format(out, "\\%c", byte);
        else if (byte >= 0x20 && byte < 0x7F)
            diag_memory_append(out, diag_bytes_make(&byte, 1));
        else
            append_unsafe(out, byte);
    }
}

char *diag_escape_text(const char *text, size_t max) {
    struct diag_buffer out = {0};
    struct diag_bytes bytes = diag_bytes_from_text(text);

    if (bytes.size > max)
        bytes.size = diag_bytes_utf8_cut(bytes, max);
    escape(&out, bytes, false);
    if (text[bytes.size] != '\0')
        diag_memory_append_text(&out, "...");
    diag_memory_append(&out, diag_bytes_make("", 1));
    return (char *)out.data;
}

size_t diag_escape_width(const char *text) {
    size_t width = 0;

    for (; *text != '\0'; text++)
        width += (*text & 0xC0) != 0x80;
    return width;
}
