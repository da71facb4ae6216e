// SPDX-License-Identifier: MIT
#include "deploy/images/inject/tree.h"

#include <signal.h>
#include <sys/resource.h>

#include <functional>

#include "tests/unit/inject/folder_fixture.h"

namespace {

using Files = std::map<std::string, std::string>;

bool is_no_c_file(const char *name, const void *context) {
    (void)context;
    return std::string(name).find(".c") == std::string::npos;
}
const struct diag_tree_filter kNoCFiles = {is_no_c_file, nullptr};

class TreeTest : public FolderTest {
  protected:
    void SetUp() override {
        FolderTest::SetUp();
        make_folder("target");
        write("source/a.py", "a");
        write("source/run", "#!", 0500);
        write("source/deep/er/b.c", "b", 0400);
        write("source/empty", "");
        make_folder("source/hollow");
    }

    enum diag_status copy(const struct diag_tree_filter *filter = nullptr) {
        int source = open_folder("source"), target = open_folder("target");
        enum diag_status status = diag_tree_copy(source, target, "copy", filter, &err_);

        close(source);
        close(target);
        return status;
    }

    bool equals(const struct diag_tree_filter *filter = nullptr) {
        int source = open_folder("source"), copy = open_folder("target/copy");
        bool is_equal = diag_tree_equals(source, copy, filter);

        close(source);
        close(copy);
        return is_equal;
    }

    struct diag_error err_ = {};
};

const Files kAll = {{"a.py", "644 a"},       {"run", "755 #!"},  {"empty", "644 "},
                    {"deep/", "755"},        {"hollow/", "755"}, {"deep/er/", "755"},
                    {"deep/er/b.c", "644 b"}};

TEST_F(TreeTest, CopiesForAnybodyToRead) {
    mode_t old = umask(0077);

    EXPECT_EQ(copy(), DIAG_OK) << err_.message;
    umask(old);
    EXPECT_EQ(list("target/copy"), kAll);
    EXPECT_TRUE(equals());
}

TEST_F(TreeTest, ALargeFileIsCopiedWhole) {
    std::string large(3 * 65536 + 17, 'x');

    large[2 * 65536] = 'y';
    write("source/large", large);
    EXPECT_EQ(copy(), DIAG_OK) << err_.message;
    EXPECT_EQ(list("target/copy")["large"], "644 " + large);
    EXPECT_TRUE(equals());
    large[2 * 65536] = 'z';
    write("target/copy/large", large);
    EXPECT_FALSE(equals());
}

TEST_F(TreeTest, TheFilterLeavesFilesOut) {
    Files wanted = kAll;

    wanted.erase("deep/er/b.c");
    EXPECT_EQ(copy(&kNoCFiles), DIAG_OK) << err_.message;
    EXPECT_EQ(list("target/copy"), wanted);
    EXPECT_TRUE(equals(&kNoCFiles));
    EXPECT_FALSE(equals());
}

TEST_F(TreeTest, EveryDifferenceIsSeen) {
    const std::map<std::string, std::function<void()>> differences = {
        {"contents", [&] { write("target/copy/a.py", "b"); }},
        {"contents below", [&] { write("target/copy/deep/er/b.c", "c"); }},
        {"shorter", [&] { write("target/copy/a.py", ""); }},
        {"longer", [&] { write("target/copy/a.py", "aa"); }},
        {"mode of a file", [&] { write("target/copy/a.py", "a", 0600); }},
        {"mode of a folder", [&] { chmod(path("target/copy/deep").c_str(), 0700); }},
        {"mode of the whole", [&] { chmod(path("target/copy").c_str(), 0700); }},
        {"missing file", [&] { unlink(path("target/copy/empty").c_str()); }},
        {"missing folder", [&] { rmdir(path("target/copy/hollow").c_str()); }},
        {"further file", [&] { write("target/copy/hollow/x", ""); }},
        {"folder for a file",
         [&] {
             unlink(path("target/copy/empty").c_str());
             make_folder("target/copy/empty");
         }},
        {"file for a folder",
         [&] {
             rmdir(path("target/copy/hollow").c_str());
             write("target/copy/hollow", "");
         }},
        {"link for a file",
         [&] {
             unlink(path("target/copy/a.py").c_str());
             ASSERT_EQ(symlink(path("source/a.py").c_str(), path("target/copy/a.py").c_str()), 0);
         }},
    };
    for (const auto &[name, make] : differences) {
        SCOPED_TRACE(name);
        ASSERT_EQ(copy(), DIAG_OK) << err_.message;
        ASSERT_TRUE(equals());
        make();
        EXPECT_FALSE(equals());
        std::filesystem::remove_all(path("target/copy"));
    }
}

TEST_F(TreeTest, LinksAreRefused) {
    ASSERT_EQ(symlink("a.py", path("source/deep/link").c_str()), 0);
    EXPECT_EQ(copy(), DIAG_ERR_UNSUPPORTED);
    EXPECT_STREQ(err_.message, "copy/deep/link: neither a folder nor a plain file");
}

TEST_F(TreeTest, WhatIsThereIsNotWrittenOver) {
    write("target/copy/a.py", "old");
    EXPECT_EQ(copy(), DIAG_ERR_IO);
    EXPECT_EQ(err_.os_errno, EEXIST);
    EXPECT_EQ(list("target"), (Files{{"copy/", "755"}, {"copy/a.py", "644 old"}}));
}

TEST_F(TreeTest, FoldersThatNeverEndAreRefused) {
    std::string name = "source";

    for (int i = 0; i < DIAG_TREE_DEPTH_MAX + 1; i++)
        name += "/d";
    make_folder(name);
    EXPECT_EQ(copy(), DIAG_ERR_UNSUPPORTED);
    EXPECT_NE(std::string(err_.message).find("over 16 folders deep"), std::string::npos);
}

// A limit on the size of files stands for a disk without room: write() fails in the same way.
TEST_F(TreeTest, AWriteThatFailsNamesTheFile) {
    struct rlimit old, limit;

    write("source/large", std::string(100000, 'x'));
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 70000;
    signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    EXPECT_EQ(copy(), DIAG_ERR_IO);
    setrlimit(RLIMIT_FSIZE, &old);
    EXPECT_EQ(err_.os_errno, EFBIG);
    EXPECT_STREQ(err_.message, "copy/large: cannot be written: File too large");
}

TEST_F(TreeTest, RemovesWhateverThereIs) {
    int target = open_folder("target");

    ASSERT_EQ(copy(), DIAG_OK) << err_.message;
    write("target/file", "x");
    ASSERT_EQ(symlink(path("source").c_str(), path("target/link").c_str()), 0);
    ASSERT_EQ(symlink(path("source").c_str(), path("target/copy/link").c_str()), 0);
    for (const char *name : {"copy", "file", "link", "nothing"})
        EXPECT_EQ(diag_tree_remove(target, name, &err_), DIAG_OK) << err_.message;
    close(target);
    EXPECT_EQ(list("target"), Files());
    EXPECT_EQ(list("source").size(), kAll.size()) << "a link was followed";
}

} // namespace
