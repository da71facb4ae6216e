/* SPDX-License-Identifier: MIT */
/* time_text - times and durations as text.
 *
 * Threading: any thread. */
#ifndef DIAG_CTL_TIME_TEXT_H
#define DIAG_CTL_TIME_TEXT_H

#include <stdint.h>

#include "lib/base/compiler.h"

DIAG_DECLS_BEGIN

#define DIAG_TIME_TEXT_SIZE 40

/* RFC 3339 in UTC with nanoseconds: 2026-03-01T12:00:00.123456789Z */
void diag_time_rfc3339(char text[DIAG_TIME_TEXT_SIZE], uint64_t unix_nanos);

/* The local time of day: 12:00:01.123456 */
void diag_time_of_day(char text[DIAG_TIME_TEXT_SIZE], uint64_t unix_nanos);

/* The two largest units, rounded down: 3d4h, 2h0m, 9m50s, 12s; "0s" below a second. */
void diag_time_duration(char text[DIAG_TIME_TEXT_SIZE], uint64_t nanos);

DIAG_DECLS_END

#endif
