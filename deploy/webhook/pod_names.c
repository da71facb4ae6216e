/* SPDX-License-Identifier: MIT */
#include "deploy/webhook/pod_names.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/webhook/json_read.h"

#define MINUTES_DIGITS 8
#define MINUTES_IN_2020 26297280

const json_t *diag_pod_controller(const json_t *pod) {
    const json_t *owners = json_object_get(json_object_get(pod, "metadata"), "ownerReferences");

    for (size_t i = 0; i < json_array_size(owners); i++) {
        const json_t *owner = json_array_get(owners, i);

        if (json_is_true(json_object_get(owner, "controller")))
            return owner;
    }
    return NULL;
}

/* A Deployment calls its ReplicaSets NAME-HASH, and labels their pods with the hash. */
static size_t hash_size(const json_t *pod, const char *name, size_t size) {
    const json_t *labels = json_object_get(json_object_get(pod, "metadata"), "labels");
    const char *hash = diag_json_member_text(labels, "pod-template-hash");
    size_t length = hash != NULL ? strlen(hash) : 0;

    if (length == 0 || length > size || strcmp(name + size - length, hash) != 0)
        return 0;
    return length;
}

/* A CronJob calls its Jobs NAME-MINUTES: those since 1970. Until 2160 they have eight digits; in
 * those of a date (20261123) they would be minutes of a year before Kubernetes. */
static size_t minutes_size(const char *name, size_t size) {
    size_t length = 0;

    while (length < size && isdigit((unsigned char)name[size - length - 1]))
        length++;
    if (length != MINUTES_DIGITS || strtol(name + size - length, NULL, 10) < MINUTES_IN_2020)
        return 0;
    return length;
}

struct diag_bytes diag_pod_workload(const json_t *pod) {
    const json_t *controller = diag_pod_controller(pod);
    const json_t *kind = json_object_get(controller, "kind");
    const char *name = diag_json_member_text(controller, "name");
    size_t size, suffix_size = 0;

    if (name == NULL)
        return diag_bytes_make("", 0);
    size = strlen(name);
    if (diag_json_is_text(kind, "ReplicaSet"))
        suffix_size = hash_size(pod, name, size);
    else if (diag_json_is_text(kind, "Job"))
        suffix_size = minutes_size(name, size);
    if (suffix_size > 0 && size > suffix_size + 1 && name[size - suffix_size - 1] == '-')
        size -= suffix_size + 1;
    return diag_bytes_make(name, size);
}
