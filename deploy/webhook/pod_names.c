/* SPDX-License-Identifier: MIT */
#include "deploy/webhook/pod_names.h"

#include <string.h>

#include "deploy/webhook/json_read.h"

const json_t *diag_pod_controller(const json_t *pod) {
    const json_t *owners = json_object_get(json_object_get(pod, "metadata"), "ownerReferences");

    for (size_t i = 0; i < json_array_size(owners); i++) {
        const json_t *owner = json_array_get(owners, i);

        if (json_is_true(json_object_get(owner, "controller")))
            return owner;
    }
    return NULL;
}

struct diag_bytes diag_pod_workload(const json_t *pod) {
    const json_t *labels = json_object_get(json_object_get(pod, "metadata"), "labels");
    const json_t *controller = diag_pod_controller(pod);
    const char *name = diag_json_member_text(controller, "name");
    /* a Deployment calls its ReplicaSets NAME-HASH, and labels their pods with the hash */
    const char *hash = diag_json_member_text(labels, "pod-template-hash");
    size_t size, hash_size;

    if (name == NULL)
        return diag_bytes_make("", 0);
    size = strlen(name);
    hash_size = hash != NULL ? strlen(hash) : 0;
    if (diag_json_is_text(json_object_get(controller, "kind"), "ReplicaSet") && hash_size > 0 &&
        size > hash_size + 1 && strcmp(name + size - hash_size, hash) == 0 &&
        name[size - hash_size - 1] == '-')
        size -= hash_size + 1;
    return diag_bytes_make(name, size);
}
