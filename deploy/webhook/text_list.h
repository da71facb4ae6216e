/* SPDX-License-Identifier: MIT */
/* text_list - lists in one text, such as a path: parts with a separator between them.
 *
 * Threading: any thread.
 * Ownership: results are the caller's, to be freed; NULL: out of memory. */
#ifndef DIAG_DEPLOY_WEBHOOK_TEXT_LIST_H
#define DIAG_DEPLOY_WEBHOOK_TEXT_LIST_H

#include "lib/base/compiler.h"

DIAG_DECLS_BEGIN

/* `list` with `part` as its first part, and nowhere else. */
DIAG_MUST_CHECK char *diag_text_list_put_first(const char *list, char separator, const char *part);

/* `list`, and behind it those parts of `more` that it does not have. */
DIAG_MUST_CHECK char *diag_text_list_append_missing(const char *list, char separator,
                                                    const char *more);

DIAG_DECLS_END

#endif
