/* SPDX-License-Identifier: MIT */
#include "sidecar/options.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace {

struct Parsed {
    diag_sidecar_options options;
    diag_error err = {};
    diag_status status;
    std::vector<std::string> arguments;
    std::vector<char *> argv;

    explicit Parsed(std::vector<std::string> given) : arguments(std::move(given)) {
        arguments.insert(arguments.begin(), "diagnose-sidecar");
        for (std::string &argument : arguments)
            argv.push_back(&argument[0]);
        argv.push_back(nullptr);
        status = diag_sidecar_options_parse(&options, (int)arguments.size(), argv.data(), &err);
    }
};

TEST(Options, Defaults) {
    Parsed parsed({"--controller", "127.0.0.1:7400"});
    ASSERT_EQ(parsed.status, DIAG_OK) << parsed.err.message;
    EXPECT_STREQ(parsed.options.controller, "127.0.0.1:7400");
    EXPECT_STREQ(parsed.options.socket, "/run/diagnose/diagnose.sock");
    EXPECT_NE(parsed.options.host[0], '\0');
    EXPECT_EQ(parsed.options.health, nullptr);
    EXPECT_EQ(parsed.options.labels_file, nullptr);
    EXPECT_EQ(parsed.options.label_defaults.count, 0u);
    EXPECT_EQ(parsed.options.ring_size, 1u << 20);
    EXPECT_EQ(parsed.options.max_processes, 64u);
    EXPECT_GE(parsed.options.max_memory, 64u << 20);
    EXPECT_EQ(parsed.options.log_level, DIAG_LOG_INFO);
}

TEST(Options, Everything) {
    Parsed parsed({"--controller=unix:/c", "--socket=/s", "-l", "app=shop", "--label", "zone=a=b",
                   "--label=empty=", "--host=h", "--health=127.0.0.1:7411", "--ring-size=65536",
                   "--max-processes=3", "--max-memory=1234567", "--log-level=debug",
                   "--labels-file=/l", "--label-default=a=", "--label-default=a=1",
                   "--tls-reload=5"});
    ASSERT_EQ(parsed.status, DIAG_OK) << parsed.err.message;
    EXPECT_STREQ(parsed.options.socket, "/s");
    ASSERT_EQ(parsed.options.labels.count, 3u);
    EXPECT_STREQ(parsed.options.labels.items[1], "zone=a=b");
    EXPECT_STREQ(parsed.options.host, "h");
    EXPECT_STREQ(parsed.options.health, "127.0.0.1:7411");
    EXPECT_EQ(parsed.options.ring_size, 65536u);
    EXPECT_EQ(parsed.options.max_processes, 3u);
    EXPECT_EQ(parsed.options.max_memory, 1234567u);
    EXPECT_STREQ(parsed.options.labels_file, "/l");
    EXPECT_EQ(parsed.options.tls.reload_s, 5u);
    ASSERT_EQ(parsed.options.label_defaults.count, 2u);
    EXPECT_STREQ(parsed.options.label_defaults.items[1], "a=1");
    EXPECT_EQ(parsed.options.log_level, DIAG_LOG_DEBUG);
}

TEST(Options, HealthMayBeServedToTheNetwork) {
    Parsed parsed({"--controller=unix:/c", "--health=0.0.0.0:7401"});
    EXPECT_EQ(parsed.status, DIAG_OK) << parsed.err.message;
    EXPECT_STREQ(parsed.options.health, "0.0.0.0:7401");
}

/* It comes from a pod's metadata; labels.c leaves it out. */
TEST(Options, ADefaultMayBeTooLong) {
    const std::string label = "k=" + std::string(321, 'v');
    Parsed parsed({"--controller=unix:/c", "--label-default", label});
    ASSERT_EQ(parsed.status, DIAG_OK) << parsed.err.message;
    ASSERT_EQ(parsed.options.label_defaults.count, 1u);
    EXPECT_EQ(parsed.options.label_defaults.items[0], label);
}

TEST(Options, HelpNeedsNothingElse) {
    EXPECT_EQ(Parsed({"--help"}).status, DIAG_OK);
    EXPECT_TRUE(Parsed({"-h"}).options.has_help);
    EXPECT_TRUE(Parsed({"--version"}).options.has_version);
}

TEST(Options, HelpNamesEveryFlag) {
    char *text = nullptr;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    diag_sidecar_options_print_help(file);
    fclose(file);
    for (const char *flag :
         {"--controller", "--socket", "--label", "--label-default", "--labels-file", "--host",
          "--health", "--ring-size", "--max-processes", "--max-memory", "--log-level",
          "--tls-reload", "--tls-ca", "--tls-cert", "--tls-key", "--insecure", "Examples:"})
        EXPECT_NE(strstr(text, flag), nullptr) << flag;
    free(text);
}

TEST(Options, Refuses) {
    const std::string long_label = "k=" + std::string(321, 'v');
    const std::string long_key = std::string(321, 'k') + "=v";
    struct {
        std::vector<std::string> arguments;
        const char *part;
    } const cases[] = {
        {{}, "--controller is required"},
        {{"--controller="}, "--controller is required"},
        {{"--controller=10.1.2.3:7400"}, "--controller 10.1.2.3:7400"},
        {{"--controller=unix:/c", "extra"}, "\"extra\""},
        {{"--controller=unix:/c", "--nonsense"}, "--nonsense"},
        {{"--controller=unix:/c", "--label=app"}, "\"app\" is not KEY=VALUE"},
        {{"--controller=unix:/c", "--label==x"}, "KEY=VALUE"},
        {{"--controller=unix:/c", "--label=a=1", "--label=a=2"}, "\"a\" twice"},
        {{"--controller=unix:/c", "--label", long_label}, "--label: \"k="},
        {{"--controller=unix:/c", "--label", long_label}, "over 320 bytes"},
        {{"--controller=unix:/c", "--label-default", long_key}, "--label-default: \"kkk"},
        {{"--controller=unix:/c", "--label-default=app"}, "--label-default: \"app\""},
        {{"--controller=unix:/c", "--label-default=a=\xff"}, "--label-default 1 is not UTF-8"},
        {{"--controller=unix:/c", "--label=a=\xff"}, "UTF-8"},
        {{"--controller=unix:/c", "--ring-size=65537"}, "65537 is not a power of two"},
        {{"--controller=unix:/c", "--ring-size=1024"}, "--ring-size"},
        {{"--controller=unix:/c", "--max-processes=0"}, "--max-processes"},
        {{"--controller=unix:/c", "--max-memory=1000000"}, "not enough for one process"},
        {{"--controller=unix:/c", "--log-level=loud"}, "\"loud\""},
        {{"--controller=unix:/c", "--tls-reload=86401"}, "--tls-reload"},
        {{"--controller=unix:/c", "--health=nowhere"}, "--health: "},
        {{"--controller=unix:/c", "--health="}, "--health: "},
    };
    for (auto &c : cases) {
        Parsed parsed(c.arguments);
        EXPECT_NE(parsed.status, DIAG_OK) << c.part;
        EXPECT_NE(std::string(parsed.err.message).find(c.part), std::string::npos)
            << parsed.err.message;
    }
}

} // namespace
