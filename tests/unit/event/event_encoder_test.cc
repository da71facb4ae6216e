// SPDX-License-Identifier: MIT
// Everything that the encoder writes is read back by protobuf-c.
#include "lib/event/event_encoder.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "diagnose/v1/event.pb-c.h"
#include "lib/event/event_check.h"

namespace {

struct diag_bytes bytes(const std::string &text) {
    return diag_bytes_make(text.data(), text.size());
}

// A random value of random depth, written twice: by the encoder, and as text for comparison.
class RandomValue {
  public:
    explicit RandomValue(unsigned seed) : random_(seed) {}

    std::string write(struct diag_wire_writer *writer, uint32_t number, int depth) {
        switch (random_() % (depth > 0 ? 9 : 7)) {
        case 0:
            diag_value_put_none(writer, number);
            return "none";
        case 1: {
            bool value = random_() % 2;
            diag_value_put_bool(writer, number, value);
            return value ? "true" : "false";
        }
        case 2: {
            int64_t value = static_cast<int64_t>(random_()) << (random_() % 33) >> (random_() % 9);
            diag_value_put_int(writer, number, value);
            return std::to_string(value);
        }
        case 3: {
            double value = static_cast<double>(random_()) / 7;
            diag_value_put_float(writer, number, value);
            return std::to_string(value);
        }
        case 4: {
            std::string text(random_() % 200, 'x');
            diag_value_put_str(writer, number, bytes(text), text.size() > 100 ? 5000 : 0);
            return "'" + text + "'" + (text.size() > 100 ? "/5000" : "");
        }
        case 5: {
            std::string data(random_() % 20, '\xff');
            diag_value_put_bytes(writer, number, bytes(data), 0);
            return "b'" + data + "'";
        }
        case 6:
            diag_value_put_repr(writer, number, bytes("T"), bytes("T()"), 9);
            return "T:T()/9";
        case 7:
            return write_list(writer, number, depth);
        default:
            return write_dict(writer, number, depth);
        }
    }

  private:
    std::string write_list(struct diag_wire_writer *writer, uint32_t number, int depth) {
        struct diag_value_mark mark = diag_value_begin(writer, number, DIAG_VALUE_FIELD_LIST);
        std::string text = "[";
        for (size_t i = random_() % 4; i > 0; i--)
            text += write(writer, DIAG_LIST_FIELD_ITEMS, depth - 1) + ",";
        diag_value_end(writer, mark, 0);
        return text + "]";
    }

    std::string write_dict(struct diag_wire_writer *writer, uint32_t number, int depth) {
        struct diag_value_mark mark = diag_value_begin(writer, number, DIAG_VALUE_FIELD_DICT);
        std::string text = "{";
        for (size_t i = random_() % 4; i > 0; i--) {
            size_t entry = diag_wire_begin(writer, DIAG_DICT_FIELD_ENTRIES);
            text += write(writer, DIAG_DICT_ENTRY_FIELD_KEY, 0) + ":";
            text += write(writer, DIAG_DICT_ENTRY_FIELD_VALUE, depth - 1) + ",";
            diag_wire_end(writer, entry);
        }
        diag_value_end(writer, mark, 77);
        return text + "}/77";
    }

