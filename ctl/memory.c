/* SPDX-License-Identifier: MIT */
#include "ctl/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"

static void *check(void *memory) {
    if (memory == NULL) {
        fputs("diagnosectl: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

void *diag_memory_new(size_t count, size_t size) {
    return check(calloc(count, size));
}

void *diag_memory_resize(void *memory, size_t count, size_t size) {
    return check(reallocarray(memory, count, size));
}

char *diag_memory_text(const char *text) {
    return check(strdup(text));
}

char *diag_memory_format(const char *format, ...) {
    va_list arguments;
    char *text = NULL;
    int length;

    va_start(arguments, format);
    length = vasprintf(&text, format, arguments);
    va_end(arguments);
    return check(length < 0 ? NULL : text);
}

void diag_memory_append(struct diag_buffer *buffer, struct diag_bytes bytes) {
    if (diag_buffer_append(buffer, bytes) != DIAG_OK)
        check(NULL);
}

void diag_memory_append_text(struct diag_buffer *buffer, const char *text) {
    diag_memory_append(buffer, diag_bytes_from_text(text));
}

void diag_memory_append_format(struct diag_buffer *buffer, const char *format, ...) {
    DIAG_CLEANUP(diag_freep) char *text = NULL;
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        text = NULL;
    diag_memory_append_text(buffer, check(text));
}
