/* SPDX-License-Identifier: MIT */
/* document - a tree of plain values: what a manifest says, and what is printed as JSON or YAML.
 *
 * Threading: none; one owner at a time.
 * Ownership: a list or map owns its children; text is copied in. Running out of memory ends the
 *            program (see memory.h). */
#ifndef DIAG_CTL_DOCUMENT_H
#define DIAG_CTL_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"

DIAG_DECLS_BEGIN

enum diag_document_kind {
    DIAG_DOCUMENT_NULL,
    DIAG_DOCUMENT_BOOL,
    DIAG_DOCUMENT_INT,
    DIAG_DOCUMENT_UINT, /* counts, which may exceed an INT */
    DIAG_DOCUMENT_FLOAT,
    DIAG_DOCUMENT_TEXT,
    DIAG_DOCUMENT_LIST,
    DIAG_DOCUMENT_MAP, /* in the order in which it was filled */
};

struct diag_document {
    enum diag_document_kind kind;
    unsigned line; /* where it (in a map: its key) begins in its file, from 1; 0: no file */
    union {
        bool boolean;
        int64_t integer;
        uint64_t count;
        double number;
        struct {
            char *text; /* UTF-8; may hold NULs, and has one more behind its end */
            size_t text_size;
        };
        struct {
            struct diag_document **items;
            char **keys; /* maps only; as many as items */
            size_t item_count;
            size_t capacity;
        };
    };
};

struct diag_document *diag_document_null(void);
struct diag_document *diag_document_bool(bool value);
struct diag_document *diag_document_int(int64_t value);
struct diag_document *diag_document_uint(uint64_t value);
struct diag_document *diag_document_float(double value);
struct diag_document *diag_document_text(const char *text);
struct diag_document *diag_document_bytes(struct diag_bytes text);
struct diag_document *diag_document_list(void);
struct diag_document *diag_document_map(void);

/* NULL is fine. */
void diag_document_free(struct diag_document *document);
DIAG_DEFINE_FREEP(diag_document, struct diag_document)

/* Both take ownership of `item` and return it. */
struct diag_document *diag_document_add(struct diag_document *list, struct diag_document *item);
struct diag_document *diag_document_put(struct diag_document *map, const char *key,
                                        struct diag_document *item);

/* Borrowed; NULL when `document` is no map or has no such key. */
const struct diag_document *diag_document_get(const struct diag_document *document,
                                              const char *key);

/* The text at `key`, or "" when there is none. Borrowed. */
const char *diag_document_get_text(const struct diag_document *document, const char *key);

/* The whole number at `key`, or 0 when there is none or it is negative. */
uint64_t diag_document_get_uint(const struct diag_document *document, const char *key);

/* "null", "a bool", "a map", ... for messages. Static. */
const char *diag_document_kind_name(enum diag_document_kind kind);

/* The shortest text that reads back as the same finite double, with a "." or an exponent. */
#define DIAG_DOCUMENT_FLOAT_SIZE 32
void diag_document_format_float(char text[DIAG_DOCUMENT_FLOAT_SIZE], double value);

DIAG_DECLS_END

#endif
