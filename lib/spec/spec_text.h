/* SPDX-License-Identifier: MIT */
/* spec_text - what events and targets have in common as texts, for lib/spec only.
 *
 * Threading: any thread. */
#ifndef DIAG_LIB_SPEC_SPEC_TEXT_H
#define DIAG_LIB_SPEC_SPEC_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/compiler.h"

DIAG_DECLS_BEGIN

/* For messages: what diag_spec_line_parse takes. */
#define DIAG_SPEC_LINE_RULE                                                                        \
    "the line must be a number from 1 to 2147483647, without sign, spaces or leading zeros"

/* Reads a line's number, 1 to INT_MAX. False: not of that form; *out is untouched. */
bool diag_spec_line_parse(const char *text, int *out);

/* How much of a text is shown in a message (for "%.*s"): at most `max` bytes, whole characters. */
int diag_spec_shown_size(const char *text, size_t max);

DIAG_DECLS_END

#endif