    std::mt19937 random_;
};

std::string text_of(const Diagnose__V1__Value *value) {
    std::string text;

    switch (value->kind_case) {
    case DIAGNOSE__V1__VALUE__KIND_NONE:
        text = "none";
        break;
    case DIAGNOSE__V1__VALUE__KIND_BOOL:
        text = value->bool_ ? "true" : "false";
        break;
    case DIAGNOSE__V1__VALUE__KIND_INT:
        text = std::to_string(value->int_);
        break;
    case DIAGNOSE__V1__VALUE__KIND_FLOAT:
        text = std::to_string(value->float_);
        break;
    case DIAGNOSE__V1__VALUE__KIND_STR:
        text = "'" + std::string(value->str) + "'";
        break;
    case DIAGNOSE__V1__VALUE__KIND_BYTES:
        text =
            "b'" + std::string(reinterpret_cast<char *>(value->bytes.data), value->bytes.len) + "'";
        break;
    case DIAGNOSE__V1__VALUE__KIND_REPR:
        text = std::string(value->repr->type) + ":" + value->repr->text;
        break;
    case DIAGNOSE__V1__VALUE__KIND_LIST:
        text = "[";
        for (size_t i = 0; i < value->list->n_items; i++)
            text += text_of(value->list->items[i]) + ",";
        text += "]";
        break;
    case DIAGNOSE__V1__VALUE__KIND_DICT:
        text = "{";
        for (size_t i = 0; i < value->dict->n_entries; i++)
            text += text_of(value->dict->entries[i]->key) + ":" +
                    text_of(value->dict->entries[i]->value) + ",";
        text += "}";
        break;
    default:
        text = "unset";
    }
    return value->original_size != 0 ? text + "/" + std::to_string(value->original_size) : text;
}

TEST(EventEncoder, ProtobufCReadsEveryValue) {
    for (unsigned seed = 0; seed < 3000; seed++) {
        uint8_t prefix[DIAG_EVENT_PREFIX_MAX], data[DIAG_EVENT_MAX];
        size_t prefix_size = diag_event_prefix(prefix, "cart-total", 12);
        struct diag_wire_writer writer = diag_wire_writer_make(data, sizeof data);
        struct diag_bytes id = {};

        diag_event_begin(&writer, diag_bytes_make(prefix, prefix_size), DIAG_EVENT_KIND_HIT,
                         UINT64_C(1700000000000000000), 4242);
        std::string expected = RandomValue(seed).write(&writer, DIAG_EVENT_FIELD_VALUE, 4);
        diag_event_put_tag(&writer, bytes("region"), bytes("eu"));
        ASSERT_FALSE(writer.has_overflowed);
        ASSERT_EQ(diag_event_check(diag_bytes_make(data, diag_wire_size(&writer)), &id), DIAG_OK);
        EXPECT_TRUE(diag_bytes_equal(id, bytes("cart-total")));

        Diagnose__V1__Event *event =
            diagnose__v1__event__unpack(nullptr, diag_wire_size(&writer), data);
        ASSERT_NE(event, nullptr);
        EXPECT_STREQ(event->spec_id, "cart-total");
        EXPECT_EQ(event->spec_revision, 12u);
        EXPECT_EQ(event->kind, DIAGNOSE__V1__EVENT__KIND__KIND_HIT);
        EXPECT_EQ(event->time_unix_nanos, UINT64_C(1700000000000000000));
        EXPECT_EQ(event->thread_id, 4242u);
        EXPECT_EQ(text_of(event->value), expected);
        ASSERT_EQ(event->n_tags, 1u);
        EXPECT_STREQ(event->tags[0]->key, "region");
        EXPECT_STREQ(event->tags[0]->value, "eu");
        diagnose__v1__event__free_unpacked(event, nullptr);
    }
}

TEST(EventEncoder, Errors) {
    uint8_t prefix[DIAG_EVENT_PREFIX_MAX], data[512];
    size_t prefix_size = diag_event_prefix(prefix, "x", 1);
    struct diag_wire_writer writer = diag_wire_writer_make(data, sizeof data);

    diag_event_begin(&writer, diag_bytes_make(prefix, prefix_size), DIAG_EVENT_KIND_ERROR, 1, 2);
    diag_event_put_error(&writer, bytes("NameError: name 'y' is not defined"));
    Diagnose__V1__Event *event =
        diagnose__v1__event__unpack(nullptr, diag_wire_size(&writer), data);
    ASSERT_NE(event, nullptr);
    EXPECT_EQ(event->kind, DIAGNOSE__V1__EVENT__KIND__KIND_ERROR);
    EXPECT_STREQ(event->error, "NameError: name 'y' is not defined");
    EXPECT_EQ(event->value, nullptr);
    diagnose__v1__event__free_unpacked(event, nullptr);
}

TEST(EventEncoder, LongestIdFitsThePrefix) {
    uint8_t prefix[DIAG_EVENT_PREFIX_MAX];
    std::string id(128, 'x');

    EXPECT_EQ(diag_event_prefix(prefix, id.c_str(), UINT64_MAX), 3 + 128 + 11u);
}

} // namespace
