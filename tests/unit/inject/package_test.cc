// SPDX-License-Identifier: MIT
#include "deploy/images/inject/package.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#include <thread>
#include <vector>

#include "tests/unit/inject/folder_fixture.h"

namespace {

using Files = std::map<std::string, std::string>;

class PackageTest : public FolderTest {
  protected:
    void SetUp() override {
        FolderTest::SetUp();
        make_folder("target");
        fill("source", "one");
    }

    void fill(const std::string &source, const std::string &text) {
        write(source + "/diagnose/__init__.py", text);
        write(source + "/diagnose/_bootstrap/sitecustomize.py", text);
        for (const char *tag : {"311", "312", "313"})
            write(source + "/diagnose/_native.cpython-" + tag + "-x86_64-linux-gnu.so", text + tag);
    }

    enum diag_status install(const std::string &source = "source", const char *python = nullptr) {
        std::string from = path(source), to = path(target_);
        struct diag_package_options options = {from.c_str(), to.c_str(), python};

        return diag_package_install(&options, &change_, &err_);
    }

    std::string target_ = "target";
    enum diag_package_change change_ = DIAG_PACKAGE_UNCHANGED;
    struct diag_error err_ = {};
};

TEST_F(PackageTest, InstallsThenDoesNothingThenReplaces) {
    ASSERT_EQ(install(), DIAG_OK) << err_.message;
    EXPECT_EQ(change_, DIAG_PACKAGE_INSTALLED);
    EXPECT_EQ(list("target"), list("source"));

    struct stat before, after;
    ASSERT_EQ(stat(path("target/diagnose").c_str(), &before), 0);
    ASSERT_EQ(install(), DIAG_OK) << err_.message;
    EXPECT_EQ(change_, DIAG_PACKAGE_UNCHANGED);
    ASSERT_EQ(stat(path("target/diagnose").c_str(), &after), 0);
    EXPECT_EQ(before.st_ino, after.st_ino);

    fill("newer", "two");
    ASSERT_EQ(install("newer"), DIAG_OK) << err_.message;
    EXPECT_EQ(change_, DIAG_PACKAGE_REPLACED);
    EXPECT_EQ(list("target"), list("newer"));
}

TEST_F(PackageTest, WhatAKilledRunLeftIsRemoved) {
    write("target/.diagnose-new/_bootstrap/half", "ha");
    write("target/.diagnose-old/x", "x");
    write("target/somebody-elses", "y");
    ASSERT_EQ(install(), DIAG_OK) << err_.message;
    Files files = list("target");
    EXPECT_EQ(files.erase("somebody-elses"), 1u);
    EXPECT_EQ(files, list("source"));
}

TEST_F(PackageTest, WhateverIsInThePlaceIsReplaced) {
    write("target/diagnose", "a file");
    ASSERT_EQ(install(), DIAG_OK) << err_.message;
    EXPECT_EQ(change_, DIAG_PACKAGE_REPLACED);
    EXPECT_EQ(list("target"), list("source"));

    std::filesystem::remove_all(path("target/diagnose"));
    ASSERT_EQ(symlink(path("source/diagnose").c_str(), path("target/diagnose").c_str()), 0);
    ASSERT_EQ(install(), DIAG_OK) << err_.message;
    EXPECT_EQ(change_, DIAG_PACKAGE_REPLACED);
    EXPECT_TRUE(std::filesystem::is_directory(path("source/diagnose")));
    EXPECT_FALSE(std::filesystem::is_symlink(path("target/diagnose")));
}

TEST_F(PackageTest, OneVersionOfPython) {
    for (const char *python : {"3.12", "3.12.1"}) {
        Files wanted = list("source");

        wanted.erase("diagnose/_native.cpython-311-x86_64-linux-gnu.so");
        wanted.erase("diagnose/_native.cpython-313-x86_64-linux-gnu.so");
        ASSERT_EQ(install("source", python), DIAG_OK) << err_.message;
        EXPECT_EQ(list("target"), wanted) << python;
    }
    EXPECT_EQ(change_, DIAG_PACKAGE_UNCHANGED);
    ASSERT_EQ(install(), DIAG_OK) << err_.message;
    EXPECT_EQ(change_, DIAG_PACKAGE_REPLACED);
    EXPECT_EQ(list("target"), list("source"));
}

TEST_F(PackageTest, VersionsThatAreNone) {
    for (const char *python : {"", "3", "3.", ".3", "3.x", "3.12.", "3.12.1.2", "3.12rc1",
                               "python3", "3,12", " 3.12", "+3.1", "3.123", "31.1"}) {
        EXPECT_EQ(install("source", python), DIAG_ERR_INVALID) << python;
        EXPECT_EQ(std::string(err_.message),
                  "\"" + std::string(python) + "\" is no version of Python, such as 3.12");
    }
    EXPECT_EQ(list("target"), Files());
}

TEST_F(PackageTest, AVersionWithoutExtensionIsRefusedWithThoseThatThereAre) {
    for (const char *python : {"3.9", "3.1", "1.3", "3.10.2"}) {
        EXPECT_EQ(install("source", python), DIAG_ERR_NOT_FOUND) << python;
        EXPECT_EQ(std::string(err_.message), "there is no extension for Python " +
                                                 std::string(python) +
                                                 ", but for: 3.11, 3.12, 3.13");
    }
    std::filesystem::remove_all(path("source"));
    write("source/diagnose/__init__.py", "");
    EXPECT_EQ(install("source", "3.11"), DIAG_ERR_NOT_FOUND);
    EXPECT_STREQ(err_.message, "there is no extension for Python 3.11, but for: none");
    EXPECT_EQ(list("target"), Files());
}

TEST_F(PackageTest, FoldersThatAreNotThere) {
    EXPECT_EQ(install("nowhere"), DIAG_ERR_NOT_FOUND);
    EXPECT_EQ(std::string(err_.message),
              path("nowhere") + "/diagnose: the package to copy: No such file or directory");
    target_ = "elsewhere";
    EXPECT_EQ(install(), DIAG_ERR_NOT_FOUND);
    EXPECT_EQ(std::string(err_.message),
              path("elsewhere") + ": the folder to copy to: No such file or directory");
    write("file", "");
    target_ = "file";
    EXPECT_EQ(install(), DIAG_ERR_IO);
    EXPECT_EQ(std::string(err_.message), path("file") + ": the folder to copy to: Not a directory");
}

TEST_F(PackageTest, AFailureLeavesThePackageThatWasThere) {
    ASSERT_EQ(install(), DIAG_OK) << err_.message;
    fill("broken", "two");
    ASSERT_EQ(symlink("nowhere", path("broken/diagnose/_bootstrap/link").c_str()), 0);
    EXPECT_EQ(install("broken"), DIAG_ERR_UNSUPPORTED);
    EXPECT_EQ(std::string(err_.message),
              path("target") +
                  ": .diagnose-new/_bootstrap/link: neither a folder nor a plain file");
    EXPECT_EQ(list("target"), list("source")) << "and nothing besides";
}

TEST_F(PackageTest, RunsAtOnceWaitForEachOther) {
    int lock = open_folder("target");

    ASSERT_EQ(flock(lock, LOCK_EX), 0);
    std::vector<std::thread> threads;
    std::vector<enum diag_status> results(4, DIAG_ERR_INTERNAL);
    for (size_t i = 0; i < results.size(); i++)
        threads.emplace_back([&, i] {
            std::string from = path("source"), to = path("target");
            struct diag_package_options options = {from.c_str(), to.c_str(), nullptr};
            enum diag_package_change change;
            struct diag_error err;

            results[i] = diag_package_install(&options, &change, &err);
        });
    EXPECT_EQ(list("target"), Files()) << "one did not wait";
    close(lock);
    for (auto &thread : threads)
        thread.join();
    EXPECT_EQ(results, std::vector<enum diag_status>(4, DIAG_OK));
    EXPECT_EQ(list("target"), list("source"));
}

// Killed after ever longer, over two packages in turn: what can be imported is always whole.
TEST_F(PackageTest, KilledAtAnyInstantThePackageIsWholeOrNotThere) {
    fill("newer", "two");
    const Files packages[2] = {list("source/diagnose"), list("newer/diagnose")};
    int killed_count = 0;

    for (int i = 0; i < 300; i++) {
        pid_t child = fork();
        int status;

        ASSERT_GE(child, 0);
        if (child == 0) {
            for (int turn = 0;; turn++)
                if (install(turn % 2 == 0 ? "source" : "newer") != DIAG_OK)
                    _exit(1);
        }
        usleep(100 + (useconds_t)(i * 13));
        kill(child, SIGKILL);
        ASSERT_EQ(waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status)) << "the child failed";
        killed_count += list("target").count("diagnose/") != 0;
        Files found = list("target/diagnose");
        ASSERT_TRUE(found.empty() || found == packages[0] || found == packages[1])
            << "half a package, killed in round " << i;
    }
    EXPECT_GT(killed_count, 0);
    ASSERT_EQ(install(), DIAG_OK) << err_.message;
    EXPECT_EQ(list("target"), list("source"));
}

} // namespace
