/* SPDX-License-Identifier: MIT */
#include <cmath>
#include <functional>
#include <gtest/gtest.h>
#include <string>

#include "ctl/print.h"
#include "ctl/yaml_reader.h"

namespace {

std::string printed(const std::function<void(FILE *)> &print) {
    char *text = nullptr;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    print(file);
    fclose(file);
    std::string result(text, size);
    free(text);
    return result;
}

struct diag_document *read(const std::string &text) {
    struct diag_document *documents = nullptr;
    struct diag_error err = {};
    EXPECT_EQ(diag_yaml_read("f", diag_bytes_make(text.data(), text.size()), &documents, &err),
              DIAG_OK)
        << err.message;
    return documents;
}

TEST(Print, Json) {
    struct diag_document *documents = read("a: [1, -2.5, x, ~, true]\nb: {}\nc: []\n");
    EXPECT_EQ(printed([&](FILE *f) { diag_print_json_line(f, documents->items[0]); }),
              "{\"a\":[1,-2.5,\"x\",null,true],\"b\":{},\"c\":[]}");
    EXPECT_EQ(printed([&](FILE *f) { diag_print_json(f, documents->items[0]); }),
              "{\n  \"a\": [\n    1,\n    -2.5,\n    \"x\",\n    null,\n    true\n  ],\n"
              "  \"b\": {},\n  \"c\": []\n}\n");
    diag_document_free(documents);
}

TEST(Print, JsonTextsAndNumbers) {
    const struct {
        struct diag_document *document;
        std::string expected;
    } cases[] = {
        {diag_document_text("a\"b\\c\n\x1b\u009b\u202e\u00e9"),
         "\"a\\\"b\\\\c\\n\\u001b\\u009b\\u202e\u00e9\""},
        {diag_document_bytes(diag_bytes_make("a\0b", 3)), "\"a\\u0000b\""},
        {diag_document_bytes(diag_bytes_make("a\xff", 2)), "\"a\\ufffd\""},
        {diag_document_uint(UINT64_MAX), "18446744073709551615"},
        {diag_document_int(INT64_MIN), "-9223372036854775808"},
        {diag_document_float(0.1), "0.1"},
        {diag_document_float(1.0 / 3), "0.3333333333333333"},
        {diag_document_float(5), "5.0"},
        {diag_document_float(1e300), "1e+300"},
        {diag_document_float(-0.0), "-0.0"},
        {diag_document_float(NAN), "\"nan\""},
        {diag_document_float(INFINITY), "\"inf\""},
        {diag_document_float(-INFINITY), "\"-inf\""},
    };
    for (const auto &c : cases) {
        EXPECT_EQ(printed([&](FILE *f) { diag_print_json_line(f, c.document); }), c.expected);
        diag_document_free(c.document);
    }
}

TEST(Print, Yaml) {
    struct diag_document *documents = read("{a: [1, -2.5, x], b: {c: ~}, d: [], '~': .inf}");
    EXPECT_EQ(printed([&](FILE *f) {
                  diag_print_yaml(f, documents->items[0], true);
                  diag_print_yaml(f, documents->items[0]->items[0], false);
              }),
              "a:\n- 1\n- -2.5\n- x\nb:\n  c: null\nd: []\n'~': .inf\n---\n- 1\n- -2.5\n- x\n");
    diag_document_free(documents);
}

/* Whatever a text looks like, it is text when it is read back, and drives no terminal. */
TEST(Print, YamlTextsReadBack) {
    const std::string texts[] = {
        "",       "plain",     "null",  "True",   "no",         "Y",    "12",           "1.5",
        "0x1f",   ".inf",      "a: b",  "- x",    "#c",         "x #c", "'q'",          "\"q\"",
        "a\nb",   "\n",        " lead", "trail ", "!t",         "&a",   "*a",           "{a}",
        "[a]",    "%x",        "@x",    "`x",     "2026-01-01", "1:20", "\u00e9t",      "\x1b[m",
        "\u0085", "\u202egnp", "---",   "tab\tx", "a\\b",       "=",    "\U0001F600 x", "\u2028"};
    for (const auto &text : texts) {
        struct diag_document *list = diag_document_list();
        diag_document_add(list, diag_document_text(text.c_str()));
        const std::string yaml = printed([&](FILE *f) { diag_print_yaml(f, list, true); });
        for (const char *bad : {"\x1b", "\u0085", "\u202e", "\u2028", "\t"})
            EXPECT_EQ(yaml.find(bad), std::string::npos) << yaml;
        struct diag_document *back = read(yaml);
        const struct diag_document *item = back->items[0]->items[0];
        ASSERT_EQ(item->kind, DIAG_DOCUMENT_TEXT) << yaml;
        EXPECT_EQ(std::string(item->text, item->text_size), text) << yaml;
        diag_document_free(back);
        diag_document_free(list);
    }
}

TEST(Print, TableAlignsAndEscapes) {
    const char *const columns[] = {"ID", "N", "MESSAGE", nullptr};
    struct diag_table table;
    diag_table_init(&table, columns);
    diag_table_add(&table, "caf\u00e9-au-lait");
    diag_table_add_uint(&table, 12345);
    diag_table_add(&table, "\x1b[31mred\nline");
    diag_table_add(&table, "b");
    diag_table_add_uint(&table, 0);
    diag_table_add(&table, "");
    EXPECT_EQ(printed([&](FILE *f) { diag_table_print(f, &table, 2); }),
              "  ID             N       MESSAGE\n"
              "  caf\u00e9-au-lait   12345   \\x1b[31mred\\nline\n"
              "  b              0       -\n");
    diag_table_done(&table);
}

} // namespace
