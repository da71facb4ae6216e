/* SPDX-License-Identifier: MIT */
#include "sidecar/labels.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace {

using Map = std::map<std::string, std::string>;

class Labels : public ::testing::Test {
  protected:
    void SetUp() override {
        int fd = mkstemp(path);
        ASSERT_GE(fd, 0);
        close(fd);
    }
    void TearDown() override { unlink(path); }
    void Write(const std::string &text) {
        FILE *file = fopen(path, "w");
        ASSERT_EQ(fwrite(text.data(), 1, text.size(), file), text.size());
        fclose(file);
        options.labels_file = path;
    }
    /* As collected; empty on failure. */
    Map Collect() {
        diag_sidecar_labels labels = {};
        Map map;
        status = diag_sidecar_labels_collect(&options, &labels, &err);
        for (size_t i = 0; i < labels.count; i++)
            EXPECT_TRUE(map.emplace(labels.items[i].key, labels.items[i].value).second);
        left_out = labels.left_out_count;
        too_long.assign(labels.too_long.items, labels.too_long.items + labels.too_long.count);
        diag_sidecar_labels_done(&labels);
        return map;
    }

    char path[32] = "/tmp/dlabelsXXXXXX";
    diag_sidecar_options options = {};
    diag_error err = {};
    diag_status status = DIAG_OK;
    size_t left_out = 0;
    std::vector<std::string> too_long;
};

TEST_F(Labels, NoneAtAll) {
    EXPECT_EQ(Collect(), Map{});
    EXPECT_EQ(status, DIAG_OK);
}

TEST_F(Labels, TheFirstThatHasTheKeyWins) {
    options.labels = {{"given=1", "empty=", "a=b=c"}, 3};
    options.label_defaults = {
        {"given=2", "empty=2", "name=", "name=second", "name=third", "never="}, 6};
    Write("given=\"3\"\nname=\"fourth\"\nnever=\"file\"\nown=\"5\"\n");
    EXPECT_EQ(Collect(), (Map{{"given", "1"},
                              {"empty", ""},
                              {"a", "b=c"},
                              {"name", "second"},
                              {"never", "file"},
                              {"own", "5"}}));
    EXPECT_EQ(status, DIAG_OK) << err.message;
}

TEST_F(Labels, ABadFileIsNamed) {
    Write("a=\"1\"\nb=2\n");
    EXPECT_EQ(Collect(), Map{});
    EXPECT_EQ(status, DIAG_ERR_INVALID);
    EXPECT_EQ(std::string(err.message), "--labels-file: " + std::string(path) +
                                            ": line 2: the key \"b\" has a value without quotes");
    Write("a=\"1\"\nb=\"2\"\na=\"3\"");
    EXPECT_EQ(Collect(), Map{});
    EXPECT_EQ(status, DIAG_ERR_INVALID);
    EXPECT_NE(std::string(err.message).find("line 3: the key \"a\" is there twice"),
              std::string::npos)
        << err.message;
    options.labels_file = "/nonexistent/labels";
    EXPECT_EQ(Collect(), Map{});
    EXPECT_EQ(status, DIAG_ERR_NOT_FOUND);
    EXPECT_NE(std::string(err.message).find("--labels-file: cannot open /nonexistent/labels"),
              std::string::npos)
        << err.message;
}

/* What is too much of the pod must not keep its sidecar, and so the pod, from starting. */
TEST_F(Labels, ThoseBeyondTheLimitAreCounted) {
    std::string text;
    options.labels = {{"given=1"}, 1};
    for (int i = 0; i < 70; i++)
        text += "key-" + std::to_string(i) + "=\"1\"\n";
    Write(text + "given=\"2\"\n");
    Map labels = Collect();
    EXPECT_EQ(status, DIAG_OK) << err.message;
    EXPECT_EQ(labels.size(), (size_t)DIAG_SIDECAR_LABELS_MAX);
    EXPECT_EQ(left_out, 7u);
    EXPECT_EQ(labels["given"], "1");
}

TEST_F(Labels, DefaultsThatAreTooLongAreLeftOut) {
    const std::string longest(DIAG_SIDECAR_LABEL_MAX, 'v'), longer = longest + "v";
    const std::string name = "name=" + longer, other = "other=" + longer, given = "given=" + longer,
                      id = "id=" + longest, late = "late=" + longer;
    options.labels = {{"given=1"}, 1};
    options.label_defaults = {{name.c_str(), "name=next", given.c_str(), other.c_str(), id.c_str(),
                               "late=first", late.c_str()},
                              7};
    EXPECT_EQ(Collect(),
              (Map{{"given", "1"}, {"name", "next"}, {"id", longest}, {"late", "first"}}));
    EXPECT_EQ(status, DIAG_OK) << err.message;
    EXPECT_EQ(too_long, (std::vector<std::string>{name, other}));
}

TEST_F(Labels, TooManyDefaultsAreRefused) {
    std::string texts[DIAG_FLAG_LIST_MAX];
    for (size_t i = 0; i < DIAG_FLAG_LIST_MAX; i++) {
        texts[i] = "key-" + std::to_string(i) + "=1";
        options.labels.items[i] = texts[i].c_str();
    }
    options.labels.count = DIAG_FLAG_LIST_MAX;
    options.label_defaults = {{"one=more"}, 1};
    EXPECT_EQ(Collect(), Map{});
    EXPECT_EQ(status, DIAG_ERR_INVALID);
    EXPECT_NE(std::string(err.message).find("\"one\""), std::string::npos) << err.message;
}

} // namespace
