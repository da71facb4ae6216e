// SPDX-License-Identifier: MIT
#include "inproc/agent/process_info.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "diagnose/v1/process.pb-c.h"

TEST(ProcessInfo, SaysWhoWeAre) {
    uint8_t data[DIAG_PROCESS_INFO_MAX];
    const char *uid = "0123456789abcdef0123456789abcdef";
    struct diag_process_identity identity = {"web", ""};
    struct diag_bytes encoded =
        diag_process_info_encode(data, uid, 77, "3.11.2", "0.1.0", &identity);
    Diagnose__V1__ProcessInfo *info =
        diagnose__v1__process_info__unpack(nullptr, encoded.size, encoded.data);

    ASSERT_NE(info, nullptr);
    EXPECT_STREQ(info->uid, uid);
    EXPECT_EQ(info->pid, static_cast<uint32_t>(getpid()));
    EXPECT_EQ(info->parent_pid, static_cast<uint32_t>(getppid()));
    EXPECT_EQ(info->started_unix_nanos, 77u);
    EXPECT_STREQ(info->python_version, "3.11.2");
    EXPECT_STREQ(info->library_version, "0.1.0");
    EXPECT_STREQ(info->container, "web");
    EXPECT_STREQ(info->service, "");
    EXPECT_NE(strstr(info->command, "process_info_test"), nullptr) << info->command;
    diagnose__v1__process_info__free_unpacked(info, nullptr);
}

TEST(ProcessInfo, HasRoomForTheLongestOfEverything) {
    uint8_t data[DIAG_PROCESS_INFO_MAX];
    struct diag_process_identity identity = {};
    memset(identity.container, 'c', DIAG_PROCESS_IDENTITY_MAX);
    memset(identity.service, 's', DIAG_PROCESS_IDENTITY_MAX);
    std::string version(64, 'v');
    struct diag_bytes encoded =
        diag_process_info_encode(data, "0123456789abcdef0123456789abcdef", UINT64_MAX,
                                 version.c_str(), version.c_str(), &identity);
    /* the command may have 508 bytes, with its tag and length 511 */
    EXPECT_LE(encoded.size + 511, sizeof data);
    Diagnose__V1__ProcessInfo *info =
        diagnose__v1__process_info__unpack(nullptr, encoded.size, encoded.data);
    ASSERT_NE(info, nullptr);
    EXPECT_STREQ(info->service, identity.service);
    diagnose__v1__process_info__free_unpacked(info, nullptr);
}
