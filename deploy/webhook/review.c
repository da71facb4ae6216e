/* SPDX-License-Identifier: MIT */
#include "deploy/webhook/review.h"

#include <stdio.h>
#include <string.h>

#include "deploy/webhook/base64.h"
#include "deploy/webhook/injection.h"
#include "deploy/webhook/json_read.h"
#include "deploy/webhook/pod_names.h"
#include "lib/base/cleanup.h"

#define API_VERSION "admission.k8s.io/v1"
#define API_VERSION_BETA "admission.k8s.io/v1beta1"
#define WARNING_PREFIX "diagnose: not instrumented: "
#define REAL_DIGITS 15 /* 0.1 stays 0.1 */

/* What is being answered. Everything but `operations` is borrowed from `root`. */
struct question {
    json_t *root;
    const json_t *request, *uid, *pod;
    bool has_duplicate_keys;
};

void diag_review_answer_done(struct diag_review_answer *answer) {
    diag_buffer_done(&answer->body);
}

static enum diag_status no_memory(struct diag_error *err) {
    return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "out of memory for this AdmissionReview");
}

/* ---- the question ---- */

/* With keys that come twice it is read all the same, so that the uid can be answered. */
static enum diag_status load(struct diag_bytes review, struct question *question,
                             struct diag_error *err) {
    json_error_t why;
    const char *text = (const char *)review.data;

    question->root = json_loadb(text, review.size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    if (question->root == NULL && json_error_code(&why) == json_error_duplicate_key) {
        question->has_duplicate_keys = true;
        question->root = json_loadb(text, review.size, JSON_ALLOW_NUL, &why);
    }
    if (question->root == NULL && json_error_code(&why) == json_error_out_of_memory)
        return no_memory(err);
    if (question->root == NULL)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "not JSON: line %d: %s", why.line,
                              why.text);
    return DIAG_OK;
}

static enum diag_status read_question(struct diag_bytes review, struct question *question,
                                      struct diag_error *err) {
    enum diag_status status = load(review, question, err);
    const char *uid;

    if (status != DIAG_OK)
        return status;
    question->request = json_object_get(question->root, "request");
    question->uid = json_object_get(question->request, "uid");
    uid = diag_json_text(question->uid);
    if (uid == NULL || uid[0] == '\0')
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "not an AdmissionReview: request.uid is %s",
                              uid != NULL ? "empty" : "no text");
    question->pod = json_object_get(question->request, "object");
    return DIAG_OK;
}

static bool is_pod_creation(const json_t *request) {
    const json_t *kind = json_object_get(request, "kind");
    const json_t *subresource = json_object_get(request, "subResource");

    return diag_json_is_text(json_object_get(kind, "group"), "") &&
           diag_json_is_text(json_object_get(kind, "version"), "v1") &&
           diag_json_is_text(json_object_get(kind, "kind"), "Pod") &&
           diag_json_is_text(json_object_get(request, "operation"), "CREATE") &&
           (diag_json_is_absent(subresource) || diag_json_is_text(subresource, ""));
}

/* *operations stays NULL if the pod is not asked about. */
static enum diag_status decide(const struct diag_pod_template *pod_template,
                               const struct question *question, json_t **operations,
                               struct diag_error *err) {
    const char *version = diag_json_member_text(question->root, "apiVersion");

    if (!diag_json_is_text(json_object_get(question->root, "kind"), "AdmissionReview") ||
        version == NULL || strcmp(version, API_VERSION) != 0)
        return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                              "the review is of \"%.64s\"; only AdmissionReview of " API_VERSION
                              " is known",
                              version != NULL ? version : "no version");
    if (!is_pod_creation(question->request))
        return DIAG_ERR_NOT_FOUND;
    if (question->has_duplicate_keys)
        return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0, "the review has the same key twice");
    return diag_injection_make(pod_template, question->pod, operations, err);
}

/* ---- whom it is about ---- */

/* Copies a text that has only characters of names and API groups; else leaves it empty. Such texts
 * become parts of a URL. */
static void copy_name(const char *text, char *copy, size_t size) {
    copy[0] = '\0';
    if (text == NULL || strlen(text) >= size || strstr(text, "..") != NULL ||
        text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-/")] !=
            '\0')
        return;
    memcpy(copy, text, strlen(text) + 1);
}

static void describe(const struct question *question, struct diag_review_notice *notice) {
    const json_t *metadata = json_object_get(question->pod, "metadata");
    const json_t *controller = diag_pod_controller(question->pod);
    const char *space = diag_json_member_text(question->request, "namespace");
    const char *name = diag_json_member_text(metadata, "name");

    copy_name(space, notice->namespace_name, sizeof notice->namespace_name);
    if (strchr(notice->namespace_name, '/') != NULL)
        notice->namespace_name[0] = '\0';
    if ((name == NULL || name[0] == '\0') && controller != NULL) {
        copy_name(diag_json_member_text(controller, "apiVersion"), notice->api_version,
                  sizeof notice->api_version);
        copy_name(diag_json_member_text(controller, "kind"), notice->kind, sizeof notice->kind);
        copy_name(diag_json_member_text(controller, "name"), notice->name, sizeof notice->name);
        copy_name(diag_json_member_text(controller, "uid"), notice->uid, sizeof notice->uid);
        return;
    }
    copy_name("v1", notice->api_version, sizeof notice->api_version);
    copy_name("Pod", notice->kind, sizeof notice->kind);
    copy_name(name, notice->name, sizeof notice->name);
}

