/* SPDX-License-Identifier: MIT */
#include "ctl/command.h"
#include "ctl/manifest.h"
#include "ctl/memory.h"
#include "ctl/spec_view.h"

/* A failed call, with the line of the field that the server names. */
static enum diag_exit fail(const struct diag_options *options, const struct diag_manifest *manifest,
                           size_t index, const struct diag_error *err) {
    const struct diag_manifest_entry *entry = &manifest->entries[index];
    size_t left = manifest->entry_count - index - 1;
    DIAG_CLEANUP(diag_freep) char *place = NULL;
    enum diag_exit code;

    if (err->status == DIAG_ERR_INVALID)
        place =
            diag_memory_format("%s:%u", manifest->name, diag_manifest_line(entry, err->message));
    else
        place =
            diag_memory_format("%s:%u: %s", manifest->name, entry->document->line, entry->spec->id);
    code = diag_command_fail(options, place, err);
    if (left > 0)
        diag_command_complain("%s: the %zu spec%s after it %s not applied", manifest->name, left,
                              left == 1 ? "" : "s", left == 1 ? "was" : "were");
    return code;
}

static enum diag_status apply(struct diag_session *session, const struct diag_options *options,
                              Diagnose__V1__Spec *spec, struct diag_document *applied,
                              struct diag_error *err) {
    Diagnose__V1__ApplyRequest request = DIAGNOSE__V1__APPLY_REQUEST__INIT;
    Diagnose__V1__ApplyResponse *response;
    ProtobufCMessage *message;
    enum diag_status status;

    request.spec = spec;
    status = diag_session_call(session, "/diagnose.v1.Specs/Apply", &request.base,
                               &diagnose__v1__apply_response__descriptor, &message, err);
    if (status != DIAG_OK)
        return status;
    response = (Diagnose__V1__ApplyResponse *)message;
    if (response->spec != NULL)
        diag_document_add(applied, diag_spec_view_spec(response->spec));
    if (options->output == DIAG_OUTPUT_TABLE)
        printf("spec %s %s\n", spec->id, response->created ? "created" : "applied");
    protobuf_c_message_free_unpacked(message, NULL);
    return DIAG_OK;
}

enum diag_exit diag_command_apply(const struct diag_options *options) {
    DIAG_CLEANUP(diag_manifest_freep) struct diag_manifest *manifest = NULL;
    DIAG_CLEANUP(diag_document_freep) struct diag_document *applied = NULL;
    DIAG_CLEANUP(diag_session_done) struct diag_session session = {0};
    struct diag_error err = {0};
    enum diag_exit code;

    if (options->file == NULL || options->word_count > 0)
        return diag_command_misuse("apply: needs -f FILE and nothing else");
    if (diag_manifest_read(options->file, &manifest, &err) != DIAG_OK) {
        diag_command_complain("%s", err.message);
        return DIAG_EXIT_USAGE;
    }
    code = diag_command_connect(options, &session);
    if (code != DIAG_EXIT_OK)
        return code;
    applied = diag_document_list();
    for (size_t i = 0; code == DIAG_EXIT_OK && i < manifest->entry_count; i++)
        if (apply(&session, options, manifest->entries[i].spec, applied, &err) != DIAG_OK)
            code = fail(options, manifest, i, &err);
    if (options->output != DIAG_OUTPUT_TABLE)
        diag_command_print(options, applied);
    return code;
}
