/* SPDX-License-Identifier: MIT */
#include "sidecar/roster.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "diagnose/v1/sync_service.pb-c.h"

namespace {

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
