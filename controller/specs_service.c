/* SPDX-License-Identifier: MIT */
/* How it works: specs travel as the bytes that the store keeps; only a request's envelope is
 * unpacked. Apply reads even that on the wire format, since an unpacked spec would have lost the
 * fields that this release does not know, which must be refused. */
#include "controller/specs_service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/message_builder.h"
#include "diagnose/v1/specs_service.pb-c.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/wire.h"
#include "lib/spec/spec_codec.h"

/* The clock on the wall may be set: look again at least this often. */
#define EXPIRY_CHECK_MS 5000

/* Field numbers of the responses, of SpecSummary, SpecProcess and SpecStatus. */
enum {
    APPLY_REQUEST_SPEC = 1,
    APPLY_SPEC = 1,
    APPLY_CREATED = 2,
    GET_SUMMARY = 1,
    GET_PROCESSES = 2,
    LIST_SPECS = 1,
    DELETE_REVISION = 1,

    SUMMARY_SPEC = 1,
    SUMMARY_MATCHED = 2,
    SUMMARY_PENDING = 3,
    SUMMARY_ARMED = 4,
    SUMMARY_FAILED = 5,
    SUMMARY_EXPIRED = 6,
    SUMMARY_HITS = 7,
    SUMMARY_ERRORS = 8,
    SUMMARY_DROPPED = 9,
    SUMMARY_SKIPPED = 10,

    PROCESS_PROCESS = 1,
    PROCESS_SIDECAR_UID = 2,
    PROCESS_HOST = 3,
    PROCESS_STATUS = 4,

    STATUS_SPEC_ID = 1,
    STATUS_SPEC_REVISION = 2,
};

struct diag_specs_service {
    struct diag_specs_service_options options;
    struct diag_loop_timer expiry;
};

/* ---- expiry ---- */

static void on_expiry(void *context);

static void schedule_expiry(struct diag_specs_service *service) {
    uint64_t deadline = diag_store_next_deadline(service->options.store);
    uint64_t now = diag_clock_unix_ns();
    uint64_t delay_ms = EXPIRY_CHECK_MS;

    if (deadline == UINT64_MAX) {
        diag_loop_timer_stop(service->options.loop, &service->expiry);
        return;
    }
    /* rounded up, so that the spec has expired when the timer fires */
    if (deadline <= now)
        delay_ms = 0;
    else if ((deadline - now) / DIAG_NS_PER_MS < EXPIRY_CHECK_MS)
        delay_ms = (deadline - now) / DIAG_NS_PER_MS + 1;
    diag_loop_timer_start(service->options.loop, &service->expiry, delay_ms, on_expiry, service);
}

static void on_expiry(void *context) {
    struct diag_specs_service *service = context;
    const struct diag_store_entry *entry;
    uint64_t now = diag_clock_unix_ns();
    struct diag_error err;

    while ((entry = diag_store_take_expired(service->options.store, now)) != NULL) {
        diag_log_info("spec %s expired", entry->spec->id);
        service->options.changed(service->options.changed_context, entry->spec->id);
    }
    if (diag_store_purge(service->options.store, now, &err) == DIAG_OK) {
        schedule_expiry(service);
        return;
    }
    diag_log_warning("expired specs could not be deleted: %s", err.message);
    diag_loop_timer_start(service->options.loop, &service->expiry, EXPIRY_CHECK_MS, on_expiry,
                          service);
}

/* ---- requests and responses ---- */

static enum diag_status check_size(struct diag_bytes request, struct diag_error *err) {
    if (request.size > DIAG_SPECS_REQUEST_MAX)
        return diag_error_set(err, DIAG_ERR_TOO_LARGE, 0,
                              "request: %zu bytes, at most %u are allowed", request.size,
                              DIAG_SPECS_REQUEST_MAX);
    return DIAG_OK;
}

static enum diag_status malformed(struct diag_error *err) {
    return diag_error_set(err, DIAG_ERR_INVALID, 0,
                          "request: malformed, or its text is not UTF-8 or has a NUL");
}

/* Checks an unpacked request's id and hands it over as text to be freed by the caller. */
static enum diag_status take_id(const char *id, char **out, struct diag_error *err) {
    enum diag_status status = diag_spec_validate_id(id, err);

    if (status != DIAG_OK)
        return status;
    *out = strdup(id);
    return *out != NULL ? DIAG_OK : diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "request");
}

