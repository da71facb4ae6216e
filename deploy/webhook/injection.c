/* SPDX-License-Identifier: MIT */
/* How it works: each part of the template is looked for in the pod, by what identifies it for
 * Kubernetes (name, mount path, key), and what is not there becomes one "add" each. A list that the
 * pod does not have is added empty first; so the operations are the same for both. */
#include "deploy/webhook/injection.h"

#include <stdio.h>
#include <string.h>

#include "deploy/webhook/json_patch.h"
#include "deploy/webhook/json_read.h"
#include "deploy/webhook/pod_choice.h"
#include "deploy/webhook/pod_names.h"
#include "deploy/webhook/pod_resources.h"
#include "deploy/webhook/text_list.h"
#include "lib/base/cleanup.h"

/* The volumes that do not keep the cluster autoscaler from draining the pod's node. */
#define ANNOTATION_LOCAL_VOLUMES "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"

#define FIELD_MAX 64 /* bytes of "/spec/containers/N/volumeMounts" */

struct injection {
    const struct diag_pod_template *pod_template;
    const json_t *spec;
    struct diag_pod_choice choice;
    struct diag_bytes workload;
    json_t *operations;
    struct diag_error *err;
};

/* ---- copies of the template ---- */

/* A new reference; NULL: out of memory. `container`: the name that DIAGNOSE_CONTAINER is to say. */
static json_t *fill_variable(const struct injection *injection, const json_t *variable,
                             const char *container) {
    json_t *copy = json_deep_copy(variable), *value = NULL;

    if (!diag_json_is_text(json_object_get(variable, "value"), ""))
        return copy;
    if (diag_json_is_text(json_object_get(variable, "name"), "DIAGNOSE_CONTAINER"))
        value = json_string(container);
    else if (diag_json_is_text(json_object_get(variable, "name"), "DIAGNOSE_WORKLOAD"))
        value = json_stringn((const char *)injection->workload.data, injection->workload.size);
    else
        return copy;
    if (json_object_set_new(copy, "value", value) == 0)
        return copy;
    json_decref(copy);
    return NULL;
}

/* The same of an init container: its variables name the first of the chosen containers. */
static json_t *fill_init_container(const struct injection *injection, const json_t *container) {
    const json_t *containers = json_object_get(injection->spec, "containers");
    const json_t *first = json_array_get(containers, injection->choice.indices[0]);
    const json_t *env = json_object_get(container, "env");
    json_auto_t *copy = json_deep_copy(container);

    for (size_t i = 0; i < json_array_size(env); i++) {
        json_t *variable =
            fill_variable(injection, json_array_get(env, i), diag_json_member_text(first, "name"));

        if (json_array_set_new(json_object_get(copy, "env"), i, variable) != 0)
            return NULL;
    }
    return DIAG_TAKE_PTR(copy);
}

/* ---- lists of the pod ---- */

/* Sees to it that there is a list at `field`, whose value now is `list`. */
static enum diag_status need_list(struct injection *injection, const json_t *list,
                                  const char *field) {
    if (diag_json_is_absent(list))
        return diag_json_patch_add(injection->operations, json_array(), injection->err, "%s",
                                   field);
    if (!json_is_array(list))
        return diag_error_set(injection->err, DIAG_ERR_UNSUPPORTED, 0, "%s is not a list", field);
    return DIAG_OK;
}

/* Takes ownership of `item`. */
static enum diag_status append(struct injection *injection, json_t *item, const char *field) {
    return diag_json_patch_add(injection->operations, item, injection->err, "%s/-", field);
}

static enum diag_status taken(struct injection *injection, const char *what, const char *name) {
    return diag_error_set(injection->err, DIAG_ERR_UNSUPPORTED, 0,
                          "the pod has %s \"%.63s\" of its own, which the injection needs", what,
                          name);
}

static enum diag_status add_volumes(struct injection *injection) {
    const json_t *own = json_object_get(injection->spec, "volumes"), *volumes;
    enum diag_status status;

    volumes = injection->pod_template->volumes;
    if (json_array_size(volumes) == 0)
        return DIAG_OK;
    status = need_list(injection, own, "/spec/volumes");
    for (size_t i = 0; status == DIAG_OK && i < json_array_size(volumes); i++) {
        const json_t *volume = json_array_get(volumes, i);
        const char *name = diag_json_member_text(volume, "name");

        if (diag_json_find(own, "name", name, NULL) == NULL)
            status = append(injection, json_deep_copy(volume), "/spec/volumes");
        else if (!injection->choice.is_injected)
            status = taken(injection, "a volume", name);
    }
    return status;
}

/* In the template's order before the pod's own. Those that are there keep their place, and the next
 * come behind them. */
