/* SPDX-License-Identifier: MIT */
#include "ctl/time_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "lib/base/clock.h"

void diag_time_rfc3339(char text[DIAG_TIME_TEXT_SIZE], uint64_t unix_nanos) {
    time_t seconds = (time_t)(unix_nanos / DIAG_NS_PER_S);
    struct tm parts;
    char date[24];

    gmtime_r(&seconds, &parts);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, DIAG_TIME_TEXT_SIZE, "%s.%09" PRIu64 "Z", date, unix_nanos % DIAG_NS_PER_S);
}

void diag_time_of_day(char text[DIAG_TIME_TEXT_SIZE], uint64_t unix_nanos) {
    time_t seconds = (time_t)(unix_nanos / DIAG_NS_PER_S);
    struct tm parts;

    localtime_r(&seconds, &parts);
    snprintf(text, DIAG_TIME_TEXT_SIZE, "%02d:%02d:%02d.%06" PRIu64, parts.tm_hour, parts.tm_min,
             parts.tm_sec, unix_nanos % DIAG_NS_PER_S / 1000);
}

void diag_time_duration(char text[DIAG_TIME_TEXT_SIZE], uint64_t nanos) {
    uint64_t seconds = nanos / DIAG_NS_PER_S;
    uint64_t minutes = seconds / 60, hours = minutes / 60;

    if (hours >= 24)
        snprintf(text, DIAG_TIME_TEXT_SIZE, "%" PRIu64 "d%" PRIu64 "h", hours / 24, hours % 24);
    else if (hours > 0)
        snprintf(text, DIAG_TIME_TEXT_SIZE, "%" PRIu64 "h%" PRIu64 "m", hours, minutes % 60);
    else if (minutes > 0)
        snprintf(text, DIAG_TIME_TEXT_SIZE, "%" PRIu64 "m%" PRIu64 "s", minutes, seconds % 60);
    else
        snprintf(text, DIAG_TIME_TEXT_SIZE, "%" PRIu64 "s", seconds);
}