/* Takes the finished response out of the builder, which is released in any case. */
static enum diag_status respond(struct diag_message_builder *builder,
                                struct diag_rpc_message **response, struct diag_error *err) {
    enum diag_status status = diag_message_builder_take(builder, response, err);

    diag_message_builder_done(builder);
    return status;
}

/* ---- Apply ---- */

static enum diag_status find_spec(struct diag_bytes request, struct diag_bytes *spec,
                                  struct diag_error *err) {
    struct diag_wire_reader reader = diag_wire_reader_make(request);
    struct diag_wire_field field;
    bool has_spec = false;
    enum diag_status status;

    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        if (field.number != APPLY_REQUEST_SPEC)
            return diag_error_set(err, DIAG_ERR_INVALID, 0,
                                  "request: field number %u is not known to this release",
                                  field.number);
        if (field.type != DIAG_WIRE_BYTES)
            return malformed(err);
        if (has_spec)
            return diag_error_set(err, DIAG_ERR_INVALID, 0, "spec: given twice");
        has_spec = true;
        *spec = field.bytes;
    }
    if (status != DIAG_ERR_CLOSED)
        return malformed(err);
    if (!has_spec)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "spec: missing");
    return DIAG_OK;
}

/* The codec first, as it names the field. */
static enum diag_status check_spec(struct diag_bytes encoded, struct diag_error *err) {
    DIAG_CLEANUP(diag_spec_freep) struct diag_spec *spec = NULL;
    enum diag_status status = diag_spec_decode(encoded, &spec, err);

    /* VERSION would become UNIMPLEMENTED, which says that the method is missing */
    if (status == DIAG_ERR_VERSION)
        return err->status = DIAG_ERR_INVALID;
    return status != DIAG_OK ? status : diag_spec_validate(spec, err);
}

/* Everything in the request, also what only processes look at, must be readable by any protobuf
 * parser: it is sent to all who list specs. */
static enum diag_status check_encoding(struct diag_bytes request, struct diag_error *err) {
    ProtobufCMessage *unpacked = diag_rpc_unpack(&diagnose__v1__apply_request__descriptor, request);

    if (unpacked == NULL)
        return malformed(err);
    protobuf_c_message_free_unpacked(unpacked, NULL);
    return DIAG_OK;
}

static enum diag_status apply(void *context, struct diag_bytes request,
                              struct diag_rpc_message **response, struct diag_error *err) {
    struct diag_specs_service *service = context;
    struct diag_message_builder builder = {0};
    const struct diag_store_entry *entry;
    struct diag_bytes spec;
    bool is_created;
    enum diag_status status = check_size(request, err);

    if (status == DIAG_OK)
        status = find_spec(request, &spec, err);
    if (status == DIAG_OK)
        status = check_spec(spec, err);
    if (status == DIAG_OK)
        status = check_encoding(request, err);
    if (status == DIAG_OK)
        status = diag_store_apply(service->options.store, spec, diag_clock_unix_ns(), &entry,
                                  &is_created, err);
    if (status != DIAG_OK)
        return status;
    diag_log_info("spec %s %s, revision %llu", entry->spec->id, is_created ? "created" : "replaced",
                  (unsigned long long)entry->spec->revision);
    diag_message_builder_put_bytes(&builder, APPLY_SPEC, diag_buffer_bytes(&entry->encoded));
    diag_message_builder_put_uint(&builder, APPLY_CREATED, is_created);
    service->options.changed(service->options.changed_context, entry->spec->id);
    schedule_expiry(service);
    return respond(&builder, response, err);
}

/* ---- Get and List ---- */

static void put_summary(struct diag_message_builder *builder, uint32_t number,
                        const struct diag_store_entry *entry,
                        const struct diag_fleet_summary *summary) {
    struct diag_message_builder inner = {0};

    diag_message_builder_put_bytes(&inner, SUMMARY_SPEC, diag_buffer_bytes(&entry->encoded));
    diag_message_builder_put_uint(&inner, SUMMARY_MATCHED, summary->matched);
    diag_message_builder_put_uint(&inner, SUMMARY_PENDING, summary->pending);
    diag_message_builder_put_uint(&inner, SUMMARY_ARMED, summary->armed);
    diag_message_builder_put_uint(&inner, SUMMARY_FAILED, summary->failed);
    diag_message_builder_put_uint(&inner, SUMMARY_EXPIRED,
                                  diag_spec_is_expired(entry->spec, diag_clock_unix_ns()));
    diag_message_builder_put_uint(&inner, SUMMARY_HITS, summary->hits);
    diag_message_builder_put_uint(&inner, SUMMARY_ERRORS, summary->errors);
    diag_message_builder_put_uint(&inner, SUMMARY_DROPPED, summary->dropped);
    diag_message_builder_put_uint(&inner, SUMMARY_SKIPPED, summary->skipped);
    diag_message_builder_put_message(builder, number, &inner);
    diag_message_builder_done(&inner);
}

