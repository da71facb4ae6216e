/* SPDX-License-Identifier: MIT */
#include "sidecar/spec_table.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "diagnose/v1/local.pb-c.h"
#include "diagnose/v1/sync_service.pb-c.h"
#include "lib/base/version.h"
#include "lib/rpc/message.h"
#include "sidecar/hello.h"

namespace {

const uint64_t kGrace = DIAG_SPEC_TABLE_EXPIRY_GRACE_NS;

class SpecTable : public ::testing::Test {
  protected:
    void TearDown() override { diag_spec_table_done(&table); }
    void Put(const char *id, uint64_t revision, uint64_t expires = 0) {
        Diagnose__V1__Spec spec = DIAGNOSE__V1__SPEC__INIT;
        uint8_t packed[256];
        spec.id = (char *)id;
        spec.revision = revision;
        size_t size = diagnose__v1__spec__pack(&spec, packed);
        ASSERT_EQ(diag_spec_table_put(&table, id, revision, expires, diag_bytes_make(packed, size)),
                  DIAG_OK);
    }
    std::map<std::string, uint64_t> Held() {
        std::map<std::string, uint64_t> held;
        size_t cursor = 0;
        while (const diag_held_spec *spec = diag_spec_table_next(&table, &cursor))
            held[spec->id] = spec->revision;
        return held;
    }

    diag_spec_table table = {};
};

TEST_F(SpecTable, PutReplacesAndRemoveRemoves) {
    Put("a", 1);
    Put("b", 2);
    Put("a", 3);
    EXPECT_EQ(Held(), (std::map<std::string, uint64_t>{{"a", 3}, {"b", 2}}));
    EXPECT_TRUE(diag_spec_table_remove(&table, "a"));
    EXPECT_FALSE(diag_spec_table_remove(&table, "a"));
    EXPECT_EQ(Held(), (std::map<std::string, uint64_t>{{"b", 2}}));
}

TEST_F(SpecTable, Expiry) {
    EXPECT_EQ(diag_spec_table_next_expiry(&table), 0u);
    Put("never", 1);
    EXPECT_EQ(diag_spec_table_next_expiry(&table), 0u);
    Put("late", 2, 9000);
    Put("soon", 3, 5000);
    EXPECT_EQ(diag_spec_table_next_expiry(&table), 5000 + kGrace);
    EXPECT_FALSE(diag_spec_table_drop_expired(&table, 5000 + kGrace - 1));
    EXPECT_TRUE(diag_spec_table_drop_expired(&table, 5000 + kGrace));
    EXPECT_EQ(Held(), (std::map<std::string, uint64_t>{{"late", 2}, {"never", 1}}));
    EXPECT_TRUE(diag_spec_table_drop_expired(&table, 9000 + 2 * kGrace));
    EXPECT_EQ(Held(), (std::map<std::string, uint64_t>{{"never", 1}}));
    Put("absurd", 4, UINT64_MAX);
    EXPECT_EQ(diag_spec_table_next_expiry(&table), 0u);
    EXPECT_FALSE(diag_spec_table_drop_expired(&table, UINT64_MAX - 1));
}

TEST_F(SpecTable, Snapshot) {
    diag_buffer encoded = {};
    for (int i = 0; i < 300; i++)
        Put(("spec-" + std::to_string(i)).c_str(), (uint64_t)i);
    ASSERT_EQ(diag_spec_table_encode(&table, 17, 60000, &encoded), DIAG_OK);
    auto *snapshot = (Diagnose__V1__SpecSnapshot *)diag_rpc_unpack(
        &diagnose__v1__spec_snapshot__descriptor, diag_buffer_bytes(&encoded));
    ASSERT_NE(snapshot, nullptr);
    EXPECT_EQ(snapshot->snapshot, 17u);
    EXPECT_EQ(snapshot->ttl_ms, 60000u);
    std::map<std::string, uint64_t> sent;
    for (size_t i = 0; i < snapshot->n_specs; i++)
        sent[snapshot->specs[i]->id] = snapshot->specs[i]->revision;
    EXPECT_EQ(sent, Held());
    protobuf_c_message_free_unpacked(&snapshot->base, nullptr);
    diag_buffer_done(&encoded);
}

TEST_F(SpecTable, Hello) {
    char text[][8] = {"app", "shop", "empty", "", "a", "b=c"};
    diag_sidecar_labels given = {};
    given.items[0] = {text[0], text[1]};
    given.items[1] = {text[2], text[3]};
    given.items[2] = {text[4], text[5]};
    given.count = 3;
    for (int i = 0; i < 300; i++)
        Put(("spec-" + std::to_string(i)).c_str(), (uint64_t)i);
    diag_rpc_message *message = diag_hello_make("uid", "h", &given, &table);
    ASSERT_NE(message, nullptr);
    auto *request = (Diagnose__V1__SyncRequest *)diag_rpc_unpack(
        &diagnose__v1__sync_request__descriptor, diag_rpc_message_bytes(message));
    diag_rpc_message_unref(message);
    ASSERT_NE(request, nullptr);
    ASSERT_EQ(request->body_case, DIAGNOSE__V1__SYNC_REQUEST__BODY_HELLO);
    EXPECT_STREQ(request->hello->sidecar_uid, "uid");
    EXPECT_STREQ(request->hello->host, "h");
    EXPECT_STREQ(request->hello->version, DIAG_VERSION);
    std::map<std::string, std::string> labels;
    for (size_t i = 0; i < request->hello->n_labels; i++)
        labels[request->hello->labels[i]->key] = request->hello->labels[i]->value;
    EXPECT_EQ(labels,
              (std::map<std::string, std::string>{{"app", "shop"}, {"empty", ""}, {"a", "b=c"}}));
    std::map<std::string, uint64_t> held;
    for (size_t i = 0; i < request->hello->n_held; i++)
        held[request->hello->held[i]->id] = request->hello->held[i]->revision;
    EXPECT_EQ(held, Held());
    protobuf_c_message_free_unpacked(&request->base, nullptr);
}

} // namespace
