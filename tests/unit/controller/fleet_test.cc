/* SPDX-License-Identifier: MIT */
#include "controller/fleet.h"

#include <string.h>

#include "lib/spec/spec_status.h"
#include "tests/unit/controller/controller_fixture.h"

namespace diag_test {
namespace {

class FleetTest : public ::testing::Test {
  protected:
    ~FleetTest() override { diag_fleet_done(&fleet_); }

    diag_fleet_sidecar *add(unsigned number, const char *host = "host",
                            const std::vector<diag_label> &labels = {}) {
        diag_fleet_sidecar *sidecar = nullptr;

        EXPECT_EQ(DIAG_OK, diag_fleet_add(&fleet_, uid_of(number).c_str(), host, labels.data(),
                                          labels.size(), nullptr, &sidecar, &err_))
            << err_.message;
        return sidecar;
    }

    void put(diag_fleet_sidecar *sidecar, const std::string &process) {
        EXPECT_EQ(DIAG_OK, diag_fleet_put_process(sidecar, bytes_of(process), &err_))
            << err_.message;
    }

    diag_fleet_summary summarize(diag_spec *spec) {
        diag_fleet_summary summary = {};

        summary.spec = spec;
        EXPECT_EQ(DIAG_OK, diag_fleet_summarize(&fleet_, &summary, 1, &err_));
        return summary;
    }

