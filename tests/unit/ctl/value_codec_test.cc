/* SPDX-License-Identifier: MIT */
#include <cmath>
#include <functional>
#include <gtest/gtest.h>
#include <string>

#include "ctl/print.h"
#include "ctl/value_codec.h"
#include "lib/event/event_encoder.h"

namespace {

using Fill = std::function<void(struct diag_wire_writer *, uint32_t)>;

/* One encoded Value, without the field around it. */
std::string encoded(const Fill &fill) {
    static uint8_t memory[65536];
    struct diag_wire_writer writer = diag_wire_writer_make(memory, sizeof memory);
    fill(&writer, 1);
    struct diag_wire_reader reader =
        diag_wire_reader_make(diag_bytes_make(memory, diag_wire_size(&writer)));
    struct diag_wire_field field;
    EXPECT_EQ(diag_wire_next(&reader, &field), DIAG_OK);
    return std::string(reinterpret_cast<const char *>(field.bytes.data), field.bytes.size);
}

std::string json_of(const std::string &value) {
    struct diag_document *document = nullptr;
    if (diag_value_decode(diag_bytes_make(value.data(), value.size()), &document) != DIAG_OK)
        return "(malformed)";
    char *text = nullptr;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    diag_print_json_line(file, document);
    fclose(file);
    std::string result(text, size);
    free(text);
    diag_document_free(document);
    return result;
}

std::string text_of(const std::string &value) {
    struct diag_document *document = nullptr;
    struct diag_buffer out = {};
    EXPECT_EQ(diag_value_decode(diag_bytes_make(value.data(), value.size()), &document), DIAG_OK);
    diag_value_append_text(&out, document);
    std::string result(reinterpret_cast<char *>(out.data), out.size);
    diag_buffer_done(&out);
    diag_document_free(document);
    return result;
}

void put_entry(struct diag_wire_writer *w, const Fill &key, const Fill &value) {
    size_t mark = diag_wire_begin(w, DIAG_DICT_FIELD_ENTRIES);
    key(w, DIAG_DICT_ENTRY_FIELD_KEY);
    value(w, DIAG_DICT_ENTRY_FIELD_VALUE);
    diag_wire_end(w, mark);
}

Fill str(const std::string &text, uint64_t original = 0) {
    return [=](struct diag_wire_writer *w, uint32_t n) {
        diag_value_put_str(w, n, diag_bytes_make(text.data(), text.size()), original);
    };
}

Fill integer(int64_t value) {
    return [=](struct diag_wire_writer *w, uint32_t n) { diag_value_put_int(w, n, value); };
}

Fill dict(std::vector<std::pair<Fill, Fill>> entries, uint64_t original = 0) {
    return [=](struct diag_wire_writer *w, uint32_t n) {
        struct diag_value_mark mark = diag_value_begin(w, n, DIAG_VALUE_FIELD_DICT);
        for (const auto &entry : entries)
            put_entry(w, entry.first, entry.second);
        diag_value_end(w, mark, original);
    };
}

TEST(ValueCodec, DecodesEachKind) {
    const struct {
        Fill fill;
        std::string json, text;
    } cases[] = {
        {[](auto *w, auto n) { diag_value_put_none(w, n); }, "null", "None"},
        {[](auto *w, auto n) { diag_value_put_bool(w, n, false); }, "false", "False"},
        {integer(-5), "-5", "-5"},
        {integer(INT64_MIN), "-9223372036854775808", "-9223372036854775808"},
        {[](auto *w, auto n) { diag_value_put_float(w, n, 0.25); }, "0.25", "0.25"},
        {[](auto *w, auto n) { diag_value_put_float(w, n, NAN); }, "\"nan\"", "nan"},
        {str("a\x1b\n"), "\"a\\u001b\\n\"", "\"a\\x1b\\n\""},
        {str(std::string("a\0b", 3)), "\"a\\u0000b\"", "\"a\\x00b\""},
        {str("abc", 90000), "{\"$cut\":\"abc\",\"original_size\":90000}", "\"abc\"...(of 90000)"},
        {[](auto *w, auto n) { diag_value_put_bytes(w, n, diag_bytes_make("\0\1\2", 3), 0); },
         "{\"$bytes\":\"AAEC\"}", "b\"\\x00\\x01\\x02\""},
        {[](auto *w, auto n) {
             diag_value_put_repr(w, n, diag_bytes_from_text("decimal.Decimal"),
                                 diag_bytes_from_text("Decimal('1.5')\x1b"), 0);
         },
         "{\"$repr\":{\"type\":\"decimal.Decimal\",\"text\":\"Decimal('1.5')\\u001b\"}}",
         "Decimal('1.5')\\x1b"},
        {[](auto *w, auto n) {
             struct diag_value_mark mark = diag_value_begin(w, n, DIAG_VALUE_FIELD_LIST);
             diag_value_put_int(w, DIAG_LIST_FIELD_ITEMS, 1);
             str("x")(w, DIAG_LIST_FIELD_ITEMS);
             diag_value_end(w, mark, 7);
         },
         "{\"$cut\":[1,\"x\"],\"original_size\":7}", "[1, \"x\"]...(of 7)"},
        {dict({}), "{}", "{}"},
        {dict({{str("a"), integer(1)}, {str("b"), dict({{str("c"), integer(2)}})}}),
         "{\"a\":1,\"b\":{\"c\":2}}", "{\"a\": 1, \"b\": {\"c\": 2}}"},
        {dict({{str("a"), integer(1)}, {integer(2), integer(3)}}), "{\"$dict\":[[\"a\",1],[2,3]]}",
         "{\"a\": 1, 2: 3}"},
        {dict({{str("$bytes"), integer(1)}}), "{\"$dict\":[[\"$bytes\",1]]}", "{\"$bytes\": 1}"},
        {dict({{str(std::string("a\0b", 3)), integer(1)}}), "{\"$dict\":[[\"a\\u0000b\",1]]}",
         "{\"a\\x00b\": 1}"},
        {dict({{str("a"), integer(1)}, {str("a"), integer(2)}}),
         "{\"$dict\":[[\"a\",1],[\"a\",2]]}", "{\"a\": 1, \"a\": 2}"},
    };
    for (const auto &c : cases) {
        EXPECT_EQ(json_of(encoded(c.fill)), c.json);
        EXPECT_EQ(text_of(encoded(c.fill)), c.text);
    }
}

TEST(ValueCodec, RefusesWhatIsNoValue) {
    const std::string whole = encoded(dict({{str("key"), str("value")}}));
    EXPECT_EQ(json_of(whole.substr(0, whole.size() - 1)), "(malformed)");
    EXPECT_EQ(json_of(std::string("\x2a\x01\xff", 3)), "(malformed)"); /* a str, not UTF-8 */
    std::string nested;
    for (int i = 0; i < 200; i++) { /* lists in lists; lengths below 2^14 */
        std::string inner = "\x0a";
        inner += static_cast<char>(0x80 | (nested.size() & 0x7f));
        inner += static_cast<char>(nested.size() >> 7);
        inner += nested;
        nested = "\x3a";
        nested += static_cast<char>(0x80 | (inner.size() & 0x7f));
        nested += static_cast<char>(inner.size() >> 7);
        nested += inner;
    }
    EXPECT_EQ(json_of(nested), "(malformed)");
}

TEST(ValueCodec, IsPatientWithLaterReleases) {
    EXPECT_EQ(json_of(""), "null");
    EXPECT_EQ(json_of(std::string("\xa0\x01\x05", 3)), "null"); /* field 20 */
}

/* Every way to cut a message short is refused or read, and never overruns (with ASan). */
TEST(ValueCodec, SurvivesTruncationAnywhere) {
    const std::string whole = encoded(dict({{str("a"), str("b")}, {integer(1), str("c", 99)}}));
    for (size_t size = 0; size < whole.size(); size++) {
        std::string exact = whole.substr(0, size);
        exact.shrink_to_fit();
        EXPECT_NE(json_of(exact), json_of(whole));
    }
}

} // namespace
