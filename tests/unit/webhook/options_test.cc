// SPDX-License-Identifier: MIT
#include "deploy/webhook/options.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

struct diag_webhook_options options;
struct diag_error err;

enum diag_status parse(std::vector<const char *> arguments) {
    std::vector<char *> argv = {const_cast<char *>("program")};

    for (const char *argument : arguments)
        argv.push_back(const_cast<char *>(argument));
    return diag_webhook_options_parse(&options, static_cast<int>(argv.size()), argv.data(), &err);
}

TEST(Options, HaveDefaults) {
    ASSERT_EQ(parse({"--tls-cert", "c", "--tls-key", "k", "--template", "t"}), DIAG_OK)
        << err.message;
    EXPECT_STREQ(options.listen, "[::]:8443");
    EXPECT_STREQ(options.service_account, "/var/run/secrets/kubernetes.io/serviceaccount");
    EXPECT_EQ(options.max_connections, 256u);
    EXPECT_EQ(options.request_timeout_s, 10u);
    EXPECT_GT(options.idle_timeout_s, 90u);
    EXPECT_EQ(options.stop_delay_s, 5u);
    EXPECT_EQ(options.max_memory, 64u << 20);
    EXPECT_EQ(options.log_level, DIAG_LOG_INFO);
    EXPECT_FALSE(options.without_events);
    EXPECT_STRNE(options.instance, "");
}

TEST(Options, AreTaken) {
    ASSERT_EQ(parse({"--listen=:1", "--tls-cert=c", "--tls-key=k", "-t", "a", "-t", "b", "--image",
                     "x=r/i:1", "--image=y=r@sha256:1=2", "--no-events", "--max-memory=7",
                     "--log-level=debug", "--stop-delay=0"}),
              DIAG_OK)
        << err.message;
    EXPECT_EQ(options.templates.count, 2u);
    EXPECT_EQ(options.images.count, 2u);
    EXPECT_EQ(options.max_memory, 7u << 20);
    EXPECT_EQ(options.stop_delay_s, 0u);
    EXPECT_EQ(options.log_level, DIAG_LOG_DEBUG);
    EXPECT_TRUE(options.without_events);
}

TEST(Options, SayWhatIsWrong) {
    const struct {
        std::vector<const char *> arguments;
        const char *message;
    } cases[] = {
        {{}, "--tls-cert and --tls-key are required"},
        {{"--tls-cert=c", "--template=t"}, "--tls-cert and --tls-key are required"},
        {{"--tls-cert=c", "--tls-key=k"}, "--template is required"},
        {{"--tls-cert=c", "--tls-key=k", "-tx", "--image=i"}, "--image: \"i\" is not NAME=IMAGE"},
        {{"--tls-cert=c", "--tls-key=k", "-tx", "--image==i"}, "is not NAME=IMAGE"},
        {{"--tls-cert=c", "--tls-key=k", "-tx", "--image=i="}, "is not NAME=IMAGE"},
        {{"--tls-cert=c", "--tls-key=k", "-tx", "--log-level=loud"}, "--log-level: \"loud\""},
        {{"--tls-cert=c", "--tls-key=k", "-tx", "more"}, "unexpected argument \"more\""},
        {{"--max-connections=0"}, "--max-connections: \"0\""},
        {{"--request-timeout=601"}, "--request-timeout"},
        {{"--nope"}, "unknown flag --nope"},
    };

    for (const auto &c : cases) {
        EXPECT_EQ(parse(c.arguments), DIAG_ERR_INVALID) << c.message;
        EXPECT_NE(std::string(err.message).find(c.message), std::string::npos) << err.message;
    }
    EXPECT_EQ(parse({"--help"}), DIAG_OK);
    EXPECT_TRUE(options.has_help);
    EXPECT_EQ(parse({"--version"}), DIAG_OK);
    EXPECT_TRUE(options.has_version);
}

} // namespace
