// SPDX-License-Identifier: MIT
#include "lib/statsd/statsd_datagram.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

struct diag_bytes bytes(const std::string &text) {
    return diag_bytes_make(text.data(), text.size());
}

std::string text(const struct diag_buffer &buffer) {
    return std::string(reinterpret_cast<const char *>(buffer.data), buffer.size);
}

struct Metric {
    enum diag_statsd_type type = DIAG_STATSD_COUNTER;
    std::string prefix, name = "n", value = "1", common_tags, tags;
    double sample_rate = 1;

    enum diag_status put(struct diag_buffer *lines, size_t max_size = DIAG_STATSD_DATAGRAM_DEFAULT,
                         struct diag_error *err = nullptr) const {
        struct diag_statsd_metric metric = {};
        metric.type = type;
        metric.prefix = bytes(prefix);
        metric.name = bytes(name);
        metric.value = bytes(value);
        metric.sample_rate = sample_rate;
        metric.common_tags = bytes(common_tags);
        metric.tags = bytes(tags);
        return diag_statsd_put_metric(lines, max_size, &metric, err);
    }

    std::string line() const {
        struct diag_buffer lines = {};
        EXPECT_EQ(put(&lines), DIAG_OK);
        std::string line = text(lines);
        diag_buffer_done(&lines);
        return line;
    }
};

TEST(StatsdDatagram, Types) {
    struct {
        enum diag_statsd_type type;
        const char *line;
    } const cases[] = {
        {DIAG_STATSD_COUNTER, "n:1|c\n"},      {DIAG_STATSD_GAUGE, "n:1|g\n"},
        {DIAG_STATSD_HISTOGRAM, "n:1|h\n"},    {DIAG_STATSD_TIMING, "n:1|ms\n"},
        {DIAG_STATSD_DISTRIBUTION, "n:1|d\n"}, {DIAG_STATSD_SET, "n:1|s\n"},
    };

    for (const auto &c : cases) {
        Metric metric;
        metric.type = c.type;
        EXPECT_EQ(metric.line(), c.line);
    }
}

TEST(StatsdDatagram, Parts) {
    Metric metric;
    metric.prefix = "app.";
    metric.value = "2.5";
    EXPECT_EQ(metric.line(), "app.n:2.5|c\n");
    metric.sample_rate = 0.5;
    EXPECT_EQ(metric.line(), "app.n:2.5|c|@0.5\n");
    metric.tags = "a:1";
    EXPECT_EQ(metric.line(), "app.n:2.5|c|@0.5|#a:1\n");
    metric.common_tags = "env:x";
    EXPECT_EQ(metric.line(), "app.n:2.5|c|@0.5|#env:x,a:1\n");
    metric.tags = "";
    metric.sample_rate = 1;
    EXPECT_EQ(metric.line(), "app.n:2.5|c|#env:x\n");
}

TEST(StatsdDatagram, NamesAndValuesCannotBreakTheLine) {
    struct {
        std::string name, line;
    } const cases[] = {
        {"a.b-c_D9", "a.b-c_D9:1|s\n"},       {"a:b|c", "a_b_c:1|s\n"},
        {"a\nb:9|c", "a_b_9_c:1|s\n"},        {"a@b#c,d e", "a_b_c_d_e:1|s\n"},
        {"_e{5,4}", "_e_5_4_:1|s\n"},         {std::string("a\0b\x7f", 4), "a_b_:1|s\n"},
        {"caf\xc3\xa9", "caf\xc3\xa9:1|s\n"},
    };

    for (const auto &c : cases) {
        Metric metric;
        metric.type = DIAG_STATSD_SET;
        metric.name = c.name;
        EXPECT_EQ(metric.line(), c.line);
    }
    Metric metric;
    metric.type = DIAG_STATSD_SET;
    metric.value = "a:b|c\nd:1|c e@f#g,h";
    EXPECT_EQ(metric.line(), "n:a_b_c_d_1_c e@f#g,h|s\n");
}

TEST(StatsdDatagram, Prefixes) {
    struct {
        const char *prefix, *expected;
    } const cases[] = {{"", ""}, {"a", "a."}, {"a.", "a."}, {"a|b:c", "a_b_c."}};

    for (const auto &c : cases) {
        struct diag_buffer out = {};
        ASSERT_EQ(diag_statsd_put_prefix(&out, bytes(c.prefix)), DIAG_OK);
        EXPECT_EQ(text(out), c.expected);
        diag_buffer_done(&out);
    }
}

