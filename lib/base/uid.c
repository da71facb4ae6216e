/* SPDX-License-Identifier: MIT */
#include "lib/base/uid.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

enum diag_status diag_uid_make(char uid[DIAG_UID_SIZE], struct diag_error *err) {
    static const char digits[] = "0123456789abcdef";
    uint8_t bits[16];

    if (getrandom(bits, sizeof bits, 0) != (ssize_t)sizeof bits)
        return diag_error_set(err, DIAG_ERR_IO, errno, "getrandom");
    for (size_t i = 0; i < sizeof bits; i++) {
        uid[2 * i] = digits[bits[i] >> 4];
        uid[2 * i + 1] = digits[bits[i] & 15];
    }
    uid[DIAG_UID_SIZE - 1] = '\0';
    return DIAG_OK;
}

bool diag_uid_is_valid(const char *text) {
    return strlen(text) == DIAG_UID_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == DIAG_UID_SIZE - 1;
}
