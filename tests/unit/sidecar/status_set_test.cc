/* SPDX-License-Identifier: MIT */
/* status_set and roster: what processes say, and what the controller is told of it. */
#include "sidecar/status_set.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "diagnose/v1/local.pb-c.h"
#include "diagnose/v1/sync_service.pb-c.h"
#include "sidecar/roster.h"

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

class Roster : public ::testing::Test {
  protected:
    void TearDown() override { diag_roster_done(&roster); }
    /* A ProcessStatus of about `size` bytes. */
    void Update(const std::string &uid, size_t size = 10) {
        Diagnose__V1__ProcessStatus status = DIAGNOSE__V1__PROCESS_STATUS__INIT;
        Diagnose__V1__ProcessInfo info = DIAGNOSE__V1__PROCESS_INFO__INIT;
        std::string command(size, 'c');
        diag_buffer encoded = {};
        info.uid = (char *)uid.c_str();
        info.command = &command[0];
        status.process = &info;
        ASSERT_EQ(
            diag_buffer_reserve(&encoded, diagnose__v1__process_status__get_packed_size(&status)),
            DIAG_OK);
        encoded.size = diagnose__v1__process_status__pack(&status, encoded.data);
        ASSERT_EQ(diag_roster_update(&roster, uid.c_str(), &encoded), DIAG_OK);
    }
    struct Told {
        std::set<std::string> changed, ended;
    };
    Told Report() {
        Told told;
        diag_rpc_message *message = diag_roster_report(&roster);
        auto *request = (Diagnose__V1__SyncRequest *)diag_rpc_unpack(
            &diagnose__v1__sync_request__descriptor, diag_rpc_message_bytes(message));
        EXPECT_EQ(request->body_case, DIAGNOSE__V1__SYNC_REQUEST__BODY_REPORT);
        for (size_t i = 0; i < request->report->n_changed; i++)
            told.changed.insert(request->report->changed[i]->process->uid);
        for (size_t i = 0; i < request->report->n_ended; i++)
            told.ended.insert(request->report->ended[i]);
        protobuf_c_message_free_unpacked(&request->base, nullptr);
        diag_rpc_message_unref(message);
        return told;
    }

    diag_roster roster = {};
};

TEST_F(Roster, TellsNewsOnce) {
    EXPECT_FALSE(diag_roster_has_news(&roster));
    Update("a");
    Update("b");
    Update("a");
    EXPECT_EQ(Report().changed, (std::set<std::string>{"a", "b"}));
    EXPECT_FALSE(diag_roster_has_news(&roster));
    Update("b");
    diag_roster_end(&roster, "a");
    diag_roster_end(&roster, "unknown");
    Told told = Report();
    EXPECT_EQ(told.changed, (std::set<std::string>{"b"}));
    EXPECT_EQ(told.ended, (std::set<std::string>{"a"}));
    EXPECT_FALSE(diag_roster_has_news(&roster));
}

TEST_F(Roster, RestartTellsWhatThereIs) {
    Update("a");
    Update("b");
    Report();
    diag_roster_end(&roster, "a");
    diag_roster_restart(&roster);
    Told told = Report();
    EXPECT_EQ(told.changed, (std::set<std::string>{"b"}));
    EXPECT_TRUE(told.ended.empty());
}

TEST_F(Roster, ComesBackAfterItsEnd) {
    Update("a");
    diag_roster_end(&roster, "a");
    Update("a");
    Told told = Report();
    EXPECT_EQ(told.changed, (std::set<std::string>{"a"}));
    EXPECT_TRUE(told.ended.empty());
}

TEST_F(Roster, SplitsLargeReports) {
    std::set<std::string> all, seen;
    for (int i = 0; i < 20; i++) {
        Update("process-" + std::to_string(i), i == 7 ? 500000 : 40000);
        all.insert("process-" + std::to_string(i));
    }
    int reports = 0;
    while (diag_roster_has_news(&roster) && reports < 100) {
        Told told = Report();
        EXPECT_FALSE(told.changed.empty());
        EXPECT_LE(told.changed.size(), 6u);
        for (const std::string &uid : told.changed)
            EXPECT_TRUE(seen.insert(uid).second) << uid << " twice";
        reports++;
    }
    EXPECT_EQ(seen, all);
}

} // namespace