    diag_fleet fleet_ = {};
    diag_error err_ = {};
};

/* A spec with only what a fleet looks at. */
struct BareSpec : diag_spec {
    BareSpec(const char *name, uint64_t number) : diag_spec() {
        id = const_cast<char *>(name);
        revision = number;
    }
};

diag_label label(const char *key, const char *value) {
    return {const_cast<char *>(key), const_cast<char *>(value)};
}

TEST_F(FleetTest, ProcessesComeAndGoWithTheirSidecar) {
    diag_fleet_sidecar *sidecar = add(1);

    put(sidecar, make_process(uid_of(10), 100));
    put(sidecar, make_process(uid_of(11), 101));
    put(sidecar, make_process(uid_of(10), 102));
    EXPECT_EQ(2u, sidecar->processes.count) << "the second report of a process replaces the first";
    EXPECT_EQ(sidecar, diag_fleet_find_process(&fleet_, uid_of(11).c_str()));
    diag_fleet_end_process(sidecar, uid_of(11).c_str());
    diag_fleet_end_process(sidecar, uid_of(99).c_str());
    EXPECT_EQ(1u, sidecar->processes.count);
    EXPECT_EQ(nullptr, diag_fleet_find_process(&fleet_, uid_of(11).c_str()));
    diag_fleet_remove(&fleet_, sidecar);
    EXPECT_EQ(nullptr, diag_fleet_get(&fleet_, uid_of(1).c_str()));
    EXPECT_EQ(nullptr, diag_fleet_find_process(&fleet_, uid_of(10).c_str()));
    EXPECT_EQ(0u, fleet_.sidecars.count);
}

TEST_F(FleetTest, RefusesBadSidecars) {
    std::string long_text(DIAG_FLEET_TEXT_MAX + 1, 'x');
    std::vector<diag_label> many(DIAG_FLEET_LABELS_MAX + 1, label("a", "b"));
    const struct {
        std::string uid;
        std::string host;
        std::vector<diag_label> labels;
        const char *named;
    } cases[] = {
        {"short", "h", {}, "sidecar_uid"},
        {std::string(32, 'G'), "h", {}, "sidecar_uid"},
        {uid_of(1), long_text, {}, "host"},
        {uid_of(1), "h", many, "labels"},
        {uid_of(1), "h", {label("", "x")}, "labels"},
        {uid_of(1), "h", {label("k", long_text.c_str())}, "labels"},
    };

    for (const auto &each : cases) {
        diag_fleet_sidecar *sidecar = nullptr;

        EXPECT_EQ(DIAG_ERR_INVALID,
                  diag_fleet_add(&fleet_, each.uid.c_str(), each.host.c_str(), each.labels.data(),
                                 each.labels.size(), nullptr, &sidecar, &err_));
        EXPECT_NE(nullptr, strstr(err_.message, each.named)) << err_.message;
        EXPECT_EQ(nullptr, sidecar);
    }
    EXPECT_EQ(0u, fleet_.sidecars.count);
}

TEST_F(FleetTest, AUidIsConnectedOnce) {
    diag_fleet_sidecar *second = nullptr;

    add(1);
    EXPECT_EQ(DIAG_ERR_EXISTS,
              diag_fleet_add(&fleet_, uid_of(1).c_str(), "h", nullptr, 0, nullptr, &second, &err_));
}

TEST_F(FleetTest, IsBounded) {
    for (unsigned i = 0; i < DIAG_FLEET_SIDECARS_MAX; i++)
        add(i);
    diag_fleet_sidecar *sidecar = nullptr;
    EXPECT_EQ(DIAG_ERR_FULL, diag_fleet_add(&fleet_, uid_of(DIAG_FLEET_SIDECARS_MAX).c_str(), "h",
                                            nullptr, 0, nullptr, &sidecar, &err_));

    sidecar = diag_fleet_get(&fleet_, uid_of(0).c_str());
    for (unsigned i = 0; i < DIAG_FLEET_PROCESSES_MAX; i++)
        put(sidecar, make_process(uid_of(i), i));
    std::string one_more = make_process(uid_of(DIAG_FLEET_PROCESSES_MAX), 1);
    EXPECT_EQ(DIAG_ERR_FULL, diag_fleet_put_process(sidecar, bytes_of(one_more), &err_));
    put(sidecar, make_process(uid_of(0), 5));
    diag_fleet_end_process(sidecar, uid_of(1).c_str());
    put(sidecar, one_more);
}

TEST_F(FleetTest, BoundsTheBytesOfOneSidecar) {
    diag_fleet_sidecar *sidecar = add(1);
    std::string big = make_process(uid_of(1), 1) + field(15, std::string(40u << 20, 'x'));
    std::string other = make_process(uid_of(2), 1) + field(15, std::string(40u << 20, 'x'));

    put(sidecar, big);
    EXPECT_EQ(DIAG_ERR_FULL, diag_fleet_put_process(sidecar, bytes_of(other), &err_));
    put(sidecar, big);
    diag_fleet_end_process(sidecar, uid_of(1).c_str());
    put(sidecar, other);
}

TEST_F(FleetTest, RefusesBadProcesses) {
    diag_fleet_sidecar *sidecar = add(1);
    const struct {
        std::string encoded;
        const char *named;
    } cases[] = {
        {"", "process: missing"},
        {make_process("", 1), "process.uid"},
        {make_process("0123", 1), "process.uid"},
        {make_process(uid_of(1), 1) + "\xff", "malformed"},
    };

    for (const auto &each : cases) {
        EXPECT_EQ(DIAG_ERR_INVALID, diag_fleet_put_process(sidecar, bytes_of(each.encoded), &err_));
        EXPECT_NE(nullptr, strstr(err_.message, each.named)) << err_.message;
    }
    EXPECT_EQ(0u, sidecar->processes.count);
    EXPECT_EQ(0u, sidecar->process_bytes);
}

TEST_F(FleetTest, SummariesCountTheCurrentRevisionOnly) {
    diag_fleet_sidecar *first = add(1), *second = add(2);
    BareSpec a("a", 7), b("b", 2);

    put(first, make_process(uid_of(1), 1,
                            {{"a", 7, DIAG_SPEC_STATE_ARMED, 5, 1, 2, {{1, 3}, {4, 10}}},
                             {"b", 2, DIAG_SPEC_STATE_PENDING, 1}}));
    put(first, make_process(uid_of(2), 2,
                            {{"a", 6, DIAG_SPEC_STATE_ARMED, 100, 100, 100, {{1, 100}}},
                             {"b", 2, DIAG_SPEC_STATE_TRIPPED}}));
    put(second, make_process(uid_of(3), 3,
                             {{"gone", 3, DIAG_SPEC_STATE_ARMED, 9},
                              {"a", 7, DIAG_SPEC_STATE_FAILED, 10, 20, 30, {{99, 100}}},
                              {"b", 2, DIAG_SPEC_STATE_EXPIRED}}));
    diag_fleet_summary summaries[2] = {};
    summaries[0].spec = &a;
    summaries[1].spec = &b;
    ASSERT_EQ(DIAG_OK, diag_fleet_summarize(&fleet_, summaries, 2, &err_));
    EXPECT_EQ(3u, summaries[0].matched);
    EXPECT_EQ(0u, summaries[0].pending);
    EXPECT_EQ(1u, summaries[0].armed);
    EXPECT_EQ(1u, summaries[0].failed);
    EXPECT_EQ(15u, summaries[0].hits);
    EXPECT_EQ(21u, summaries[0].errors);
    EXPECT_EQ(32u, summaries[0].dropped);
    EXPECT_EQ(113u, summaries[0].skipped) << "causes of newer releases count too";
    EXPECT_EQ(1u, summaries[1].pending);
    EXPECT_EQ(0u, summaries[1].armed);
    EXPECT_EQ(1u, summaries[1].failed);
    EXPECT_EQ(1u, summaries[1].hits);
}

TEST_F(FleetTest, MatchedCountsProcessesOfSelectedSidecars) {
    BareSpec spec("a", 1);
    diag_label wanted = label("app", "shop");

    spec.match_labels = &wanted;
    spec.match_label_count = 1;
    diag_fleet_sidecar *shop = add(1, "h", {label("app", "shop"), label("env", "prod")});
    diag_fleet_sidecar *other = add(2, "h", {label("app", "mail")});
    put(shop, make_process(uid_of(1), 1));
    put(shop, make_process(uid_of(2), 2));
    put(other, make_process(uid_of(3), 3));
    EXPECT_EQ(2u, summarize(&spec).matched);
    diag_fleet_remove(&fleet_, shop);
    EXPECT_EQ(0u, summarize(&spec).matched);
}

TEST_F(FleetTest, FindsTheStatusOfARevision) {
    diag_fleet_sidecar *sidecar = add(1);
    BareSpec old("a", 6), current("a", 7), other("b", 7);
    diag_fleet_status status;

    put(sidecar, make_process(uid_of(1), 1, {{"a", 7, DIAG_SPEC_STATE_ARMED, 5}}));
    auto *process = static_cast<const diag_fleet_process *>(
        diag_map_get(&sidecar->processes, uid_of(1).c_str()));
    EXPECT_FALSE(diag_fleet_find_status(process, &old, &status));
    EXPECT_FALSE(diag_fleet_find_status(process, &other, &status));
    ASSERT_TRUE(diag_fleet_find_status(process, &current, &status));
    EXPECT_EQ(5u, status.hits);
    Unpacked<Diagnose__V1__SpecStatus> unpacked(&diagnose__v1__spec_status__descriptor,
                                                text_of(status.encoded));
    EXPECT_STREQ("a", unpacked->spec_id);
}

TEST_F(FleetTest, IsSortedForPeople) {
    diag_fleet_sidecar *late = add(1, "b"), *early = add(3, "a"), *middle = add(2, "a");
    put(late, make_process(uid_of(1), 30));
    put(late, make_process(uid_of(2), 10));
    put(late, make_process(uid_of(3), 20));

    const diag_fleet_sidecar **sidecars = diag_fleet_sort_sidecars(&fleet_);
    ASSERT_NE(nullptr, sidecars);
    EXPECT_EQ(middle, sidecars[0]);
    EXPECT_EQ(early, sidecars[1]);
    EXPECT_EQ(late, sidecars[2]);
    free(sidecars);
    const diag_fleet_process **processes = diag_fleet_sort_processes(late);
    ASSERT_NE(nullptr, processes);
    EXPECT_EQ(10u, processes[0]->pid);
    EXPECT_EQ(20u, processes[1]->pid);
    EXPECT_EQ(30u, processes[2]->pid);
    free(processes);
}

} // namespace
} // namespace diag_test
