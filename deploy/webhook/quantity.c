/* SPDX-License-Identifier: MIT */
#include "deploy/webhook/quantity.h"

#include <stdio.h>
#include <string.h>

#include "deploy/webhook/json_read.h"

#define NUMBER_MAX 32 /* bytes of a number as text, with its NUL */

static bool read_unit(const char *suffix, int64_t *thousandths) {
    static const struct {
        const char *suffix;
        int64_t thousandths;
    } UNITS[] = {
        {"", 1000},
        {"m", 1},
        {"k", INT64_C(1000) * 1000},
        {"M", INT64_C(1000) * 1000 * 1000},
        {"G", INT64_C(1000) * 1000 * 1000 * 1000},
        {"T", INT64_C(1000) * 1000 * 1000 * 1000 * 1000},
        {"Ki", INT64_C(1000) << 10},
        {"Mi", INT64_C(1000) << 20},
        {"Gi", INT64_C(1000) << 30},
        {"Ti", INT64_C(1000) << 40},
    };

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(UNITS); i++) {
        if (strcmp(suffix, UNITS[i].suffix) != 0)
            continue;
        *thousandths = UNITS[i].thousandths;
        return true;
    }
    return false;
}

static bool read_text(const char *text, int64_t *thousandths) {
    int64_t digits = 0, divisor = 1, unit, product;
    bool has_digit = false, has_point = false;

    for (; (*text >= '0' && *text <= '9') || (*text == '.' && !has_point); text++) {
        if (*text == '.') {
            has_point = true;
            continue;
        }
        has_digit = true;
        if (__builtin_mul_overflow(digits, 10, &digits) ||
            __builtin_add_overflow(digits, *text - '0', &digits) ||
            (has_point && __builtin_mul_overflow(divisor, 10, &divisor)))
            return false;
    }
    if (!has_digit || !read_unit(text, &unit) || __builtin_mul_overflow(digits, unit, &product) ||
        product % divisor != 0)
        return false;
    *thousandths = product / divisor;
    return true;
}

bool diag_quantity_read(const json_t *quantity, int64_t *thousandths) {
    const char *text = diag_json_text(quantity);
    char number[NUMBER_MAX];

    if (json_is_number(quantity)) {
        snprintf(number, sizeof number, "%.15g", json_number_value(quantity));
        text = number;
    }
    return text != NULL && read_text(text, thousandths);
}
