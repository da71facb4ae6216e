/* SPDX-License-Identifier: MIT */
/* diagnosectl - the command line. Finds the command and runs it. */
#include <errno.h>
#include <string.h>

#include "ctl/help.h"
#include "ctl/suggest.h"

#define VERBS_MAX 16

static enum diag_exit unknown_verb(const char *typed) {
    const char *verbs[VERBS_MAX], *near;
    size_t count = 0;

    for (const struct diag_command *command = diag_help_commands;
         command->verb != NULL && count < VERBS_MAX; command++)
        verbs[count++] = command->verb;
    near = diag_suggest(typed, verbs, count);
    if (near != NULL)
        return diag_command_misuse("unknown command \"%s\"; did you mean \"%s\"?", typed, near);
    return diag_command_misuse("unknown command \"%s\"", typed);
}

static bool has_noun(const struct diag_command *command, const struct diag_options *options) {
    return options->word_count > 1 && (strcmp(options->words[1], command->noun) == 0 ||
                                       strcmp(options->words[1], command->nouns_too) == 0);
}

/* The command of the first words, or NULL after a complaint. */
static const struct diag_command *find_command(const struct diag_options *options) {
    const struct diag_command *verb = NULL;

    for (const struct diag_command *command = diag_help_commands; command->verb != NULL;
         command++) {
        if (strcmp(command->verb, options->words[0]) != 0)
            continue;
        verb = command;
        /* a manifest says itself what it holds */
        if (command->noun == NULL || has_noun(command, options) ||
            (options->word_count == 1 && options->file != NULL &&
             (command->has & DIAG_OPTION_FILE) != 0))
            return command;
    }
    if (verb == NULL)
        unknown_verb(options->words[0]);
    else if (options->word_count == 1)
        diag_command_misuse("%s what? See `diagnosectl %s --help`", verb->verb, verb->verb);
    else
        diag_command_misuse("%s: \"%s\" is nothing that it knows; see `diagnosectl %s --help`",
                            verb->verb, options->words[1], verb->verb);
    return NULL;
}

static enum diag_exit print_help(const struct diag_options *options, size_t skipped) {
    if (diag_help_print(stdout, options->words + skipped, options->word_count - skipped))
        return DIAG_EXIT_OK;
    return diag_command_misuse("there is no help on \"%s\"", options->words[skipped]);
}

static enum diag_exit run(struct diag_options *options) {
    const struct diag_command *command;
    struct diag_error err = {0};
    size_t name_words;

    if (options->is_help)
        return print_help(options, 0);
    if (options->word_count == 0) {
        diag_help_print(stderr, NULL, 0);
        return DIAG_EXIT_USAGE;
    }
    if (strcmp(options->words[0], "help") == 0)
        return print_help(options, 1);
    command = find_command(options);
    if (command == NULL)
        return DIAG_EXIT_USAGE;
    if (diag_options_check(options, command->has, &err) != DIAG_OK)
        return diag_command_misuse("%s: %s", command->verb, err.message);
    name_words = command->noun != NULL && options->word_count > 1 ? 2 : 1;
    options->words += name_words;
    options->word_count -= name_words;
    return command->run(options);
}

int main(int argc, char **argv) {
    struct diag_options options;
    struct diag_error err = {0};
    enum diag_exit code;

    if (diag_options_parse(argc, argv, &options, &err) != DIAG_OK)
        return (int)diag_command_misuse("%s", err.message);
    code = run(&options);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        diag_command_complain("standard output: %s", strerror(errno));
        return DIAG_EXIT_FAILED;
    }
    return (int)code;
}
