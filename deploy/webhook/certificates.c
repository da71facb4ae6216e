/* SPDX-License-Identifier: MIT */
/* How it works: what is kept is the PEM text. Each handshake parses it into objects of its own,
 * which GnuTLS frees when the handshake is over; so nobody has to know when the last one that uses
 * the old certificate has ended. The kubelet replaces the files of a Secret by turning a symbolic
 * link, which changes what stat(2) says of both. */
#include "deploy/webhook/certificates.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/cleanup.h"

#define CHAIN_MAX 16
#define KEY_ID_MAX 64

/* Which version of a file it is. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
};

struct pair {
    gnutls_datum_t chain, key; /* PEM, by gnutls_malloc */
};

struct diag_certificates {
    const char *cert_file, *key_file;
    struct stamp cert_tried, key_tried;
    pthread_mutex_t lock; /* of `pair` */
    struct pair pair;
};

static _Atomic(struct diag_certificates *) in_use;

static void pair_done(struct pair *pair) {
    gnutls_free(pair->chain.data);
    if (pair->key.data != NULL)
        gnutls_memset(pair->key.data, 0, pair->key.size);
    gnutls_free(pair->key.data);
    *pair = (struct pair){{NULL, 0}, {NULL, 0}};
}

static void chain_free(gnutls_pcert_st *chain, unsigned length) {
    for (unsigned i = 0; i < length; i++)
        gnutls_pcert_deinit(&chain[i]);
    gnutls_free(chain);
}

/* ---- parsing ---- */

/* 0, or an error of GnuTLS; *chain is by gnutls_malloc. */
static int parse_chain(const gnutls_datum_t *pem, gnutls_pcert_st **chain, unsigned *length) {
    gnutls_pcert_st *made = gnutls_calloc(CHAIN_MAX, sizeof *made);
    unsigned count = CHAIN_MAX;
    int code;

    if (made == NULL)
        return GNUTLS_E_MEMORY_ERROR;
    code = gnutls_pcert_list_import_x509_raw(made, &count, pem, GNUTLS_X509_FMT_PEM,
                                             GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
    if (code < 0) {
        gnutls_free(made);
        return code;
    }
    *chain = made;
    *length = count;
    return 0;
}

static int parse_key(const gnutls_datum_t *pem, gnutls_privkey_t *key) {
    gnutls_privkey_t made;
    int code = gnutls_privkey_init(&made);

    if (code < 0)
        return code;
    code = gnutls_privkey_import_x509_raw(made, pem, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (code < 0) {
        gnutls_privkey_deinit(made);
        return code;
    }
    *key = made;
    return 0;
}

static bool is_key_of(gnutls_privkey_t key, gnutls_pubkey_t cert_key) {
    unsigned char ids[2][KEY_ID_MAX];
    size_t sizes[2] = {KEY_ID_MAX, KEY_ID_MAX};
    gnutls_pubkey_t own;
    bool is_same;

    if (gnutls_pubkey_init(&own) < 0)
        return false;
    is_same = gnutls_pubkey_import_privkey(own, key, 0, 0) >= 0 &&
              gnutls_pubkey_get_key_id(own, 0, ids[0], &sizes[0]) >= 0 &&
              gnutls_pubkey_get_key_id(cert_key, 0, ids[1], &sizes[1]) >= 0 &&
              sizes[0] == sizes[1] && memcmp(ids[0], ids[1], sizes[0]) == 0;
    gnutls_pubkey_deinit(own);
    return is_same;
}

static enum diag_status check_pair(const struct diag_certificates *certificates,
                                   const struct pair *pair, struct diag_error *err) {
    gnutls_pcert_st *chain;
    gnutls_privkey_t key;
    unsigned length;
    bool is_pair;
    int code = parse_chain(&pair->chain, &chain, &length);

    if (code < 0)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "%s: not a PEM certificate chain: %s",
                              certificates->cert_file, gnutls_strerror(code));
    code = parse_key(&pair->key, &key);
    if (code < 0) {
        chain_free(chain, length);
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "%s: not a PEM key: %s",
                              certificates->key_file, gnutls_strerror(code));
    }
    is_pair = is_key_of(key, chain[0].pubkey);
    chain_free(chain, length);
    gnutls_privkey_deinit(key);
    if (!is_pair)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "%s is not the key of %s",
                              certificates->key_file, certificates->cert_file);
    return DIAG_OK;
}

