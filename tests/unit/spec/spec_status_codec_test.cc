// SPDX-License-Identifier: MIT
#include "lib/spec/spec_status_codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "diagnose/v1/local.pb-c.h"

namespace {

void set(char *field, size_t size, const std::string &text) {
    ASSERT_LT(text.size(), size);
    memcpy(field, text.c_str(), text.size() + 1);
}

struct diag_spec_status filled() {
    struct diag_spec_status status = {};

    strcpy(status.spec_id, "a");
    status.spec_revision = 5;
    status.state = DIAG_SPEC_STATE_TRIPPED;
    strcpy(status.message, "why");
    strcpy(status.mechanism, "type-swap");
    strcpy(status.excluded, "calls from C");
    status.functions = 2;
    status.codes = 3;
    status.is_pure = true;
    status.hits = 300;
    status.errors = 4;
    status.dropped = 5;
    status.skips[DIAG_SKIP_REENTRANT] = 6;
    status.skips[DIAG_SKIP_UNBOUND] = 700;
    return status;
}

// The largest that there can be.
struct diag_spec_status largest() {
    struct diag_spec_status status = {};

    set(status.spec_id, sizeof status.spec_id, std::string(DIAG_SPEC_ID_MAX, 'i'));
    set(status.message, sizeof status.message, std::string(DIAG_SPEC_STATUS_MESSAGE_MAX, 'm'));
    set(status.mechanism, sizeof status.mechanism,
        std::string(DIAG_SPEC_STATUS_MECHANISM_MAX, 'n'));
    set(status.excluded, sizeof status.excluded, std::string(DIAG_SPEC_STATUS_EXCLUDED_MAX, 'x'));
    status.spec_revision = status.hits = status.errors = status.dropped = UINT64_MAX;
    status.state = DIAG_SPEC_STATE_TRIPPED;
    status.functions = status.codes = UINT32_MAX;
    status.is_pure = true;
    std::fill(status.skips, status.skips + DIAG_SKIP_COUNT, UINT64_MAX);
    return status;
}

// As it stands in a LocalReport.
std::string encode(const struct diag_spec_status &status) {
    std::vector<uint8_t> data(4096);
    struct diag_wire_writer writer = diag_wire_writer_make(data.data(), data.size());

    diag_spec_status_encode(&writer, 2, &status);
    EXPECT_FALSE(writer.has_overflowed);
    return std::string(data.begin(), data.begin() + static_cast<long>(diag_wire_size(&writer)));
}

// Without tag and length.
std::string encode_bare(const struct diag_spec_status &status) {
    return encode(status).substr(4);
}

enum diag_status decode(const std::string &encoded, struct diag_spec_status *out,
                        struct diag_error *err = nullptr) {
    return diag_spec_status_decode(diag_bytes_make(encoded.data(), encoded.size()), out, err);
}

void expect_equal(const struct diag_spec_status &a, const struct diag_spec_status &b) {
    EXPECT_STREQ(a.spec_id, b.spec_id);
    EXPECT_EQ(a.spec_revision, b.spec_revision);
    EXPECT_EQ(a.state, b.state);
    EXPECT_STREQ(a.message, b.message);
    EXPECT_STREQ(a.mechanism, b.mechanism);
    EXPECT_STREQ(a.excluded, b.excluded);
    EXPECT_EQ(a.functions, b.functions);
    EXPECT_EQ(a.codes, b.codes);
    EXPECT_EQ(a.is_pure, b.is_pure);
    EXPECT_EQ(a.hits, b.hits);
    EXPECT_EQ(a.errors, b.errors);
    EXPECT_EQ(a.dropped, b.dropped);
    for (int skip = 0; skip < DIAG_SKIP_COUNT; skip++)
        EXPECT_EQ(a.skips[skip], b.skips[skip]) << skip;
}

TEST(SpecStatusCodec, BytesAreAsTheyWere) {
    const std::string golden("\x12\xc3\x80\x00"
                             "\x0a\x01"
                             "a\x10\x05\x18\x06\x22\x03why\x2a\x09type-swap\x30\x02\x38\xac\x02"
                             "\x40\x04\x48\x05\x52\x0c"
                             "calls from C\x58\x03\x60\x01"
                             "\x6a\x84\x80\x00\x08\x01\x10\x06\x6a\x85\x80\x00\x08\x03\x10\xbc\x05",
                             71);

    EXPECT_EQ(encode(filled()), golden);
}

TEST(SpecStatusCodec, ProtobufCReadsThem) {
    const std::string encoded = encode(filled());
    Diagnose__V1__LocalReport *report = diagnose__v1__local_report__unpack(
        nullptr, encoded.size(), reinterpret_cast<const uint8_t *>(encoded.data()));

    ASSERT_NE(report, nullptr);
    ASSERT_EQ(report->n_statuses, 1u);
    const Diagnose__V1__SpecStatus *status = report->statuses[0];
    EXPECT_STREQ(status->spec_id, "a");
    EXPECT_EQ(status->spec_revision, 5u);
    EXPECT_EQ(status->state, DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_TRIPPED);
    EXPECT_STREQ(status->message, "why");
    EXPECT_STREQ(status->mechanism, "type-swap");
    EXPECT_STREQ(status->excluded, "calls from C");
    EXPECT_EQ(status->functions, 2u);
    EXPECT_EQ(status->codes, 3u);
    EXPECT_TRUE(status->pure);
    EXPECT_EQ(status->hits, 300u);
    EXPECT_EQ(status->errors, 4u);
    EXPECT_EQ(status->dropped, 5u);
    ASSERT_EQ(status->n_skips, 2u);
    EXPECT_EQ(status->skips[0]->cause, DIAGNOSE__V1__SKIP_CAUSE__SKIP_CAUSE_REENTRANT);
    EXPECT_EQ(status->skips[0]->count, 6u);
    EXPECT_EQ(status->skips[1]->cause, DIAGNOSE__V1__SKIP_CAUSE__SKIP_CAUSE_UNBOUND);
    EXPECT_EQ(status->skips[1]->count, 700u);
    diagnose__v1__local_report__free_unpacked(report, nullptr);
}

TEST(SpecStatusCodec, CausesHaveTheNumbersOfTheProtocol) {
    const std::pair<enum diag_skip, int> causes[] = {
        {DIAG_SKIP_REENTRANT, DIAGNOSE__V1__SKIP_CAUSE__SKIP_CAUSE_REENTRANT},
        {DIAG_SKIP_IN_FLIGHT, DIAGNOSE__V1__SKIP_CAUSE__SKIP_CAUSE_IN_FLIGHT},
        {DIAG_SKIP_UNBOUND, DIAGNOSE__V1__SKIP_CAUSE__SKIP_CAUSE_UNBOUND},
        {DIAG_SKIP_FILTERED, DIAGNOSE__V1__SKIP_CAUSE__SKIP_CAUSE_FILTERED},
    };

    ASSERT_EQ(std::size(causes), static_cast<size_t>(DIAG_SKIP_COUNT));
    for (const auto &[skip, cause] : causes) {
        struct diag_spec_status status = {};
        strcpy(status.spec_id, "a");
        status.skips[skip] = 9;
        enum diag_skip known = DIAG_SKIP_COUNT;
        EXPECT_TRUE(diag_spec_status_skip_of_cause(static_cast<uint64_t>(cause), &known));
        EXPECT_EQ(known, skip);
        EXPECT_EQ(encode_bare(status), std::string("\x0a\x01"
                                                   "a\x6a\x84\x80\x00\x08",
                                                   8) +
                                           static_cast<char>(cause) + "\x10\x09");
    }
}

TEST(SpecStatusCodec, UnknownCausesAreNoSkip) {
    enum diag_skip known;

    for (uint64_t cause : {UINT64_C(0), UINT64_C(5), UINT64_C(99), UINT64_MAX})
        EXPECT_FALSE(diag_spec_status_skip_of_cause(cause, &known)) << cause;
}

TEST(SpecStatusCodec, RoundTrip) {
    struct diag_spec_status empty = {}, decoded;

    strcpy(empty.spec_id, "x");
    for (const auto &status : {filled(), largest(), empty}) {
        ASSERT_EQ(decode(encode_bare(status), &decoded), DIAG_OK);
        expect_equal(decoded, status);
    }
}

TEST(SpecStatusCodec, TheLargestLeavesRoomForNewFields) {
    EXPECT_LE(encode_bare(largest()).size() + 64,
              static_cast<size_t>(DIAG_SPEC_STATUS_ENCODED_MAX));
}

TEST(SpecStatusCodec, PassesOverWhatIsNewer) {
    struct diag_spec_status decoded;
    std::string newer = encode_bare(filled());

    newer += std::string("\x78\x01", 2);                         // field 15
    newer += std::string("\x6a\x06\x08\x63\x10\x05\x18\x01", 8); // skips {cause 99, count 5, ?}
    newer += std::string("\x6a\x02\x10\x05", 4);                 // skips without a cause
    ASSERT_EQ(decode(newer, &decoded), DIAG_OK);
    expect_equal(decoded, filled());
    newer += std::string("\x18\x63", 2); // state 99
    ASSERT_EQ(decode(newer, &decoded), DIAG_OK);
    EXPECT_EQ(decoded.state, DIAG_SPEC_STATE_UNSPECIFIED);
    newer += std::string("\x6a\x04\x08\x01\x10\x05", 6); // once more a known cause
    ASSERT_EQ(decode(newer, &decoded), DIAG_OK);
    EXPECT_EQ(decoded.skips[DIAG_SKIP_REENTRANT], 11u);
}

std::string text_field(char tag, size_t size, char filler = 'x') {
    std::string field(1, tag);

    if (size >= 128)
        field += {static_cast<char>(size | 0x80), static_cast<char>(size >> 7)};
    else
        field += static_cast<char>(size);
    return field + std::string(size, filler);
}

TEST(SpecStatusCodec, ErrorsNameTheField) {
    const std::string id("\x0a\x01"
                         "a");
    struct {
        std::string encoded;
        const char *message;
    } const cases[] = {
        {"", "spec_id: missing"},
        {text_field(0x0a, 129), "spec_id: 129 bytes, at most 128 are allowed"},
        {id + text_field(0x22, 1025), "message: 1025 bytes, at most 1024 are allowed"},
        {id + text_field(0x2a, 65), "mechanism: 65 bytes, at most 64 are allowed"},
        {id + text_field(0x52, 513), "excluded: 513 bytes, at most 512 are allowed"},
        {id + text_field(0x52, 2, '\xff'), "excluded: not valid UTF-8"},
        {id + text_field(0x22, 2, '\0'), "message: has a NUL character"},
        {id + "\x52", "malformed encoding"},
        {id + std::string("\x50\x01", 2), "excluded: malformed encoding"},
        {id + text_field(0x3a, 1), "hits: malformed encoding"},
        {id + text_field(0x5a, 1), "codes: malformed encoding"},
        {id + text_field(0x62, 1), "pure: malformed encoding"},
        {id + std::string("\x68\x01", 2), "skips: malformed encoding"},
        {id + text_field(0x6a, 1), "skips: malformed encoding"},
        {id + std::string("\x6a\x03\x0a\x01x", 5), "skips: malformed encoding"},
        {id + text_field(0x7a, 1945), "1951 bytes, at most 1950 are allowed"},
    };

    for (const auto &c : cases) {
        struct diag_spec_status out = filled();
        struct diag_error err = {};

        EXPECT_EQ(decode(c.encoded, &out, &err), DIAG_ERR_PROTOCOL) << c.message;
        EXPECT_STREQ(err.message, c.message);
        expect_equal(out, filled()); /* untouched */
    }
}

TEST(SpecStatusCodec, TextThatIsNotUtf8IsMended) {
    const std::pair<const char *, const char *> cases[] = {
        {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"cut \xe2\x82", "cut ??"},
        {"\xed\xa0\x80 surrogate", "??? surrogate"},
        {"\xff\xf0\x9f\x98\x80\xfe", "?\xf0\x9f\x98\x80?"},
    };

    for (const auto &[text, mended] : cases) {
        struct diag_spec_status status = filled(), decoded;

        strcpy(status.message, text);
        ASSERT_EQ(decode(encode_bare(status), &decoded), DIAG_OK) << text;
        EXPECT_STREQ(decoded.message, mended);
    }
}

TEST(SpecStatusCodec, SurvivesGarbledStatuses) {
    const std::string good = encode_bare(filled());
    std::mt19937 random(7);
    size_t refused = 0;

    for (int round = 0; round < 20000; round++) {
        std::string bad = good;
        struct diag_spec_status decoded;

        for (size_t i = 1 + random() % 3; i > 0; i--)
            bad[random() % bad.size()] = static_cast<char>(random());
        bad.resize(bad.size() - random() % 3);
        refused += decode(bad, &decoded) != DIAG_OK;
    }
    EXPECT_GT(refused, 1000u);
    EXPECT_LT(refused, 20000u);
}

} // namespace
