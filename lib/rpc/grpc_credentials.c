/* SPDX-License-Identifier: MIT */
#include "lib/rpc/grpc_credentials.h"

#include "lib/base/cleanup.h"
#include "lib/rpc/pem_files.h"

/* gRPC's thread reads the files, and again when they change. */
static grpc_tls_credentials_options *watch_files(const struct diag_rpc_tls *tls) {
    grpc_tls_certificate_provider *provider = grpc_tls_certificate_provider_file_watcher_create(
        tls->key_file, tls->cert_file, tls->ca_file, (unsigned)tls->reload_s);
    grpc_tls_credentials_options *options = grpc_tls_credentials_options_create();

    grpc_tls_credentials_options_set_certificate_provider(options, provider);
    grpc_tls_certificate_provider_release(provider);
    if (tls->ca_file != NULL)
        grpc_tls_credentials_options_watch_root_certs(options);
    if (tls->cert_file != NULL)
        grpc_tls_credentials_options_watch_identity_key_cert_pairs(options);
    return options;
}

static grpc_server_credentials *make_watched_server(const struct diag_rpc_tls *tls) {
    grpc_tls_credentials_options *options = watch_files(tls);

    grpc_tls_credentials_options_set_cert_request_type(
        options, tls->ca_file != NULL ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                      : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
    return grpc_tls_server_credentials_create(options);
}

enum diag_status diag_rpc_server_credentials(const struct diag_rpc_tls *tls, const char *address,
                                             grpc_server_credentials **out,
                                             struct diag_error *err) {
    DIAG_CLEANUP(diag_rpc_pem_files_done) struct diag_rpc_pem_files files = {0};
    enum diag_status status = diag_rpc_tls_check(tls, address, true, err);
    grpc_ssl_pem_key_cert_pair pair;

    if (status == DIAG_OK)
        status = diag_rpc_pem_files_read(tls, &files, err);
    if (status != DIAG_OK)
        return status;
    if (files.cert == NULL) {
        *out = grpc_insecure_server_credentials_create();
        return DIAG_OK;
    }
    if (tls->reload_s > 0) {
        *out = make_watched_server(tls);
        return DIAG_OK;
    }
    pair = (grpc_ssl_pem_key_cert_pair){files.key, files.cert};
    *out = grpc_ssl_server_credentials_create_ex(
        files.ca, &pair, 1,
        files.ca != NULL ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                         : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
        NULL);
    return DIAG_OK;
}

enum diag_status diag_rpc_client_credentials(const struct diag_rpc_tls *tls, const char *address,
                                             grpc_channel_credentials **out,
                                             struct diag_error *err) {
    DIAG_CLEANUP(diag_rpc_pem_files_done) struct diag_rpc_pem_files files = {0};
    enum diag_status status = diag_rpc_tls_check(tls, address, false, err);
    grpc_ssl_pem_key_cert_pair pair;

    if (status == DIAG_OK && tls->reload_s > 0 && tls->ca_file != NULL) {
        *out = grpc_tls_credentials_create(watch_files(tls));
        return DIAG_OK;
    }
    if (status == DIAG_OK)
        status = diag_rpc_pem_files_read(tls, &files, err);
    if (status != DIAG_OK)
        return status;
    if (files.ca == NULL) {
        *out = grpc_insecure_credentials_create();
        return DIAG_OK;
    }
    pair = (grpc_ssl_pem_key_cert_pair){files.key, files.cert};
    *out = grpc_ssl_credentials_create_ex(files.ca, files.cert != NULL ? &pair : NULL, NULL, NULL);
    return DIAG_OK;
}
