/* SPDX-License-Identifier: MIT */
/* Writer and reader of aggregates on one mapping. */
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "lib/shm/aggregate_reader.h"
#include "lib/shm/aggregate_slot.h"
#include "lib/shm/aggregate_writer.h"

namespace {

const char kUid[] = "0123456789abcdef0123456789abcdef";

diag_bytes BytesOf(const std::string &text) {
    return diag_bytes_make(text.data(), text.size());
}

class Aggregates : public testing::Test {
  protected:
    Aggregates() : writer_(new diag_aggregate_writer()), reader_(new diag_aggregate_reader()) {
        EXPECT_EQ(diag_segment_create(kUid, DIAG_SHM_RING_SIZE_MIN, &segment_, nullptr), DIAG_OK);
        diag_aggregate_writer_init(writer_.get(), &segment_);
        diag_aggregate_reader_init(reader_.get(), &segment_);
    }
    ~Aggregates() override { diag_segment_done(&segment_); }

    diag_status Open(bool is_histogram, const std::string &spec, const std::string &tags,
                     uint64_t *handle, bool *is_overflow = nullptr) {
        bool ignored;
        diag_aggregate_key key = {BytesOf(spec), BytesOf(tags), BytesOf(overflow_)};
        return diag_aggregate_writer_open(writer_.get(), is_histogram, &key, handle,
                                          is_overflow == nullptr ? &ignored : is_overflow);
    }
    void Update(bool is_histogram, const std::string &spec, const std::string &tags, double value) {
        uint64_t handle = 0;
        ASSERT_EQ(Open(is_histogram, spec, tags, &handle), DIAG_OK);
        ASSERT_EQ(diag_aggregate_writer_update(writer_.get(), handle, value), DIAG_OK);
    }
    void Count(const std::string &spec, const std::string &tags, double value) {
        Update(false, spec, tags, value);
    }
    void Record(const std::string &spec, const std::string &tags, double value) {
        Update(true, spec, tags, value);
    }
    void Retire(const std::string &spec) {
        diag_aggregate_writer_retire(writer_.get(), BytesOf(spec));
    }
    /* Reads all slots, and accepts what is new. */
    std::vector<diag_aggregate_value> Read(bool is_dead = false) {
        std::vector<diag_aggregate_value> values;
        for (uint32_t slot = 0; slot < DIAG_SHM_AGGREGATES; slot++) {
            diag_aggregate_value value;
            if (diag_aggregate_reader_read(reader_.get(), slot, is_dead, &value) != DIAG_OK)
                continue;
            diag_aggregate_reader_accept(reader_.get(), &value);
            values.push_back(value);
        }
        return values;
    }
    static std::string KeyOf(const diag_aggregate_value &value) {
        return std::string((const char *)value.key, value.key_size);
    }
    diag_shm_aggregates *shared() { return (diag_shm_aggregates *)segment_.aggregates; }

