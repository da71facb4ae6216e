/* SPDX-License-Identifier: MIT */
#include "lib/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const char *program_name = "diagnose";
static enum diag_log_level max_level = DIAG_LOG_INFO;

void diag_log_init(const char *program, enum diag_log_level level) {
    program_name = program;
    max_level = level;
}

void diag_log(enum diag_log_level level, const char *format, ...) {
    static const char *const names[] = {"error", "warning", "info", "debug"};
    char line[1024];
    struct timespec now;
    struct tm calendar;
    va_list arguments;
    int length;

    if (level > max_level)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &calendar);
    length = (int)strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &calendar);
    length += snprintf(line + length, sizeof line - (size_t)length,
                       ".%03ldZ %s %s: ", now.tv_nsec / 1000000, names[level], program_name);
    va_start(arguments, format);
    length += vsnprintf(line + length, sizeof line - (size_t)length, format, arguments);
    va_end(arguments);
    if ((size_t)length > sizeof line - 1)
        length = sizeof line - 1;
    line[length] = '\n';
    /* one write, so that lines of several threads do not mix; nothing to do about a failure */
    if (write(STDERR_FILENO, line, (size_t)length + 1) < 0)
        return;
}
