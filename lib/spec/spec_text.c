/* SPDX-License-Identifier: MIT */
#include "lib/spec/spec_text.h"

#include <limits.h>
#include <stdint.h>

#include "lib/base/bytes.h"

bool diag_spec_line_parse(const char *text, int *out) {
    int64_t number = 0;

    if (*text == '0')
        return false;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9')
            return false;
        number = 10 * number + (*at - '0');
        if (number > INT_MAX)
            return false;
    }
    if (number == 0)
        return false;
    *out = (int)number;
    return true;
}

int diag_spec_shown_size(const char *text, size_t max) {
    return (int)diag_bytes_utf8_cut(diag_bytes_from_text(text), max);
}
