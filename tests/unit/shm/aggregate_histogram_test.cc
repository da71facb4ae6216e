/* SPDX-License-Identifier: MIT */
#include "lib/shm/aggregate_histogram.h"

#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace {

/* The definition itself, in long doubles: bucket i covers (base^i, base^(i + 1)]. */
int64_t ReferenceIndex(double magnitude, int32_t scale) {
    int exponent;
    double fraction = frexp(magnitude, &exponent); /* 0.5 to 1, exclusive */
    if (fraction == 0.5)
        return scale >= 0 ? (int64_t)(exponent - 1) * (INT64_C(1) << scale) - 1
                          : (int64_t)(exponent - 2) >> -scale;
    if (scale <= 0)
        return (int64_t)(exponent - 1) >> -scale;
    long double log = log2l((long double)fraction * 2);
    return (int64_t)(exponent - 1) * (INT64_C(1) << scale) +
           (int64_t)floorl(log * (long double)(INT64_C(1) << scale));
}

/* Keeps every bucket of the finest scale, and rescales only when asked. */
class Reference {
  public:
    void Record(double value) {
        sum_ += value;
        min_ = std::min(min_, value);
        max_ = std::max(max_, value);
        if (value == 0)
            zeroes_++;
        else
            (value > 0 ? positive_
                       : negative_)[diag_histogram_index(std::fabs(value), DIAG_SHM_SCALE_MAX)]++;
    }
    static bool Fits(const std::map<int32_t, uint64_t> &buckets, int shift) {
        return buckets.empty() ||
               (int64_t)(buckets.rbegin()->first >> shift) - (buckets.begin()->first >> shift) <
                   DIAG_SHM_BUCKETS;
    }
    int32_t Scale() const {
        int shift = 0;
        while (!Fits(positive_, shift) || !Fits(negative_, shift))
            shift++;
        return DIAG_SHM_SCALE_MAX - shift;
    }
    static std::map<int32_t, uint64_t> Merged(const std::map<int32_t, uint64_t> &buckets,
                                              int shift) {
        std::map<int32_t, uint64_t> merged;
        for (auto &bucket : buckets)
            merged[bucket.first >> shift] += bucket.second;
        return merged;
    }
    std::map<int32_t, uint64_t> positive_, negative_;
    uint64_t zeroes_ = 0;
    double sum_ = 0, min_ = DBL_MAX, max_ = -DBL_MAX;
};