static enum diag_status add_init_containers(struct injection *injection) {
    const json_t *own = json_object_get(injection->spec, "initContainers"), *init_containers;
    const json_t *containers = json_object_get(injection->spec, "containers");
    enum diag_status status;
    size_t place = 0, added_count = 0;

    init_containers = injection->pod_template->init_containers;
    if (json_array_size(init_containers) == 0)
        return DIAG_OK;
    status = need_list(injection, own, "/spec/initContainers");
    for (size_t i = 0; status == DIAG_OK && i < json_array_size(init_containers); i++) {
        const json_t *container = json_array_get(init_containers, i);
        const char *name = diag_json_member_text(container, "name");
        size_t index;
        /* the classic sidecar is an ordinary container */
        bool is_ordinary = diag_json_find(containers, "name", name, NULL) != NULL;
        bool is_there = diag_json_find(own, "name", name, &index) != NULL;

        if ((is_there || is_ordinary) && !injection->choice.is_injected)
            status = taken(injection, "a container", name);
        else if (is_there)
            place = index + added_count + 1;
        else if (!is_ordinary) {
            status = diag_json_patch_add(injection->operations,
                                         fill_init_container(injection, container), injection->err,
                                         "/spec/initContainers/%zu", place++);
            added_count++;
        }
    }
    return status;
}

/* ---- the chosen containers ---- */

static enum diag_status add_volume_mounts(struct injection *injection, const json_t *container,
                                          size_t index) {
    const json_t *own = json_object_get(container, "volumeMounts"), *mounts;
    enum diag_status status;
    char field[FIELD_MAX];

    mounts = injection->pod_template->volume_mounts;
    snprintf(field, sizeof field, "/spec/containers/%zu/volumeMounts", index);
    if (json_array_size(mounts) == 0)
        return DIAG_OK;
    status = need_list(injection, own, field);
    for (size_t i = 0; status == DIAG_OK && i < json_array_size(mounts); i++) {
        const json_t *mount = json_array_get(mounts, i);
        const char *path = diag_json_member_text(mount, "mountPath");
        const json_t *found = diag_json_find(own, "mountPath", path, NULL);

        if (found == NULL)
            status = append(injection, json_deep_copy(mount), field);
        else if (!diag_json_is_text(json_object_get(found, "name"),
                                    diag_json_member_text(mount, "name")))
            status = taken(injection, "a volume mount at", path);
    }
    return status;
}

/* A variable of `env` hides the one of that name in envFrom, whose value cannot be seen here, and
 * Kubernetes does not expand it either. So the application would lose its own. */
static enum diag_status check_env_from(struct injection *injection, const json_t *container) {
    const json_t *sources = json_object_get(container, "envFrom");

    if (!diag_json_is_absent(sources) && !json_is_array(sources))
        return diag_error_set(injection->err, DIAG_ERR_UNSUPPORTED, 0, "envFrom is not a list");
    for (size_t i = 0; i < json_array_size(sources); i++) {
        const char *prefix = diag_json_member_text(json_array_get(sources, i), "prefix");

        if (prefix != NULL && strncmp("PYTHONPATH", prefix, strlen(prefix)) != 0)
            continue;
        return diag_error_set(
            injection->err, DIAG_ERR_UNSUPPORTED, 0,
            "container \"%.63s\" has envFrom, which may set PYTHONPATH; name it in "
            "env, with the value \"\" if there is none",
            diag_json_member_text(container, "name"));
    }
    return DIAG_OK;
}

/* Another webhook may have put its own path before ours since, and the first sitecustomize is the
 * only one that Python runs; ours runs the next one. */
static enum diag_status prefix_python_path(struct injection *injection, const json_t *container,
                                           const json_t *variable, const char *ours,
                                           const char *value_path) {
    const json_t *value = json_object_get(variable, "value");
    const char *theirs = diag_json_is_absent(value) ? "" : diag_json_text(value);
    DIAG_CLEANUP(diag_freep) char *joined = NULL;

    if (!diag_json_is_absent(json_object_get(variable, "valueFrom")) || theirs == NULL)
        return diag_error_set(
            injection->err, DIAG_ERR_UNSUPPORTED, 0,
            "container \"%.63s\" has PYTHONPATH by valueFrom, to which nothing can "
            "be added; give it by value",
            diag_json_member_text(container, "name"));
    joined = diag_text_list_put_first(theirs, ':', ours);
    if (joined != NULL && strcmp(joined, theirs) == 0)
        return DIAG_OK;
    return diag_json_patch_add(injection->operations, json_string(joined), injection->err, "%s",
                               value_path);
}

