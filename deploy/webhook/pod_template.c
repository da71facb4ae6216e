/* SPDX-License-Identifier: MIT */
#include "deploy/webhook/pod_template.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "deploy/webhook/json_read.h"
#include "deploy/webhook/yaml_json.h"
#include "lib/base/cleanup.h"

#define FILE_SIZE_MAX (1u << 20) /* a ConfigMap's limit */

struct source {
    const char *name; /* the file */
    struct diag_error *err;
};

enum diag_status diag_pod_template_init(struct diag_pod_template *pod_template,
                                        struct diag_error *err) {
    *pod_template = (struct diag_pod_template){
        .annotations = json_object(),
        .volumes = json_array(),
        .init_containers = json_array(),
        .env = json_array(),
        .volume_mounts = json_array(),
    };
    if (pod_template->annotations != NULL && pod_template->volumes != NULL &&
        pod_template->init_containers != NULL && pod_template->env != NULL &&
        pod_template->volume_mounts != NULL)
        return DIAG_OK;
    diag_pod_template_done(pod_template);
    return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "out of memory for the template");
}

void diag_pod_template_done(struct diag_pod_template *pod_template) {
    json_decref(pod_template->annotations);
    json_decref(pod_template->volumes);
    json_decref(pod_template->init_containers);
    json_decref(pod_template->env);
    json_decref(pod_template->volume_mounts);
    *pod_template = (struct diag_pod_template){0};
}

static enum diag_status invalid(const struct source *source, const char *field, const char *what) {
    return diag_error_set(source->err, DIAG_ERR_INVALID, 0, "%s: %s: %s", source->name, field,
                          what);
}

/* Every member of `object` is one of `known`. */
static enum diag_status check_members(const struct source *source, json_t *object,
                                      const char *field, const char *const *known, size_t count) {
    const char *key;
    json_t *value;

    if (!json_is_object(object))
        return invalid(source, field, "is not an object");
    json_object_foreach(object, key, value) {
        bool is_known = false;

        for (size_t i = 0; i < count; i++)
            is_known = is_known || strcmp(key, known[i]) == 0;
        if (!is_known)
            return diag_error_set(source->err, DIAG_ERR_INVALID, 0,
                                  "%s: %s: the webhook cannot inject the field \"%.64s\"",
                                  source->name, field, key);
    }
    return DIAG_OK;
}

/* Moves the items of `from` behind those of `list`; each has a name (and `other_key`, if there is
 * one), and each `identity` comes once. */
static enum diag_status take_list(const struct source *source, json_t *from, const char *field,
                                  const char *identity, const char *other_key, json_t *list) {
    json_t *item;
    size_t index;

    if (diag_json_is_absent(from))
        return DIAG_OK;
    if (!json_is_array(from))
        return invalid(source, field, "is not a list");
    json_array_foreach(from, index, item) {
        const char *name = diag_json_member_text(item, identity);

        if (name == NULL || (other_key != NULL && diag_json_member_text(item, other_key) == NULL))
            return diag_error_set(source->err, DIAG_ERR_INVALID, 0,
                                  "%s: %s[%zu]: not an object with a %s%s%s", source->name, field,
                                  index, identity, other_key != NULL ? " and a " : "",
                                  other_key != NULL ? other_key : "");
        if (diag_json_find(list, identity, name, NULL) != NULL)
            return diag_error_set(source->err, DIAG_ERR_INVALID, 0, "%s: %s: %s \"%.64s\" twice",
                                  source->name, field, identity, name);
        if (json_array_append(list, item) != 0)
            return diag_error_set(source->err, DIAG_ERR_NO_MEMORY, 0, "out of memory");
    }
    return DIAG_OK;
}

static enum diag_status take_annotations(const struct source *source, json_t *metadata,
                                         json_t *annotations) {
    static const char *const KNOWN[] = {"name", "annotations"};
    json_t *from = json_object_get(metadata, "annotations"), *value;
    enum diag_status status;
    const char *key;

    if (diag_json_is_absent(metadata))
        return DIAG_OK;
    status = check_members(source, metadata, "metadata", KNOWN, DIAG_ARRAY_SIZE(KNOWN));
    if (status != DIAG_OK || diag_json_is_absent(from))
        return status;
    if (!json_is_object(from))
        return invalid(source, "metadata.annotations", "is not an object");
    json_object_foreach(from, key, value) {
        if (diag_json_text(value) == NULL || strlen(key) > DIAG_POD_TEMPLATE_KEY_MAX)
            return diag_error_set(source->err, DIAG_ERR_INVALID, 0,
                                  "%s: metadata.annotations: \"%.64s\" is not a text, or its key "
                                  "is over %d bytes",
                                  source->name, key, DIAG_POD_TEMPLATE_KEY_MAX);
    }
    if (json_object_update(annotations, from) != 0)
        return diag_error_set(source->err, DIAG_ERR_NO_MEMORY, 0, "out of memory");
    return DIAG_OK;
}