TEST(StatsdDatagram, Tags) {
    struct diag_buffer tags = {};

    ASSERT_EQ(diag_statsd_put_tag(&tags, bytes("")), DIAG_OK);
    ASSERT_EQ(diag_statsd_put_tag(&tags, bytes("plain")), DIAG_OK);
    ASSERT_EQ(diag_statsd_put_tag(&tags, bytes("url:http://x")), DIAG_OK);
    ASSERT_EQ(diag_statsd_put_tag(&tags, bytes("a,b|c\nd#e")), DIAG_OK);
    ASSERT_EQ(diag_statsd_put_pair(&tags, bytes("k:1"), bytes("v:2,w")), DIAG_OK);
    ASSERT_EQ(diag_statsd_put_pair(&tags, bytes(""), bytes("")), DIAG_OK);
    EXPECT_EQ(text(tags), "plain,url:http://x,a_b_c_d#e,k_1:v:2_w,_:");
    diag_buffer_done(&tags);
}

TEST(StatsdDatagram, WhatIsRefusedLeavesTheBufferAsItWas) {
    struct {
        const char *name, *prefix, *value;
        double sample_rate;
        enum diag_status status;
        const char *message;
    } const cases[] = {
        {"", "", "1", 1, DIAG_ERR_INVALID, "name: is empty"},
        {"n", "", "", 1, DIAG_ERR_INVALID, "value: is empty"},
        {"_sc", "", "1", 1, DIAG_ERR_INVALID, "name: begins with \"_sc\", as service checks do"},
        {"c", "_s", "1", 1, DIAG_ERR_INVALID, "name: begins with \"_sc\", as service checks do"},
        {"n", "", "1", 0, DIAG_ERR_INVALID, "sample_rate: must be above 0 and at most 1"},
        {"n", "", "1", -1, DIAG_ERR_INVALID, "sample_rate: must be above 0 and at most 1"},
        {"n", "", "1", 1.5, DIAG_ERR_INVALID, "sample_rate: must be above 0 and at most 1"},
        {"n1234567890123456789", "", "1", 1, DIAG_ERR_TOO_LARGE,
         "a metric of 24 bytes, a datagram has at most 23"},
    };

    for (const auto &c : cases) {
        struct diag_buffer lines = {};
        struct diag_error err = {};
        Metric metric;
        ASSERT_EQ(metric.put(&lines, 23), DIAG_OK);
        metric.name = c.name;
        metric.prefix = c.prefix;
        metric.value = c.value;
        metric.sample_rate = c.sample_rate;
        EXPECT_EQ(metric.put(&lines, 23, &err), c.status);
        EXPECT_STREQ(err.message, c.message);
        EXPECT_EQ(text(lines), "n:1|c\n");
        diag_buffer_done(&lines);
    }
}

// Every size of lines against every size of datagrams: nothing is lost, nothing is too long, and no
// datagram could have held the first line of the next.
TEST(StatsdDatagram, LinesAreCutIntoAsFewDatagramsAsPossible) {
    for (size_t max_size = 64; max_size < 200; max_size++) {
        struct diag_buffer buffer = {};
        std::string all;
        size_t count = 40;
        for (size_t i = 0; i < count; i++) {
            Metric metric;
            metric.name = std::string(1 + i * 7 % 50, 'x');
            ASSERT_EQ(metric.put(&buffer, max_size), DIAG_OK);
            all += metric.line();
        }
        struct diag_bytes lines = diag_buffer_bytes(&buffer), datagram;
        std::vector<std::string> datagrams;
        size_t metric_count, total = 0;
        while ((datagram = diag_statsd_next_datagram(&lines, max_size, &metric_count)).size > 0) {
            datagrams.emplace_back(reinterpret_cast<const char *>(datagram.data), datagram.size);
            EXPECT_LE(datagram.size, max_size);
            total += metric_count;
        }
        EXPECT_EQ(metric_count, 0u);
        EXPECT_EQ(total, count);
        std::string joined;
        auto first_line = [](const std::string &text) { return text.substr(0, text.find('\n')); };
        for (size_t i = 0; i < datagrams.size(); i++) {
            joined += datagrams[i] + "\n";
            if (i + 1 < datagrams.size()) {
                EXPECT_GT(datagrams[i].size() + 1 + first_line(datagrams[i + 1]).size(), max_size);
            }
        }
        EXPECT_EQ(joined, all);
        diag_buffer_done(&buffer);
    }
}

} // namespace
