/* SPDX-License-Identifier: MIT */
#include "sidecar/labels_file.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

/* All labels of the text, or those before the error. */
Labels Parse(const std::string &text, diag_status *status, diag_error *err) {
    diag_labels_file file = diag_labels_file_make(diag_bytes_make(text.data(), text.size()));
    diag_labels_file_entry entry = {};
    Labels labels;

    while ((*status = diag_labels_file_next(&file, &entry, err)) == DIAG_OK)
        labels.emplace_back(entry.key, entry.value);
    return labels;
}

TEST(LabelsFile, ReadsWhatKubernetesWrites) {
    const std::string longest_key = std::string(253, 'd') + "/" + std::string(63, 'n');
    const struct {
        std::string text;
        Labels labels;
    } cases[] = {
        {"", {}},
        {"\n\n", {}},
        {"a=\"1\"", {{"a", "1"}}},
        {"a=\"1\"\n", {{"a", "1"}}},
        {"a=\"1\"\n\nb=\"\"\n", {{"a", "1"}, {"b", ""}}},
        {"app.kubernetes.io/name=\"shop\"\npod-template-hash=\"7d9\"",
         {{"app.kubernetes.io/name", "shop"}, {"pod-template-hash", "7d9"}}},
        {"a=\"x=y\"", {{"a", "x=y"}}},
        {"a=\"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"\\'\"", {{"a", "\a\b\f\n\r\t\v\\\"'"}}},
        {"a=\"\\x41\\u00e4\\u20aC\\U0001f600\"", {{"a", "A\u00e4\u20ac\U0001f600"}}},
        {"a=\"\xc3\xa4\"", {{"a", "\u00e4"}}},
        {longest_key + "=\"v\"", {{longest_key, "v"}}},
        {"a=\"" + std::string(320, 'v') + "\"", {{"a", std::string(320, 'v')}}},
    };
    for (const auto &c : cases) {
        diag_error err = {};
        diag_status status;
        EXPECT_EQ(Parse(c.text, &status, &err), c.labels) << c.text;
        EXPECT_EQ(status, DIAG_ERR_CLOSED) << c.text << ": " << err.message;
    }
}

TEST(LabelsFile, NamesLineAndKey) {
    const std::string good = "good=\"1\"\n\n";
    const struct {
        std::string line, part;
    } cases[] = {
        {"nonsense", "line 3 is not KEY=\"VALUE\""},
        {"=\"1\"", "line 3 is not KEY=\"VALUE\""},
        {"bad=1", "line 3: the key \"bad\" has a value without quotes"},
        {"bad=", "line 3: the key \"bad\" has a value without quotes"},
        {"bad=\"1", "the key \"bad\" has a value without its closing quote"},
        {"bad=\"1\\\"", "without its closing quote"},
        {"bad=\"1\" ", "the key \"bad\" has something after the closing quote"},
        {"bad=\"\\", "a backslash that begins no escape"},
        {"bad=\"\\q\"", "a backslash that begins no escape"},
        {"bad=\"\\x4\"", "a backslash that begins no escape"},
        {"bad=\"\\x4g\"", "a backslash that begins no escape"},
        {"bad=\"\\U00110000\"", "a backslash that begins no escape"},
        {"bad=\"\\ud800\"", "a value that is not UTF-8"},
        {"bad=\"\\xff\"", "a value that is not UTF-8"},
        {"bad=\"\xff\"", "a value that is not UTF-8"},
        {"bad=\"\\x00\"", "a NUL character"},
        {std::string("bad=\"\0\"", 7), "a NUL character"},
        {std::string("b\0d=\"1\"", 7), "line 3: the key is not UTF-8 text"},
        {"b\xff=\"1\"", "line 3: the key is not UTF-8 text"},
        {std::string(321, 'k') + "=\"1\"", "kkk...\" has over 320 bytes"},
        {"bad=\"" + std::string(321, 'v') + "\"", "the key \"bad\" has a value that is too long"},
    };
    for (const auto &c : cases) {
        diag_error err = {};
        diag_status status;
        EXPECT_EQ(Parse(good + c.line, &status, &err), (Labels{{"good", "1"}})) << c.line;
        EXPECT_EQ(status, DIAG_ERR_INVALID) << c.line;
        EXPECT_NE(std::string(err.message).find(c.part), std::string::npos) << err.message;
    }
}

TEST(LabelsFile, LoadNamesTheFile) {
    diag_buffer text = {};
    diag_error err = {};

    EXPECT_EQ(diag_labels_file_load("/nonexistent/labels", &text, &err), DIAG_ERR_NOT_FOUND);
    EXPECT_NE(std::string(err.message).find("/nonexistent/labels"), std::string::npos);
    EXPECT_EQ(diag_labels_file_load("/", &text, &err), DIAG_ERR_IO);
    EXPECT_EQ(diag_labels_file_load("/dev/zero", &text, &err), DIAG_ERR_TOO_LARGE);
    EXPECT_EQ(text.size, 0u);
    diag_buffer_done(&text);
}

} // namespace
