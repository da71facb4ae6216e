/* SPDX-License-Identifier: MIT */
#include "sidecar/status_set.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "diagnose/v1/local.pb-c.h"
#include "diagnose/v1/process.pb-c.h"
#include "lib/base/wire.h"
#include "lib/rpc/message.h"
#include "lib/spec/spec_status_codec.h"

namespace {

class StatusSet : public ::testing::Test {
  protected:
    void TearDown() override { diag_status_set_done(&set); }
    struct Given {
        std::string id;
        Diagnose__V1__SpecState state = DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_ARMED;
        uint64_t hits = 0;
        std::string message = "";
        std::string mechanism = "";
        std::string excluded = "";
        uint64_t skipped = 0; /* by cause 99, of a newer release */
    };
    diag_status Merge(std::vector<Given> given) {
        Diagnose__V1__LocalReport report = DIAGNOSE__V1__LOCAL_REPORT__INIT;
        std::vector<Diagnose__V1__SpecStatus> statuses(given.size());
        std::vector<Diagnose__V1__SpecStatus *> pointers;
        std::vector<Diagnose__V1__SkipCount> skips(given.size());
        std::vector<Diagnose__V1__SkipCount *> skip_pointers(given.size());
        for (size_t i = 0; i < given.size(); i++) {
            diagnose__v1__spec_status__init(&statuses[i]);
            statuses[i].spec_id = &given[i].id[0];
            statuses[i].state = given[i].state;
            statuses[i].hits = given[i].hits;
            statuses[i].message = &given[i].message[0];
            statuses[i].mechanism = &given[i].mechanism[0];
            statuses[i].excluded = &given[i].excluded[0];
            diagnose__v1__skip_count__init(&skips[i]);
            skips[i].cause = static_cast<Diagnose__V1__SkipCause>(99);
            skips[i].count = given[i].skipped;
            skip_pointers[i] = &skips[i];
            statuses[i].skips = &skip_pointers[i];
            statuses[i].n_skips = given[i].skipped != 0;
            pointers.push_back(&statuses[i]);
        }
        report.n_statuses = pointers.size();
        report.statuses = pointers.data();
        std::vector<uint8_t> packed(diagnose__v1__local_report__get_packed_size(&report) + 1);
        size_t size = diagnose__v1__local_report__pack(&report, packed.data());
        is_news = false;
        return diag_status_set_merge(&set, diag_bytes_make(packed.data(), size), &is_news, &err);
    }
    /* Spec id to hits plus skips, as the controller would read it. */
    std::map<std::string, uint64_t> Encoded() {
        std::map<std::string, uint64_t> result;
        diag_buffer encoded = {};
        EXPECT_EQ(diag_status_set_encode(&set, diag_bytes_make("\x0a\x01u", 3), 5, &encoded),
                  DIAG_OK);
        auto *status = (Diagnose__V1__ProcessStatus *)diag_rpc_unpack(
            &diagnose__v1__process_status__descriptor, diag_buffer_bytes(&encoded));
        diag_buffer_done(&encoded);
        EXPECT_NE(status, nullptr);
        EXPECT_STREQ(status->process->uid, "u");
        EXPECT_EQ(status->lost_events, 5u);
        for (size_t i = 0; i < status->n_statuses; i++) {
            const Diagnose__V1__SpecStatus *one = status->statuses[i];
            result[one->spec_id] = one->hits + (one->n_skips > 0 ? one->skips[0]->count : 0);
        }
        protobuf_c_message_free_unpacked(&status->base, nullptr);
        return result;
    }

