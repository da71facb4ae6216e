// SPDX-License-Identifier: MIT
#include "inproc/agent/status_report.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "diagnose/v1/local.pb-c.h"

namespace {

// A sidecar that remembers what it was told, and can refuse.
struct Sidecar {
    std::map<std::string, int> states;
    std::vector<size_t> sizes;
    std::vector<uint64_t> snapshots;
    size_t refuse_after = SIZE_MAX;

    static enum diag_status send(void *context, struct diag_bytes message) {
        auto *self = static_cast<Sidecar *>(context);
        if (self->sizes.size() >= self->refuse_after)
            return DIAG_ERR_FULL;
        Diagnose__V1__LocalReport *report =
            diagnose__v1__local_report__unpack(nullptr, message.size, message.data);
        EXPECT_NE(report, nullptr);
        self->sizes.push_back(message.size);
        self->snapshots.push_back(report->snapshot);
        for (size_t i = 0; i < report->n_statuses; i++)
            self->states[report->statuses[i]->spec_id] = report->statuses[i]->state;
        diagnose__v1__local_report__free_unpacked(report, nullptr);
        return DIAG_OK;
    }
};

class StatusReport : public ::testing::Test {
  protected:
    ~StatusReport() override { diag_status_report_done(&report); }

    void add(const std::string &id, enum diag_spec_state state, uint64_t hits) {
        struct diag_spec_status status = {};
        snprintf(status.spec_id, sizeof status.spec_id, "%s", id.c_str());
        status.state = state;
        status.hits = hits;
        diag_status_report_add(&report, &status);
    }

    // One round with these statuses; how many messages it took.
    size_t round(std::vector<std::pair<std::string, enum diag_spec_state>> statuses,
                 bool is_forced = false, uint64_t hits = 0) {
        size_t before = sidecar.sizes.size();
        diag_status_report_begin(&report);
        for (auto &status : statuses)
            add(status.first, status.second, hits);
        last = diag_status_report_send(&report, 9, is_forced, Sidecar::send, &sidecar);
        return sidecar.sizes.size() - before;
    }

