/* SPDX-License-Identifier: MIT */
#include "controller/port_file.h"

#include <string.h>

#include <fstream>

#include "tests/unit/controller/controller_fixture.h"

namespace diag_test {
namespace {

TEST(PortFile, ReplacesWhatWasThereAndLeavesNothingElse) {
    Folder folder;
    std::string path = folder.file("port"), line;
    diag_error err = {};

    std::ofstream(path) << "a longer text that was there before\n";
    ASSERT_EQ(DIAG_OK, diag_port_file_write(path.c_str(), 7400, &err)) << err.message;
    std::getline(std::ifstream(path), line);
    EXPECT_EQ("7400", line);
    EXPECT_EQ(5u, std::filesystem::file_size(path)) << "the port and a newline";
    std::filesystem::remove(path);
    EXPECT_TRUE(std::filesystem::is_empty(folder.file("")));
}

TEST(PortFile, FailureNamesThePath) {
    Folder folder;
    std::string path = folder.file("missing/port");
    diag_error err = {};

    EXPECT_EQ(DIAG_ERR_IO, diag_port_file_write(path.c_str(), 1, &err));
    EXPECT_NE(nullptr, strstr(err.message, path.c_str())) << err.message;
}

} // namespace
} // namespace diag_test
