/* SPDX-License-Identifier: MIT */
#include "ctl/command.h"
#include "ctl/manifest.h"
#include "diagnose/v1/specs_service.pb-c.h"

static enum diag_exit delete_one(const struct diag_options *options, struct diag_session *session,
                                 char *id, struct diag_document *deleted) {
    Diagnose__V1__DeleteRequest request = DIAGNOSE__V1__DELETE_REQUEST__INIT;
    struct diag_error err = {0};
    struct diag_document *item;
    ProtobufCMessage *message;

    request.id = id;
    if (diag_session_call(session, "/diagnose.v1.Specs/Delete", &request.base,
                          &diagnose__v1__delete_response__descriptor, &message, &err) != DIAG_OK)
        return diag_command_fail(options, id, &err);
    item = diag_document_add(deleted, diag_document_map());
    diag_document_put(item, "id", diag_document_text(id));
    diag_document_put(item, "revision",
                      diag_document_uint(((Diagnose__V1__DeleteResponse *)message)->revision));
    if (options->output == DIAG_OUTPUT_TABLE)
        printf("spec %s deleted\n", id);
    protobuf_c_message_free_unpacked(message, NULL);
    return DIAG_EXIT_OK;
}

/* One that cannot be deleted does not keep the others, unless nobody answers. Anything worse than
 * "not found" decides the exit code. */
static enum diag_exit delete_all(const struct diag_options *options, struct diag_session *session,
                                 const struct diag_manifest *manifest,
                                 struct diag_document *deleted) {
    size_t count = manifest != NULL ? manifest->entry_count : options->word_count;
    enum diag_exit code = DIAG_EXIT_OK;

    for (size_t i = 0; i < count && code != DIAG_EXIT_UNREACHABLE; i++) {
        char *id = manifest != NULL ? manifest->entries[i].spec->id : options->words[i];
        enum diag_exit one = delete_one(options, session, id, deleted);

        if (one != DIAG_EXIT_OK && (code == DIAG_EXIT_OK || one != DIAG_EXIT_NOT_FOUND))
            code = one;
    }
    return code;
}

enum diag_exit diag_command_delete(const struct diag_options *options) {
    DIAG_CLEANUP(diag_manifest_freep) struct diag_manifest *manifest = NULL;
    DIAG_CLEANUP(diag_document_freep) struct diag_document *deleted = NULL;
    DIAG_CLEANUP(diag_session_done) struct diag_session session = {0};
    struct diag_error err = {0};
    enum diag_exit code;

    if ((options->word_count == 0) == (options->file == NULL))
        return diag_command_misuse("delete spec: needs either IDs or -f FILE");
    if (options->file != NULL && diag_manifest_read(options->file, &manifest, &err) != DIAG_OK) {
        diag_command_complain("%s", err.message);
        return DIAG_EXIT_USAGE;
    }
    code = diag_command_connect(options, &session);
    if (code != DIAG_EXIT_OK)
        return code;
    deleted = diag_document_list();
    code = delete_all(options, &session, manifest, deleted);
    if (options->output != DIAG_OUTPUT_TABLE)
        diag_command_print(options, deleted);
    return code;
}
