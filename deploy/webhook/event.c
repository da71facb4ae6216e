/* SPDX-License-Identifier: MIT */
#include "deploy/webhook/event.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/base/clock.h"

#define INSTANCE_MAX 128 /* bytes: the API server's limit */

/* 2026-03-01T12:00:00.123456Z */
static void write_time(uint64_t unix_ns, char *text, size_t size) {
    time_t seconds = (time_t)(unix_ns / DIAG_NS_PER_S);
    struct tm parts;
    size_t length;

    gmtime_r(&seconds, &parts);
    length = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + length, size - length, ".%06uZ", (unsigned)(unix_ns % DIAG_NS_PER_S / 1000));
}

static json_t *make_regarding(const struct diag_review_notice *notice) {
    return json_pack("{s:s, s:s, s:s, s:s*, s:s*}", "apiVersion", notice->api_version, "kind",
                     notice->kind, "namespace", notice->namespace_name, "name",
                     notice->name[0] != '\0' ? notice->name : NULL, "uid",
                     notice->uid[0] != '\0' ? notice->uid : NULL);
}

enum diag_status diag_event_make(const struct diag_review_notice *notice, const char *instance,
                                 uint64_t unix_ns, struct diag_buffer *body,
                                 struct diag_error *err) {
    char time[40], short_instance[INSTANCE_MAX + 1];
    enum diag_status status = DIAG_OK;
    json_auto_t *event = NULL;
    char *text;

    if (notice->namespace_name[0] == '\0')
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "no namespace to write an event into");
    write_time(unix_ns, time, sizeof time);
    snprintf(short_instance, sizeof short_instance, "%s", instance);
    event = json_pack("{s:s, s:s, s:{s:s, s:s}, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}",
                      "apiVersion", "events.k8s.io/v1", "kind", "Event", "metadata", "generateName",
                      "diagnose-", "namespace", notice->namespace_name, "eventTime", time,
                      "reportingController", "diagnose.dev/webhook", "reportingInstance",
                      short_instance, "action", "Inject", "reason", "NotInstrumented", "type",
                      "Warning", "note", notice->reason, "regarding", make_regarding(notice));
    text = event != NULL ? json_dumps(event, JSON_COMPACT) : NULL;
    if (text == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "out of memory for an event");
    status = diag_buffer_append(body, diag_bytes_from_text(text));
    free(text);
    return status;
}
