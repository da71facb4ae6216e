/* SPDX-License-Identifier: MIT */
/* manifest - specs out of a YAML or JSON file.
 *
 * A document is one spec, or a list of specs; a file has one or several documents, separated by
 * `---`. A spec is a map:
 *
 *     id: cart-total
 *     target: shop.cart.Cart.total
 *     instrument:
 *       type: log
 *       name: shop.cart.total        # optional
 *       value: elapsed
 *       event: return                # optional; call or return
 *       custom:                      # optional
 *         tags: '{"region": self.region}'
 *     lifespan: 10                   # minutes, fractions allowed
 *     selector:                      # optional
 *       labels: {tier: web}
 *
 * `status`, which `diagnosectl get` prints, is accepted and ignored. Everything else is refused.
 * Form and types are checked here; what the fields may say is the server's to judge.
 *
 * Threading: any thread.
 * Ownership: a manifest owns its entries. */
#ifndef DIAG_CTL_MANIFEST_H
#define DIAG_CTL_MANIFEST_H

#include "ctl/document.h"
#include "diagnose/v1/spec.pb-c.h"

DIAG_DECLS_BEGIN

#define DIAG_MANIFEST_SIZE_MAX (1024 * 1024)

struct diag_manifest_entry {
    Diagnose__V1__Spec *spec;
    const struct diag_document *document; /* borrowed from `documents` */
};

struct diag_manifest {
    char *name; /* of the file; "stdin" for "-" */
    struct diag_document *documents;
    struct diag_manifest_entry *entries;
    size_t entry_count; /* at least 1 */
};

/* Reads `path`, "-" being standard input, and at most one byte more than DIAG_MANIFEST_SIZE_MAX
 * of it. DIAG_ERR_IO: it cannot be read; DIAG_ERR_INVALID, _TOO_LARGE: "FILE:LINE: field: why". */
DIAG_MUST_CHECK enum diag_status diag_manifest_read(const char *path, struct diag_manifest **out,
                                                    struct diag_error *err);

/* The same for text in memory, of any size. */
DIAG_MUST_CHECK enum diag_status diag_manifest_parse(const char *name, struct diag_bytes text,
                                                     struct diag_manifest **out,
                                                     struct diag_error *err);

/* NULL is fine. */
void diag_manifest_free(struct diag_manifest *manifest);
DIAG_DEFINE_FREEP(diag_manifest, struct diag_manifest)

/* The line of the field that `message` begins with ("instrument.event: ..."), or the nearest one
 * around it. */
unsigned diag_manifest_line(const struct diag_manifest_entry *entry, const char *message);

DIAG_DECLS_END

#endif
