/* SPDX-License-Identifier: MIT */
/* labels_file - reads what Kubernetes writes for `metadata.labels` into a downwardAPI volume: a
 * line KEY="VALUE" for each label, the value quoted as strconv.Quote of Go does.
 *
 *     app.kubernetes.io/name="shop"
 *     note="two \"words\"\n"
 *
 * Threading: none needed.
 * Ownership: a reader borrows the text. */
#ifndef DIAG_SIDECAR_LABELS_FILE_H
#define DIAG_SIDECAR_LABELS_FILE_H

#include "lib/base/bytes.h"
#include "sidecar/options.h"

DIAG_DECLS_BEGIN

#define DIAG_LABELS_FILE_SIZE_MAX (1u << 20)

struct diag_labels_file {
    struct diag_bytes rest;
    size_t line; /* of the label that was read last, from 1 on */
};

struct diag_labels_file_entry {
    char key[DIAG_SIDECAR_LABEL_MAX + 1];
    char value[DIAG_SIDECAR_LABEL_MAX + 1];
};

static inline struct diag_labels_file diag_labels_file_make(struct diag_bytes text) {
    struct diag_labels_file file = {text, 0};
    return file;
}

/* The next label; empty lines are passed over. DIAG_ERR_CLOSED: there is none.
 * DIAG_ERR_INVALID: names the line, and the key if there is one. */
DIAG_MUST_CHECK enum diag_status diag_labels_file_next(struct diag_labels_file *file,
                                                       struct diag_labels_file_entry *out,
                                                       struct diag_error *err);

/* Appends the whole file to `text`. Errors name the file. */
DIAG_MUST_CHECK enum diag_status diag_labels_file_load(const char *path, struct diag_buffer *text,
                                                       struct diag_error *err);

DIAG_DECLS_END

#endif