/* A process that has said nothing of this revision gets a status without a state. */
static void put_status(struct diag_message_builder *builder, const struct diag_spec *spec,
                       const struct diag_fleet_process *process) {
    struct diag_message_builder unknown = {0};
    struct diag_fleet_status status;

    if (diag_fleet_find_status(process, spec, &status)) {
        diag_message_builder_put_bytes(builder, PROCESS_STATUS, status.encoded);
        return;
    }
    diag_message_builder_put_text(&unknown, STATUS_SPEC_ID, spec->id);
    diag_message_builder_put_uint(&unknown, STATUS_SPEC_REVISION, spec->revision);
    diag_message_builder_put_message(builder, PROCESS_STATUS, &unknown);
    diag_message_builder_done(&unknown);
}

static enum diag_status put_processes(struct diag_message_builder *builder,
                                      const struct diag_spec *spec,
                                      const struct diag_fleet_sidecar *sidecar,
                                      struct diag_error *err) {
    DIAG_CLEANUP(diag_freep)
    const struct diag_fleet_process **processes = diag_fleet_sort_processes(sidecar);

    if (processes == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "processes");
    for (size_t i = 0; i < sidecar->processes.count; i++) {
        struct diag_message_builder inner = {0};

        diag_message_builder_put_bytes(&inner, PROCESS_PROCESS, processes[i]->info);
        diag_message_builder_put_text(&inner, PROCESS_SIDECAR_UID, sidecar->uid);
        diag_message_builder_put_text(&inner, PROCESS_HOST, sidecar->host);
        put_status(&inner, spec, processes[i]);
        diag_message_builder_put_message(builder, GET_PROCESSES, &inner);
        diag_message_builder_done(&inner);
    }
    return DIAG_OK;
}

static enum diag_status put_matching(struct diag_message_builder *builder,
                                     const struct diag_fleet *fleet, const struct diag_spec *spec,
                                     struct diag_error *err) {
    DIAG_CLEANUP(diag_freep)
    const struct diag_fleet_sidecar **sidecars = diag_fleet_sort_sidecars(fleet);

    if (sidecars == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "sidecars");
    for (size_t i = 0; i < fleet->sidecars.count; i++) {
        enum diag_status status;

        if (!diag_spec_matches(spec, sidecars[i]->labels, sidecars[i]->label_count))
            continue;
        status = put_processes(builder, spec, sidecars[i], err);
        if (status != DIAG_OK)
            return status;
    }
    return DIAG_OK;
}

static enum diag_status read_get(struct diag_bytes request, char **id, struct diag_error *err) {
    Diagnose__V1__GetRequest *unpacked = (Diagnose__V1__GetRequest *)diag_rpc_unpack(
        &diagnose__v1__get_request__descriptor, request);
    enum diag_status status;

    if (unpacked == NULL)
        return malformed(err);
    status = take_id(unpacked->id, id, err);
    diagnose__v1__get_request__free_unpacked(unpacked, NULL);
    return status;
}

static enum diag_status get(void *context, struct diag_bytes request,
                            struct diag_rpc_message **response, struct diag_error *err) {
    struct diag_specs_service *service = context;
    DIAG_CLEANUP(diag_freep) char *id = NULL;
    struct diag_message_builder builder = {0};
    struct diag_fleet_summary summary = {0};
    const struct diag_store_entry *entry;
    enum diag_status status = read_get(request, &id, err);

    if (status != DIAG_OK)
        return status;
    entry = diag_store_get(service->options.store, id);
    if (entry == NULL)
        return diag_error_set(err, DIAG_ERR_NOT_FOUND, 0, "no spec \"%s\"", id);
    summary.spec = entry->spec;
    status = diag_fleet_summarize(service->options.fleet, &summary, 1, err);
    if (status != DIAG_OK)
        return status;
    put_summary(&builder, GET_SUMMARY, entry, &summary);
    status = put_matching(&builder, service->options.fleet, entry->spec, err);
    if (status != DIAG_OK) {
        diag_message_builder_done(&builder);
        return status;
    }
    return respond(&builder, response, err);
}

