/* SPDX-License-Identifier: MIT */
/* cluster - how a program in a pod reaches its API server.
 *
 * Threading: any thread. */
#ifndef DIAG_DEPLOY_WEBHOOK_CLUSTER_H
#define DIAG_DEPLOY_WEBHOOK_CLUSTER_H

#include <limits.h>

#include "lib/base/error.h"

DIAG_DECLS_BEGIN

#define DIAG_CLUSTER_SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"
#define DIAG_CLUSTER_TOKEN_MAX 16384 /* bytes, with the NUL */

struct diag_cluster {
    char url[300]; /* "https://10.0.0.1:443", without a slash at its end */
    char token_file[PATH_MAX];
    char ca_file[PATH_MAX]; /* PEM */
};

/* `host` and `port`: the values of KUBERNETES_SERVICE_HOST and _PORT, NULL if not set; `folder`:
 * where the service account is mounted. DIAG_ERR_NOT_FOUND: this is no pod, or one without a
 * service account; the message says which. */
DIAG_MUST_CHECK enum diag_status diag_cluster_find(const char *host, const char *port,
                                                   const char *folder, struct diag_cluster *cluster,
                                                   struct diag_error *err);

/* Reads the token, which the kubelet renews, without blanks around it. DIAG_ERR_IO. */
DIAG_MUST_CHECK enum diag_status diag_cluster_token(const struct diag_cluster *cluster,
                                                    char token[DIAG_CLUSTER_TOKEN_MAX],
                                                    struct diag_error *err);

DIAG_DECLS_END

#endif
