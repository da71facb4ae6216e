// SPDX-License-Identifier: MIT
#include "deploy/webhook/certificates.h"

#include <gnutls/x509.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <string>

namespace {

void write(const std::string &path, const std::string &text) {
    // as the kubelet does it: another file takes the name
    std::string next = path + ".next";
    FILE *file = fopen(next.c_str(), "w");
    ASSERT_NE(file, nullptr);
    fwrite(text.data(), 1, text.size(), file);
    fclose(file);
    ASSERT_EQ(rename(next.c_str(), path.c_str()), 0);
}

std::string text_of(const gnutls_datum_t &datum) {
    std::string text(reinterpret_cast<char *>(datum.data), datum.size);
    gnutls_free(datum.data);
    return text;
}

struct Pair {
    std::string cert, key;
};

Pair make_pair(unsigned char serial) {
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t cert;
    gnutls_datum_t cert_text, key_text;

    gnutls_x509_privkey_init(&key);
    gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                 GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    gnutls_x509_crt_init(&cert);
    gnutls_x509_crt_set_key(cert, key);
    gnutls_x509_crt_set_version(cert, 3);
    gnutls_x509_crt_set_serial(cert, &serial, 1);
    gnutls_x509_crt_set_activation_time(cert, time(nullptr));
    gnutls_x509_crt_set_expiration_time(cert, time(nullptr) + 3600);
    EXPECT_EQ(gnutls_x509_crt_sign2(cert, cert, key, GNUTLS_DIG_SHA256, 0), 0);
    gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_PEM, &cert_text);
    gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, nullptr, 0, &key_text);
    gnutls_x509_crt_deinit(cert);
    gnutls_x509_privkey_deinit(key);
    return {text_of(cert_text), text_of(key_text)};
}

class Certificates : public testing::Test {
  protected:
    void SetUp() override {
        char folder_template[] = "/tmp/diag.XXXXXX";
        folder = mkdtemp(folder_template);
        cert_file = folder + "/tls.crt";
        key_file = folder + "/tls.key";
        write_pair(first);
    }
    void TearDown() override {
        diag_certificates_free(certificates);
        unlink(cert_file.c_str());
        unlink(key_file.c_str());
        rmdir(folder.c_str());
    }
    void write_pair(const Pair &pair) {
        write(cert_file, pair.cert);
        write(key_file, pair.key);
    }
    enum diag_status open() {
        return diag_certificates_new(cert_file.c_str(), key_file.c_str(), &certificates, &err);
    }
    // The serial number of the certificate that a handshake gets; 0: none.
    int served() {
        gnutls_pcert_st *chain;
        gnutls_ocsp_data_st *ocsp;
        gnutls_privkey_t key;
        gnutls_x509_crt_t cert;
        unsigned length = 0, ocsp_length, flags = 0;
        unsigned char serial[32];
        size_t size = sizeof serial;

        if (diag_certificates_retrieve(nullptr, nullptr, &chain, &length, &ocsp, &ocsp_length, &key,
                                       &flags) != 0)
            return 0;
        EXPECT_EQ(flags, static_cast<unsigned>(GNUTLS_CERT_RETR_DEINIT_ALL));
        EXPECT_EQ(length, 1u);
        EXPECT_EQ(gnutls_pcert_export_x509(&chain[0], &cert), 0);
        gnutls_x509_crt_get_serial(cert, serial, &size);
        gnutls_x509_crt_deinit(cert);
        gnutls_pcert_deinit(&chain[0]);
        gnutls_free(chain);
        gnutls_privkey_deinit(key);
        return serial[0];
    }
    bool refresh() {
        bool has_changed = false;
        EXPECT_EQ(diag_certificates_refresh(certificates, &has_changed, &err), DIAG_OK)
            << err.message;
        return has_changed;
    }

    std::string folder, cert_file, key_file;
    Pair first = make_pair(1), second = make_pair(2);
    struct diag_certificates *certificates = nullptr;
    struct diag_error err = {};
};

TEST_F(Certificates, AreReadAgainWhenTheyChange) {
    EXPECT_EQ(served(), 0) << "none yet";
    ASSERT_EQ(open(), DIAG_OK) << err.message;
    EXPECT_EQ(served(), 1);
    EXPECT_FALSE(refresh());
    write_pair(second);
    EXPECT_EQ(served(), 1);
    EXPECT_TRUE(refresh());
    EXPECT_EQ(served(), 2);
    EXPECT_FALSE(refresh());
}

TEST_F(Certificates, StayWhenTheNewOnesAreOfNoUse) {
    bool has_changed;

    ASSERT_EQ(open(), DIAG_OK);
    write(cert_file, second.cert); // the key is to follow
    EXPECT_EQ(diag_certificates_refresh(certificates, &has_changed, &err), DIAG_ERR_INVALID);
    EXPECT_EQ(std::string(err.message), key_file + " is not the key of " + cert_file);
    EXPECT_EQ(served(), 1);
    EXPECT_FALSE(refresh()) << "tried already";
    write(key_file, "rubbish");
    EXPECT_EQ(diag_certificates_refresh(certificates, &has_changed, &err), DIAG_ERR_INVALID);
    EXPECT_NE(std::string(err.message).find("not a PEM key"), std::string::npos) << err.message;
    unlink(key_file.c_str());
    EXPECT_EQ(diag_certificates_refresh(certificates, &has_changed, &err), DIAG_ERR_IO);
    EXPECT_EQ(served(), 1);
    write(key_file, second.key);
    EXPECT_TRUE(refresh());
    EXPECT_EQ(served(), 2);
}

TEST_F(Certificates, MustBeThereAtTheStart) {
    write(cert_file, first.key);
    EXPECT_EQ(open(), DIAG_ERR_INVALID);
    EXPECT_NE(std::string(err.message).find("not a PEM certificate chain"), std::string::npos);
    write(cert_file, second.cert);
    EXPECT_EQ(open(), DIAG_ERR_INVALID);
    unlink(cert_file.c_str());
    EXPECT_EQ(open(), DIAG_ERR_IO);
    EXPECT_NE(std::string(err.message).find(cert_file), std::string::npos) << err.message;
    EXPECT_EQ(certificates, nullptr);
}

} // namespace
