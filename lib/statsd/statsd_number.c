/* SPDX-License-Identifier: MIT */
/* How it works: of the decimals that give the number again when they are read, one with the fewest
 * digits is looked for: of 15 digits, which may have zeros at their end that are left out, then of
 * 16, then of 17, which always do. (If 15 do not, no fewer do: a decimal of up to 15 digits
 * survives the way to a double and back.)
 *
 * A number from 0.000001 to 1e15 is m / 2^s, with integers, and m * 10^k fits into 128 bits for as
 * many decimals as 17 digits take: rounding it to k decimals is exact, and so is the question
 * whether the decimal is nearer to the number than to its neighbours, which are 10^k away on that
 * scale. (The neighbour below a power of two is half as far; of the 69 in the range, the test tries
 * each.) All other numbers are left to snprintf and strtod. Below the normal ones there are fewer
 * digits in a double, and every length is tried. */
#include "lib/statsd/statsd_number.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXACT_DIGITS 15
#define MAX_DIGITS 17
#define MANTISSA_BITS 53

__extension__ typedef unsigned __int128 wide;

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

/* digits / 10^decimals, without zeros at the end of the decimals. */
static size_t write_decimal(uint64_t digits, int decimals, char *out) {
    char text[20];
    size_t size = 0, text_size, whole_size;

    for (; decimals > 0 && digits % 10 == 0; decimals--)
        digits /= 10;
    text_size = write_digits(digits, text);
    if (decimals == 0) {
        memcpy(out, text, text_size);
        return text_size;
    }
    whole_size = text_size > (size_t)decimals ? text_size - (size_t)decimals : 0;
    memcpy(out, text, whole_size);
    size = whole_size;
    if (whole_size == 0)
        out[size++] = '0';
    out[size++] = '.';
    for (size_t i = text_size - whole_size; i < (size_t)decimals; i++)
        out[size++] = '0';
    memcpy(out + size, text + whole_size, text_size - whole_size);
    return size + text_size - whole_size;
}

/* How many decimals make `magnitude` one of EXACT_DIGITS digits. */
static int decimals_of(double magnitude) {
    int decimals = EXACT_DIGITS;

    for (double power = 1; magnitude >= power; power *= 10)
        decimals--;
    for (double power = 0.1; magnitude < power; power /= 10)
        decimals++;
    return decimals;
}

/* False: out of range. */
static bool write_exact(double magnitude, char *out, size_t *size) {
    int exponent, decimals;
    uint64_t mantissa, digits;
    unsigned shift;
    wide power = 1;

    if (!(magnitude >= 1e-6 && magnitude < 1e15))
        return false;
    mantissa = (uint64_t)ldexp(frexp(magnitude, &exponent), MANTISSA_BITS);
    shift = (unsigned)(MANTISSA_BITS - exponent);
    decimals = decimals_of(magnitude);
    for (int i = 0; i < decimals; i++)
        power *= 10;
    for (int length = EXACT_DIGITS;; length++, decimals++, power *= 10) {
        wide scaled = power * mantissa, back, difference;

        digits = (uint64_t)((scaled + ((wide)1 << (shift - 1))) >> shift);
        back = (wide)digits << shift;
        difference = back > scaled ? back - scaled : scaled - back;
        if (length == MAX_DIGITS || difference * 2 < power)
            break;
    }
    *size = write_decimal(digits, decimals, out);
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
    if (write_exact(fabs(number), out + is_negative, &size))
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
    size_t size;

    if (!(rate >= DIAG_STATSD_RATE_MIN && rate <= 1))
        return 0;
    if (write_exact(rate, out, &size))
        return size;
    /* 12 zeros and 17 digits */
    for (int decimals = 0; decimals <= 29; decimals++) {
        snprintf(text, sizeof text, "%.*f", decimals, rate);
        if (strtod(text, NULL) == rate)
            break;
    }
    return without_locale(text, out);
}
