/* SPDX-License-Identifier: MIT */
#include "ctl/status_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/memory.h"
#include "lib/spec/spec_status_codec.h"

#define CAUSE_TEXT_SIZE 32

const char *diag_status_view_state(Diagnose__V1__SpecState state) {
    static const char *const names[] = {"Unknown", "Pending", "Armed",  "Failed",
                                        "Expired", "Removed", "Tripped"};

    return (size_t)state < DIAG_ARRAY_SIZE(names) ? names[state] : names[0];
}

/* By its number if it is of a newer release. */
static void cause_text(char text[CAUSE_TEXT_SIZE], Diagnose__V1__SkipCause cause) {
    enum diag_skip skip;

    if (diag_spec_status_skip_of_cause((uint64_t)cause, &skip))
        snprintf(text, CAUSE_TEXT_SIZE, "%s", diag_skip_name(skip));
    else
        snprintf(text, CAUSE_TEXT_SIZE, "cause %d", (int)cause);
}

struct diag_document *diag_status_view_document(const Diagnose__V1__SpecStatus *status) {
    struct diag_document *map = diag_document_map();
    struct diag_document *skips;

    diag_document_put(map, "spec_id", diag_document_text(status->spec_id));
    diag_document_put(map, "spec_revision", diag_document_uint(status->spec_revision));
    diag_document_put(map, "state", diag_document_text(diag_status_view_state(status->state)));
    diag_document_put(map, "message", diag_document_text(status->message));
    diag_document_put(map, "mechanism", diag_document_text(status->mechanism));
    diag_document_put(map, "excluded", diag_document_text(status->excluded));
    diag_document_put(map, "functions", diag_document_uint(status->functions));
    diag_document_put(map, "codes", diag_document_uint(status->codes));
    diag_document_put(map, "pure", diag_document_bool(status->pure));
    diag_document_put(map, "hits", diag_document_uint(status->hits));
    diag_document_put(map, "errors", diag_document_uint(status->errors));
    diag_document_put(map, "dropped", diag_document_uint(status->dropped));
    skips = diag_document_put(map, "skips", diag_document_list());
    for (size_t i = 0; i < status->n_skips; i++) {
        struct diag_document *skip = diag_document_add(skips, diag_document_map());
        char text[CAUSE_TEXT_SIZE];

        cause_text(text, status->skips[i]->cause);
        diag_document_put(skip, "cause", diag_document_text(text));
        diag_document_put(skip, "count", diag_document_uint(status->skips[i]->count));
    }
    return map;
}

const char *diag_status_view_pure(const Diagnose__V1__SpecStatus *status) {
    if (status->state != DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_ARMED)
        return "";
    return status->pure ? "yes" : "no";
}

uint64_t diag_status_view_skipped(const Diagnose__V1__SpecStatus *status) {
    uint64_t sum = 0;

    for (size_t i = 0; i < status->n_skips; i++)
        sum += status->skips[i]->count;
    return sum;
}

static void add_note(struct diag_buffer *note, const char *text) {
    if (note->size > 0)
        diag_memory_append_text(note, "; ");
    diag_memory_append_text(note, text);
}

/* Why an armed spec has no hits; NULL: it has. */
static const char *reason_for_no_hits(const Diagnose__V1__SpecStatus *status, const char *event) {
    if (status->state != DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_ARMED || status->hits > 0 ||
        status->errors > 0 || status->dropped > 0)
        return NULL;
    if (diag_status_view_skipped(status) > 0)
        return "no hit since it was armed, only skips";
    if (strncmp(event, "line:", strlen("line:")) == 0)
        return "its line was not executed since it was armed";
    if (strcmp(event, "call") == 0)
        return "not called since it was armed";
    return "not called since it was armed, or has not returned yet";
}

static void add_skips(struct diag_buffer *note, const Diagnose__V1__SpecStatus *status) {
    for (size_t i = 0; i < status->n_skips; i++) {
        char text[CAUSE_TEXT_SIZE];

        cause_text(text, status->skips[i]->cause);
        if (i == 0)
            add_note(note, "skipped: ");
        diag_memory_append_format(note, "%s%" PRIu64 " %s", i == 0 ? "" : ", ",
                                  status->skips[i]->count, text);
    }
}

char *diag_status_view_note(const Diagnose__V1__SpecStatus *status, const char *event) {
    struct diag_buffer note = {0};
    const char *reason = reason_for_no_hits(status, event);

    if (reason != NULL)
        add_note(&note, reason);
    if (status->message[0] != '\0')
        add_note(&note, status->message);
    add_skips(&note, status);
    if (status->excluded[0] != '\0') {
        add_note(&note, "not seen: ");
        diag_memory_append_text(&note, status->excluded);
    }
    diag_memory_append(&note, diag_bytes_make("", 1));
    return (char *)note.data;
}
