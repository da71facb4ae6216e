/* SPDX-License-Identifier: MIT */
#include "lib/spec/spec.h"

#include <ctype.h>
#include <string.h>

#include "lib/spec/spec_status.h"
#include "lib/spec/spec_target.h"
#include "lib/spec/spec_text.h"

void diag_spec_free(struct diag_spec *spec) {
    if (spec == NULL)
        return;
    free(spec->id);
    free(spec->target);
    free(spec->instrument.type);
    free(spec->instrument.name);
    free(spec->instrument.value);
    free(spec->instrument.event);
    free(spec->instrument.tags);
    for (size_t i = 0; i < spec->match_label_count; i++) {
        free(spec->match_labels[i].key);
        free(spec->match_labels[i].value);
    }
    free(spec->match_labels);
    free(spec);
}

const char *diag_spec_state_name(enum diag_spec_state state) {
    switch (state) {
    case DIAG_SPEC_STATE_UNSPECIFIED:
        break;
    case DIAG_SPEC_STATE_PENDING:
        return "PENDING";
    case DIAG_SPEC_STATE_ARMED:
        return "ARMED";
    case DIAG_SPEC_STATE_FAILED:
        return "FAILED";
    case DIAG_SPEC_STATE_EXPIRED:
        return "EXPIRED";
    case DIAG_SPEC_STATE_REMOVED:
        return "REMOVED";
    case DIAG_SPEC_STATE_TRIPPED:
        return "TRIPPED";
    }
    return "UNSPECIFIED";
}

const char *diag_skip_name(enum diag_skip skip) {
    switch (skip) {
    case DIAG_SKIP_REENTRANT:
        return "reentrant";
    case DIAG_SKIP_IN_FLIGHT:
        return "in flight";
    case DIAG_SKIP_UNBOUND:
        return "unbound";
    case DIAG_SKIP_FILTERED:
        return "filtered";
    case DIAG_SKIP_COUNT:
        break;
    }
    return "unknown";
}

static enum diag_status check_length(const char *field, const char *text, size_t max,
                                     struct diag_error *err) {
    size_t length = strlen(text);

    if (length == 0)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "%s: missing", field);
    if (length > max)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "%s: %zu bytes, at most %zu are allowed",
                              field, length, max);
    return DIAG_OK;
}

static bool is_id_character(char c) {
    return isascii(c) && (isalnum((unsigned char)c) || c == '.' || c == '_' || c == '-');
}

enum diag_status diag_spec_validate_id(const char *id, struct diag_error *err) {
    enum diag_status status = check_length("id", id, DIAG_SPEC_ID_MAX, err);

    if (status != DIAG_OK)
        return status;
    if (!isascii(id[0]) || !isalnum((unsigned char)id[0]))
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "id: \"%s\" does not begin with a letter or a digit", id);
    for (const char *at = id; *at != '\0'; at++)
        if (!is_id_character(*at))
            return diag_error_set(err, DIAG_ERR_INVALID, 0,
                                  "id: \"%s\" has a character other than A-Z a-z 0-9 . _ - at "
                                  "position %td",
                                  id, at - id + 1);
    return DIAG_OK;
}

static enum diag_status check_one_of(const char *field, const char *text,
                                     const char *const *allowed, size_t count, const char *list,
                                     struct diag_error *err) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, allowed[i]) == 0)
            return DIAG_OK;
    return diag_error_set(err, DIAG_ERR_INVALID, 0, "%s: \"%.*s\" is not one of: %s", field,
                          diag_spec_shown_size(text, 64), text, list);
}