/* What came from the pod may hold anything, cut anywhere; a warning becomes an HTTP header. */
static void copy_reason(const char *reason, char *copy) {
    size_t size = strnlen(reason, DIAG_REVIEW_REASON_MAX);

    for (size_t i = 0; i < size; i++)
        copy[i] = reason[i] < ' ' || reason[i] > '~' ? '?' : reason[i];
    copy[size] = '\0';
}

/* ---- the answer ---- */

static int append_text(const char *text, size_t size, void *buffer) {
    return diag_buffer_append(buffer, diag_bytes_make(text, size)) == DIAG_OK ? 0 : -1;
}

static enum diag_status dump(const json_t *value, struct diag_buffer *buffer,
                             struct diag_error *err) {
    if (json_dump_callback(value, append_text, buffer,
                           JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS)) != 0)
        return no_memory(err);
    return DIAG_OK;
}

static enum diag_status set(json_t *object, const char *key, json_t *value,
                            struct diag_error *err) {
    return json_object_set_new(object, key, value) == 0 ? DIAG_OK : no_memory(err);
}

static enum diag_status set_patch(json_t *response, const json_t *operations,
                                  struct diag_error *err) {
    DIAG_CLEANUP(diag_buffer_done) struct diag_buffer text = {0};
    DIAG_CLEANUP(diag_freep) char *encoded = NULL;
    enum diag_status status = dump(operations, &text, err);

    if (status != DIAG_OK)
        return status;
    encoded = diag_base64_encode(diag_buffer_bytes(&text));
    if (encoded == NULL)
        return no_memory(err);
    status = set(response, "patchType", json_string("JSONPatch"), err);
    if (status == DIAG_OK)
        status = set(response, "patch", json_string(encoded), err);
    return status;
}

static enum diag_status set_warning(json_t *response, const char *reason, struct diag_error *err) {
    return set(response, "warnings", json_pack("[o]", json_sprintf(WARNING_PREFIX "%s", reason)),
               err);
}

static enum diag_status write_answer(const struct question *question, const json_t *operations,
                                     struct diag_review_answer *answer, struct diag_error *err) {
    bool is_beta =
        diag_json_is_text(json_object_get(question->root, "apiVersion"), API_VERSION_BETA);
    json_auto_t *review = NULL;
    json_t *response;
    enum diag_status status = DIAG_OK;

    review = json_pack("{s:s, s:s, s:{s:O, s:b}}", "apiVersion",
                       is_beta ? API_VERSION_BETA : API_VERSION, "kind", "AdmissionReview",
                       "response", "uid", question->uid, "allowed", 1);
    if (review == NULL)
        return no_memory(err);
    response = json_object_get(review, "response");
    if (answer->outcome == DIAG_REVIEW_PATCHED)
        status = set_patch(response, operations, err);
    if (status == DIAG_OK && answer->outcome == DIAG_REVIEW_STAYED_OUT)
        status = set_warning(response, answer->notice.reason, err);
    if (status == DIAG_OK)
        status = dump(review, &answer->body, err);
    return status;
}

static enum diag_status answer_question(const struct diag_pod_template *pod_template,
                                        const struct question *question,
                                        struct diag_review_answer *answer, struct diag_error *err) {
    json_auto_t *operations = NULL;
    struct diag_error reason = {0};
    enum diag_status status = decide(pod_template, question, &operations, &reason);

    describe(question, &answer->notice);
    answer->is_dry_run = json_is_true(json_object_get(question->request, "dryRun"));
    if (status == DIAG_OK && json_array_size(operations) > 0) {
        answer->outcome = DIAG_REVIEW_PATCHED;
    } else if (status == DIAG_OK) {
        answer->outcome = DIAG_REVIEW_COMPLETE;
    } else if (status == DIAG_ERR_NOT_FOUND) {
        answer->outcome = DIAG_REVIEW_NOT_ASKED;
    } else if (status == DIAG_ERR_NO_MEMORY) {
        return no_memory(err);
    } else {
        answer->outcome = DIAG_REVIEW_STAYED_OUT;
        copy_reason(reason.message, answer->notice.reason);
    }
    return write_answer(question, operations, answer, err);
}

enum diag_status diag_review_answer_make(const struct diag_pod_template *pod_template,
                                         struct diag_bytes review,
                                         struct diag_review_answer *answer,
                                         struct diag_error *err) {
    struct diag_review_answer made = {0};
    struct question question = {0};
    enum diag_status status = read_question(review, &question, err);

    if (status == DIAG_OK)
        status = answer_question(pod_template, &question, &made, err);
    json_decref(question.root);
    if (status != DIAG_OK) {
        diag_review_answer_done(&made);
        return status;
    }
    *answer = made;
    return DIAG_OK;
}
