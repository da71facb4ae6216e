/* SPDX-License-Identifier: MIT */
#include "ctl/command.h"

#include <stdarg.h>
#include <stdlib.h>

#include "ctl/escape.h"
#include "ctl/print.h"

#define MESSAGE_SHOWN_MAX 4096

static void complain(const char *format, va_list arguments) {
    DIAG_CLEANUP(diag_freep) char *message = NULL;
    DIAG_CLEANUP(diag_freep) char *shown = NULL;

    if (vasprintf(&message, format, arguments) < 0)
        message = NULL;
    shown = diag_escape_text(message != NULL ? message : format, MESSAGE_SHOWN_MAX);
    fflush(stdout);
    fprintf(stderr, "diagnosectl: %s\n", shown);
}

void diag_command_complain(const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
}

enum diag_exit diag_command_misuse(const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    fputs("Try `diagnosectl help`.\n", stderr);
    return DIAG_EXIT_USAGE;
}

enum diag_exit diag_command_fail(const struct diag_options *options, const char *prefix,
                                 const struct diag_error *err) {
    const char *colon = *prefix != '\0' ? ": " : "";

    switch (err->status) {
    case DIAG_ERR_UNAVAILABLE:
        diag_command_complain("%s%scannot reach the server at %s: %s", prefix, colon,
                              options->server, err->message);
        return DIAG_EXIT_UNREACHABLE;
    case DIAG_ERR_TIMEOUT:
        diag_command_complain("%s%sno answer from the server at %s within %llu s", prefix, colon,
                              options->server, (unsigned long long)options->timeout_s);
        return DIAG_EXIT_UNREACHABLE;
    default:
        diag_command_complain("%s%s%s", prefix, colon,
                              *err->message != '\0' ? err->message : diag_status_name(err->status));
        return err->status == DIAG_ERR_NOT_FOUND ? DIAG_EXIT_NOT_FOUND : DIAG_EXIT_FAILED;
    }
}

enum diag_exit diag_command_connect(const struct diag_options *options,
                                    struct diag_session *session) {
    struct diag_error err = {0};
    enum diag_status status =
        diag_session_init(session, options->server, &options->tls, options->timeout_s * 1000, &err);

    if (status == DIAG_OK)
        return DIAG_EXIT_OK;
    diag_command_complain("%s", err.message);
    return status == DIAG_ERR_NO_MEMORY || status == DIAG_ERR_INTERNAL ? DIAG_EXIT_FAILED
                                                                       : DIAG_EXIT_USAGE;
}

void diag_command_print(const struct diag_options *options, const struct diag_document *list) {
    if (options->output == DIAG_OUTPUT_JSON) {
        diag_print_json(stdout, list);
        return;
    }
    if (list->item_count == 0)
        diag_print_yaml(stdout, list, true);
    for (size_t i = 0; i < list->item_count; i++)
        diag_print_yaml(stdout, list->items[i], i == 0);
}
