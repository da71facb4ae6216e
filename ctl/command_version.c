/* SPDX-License-Identifier: MIT */
#include "ctl/command.h"
#include "ctl/print.h"
#include "lib/base/version.h"

enum diag_exit diag_command_version(const struct diag_options *options) {
    DIAG_CLEANUP(diag_document_freep) struct diag_document *document = NULL;

    if (options->word_count > 0)
        return diag_command_misuse("version: takes no arguments");
    if (options->output == DIAG_OUTPUT_TABLE) {
        puts("diagnosectl " DIAG_VERSION);
        return DIAG_EXIT_OK;
    }
    document = diag_document_map();
    diag_document_put(document, "version", diag_document_text(DIAG_VERSION));
    if (options->output == DIAG_OUTPUT_JSON)
        diag_print_json(stdout, document);
    else
        diag_print_yaml(stdout, document, true);
    return DIAG_EXIT_OK;
}
