/* SPDX-License-Identifier: MIT */
#include <gtest/gtest.h>
#include <string>

#include "ctl/print.h"
#include "ctl/yaml_reader.h"

namespace {

/* The documents as JSON, or the error. */
std::string read(const std::string &text) {
    struct diag_document *documents = nullptr;
    struct diag_error err = {};
    if (diag_yaml_read("f", diag_bytes_make(text.data(), text.size()), &documents, &err) != DIAG_OK)
        return err.message;
    char *json = nullptr;
    size_t size = 0;
    FILE *file = open_memstream(&json, &size);
    diag_print_json_line(file, documents);
    fclose(file);
    std::string result(json, size);
    free(json);
    diag_document_free(documents);
    return result;
}

TEST(YamlReader, TypesScalarsByTheCoreSchema) {
    const struct {
        const char *text, *expected;
    } cases[] = {
        {"~", "[null]"},
        {"null", "[null]"},
        {"NULL", "[null]"},
        {"a:", "[{\"a\":null}]"},
        {"true", "[true]"},
        {"False", "[false]"},
        {"yes", "[\"yes\"]"},
        {"no", "[\"no\"]"},
        {"12", "[12]"},
        {"-7", "[-7]"},
        {"+7", "[7]"},
        {"007", "[7]"},
        {"0x1F", "[31]"},
        {"0o17", "[15]"},
        {"1e3", "[1000.0]"},
        {"0.1", "[0.1]"},
        {".5", "[0.5]"},
        {"5.", "[5.0]"},
        {"-.inf", "[\"-inf\"]"},
        {".NaN", "[\"nan\"]"},
        {"1_000", "[\"1_000\"]"},
        {"1:20", "[\"1:20\"]"},
        {"-", "[[null]]"},
        {"0x", "[\"0x\"]"},
        {"e3", "[\"e3\"]"},
        {"1.2.3", "[\"1.2.3\"]"},
        {"'12'", "[\"12\"]"},
        {"\"~\"", "[\"~\"]"},
        {"2026-03-01", "[\"2026-03-01\"]"},
        {"9223372036854775807", "[9223372036854775807]"},
        {"-9223372036854775808", "[-9223372036854775808]"},
        {"{\"a\": [1, 2.5, \"x\"], \"b\": {}}", "[{\"a\":[1,2.5,\"x\"],\"b\":{}}]"},
        {"a: 1\n---\nb: 2\n", "[{\"a\":1},{\"b\":2}]"},
        {"\xef\xbb\xbf"
         "a: 1\n",
         "[{\"a\":1}]"},
        {"a: |\n  x\n  y\n", "[{\"a\":\"x\\ny\\n\"}]"},
        {"<<: {a: 1}", "[{\"<<\":{\"a\":1}}]"},
        {"1: x", "[{\"1\":\"x\"}]"},
        {"", "[]"},
    };
    for (const auto &c : cases)
        EXPECT_EQ(read(c.text), c.expected) << c.text;
}

std::string nested(int depth) {
    return std::string(depth, '[') + std::string(depth, ']');
}

TEST(YamlReader, RefusesWithLineAndPath) {
    const struct {
        std::string text, expected;
    } cases[] = {
        {"a: &x 1\nb: *x\n", "f:1: a: anchors (&name) are not allowed"},
        {"b: 1\na: *x\n", "f:2: a: aliases (*name) are not allowed"},
        {"a: &x [1]\n", "f:1: a: anchors (&name) are not allowed"},
        {"a: !!str 1\n", "f:1: a: tags (!name) are not allowed"},
        {"a: !!python/object:os.system x\n", "f:1: a: tags (!name) are not allowed"},
        {"a: !x {b: 1}\n", "f:1: a: tags (!name) are not allowed"},
        {"&k a: 1\n", "f:1: anchors (&name) are not allowed"},
        {"a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", "f:5: b.c: given twice"},
        {"a: [1, {x: 1, x: 2}]", "f:1: a[1].x: given twice"},
        {"? [1, 2]\n: 3\n", "f:1: keys must be text, not lists or maps"},
        {"a: 9223372036854775808\n", "f:1: a: the number does not fit 64 bits"},
        {"\n\na: \"x\\0y\"\n", "f:3: a: text must not have a NUL in it"},
        {"\"a\\0b\": 1\n", "f:1: keys must not have a NUL in them"},
        {std::string("a: 1\nb: \xff\n"), "f:2: not valid UTF-8"},
        {std::string("\xff\xfe"
                     "a\0",
                     4),
         "f:1: not valid UTF-8"},
        {nested(33), "f:1: nested deeper than 32 levels"},
        {nested(100000), "f:1: nested deeper than 32 levels"},
        {"a: [1, 2\nb: 3\n",
         "f:2: not valid YAML: did not find expected ',' or ']', while parsing a flow sequence"},
        {"a: b: c\n", "f:1: not valid YAML: mapping values are not allowed in this context"},
        {"a:\n\t- b\n",
         "f:2: not valid YAML: found character that cannot start any token, while scanning for the "
         "next token"},
        {"a: \"x\n", "f:2: not valid YAML: found unexpected end of stream, while scanning a quoted "
                     "scalar"},
        {"\x1b]0;evil\x07: 1", "f:1: not valid YAML: control characters are not allowed"},
        {"\"\\e[31m\": {\"x\": 1, \"x\": 2}", "f:1: \\x1b[31m.x: given twice"},
    };
    for (const auto &c : cases)
        EXPECT_EQ(read(c.text), c.expected) << c.text.substr(0, 40);
    EXPECT_EQ(read(nested(32)).substr(0, 4), "[[[[");
}

TEST(YamlReader, IsQuickWithManyKeys) {
    std::string text;
    for (int i = 0; i < 80000; i++)
        text += "k" + std::to_string(i) + ": 1\n";
    EXPECT_EQ(read(text + "k7: 2\n"), "f:80001: k7: given twice");
}

} // namespace
