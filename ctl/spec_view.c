/* SPDX-License-Identifier: MIT */
#include "ctl/spec_view.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/memory.h"
#include "ctl/status_view.h"
#include "ctl/value_codec.h"

#define MS_PER_MINUTE 60000

void diag_spec_view_put_time(struct diag_document *map, const char *key, uint64_t unix_nanos) {
    DIAG_CLEANUP(diag_freep) char *nanos_key = diag_memory_format("%s_unix_nanos", key);
    char text[DIAG_TIME_TEXT_SIZE];

    diag_time_rfc3339(text, unix_nanos);
    diag_document_put(map, key, unix_nanos == 0 ? diag_document_null() : diag_document_text(text));
    diag_document_put(map, nanos_key, diag_document_uint(unix_nanos));
}

const char *diag_spec_view_event(const Diagnose__V1__Spec *spec) {
    return spec->instrument != NULL && *spec->instrument->event != '\0' ? spec->instrument->event
                                                                        : "return";
}

static void put_instrument(struct diag_document *map, const Diagnose__V1__Spec *spec) {
    const Diagnose__V1__Instrument *instrument = spec->instrument;
    struct diag_document *inner = diag_document_put(map, "instrument", diag_document_map());
    struct diag_document *custom;

    if (instrument == NULL)
        return;
    diag_document_put(inner, "type", diag_document_text(instrument->type));
    if (*instrument->name != '\0')
        diag_document_put(inner, "name", diag_document_text(instrument->name));
    diag_document_put(inner, "value", diag_document_text(instrument->value));
    diag_document_put(inner, "event", diag_document_text(diag_spec_view_event(spec)));
    if (instrument->custom != NULL && diag_value_from_dict(instrument->custom, &custom) == DIAG_OK)
        diag_document_put(inner, "custom", custom);
}

static struct diag_document *view_of(const Diagnose__V1__Spec *spec) {
    struct diag_document *map = diag_document_map();
    struct diag_document *labels;

    diag_document_put(map, "id", diag_document_text(spec->id));
    diag_document_put(map, "target", diag_document_text(spec->target));
    put_instrument(map, spec);
    diag_document_put(map, "lifespan",
                      spec->lifespan_ms % MS_PER_MINUTE == 0
                          ? diag_document_uint(spec->lifespan_ms / MS_PER_MINUTE)
                          : diag_document_float((double)spec->lifespan_ms / MS_PER_MINUTE));
    if (spec->selector == NULL)
        return map;
    labels = diag_document_put(map, "selector", diag_document_map());
    labels = diag_document_put(labels, "labels", diag_document_map());
    for (size_t i = 0; i < spec->selector->n_match_labels; i++)
        diag_document_put(labels, spec->selector->match_labels[i]->key,
                          diag_document_text(spec->selector->match_labels[i]->value));
    return map;
}

static struct diag_document *put_status(struct diag_document *map, const Diagnose__V1__Spec *spec) {
    struct diag_document *status = diag_document_put(map, "status", diag_document_map());

    diag_document_put(status, "revision", diag_document_uint(spec->revision));
    diag_spec_view_put_time(status, "created", spec->created_unix_nanos);
    diag_spec_view_put_time(status, "modified", spec->modified_unix_nanos);
    diag_spec_view_put_time(status, "expires", spec->expires_unix_nanos);
    return status;
}

struct diag_document *diag_spec_view_spec(const Diagnose__V1__Spec *spec) {
    struct diag_document *map = view_of(spec);

    put_status(map, spec);
    return map;
}

static struct diag_document *put_summary(struct diag_document *map,
                                         const Diagnose__V1__SpecSummary *summary) {
    struct diag_document *status = put_status(map, summary->spec);

    diag_document_put(status, "state", diag_document_text(diag_spec_view_state(summary)));
    diag_document_put(status, "matched", diag_document_uint(summary->matched));
    diag_document_put(status, "pending", diag_document_uint(summary->pending));
    diag_document_put(status, "armed", diag_document_uint(summary->armed));
    diag_document_put(status, "failed", diag_document_uint(summary->failed));
    diag_document_put(status, "expired", diag_document_bool(summary->expired));
    diag_document_put(status, "hits", diag_document_uint(summary->hits));
    diag_document_put(status, "errors", diag_document_uint(summary->errors));
    diag_document_put(status, "dropped", diag_document_uint(summary->dropped));
    diag_document_put(status, "skipped", diag_document_uint(summary->skipped));
    return status;
}

struct diag_document *diag_spec_view_summary(const Diagnose__V1__SpecSummary *summary) {
    struct diag_document *map = view_of(summary->spec);

    put_summary(map, summary);
    return map;
}

void diag_spec_view_put_process(struct diag_document *map,
                                const Diagnose__V1__ProcessInfo *process) {
    diag_document_put(map, "uid", diag_document_text(process->uid));
    diag_document_put(map, "pid", diag_document_uint(process->pid));
    diag_document_put(map, "parent_pid", diag_document_uint(process->parent_pid));
    diag_spec_view_put_time(map, "started", process->started_unix_nanos);
    diag_document_put(map, "python_version", diag_document_text(process->python_version));
    diag_document_put(map, "command", diag_document_text(process->command));
    diag_document_put(map, "library_version", diag_document_text(process->library_version));
    diag_document_put(map, "container", diag_document_text(process->container));
    diag_document_put(map, "service", diag_document_text(process->service));
}

struct diag_document *diag_spec_view_detail(const Diagnose__V1__GetResponse *response) {
    struct diag_document *map = view_of(response->summary->spec);
    struct diag_document *status = put_summary(map, response->summary);
    struct diag_document *processes = diag_document_put(status, "processes", diag_document_list());

    for (size_t i = 0; i < response->n_processes; i++) {
        const Diagnose__V1__SpecProcess *process = response->processes[i];
        struct diag_document *item = diag_document_add(processes, diag_document_map());

        diag_document_put(item, "host", diag_document_text(process->host));
        diag_document_put(item, "sidecar_uid", diag_document_text(process->sidecar_uid));
        if (process->process != NULL)
            diag_spec_view_put_process(item, process->process);
        if (process->status != NULL)
            diag_document_put(item, "status", diag_status_view_document(process->status));
    }
    return map;
}

const char *diag_spec_view_state(const Diagnose__V1__SpecSummary *summary) {
    if (summary->expired)
        return "Expired";
    if (summary->matched == 0)
        return "Waiting";
    if (summary->failed > 0)
        return "Failed";
    /* some processes never import the target's module, such as the master of a pre-fork server */
    return summary->armed > 0 ? "Armed" : "Pending";
}

void diag_spec_view_expires(char text[DIAG_TIME_TEXT_SIZE],
                            const Diagnose__V1__SpecSummary *summary, uint64_t now_unix_nanos) {
    uint64_t expires = summary->spec->expires_unix_nanos;

    if (summary->expired || (expires != 0 && expires <= now_unix_nanos))
        strcpy(text, "expired");
    else if (expires == 0)
        strcpy(text, "-");
    else
        diag_time_duration(text, expires - now_unix_nanos);
}
