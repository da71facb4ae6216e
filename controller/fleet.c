/* SPDX-License-Identifier: MIT */
#include "controller/fleet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/spec/spec_status_codec.h"

/* Field numbers of diagnose.v1.ProcessStatus, ProcessInfo and SpecStatus. */
enum {
    PROCESS_STATUS_PROCESS = 1,
    PROCESS_STATUS_STATUSES = 2,

    PROCESS_UID = 1,
    PROCESS_PID = 2,

    STATUS_SPEC_ID = 1,
    STATUS_SPEC_REVISION = 2,
    STATUS_STATE = 3,
    STATUS_HITS = 7,
    STATUS_ERRORS = 8,
    STATUS_DROPPED = 9,
};

static void sidecar_free(struct diag_fleet_sidecar *sidecar) {
    struct diag_fleet_process *process;
    size_t cursor = 0;

    if (sidecar == NULL)
        return;
    while ((process = diag_map_next(&sidecar->processes, &cursor)) != NULL)
        free(process);
    diag_map_done(&sidecar->processes);
    for (size_t i = 0; i < sidecar->label_count; i++) {
        free(sidecar->labels[i].key);
        free(sidecar->labels[i].value);
    }
    free(sidecar->labels);
    free(sidecar->host);
    free(sidecar);
}
DIAG_DEFINE_FREEP(sidecar, struct diag_fleet_sidecar)

void diag_fleet_done(struct diag_fleet *fleet) {
    struct diag_fleet_sidecar *sidecar;
    size_t cursor = 0;

    while ((sidecar = diag_map_next(&fleet->sidecars, &cursor)) != NULL)
        sidecar_free(sidecar);
    diag_map_done(&fleet->sidecars);
}

/* ---- sidecars ---- */

static enum diag_status check_sidecar(const char *uid, const char *host,
                                      const struct diag_label *labels, size_t label_count,
                                      struct diag_error *err) {
    if (!diag_uid_is_valid(uid))
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "sidecar_uid: \"%.64s\" is not 32 hexadecimal digits", uid);
    if (strlen(host) > DIAG_FLEET_TEXT_MAX)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "host: %zu bytes, at most %d are allowed",
                              strlen(host), DIAG_FLEET_TEXT_MAX);
    if (label_count > DIAG_FLEET_LABELS_MAX)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "labels: %zu, at most %d are allowed",
                              label_count, DIAG_FLEET_LABELS_MAX);
    for (size_t i = 0; i < label_count; i++)
        if (labels[i].key[0] == '\0' || strlen(labels[i].key) > DIAG_FLEET_TEXT_MAX ||
            strlen(labels[i].value) > DIAG_FLEET_TEXT_MAX)
            return diag_error_set(err, DIAG_ERR_INVALID, 0,
                                  "labels: \"%.64s\": a key must have 1 to %d bytes, a value at "
                                  "most as many",
                                  labels[i].key, DIAG_FLEET_TEXT_MAX);
    return DIAG_OK;
}

static enum diag_status copy_labels(struct diag_fleet_sidecar *sidecar,
                                    const struct diag_label *labels, size_t label_count) {
    sidecar->labels = calloc(label_count + 1, sizeof *labels);
    if (sidecar->labels == NULL)
        return DIAG_ERR_NO_MEMORY;
    for (size_t i = 0; i < label_count; i++) {
        struct diag_label *label = &sidecar->labels[sidecar->label_count++];
        label->key = strdup(labels[i].key);
        label->value = strdup(labels[i].value);
        if (label->key == NULL || label->value == NULL)
            return DIAG_ERR_NO_MEMORY;
    }
    return DIAG_OK;
}

enum diag_status diag_fleet_add(struct diag_fleet *fleet, const char *uid, const char *host,
                                const struct diag_label *labels, size_t label_count, void *session,
                                struct diag_fleet_sidecar **out, struct diag_error *err) {
    DIAG_CLEANUP(sidecar_freep) struct diag_fleet_sidecar *sidecar = NULL;
    enum diag_status status = check_sidecar(uid, host, labels, label_count, err);

    if (status != DIAG_OK)
        return status;
    if (diag_fleet_get(fleet, uid) != NULL)
        return diag_error_set(err, DIAG_ERR_EXISTS, 0, "sidecar %s is connected already", uid);
    if (fleet->sidecars.count >= DIAG_FLEET_SIDECARS_MAX)
        return diag_error_set(err, DIAG_ERR_FULL, 0,
                              "%d sidecars are connected, and no more are allowed",
                              DIAG_FLEET_SIDECARS_MAX);
    sidecar = calloc(1, sizeof *sidecar);
    if (sidecar == NULL || (sidecar->host = strdup(host)) == NULL ||
        copy_labels(sidecar, labels, label_count) != DIAG_OK ||
        diag_map_put(&fleet->sidecars, uid, sidecar) != DIAG_OK)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "sidecar");
    memcpy(sidecar->uid, uid, sizeof sidecar->uid);
    sidecar->session = session;
    *out = DIAG_TAKE_PTR(sidecar);
    return DIAG_OK;
}

void diag_fleet_remove(struct diag_fleet *fleet, struct diag_fleet_sidecar *sidecar) {
    if (sidecar == NULL)
        return;
    (void)diag_map_remove(&fleet->sidecars, sidecar->uid);
    sidecar_free(sidecar);
}

