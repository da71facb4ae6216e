/* SPDX-License-Identifier: MIT */
#include "controller/options.h"

#include <string.h>

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

diag_status parse(std::vector<std::string> arguments, diag_options *options, diag_error *err) {
    static std::vector<std::string> kept; /* options borrow from argv */
    std::vector<char *> argv;

    kept = std::move(arguments);
    kept.insert(kept.begin(), "diagnose-controller");
    for (std::string &argument : kept)
        argv.push_back(argument.data());
    argv.push_back(nullptr);
    return diag_options_parse(static_cast<int>(kept.size()), argv.data(), options, err);
}

TEST(Options, Defaults) {
    diag_options options = {};
    diag_error err = {};

    ASSERT_EQ(DIAG_OK, parse({}, &options, &err)) << err.message;
    EXPECT_STREQ("127.0.0.1:7400", options.listen);
    EXPECT_STREQ("./diagnose.db", options.database);
    EXPECT_EQ(600u, options.ttl_s);
    EXPECT_EQ(nullptr, options.port_file);
    EXPECT_EQ(nullptr, options.health);
    EXPECT_EQ(DIAG_LOG_INFO, options.log_level);
}

TEST(Options, TakesEachFlag) {
    diag_options options = {};
    diag_error err = {};

    ASSERT_EQ(DIAG_OK, parse({"--listen", "0.0.0.0:1", "--database=/d", "--ttl", "5", "--port-file",
                              "/p", "--log-level", "debug", "--insecure", "--health=0.0.0.0:2",
                              "--tls-reload", "7"},
                             &options, &err))
        << err.message;
    EXPECT_STREQ("0.0.0.0:1", options.listen);
    EXPECT_STREQ("/d", options.database);
    EXPECT_EQ(5u, options.ttl_s);
    EXPECT_STREQ("/p", options.port_file);
    EXPECT_EQ(DIAG_LOG_DEBUG, options.log_level);
    EXPECT_TRUE(options.tls.allow_plaintext);
    EXPECT_STREQ("0.0.0.0:2", options.health);
    EXPECT_EQ(7u, options.tls.reload_s);
}

TEST(Options, HelpAndVersionAskForNothingElse) {
    diag_options options = {};

    EXPECT_EQ(DIAG_OK, parse({"--help", "--listen", "0.0.0.0:1"}, &options, nullptr));
    EXPECT_TRUE(options.wants_help);
    EXPECT_EQ(DIAG_OK, parse({"--version", "stray"}, &options, nullptr));
    EXPECT_TRUE(options.wants_version);
}

TEST(Options, RefusalsNameTheFlag) {
    const struct {
        std::vector<std::string> arguments;
        const char *named;
    } cases[] = {
        {{"--ttl", "0"}, "--ttl"},
        {{"--ttl", "86401"}, "--ttl"},
        {{"--ttl"}, "--ttl"},
        {{"--bogus"}, "--bogus"},
        {{"stray"}, "stray"},
        {{"--log-level", "loud"}, "--log-level"},
        {{"--listen", ""}, "--listen"},
        {{"--database", ""}, "--database"},
        {{"--port-file", ""}, "--port-file"},
        {{"--listen", "unix:/tmp/s", "--port-file", "/p"}, "--port-file"},
        {{"--listen", "0.0.0.0:7400"}, "--insecure"},
        {{"--tls-cert", "c"}, "--tls-key"},
        {{"--health", "nowhere"}, "--health: "},
        {{"--health", ""}, "--health: "},
    };

    for (const auto &each : cases) {
        diag_options options = {};
        diag_error err = {};

        EXPECT_EQ(DIAG_ERR_INVALID, parse(each.arguments, &options, &err)) << each.named;
        EXPECT_NE(nullptr, strstr(err.message, each.named)) << err.message;
        EXPECT_EQ(nullptr, options.listen) << "outputs are untouched on failure";
    }
}

} // namespace
