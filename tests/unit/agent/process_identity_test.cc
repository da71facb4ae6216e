/* SPDX-License-Identifier: MIT */
#include "inproc/agent/process_identity.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace {

void Set(const char *name, const char *value) {
    if (value == nullptr)
        unsetenv(name);
    else
        setenv(name, value, 1);
}

TEST(ProcessIdentity, ReadsTheEnvironment) {
    const struct {
        const char *container, *service_name, *attributes;
        const char *wanted_container, *wanted_service;
    } cases[] = {
        {nullptr, nullptr, nullptr, "", ""},
        {"web", nullptr, nullptr, "web", ""},
        {"", "", "", "", ""},
        {"web", "shop", nullptr, "web", "shop"},
        {nullptr, "shop", "service.name=other", "", "shop"},
        {nullptr, "", "service.name=other", "", "other"},
        {nullptr, nullptr, "service.name=shop", "", "shop"},
        {nullptr, nullptr, "a=b, service.name = shop ,c=d", "", "shop"},
        {nullptr, nullptr, "service.name=a%2Cb%3dc%20d%C3%A4", "", "a,b=c d\u00e4"},
        {nullptr, nullptr, "service.name=first,service.name=last", "", "last"},
        {nullptr, nullptr, "service.namespace=shop,my.service.name=x", "", ""},
        {nullptr, nullptr, "service.name=shop,broken", "", ""},
        {nullptr, nullptr, "service.name=shop%2", "", ""},
        {nullptr, nullptr, "service.name=shop%zz", "", ""},
        {nullptr, nullptr, "service.name=shop%00", "", ""},
        {"w\xff"
         "b",
         "\xc3\xa4\xff", nullptr, "w?b", "???"},
    };
    for (const auto &c : cases) {
        diag_process_identity identity;
        Set("DIAGNOSE_CONTAINER", c.container);
        Set("OTEL_SERVICE_NAME", c.service_name);
        Set("OTEL_RESOURCE_ATTRIBUTES", c.attributes);
        diag_process_identity_read(&identity);
        EXPECT_STREQ(identity.container, c.wanted_container);
        EXPECT_STREQ(identity.service, c.wanted_service) << (c.attributes ? c.attributes : "-");
        if (c.attributes != nullptr) {
            EXPECT_STREQ(getenv("OTEL_RESOURCE_ATTRIBUTES"), c.attributes) << "is left alone";
        }
    }
}

TEST(ProcessIdentity, LongNamesAreCutBetweenCharacters) {
    diag_process_identity identity;
    std::string longest(DIAG_PROCESS_IDENTITY_MAX - 1, 'x');
    Set("DIAGNOSE_CONTAINER", (longest + "\u00e4 and more").c_str());
    diag_process_identity_read(&identity);
    EXPECT_EQ(identity.container, longest);
}

} // namespace
