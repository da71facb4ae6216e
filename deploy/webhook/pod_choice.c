/* SPDX-License-Identifier: MIT */
#include "deploy/webhook/pod_choice.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "deploy/webhook/json_read.h"
#include "deploy/webhook/pod_nodes.h"

#define ANNOTATION_MIRROR "kubernetes.io/config.mirror"

static enum diag_status check_inject(const json_t *pod, struct diag_error *err) {
    const json_t *annotations = json_object_get(json_object_get(pod, "metadata"), "annotations");
    const json_t *inject = json_object_get(annotations, DIAG_ANNOTATION_INJECT);
    const char *text = diag_json_text(inject);

    if (inject == NULL || diag_json_is_text(inject, "false"))
        return diag_error_set(err, DIAG_ERR_NOT_FOUND, 0, "not asked for");
    if (diag_json_is_text(inject, "true"))
        return DIAG_OK;
    return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                          "annotation " DIAG_ANNOTATION_INJECT
                          ": \"%.32s\" is neither \"true\" nor \"false\"",
                          text != NULL ? text : "what is given");
}

/* A kubelet has started a static pod by itself; of its mirror, API servers refuse volumes of
 * Secrets, and nothing that changes it changes the pod. */
static enum diag_status check_mirror(const json_t *annotations, struct diag_error *err) {
    if (json_object_get(annotations, ANNOTATION_MIRROR) == NULL)
        return DIAG_OK;
    return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                          "the pod is a static pod's mirror (" ANNOTATION_MIRROR
                          "), which the kubelet has started already");
}

/* The sidecar's health port would be the node's, for one pod only. */
static enum diag_status check_network(const json_t *spec, struct diag_error *err) {
    if (!json_is_true(json_object_get(spec, "hostNetwork")))
        return DIAG_OK;
    return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                          "the pod has the node's network (hostNetwork), where the ports of two "
                          "sidecars would be one");
}

/* 3.MINOR. A version that the image does not have is the image's to refuse. */
static enum diag_status check_python(const json_t *annotations, struct diag_error *err) {
    const json_t *hint = json_object_get(annotations, DIAG_ANNOTATION_PYTHON);
    const char *text = diag_json_text(hint);

    if (hint == NULL)
        return DIAG_OK;
    if (text != NULL && strncmp(text, "3.", 2) == 0 && isdigit((unsigned char)text[2]) &&
        strspn(text + 2, "0123456789") == strlen(text + 2) && strlen(text + 2) <= 2)
        return DIAG_OK;
    return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                          "annotation " DIAG_ANNOTATION_PYTHON
                          ": \"%.32s\" is not a version such as \"3.12\"",
                          text != NULL ? text : "what is given");
}

static enum diag_status check_containers(const json_t *containers, struct diag_error *err) {
    if (json_array_size(containers) == 0)
        return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                              "spec.containers is not a list of containers");
    for (size_t i = 0; i < json_array_size(containers); i++)
        if (diag_json_member_text(json_array_get(containers, i), "name") == NULL)
            return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0, "spec.containers[%zu] has no name",
                                  i);
    return DIAG_OK;
}

/* "app", "worker", ... into `text`, as many as fit. */
static void list_names(const json_t *containers, char *text, size_t size) {
    size_t length = 0;

    text[0] = '\0';
    for (size_t i = 0; i < json_array_size(containers); i++) {
        const char *name = diag_json_member_text(json_array_get(containers, i), "name");
        int added = snprintf(text + length, size - length, "%s%.63s", i > 0 ? ", " : "", name);

        if (added < 0 || (size_t)added >= size - length) {
            text[length] = '\0';
            return;
        }
        length += (size_t)added;
    }
}

