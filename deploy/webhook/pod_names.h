/* SPDX-License-Identifier: MIT */
/* pod_names - what a pod and its owner are called.
 *
 * Threading: any thread.
 * Ownership: texts are borrowed from the pod. */
#ifndef DIAG_DEPLOY_WEBHOOK_POD_NAMES_H
#define DIAG_DEPLOY_WEBHOOK_POD_NAMES_H

#include <jansson.h>

#include "lib/base/bytes.h"

DIAG_DECLS_BEGIN

/* The owner reference of the pod's controller (ReplicaSet, StatefulSet, Job, ...); NULL: none. */
const json_t *diag_pod_controller(const json_t *pod);

/* The name of the workload that somebody wrote: the Deployment's for a pod of its ReplicaSet,
 * the CronJob's for one of its Job, else the controller's; empty if the pod has no controller. A
 * Job counts as a CronJob's if its name ends with minutes since 1970, of 2020 or later. */
struct diag_bytes diag_pod_workload(const json_t *pod);

DIAG_DECLS_END

#endif
