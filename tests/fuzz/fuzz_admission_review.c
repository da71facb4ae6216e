/* SPDX-License-Identifier: MIT */
/* Any bytes as an AdmissionReview, or as the pod of a well-formed one: every answer allows, every
 * patch applies, and what has been patched is complete. */
#include <jansson.h>

#include "deploy/webhook/json_cost.h"
#include "deploy/webhook/review.h"
#include "tests/fuzz/fuzz_input.h"

#define COST_MAX ((size_t)256 << 20)
#define HEAD                                                                                       \
    "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{"           \
    "\"uid\":\"u\",\"kind\":{\"group\":\"\",\"version\":\"v1\",\"kind\":\"Pod\"},"                 \
    "\"operation\":\"CREATE\",\"namespace\":\"n\",\"object\":"

static const char TEMPLATE[] =
    "{metadata: {annotations: {diagnose.dev/injected: x, a/b~c: d}}, spec: {volumes: [{name: v},"
    "{name: w}], initContainers: [{name: i}, {name: s, env: [{name: DIAGNOSE_CONTAINER, value: ''},"
    "{name: DIAGNOSE_WORKLOAD, value: ''}]}], containers: [{env: [{name: PYTHONPATH, value: /d},"
    "{name: DIAGNOSE_CONTAINER, value: ''}], volumeMounts: [{name: v, mountPath: /d}]}]}}";

static struct diag_pod_template pod_template;

static void read_template(void) {
    if (pod_template.volumes != NULL)
        return;
    MUST(diag_pod_template_init(&pod_template, NULL) == DIAG_OK);
    MUST(diag_pod_template_add(&pod_template, "t", diag_bytes_from_text(TEMPLATE), NULL) ==
         DIAG_OK);
}

/* The place that `path` (of the webhook: nothing but "~1" and "~0" is escaped) leads to, and its
 * last segment. */
static json_t *walk(json_t *document, const char *path, char last[256]) {
    for (;;) {
        size_t length = 0;

        MUST(*path == '/');
        for (path++; *path != '\0' && *path != '/'; path++) {
            MUST(length < 255);
            last[length++] = *path != '~' ? *path : *++path == '1' ? '/' : '~';
        }
        last[length] = '\0';
        if (*path == '\0')
            return document;
        document = json_is_array(document) ? json_array_get(document, strtoul(last, NULL, 10))
                                           : json_object_get(document, last);
        MUST(document != NULL);
    }
}

static void apply(json_t *pod, const json_t *operations) {
    MUST(json_array_size(operations) > 0);
    for (size_t i = 0; i < json_array_size(operations); i++) {
        json_t *operation = json_array_get(operations, i);
        json_t *value = json_object_get(operation, "value");
        char last[256];
        json_t *place = walk(pod, json_string_value(json_object_get(operation, "path")), last);

        if (json_is_object(place)) {
            MUST(json_object_set(place, last, value) == 0);
            continue;
        }
        MUST(json_is_array(place));
        MUST(json_array_insert(
                 place, strcmp(last, "-") == 0 ? json_array_size(place) : strtoul(last, NULL, 10),
                 value) == 0);
    }
}

static json_t *decode(const char *text) {
    static const char ALPHABET[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t length = 0, size = strlen(text);
    char *bytes = malloc(size + 1);
    unsigned bits = 0, count = 0;
    json_t *value;

    MUST(bytes != NULL && size % 4 == 0);
    for (; *text != '\0' && *text != '='; text++) {
        MUST(strchr(ALPHABET, *text) != NULL);
        bits = bits << 6 | (unsigned)(strchr(ALPHABET, *text) - ALPHABET);
        count += 6;
        if (count >= 8) {
            count -= 8;
            bytes[length++] = (char)(bits >> count & 255);
        }
    }
    value = json_loadb(bytes, length, JSON_ALLOW_NUL, NULL);
    free(bytes);
    MUST(value != NULL);
    return value;
}

/* Asks, and checks what holds for every answer. NULL: refused. */
static json_t *ask(struct diag_bytes review, enum diag_review_outcome *outcome) {
    struct diag_review_answer answer = {0};
    struct diag_error err;
    enum diag_status status = diag_review_answer_make(&pod_template, review, &answer, &err);
    json_t *root, *response;

    MUST(status == DIAG_OK || status == DIAG_ERR_INVALID);
    if (status != DIAG_OK)
        return NULL;
    root = json_loadb((const char *)answer.body.data, answer.body.size, JSON_ALLOW_NUL, NULL);
    response = json_object_get(root, "response");
    MUST(json_is_true(json_object_get(response, "allowed")));
    MUST(json_string_length(json_object_get(response, "uid")) > 0);
    MUST((json_object_get(response, "patch") != NULL) == (answer.outcome == DIAG_REVIEW_PATCHED));
    MUST((json_object_get(response, "warnings") != NULL) ==
         (answer.outcome == DIAG_REVIEW_STAYED_OUT));
    MUST((answer.notice.reason[0] != '\0') == (answer.outcome == DIAG_REVIEW_STAYED_OUT));
    MUST(strchr(answer.notice.namespace_name, '/') == NULL);
    *outcome = answer.outcome;
    diag_review_answer_done(&answer);
    return root;
}

static json_t *ask_about(const json_t *pod, enum diag_review_outcome *outcome) {
    char *text = json_dumps(pod, JSON_COMPACT | JSON_ENCODE_ANY);
    char *review;
    json_t *root;

    MUST(text != NULL && asprintf(&review, HEAD "%s}}", text) >= 0);
    root = ask(diag_bytes_from_text(review), outcome);
    free(review);
    free(text);
    return root;
}

static void try_pod(struct diag_bytes bytes) {
    json_t *pod = json_loadb((const char *)bytes.data, bytes.size,
                             JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    enum diag_review_outcome outcome;
    json_t *root, *operations;

    if (pod == NULL)
        return;
    root = ask_about(pod, &outcome);
    /* a pod that has a mount of a volume that it lacks takes one patch more */
    for (int i = 0; root != NULL && outcome == DIAG_REVIEW_PATCHED; i++) {
        MUST(i < 2);
        operations =
            decode(json_string_value(json_object_get(json_object_get(root, "response"), "patch")));
        apply(pod, operations);
        json_decref(operations);
        json_decref(root);
        root = ask_about(pod, &outcome);
        MUST(root != NULL && (outcome == DIAG_REVIEW_PATCHED || outcome == DIAG_REVIEW_COMPLETE));
    }
    json_decref(root);
    json_decref(pod);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct diag_bytes input = {data, size};
    enum diag_review_outcome outcome;

    read_template();
    if (diag_json_cost(input) > COST_MAX)
        return 0;
    json_decref(ask(input, &outcome));
    try_pod(input);
    return 0;
}