static enum diag_status add_variable(struct injection *injection, const json_t *container,
                                     const json_t *variable, const char *field) {
    const json_t *own = json_object_get(container, "env");
    const char *name = diag_json_member_text(variable, "name");
    char value_path[2 * FIELD_MAX];
    enum diag_status status;
    const json_t *found;
    size_t index;

    found = diag_json_find(own, "name", name, &index);
    if (strcmp(name, "PYTHONPATH") == 0 && found != NULL) {
        snprintf(value_path, sizeof value_path, "%s/%zu/value", field, index);
        return prefix_python_path(injection, container, found,
                                  diag_json_member_text(variable, "value"), value_path);
    }
    if (found != NULL)
        return DIAG_OK;
    if (strcmp(name, "PYTHONPATH") == 0) {
        status = check_env_from(injection, container);
        if (status != DIAG_OK)
            return status;
    }
    return append(injection,
                  fill_variable(injection, variable, diag_json_member_text(container, "name")),
                  field);
}

static enum diag_status add_env(struct injection *injection, const json_t *container,
                                size_t index) {
    const json_t *env = injection->pod_template->env;
    enum diag_status status;
    char field[FIELD_MAX];

    snprintf(field, sizeof field, "/spec/containers/%zu/env", index);
    if (json_array_size(env) == 0)
        return DIAG_OK;
    status = need_list(injection, json_object_get(container, "env"), field);
    for (size_t i = 0; status == DIAG_OK && i < json_array_size(env); i++)
        status = add_variable(injection, container, json_array_get(env, i), field);
    return status;
}

static enum diag_status add_to_containers(struct injection *injection) {
    const json_t *containers = json_object_get(injection->spec, "containers");
    enum diag_status status = DIAG_OK;

    for (size_t i = 0; status == DIAG_OK && i < injection->choice.count; i++) {
        size_t index = injection->choice.indices[i];
        const json_t *container = json_array_get(containers, index);

        status = add_env(injection, container, index);
        if (status == DIAG_OK)
            status = add_volume_mounts(injection, container, index);
    }
    return status;
}

/* ---- the whole ---- */

/* Takes ownership of `value`. */
static enum diag_status set_annotation(struct injection *injection, const char *key,
                                       json_t *value) {
    char escaped[2 * DIAG_POD_TEMPLATE_KEY_MAX + 1];

    diag_json_pointer_escape(key, escaped, sizeof escaped);
    return diag_json_patch_add(injection->operations, value, injection->err,
                               "/metadata/annotations/%s", escaped);
}

static enum diag_status append_local_volumes(struct injection *injection, const char *own,
                                             const char *volumes) {
    DIAG_CLEANUP(diag_freep) char *text = diag_text_list_append_missing(own, ',', volumes);

    if (text != NULL && strcmp(text, own) == 0)
        return DIAG_OK;
    return set_annotation(injection, ANNOTATION_LOCAL_VOLUMES, json_string(text));
}

static enum diag_status add_annotations(struct injection *injection, const json_t *pod) {
    const json_t *own = json_object_get(json_object_get(pod, "metadata"), "annotations");
    json_t *annotations = injection->pod_template->annotations, *value;
    enum diag_status status = DIAG_OK;
    const char *key;

    json_object_foreach(annotations, key, value) {
        const char *text = diag_json_member_text(own, key);

        if (status == DIAG_OK && json_object_get(own, key) == NULL)
            status = set_annotation(injection, key, json_deep_copy(value));
        else if (status == DIAG_OK && text != NULL && strcmp(key, ANNOTATION_LOCAL_VOLUMES) == 0)
            status = append_local_volumes(injection, text, diag_json_text(value));
    }
    return status;
}

enum diag_status diag_injection_make(const struct diag_pod_template *pod_template,
                                     const json_t *pod, json_t **operations,
                                     struct diag_error *err) {
    json_auto_t *made = NULL;
    struct injection injection = {
        .pod_template = pod_template,
        .spec = json_object_get(pod, "spec"),
        .workload = diag_pod_workload(pod),
        .err = err,
    };
    enum diag_status status = diag_pod_choice_make(pod_template, pod, &injection.choice, err);

    if (status == DIAG_OK)
        status = diag_pod_resources_check(injection.spec, pod_template->init_containers, err);
    if (status != DIAG_OK)
        return status;
    made = json_array();
    if (made == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "out of memory for the patch");
    injection.operations = made;
    status = add_volumes(&injection);
    if (status == DIAG_OK)
        status = add_init_containers(&injection);
    if (status == DIAG_OK)
        status = add_to_containers(&injection);
    if (status == DIAG_OK)
        status = add_annotations(&injection, pod);
    if (status == DIAG_OK)
        *operations = DIAG_TAKE_PTR(made);
    return status;
}
