/* SPDX-License-Identifier: MIT */
/* statsd_number - numbers as text, exact and as short as can be.
 *
 * Whatever the locale, the decimal point is a point. Read as a double, the text gives the very
 * number that was written.
 *
 * Threading: any thread. */
#ifndef DIAG_LIB_STATSD_STATSD_NUMBER_H
#define DIAG_LIB_STATSD_STATSD_NUMBER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/compiler.h"

DIAG_DECLS_BEGIN

#define DIAG_STATSD_NUMBER_MAX 40

/* Each writes at most DIAG_STATSD_NUMBER_MAX bytes, without a NUL, and returns how many. */

size_t diag_statsd_write_integer(int64_t number, char out[DIAG_STATSD_NUMBER_MAX]);

/* 2.5, 1e+22, 5e-324. Returns 0 if `number` is not finite: the protocol has no word for it. */
size_t diag_statsd_write_real(double number, char out[DIAG_STATSD_NUMBER_MAX]);

/* Without an exponent, which servers do not expect there. Returns 0 unless
 * DIAG_STATSD_RATE_MIN <= rate <= 1. */
size_t diag_statsd_write_rate(double rate, char out[DIAG_STATSD_NUMBER_MAX]);

#define DIAG_STATSD_RATE_MIN 1e-12

DIAG_DECLS_END

#endif
