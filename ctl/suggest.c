/* SPDX-License-Identifier: MIT */
#include "ctl/suggest.h"

#include <ctype.h>
#include <string.h>

#define WORD_MAX 32

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Optimal string alignment distance; both at most WORD_MAX long. */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length) {
    size_t rows[WORD_MAX + 1][WORD_MAX + 1];

    for (size_t i = 0; i <= a_length; i++)
        rows[i][0] = i;
    for (size_t j = 0; j <= b_length; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        for (size_t j = 1; j <= b_length; j++) {
            int left = tolower((unsigned char)a[i - 1]), right = tolower((unsigned char)b[j - 1]);
            size_t edits = rows[i - 1][j - 1] + (left != right);

            edits = least(edits, least(rows[i - 1][j], rows[i][j - 1]) + 1);
            if (i > 1 && j > 1 && left == tolower((unsigned char)b[j - 2]) &&
                tolower((unsigned char)a[i - 2]) == right)
                edits = least(edits, rows[i - 2][j - 2] + 1);
            rows[i][j] = edits;
        }
    }
    return rows[a_length][b_length];
}

const char *diag_suggest(const char *typed, const char *const *words, size_t word_count) {
    const char *best = NULL;
    size_t best_edits = 4;
    size_t length = strlen(typed);

    if (length == 0 || length > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < word_count; i++) {
        size_t word_length = strlen(words[i]);
        size_t allowed = word_length <= 4 ? 1 : word_length < 9 ? 2 : 3;
        size_t edits;

        if (word_length > WORD_MAX)
            continue;
        edits = distance(typed, length, words[i], word_length);
        if (edits <= allowed && edits < best_edits) {
            best = words[i];
            best_edits = edits;
        }
    }
    return best;
}