    diag_segment segment_;
    std::unique_ptr<diag_aggregate_writer> writer_;
    std::unique_ptr<diag_aggregate_reader> reader_;
    std::string overflow_ = "!overflow";
};

TEST_F(Aggregates, CountersAddUp) {
    Count("s1", ":eu", 2.5);
    Count("s1", ":us", 1);
    Count("s1", ":eu", 4);
    auto values = Read();
    ASSERT_EQ(values.size(), 2u);
    EXPECT_EQ(KeyOf(values[0]), "s1:eu");
    EXPECT_FALSE(values[0].is_histogram);
    EXPECT_EQ(values[0].sum, 6.5);
    EXPECT_EQ(values[0].count, 2u);
    EXPECT_GT(values[0].start_unix_ns, 0u);
    EXPECT_EQ(KeyOf(values[1]), "s1:us");
    EXPECT_TRUE(Read().empty()) << "only what has changed";
    Count("s1", ":us", 0);
    values = Read();
    ASSERT_EQ(values.size(), 1u);
    EXPECT_EQ(values[0].sum, 1);
    EXPECT_EQ(values[0].count, 2u) << "an update by 0 is an update";
}

TEST_F(Aggregates, HistogramsAreReadInOrder) {
    for (double value : {1.0, 2.0, 2.0, 1024.0, -3.0, 0.0})
        Record("h", "", value);
    auto values = Read();
    ASSERT_EQ(values.size(), 1u);
    const diag_aggregate_value &value = values[0];
    EXPECT_TRUE(value.is_histogram);
    EXPECT_EQ(KeyOf(value), "h");
    EXPECT_EQ(value.count, 6u);
    EXPECT_EQ(value.zero_count, 1u);
    EXPECT_EQ(value.sum, 1026);
    EXPECT_EQ(value.min, -3);
    EXPECT_EQ(value.max, 1024);
    /* ten powers of two in 160 buckets: scale 3, 16 would need one bucket more */
    EXPECT_EQ(value.scale, 3);
    EXPECT_EQ(value.positive.offset, -1);
    ASSERT_EQ(value.positive.count, 81u);
    EXPECT_EQ(value.positive.counts[0], 1u);
    EXPECT_EQ(value.positive.counts[8], 2u);
    EXPECT_EQ(value.positive.counts[80], 1u);
    EXPECT_EQ(value.negative.count, 1u);
    EXPECT_EQ(value.negative.offset, 12);
    EXPECT_TRUE(Read().empty());
}

TEST_F(Aggregates, CountersAndHistogramsOfOneKeyAreApart) {
    Count("s", "", 1);
    Record("s", "", 1);
    EXPECT_EQ(Read().size(), 2u);
}

TEST_F(Aggregates, ManyTagSetsOverflow) {
    bool is_overflow;
    uint64_t handle;
    for (int i = 0; i < DIAG_AGGREGATE_TAG_SETS_MAX; i++) {
        ASSERT_EQ(Open(false, "s", std::to_string(i), &handle, &is_overflow), DIAG_OK);
        EXPECT_FALSE(is_overflow) << i;
        ASSERT_EQ(diag_aggregate_writer_update(writer_.get(), handle, 1), DIAG_OK);
    }
    for (int i = 1000; i < 1010; i++) {
        ASSERT_EQ(Open(false, "s", std::to_string(i), &handle, &is_overflow), DIAG_OK);
        EXPECT_TRUE(is_overflow) << i;
        ASSERT_EQ(diag_aggregate_writer_update(writer_.get(), handle, 2), DIAG_OK);
    }
    auto values = Read();
    ASSERT_EQ(values.size(), DIAG_AGGREGATE_TAG_SETS_MAX + 1u);
    EXPECT_EQ(KeyOf(values.back()), "s!overflow");
    EXPECT_EQ(values.back().sum, 20);
    Count("s", "7", 1);
    values = Read();
    ASSERT_EQ(values.size(), 1u);
    EXPECT_EQ(KeyOf(values[0]), "s7") << "known sets go on";
}

TEST_F(Aggregates, TheLastSlotsAreForOverflows) {
    bool is_overflow = false;
    uint64_t handle;
    std::set<uint64_t> handles;
    for (int spec = 0; spec < 5; spec++)
        for (int i = 0; i < 60; i++) {
            ASSERT_EQ(
                Open(false, std::to_string(spec), "," + std::to_string(i), &handle, &is_overflow),
                DIAG_OK);
            handles.insert(handle);
            EXPECT_FALSE(is_overflow && spec < 3);
        }
    EXPECT_TRUE(is_overflow);
    /* all but the reserve, and the overflows of the last two */
    EXPECT_EQ(handles.size(), DIAG_SHM_COUNTERS - DIAG_AGGREGATE_COUNTERS_RESERVED + 2u);
    for (int spec = 5; spec < 5 + DIAG_AGGREGATE_COUNTERS_RESERVED - 2; spec++)
        ASSERT_EQ(Open(false, std::to_string(spec), "", &handle, &is_overflow), DIAG_OK);
    EXPECT_EQ(Open(false, "one too many", "", &handle, &is_overflow), DIAG_ERR_FULL);
    EXPECT_EQ(Open(true, "one too many", "", &handle, &is_overflow), DIAG_OK)
        << "histograms have slots of their own";
}

TEST_F(Aggregates, LongKeysOverflow) {
    bool is_overflow = false;
    uint64_t handle;
    std::string longest(DIAG_SHM_AGGREGATE_KEY_MAX - 1, 'x');
    ASSERT_EQ(Open(false, "s", longest, &handle, &is_overflow), DIAG_OK);
    EXPECT_FALSE(is_overflow);
    ASSERT_EQ(Open(false, "s", longest + "x", &handle, &is_overflow), DIAG_OK);
    EXPECT_TRUE(is_overflow);
    EXPECT_EQ(Open(false, longest + "xx", "", &handle, &is_overflow), DIAG_ERR_FULL);
}

TEST_F(Aggregates, RetiredSlotsAreReadAndThenReused) {
    uint64_t handle;
    ASSERT_EQ(Open(false, "old", "", &handle), DIAG_OK);
    ASSERT_EQ(diag_aggregate_writer_update(writer_.get(), handle, 3), DIAG_OK);
    Retire("old");
    EXPECT_EQ(diag_aggregate_writer_update(writer_.get(), handle, 3), DIAG_ERR_NOT_FOUND);
    /* not yet read: the slot stays */
    Count("new", "", 10);
    auto values = Read();
    ASSERT_EQ(values.size(), 2u);
    EXPECT_EQ(KeyOf(values[0]), "old");
    EXPECT_TRUE(values[0].is_final);
    EXPECT_EQ(values[0].sum, 3);
    EXPECT_FALSE(values[1].is_final);
    EXPECT_TRUE(Read().empty());
    /* read: it serves the next key, and begins at 0 */
    Count("next", "", 7);
    values = Read();
    ASSERT_EQ(values.size(), 1u);
    EXPECT_EQ(values[0].slot, 0u);
    EXPECT_EQ(values[0].seen.generation, 2u);
    EXPECT_EQ(KeyOf(values[0]), "next");
    EXPECT_EQ(values[0].sum, 7);
    EXPECT_FALSE(values[0].is_final);
}

TEST_F(Aggregates, ARetiredSlotThatDidNotChangeIsToldAsFinal) {
    Record("old", "", 3);
    EXPECT_EQ(Read().size(), 1u);
    Retire("old");
    auto values = Read();
    ASSERT_EQ(values.size(), 1u);
    EXPECT_TRUE(values[0].is_final);
    EXPECT_TRUE(Read().empty());
}

TEST_F(Aggregates, SlotsComeBackForEver) {
    for (int i = 0; i < 3000; i++) {
        std::string spec = "s" + std::to_string(i);
        Count(spec, "", i);
        Record(spec, "", i);
        Retire(spec);
        auto values = Read();
        ASSERT_EQ(values.size(), 2u) << i;
        ASSERT_EQ(KeyOf(values[0]), spec);
        ASSERT_EQ(values[0].sum, i);
    }
}

TEST_F(Aggregates, DiscardFreesRetiredOnesAndRepeatsTheOthers) {
    Count("old", "", 1);
    Count("new", "", 2);
    EXPECT_EQ(Read().size(), 2u);
    Retire("old");
    diag_aggregate_reader_discard(reader_.get());
    auto values = Read();
    ASSERT_EQ(values.size(), 1u);
    EXPECT_EQ(KeyOf(values[0]), "new");
    Count("next", "", 3);
    EXPECT_EQ(Read()[0].slot, 0u);
}

TEST_F(Aggregates, ANewReaderReadsAllAgain) {
    Count("s", "", 1);
    EXPECT_EQ(Read().size(), 1u);
    diag_aggregate_reader_init(reader_.get(), &segment_);
    EXPECT_EQ(Read().size(), 1u);
}

TEST_F(Aggregates, WithoutASegmentNothingIsWritten) {
    uint64_t handle, other;
    bool is_overflow;
    ASSERT_EQ(Open(false, "s", "", &handle), DIAG_OK);
    diag_aggregate_writer_done(writer_.get());
    EXPECT_EQ(diag_aggregate_writer_update(writer_.get(), handle, 1), DIAG_ERR_NOT_FOUND);
    EXPECT_EQ(Open(false, "s", "", &other, &is_overflow), DIAG_ERR_CLOSED);
    Retire("s");
    diag_aggregate_writer_init(writer_.get(), &segment_);
    EXPECT_EQ(diag_aggregate_writer_update(writer_.get(), handle, 1), DIAG_ERR_NOT_FOUND)
        << "handles of an earlier segment";
}

/* A process that was killed between two stores. */
TEST_F(Aggregates, KilledWhileItRecorded) {
    Record("h", "", 5);
    Record("h", "", 6);
    shared()->histograms[0].head.sequence |= 1;
    diag_aggregate_value value;
    EXPECT_EQ(diag_aggregate_reader_read(reader_.get(), DIAG_SHM_COUNTERS, false, &value),
              DIAG_ERR_BUSY);
    auto values = Read(true);
    ASSERT_EQ(values.size(), 1u);
    EXPECT_EQ(values[0].count, 2u);
    EXPECT_EQ(values[0].sum, 11);
}

TEST_F(Aggregates, KilledWhileItRescaled) {
    Record("h", "", 5);
    shared()->histograms[0].head.sequence |= 1;
    shared()->histograms[0].head.is_rescaling = 1;
    diag_aggregate_value value;
    EXPECT_EQ(diag_aggregate_reader_read(reader_.get(), DIAG_SHM_COUNTERS, true, &value),
              DIAG_ERR_CLOSED);
    EXPECT_EQ(diag_aggregate_reader_read(reader_.get(), DIAG_SHM_COUNTERS, true, &value),
              DIAG_ERR_NOT_FOUND)
        << "told once";
}

TEST_F(Aggregates, KilledWhileItMadeASlot) {
    Count("s", "", 1);
    shared()->counters[0].sequence |= 1;
    shared()->counters[0].state = DIAG_SHM_AGGREGATE_FREE;
    EXPECT_TRUE(Read(true).empty());
}

struct Nonsense {
    const char *name;
    void (*make)(diag_shm_histogram *histogram);
};

TEST_F(Aggregates, NonsenseIsRefused) {
    const Nonsense cases[] = {
        {"state", [](diag_shm_histogram *h) { h->head.state = 3; }},
        {"key size", [](diag_shm_histogram *h) { h->head.key_size = 641; }},
        {"no key", [](diag_shm_histogram *h) { h->head.key_size = 0; }},
        {"scale", [](diag_shm_histogram *h) { h->head.scale = 21; }},
        {"low scale", [](diag_shm_histogram *h) { h->head.scale = -11; }},
        {"range", [](diag_shm_histogram *h) { h->positive.end = h->positive.start + 160; }},
        {"wide range",
         [](diag_shm_histogram *h) {
             h->negative.start = INT32_MIN;
             h->negative.end = INT32_MAX;
         }},
    };
    for (const Nonsense &each : cases) {
        SCOPED_TRACE(each.name);
        std::string spec = each.name;
        Record(spec, "", 5);
        EXPECT_EQ(Read().size(), 1u);
        Record(spec, "", 5);
        each.make(&shared()->histograms[0]);
        diag_aggregate_value value;
        EXPECT_EQ(diag_aggregate_reader_read(reader_.get(), DIAG_SHM_COUNTERS, false, &value),
                  DIAG_ERR_PROTOCOL);
        EXPECT_EQ(diag_aggregate_reader_read(reader_.get(), DIAG_SHM_COUNTERS, false, &value),
                  DIAG_ERR_NOT_FOUND)
            << "told once";
        Retire(spec);
        EXPECT_LE(Read().size(), 1u);
    }
}

TEST_F(Aggregates, AnyBytesAreSurvived) {
    std::mt19937_64 random(5);
    uint64_t *words = (uint64_t *)segment_.aggregates;
    uint64_t handle;
    ASSERT_EQ(Open(true, "h", "", &handle), DIAG_OK);
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < DIAG_SHM_AGGREGATE_REGION_SIZE / 8; i++)
            words[i] = random() >> (random() % 64);
        for (auto &counter : shared()->counters) {
            counter.state = (uint32_t)(random() % 4);
            counter.key_size = (uint32_t)(random() % 700);
        }
        for (auto &histogram : shared()->histograms) {
            histogram.head.state = (uint32_t)(random() % 4);
            histogram.head.key_size = (uint32_t)(random() % 700);
            histogram.head.scale = (int32_t)(random() % 40) - 15;
        }
        for (const diag_aggregate_value &value : Read(round % 2 == 0)) {
            EXPECT_LE(value.key_size, (uint32_t)DIAG_SHM_AGGREGATE_KEY_MAX);
            EXPECT_LE(value.positive.count,
                      value.is_histogram ? (uint32_t)DIAG_SHM_BUCKETS : value.positive.count);
        }
        /* and the process goes on */
        Update(true, "h", "", 2.5);
        Count("c" + std::to_string(round), "", 1);
        Retire("c" + std::to_string(round));
    }
}

