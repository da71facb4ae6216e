/* SPDX-License-Identifier: MIT */
/* pod_choice - whether a pod asks for instrumentation, and in which of its containers.
 *
 * By annotations of the pod:
 *   diagnose.dev/inject: "true"            asks for it
 *   diagnose.dev/containers: "app,worker"  in these containers; without it: the first
 *   diagnose.dev/python: "3.12"            a hint, which only the injected init container reads
 *   diagnose.dev/injected: "VERSION"       it is done already
 *
 * Threading: any thread. */
#ifndef DIAG_DEPLOY_WEBHOOK_POD_CHOICE_H
#define DIAG_DEPLOY_WEBHOOK_POD_CHOICE_H

#include "deploy/webhook/pod_template.h"

DIAG_DECLS_BEGIN

#define DIAG_ANNOTATION_INJECT "diagnose.dev/inject"
#define DIAG_ANNOTATION_CONTAINERS "diagnose.dev/containers"
#define DIAG_ANNOTATION_PYTHON "diagnose.dev/python"
#define DIAG_ANNOTATION_INJECTED "diagnose.dev/injected"

#define DIAG_POD_CHOICE_MAX 64

struct diag_pod_choice {
    size_t indices[DIAG_POD_CHOICE_MAX]; /* in spec.containers, none twice */
    size_t count;
    bool is_injected; /* diagnose.dev/injected is there */
};

/* In a pod that is injected already, the containers that have one of the template's volume mounts
 * are those that were chosen, but for a sidecar that is an ordinary container. DIAG_ERR_NOT_FOUND:
 * the pod does not ask for it, and there is nothing to tell anybody. DIAG_ERR_UNSUPPORTED: it asks,
 * but cannot have it; the message is the reason, for the pod's owner. */
DIAG_MUST_CHECK enum diag_status diag_pod_choice_make(const struct diag_pod_template *pod_template,
                                                      const json_t *pod,
                                                      struct diag_pod_choice *choice,
                                                      struct diag_error *err);

DIAG_DECLS_END

#endif
