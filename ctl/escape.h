/* SPDX-License-Identifier: MIT */
/* escape - text that comes from elsewhere, made fit for a terminal: one line, no control
 * sequences, nothing that changes the direction of writing.
 *
 * C0 and C1 controls, DEL, line and paragraph separators and bidirectional formatting characters
 * become \n, \t, \r, \xNN or \uNNNN; so do bytes that are not UTF-8 (\xNN). All else stays.
 *
 * Threading: any thread. */
#ifndef DIAG_CTL_ESCAPE_H
#define DIAG_CTL_ESCAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"

DIAG_DECLS_BEGIN

/* Appends `text`; a backslash stays as it is. */
void diag_escape_plain(struct diag_buffer *out, struct diag_bytes text);

/* Appends "text" in double quotes; quotes and backslashes get a backslash. */
void diag_escape_quoted(struct diag_buffer *out, struct diag_bytes text);

/* Appends the bytes as Python shows them, without b"": \xNN for all but printable ASCII. */
void diag_escape_bytes(struct diag_buffer *out, struct diag_bytes bytes);

/* A plain copy of `text`, escaped and cut to about `max` bytes; freed by the caller, never NULL. */
char *diag_escape_text(const char *text, size_t max);

/* Characters of UTF-8 `text`, which is what it takes on a line. */
size_t diag_escape_width(const char *text);

/* The code point at text.data[*at] (at < size), whose bytes it skips; -1 and one byte when it is
 * not UTF-8. */
int32_t diag_escape_next(struct diag_bytes text, size_t *at);

/* True for the code points that this module escapes. */
bool diag_escape_is_unsafe(int32_t code_point);

DIAG_DECLS_END

#endif
