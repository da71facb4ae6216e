/* SPDX-License-Identifier: MIT */
/* memory - allocation that ends the program when there is none left.
 *
 * For this program only: a command line that runs out of memory has nothing better to do than to
 * say so and exit (with code 1), and needs no error path through each tree that it builds.
 *
 * Threading: any thread. */
#ifndef DIAG_CTL_MEMORY_H
#define DIAG_CTL_MEMORY_H

#include "lib/base/bytes.h"

DIAG_DECLS_BEGIN

/* Zeroed; never NULL. Freed by free(). */
void *diag_memory_new(size_t count, size_t size);

/* Like realloc, for `count` things of `size` bytes; never NULL. */
void *diag_memory_resize(void *memory, size_t count, size_t size);

/* A copy of `text`; never NULL. */
char *diag_memory_text(const char *text);

/* A printf into new memory; never NULL. */
char *diag_memory_format(const char *format, ...) DIAG_PRINTF(1, 2);

/* diag_buffer_append that cannot fail. */
void diag_memory_append(struct diag_buffer *buffer, struct diag_bytes bytes);
void diag_memory_append_text(struct diag_buffer *buffer, const char *text);
void diag_memory_append_format(struct diag_buffer *buffer, const char *format, ...)
    DIAG_PRINTF(2, 3);

DIAG_DECLS_END

#endif
