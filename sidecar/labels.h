/* SPDX-License-Identifier: MIT */
/* labels - who the sidecar is, for the selectors of specs. A key's value comes from the first of
 * these that has it: --label; the first --label-default that is not empty nor too long; the labels
 * file.
 *
 * Threading: none needed; immutable once collected. */
#ifndef DIAG_SIDECAR_LABELS_H
#define DIAG_SIDECAR_LABELS_H

#include "lib/spec/spec.h"
#include "sidecar/options.h"

DIAG_DECLS_BEGIN

#define DIAG_SIDECAR_LABELS_MAX 64 /* more than the controller takes are left out */

struct diag_sidecar_labels {
    struct diag_label items[DIAG_SIDECAR_LABELS_MAX]; /* owned */
    size_t count;
    size_t left_out_count;          /* of the labels file */
    struct diag_flag_list too_long; /* the defaults whose turn it was; borrowed from the options */
};

/* Reads the labels file, if there is one. DIAG_ERR_INVALID names file, line and key. */
DIAG_MUST_CHECK enum diag_status
diag_sidecar_labels_collect(const struct diag_sidecar_options *options,
                            struct diag_sidecar_labels *out, struct diag_error *err);

/* All zero is fine. */
void diag_sidecar_labels_done(struct diag_sidecar_labels *labels);

DIAG_DECLS_END

#endif
