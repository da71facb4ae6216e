/* SPDX-License-Identifier: MIT */
#include "deploy/webhook/base64.h"

#include <stdlib.h>

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *diag_base64_encode(struct diag_bytes bytes) {
    char *text, *end;

    if (bytes.size > (SIZE_MAX - 1) / 4 * 3 - 2)
        return NULL;
    text = malloc((bytes.size + 2) / 3 * 4 + 1);
    if (text == NULL)
        return NULL;
    end = text;
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t group = (uint32_t)bytes.data[i] << 16;

        if (left > 1)
            group |= (uint32_t)bytes.data[i + 1] << 8;
        if (left > 2)
            group |= bytes.data[i + 2];
        *end++ = ALPHABET[group >> 18];
        *end++ = ALPHABET[group >> 12 & 63];
        *end++ = left > 1 ? ALPHABET[group >> 6 & 63] : '=';
        *end++ = left > 2 ? ALPHABET[group & 63] : '=';
    }
    *end = '\0';
    return text;
}
