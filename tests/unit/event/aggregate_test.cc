/* SPDX-License-Identifier: MIT */
/* Aggregates: what the encoder writes, the check takes. The sidecar's tests parse the same bytes by
 * protobuf-c. */
#include <gtest/gtest.h>

#include <string>

#include "lib/event/aggregate_check.h"
#include "lib/event/aggregate_encoder.h"
#include "lib/event/event_encoder.h"

namespace {

std::string Spec(const char *id = "cart") {
    uint8_t out[DIAG_AGGREGATE_SPEC_MAX];
    size_t size = diag_aggregate_put_spec(out, id, 7, "the cart");
    return std::string((char *)out, size);
}

template <typename Fill> std::string Written(Fill fill) {
    uint8_t out[2 * DIAG_AGGREGATE_MAX];
    diag_wire_writer writer = diag_wire_writer_make(out, sizeof out);
    fill(&writer);
    EXPECT_FALSE(writer.has_overflowed);
    return std::string((char *)out, diag_wire_size(&writer));
}

std::string Tag(const char *key, const char *value) {
    return Written([&](diag_wire_writer *writer) {
        diag_event_put_tag(writer, diag_bytes_from_text(key), diag_bytes_from_text(value));
    });
}

std::string Counter(double sum = 5) {
    return Written([&](diag_wire_writer *writer) { diag_aggregate_put_counter(writer, sum, 3); });
}

std::string Histogram(int32_t scale = 3, size_t bucket_count = 160) {
    uint64_t counts[200];
    for (uint64_t &count : counts)
        count = UINT64_MAX;
    diag_aggregate_histogram histogram = {};
    histogram.scale = scale;
    histogram.positive = {-5, counts, bucket_count};
    histogram.negative = {7, counts, bucket_count};
    return Written(
        [&](diag_wire_writer *writer) { diag_aggregate_put_histogram(writer, &histogram); });
}

diag_status Check(const std::string &encoded, diag_bytes *id = nullptr) {
    return diag_aggregate_check(diag_bytes_make(encoded.data(), encoded.size()), id);
}

std::string Field(uint32_t number, const std::string &bytes) {
    return Written([&](diag_wire_writer *writer) {
        diag_wire_put_bytes(writer, number, diag_bytes_make(bytes.data(), bytes.size()));
    });
}

TEST(AggregateCheck, TakesWhatIsOne) {
    diag_bytes id;
    uint8_t overflow[DIAG_AGGREGATE_OVERFLOW_MAX];
    size_t size = diag_aggregate_put_overflow(overflow);
    ASSERT_LT(size, sizeof overflow);
    std::string times =
        Written([](diag_wire_writer *writer) { diag_aggregate_put_times(writer, 1, 2); });
    std::string encoded = Spec() + Tag("a", "b") + times + Counter();
    EXPECT_EQ(Check(encoded, &id), DIAG_OK);
    EXPECT_EQ(std::string((const char *)id.data, id.size), "cart");
    EXPECT_EQ(Check(Spec() + std::string((char *)overflow, size) + times + Histogram()), DIAG_OK);
    EXPECT_EQ(Check(Spec() + Histogram(-10)), DIAG_OK);
    EXPECT_EQ(Check(Spec() + Histogram(20, 0)), DIAG_OK);
    EXPECT_EQ(Check(Spec() + Counter() + Field(99, "new")), DIAG_OK) << "unknown fields";
}

TEST(AggregateCheck, RefusesTheRest) {
    const struct {
        const char *name;
        std::string encoded;
    } cases[] = {
        {"empty", ""},
        {"no value", Spec()},
        {"two values", Spec() + Counter() + Histogram()},
        {"a value twice", Spec() + Counter() + Counter()},
        {"no spec", Counter()},
        {"the spec not first", Counter() + Spec()},
        {"an empty id", Spec("") + Counter()},
        {"an id that is no UTF-8", Field(1, "\xff") + Counter()},
        {"a name that is no UTF-8", Spec() + Field(3, "\xff") + Counter()},
        {"a tag that is no UTF-8", Spec() + Tag("a", "\xff") + Counter()},
        {"a tag that is no message", Spec() + Field(7, "\xff") + Counter()},
        {"a text as time", Spec() + Field(5, "now") + Counter()},
        {"a broken counter", Spec() + Field(8, "\x08")},
        {"a sum that is text", Spec() + Field(8, Field(1, "5"))},
        {"a scale too large", Spec() + Histogram(21)},
        {"a scale too small", Spec() + Histogram(-11)},
        {"too many buckets", Spec() + Histogram(3, 161)},
        {"an unfinished bucket", Spec() + Field(9, Field(5, Field(2, "\x80")))},
        {"a bucket too long",
         Spec() + Field(9, Field(5, Field(2, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02")))},
        {"cut", (Spec() + Counter()).substr(0, 20)},
    };
    for (const auto &each : cases)
        EXPECT_EQ(Check(each.encoded), DIAG_ERR_PROTOCOL) << each.name;
    EXPECT_EQ(Check(Spec() + Counter() + Field(99, std::string(8192, 'x'))), DIAG_ERR_TOO_LARGE);
}

std::string Sorted(const std::string &tags, size_t capacity = 1000) {
    uint8_t out[1000];
    size_t size = 0;
    if (diag_aggregate_sort_tags(diag_bytes_make(tags.data(), tags.size()), out, capacity, &size) !=
        DIAG_OK)
        return "too large";
    return std::string((char *)out, size);
}

TEST(AggregateTags, AreOneForOneSet) {
    std::string a = Tag("a", "1"), b = Tag("b", "1"), b2 = Tag("b", "2"), longer = Tag("aa", "");
    EXPECT_EQ(Sorted(""), "");
    EXPECT_EQ(Sorted(b + a), a + b);
    EXPECT_EQ(Sorted(b2 + longer + a + b + a), a + longer + b + b2);
    EXPECT_EQ(Sorted(a + b, a.size()), "too large");
    EXPECT_EQ(Sorted(a + a, a.size()), a);
    std::string many;
    for (int i = 0; i < 97; i++)
        many += a;
    EXPECT_EQ(Sorted(many), "too large");
}

} // namespace
