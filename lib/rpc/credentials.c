/* SPDX-License-Identifier: MIT */
#include "lib/rpc/credentials.h"

#include "lib/base/cleanup.h"
#include "lib/rpc/address.h"
#include "lib/rpc/pem_files.h"

void diag_rpc_tls_flags(struct diag_rpc_tls *tls, struct diag_flag flags[DIAG_RPC_TLS_FLAG_COUNT]) {
    flags[0] = (struct diag_flag){.name = "tls-cert",
                                  .kind = DIAG_FLAG_TEXT,
                                  .target = &tls->cert_file,
                                  .value_name = "FILE",
                                  .help = "our certificate chain, PEM, leaf first"};
    flags[1] = (struct diag_flag){.name = "tls-key",
                                  .kind = DIAG_FLAG_TEXT,
                                  .target = &tls->key_file,
                                  .value_name = "FILE",
                                  .help = "the certificate's private key, PEM"};
    flags[2] = (struct diag_flag){.name = "tls-ca",
                                  .kind = DIAG_FLAG_TEXT,
                                  .target = &tls->ca_file,
                                  .value_name = "FILE",
                                  .help = "authorities that must have signed the peer's "
                                          "certificate, PEM"};
    flags[3] = (struct diag_flag){.name = "tls-server-name",
                                  .kind = DIAG_FLAG_TEXT,
                                  .target = &tls->server_name,
                                  .value_name = "NAME",
                                  .help = "the name that the server's certificate must have, "
                                          "instead of the address's"};
    flags[4] = (struct diag_flag){.name = "insecure",
                                  .kind = DIAG_FLAG_SWITCH,
                                  .target = &tls->allow_plaintext,
                                  .help = "allow plaintext beyond this machine"};
}

static enum diag_status check_plaintext(const struct diag_rpc_tls *tls, const char *address,
                                        bool is_server, struct diag_error *err) {
    if (tls->allow_plaintext || diag_rpc_address_is_local(address))
        return DIAG_OK;
    return diag_error_set(err, DIAG_ERR_INVALID, 0,
                          "refusing plaintext on %s: give %s, or --insecure", address,
                          is_server ? "--tls-cert and --tls-key" : "--tls-ca");
}

enum diag_status diag_rpc_tls_check(const struct diag_rpc_tls *tls, const char *address,
                                    bool is_server, struct diag_error *err) {
    struct diag_rpc_address parsed;
    enum diag_status status = diag_rpc_address_parse(address, &parsed, err);

    if (status != DIAG_OK)
        return status;
    if (tls->cert_file != NULL && tls->key_file == NULL)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "--tls-cert needs --tls-key");
    if (tls->key_file != NULL && tls->cert_file == NULL)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "--tls-key needs --tls-cert");
    if (is_server) {
        if (tls->cert_file != NULL)
            return DIAG_OK;
        if (tls->ca_file != NULL)
            return diag_error_set(err, DIAG_ERR_INVALID, 0,
                                  "--tls-ca needs --tls-cert and --tls-key");
    } else {
        if (tls->ca_file != NULL)
            return DIAG_OK;
        if (tls->cert_file != NULL)
            return diag_error_set(err, DIAG_ERR_INVALID, 0,
                                  "--tls-cert and --tls-key need --tls-ca");
        if (tls->server_name != NULL)
            return diag_error_set(err, DIAG_ERR_INVALID, 0, "--tls-server-name needs --tls-ca");
    }
    return check_plaintext(tls, address, is_server, err);
}

enum diag_status diag_rpc_tls_check_health(const char *address, struct diag_error *err) {
    const struct diag_rpc_tls plaintext = {.allow_plaintext = true};
    enum diag_status status;

    if (address == NULL)
        return DIAG_OK;
    status = diag_rpc_tls_check(&plaintext, address, true, err);
    if (status != DIAG_OK)
        diag_error_prefix(err, "--health");
    return status;
}

enum diag_status diag_rpc_tls_check_files(const struct diag_rpc_tls *tls, struct diag_error *err) {
    DIAG_CLEANUP(diag_rpc_pem_files_done) struct diag_rpc_pem_files files = {0};

    return diag_rpc_pem_files_read(tls, &files, err);
}