double ToDouble(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

class Histogram : public testing::Test {
  protected:
    Histogram() : histogram_(new diag_shm_histogram()) { diag_histogram_reset(histogram_.get()); }

    void Record(double value) {
        diag_histogram_record(histogram_.get(), value);
        reference_.Record(value);
    }
    static std::map<int32_t, uint64_t> Buckets(const diag_shm_buckets &range,
                                               const uint64_t *counts) {
        std::map<int32_t, uint64_t> buckets;
        for (int64_t i = range.start; i <= range.end; i++)
            if (counts[diag_histogram_position((int32_t)i)] > 0)
                buckets[(int32_t)i] = counts[diag_histogram_position((int32_t)i)];
        return buckets;
    }
    void Check() {
        const diag_shm_histogram &h = *histogram_;
        int shift = DIAG_SHM_SCALE_MAX - reference_.Scale();
        EXPECT_EQ(h.head.scale, reference_.Scale());
        EXPECT_EQ(Buckets(h.positive, h.positive_counts),
                  Reference::Merged(reference_.positive_, shift));
        EXPECT_EQ(Buckets(h.negative, h.negative_counts),
                  Reference::Merged(reference_.negative_, shift));
        EXPECT_EQ(h.head.count, reference_.zeroes_);
        EXPECT_EQ(ToDouble(h.head.sum), reference_.sum_);
        EXPECT_EQ(ToDouble(h.head.min), reference_.min_);
        EXPECT_EQ(ToDouble(h.head.max), reference_.max_);
        EXPECT_EQ(h.head.sequence % 2, 0u);
        EXPECT_EQ(h.head.is_rescaling, 0u);
    }

    std::unique_ptr<diag_shm_histogram> histogram_;
    Reference reference_;
};

TEST(HistogramIndex, IsTheDefinitions) {
    std::mt19937_64 random(1);
    std::vector<double> values = {1,
                                  2,
                                  4,
                                  0.5,
                                  1.5,
                                  3,
                                  DBL_MAX,
                                  DBL_MIN,
                                  0.1,
                                  DBL_TRUE_MIN,
                                  1e300,
                                  1e-300,
                                  std::nextafter(2, 1),
                                  std::nextafter(1, 2),
                                  std::nextafter(DBL_MIN, 0),
                                  3 * DBL_TRUE_MIN};
    for (int i = 0; i < 20000; i++) {
        double value = ToDouble(random() & ~(UINT64_C(1) << 63));
        if (std::isfinite(value) && value > 0)
            values.push_back(value);
    }
    for (double value : values)
        for (int32_t scale = DIAG_SHM_SCALE_MIN; scale <= DIAG_SHM_SCALE_MAX; scale++)
            ASSERT_EQ(diag_histogram_index(value, scale), ReferenceIndex(value, scale))
                << value << " at scale " << scale;
}

TEST(HistogramIndex, KnownOnes) {
    /* base 2: (1, 2] is bucket 0, (0.5, 1] is bucket -1 */
    EXPECT_EQ(diag_histogram_index(1, 0), -1);
    EXPECT_EQ(diag_histogram_index(1.001, 0), 0);
    EXPECT_EQ(diag_histogram_index(2, 0), 0);
    EXPECT_EQ(diag_histogram_index(2.001, 0), 1);
    /* base 4 */
    EXPECT_EQ(diag_histogram_index(4, -1), 0);
    EXPECT_EQ(diag_histogram_index(4.1, -1), 1);
    /* base sqrt(2) */
    EXPECT_EQ(diag_histogram_index(1.4, 1), 0);
    EXPECT_EQ(diag_histogram_index(1.42, 1), 1);
    EXPECT_EQ(diag_histogram_index(DBL_MAX, -10), 0);
    EXPECT_EQ(diag_histogram_index(DBL_TRUE_MIN, -10), -2);
}

TEST_F(Histogram, OneValueIsOfTheFinestScale) {
    Record(3.5);
    Check();
    EXPECT_EQ(histogram_->head.scale, DIAG_SHM_SCALE_MAX);
}

TEST_F(Histogram, ZeroesHaveTheirOwnCount) {
    Record(0.0);
    Record(-0.0);
    Check();
    EXPECT_LT(histogram_->positive.end, histogram_->positive.start);
}

TEST_F(Histogram, ExtremesFitAtLast) {
    for (double value : {DBL_TRUE_MIN, DBL_MAX, -DBL_TRUE_MIN, -DBL_MAX, 1.0, -1.0, 0.0}) {
        Record(value);
        Check();
    }
    /* 2098 powers of two in 160 buckets */
    EXPECT_EQ(histogram_->head.scale, -4);
}

TEST_F(Histogram, GrowsDownwardsAsWell) {
    for (double value = 1000; value > 1e-9; value *= 0.77) {
        Record(value);
        Check();
    }
}

TEST_F(Histogram, NegativeOnesShareTheScale) {
    Record(-1e-6);
    Record(1);
    Record(1e6);
    Check();
    Record(-1e6);
    Check();
}

struct Distribution {
    const char *name;
    double (*next)(std::mt19937_64 &random);
};

class Random : public Histogram, public testing::WithParamInterface<Distribution> {};

TEST_P(Random, AgreesWithTheReference) {
    std::mt19937_64 random(7);
    for (int i = 0; i < 5000; i++) {
        Record(GetParam().next(random));
        if (i % 97 == 0)
            Check();
    }
    Check();
}

INSTANTIATE_TEST_SUITE_P(
    Distributions, Random,
    testing::Values(Distribution{"uniform",
                                 [](std::mt19937_64 &r) {
                                     return std::uniform_real_distribution<double>(-1, 1)(r);
                                 }},
                    Distribution{"lognormal",
                                 [](std::mt19937_64 &r) {
                                     return std::lognormal_distribution<double>(-8, 1.5)(r);
                                 }},
                    Distribution{"small integers",
                                 [](std::mt19937_64 &r) { return (double)(r() % 7) - 2; }},
                    Distribution{"any bits",
                                 [](std::mt19937_64 &r) {
                                     double value = ToDouble(r());
                                     return std::isfinite(value) ? value * 0x1p-40 : 0.0;
                                 }}),
    [](const testing::TestParamInfo<Distribution> &info) {
        std::string name = info.param.name;
        name.erase(std::remove(name.begin(), name.end(), ' '), name.end());
        return name;
    });

/* The other side may write whatever it likes: a record ends, and stays within the slot. */
TEST(HistogramGarbage, IsSurvived) {
    std::mt19937_64 random(3);
    struct {
        diag_shm_histogram histogram;
        uint64_t guard;
    } memory;
    for (int i = 0; i < 20000; i++) {
        uint64_t *words = (uint64_t *)&memory.histogram;
        for (size_t w = 0; w < sizeof memory.histogram / 8; w++)
            words[w] = random();
        memory.histogram.head.scale = (int32_t)(random() % 40) - 15;
        if (i % 3 == 0)
            memory.histogram.positive.end =
                (int32_t)((uint32_t)memory.histogram.positive.start + (uint32_t)(random() % 200));
        memory.guard = 42;
        diag_histogram_record(&memory.histogram,
                              std::ldexp(1.0 + (double)(i % 3), i % 2000 - 1000));
        diag_histogram_record(&memory.histogram, -DBL_MAX);
        ASSERT_EQ(memory.guard, 42u);
        ASSERT_EQ(memory.histogram.head.sequence % 2, 0u);
    }
}

} // namespace