static enum diag_status choose_name(const json_t *containers, const char *name, size_t length,
                                    struct diag_pod_choice *choice, struct diag_error *err) {
    char names[160];

    for (size_t i = 0; i < json_array_size(containers); i++) {
        const char *own = diag_json_member_text(json_array_get(containers, i), "name");

        if (strlen(own) != length || memcmp(own, name, length) != 0)
            continue;
        for (size_t j = 0; j < choice->count; j++)
            if (choice->indices[j] == i)
                return DIAG_OK;
        if (choice->count == DIAG_POD_CHOICE_MAX)
            return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                                  "annotation " DIAG_ANNOTATION_CONTAINERS
                                  ": more than %d containers",
                                  DIAG_POD_CHOICE_MAX);
        choice->indices[choice->count++] = i;
        return DIAG_OK;
    }
    list_names(containers, names, sizeof names);
    return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                          "annotation " DIAG_ANNOTATION_CONTAINERS
                          ": the pod has no container \"%.*s\", only: %s",
                          (int)(length < 63 ? length : 63), name, names);
}

static enum diag_status choose_named(const json_t *containers, const char *names,
                                     struct diag_pod_choice *choice, struct diag_error *err) {
    while (*names != '\0') {
        size_t length = strcspn(names, ", ");

        if (length > 0) {
            enum diag_status status = choose_name(containers, names, length, choice, err);
            if (status != DIAG_OK)
                return status;
        }
        names += length;
        names += strspn(names, ", ");
    }
    if (choice->count > 0)
        return DIAG_OK;
    return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                          "annotation " DIAG_ANNOTATION_CONTAINERS ": names no container");
}

static bool has_mount(const json_t *container, const json_t *volume_mounts) {
    const json_t *own = json_object_get(container, "volumeMounts");

    for (size_t i = 0; i < json_array_size(volume_mounts); i++) {
        const json_t *mount = json_array_get(volume_mounts, i);
        const json_t *found =
            diag_json_find(own, "mountPath", diag_json_member_text(mount, "mountPath"), NULL);

        if (diag_json_is_text(json_object_get(found, "name"), diag_json_member_text(mount, "name")))
            return true;
    }
    return false;
}

/* Another webhook may have put a container of its own before the first since then. */
static void choose_injected(const struct diag_pod_template *pod_template, const json_t *containers,
                            struct diag_pod_choice *choice) {
    for (size_t i = 0; i < json_array_size(containers) && choice->count < DIAG_POD_CHOICE_MAX;
         i++) {
        const json_t *container = json_array_get(containers, i);
        const char *name = diag_json_member_text(container, "name");

        if (has_mount(container, pod_template->volume_mounts) &&
            diag_json_find(pod_template->init_containers, "name", name, NULL) == NULL)
            choice->indices[choice->count++] = i;
    }
}

enum diag_status diag_pod_choice_make(const struct diag_pod_template *pod_template,
                                      const json_t *pod, struct diag_pod_choice *choice,
                                      struct diag_error *err) {
    const json_t *annotations = json_object_get(json_object_get(pod, "metadata"), "annotations");
    const json_t *spec = json_object_get(pod, "spec");
    const json_t *containers = json_object_get(spec, "containers");
    const json_t *named = json_object_get(annotations, DIAG_ANNOTATION_CONTAINERS);
    struct diag_pod_choice made = {0};
    enum diag_status status = check_inject(pod, err);

    if (status == DIAG_OK)
        status = check_mirror(annotations, err);
    if (status == DIAG_OK)
        status = diag_pod_nodes_check(spec, err);
    if (status == DIAG_OK)
        status = check_network(spec, err);
    if (status == DIAG_OK)
        status = check_python(annotations, err);
    if (status == DIAG_OK)
        status = check_containers(containers, err);
    if (status != DIAG_OK)
        return status;
    made.is_injected = json_object_get(annotations, DIAG_ANNOTATION_INJECTED) != NULL;
    if (named != NULL && diag_json_text(named) == NULL)
        return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                              "annotation " DIAG_ANNOTATION_CONTAINERS " is not text");
    if (named != NULL) {
        status = choose_named(containers, diag_json_text(named), &made, err);
        if (status != DIAG_OK)
            return status;
    } else if (made.is_injected) {
        choose_injected(pod_template, containers, &made);
    }
    if (made.count == 0)
        made.indices[made.count++] = 0;
    *choice = made;
    return DIAG_OK;
}
