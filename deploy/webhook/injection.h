/* SPDX-License-Identifier: MIT */
/* injection - the JSON Patch that gives a pod the template: pod in, patch out.
 *
 * Only what is missing is added, so that the patch of a patched pod is empty. Nothing that the pod
 * has is removed or replaced, but for PYTHONPATH, which gets the template's path before its own,
 * and the cluster autoscaler's list of volumes that may go, which gets the template's behind its
 * own.
 *
 * Threading: any thread, many at once with one template. */
#ifndef DIAG_DEPLOY_WEBHOOK_INJECTION_H
#define DIAG_DEPLOY_WEBHOOK_INJECTION_H

#include "deploy/webhook/pod_template.h"

DIAG_DECLS_BEGIN

/* *operations is a new reference to a list, empty if nothing is missing.
 * DIAG_ERR_NOT_FOUND, DIAG_ERR_UNSUPPORTED: as of diag_pod_choice_make; besides, unsupported is a
 * pod that has something of the template's names or paths for purposes of its own, whose
 * PYTHONPATH cannot be known, or whose own resources have no room. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_injection_make(const struct diag_pod_template *pod_template,
                                                     const json_t *pod, json_t **operations,
                                                     struct diag_error *err);

DIAG_DECLS_END

#endif
