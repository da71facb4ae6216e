// SPDX-License-Identifier: MIT
// The codec is checked against protobuf-c: what that packs, ours decodes, and the other way round.
#include "lib/spec/spec_codec.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "diagnose/v1/local.pb-c.h"
#include "diagnose/v1/spec.pb-c.h"

namespace {

struct diag_bytes bytes(const std::string &text) {
    return diag_bytes_make(text.data(), text.size());
}

std::string pack(const ProtobufCMessage *message) {
    std::string packed(protobuf_c_message_get_packed_size(message), '\0');
    protobuf_c_message_pack(message, reinterpret_cast<uint8_t *>(packed.data()));
    return packed;
}

std::string random_text(std::mt19937 &random) {
    static const char *const parts[] = {"a", "Z9",  "\xc3\xa9", "\xf0\x9f\x90\x8d",
                                        " ", "x.y", "'\""};
    std::string text;
    for (size_t i = random() % 6; i > 0; i--)
        text += parts[random() % 7];
    return text;
}

// A DictValue {"other": 1, "tags": tags}.
struct Custom {
    Diagnose__V1__Value keys[2], values[2];
    Diagnose__V1__DictEntry entries[2];
    Diagnose__V1__DictEntry *pointers[2];
    Diagnose__V1__DictValue dict = DIAGNOSE__V1__DICT_VALUE__INIT;

