/* SPDX-License-Identifier: MIT */
/* pod_template - what is given to a pod: read from the files that the Kustomize component uses too.
 *
 * README.md beside this file has the fields.
 *
 * Threading: read-only once it is made: any thread.
 * Ownership: the template owns its JSON. */
#ifndef DIAG_DEPLOY_WEBHOOK_POD_TEMPLATE_H
#define DIAG_DEPLOY_WEBHOOK_POD_TEMPLATE_H

#include <jansson.h>

#include "lib/base/bytes.h"

DIAG_DECLS_BEGIN

#define DIAG_POD_TEMPLATE_KEY_MAX 317 /* bytes of an annotation's key: Kubernetes' limit */

/* Never NULL after diag_pod_template_init, each of the right type: objects with the texts that
 * identify them. */
struct diag_pod_template {
    json_t *annotations;     /* object of texts */
    json_t *volumes;         /* list of {name, ...} */
    json_t *init_containers; /* list of {name, ...} */
    json_t *env;             /* list of {name, ...} */
    json_t *volume_mounts;   /* list of {name, mountPath, ...} */
};

/* An empty template. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_pod_template_init(struct diag_pod_template *pod_template,
                                                        struct diag_error *err);

/* All zero is fine. */
void diag_pod_template_done(struct diag_pod_template *pod_template);

/* Adds what the YAML or JSON of a file holds. `name` is what messages call it.
 * DIAG_ERR_INVALID names file and field; the template is then of no use. */
DIAG_MUST_CHECK enum diag_status diag_pod_template_add(struct diag_pod_template *pod_template,
                                                       const char *name, struct diag_bytes text,
                                                       struct diag_error *err);

/* The same of a file. DIAG_ERR_IO. */
DIAG_MUST_CHECK enum diag_status diag_pod_template_add_file(struct diag_pod_template *pod_template,
                                                            const char *path,
                                                            struct diag_error *err);

/* Gives the init container called `container` (of `container_size` bytes) another image.
 * DIAG_ERR_NOT_FOUND: there is none. */
DIAG_MUST_CHECK enum diag_status diag_pod_template_set_image(struct diag_pod_template *pod_template,
                                                             struct diag_bytes container,
                                                             const char *image,
                                                             struct diag_error *err);

DIAG_DECLS_END

#endif
