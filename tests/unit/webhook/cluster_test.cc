// SPDX-License-Identifier: MIT
#include "deploy/webhook/cluster.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace {

void write(const std::string &path, const std::string &text) {
    FILE *file = fopen(path.c_str(), "w");
    ASSERT_NE(file, nullptr);
    fwrite(text.data(), 1, text.size(), file);
    fclose(file);
}

class Cluster : public testing::Test {
  protected:
    void SetUp() override {
        char folder_template[] = "/tmp/diag.XXXXXX";
        folder = mkdtemp(folder_template);
        write(folder + "/token", " abc.def \n");
        write(folder + "/ca.crt", "x");
    }
    void TearDown() override {
        unlink((folder + "/token").c_str());
        unlink((folder + "/ca.crt").c_str());
        rmdir(folder.c_str());
    }
    enum diag_status find(const char *host, const char *port) {
        return diag_cluster_find(host, port, folder.c_str(), &cluster, &err);
    }

    std::string folder;
    struct diag_cluster cluster = {};
    struct diag_error err = {};
};

TEST_F(Cluster, IsFound) {
    const char *const cases[][3] = {
        {"10.0.0.1", "443", "https://10.0.0.1:443"},
        {"fd00::1", "6443", "https://[fd00::1]:6443"},
        {"[fd00::1]", "6443", "https://[fd00::1]:6443"},
        {"kubernetes.default.svc", "443", "https://kubernetes.default.svc:443"},
    };

    for (const auto &c : cases) {
        ASSERT_EQ(find(c[0], c[1]), DIAG_OK) << err.message;
        EXPECT_STREQ(cluster.url, c[2]);
        EXPECT_EQ(cluster.ca_file, folder + "/ca.crt");
    }
}

TEST_F(Cluster, SaysWhatIsMissing) {
    const char *const cases[][3] = {
        {nullptr, "443", "not in a cluster"},   {"10.0.0.1", nullptr, "not in a cluster"},
        {"", "443", "not in a cluster"},        {"host/path", "443", "are no address"},
        {"user@host", "443", "are no address"}, {"10.0.0.1", "4x", "are no address"},
    };

    for (const auto &c : cases) {
        EXPECT_EQ(find(c[0], c[1]), DIAG_ERR_NOT_FOUND);
        EXPECT_NE(std::string(err.message).find(c[2]), std::string::npos) << err.message;
    }
    EXPECT_EQ(find(std::string(400, 'h').c_str(), "443"), DIAG_ERR_NOT_FOUND);
    unlink((folder + "/ca.crt").c_str());
    EXPECT_EQ(find("10.0.0.1", "443"), DIAG_ERR_NOT_FOUND);
    EXPECT_NE(std::string(err.message).find("ca.crt"), std::string::npos);
}

TEST_F(Cluster, ReadsTheTokenAgain) {
    char token[DIAG_CLUSTER_TOKEN_MAX];

    ASSERT_EQ(find("10.0.0.1", "443"), DIAG_OK);
    ASSERT_EQ(diag_cluster_token(&cluster, token, &err), DIAG_OK) << err.message;
    EXPECT_STREQ(token, "abc.def");
    write(folder + "/token", "next");
    ASSERT_EQ(diag_cluster_token(&cluster, token, &err), DIAG_OK);
    EXPECT_STREQ(token, "next");
    for (const std::string &text : {std::string(), std::string(" \n"), std::string(20000, 't')}) {
        write(folder + "/token", text);
        EXPECT_EQ(diag_cluster_token(&cluster, token, &err), DIAG_ERR_IO);
    }
    unlink((folder + "/token").c_str());
    EXPECT_EQ(diag_cluster_token(&cluster, token, &err), DIAG_ERR_IO);
    EXPECT_STREQ(token, "next");
}

} // namespace