static enum diag_status check_instrument(const struct diag_instrument *instrument,
                                         struct diag_error *err) {
    static const char *const types[] = {"log", "incr", "hist"};
    enum diag_spec_event event;
    int line;
    enum diag_status status;

    status = check_length("instrument.type", instrument->type, DIAG_SPEC_NAME_MAX, err);
    if (status != DIAG_OK)
        return status;
    status = check_one_of("instrument.type", instrument->type, types, DIAG_ARRAY_SIZE(types),
                          "log, incr, hist", err);
    if (status != DIAG_OK)
        return status;
    status = check_length("instrument.name", instrument->name, DIAG_SPEC_NAME_MAX, err);
    if (status != DIAG_OK)
        return status;
    status = check_length("instrument.value", instrument->value, DIAG_SPEC_EXPRESSION_MAX, err);
    if (status != DIAG_OK)
        return status;
    status = diag_spec_event_parse(instrument->event, &event, &line, err);
    if (status != DIAG_OK)
        return status;
    if (instrument->tags != NULL)
        return check_length("instrument.custom.tags", instrument->tags, DIAG_SPEC_EXPRESSION_MAX,
                            err);
    return DIAG_OK;
}

enum diag_status diag_spec_validate(const struct diag_spec *spec, struct diag_error *err) {
    enum diag_status status = diag_spec_validate_id(spec->id, err);

    if (status != DIAG_OK)
        return status;
    status = check_length("target", spec->target, DIAG_SPEC_TARGET_MAX, err);
    if (status == DIAG_OK)
        status = diag_spec_target_check(spec->target, err);
    if (status != DIAG_OK)
        return status;
    status = check_instrument(&spec->instrument, err);
    if (status != DIAG_OK)
        return status;
    if (spec->lifespan_ms == 0)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "lifespan: missing or 0; give the minutes that the spec shall live");
    if (spec->lifespan_ms > DIAG_SPEC_LIFESPAN_MAX_MS)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "lifespan: %.6g minutes, at most 43200 (30 days) are allowed",
                              (double)spec->lifespan_ms / 60000.0);
    if (spec->match_label_count > DIAG_SPEC_LABELS_MAX)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "selector.labels: %zu labels, at most %d are allowed",
                              spec->match_label_count, DIAG_SPEC_LABELS_MAX);
    for (size_t i = 0; i < spec->match_label_count; i++) {
        status =
            check_length("selector.labels", spec->match_labels[i].key, DIAG_SPEC_LABEL_MAX, err);
        if (status != DIAG_OK)
            return status;
        if (strlen(spec->match_labels[i].value) > DIAG_SPEC_LABEL_MAX)
            return diag_error_set(err, DIAG_ERR_INVALID, 0,
                                  "selector.labels.%.*s: at most %d bytes are allowed",
                                  diag_spec_shown_size(spec->match_labels[i].key, 64),
                                  spec->match_labels[i].key, DIAG_SPEC_LABEL_MAX);
    }
    return DIAG_OK;
}

static bool text_equal(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static const char *find_label(const struct diag_label *labels, size_t count, const char *key) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(labels[i].key, key) == 0)
            return labels[i].value;
    return NULL;
}

bool diag_spec_matches(const struct diag_spec *spec, const struct diag_label *labels,
                       size_t label_count) {
    for (size_t i = 0; i < spec->match_label_count; i++) {
        const char *value = find_label(labels, label_count, spec->match_labels[i].key);
        if (value == NULL || strcmp(value, spec->match_labels[i].value) != 0)
            return false;
    }
    return true;
}

bool diag_spec_equal(const struct diag_spec *a, const struct diag_spec *b) {
    return text_equal(a->id, b->id) && text_equal(a->target, b->target) &&
           text_equal(a->instrument.type, b->instrument.type) &&
           text_equal(a->instrument.name, b->instrument.name) &&
           text_equal(a->instrument.value, b->instrument.value) &&
           text_equal(a->instrument.event, b->instrument.event) &&
           text_equal(a->instrument.tags, b->instrument.tags) && a->lifespan_ms == b->lifespan_ms &&
           a->match_label_count == b->match_label_count &&
           diag_spec_matches(a, b->match_labels, b->match_label_count);
}