    diag_status_set set = {};
    diag_error err = {};
    bool is_news = false;
};

TEST_F(StatusSet, MergesReports) {
    EXPECT_TRUE(Encoded().empty());
    ASSERT_EQ(Merge({{"a"}, {"b"}}), DIAG_OK);
    EXPECT_TRUE(is_news);
    ASSERT_EQ(Merge({{"a", DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_ARMED, 9}}), DIAG_OK);
    EXPECT_FALSE(is_news) << "counters alone are no news";
    EXPECT_EQ(Encoded(), (std::map<std::string, uint64_t>{{"a", 9}, {"b", 0}}));
    ASSERT_EQ(Merge({{"a", DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_ARMED, 9, "", "", "", 5}}),
              DIAG_OK);
    EXPECT_FALSE(is_news) << "skips are counters";
    EXPECT_EQ(Encoded(), (std::map<std::string, uint64_t>{{"a", 14}, {"b", 0}}));
    ASSERT_EQ(Merge({{"a", DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_ARMED, 9, "", "", "C"}}), DIAG_OK);
    EXPECT_TRUE(is_news);
    EXPECT_EQ(Encoded(), (std::map<std::string, uint64_t>{{"a", 9}, {"b", 0}}));
    ASSERT_EQ(Merge({{"a", DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_FAILED, 9, "why"}}), DIAG_OK);
    EXPECT_TRUE(is_news);
}

TEST_F(StatusSet, KeepsWhatItDoesNotKnow) {
    /* statuses { spec_id: "a", 100: 7 } */
    const std::string report("\x12\x06\x0a\x01"
                             "a\xa0\x06\x07",
                             8);
    ASSERT_EQ(
        diag_status_set_merge(&set, diag_bytes_make(report.data(), report.size()), &is_news, &err),
        DIAG_OK);
    diag_buffer encoded = {};
    ASSERT_EQ(diag_status_set_encode(&set, diag_bytes_make("\x0a\x01u", 3), 0, &encoded), DIAG_OK);
    std::string text(reinterpret_cast<char *>(encoded.data), encoded.size);
    diag_buffer_done(&encoded);
    EXPECT_NE(text.find("\xa0\x06\x07"), std::string::npos);
}

TEST_F(StatusSet, RemovedIsShownOnce) {
    ASSERT_EQ(Merge({{"a"}, {"b"}}), DIAG_OK);
    EXPECT_FALSE(diag_status_set_forget_removed(&set));
    ASSERT_EQ(Merge({{"a", DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_REMOVED, 1}}), DIAG_OK);
    EXPECT_EQ(Encoded().size(), 2u);
    EXPECT_TRUE(diag_status_set_forget_removed(&set));
    EXPECT_EQ(Encoded(), (std::map<std::string, uint64_t>{{"b", 0}}));
    EXPECT_FALSE(diag_status_set_forget_removed(&set));
}

TEST_F(StatusSet, Refuses) {
    const auto armed = DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_ARMED;
    EXPECT_EQ(diag_status_set_merge(&set, diag_bytes_make("\xff", 1), &is_news, &err),
              DIAG_ERR_PROTOCOL);
    EXPECT_EQ(Merge({{""}}), DIAG_ERR_PROTOCOL);
    EXPECT_NE(strstr(err.message, "spec_id"), nullptr) << err.message;
    EXPECT_EQ(Merge({{std::string(129, 'a')}}), DIAG_ERR_PROTOCOL);
    EXPECT_EQ(Merge({{std::string(128, 'a')}}), DIAG_OK);
    EXPECT_EQ(Merge({{"a", armed, 0, std::string(1025, 'm')}}), DIAG_ERR_PROTOCOL);
    EXPECT_NE(strstr(err.message, "message"), nullptr) << err.message;
    EXPECT_EQ(Merge({{"a", armed, 0, "", std::string(65, 'm')}}), DIAG_ERR_PROTOCOL);
    EXPECT_NE(strstr(err.message, "mechanism"), nullptr) << err.message;
    EXPECT_EQ(Merge({{"a", armed, 0, "", "", std::string(513, 'm')}}), DIAG_ERR_PROTOCOL);
    EXPECT_STREQ(err.message, "statuses: excluded: 513 bytes, at most 512 are allowed");
    EXPECT_EQ(Merge({{"a", armed, 0, "\xff"}}), DIAG_ERR_PROTOCOL);
    EXPECT_EQ(diag_status_set_merge(&set, diag_bytes_make("\x10\x01", 2), &is_news, &err),
              DIAG_ERR_PROTOCOL);
}

TEST_F(StatusSet, IsBounded) {
    for (int i = 0; i < DIAG_STATUS_SET_MAX; i++)
        ASSERT_EQ(Merge({{"spec-" + std::to_string(i)}}), DIAG_OK);
    EXPECT_EQ(Merge({{"one-more"}}), DIAG_ERR_FULL);
    EXPECT_EQ(Merge({{"spec-0"}}), DIAG_OK);
}

TEST_F(StatusSet, TheLargestSetFitsIntoOneReport) {
    /* each status at its limit, with a field of a newer release */
    for (int i = 0; i < DIAG_STATUS_SET_MAX; i++) {
        std::vector<uint8_t> data(DIAG_SPEC_STATUS_ENCODED_MAX + 16);
        std::string id = std::to_string(100000 + i);
        std::string filler(DIAG_SPEC_STATUS_ENCODED_MAX - 8 - 4, 'x');
        diag_wire_writer writer = diag_wire_writer_make(data.data(), data.size());
        size_t mark = diag_wire_begin(&writer, 2);

        diag_wire_put_bytes(&writer, 1, diag_bytes_from_text(id.c_str()));
        diag_wire_put_bytes(&writer, 100, diag_bytes_from_text(filler.c_str()));
        ASSERT_EQ(diag_wire_size(&writer) - mark, DIAG_SPEC_STATUS_ENCODED_MAX);
        diag_wire_end(&writer, mark);
        ASSERT_EQ(diag_status_set_merge(&set, diag_bytes_make(data.data(), diag_wire_size(&writer)),
                                        &is_news, &err),
                  DIAG_OK)
            << err.message;
    }
    std::string info(64 << 10, 'x'); /* a message of the socket at its largest */
    diag_buffer encoded = {};
    ASSERT_EQ(
        diag_status_set_encode(&set, diag_bytes_from_text(info.c_str()), UINT64_MAX, &encoded),
        DIAG_OK);
    EXPECT_LE(encoded.size + 8, DIAG_WIRE_NESTED_MAX);
    diag_buffer_done(&encoded);
}

} // namespace