struct diag_fleet_sidecar *diag_fleet_get(const struct diag_fleet *fleet, const char *uid) {
    return diag_map_get(&fleet->sidecars, uid);
}

struct diag_fleet_sidecar *diag_fleet_find_process(const struct diag_fleet *fleet,
                                                   const char *process_uid) {
    struct diag_fleet_sidecar *sidecar;
    size_t cursor = 0;

    while ((sidecar = diag_map_next(&fleet->sidecars, &cursor)) != NULL)
        if (diag_map_get(&sidecar->processes, process_uid) != NULL)
            return sidecar;
    return NULL;
}

/* ---- processes ---- */

/* Finds ProcessInfo, uid and pid in `process->status`. */
static enum diag_status index_process(struct diag_fleet_process *process, struct diag_error *err) {
    struct diag_wire_reader reader = diag_wire_reader_make(process->status);
    struct diag_wire_field field;
    struct diag_bytes uid = {0};
    enum diag_status status;

    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK)
        if (field.number == PROCESS_STATUS_PROCESS && field.type == DIAG_WIRE_BYTES)
            process->info = field.bytes;
    if (status != DIAG_ERR_CLOSED)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "malformed encoding");
    if (process->info.data == NULL)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "process: missing");
    reader = diag_wire_reader_make(process->info);
    while ((status = diag_wire_next(&reader, &field)) == DIAG_OK) {
        if (field.number == PROCESS_UID && field.type == DIAG_WIRE_BYTES)
            uid = field.bytes;
        if (field.number == PROCESS_PID && field.type == DIAG_WIRE_VARINT)
            process->pid = (uint32_t)field.integer;
    }
    if (uid.size == sizeof process->uid - 1)
        memcpy(process->uid, uid.data, uid.size);
    if (status != DIAG_ERR_CLOSED || !diag_uid_is_valid(process->uid))
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "process.uid: missing, or not 32 hexadecimal digits");
    return DIAG_OK;
}

enum diag_status diag_fleet_put_process(struct diag_fleet_sidecar *sidecar,
                                        struct diag_bytes encoded, struct diag_error *err) {
    DIAG_CLEANUP(diag_freep)
    struct diag_fleet_process *process = calloc(1, sizeof *process + encoded.size);
    struct diag_fleet_process *old;
    enum diag_status status;
    size_t old_size;

    if (process == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "process");
    if (encoded.size > 0)
        memcpy(process->data, encoded.data, encoded.size);
    process->status = diag_bytes_make(process->data, encoded.size);
    status = index_process(process, err);
    if (status != DIAG_OK)
        return status;
    old = diag_map_get(&sidecar->processes, process->uid);
    old_size = old != NULL ? old->status.size : 0;
    if (old == NULL && sidecar->processes.count >= DIAG_FLEET_PROCESSES_MAX)
        return diag_error_set(err, DIAG_ERR_FULL, 0,
                              "the sidecar has %d processes, and no more are allowed",
                              DIAG_FLEET_PROCESSES_MAX);
    if (encoded.size > DIAG_FLEET_BYTES_MAX - (sidecar->process_bytes - old_size))
        return diag_error_set(err, DIAG_ERR_FULL, 0,
                              "the statuses of the sidecar's processes exceed %u bytes",
                              DIAG_FLEET_BYTES_MAX);
    if (diag_map_put(&sidecar->processes, process->uid, process) != DIAG_OK)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, ENOMEM, "process");
    sidecar->process_bytes += encoded.size - old_size;
    free(old);
    (void)DIAG_TAKE_PTR(process);
    return DIAG_OK;
}

void diag_fleet_end_process(struct diag_fleet_sidecar *sidecar, const char *process_uid) {
    struct diag_fleet_process *process = diag_map_remove(&sidecar->processes, process_uid);

    if (process == NULL)
        return;
    sidecar->process_bytes -= process->status.size;
    free(process);
}

/* ---- statuses ---- */

bool diag_fleet_next_status(struct diag_wire_reader *reader, struct diag_fleet_status *status) {
    struct diag_wire_reader inner;
    struct diag_wire_field field;
    uint64_t cause, count;

    do {
        if (diag_wire_next(reader, &field) != DIAG_OK)
            return false;
    } while (field.number != PROCESS_STATUS_STATUSES || field.type != DIAG_WIRE_BYTES);
    memset(status, 0, sizeof *status);
    status->encoded = field.bytes;
    inner = diag_wire_reader_make(field.bytes);
    while (diag_wire_next(&inner, &field) == DIAG_OK) {
        if (field.number == STATUS_SPEC_ID && field.type == DIAG_WIRE_BYTES &&
            field.bytes.size > 0 && field.bytes.size <= DIAG_SPEC_ID_MAX)
            memcpy(status->spec_id, field.bytes.data, field.bytes.size);
        if (diag_spec_status_read_skip(&field, &cause, &count))
            status->skipped += count;
        if (field.type != DIAG_WIRE_VARINT)
            continue;
        switch (field.number) {
        case STATUS_SPEC_REVISION:
            status->spec_revision = field.integer;
            break;
        case STATUS_STATE:
            status->state = field.integer;
            break;
        case STATUS_HITS:
            status->hits = field.integer;
            break;
        case STATUS_ERRORS:
            status->errors = field.integer;
            break;
        case STATUS_DROPPED:
            status->dropped = field.integer;
            break;
        }
    }
    return true;
}
