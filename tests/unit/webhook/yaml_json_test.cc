// SPDX-License-Identifier: MIT
#include "deploy/webhook/yaml_json.h"

#include "tests/unit/webhook/json_testing.h"

namespace {

TEST(YamlJson, ReadsWhatKubernetesReads) {
    const struct {
        std::string yaml, json;
    } cases[] = {
        {"a: b", "{'a':'b'}"},
        {"{\"a\": [1, -2, 2.5, true, null, \"3\"]}", "{'a':[1,-2,2.5,true,null,'3']}"},
        {"a:\n- x: ~\n- False\n- ''\n- '1'\n-", "{'a':[{'x':null},false,'','1',null]}"},
        {"mode: 0644", "{'mode':420}"},
        {"mode: 0o644", "{'mode':420}"},
        {"mode: 0", "{'mode':0}"},
        {"version: 0.1.0", "{'version':'0.1.0'}"},
        {"a: [.5, 1e3, -0.25, 12Mi, 10m, 1.2.3, 0o9, +, -, ., e]",
         "{'a':[0.5,1000.0,-0.25,'12Mi','10m','1.2.3','0o9','+','-','.','e']}"},
        {"a: 99999999999999999999", "{'a':1e20}"},
        {"a: |\n  x\n  y\n", "{'a':'x\\ny\\n'}"},
        {"# c\n---\na: 1\n...\n", "{'a':1}"},
    };

    for (const auto &c : cases) {
        json_t *made = nullptr;
        struct diag_error err = {};

        ASSERT_EQ(diag_yaml_json_read("f", diag_bytes_from_text(c.yaml.c_str()), &made, &err),
                  DIAG_OK)
            << c.yaml << ": " << err.message;
        Json json(made);
        EXPECT_TRUE(json_equal(json.get(), parse(c.json).get())) << dump(made) << " " << c.json;
    }
}

TEST(YamlJson, SaysWhatIsWrongAndWhere) {
    std::string deep;
    for (int i = 0; i < 40; i++)
        deep += "[";
    const struct {
        std::string yaml;
        const char *message;
    } cases[] = {
        {"", "no document"},
        {"a: 1\na: 2", "f:2: the same key twice"},
        {"a: &x 1\nb: *x", "f:2: an alias"},
        {"a: !!str 1", "f:1: a tag"},
        {"{a: 1", "did not find expected ',' or '}'"},
        {"a: 1\n---\nb: 2", "f:3: a second document"},
        {"[a]: 1", "f:1: a key that is not text"},
        {"a: \"\\0\"", "f:1: text with a NUL"},
        {"\"a\\0\": 1", "f:1: text with a NUL"},
        {"a: \"\xff\"", "f:"},
        {deep, "nested too deeply"},
    };

    for (const auto &c : cases) {
        json_t *made = nullptr;
        struct diag_error err = {};

        EXPECT_EQ(
            diag_yaml_json_read("f", diag_bytes_make(c.yaml.data(), c.yaml.size()), &made, &err),
            DIAG_ERR_INVALID)
            << c.yaml;
        EXPECT_EQ(made, nullptr);
        EXPECT_NE(std::string(err.message).find(c.message), std::string::npos) << err.message;
    }
}

} // namespace
