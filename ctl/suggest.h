/* SPDX-License-Identifier: MIT */
/* suggest - did you mean ...? The nearest of a few known words.
 *
 * Threading: any thread. */
#ifndef DIAG_CTL_SUGGEST_H
#define DIAG_CTL_SUGGEST_H

#include <stddef.h>

#include "lib/base/compiler.h"

DIAG_DECLS_BEGIN

/* The word of `words` that `typed` is most likely a misspelling of: letters' case aside, at most
 * one edit for words of up to 4 letters, two for longer ones, three from 9 on. An edit adds,
 * drops or changes a letter, or swaps two neighbours. NULL: none is near. */
const char *diag_suggest(const char *typed, const char *const *words, size_t word_count);

DIAG_DECLS_END

#endif
