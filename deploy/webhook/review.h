/* SPDX-License-Identifier: MIT */
/* review - an AdmissionReview of admission.k8s.io/v1: the API server's question in, our answer out.
 *
 * Every answer allows the object. Only pods that are being created and ask for it get a patch; one
 * that asks and cannot have it gets the reason as a warning, and a notice that can be made an Event
 * of.
 *
 * Threading: any thread, many at once with one template. */
#ifndef DIAG_DEPLOY_WEBHOOK_REVIEW_H
#define DIAG_DEPLOY_WEBHOOK_REVIEW_H

#include "deploy/webhook/pod_template.h"

DIAG_DECLS_BEGIN

#define DIAG_REVIEW_REASON_MAX 224 /* bytes: with its prefix, what a warning may have */
#define DIAG_REVIEW_NAME_MAX 253   /* bytes of a Kubernetes name */

enum diag_review_outcome {
    DIAG_REVIEW_NOT_ASKED,  /* not a pod, not being created, or without the annotation */
    DIAG_REVIEW_PATCHED,    /* what was missing is in the patch */
    DIAG_REVIEW_COMPLETE,   /* the pod has everything already */
    DIAG_REVIEW_STAYED_OUT, /* the pod asks, but cannot have it */
};

/* About what, and why. All texts empty, or valid names but for `reason`. */
struct diag_review_notice {
    char namespace_name[DIAG_REVIEW_NAME_MAX + 1];
    /* the pod; or its controller, if the pod has no name yet; "" if it has neither */
    char api_version[DIAG_REVIEW_NAME_MAX + 1];
    char kind[64];
    char name[DIAG_REVIEW_NAME_MAX + 1];
    char uid[64];
    char reason[DIAG_REVIEW_REASON_MAX + 1]; /* printable ASCII */
};

struct diag_review_answer {
    struct diag_buffer body; /* the AdmissionReview as JSON */
    enum diag_review_outcome outcome;
    struct diag_review_notice notice; /* the subject always; the reason of DIAG_REVIEW_STAYED_OUT */
    bool is_dry_run;                  /* nothing but the answer may have an effect */
};

/* All zero is fine. */
void diag_review_answer_done(struct diag_review_answer *answer);

/* `review`: any bytes. *answer is the caller's.
 * DIAG_ERR_INVALID: not an AdmissionReview from which a uid can be read; the message says why.
 * DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status
diag_review_answer_make(const struct diag_pod_template *pod_template, struct diag_bytes review,
                        struct diag_review_answer *answer, struct diag_error *err);

DIAG_DECLS_END

#endif
