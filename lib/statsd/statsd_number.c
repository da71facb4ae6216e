/* SPDX-License-Identifier: MIT */
/* How it works: a decimal of up to 15 digits survives the way to a double and back, so that if 15
 * digits give the number again, they are, without the zeros at their end, the shortest that do;
 * otherwise 16 are tried, and 17 always do. Below the normal numbers there are fewer digits in a
 * double, and every length is tried.
 *
 * A number whose 15 digits are an integer that a double holds, over a power of ten that a double
 * holds, needs no snprintf: the quotient of two exact doubles is rounded correctly, as the reader
 * rounds the text. */
#include "lib/statsd/statsd_number.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXACT_DIGITS 15
#define MAX_DIGITS 17
#define EXACT_MAX 1e15

static size_t write_digits(uint64_t number, char *out) {
    char reversed[20];
    size_t size = 0;

    do {
        reversed[size++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    for (size_t i = 0; i < size; i++)
        out[i] = reversed[size - 1 - i];
    return size;
}

size_t diag_statsd_write_integer(int64_t number, char out[DIAG_STATSD_NUMBER_MAX]) {
    size_t size = 0;
    uint64_t magnitude = number < 0 ? -(uint64_t)number : (uint64_t)number;

    if (number < 0)
        out[size++] = '-';
    return size + write_digits(magnitude, out + size);
}

/* For magnitudes from 0.001 to below 1e15: true if 15 digits or fewer are the number. */
static bool write_short(double magnitude, char *out, size_t *size) {
    static const double powers[] = {1,   1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,
                                    1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17};
    int whole_digits = 0, decimals;
    uint64_t digits, whole;

    if (!(magnitude >= 1e-3 && magnitude < EXACT_MAX))
        return false;
    while (magnitude >= powers[whole_digits])
        whole_digits++;
    decimals = EXACT_DIGITS - whole_digits;
    digits = (uint64_t)llrint(magnitude * powers[decimals]);
    if ((double)digits / powers[decimals] != magnitude)
        return false;
    for (; decimals > 0 && digits % 10 == 0; decimals--)
        digits /= 10;
    whole = (uint64_t)magnitude;
    *size = write_digits(whole, out);
    if (decimals == 0)
        return true;
    out[(*size)++] = '.';
    digits -= whole * (uint64_t)powers[decimals];
    for (int i = decimals; i > 0; i--) {
        out[*size + (size_t)i - 1] = (char)('0' + digits % 10);
        digits /= 10;
    }
    *size += (size_t)decimals;
    return true;
}

/* snprintf writes the locale's decimal point, which may have several bytes. */
static size_t without_locale(const char *text, char *out) {
    size_t size = 0;

    for (bool was_point = false; *text != '\0'; text++) {
        bool is_point = strchr("0123456789+-e", *text) == NULL;

        if (!is_point)
            out[size++] = *text;
        else if (!was_point)
            out[size++] = '.';
        was_point = is_point;
    }
    return size;
}

size_t diag_statsd_write_real(double number, char out[DIAG_STATSD_NUMBER_MAX]) {
    char text[DIAG_STATSD_NUMBER_MAX + 8];
    bool is_negative = signbit(number) != 0;
    size_t size;

    if (!isfinite(number))
        return 0;
    if (number == 0) {
        out[0] = '0';
        return 1;
    }
    out[0] = '-';
    if (write_short(fabs(number), out + is_negative, &size))
        return size + is_negative;
    for (int digits = isnormal(number) ? EXACT_DIGITS : 1; digits <= MAX_DIGITS; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (digits == MAX_DIGITS || strtod(text, NULL) == number)
            break;
    }
    return without_locale(text, out);
}

size_t diag_statsd_write_rate(double rate, char out[DIAG_STATSD_NUMBER_MAX]) {
    char text[DIAG_STATSD_NUMBER_MAX];

    if (!(rate >= DIAG_STATSD_RATE_MIN && rate <= 1))
        return 0;
    /* 12 zeros and 17 digits */
    for (int decimals = 0; decimals <= 29; decimals++) {
        snprintf(text, sizeof text, "%.*f", decimals, rate);
        if (strtod(text, NULL) == rate)
            break;
    }
    return without_locale(text, out);
}
