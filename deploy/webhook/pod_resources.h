/* SPDX-License-Identifier: MIT */
/* pod_resources - whether a pod with resources of its own (spec.resources) has room for containers.
 *
 * API servers refuse a pod whose containers request more than the pod, or one of which has a limit
 * over the pod's; where there are limits, the pod's requests have become what its containers
 * request before a webhook sees it, so that often nothing can be added.
 *
 * Threading: any thread. */
#ifndef DIAG_DEPLOY_WEBHOOK_POD_RESOURCES_H
#define DIAG_DEPLOY_WEBHOOK_POD_RESOURCES_H

#include <jansson.h>

#include "lib/base/error.h"

DIAG_DECLS_BEGIN

/* `spec`: of a pod; those of `init_containers` that it does not have are to come before its own.
 * DIAG_ERR_UNSUPPORTED: there is no room for them, or that cannot be known; the message is the
 * reason, for the pod's owner. */
DIAG_MUST_CHECK enum diag_status
diag_pod_resources_check(const json_t *spec, const json_t *init_containers, struct diag_error *err);

DIAG_DECLS_END

#endif
