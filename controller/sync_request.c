/* SPDX-License-Identifier: MIT */
#include "controller/sync_request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/v1/sync_service.pb-c.h"
#include "lib/rpc/message.h"

#define HELD_MAX 65536

static enum diag_status no_memory(struct diag_error *err) {
    return diag_error_set(err, DIAG_ERR_NO_MEMORY, ENOMEM, "request");
}

static enum diag_status read_hello(const Diagnose__V1__Hello *unpacked, struct diag_sync_hello *out,
                                   struct diag_error *err) {
    out->sidecar_uid = unpacked->sidecar_uid;
    out->version = unpacked->version;
    out->host = unpacked->host;
    if (unpacked->n_held > HELD_MAX)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "hello.held: %zu, at most %d are allowed",
                              unpacked->n_held, HELD_MAX);
    out->labels = calloc(unpacked->n_labels + 1, sizeof *out->labels);
    out->held = calloc(unpacked->n_held + 1, sizeof *out->held);
    if (out->labels == NULL || out->held == NULL)
        return no_memory(err);
    for (size_t i = 0; i < unpacked->n_labels; i++) {
        out->labels[i].key = unpacked->labels[i]->key;
        out->labels[i].value = unpacked->labels[i]->value;
    }
    out->label_count = unpacked->n_labels;
    for (size_t i = 0; i < unpacked->n_held; i++) {
        enum diag_status status = diag_spec_validate_id(unpacked->held[i]->id, err);
        if (status != DIAG_OK) {
            diag_error_prefix(err, "hello.held[%zu]", i);
            return status;
        }
        out->held[i].id = unpacked->held[i]->id;
        out->held[i].revision = unpacked->held[i]->revision;
    }
    out->held_count = unpacked->n_held;
    return DIAG_OK;
}

/* Encodes the statuses anew: what the fleet keeps has each field at most once, whatever came. */
static enum diag_status read_report(const Diagnose__V1__ProcessReport *unpacked,
                                    struct diag_sync_request *out, struct diag_error *err) {
    struct diag_sync_report *report = &out->report;

    report->ended = unpacked->ended;
    report->ended_count = unpacked->n_ended;
    report->changed = calloc(unpacked->n_changed + 1, sizeof *report->changed);
    if (report->changed == NULL ||
        diag_buffer_reserve(&out->packed, protobuf_c_message_get_packed_size(&unpacked->base)) !=
            DIAG_OK)
        return no_memory(err);
    for (size_t i = 0; i < unpacked->n_changed; i++) {
        uint8_t *at = out->packed.data + out->packed.size;
        size_t size = protobuf_c_message_pack(&unpacked->changed[i]->base, at);
        out->packed.size += size;
        report->changed[i] = diag_bytes_make(at, size);
    }
    report->changed_count = unpacked->n_changed;
    return DIAG_OK;
}

enum diag_status diag_sync_request_read(struct diag_bytes encoded, struct diag_sync_request *out,
                                        struct diag_error *err) {
    const Diagnose__V1__SyncRequest *unpacked;

    memset(out, 0, sizeof *out);
    out->unpacked = diag_rpc_unpack(&diagnose__v1__sync_request__descriptor, encoded);
    if (out->unpacked == NULL)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "request: malformed, or its text is not UTF-8 or has a NUL");
    unpacked = out->unpacked;
    switch (unpacked->body_case) {
    case DIAGNOSE__V1__SYNC_REQUEST__BODY_HELLO:
        out->kind = DIAG_SYNC_REQUEST_HELLO;
        return read_hello(unpacked->hello, &out->hello, err);
    case DIAGNOSE__V1__SYNC_REQUEST__BODY_ACK:
        out->kind = DIAG_SYNC_REQUEST_ACK;
        out->ack_nonce = unpacked->ack->nonce;
        return DIAG_OK;
    case DIAGNOSE__V1__SYNC_REQUEST__BODY_REPORT:
        out->kind = DIAG_SYNC_REQUEST_REPORT;
        return read_report(unpacked->report, out, err);
    default:
        return DIAG_OK;
    }
}

void diag_sync_request_done(struct diag_sync_request *request) {
    free(request->hello.labels);
    free(request->hello.held);
    free(request->report.changed);
    diag_buffer_done(&request->packed);
    if (request->unpacked != NULL)
        protobuf_c_message_free_unpacked(request->unpacked, NULL);
    memset(request, 0, sizeof *request);
}
