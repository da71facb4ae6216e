/* SPDX-License-Identifier: MIT */
#include "ctl/base64.h"

#include <string.h>

#include "ctl/memory.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *diag_base64_encode(struct diag_bytes bytes) {
    char *text = diag_memory_new(bytes.size / 3 + 2, 4);
    char *to = text;

    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t group = (uint32_t)bytes.data[i] << 16;

        if (left > 1)
            group |= (uint32_t)bytes.data[i + 1] << 8;
        if (left > 2)
            group |= bytes.data[i + 2];
        *to++ = alphabet[group >> 18];
        *to++ = alphabet[group >> 12 & 63];
        *to++ = left > 1 ? alphabet[group >> 6 & 63] : '=';
        *to++ = left > 2 ? alphabet[group & 63] : '=';
    }
    return text;
}

void diag_base64_decode(struct diag_buffer *out, struct diag_bytes encoded) {
    uint32_t group = 0;
    unsigned bits = 0;

    for (size_t i = 0; i < encoded.size && encoded.data[i] != '='; i++) {
        const char *found = memchr(alphabet, encoded.data[i], sizeof alphabet - 1);
        uint8_t byte;

        if (found == NULL)
            return;
        group = group << 6 | (uint32_t)(found - alphabet);
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        byte = (uint8_t)(group >> bits);
        diag_memory_append(out, diag_bytes_make(&byte, 1));
    }
}