static int compare_entries(const void *a, const void *b) {
    const struct diag_store_entry *left = *(const struct diag_store_entry *const *)a;
    const struct diag_store_entry *right = *(const struct diag_store_entry *const *)b;

    return strcmp(left->spec->id, right->spec->id);
}

static enum diag_status list(void *context, struct diag_bytes request,
                             struct diag_rpc_message **response, struct diag_error *err) {
    struct diag_specs_service *service = context;
    size_t count = diag_store_count(service->options.store), cursor = 0;
    DIAG_CLEANUP(diag_freep)
    const struct diag_store_entry **entries = calloc(count + 1, sizeof *entries);
    DIAG_CLEANUP(diag_freep)
    struct diag_fleet_summary *summaries = calloc(count + 1, sizeof *summaries);
    struct diag_message_builder builder = {0};
    enum diag_status status;

    (void)request; /* has no fields */
    if (entries == NULL || summaries == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "list");
    for (size_t i = 0; i < count; i++)
        entries[i] = diag_store_next(service->options.store, &cursor);
    qsort(entries, count, sizeof *entries, compare_entries);
    for (size_t i = 0; i < count; i++)
        summaries[i].spec = entries[i]->spec;
    status = diag_fleet_summarize(service->options.fleet, summaries, count, err);
    if (status != DIAG_OK)
        return status;
    for (size_t i = 0; i < count; i++)
        put_summary(&builder, LIST_SPECS, entries[i], &summaries[i]);
    return respond(&builder, response, err);
}

/* ---- Delete ---- */

static enum diag_status read_delete(struct diag_bytes request, char **id, struct diag_error *err) {
    Diagnose__V1__DeleteRequest *unpacked = (Diagnose__V1__DeleteRequest *)diag_rpc_unpack(
        &diagnose__v1__delete_request__descriptor, request);
    enum diag_status status;

    if (unpacked == NULL)
        return malformed(err);
    status = take_id(unpacked->id, id, err);
    diagnose__v1__delete_request__free_unpacked(unpacked, NULL);
    return status;
}

static enum diag_status delete (void *context, struct diag_bytes request,
                                struct diag_rpc_message **response, struct diag_error *err) {
    struct diag_specs_service *service = context; DIAG_CLEANUP(diag_freep) char *id = NULL;
    struct diag_message_builder builder = {0};
    uint64_t revision;
    enum diag_status status = read_delete(request, &id, err);

    if (status == DIAG_OK) status = diag_store_delete(service->options.store, id, &revision, err);
    if (status != DIAG_OK) return status;
    diag_log_info("spec %s deleted, revision %llu", id, (unsigned long long)revision);
    service->options.changed(service->options.changed_context, id);
    schedule_expiry(service);
    diag_message_builder_put_uint(&builder, DELETE_REVISION, revision);
    return respond(&builder, response, err);
}

/* ---- the service ---- */

enum diag_status diag_specs_service_new(const struct diag_specs_service_options *options,
                                        struct diag_specs_service **out, struct diag_error *err) {
    struct diag_specs_service *service = calloc(1, sizeof *service);

    if (service == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "specs service");
    service->options = *options;
    schedule_expiry(service);
    *out = service;
    return DIAG_OK;
}

void diag_specs_service_free(struct diag_specs_service *service) {
    if (service == NULL)
        return;
    diag_loop_timer_stop(service->options.loop, &service->expiry);
    free(service);
}

void diag_specs_service_methods(struct diag_specs_service *service,
                                struct diag_rpc_method methods[DIAG_SPECS_SERVICE_METHOD_COUNT]) {
    static const struct {
        const char *path;
        diag_rpc_unary_fn *unary;
    } rows[DIAG_SPECS_SERVICE_METHOD_COUNT] = {
        {"/diagnose.v1.Specs/Apply", apply},
        {"/diagnose.v1.Specs/Get", get},
        {"/diagnose.v1.Specs/List", list},
        {"/diagnose.v1.Specs/Delete", delete},
    };

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(rows); i++)
        methods[i] = (struct diag_rpc_method){
            .path = rows[i].path,
            .service = service,
            .unary = rows[i].unary,
        };
}
