/* SPDX-License-Identifier: MIT */
#include "lib/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const NAMES[] = {
    [DIAG_LOG_ERROR] = "error",
    [DIAG_LOG_WARNING] = "warning",
    [DIAG_LOG_INFO] = "info",
    [DIAG_LOG_DEBUG] = "debug",
};

static const char *program_name = "diagnose";
static enum diag_log_level max_level = DIAG_LOG_INFO;

void diag_log_init(const char *program, enum diag_log_level level) {
    program_name = program;
    max_level = level;
}

enum diag_status diag_log_level_parse(const char *text, enum diag_log_level *out,
                                      struct diag_error *err) {
    for (size_t i = 0; i < DIAG_ARRAY_SIZE(NAMES); i++)
        if (strcmp(text, NAMES[i]) == 0) {
            *out = (enum diag_log_level)i;
            return DIAG_OK;
        }
    return diag_error_set(err, DIAG_ERR_INVALID, 0,
                          "--log-level: \"%s\" is not one of: error, warning, info, debug", text);
}

void diag_log(enum diag_log_level level, const char *format, ...) {
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
                       ".%03ldZ %s %s: ", now.tv_nsec / 1000000, NAMES[level], program_name);
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
