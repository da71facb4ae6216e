/* SPDX-License-Identifier: MIT */
#include "lib/rpc/pem_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"

void diag_rpc_pem_files_done(struct diag_rpc_pem_files *files) {
    if (files->key != NULL)
        explicit_bzero(files->key, strlen(files->key));
    free(files->cert);
    free(files->key);
    free(files->ca);
    *files = (struct diag_rpc_pem_files){0};
}

static void close_file(FILE **file) {
    if (*file != NULL)
        fclose(*file);
}

/* A file of `label` blocks; `flag` is for the message. */
static enum diag_status read_pem(const char *flag, const char *name, const char *label, char **out,
                                 struct diag_error *err) {
    DIAG_CLEANUP(close_file) FILE *file = NULL;
    DIAG_CLEANUP(diag_freep) char *text = NULL;
    size_t size;

    if (name == NULL)
        return DIAG_OK;
    file = fopen(name, "re");
    if (file == NULL)
        return diag_error_set(err, errno == ENOENT ? DIAG_ERR_NOT_FOUND : DIAG_ERR_IO, errno,
                              "--%s: cannot open %s", flag, name);
    text = malloc(DIAG_RPC_PEM_SIZE_MAX + 1);
    if (text == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "--%s: %s", flag, name);
    size = fread(text, 1, DIAG_RPC_PEM_SIZE_MAX + 1, file);
    if (ferror(file))
        return diag_error_set(err, DIAG_ERR_IO, errno, "--%s: cannot read %s", flag, name);
    if (size == 0)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "--%s: %s is empty", flag, name);
    if (size > DIAG_RPC_PEM_SIZE_MAX)
        return diag_error_set(err, DIAG_ERR_TOO_LARGE, 0, "--%s: %s is longer than %u bytes", flag,
                              name, DIAG_RPC_PEM_SIZE_MAX);
    text[size] = '\0';
    if (strlen(text) != size || strstr(text, "-----BEGIN ") == NULL || strstr(text, label) == NULL)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "--%s: %s has no PEM block '%s'", flag,
                              name, label);
    *out = DIAG_TAKE_PTR(text);
    return DIAG_OK;
}

enum diag_status diag_rpc_pem_files_read(const struct diag_rpc_tls *tls,
                                         struct diag_rpc_pem_files *files, struct diag_error *err) {
    enum diag_status status =
        read_pem("tls-cert", tls->cert_file, "CERTIFICATE", &files->cert, err);

    if (status == DIAG_OK)
        status = read_pem("tls-key", tls->key_file, "PRIVATE KEY", &files->key, err);
    if (status == DIAG_OK)
        status = read_pem("tls-ca", tls->ca_file, "CERTIFICATE", &files->ca, err);
    return status;
}
