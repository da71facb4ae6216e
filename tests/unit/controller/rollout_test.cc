/* SPDX-License-Identifier: MIT */
#include "controller/rollout.h"

#include <algorithm>

#include "tests/unit/controller/controller_fixture.h"

namespace diag_test {
namespace {

constexpr uint64_t kNow = UINT64_C(1700000000000000000);
constexpr uint64_t kMinute = UINT64_C(60000000000);

struct Delta {
    std::vector<std::string> upserts; /* "id@revision", sorted */
    std::vector<std::string> removed;
    bool is_complete = false;
    size_t size = 0;
};

class RolloutTest : public ::testing::Test {
  protected:
    void SetUp() override {
        ASSERT_EQ(DIAG_OK, diag_store_open(folder_.file("db").c_str(), &store_, &err_));
    }
    ~RolloutTest() override {
        diag_rollout_done(&rollout_);
        diag_store_free(store_);
    }

    void apply(const std::string &id, const SpecOptions &options = {}) {
        const diag_store_entry *entry;
        bool is_created;
        std::string encoded = make_spec(id, options);

        ASSERT_EQ(DIAG_OK,
                  diag_store_apply(store_, bytes_of(encoded), kNow, &entry, &is_created, &err_))
            << err_.message;
    }

    void remove(const char *id) {
        uint64_t revision;
        ASSERT_EQ(DIAG_OK, diag_store_delete(store_, id, &revision, &err_));
    }

    void hold(const char *id, uint64_t revision) {
        ASSERT_EQ(DIAG_OK, diag_rollout_hold(&rollout_, id, revision, &err_));
    }

    static Delta read(diag_message_builder *builder) {
        Delta delta;
        Unpacked<Diagnose__V1__SyncResponse> response(&diagnose__v1__sync_response__descriptor,
                                                      text_of(diag_message_builder_bytes(builder)));

        delta.size = builder->buffer.size;
        for (size_t i = 0; i < response->n_upserts; i++)
            delta.upserts.push_back(std::string(response->upserts[i]->id) + "@" +
                                    std::to_string(response->upserts[i]->revision));
        for (size_t i = 0; i < response->n_removed_ids; i++)
            delta.removed.push_back(response->removed_ids[i]);
        std::sort(delta.upserts.begin(), delta.upserts.end());
        std::sort(delta.removed.begin(), delta.removed.end());
        diag_message_builder_done(builder);
        return delta;
    }

    Delta next(uint64_t now = kNow) {
        diag_message_builder builder = {};
        bool is_complete = false;

        EXPECT_EQ(DIAG_OK, diag_rollout_next(&rollout_, store_, labels_.data(), labels_.size(), now,
                                             &builder, &is_complete, &err_));
        Delta delta = read(&builder);
        delta.is_complete = is_complete;
        return delta;
    }

    Delta next_of(const char *id, uint64_t now = kNow) {
        diag_message_builder builder = {};
        bool has_changed = false;

        EXPECT_EQ(DIAG_OK,
                  diag_rollout_next_of(&rollout_, store_, id, labels_.data(), labels_.size(), now,
                                       &builder, &has_changed, &err_));
        Delta delta = read(&builder);
        EXPECT_EQ(has_changed, !delta.upserts.empty() || !delta.removed.empty());
        return delta;
    }

    using Texts = std::vector<std::string>;

    Folder folder_;
    diag_store *store_ = nullptr;
    diag_rollout rollout_ = {};
    diag_error err_ = {};
    std::string app_ = "app", shop_ = "shop";
    std::vector<diag_label> labels_ = {{app_.data(), shop_.data()}};
};

TEST_F(RolloutTest, ANewSidecarGetsWhatMatches) {
    apply("all");
    apply("shop", {.labels = {{"app", "shop"}}});
    apply("mail", {.labels = {{"app", "mail"}}});
    Delta delta = next();
    EXPECT_EQ((Texts{"all@1", "shop@2"}), delta.upserts);
    EXPECT_EQ(Texts{}, delta.removed);
    EXPECT_TRUE(delta.is_complete);
    delta = next();
    EXPECT_EQ(Texts{}, delta.upserts) << "nothing is sent twice";
}

TEST_F(RolloutTest, AReconnectGetsOnlyTheDifference) {
    apply("same");
    apply("changed");
    apply("changed");
    apply("new");
    apply("mail", {.labels = {{"app", "mail"}}});
    hold("same", 1);
    hold("changed", 2);
    hold("deleted", 9);
    hold("mail", 5);
    hold("nonsense", 0);
    Delta delta = next();
    EXPECT_EQ((Texts{"changed@3", "new@4"}), delta.upserts);
    EXPECT_EQ((Texts{"deleted", "mail", "nonsense"}), delta.removed);
}

TEST_F(RolloutTest, ASpecOfAnotherDatabaseIsReplaced) {
    apply("a");
    hold("a", 500);
    EXPECT_EQ(Texts{"a@1"}, next().upserts);
    hold("a", 0);
    EXPECT_EQ(Texts{"a@1"}, next().upserts);
    hold("a", UINT64_MAX);
    EXPECT_EQ(Texts{"a@1"}, next().upserts);
}

TEST_F(RolloutTest, ChangesOfOneSpec) {
    apply("a");
    EXPECT_EQ(Texts{"a@1"}, next_of("a").upserts);
    EXPECT_EQ(Texts{}, next_of("a").upserts);
    apply("a");
    EXPECT_EQ(Texts{"a@2"}, next_of("a").upserts);
    apply("a", {.labels = {{"app", "mail"}}});
    EXPECT_EQ(Texts{"a"}, next_of("a").removed) << "the edited selector no longer matches";
    EXPECT_EQ(Texts{}, next_of("a").removed);
    apply("a");
    EXPECT_EQ(Texts{"a@4"}, next_of("a").upserts);
    remove("a");
    EXPECT_EQ(Texts{"a"}, next_of("a").removed);
    EXPECT_EQ(Texts{}, next_of("a").removed);
}

TEST_F(RolloutTest, ExpiredSpecsAreTakenBackAndNotSent) {
    apply("a");
    EXPECT_EQ(Texts{"a@1"}, next().upserts);
    EXPECT_EQ(Texts{}, next_of("a", kNow + kMinute - 1).removed);
    EXPECT_EQ(Texts{"a"}, next_of("a", kNow + kMinute).removed);
    EXPECT_EQ(Texts{}, next(kNow + kMinute).upserts);
}

TEST_F(RolloutTest, ALargeDifferenceIsSplit) {
    size_t total = 0, messages = 0;
    Delta delta;

    for (int i = 0; i < 300; i++)
        apply("spec" + std::to_string(i), {.value = std::string(8000, 'v')});
    for (int i = 0; i < 20; i++)
        hold(("gone" + std::to_string(i)).c_str(), 1);
    size_t removed = 0;
    do {
        delta = next();
        EXPECT_LT(delta.size, 1000u << 10);
        total += delta.upserts.size();
        removed += delta.removed.size();
        messages++;
    } while (!delta.is_complete);
    EXPECT_EQ(300u, total);
    EXPECT_EQ(20u, removed);
    EXPECT_EQ(3u, messages);
}

} // namespace
} // namespace diag_test
