// SPDX-License-Identifier: MIT
#include "lib/statsd/statsd_number.h"

#include <gtest/gtest.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include <cfloat>
#include <cstring>
#include <limits>
#include <random>
#include <string>

namespace {

std::string real(double number) {
    char text[DIAG_STATSD_NUMBER_MAX];
    return std::string(text, diag_statsd_write_real(number, text));
}

std::string rate(double number) {
    char text[DIAG_STATSD_NUMBER_MAX];
    return std::string(text, diag_statsd_write_rate(number, text));
}

std::string integer(int64_t number) {
    char text[DIAG_STATSD_NUMBER_MAX];
    return std::string(text, diag_statsd_write_integer(number, text));
}

TEST(StatsdNumber, Integers) {
    EXPECT_EQ(integer(0), "0");
    EXPECT_EQ(integer(7), "7");
    EXPECT_EQ(integer(-10), "-10");
    EXPECT_EQ(integer(INT64_MAX), "9223372036854775807");
    EXPECT_EQ(integer(INT64_MIN), "-9223372036854775808");
}

TEST(StatsdNumber, RealsAreShort) {
    struct {
        double number;
        const char *text;
    } const cases[] = {
        {0.0, "0"},
        {-0.0, "0"},
        {1.0, "1"},
        {-1.0, "-1"},
        {0.1, "0.1"},
        {2.5, "2.5"},
        {-12.34, "-12.34"},
        {100.0, "100"},
        {120.05, "120.05"},
        {0.001, "0.001"},
        {0.0010000000000000002, "0.0010000000000000002"},
        {0.0005, "0.0005"},
        {1e-6, "0.000001"},
        {1.2345678901234567e-6, "0.0000012345678901234567"},
        {9.9e-7, "9.9e-07"},
        {0.99999999999999989, "0.9999999999999999"},
        {9.999999999999998, "9.999999999999998"},
        {0.5, "0.5"},
        {0x1p-19, "0.0000019073486328125"},
        {0x1p49, "562949953421312"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {999999999999999.0, "999999999999999"},
        {1e15, "1e+15"},
        {9007199254740993.0, "9007199254740992"},
        {1e22, "1e+22"},
        {1e-7, "1e-07"},
        {123456.789e3, "123456789"},
        {4.35, "4.35"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {DBL_MIN, "2.2250738585072014e-308"},
        {5e-324, "5e-324"},
        {-5e-324, "-5e-324"},
    };

    for (const auto &c : cases)
        EXPECT_EQ(real(c.number), c.text);
}

TEST(StatsdNumber, WhatIsNotFiniteIsRefused) {
    EXPECT_EQ(real(NAN), "");
    EXPECT_EQ(real(INFINITY), "");
    EXPECT_EQ(real(-INFINITY), "");
}

// Significant digits of "0.0012e-05", "1200", ...
int significant_digits(const std::string &text) {
    std::string digits;
    for (char c : text.substr(0, text.find('e')))
        if (c >= '0' && c <= '9')
            digits += c;
    size_t first = digits.find_first_not_of('0'), last = digits.find_last_not_of('0');
    return first == std::string::npos ? 1 : static_cast<int>(last - first) + 1;
}

// Of all kinds: any bits, decimals of microseconds, of cents, full mantissas, and powers of two.
double make(std::mt19937_64 &random, int kind) {
    uint64_t bits = random();
    double number;
    std::memcpy(&number, &bits, sizeof number);
    switch (kind) {
    case 0:
        return number;
    case 4: // beside a power of two, where the neighbours are not equally far
        number = ldexp(1, static_cast<int>(bits % 70) - 20);
        return bits & 1024 ? nextafter(number, bits & 2048 ? 0 : 1e300) : number;
    case 1:
        return static_cast<double>(bits % 1000000000) / 1e6;
    case 2:
        return ldexp(static_cast<double>(bits >> 11), -50);
    default:
        return -static_cast<double>(bits % 100000000000) / 100;
    }
}

TEST(StatsdNumber, RealsAreExactAndNothingShorterIs) {
    std::mt19937_64 random(42);

    for (int i = 0; i < 500000; i++) {
        double number = make(random, i % 5);
        if (!std::isfinite(number))
            continue;
        std::string text = real(number);
        ASSERT_EQ(strtod(text.c_str(), nullptr), number) << text;
        ASSERT_LE(text.size(), static_cast<size_t>(DIAG_STATSD_NUMBER_MAX));
        int digits = significant_digits(text);
        if (digits > 1) {
            char shorter[64];
            snprintf(shorter, sizeof shorter, "%.*e", digits - 2, number);
            ASSERT_NE(strtod(shorter, nullptr), number) << text << " could be " << shorter;
        }
    }
}

TEST(StatsdNumber, PowersOfTwoAreExact) {
    for (int exponent = -1074; exponent < 1024; exponent++) {
        double number = ldexp(1, exponent);
        ASSERT_EQ(strtod(real(number).c_str(), nullptr), number) << exponent;
    }
}

TEST(StatsdNumber, RatesHaveNoExponent) {
    EXPECT_EQ(rate(1), "1");
    EXPECT_EQ(rate(0.5), "0.5");
    EXPECT_EQ(rate(0.00001), "0.00001");
    EXPECT_EQ(rate(1e-7), "0.0000001");
    EXPECT_EQ(rate(1e-12), "0.000000000001");
    EXPECT_EQ(strtod(rate(1.0 / 3e11).c_str(), nullptr), 1.0 / 3e11);
    EXPECT_EQ(rate(0), "");
    EXPECT_EQ(rate(-0.5), "");
    EXPECT_EQ(rate(1e-13), "");
    EXPECT_EQ(rate(1.1), "");
    EXPECT_EQ(rate(NAN), "");
}

// The C library's own decimal comma: the locale is compiled here, as few machines have it.
TEST(StatsdNumber, TheLocaleDoesNotMatter) {
    const std::string folder = testing::TempDir();
    const std::string command = "localedef -i de_DE -f UTF-8 " + folder + "/de_DE.UTF-8";

    ASSERT_EQ(system(command.c_str()), 0) << command;
    ASSERT_EQ(setenv("LOCPATH", folder.c_str(), 1), 0);
    ASSERT_NE(setlocale(LC_NUMERIC, "de_DE.UTF-8"), nullptr);
    ASSERT_STREQ(localeconv()->decimal_point, ",");
    EXPECT_EQ(real(0.1 + 0.2), "0.30000000000000004");
    EXPECT_EQ(real(5e-324), "5e-324");
    EXPECT_EQ(rate(0.25), "0.25");
    setlocale(LC_NUMERIC, "C");
}

} // namespace
