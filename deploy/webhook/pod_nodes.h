/* SPDX-License-Identifier: MIT */
/* pod_nodes - whether a pod can come to a node that the injected images are for.
 *
 * The images are built together with this program: for Linux, on its own architecture.
 *
 * Threading: any thread. */
#ifndef DIAG_DEPLOY_WEBHOOK_POD_NODES_H
#define DIAG_DEPLOY_WEBHOOK_POD_NODES_H

#include <jansson.h>

#include "lib/base/error.h"

DIAG_DECLS_BEGIN

/* `spec`: of a pod. DIAG_ERR_UNSUPPORTED: its os, its nodeSelector, or every term of its required
 * nodeAffinity asks for another system or architecture; the message is the reason, for the pod's
 * owner. A pod that may come to nodes of several architectures is DIAG_OK. */
DIAG_MUST_CHECK enum diag_status diag_pod_nodes_check(const json_t *spec, struct diag_error *err);

DIAG_DECLS_END

#endif
