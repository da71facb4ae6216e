// SPDX-License-Identifier: MIT
// A short temporary folder with files in it.
#ifndef DIAG_TESTS_UNIT_INJECT_FOLDER_FIXTURE_H
#define DIAG_TESTS_UNIT_INJECT_FOLDER_FIXTURE_H

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

class FolderTest : public ::testing::Test {
  protected:
    void SetUp() override {
        char pattern[] = "/tmp/diag.XXXXXX";

        ASSERT_NE(mkdtemp(pattern), nullptr);
        root_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(root_); }

    std::string path(const std::string &name) const { return root_ + "/" + name; }

    // Makes the folders on the way, too.
    void write(const std::string &name, const std::string &text, mode_t mode = 0644) {
        std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
        std::ofstream(path(name)) << text;
        ASSERT_EQ(chmod(path(name).c_str(), mode), 0);
    }

    void make_folder(const std::string &name) { std::filesystem::create_directories(path(name)); }

    // Path below `name` -> mode and contents; folders end in "/".
    std::map<std::string, std::string> list(const std::string &name) const {
        std::map<std::string, std::string> found;
        auto folder = std::filesystem::path(path(name));

        if (!std::filesystem::exists(folder))
            return found;
        for (const auto &entry : std::filesystem::recursive_directory_iterator(folder)) {
            std::string below = std::filesystem::relative(entry.path(), folder).string();
            struct stat status;

            EXPECT_EQ(lstat(entry.path().c_str(), &status), 0);
            std::string mode = std::to_string((status.st_mode >> 6) & 7) +
                               std::to_string((status.st_mode >> 3) & 7) +
                               std::to_string(status.st_mode & 7);
            if (entry.is_directory()) {
                found[below + "/"] = mode;
                continue;
            }
            std::ifstream file(entry.path());
            found[below] = mode + " " + std::string(std::istreambuf_iterator<char>(file), {});
        }
        return found;
    }

    int open_folder(const std::string &name) {
        int fd = open(path(name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        EXPECT_GE(fd, 0) << name;
        return fd;
    }

  private:
    std::string root_;
};

#endif