/* ---- reading ---- */

static enum diag_status stamp_of(const char *path, struct stamp *stamp, struct diag_error *err) {
    struct stat info;

    if (stat(path, &info) != 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "%s", path);
    *stamp = (struct stamp){info.st_dev, info.st_ino, info.st_size, info.st_mtim};
    return DIAG_OK;
}

static bool is_same_stamp(const struct stamp *a, const struct stamp *b) {
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec;
}

static enum diag_status load(const char *path, gnutls_datum_t *text, struct diag_error *err) {
    int code;

    errno = 0;
    code = gnutls_load_file(path, text);
    return code < 0 ? diag_error_set(err, DIAG_ERR_IO, errno, "%s", path) : DIAG_OK;
}

enum diag_status diag_certificates_refresh(struct diag_certificates *certificates,
                                           bool *has_changed, struct diag_error *err) {
    struct stamp cert = {0}, key = {0};
    struct pair pair = {{NULL, 0}, {NULL, 0}}, old;
    /* The stamps are taken before the text: what is replaced in between is seen the next time. */
    enum diag_status status = stamp_of(certificates->cert_file, &cert, err);

    if (status == DIAG_OK)
        status = stamp_of(certificates->key_file, &key, err);
    if (status != DIAG_OK)
        return status;
    if (is_same_stamp(&cert, &certificates->cert_tried) &&
        is_same_stamp(&key, &certificates->key_tried)) {
        *has_changed = false;
        return DIAG_OK;
    }
    certificates->cert_tried = cert;
    certificates->key_tried = key;
    status = load(certificates->cert_file, &pair.chain, err);
    if (status == DIAG_OK)
        status = load(certificates->key_file, &pair.key, err);
    if (status == DIAG_OK)
        status = check_pair(certificates, &pair, err);
    if (status == DIAG_OK) {
        pthread_mutex_lock(&certificates->lock);
        old = certificates->pair;
        certificates->pair = pair;
        pthread_mutex_unlock(&certificates->lock);
        pair = old;
        *has_changed = true;
    }
    pair_done(&pair);
    return status;
}

enum diag_status diag_certificates_new(const char *cert_file, const char *key_file,
                                       struct diag_certificates **out, struct diag_error *err) {
    struct diag_certificates *certificates = calloc(1, sizeof *certificates);
    enum diag_status status;
    bool has_changed;

    if (certificates == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "certificates");
    certificates->cert_file = cert_file;
    certificates->key_file = key_file;
    pthread_mutex_init(&certificates->lock, NULL);
    status = diag_certificates_refresh(certificates, &has_changed, err);
    if (status != DIAG_OK) {
        diag_certificates_free(certificates);
        return status;
    }
    atomic_store(&in_use, certificates);
    *out = certificates;
    return DIAG_OK;
}

void diag_certificates_free(struct diag_certificates *certificates) {
    struct diag_certificates *expected = certificates;

    if (certificates == NULL)
        return;
    atomic_compare_exchange_strong(&in_use, &expected, NULL);
    pair_done(&certificates->pair);
    pthread_mutex_destroy(&certificates->lock);
    free(certificates);
}

int diag_certificates_retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                               gnutls_pcert_st **chain, unsigned *chain_length,
                               gnutls_ocsp_data_st **ocsp, unsigned *ocsp_length,
                               gnutls_privkey_t *key, unsigned *flags) {
    struct diag_certificates *certificates = atomic_load(&in_use);
    gnutls_pcert_st *made_chain = NULL;
    unsigned length = 0;
    int code;

    (void)session, (void)info;
    if (certificates == NULL)
        return GNUTLS_E_INTERNAL_ERROR;
    pthread_mutex_lock(&certificates->lock);
    code = parse_chain(&certificates->pair.chain, &made_chain, &length);
    if (code >= 0)
        code = parse_key(&certificates->pair.key, key);
    pthread_mutex_unlock(&certificates->lock);
    if (code < 0) {
        chain_free(made_chain, length);
        return code;
    }
    *chain = made_chain;
    *chain_length = length;
    *ocsp = NULL;
    *ocsp_length = 0;
    *flags = GNUTLS_CERT_RETR_DEINIT_ALL;
    return 0;
}
