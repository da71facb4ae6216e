/* SPDX-License-Identifier: MIT */
/* certificates - the server's certificate chain and key, read again when their files change.
 *
 * Threading: any thread.
 * Limits:    GnuTLS asks for a certificate by a callback without a context, so there is one
 * server's certificates in a process: those of the last diag_certificates_new. */
#ifndef DIAG_DEPLOY_WEBHOOK_CERTIFICATES_H
#define DIAG_DEPLOY_WEBHOOK_CERTIFICATES_H

#include <gnutls/abstract.h>
#include <stdbool.h>

#include "lib/base/error.h"

DIAG_DECLS_BEGIN

struct diag_certificates; /* opaque */

/* Reads both PEM files (borrowed names; leaf first). DIAG_ERR_IO, DIAG_ERR_INVALID: also if the key
 * is not that of the certificate. *out is the caller's. */
DIAG_MUST_CHECK enum diag_status diag_certificates_new(const char *cert_file, const char *key_file,
                                                       struct diag_certificates **out,
                                                       struct diag_error *err);

/* No handshake may be going on. NULL is fine. */
void diag_certificates_free(struct diag_certificates *certificates);

/* Reads the files if they have changed since they were last tried; *has_changed says whether new
 * ones are in use. On failure the old ones stay in use. */
DIAG_MUST_CHECK enum diag_status diag_certificates_refresh(struct diag_certificates *certificates,
                                                           bool *has_changed,
                                                           struct diag_error *err);

/* Gives a handshake its own copy: a gnutls_certificate_retrieve_function3. */
int diag_certificates_retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                               gnutls_pcert_st **chain, unsigned *chain_length,
                               gnutls_ocsp_data_st **ocsp, unsigned *ocsp_length,
                               gnutls_privkey_t *key, unsigned *flags);

DIAG_DECLS_END

#endif