static enum diag_status take_containers(const struct source *source, json_t *containers,
                                        struct diag_pod_template *pod_template) {
    static const char *const KNOWN[] = {"name", "env", "volumeMounts"};
    json_t *container = json_array_get(containers, 0);
    enum diag_status status;

    if (diag_json_is_absent(containers))
        return DIAG_OK;
    if (json_array_size(containers) != 1)
        return invalid(source, "spec.containers", "is not a list of one container");
    status = check_members(source, container, "spec.containers[0]", KNOWN, DIAG_ARRAY_SIZE(KNOWN));
    if (status == DIAG_OK)
        status = take_list(source, json_object_get(container, "env"), "spec.containers[0].env",
                           "name", NULL, pod_template->env);
    if (status == DIAG_OK)
        status = take_list(source, json_object_get(container, "volumeMounts"),
                           "spec.containers[0].volumeMounts", "mountPath", "name",
                           pod_template->volume_mounts);
    return status;
}

static enum diag_status take_spec(const struct source *source, json_t *spec,
                                  struct diag_pod_template *pod_template) {
    static const char *const KNOWN[] = {"volumes", "initContainers", "containers"};
    enum diag_status status;

    if (diag_json_is_absent(spec))
        return DIAG_OK;
    status = check_members(source, spec, "spec", KNOWN, DIAG_ARRAY_SIZE(KNOWN));
    if (status == DIAG_OK)
        status = take_list(source, json_object_get(spec, "volumes"), "spec.volumes", "name", NULL,
                           pod_template->volumes);
    if (status == DIAG_OK)
        status = take_list(source, json_object_get(spec, "initContainers"), "spec.initContainers",
                           "name", NULL, pod_template->init_containers);
    if (status == DIAG_OK)
        status = take_containers(source, json_object_get(spec, "containers"), pod_template);
    return status;
}

/* Its value is put before what is there, so it must be a plain text. */
static enum diag_status check_python_path(const struct source *source, const json_t *env) {
    const json_t *variable = diag_json_find(env, "name", "PYTHONPATH", NULL);
    const char *value = diag_json_member_text(variable, "value");

    if (variable != NULL && (value == NULL || value[0] == '\0'))
        return invalid(source, "spec.containers[0].env", "PYTHONPATH has no value");
    return DIAG_OK;
}

enum diag_status diag_pod_template_add(struct diag_pod_template *pod_template, const char *name,
                                       struct diag_bytes text, struct diag_error *err) {
    static const char *const KNOWN[] = {"apiVersion", "kind", "metadata", "spec"};
    const struct source source = {name, err};
    json_auto_t *root = NULL;
    json_t *pod, *workload;
    enum diag_status status = diag_yaml_json_read(name, text, &root, err);

    if (status != DIAG_OK)
        return status;
    workload = json_object_get(root, "spec");
    pod = json_object_get(workload, "template");
    if (pod == NULL)
        pod = json_object_get(root, "template");
    if (pod == NULL)
        pod = root;
    status = check_members(&source, pod, "the pod", KNOWN, DIAG_ARRAY_SIZE(KNOWN));
    if (status == DIAG_OK)
        status =
            take_annotations(&source, json_object_get(pod, "metadata"), pod_template->annotations);
    if (status == DIAG_OK)
        status = take_spec(&source, json_object_get(pod, "spec"), pod_template);
    if (status == DIAG_OK)
        status = check_python_path(&source, pod_template->env);
    return status;
}

enum diag_status diag_pod_template_add_file(struct diag_pod_template *pod_template,
                                            const char *path, struct diag_error *err) {
    DIAG_CLEANUP(diag_freep) uint8_t *text = malloc(FILE_SIZE_MAX + 1);
    FILE *file;
    size_t size;
    bool has_failed;

    if (text == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "%s", path);
    file = fopen(path, "re");
    if (file == NULL)
        return diag_error_set(err, DIAG_ERR_IO, errno, "%s", path);
    size = fread(text, 1, FILE_SIZE_MAX + 1, file);
    has_failed = ferror(file) != 0;
    fclose(file);
    if (has_failed)
        return diag_error_set(err, DIAG_ERR_IO, EIO, "%s", path);
    if (size > FILE_SIZE_MAX)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "%s: over %u bytes", path, FILE_SIZE_MAX);
    return diag_pod_template_add(pod_template, path, diag_bytes_make(text, size), err);
}

enum diag_status diag_pod_template_set_image(struct diag_pod_template *pod_template,
                                             struct diag_bytes container, const char *image,
                                             struct diag_error *err) {
    json_t *item;
    size_t index;

    json_array_foreach(pod_template->init_containers, index, item) {
        const char *name = diag_json_member_text(item, "name");

        if (!diag_bytes_equal(diag_bytes_from_text(name), container))
            continue;
        if (json_object_set_new(item, "image", json_string(image)) != 0)
            return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "out of memory");
        return DIAG_OK;
    }
    return diag_error_set(err, DIAG_ERR_NOT_FOUND, 0,
                          "the template has no init container called \"%.*s\"", (int)container.size,
                          (const char *)container.data);
}