    explicit Custom(const char *tags) {
        static char other_key[] = "other", tags_key[] = "tags";
        for (size_t i = 0; i < 2; i++) {
            diagnose__v1__value__init(&keys[i]);
            diagnose__v1__value__init(&values[i]);
            diagnose__v1__dict_entry__init(&entries[i]);
            keys[i].kind_case = DIAGNOSE__V1__VALUE__KIND_STR;
            keys[i].str = i == 0 ? other_key : tags_key;
            entries[i].key = &keys[i];
            entries[i].value = &values[i];
            pointers[i] = &entries[i];
        }
        values[0].kind_case = DIAGNOSE__V1__VALUE__KIND_INT;
        values[0].int_ = 1;
        values[1].kind_case = DIAGNOSE__V1__VALUE__KIND_STR;
        values[1].str = const_cast<char *>(tags);
        dict.n_entries = 2;
        dict.entries = pointers;
    }
};

TEST(SpecCodec, DecodesWhatProtobufCPacks) {
    std::mt19937 random(7);

    for (int round = 0; round < 2000; round++) {
        std::string id = random_text(random), target = random_text(random),
                    name = random_text(random), value = random_text(random),
                    tags = random_text(random), key = random_text(random);
        static char type[] = "log", call[] = "call", empty[] = "";
        Custom custom(tags.c_str());
        Diagnose__V1__Spec spec = DIAGNOSE__V1__SPEC__INIT;
        Diagnose__V1__Instrument instrument = DIAGNOSE__V1__INSTRUMENT__INIT;
        Diagnose__V1__Selector selector = DIAGNOSE__V1__SELECTOR__INIT;
        Diagnose__V1__Selector__MatchLabelsEntry entry =
            DIAGNOSE__V1__SELECTOR__MATCH_LABELS_ENTRY__INIT;
        Diagnose__V1__Selector__MatchLabelsEntry *entries[] = {&entry};
        bool has_custom = random() % 2, has_selector = random() % 2, has_event = random() % 2;
        struct diag_spec *decoded = nullptr;
        struct diag_error err = {};

        spec.id = id.data();
        spec.target = target.data();
        spec.instrument = &instrument;
        instrument.type = type;
        instrument.name = name.data();
        instrument.value = value.data();
        instrument.event = has_event ? call : empty;
        instrument.custom = has_custom ? &custom.dict : nullptr;
        spec.lifespan_ms = random();
        spec.revision = random();
        spec.created_unix_nanos = random();
        spec.modified_unix_nanos = random();
        spec.expires_unix_nanos = random();
        entry.key = key.data();
        entry.value = value.data();
        selector.n_match_labels = 1;
        selector.match_labels = entries;
        spec.selector = has_selector ? &selector : nullptr;

        std::string packed = pack(&spec.base);
        ASSERT_EQ(diag_spec_decode(bytes(packed), &decoded, &err), DIAG_OK) << err.message;
        EXPECT_EQ(decoded->id, id);
        EXPECT_EQ(decoded->target, target);
        EXPECT_STREQ(decoded->instrument.type, "log");
        EXPECT_EQ(decoded->instrument.name, name.empty() ? id : name);
        EXPECT_EQ(decoded->instrument.value, value);
        EXPECT_STREQ(decoded->instrument.event, has_event ? "call" : "return");
        if (has_custom)
            EXPECT_EQ(decoded->instrument.tags, tags);
        else
            EXPECT_EQ(decoded->instrument.tags, nullptr);
        ASSERT_EQ(decoded->match_label_count, has_selector ? 1u : 0u);
        if (has_selector) {
            EXPECT_EQ(decoded->match_labels[0].key, key);
            EXPECT_EQ(decoded->match_labels[0].value, value);
        }
        EXPECT_EQ(decoded->lifespan_ms, spec.lifespan_ms);
        EXPECT_EQ(decoded->revision, spec.revision);
        EXPECT_EQ(decoded->created_unix_ns, spec.created_unix_nanos);
        EXPECT_EQ(decoded->modified_unix_ns, spec.modified_unix_nanos);
        EXPECT_EQ(decoded->expires_unix_ns, spec.expires_unix_nanos);
        diag_spec_free(decoded);

        char peeked[DIAG_SPEC_ID_MAX + 1];
        uint64_t revision;
        diag_spec_peek(bytes(packed), peeked, &revision);
        EXPECT_EQ(peeked, id);
        EXPECT_EQ(revision, spec.revision);
    }
}

// Never crashes, and refuses or accepts, whatever the bytes.
TEST(SpecCodec, TheLastOfTwoLabelsCounts) {
    struct diag_spec *spec = nullptr;
    /* selector: a=1, b=2, a=3 */
    const std::string encoded("\x2a\x18\x0a\x06\x0a\x01"
                              "a\x12\x01"
                              "1\x0a\x06\x0a\x01"
                              "b\x12\x01"
                              "2\x0a\x06\x0a\x01"
                              "a\x12\x01"
                              "3",
                              26);
    ASSERT_EQ(diag_spec_decode(diag_bytes_make(encoded.data(), encoded.size()), &spec, nullptr),
              DIAG_OK);
    ASSERT_EQ(spec->match_label_count, 2u);
    EXPECT_STREQ(spec->match_labels[0].value, "3");
    EXPECT_TRUE(diag_spec_equal(spec, spec));
    diag_spec_free(spec);
}

TEST(SpecCodec, SurvivesGarbledSpecs) {
    std::mt19937 random(11);
    Custom custom("{'a': b}");
    Diagnose__V1__Spec spec = DIAGNOSE__V1__SPEC__INIT;
    Diagnose__V1__Instrument instrument = DIAGNOSE__V1__INSTRUMENT__INIT;
    static char text[] = "some.text";

    spec.id = spec.target = instrument.value = text;
    spec.instrument = &instrument;
    instrument.custom = &custom.dict;
    std::string good = pack(&spec.base);
    size_t refused = 0;
    for (int round = 0; round < 20000; round++) {
        std::string bad = good;
        for (size_t i = 1 + random() % 3; i > 0; i--)
            bad[random() % bad.size()] = static_cast<char>(random());
        bad.resize(bad.size() - random() % 3);
        struct diag_spec *decoded = nullptr;
        if (diag_spec_decode(bytes(bad), &decoded, nullptr) != DIAG_OK) {
            EXPECT_EQ(decoded, nullptr);
            refused++;
        }
        diag_spec_free(decoded);
    }
    EXPECT_GT(refused, 1000u);
}

TEST(SpecCodec, ErrorsNameTheField) {
    struct {
        std::string encoded;
        enum diag_status status;
        const char *message;
    } const cases[] = {
        {"\x0a\x02\xff\xff", DIAG_ERR_INVALID, "id: not valid UTF-8"},
        {std::string("\x0a\x03"
                     "a\0b",
                     5),
         DIAG_ERR_INVALID, "id: has a NUL character"},
        {std::string("\x08\x01", 2), DIAG_ERR_INVALID, "id: malformed encoding"},
        {"\x0a\x09x", DIAG_ERR_INVALID, "spec: malformed encoding"},
        {std::string("\xf8\x01\x01", 3), DIAG_ERR_VERSION,
         "spec: field number 31 is not known to this release"},
        {std::string("\x1a\x02\x50\x01", 4), DIAG_ERR_VERSION,
         "instrument: field number 10 is not known to this release"},
        {"\x1a\x04\x1a\x02\xc3(", DIAG_ERR_INVALID, "instrument.value: not valid UTF-8"},
        {std::string("\x2a\x02\x10\x01", 4), DIAG_ERR_VERSION,
         "selector: field number 2 is not known to this release"},
        // custom {"tags": 1}
        {std::string("\x1a\x10\x2a\x0e\x0a\x0c\x0a\x06\x2a\x04tags\x12\x02\x18\x02", 18),
         DIAG_ERR_INVALID, "instrument.custom.tags: must be a string with a Python expression"},
    };

    for (const auto &c : cases) {
        struct diag_spec *decoded = nullptr;
        struct diag_error err = {};
        EXPECT_EQ(diag_spec_decode(bytes(c.encoded), &decoded, &err), c.status) << c.message;
        EXPECT_STREQ(err.message, c.message);
        EXPECT_EQ(decoded, nullptr);
    }
}

TEST(SpecCodec, SplitsSnapshots) {
    Diagnose__V1__SpecSnapshot snapshot = DIAGNOSE__V1__SPEC_SNAPSHOT__INIT;
    std::vector<Diagnose__V1__Spec> specs(5);
    std::vector<Diagnose__V1__Spec *> pointers;
    std::vector<std::string> ids;
    struct diag_spec_snapshot split = {};

    for (size_t i = 0; i < specs.size(); i++)
        ids.push_back("spec-" + std::to_string(i));
    for (size_t i = 0; i < specs.size(); i++) {
        diagnose__v1__spec__init(&specs[i]);
        specs[i].id = ids[i].data();
        specs[i].revision = i;
        pointers.push_back(&specs[i]);
    }
    snapshot.snapshot = 3;
    snapshot.ttl_ms = 1000;
    snapshot.n_specs = pointers.size();
    snapshot.specs = pointers.data();
    std::string packed = pack(&snapshot.base);
    ASSERT_EQ(diag_spec_snapshot_decode(bytes(packed), &split, nullptr), DIAG_OK);
    EXPECT_EQ(split.snapshot, 3u);
    EXPECT_EQ(split.ttl_ms, 1000u);
    ASSERT_EQ(split.spec_count, 5u);
    for (size_t i = 0; i < 5; i++) {
        char id[DIAG_SPEC_ID_MAX + 1];
        uint64_t revision;
        diag_spec_peek(split.specs[i], id, &revision);
        EXPECT_EQ(id, ids[i]);
        EXPECT_EQ(revision, i);
    }
    diag_spec_snapshot_done(&split);
    EXPECT_EQ(
        diag_spec_snapshot_decode(bytes(packed.substr(0, packed.size() - 1)), &split, nullptr),
        DIAG_ERR_INVALID);
}

} // namespace
