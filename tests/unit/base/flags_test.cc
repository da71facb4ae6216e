// SPDX-License-Identifier: MIT
#include "lib/base/flags.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

struct Parsed {
    const char *name = nullptr;
    uint64_t count = 7;
    bool is_on = false;
    struct diag_flag_list list = {};
    int positional_count = -1;
    std::vector<std::string> positional;
    struct diag_error err = {};
    enum diag_status status;
};

Parsed parse(std::vector<const char *> arguments) {
    Parsed p;
    const struct diag_flag flags[] = {
        {"name", 'n', DIAG_FLAG_TEXT, &p.name, "NAME", "a name", 0, 0},
        {"count", 0, DIAG_FLAG_UINT, &p.count, "N", "a number", 1, 100},
        {"on", 0, DIAG_FLAG_SWITCH, &p.is_on, nullptr, "a switch", 0, 0},
        {"label", 'l', DIAG_FLAG_LIST, &p.list, "K=V", "labels", 0, 0},
    };
    std::vector<char *> argv = {const_cast<char *>("program")};

    for (const char *argument : arguments)
        argv.push_back(const_cast<char *>(argument));
    p.status = diag_flags_parse(flags, 4, static_cast<int>(argv.size()), argv.data(),
                                &p.positional_count, &p.err);
    for (int i = 0; i < p.positional_count; i++)
        p.positional.push_back(argv[static_cast<size_t>(1 + i)]);
    return p;
}

TEST(Flags, AllForms) {
    Parsed p = parse({"get", "--name", "a", "--count=9", "specs", "--on", "-l", "x=1", "-ly=2",
                      "--", "--not-a-flag", "-"});

    ASSERT_EQ(p.status, DIAG_OK) << p.err.message;
    EXPECT_STREQ(p.name, "a");
    EXPECT_EQ(p.count, 9u);
    EXPECT_TRUE(p.is_on);
    ASSERT_EQ(p.list.count, 2u);
    EXPECT_STREQ(p.list.items[1], "y=2");
    EXPECT_EQ(p.positional, (std::vector<std::string>{"get", "specs", "--not-a-flag", "-"}));
}

TEST(Flags, DefaultsStay) {
    Parsed p = parse({});

    ASSERT_EQ(p.status, DIAG_OK);
    EXPECT_EQ(p.name, nullptr);
    EXPECT_EQ(p.count, 7u);
    EXPECT_EQ(p.positional_count, 0);
}

TEST(Flags, ErrorsNameTheArgument) {
    struct {
        std::vector<const char *> arguments;
        const char *message;
    } const cases[] = {
        {{"--nam", "a"}, "unknown flag --nam"},
        {{"--names", "a"}, "unknown flag --names"},
        {{"-x"}, "unknown flag -x"},
        {{"--name"}, "--name needs a value"},
        {{"--on=1"}, "--on takes no value"},
        {{"--count", "0"}, "--count: \"0\" is not a number from 1 to 100"},
        {{"--count", "101"}, "--count: \"101\" is not a number from 1 to 100"},
        {{"--count", "-5"}, "--count: \"-5\" is not a number from 1 to 100"},
        {{"--count", "5x"}, "--count: \"5x\" is not a number from 1 to 100"},
        {{"--count", ""}, "--count: \"\" is not a number from 1 to 100"},
        {{"--count", "99999999999999999999"},
         "--count: \"99999999999999999999\" is not a number from 1 to 100"},
    };

    for (const auto &c : cases) {
        Parsed p = parse(c.arguments);
        EXPECT_EQ(p.status, DIAG_ERR_INVALID) << c.message;
        EXPECT_STREQ(p.err.message, c.message);
    }
}

TEST(Flags, ListsAreBounded) {
    std::vector<const char *> arguments;

    for (int i = 0; i <= DIAG_FLAG_LIST_MAX; i++)
        arguments.push_back("-lx");
    EXPECT_STREQ(parse(arguments).err.message, "--label: given more than 64 times");
}

TEST(Flags, HelpHasALinePerFlag) {
    char *text = nullptr;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    const struct diag_flag flags[] = {
        {"name", 'n', DIAG_FLAG_TEXT, nullptr, "NAME", "a name", 0, 0},
        {"on", 0, DIAG_FLAG_SWITCH, nullptr, nullptr, "a switch", 0, 0},
    };

    diag_flags_print(file, flags, 2);
    fclose(file);
    EXPECT_STREQ(text, "  --name NAME, -n                a name\n"
                       "  --on                           a switch\n");
    free(text);
}

} // namespace
