/* SPDX-License-Identifier: MIT */
/* help - the table of commands, and the help on each.
 *
 * Threading: any thread; all of it is constant. */
#ifndef DIAG_CTL_HELP_H
#define DIAG_CTL_HELP_H

#include "ctl/command.h"

DIAG_DECLS_BEGIN

struct diag_command {
    const char *verb;
    const char *noun;      /* NULL: it has none */
    const char *nouns_too; /* another form of the noun, or NULL */
    const char *arguments; /* for the usage line */
    const char *summary;
    const char *details; /* with examples */
    unsigned has;        /* DIAG_OPTION_* */
    enum diag_exit (*run)(const struct diag_options *options);
};

/* Ended by a command without a verb. */
extern const struct diag_command diag_help_commands[];

/* Help on the program, or on what `words` name: a command, a verb or the topic "output". False:
 * there is no such thing, nothing printed. */
bool diag_help_print(FILE *file, char *const *words, size_t word_count);

DIAG_DECLS_END

#endif
