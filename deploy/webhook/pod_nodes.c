/* SPDX-License-Identifier: MIT */
#include "deploy/webhook/pod_nodes.h"

#include <string.h>

#include "deploy/webhook/json_read.h"

/* As Kubernetes calls them, which is GOOS and GOARCH. */
#define SYSTEM "linux"
#if defined(__x86_64__)
#define ARCHITECTURE "amd64"
#elif defined(__aarch64__)
#define ARCHITECTURE "arm64"
#else
#error "what does Kubernetes call this architecture?"
#endif

/* Labels of nodes, and their values where the injected images run. */
static const struct {
    const char *key, *value;
} LABELS[] = {
    {"kubernetes.io/os", SYSTEM},
    {"beta.kubernetes.io/os", SYSTEM},
    {"kubernetes.io/arch", ARCHITECTURE},
    {"beta.kubernetes.io/arch", ARCHITECTURE},
};

static enum diag_status check_value(const char *value, const char *ours, struct diag_error *err) {
    if (value == NULL || strcmp(value, ours) == 0)
        return DIAG_OK;
    return diag_error_set(
        err, DIAG_ERR_UNSUPPORTED, 0,
        "the pod is for %.32s nodes; what is injected is for " SYSTEM " on " ARCHITECTURE, value);
}

static bool has_text(const json_t *list, const char *text) {
    for (size_t i = 0; i < json_array_size(list); i++)
        if (diag_json_is_text(json_array_get(list, i), text))
            return true;
    return false;
}

/* Expressions about other labels, and by other operators, rule out nothing here. */
static bool is_excluding(const json_t *expression) {
    const json_t *operation = json_object_get(expression, "operator");

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(LABELS); i++) {
        bool is_listed = has_text(json_object_get(expression, "values"), LABELS[i].value);

        if (!diag_json_is_text(json_object_get(expression, "key"), LABELS[i].key))
            continue;
        return (diag_json_is_text(operation, "In") && !is_listed) ||
               (diag_json_is_text(operation, "NotIn") && is_listed);
    }
    return false;
}

/* A term without any condition matches no node. */
static bool can_match(const json_t *term) {
    const json_t *expressions = json_object_get(term, "matchExpressions");

    for (size_t i = 0; i < json_array_size(expressions); i++)
        if (is_excluding(json_array_get(expressions, i)))
            return false;
    return json_array_size(expressions) > 0 ||
           json_array_size(json_object_get(term, "matchFields")) > 0;
}

static enum diag_status check_affinity(const json_t *spec, struct diag_error *err) {
    const json_t *affinity = json_object_get(json_object_get(spec, "affinity"), "nodeAffinity");
    const json_t *terms =
        json_object_get(json_object_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution"),
                        "nodeSelectorTerms");

    if (json_array_size(terms) == 0)
        return DIAG_OK;
    for (size_t i = 0; i < json_array_size(terms); i++)
        if (can_match(json_array_get(terms, i)))
            return DIAG_OK;
    return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                          "the pod's required nodeAffinity rules out nodes with " SYSTEM
                          " on " ARCHITECTURE ", for which the injected images are");
}

enum diag_status diag_pod_nodes_check(const json_t *spec, struct diag_error *err) {
    const json_t *selector = json_object_get(spec, "nodeSelector");
    enum diag_status status =
        check_value(diag_json_member_text(json_object_get(spec, "os"), "name"), SYSTEM, err);

    for (size_t i = 0; status == DIAG_OK && i < DIAG_ARRAY_SIZE(LABELS); i++)
        status = check_value(diag_json_member_text(selector, LABELS[i].key), LABELS[i].value, err);
    if (status == DIAG_OK)
        status = check_affinity(spec, err);
    return status;
}
