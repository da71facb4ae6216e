/* SPDX-License-Identifier: MIT */
#include "ctl/options.h"

#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MAX 3600
#define SECONDS_MAX (366 * 24 * 3600)

#define GLOBAL_COUNT (4 + DIAG_RPC_TLS_FLAG_COUNT)
#define COMMAND_COUNT 4

/* The global flags, then the commands'. */
static void make_flags(struct diag_options *options,
                       struct diag_flag flags[GLOBAL_COUNT + COMMAND_COUNT]) {
    const struct diag_flag global[] = {
        {"server", 's', DIAG_FLAG_TEXT, &options->server, "ADDR",
         "controller, HOST:PORT or unix:PATH (default: $" DIAG_OPTIONS_SERVER_VARIABLE
         " or " DIAG_OPTIONS_SERVER_DEFAULT ")",
         0, 0},
        {"timeout", 0, DIAG_FLAG_UINT, &options->timeout_s, "SECONDS",
         "how long to wait for an answer (default: 10)", 1, TIMEOUT_MAX},
        {"output", 'o', DIAG_FLAG_TEXT, &options->output_name, "FORMAT",
         "table, json or yaml (default: table)", 0, 0},
        {"help", 'h', DIAG_FLAG_SWITCH, &options->is_help, NULL, "show help and exit", 0, 0},
    };
    const struct diag_flag command[COMMAND_COUNT] = {
        {"file", 'f', DIAG_FLAG_TEXT, &options->file, "FILE",
         "manifest, YAML or JSON; - is standard input", 0, 0},
        {"spec", 0, DIAG_FLAG_LIST, &options->specs, "ID",
         "only events of this spec; may be given several times", 0, 0},
        {"count", 'n', DIAG_FLAG_UINT, &options->count, "N", "end after N events", 1, UINT64_MAX},
        {"seconds", 0, DIAG_FLAG_UINT, &options->seconds, "N", "end after N seconds", 1,
         SECONDS_MAX},
    };

    memcpy(flags, global, sizeof global);
    diag_rpc_tls_flags(&options->tls, flags + DIAG_ARRAY_SIZE(global));
    memcpy(flags + GLOBAL_COUNT, command, sizeof command);
}

static enum diag_status parse_output(struct diag_options *options, struct diag_error *err) {
    static const char *const names[] = {"table", "json", "yaml"};

    if (options->output_name == NULL)
        return DIAG_OK;
    for (size_t i = 0; i < DIAG_ARRAY_SIZE(names); i++) {
        if (strcmp(options->output_name, names[i]) == 0) {
            options->output = (enum diag_output)i;
            return DIAG_OK;
        }
    }
    return diag_error_set(err, DIAG_ERR_INVALID, 0,
                          "--output: \"%s\" is not one of: table, json, yaml",
                          options->output_name);
}

enum diag_status diag_options_parse(int argc, char **argv, struct diag_options *options,
                                    struct diag_error *err) {
    struct diag_options fresh = {.timeout_s = DIAG_OPTIONS_TIMEOUT_DEFAULT};
    struct diag_flag flags[GLOBAL_COUNT + COMMAND_COUNT];
    const char *variable = getenv(DIAG_OPTIONS_SERVER_VARIABLE);
    enum diag_status status;
    int word_count;

    fresh.server = variable != NULL && *variable != '\0' ? variable : DIAG_OPTIONS_SERVER_DEFAULT;
    make_flags(&fresh, flags);
    status = diag_flags_parse(flags, DIAG_ARRAY_SIZE(flags), argc, argv, &word_count, err);
    if (status == DIAG_OK)
        status = parse_output(&fresh, err);
    if (status != DIAG_OK)
        return status;
    fresh.words = argv + 1;
    fresh.word_count = (size_t)word_count;
    *options = fresh;
    return DIAG_OK;
}

enum diag_status diag_options_check(const struct diag_options *options, unsigned has,
                                    struct diag_error *err) {
    const struct {
        const char *name;
        bool is_given;
        unsigned option;
    } rules[] = {
        {"file", options->file != NULL, DIAG_OPTION_FILE},
        {"spec", options->specs.count > 0, DIAG_OPTION_SPEC},
        {"count", options->count != 0, DIAG_OPTION_LIMITS},
        {"seconds", options->seconds != 0, DIAG_OPTION_LIMITS},
    };

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(rules); i++)
        if (rules[i].is_given && (has & rules[i].option) == 0)
            return diag_error_set(err, DIAG_ERR_INVALID, 0, "--%s is no flag of this command",
                                  rules[i].name);
    return DIAG_OK;
}

void diag_options_print(FILE *file, unsigned has) {
    struct diag_options options;
    struct diag_flag flags[GLOBAL_COUNT + COMMAND_COUNT];
    const unsigned of[COMMAND_COUNT] = {DIAG_OPTION_FILE, DIAG_OPTION_SPEC, DIAG_OPTION_LIMITS,
                                        DIAG_OPTION_LIMITS};

    make_flags(&options, flags);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if ((has & of[i]) != 0)
            diag_flags_print(file, &flags[GLOBAL_COUNT + i], 1);
}

void diag_options_print_global(FILE *file) {
    struct diag_options options;
    struct diag_flag flags[GLOBAL_COUNT + COMMAND_COUNT];

    make_flags(&options, flags);
    diag_flags_print(file, flags, GLOBAL_COUNT);
}