    struct diag_status_report report = {};
    Sidecar sidecar;
    enum diag_status last = DIAG_OK;
};

TEST_F(StatusReport, SendsOnlyWhatChanged) {
    EXPECT_EQ(round({{"a", DIAG_SPEC_STATE_PENDING}}), 1u);
    EXPECT_EQ(round({{"a", DIAG_SPEC_STATE_PENDING}}), 0u);
    EXPECT_EQ(round({{"a", DIAG_SPEC_STATE_ARMED}}), 1u);
    EXPECT_EQ(sidecar.states["a"], DIAG_SPEC_STATE_ARMED);
    EXPECT_EQ(round({{"a", DIAG_SPEC_STATE_ARMED}}, false, 5), 1u);
    EXPECT_EQ(sidecar.snapshots.back(), 9u);
}

TEST_F(StatusReport, EachFieldIsSentWhenItChanges) {
    const std::pair<const char *, void (*)(struct diag_spec_status *)> changes[] = {
        {"revision", [](struct diag_spec_status *s) { s->spec_revision++; }},
        {"state", [](struct diag_spec_status *s) { s->state = DIAG_SPEC_STATE_EXPIRED; }},
        {"message", [](struct diag_spec_status *s) { strcpy(s->message, "x"); }},
        {"mechanism", [](struct diag_spec_status *s) { strcpy(s->mechanism, "x"); }},
        {"excluded", [](struct diag_spec_status *s) { strcpy(s->excluded, "x"); }},
        {"functions", [](struct diag_spec_status *s) { s->functions++; }},
        {"codes", [](struct diag_spec_status *s) { s->codes++; }},
        {"pure", [](struct diag_spec_status *s) { s->is_pure = true; }},
        {"hits", [](struct diag_spec_status *s) { s->hits++; }},
        {"errors", [](struct diag_spec_status *s) { s->errors++; }},
        {"dropped", [](struct diag_spec_status *s) { s->dropped++; }},
        {"first skip", [](struct diag_spec_status *s) { s->skips[0]++; }},
        {"last skip", [](struct diag_spec_status *s) { s->skips[DIAG_SKIP_COUNT - 1]++; }},
    };
    struct diag_spec_status status = {};

    strcpy(status.spec_id, "a");
    status.state = DIAG_SPEC_STATE_ARMED;
    round({{"a", DIAG_SPEC_STATE_ARMED}});
    for (const auto &[name, change] : changes) {
        change(&status);
        for (size_t expected : {1u, 0u}) {
            size_t before = sidecar.sizes.size();
            diag_status_report_begin(&report);
            diag_status_report_add(&report, &status);
            ASSERT_EQ(diag_status_report_send(&report, 9, false, Sidecar::send, &sidecar), DIAG_OK);
            EXPECT_EQ(sidecar.sizes.size() - before, expected) << name;
        }
    }
}

TEST_F(StatusReport, ForcedRoundsSendOneMessageAtLeast) {
    EXPECT_EQ(round({}, true), 1u);
    EXPECT_EQ(round({}, false), 0u);
}

TEST_F(StatusReport, ANewSidecarHearsEverything) {
    round({{"a", DIAG_SPEC_STATE_ARMED}});
    diag_status_report_reset(&report);
    EXPECT_EQ(round({{"a", DIAG_SPEC_STATE_ARMED}}), 1u);
}

TEST_F(StatusReport, RemovalsAreToldOnceAndOnlyWhereKnown) {
    EXPECT_EQ(round({{"a", DIAG_SPEC_STATE_REMOVED}}), 0u);
    round({{"a", DIAG_SPEC_STATE_ARMED}});
    EXPECT_EQ(round({{"a", DIAG_SPEC_STATE_REMOVED}}), 1u);
    EXPECT_EQ(sidecar.states["a"], DIAG_SPEC_STATE_REMOVED);
    EXPECT_EQ(round({}), 0u);
}

TEST_F(StatusReport, ARemovalThatCouldNotBeSentIsKept) {
    round({{"a", DIAG_SPEC_STATE_ARMED}});
    sidecar.refuse_after = 1;
    EXPECT_EQ(round({{"a", DIAG_SPEC_STATE_REMOVED}}), 0u);
    EXPECT_EQ(last, DIAG_ERR_FULL);
    sidecar.refuse_after = SIZE_MAX;
    EXPECT_EQ(round({}), 1u);
    EXPECT_EQ(sidecar.states["a"], DIAG_SPEC_STATE_REMOVED);
}

TEST_F(StatusReport, RemovedAndAppliedAgainInOneRound) {
    round({{"a", DIAG_SPEC_STATE_ARMED}});
    EXPECT_EQ(round({{"a", DIAG_SPEC_STATE_REMOVED}, {"a", DIAG_SPEC_STATE_PENDING}}), 1u);
    EXPECT_EQ(sidecar.states["a"], DIAG_SPEC_STATE_PENDING);
}

TEST_F(StatusReport, ManyAreSplitIntoBoundedMessages) {
    struct diag_spec_status status = {};

    status.state = DIAG_SPEC_STATE_FAILED;
    memset(status.message, 'm', DIAG_SPEC_STATUS_MESSAGE_MAX);
    memset(status.mechanism, 'n', DIAG_SPEC_STATUS_MECHANISM_MAX);
    memset(status.excluded, 'x', DIAG_SPEC_STATUS_EXCLUDED_MAX);
    status.spec_revision = status.hits = status.errors = status.dropped = UINT64_MAX;
    status.functions = status.codes = UINT32_MAX;
    status.is_pure = true;
    for (uint64_t &skips : status.skips)
        skips = UINT64_MAX;
    diag_status_report_begin(&report);
    for (int i = 0; i < 1000; i++) {
        snprintf(status.spec_id, sizeof status.spec_id, "%0*d", DIAG_SPEC_ID_MAX, i);
        diag_status_report_add(&report, &status);
    }
    ASSERT_EQ(diag_status_report_send(&report, 1, false, Sidecar::send, &sidecar), DIAG_OK);
    EXPECT_EQ(sidecar.states.size(), 1000u);
    for (size_t size : sidecar.sizes)
        EXPECT_LE(size, 65536u);
}

} // namespace