TEST_F(Aggregates, CountersOfManyThreadsAreExact) {
    const int kThreads = 4, kUpdates = 50000;
    uint64_t handle = 0;
    ASSERT_EQ(Open(false, "s", "", &handle), DIAG_OK);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; i++)
        threads.emplace_back([&] {
            for (int j = 0; j < kUpdates; j++)
                EXPECT_EQ(diag_aggregate_writer_update(writer_.get(), handle, 2), DIAG_OK);
        });
    double last = 0;
    for (int i = 0; i < 1000; i++)
        for (const diag_aggregate_value &value : Read()) {
            EXPECT_GE(value.sum, last);
            EXPECT_GE(value.sum, 2 * (double)value.count)
                << "the sum is that of the count or later";
            last = value.sum;
        }
    for (std::thread &thread : threads)
        thread.join();
    diag_aggregate_reader_init(reader_.get(), &segment_);
    auto values = Read();
    ASSERT_EQ(values.size(), 1u);
    EXPECT_EQ(values[0].sum, 2.0 * kThreads * kUpdates);
    EXPECT_EQ(values[0].count, (uint64_t)kThreads * kUpdates);
}

TEST_F(Aggregates, HistogramsAreReadWholeWhileTheyChange) {
    const int kUpdates = 200000;
    uint64_t handle = 0;
    ASSERT_EQ(Open(true, "h", "", &handle), DIAG_OK);
    std::thread writer([&] {
        /* pairs that cancel out, at ever new magnitudes */
        for (int i = 0; i < kUpdates; i++) {
            double value = std::ldexp(1, i / 400 % 500) * (i % 2 == 0 ? 1 : -1);
            EXPECT_EQ(diag_aggregate_writer_update(writer_.get(), handle, value), DIAG_OK);
        }
    });
    uint64_t last = 0;
    for (int i = 0; i < 2000; i++)
        for (const diag_aggregate_value &value : Read()) {
            uint64_t positive = 0, negative = 0;
            for (uint32_t b = 0; b < value.positive.count; b++)
                positive += value.positive.counts[b];
            for (uint32_t b = 0; b < value.negative.count; b++)
                negative += value.negative.counts[b];
            ASSERT_EQ(positive, (value.count + 1) / 2);
            ASSERT_EQ(negative, value.count / 2);
            ASSERT_EQ(value.sum != 0, value.count % 2 == 1);
            ASSERT_GE(value.count, last);
            last = value.count;
        }
    writer.join();
    auto values = Read();
    if (!values.empty())
        last = values[0].count;
    EXPECT_EQ(last, (uint64_t)kUpdates);
}

} // namespace
