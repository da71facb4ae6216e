/* SPDX-License-Identifier: MIT */
#include "sidecar/status_set.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "diagnose/v1/local.pb-c.h"
#include "diagnose/v1/process.pb-c.h"
#include "lib/rpc/message.h"

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
    };
    diag_status Merge(std::vector<Given> given) {
        Diagnose__V1__LocalReport report = DIAGNOSE__V1__LOCAL_REPORT__INIT;
        std::vector<Diagnose__V1__SpecStatus> statuses(given.size());
        std::vector<Diagnose__V1__SpecStatus *> pointers;
        for (size_t i = 0; i < given.size(); i++) {
            diagnose__v1__spec_status__init(&statuses[i]);
            statuses[i].spec_id = &given[i].id[0];
            statuses[i].state = given[i].state;
            statuses[i].hits = given[i].hits;
            statuses[i].message = &given[i].message[0];
            statuses[i].mechanism = &given[i].mechanism[0];
            pointers.push_back(&statuses[i]);
        }
        report.n_statuses = pointers.size();
        report.statuses = pointers.data();
        std::vector<uint8_t> packed(diagnose__v1__local_report__get_packed_size(&report) + 1);
        size_t size = diagnose__v1__local_report__pack(&report, packed.data());
        is_news = false;
        return diag_status_set_merge(&set, diag_bytes_make(packed.data(), size), &is_news, &err);
    }
    /* Spec id to hits, as the controller would read it. */
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
        for (size_t i = 0; i < status->n_statuses; i++)
            result[status->statuses[i]->spec_id] = status->statuses[i]->hits;
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
    ASSERT_EQ(Merge({{"a", DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_FAILED, 9, "why"}}), DIAG_OK);
    EXPECT_TRUE(is_news);
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
}

TEST_F(StatusSet, IsBounded) {
    for (int i = 0; i < DIAG_STATUS_SET_MAX; i++)
        ASSERT_EQ(Merge({{"spec-" + std::to_string(i)}}), DIAG_OK);
    EXPECT_EQ(Merge({{"one-more"}}), DIAG_ERR_FULL);
    EXPECT_EQ(Merge({{"spec-0"}}), DIAG_OK);
}

} // namespace
