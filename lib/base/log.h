/* SPDX-License-Identifier: MIT */
/* log - one line per message on standard error. For programs only: library code returns errors
 * and never logs.
 *
 *     2026-03-01T12:00:00.123Z info controller: listening on 127.0.0.1:7400
 *
 * Threading: any thread; lines are written whole. */
#ifndef DIAG_LIB_BASE_LOG_H
#define DIAG_LIB_BASE_LOG_H

#include "lib/base/error.h"

DIAG_DECLS_BEGIN

enum diag_log_level { DIAG_LOG_ERROR, DIAG_LOG_WARNING, DIAG_LOG_INFO, DIAG_LOG_DEBUG };

/* Sets the program's name (borrowed, static) and the most talkative level that is written.
 * Call once, before other threads start. */
void diag_log_init(const char *program, enum diag_log_level level);

/* The level of a program's flag --log-level; DIAG_ERR_INVALID, whose message names the flag. */
DIAG_MUST_CHECK enum diag_status diag_log_level_parse(const char *text, enum diag_log_level *out,
                                                      struct diag_error *err);

void diag_log(enum diag_log_level level, const char *format, ...) DIAG_PRINTF(2, 3);

#define diag_log_error(...) diag_log(DIAG_LOG_ERROR, __VA_ARGS__)
#define diag_log_warning(...) diag_log(DIAG_LOG_WARNING, __VA_ARGS__)
#define diag_log_info(...) diag_log(DIAG_LOG_INFO, __VA_ARGS__)
#define diag_log_debug(...) diag_log(DIAG_LOG_DEBUG, __VA_ARGS__)

DIAG_DECLS_END

#endif
