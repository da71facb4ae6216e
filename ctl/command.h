/* SPDX-License-Identifier: MIT */
/* command - what the commands have in common, and their entry points.
 *
 * A command gets the options with the words after its own name, prints its result to standard
 * output and its errors to standard error, and returns the program's exit code.
 *
 * Threading: main thread. */
#ifndef DIAG_CTL_COMMAND_H
#define DIAG_CTL_COMMAND_H

#include "ctl/document.h"
#include "ctl/options.h"
#include "ctl/session.h"

DIAG_DECLS_BEGIN

/* Stable: scripts rely on them. */
enum diag_exit {
    DIAG_EXIT_OK = 0,
    DIAG_EXIT_FAILED = 1,      /* the server refused, or something here failed */
    DIAG_EXIT_USAGE = 2,       /* a bad command line or manifest; nothing was sent */
    DIAG_EXIT_NOT_FOUND = 3,   /* no such spec */
    DIAG_EXIT_UNREACHABLE = 4, /* no server, or no answer in time */
};

enum diag_exit diag_command_apply(const struct diag_options *options);
enum diag_exit diag_command_get_specs(const struct diag_options *options);
enum diag_exit diag_command_get_processes(const struct diag_options *options);
enum diag_exit diag_command_describe(const struct diag_options *options);
enum diag_exit diag_command_delete(const struct diag_options *options);
enum diag_exit diag_command_events(const struct diag_options *options);
enum diag_exit diag_command_version(const struct diag_options *options);

/* "diagnosectl: MESSAGE" on standard error, fit for a terminal. */
void diag_command_complain(const char *format, ...) DIAG_PRINTF(1, 2);

/* The same for a bad command line; returns DIAG_EXIT_USAGE. */
enum diag_exit diag_command_misuse(const char *format, ...) DIAG_PRINTF(1, 2);

/* Says why a call failed, after "PREFIX: " unless that is "", and returns the exit code. */
enum diag_exit diag_command_fail(const struct diag_options *options, const char *prefix,
                                 const struct diag_error *err);

/* Opens the session; on failure says why and returns the exit code. */
DIAG_MUST_CHECK enum diag_exit diag_command_connect(const struct diag_options *options,
                                                    struct diag_session *session);

/* Prints a list of documents as options->output says: as one JSON list, or as one YAML document
 * each. */
void diag_command_print(const struct diag_options *options, const struct diag_document *list);

DIAG_DECLS_END

#endif
