/* SPDX-License-Identifier: MIT */
#include "controller/specs_service.h"

#include <string.h>

#include "lib/spec/spec_status.h"
#include "tests/unit/controller/controller_fixture_rpc.h"

namespace diag_test {
namespace {

class SpecsServiceTest : public ControllerTest {};

TEST_F(SpecsServiceTest, ApplyGetListDelete) {
    Reply reply = call("Specs/Apply", field(1, make_spec("b")));
    ASSERT_EQ(0, reply.code) << reply.message;
    {
        Unpacked<Diagnose__V1__ApplyResponse> applied(&diagnose__v1__apply_response__descriptor,
                                                      reply.response);
        EXPECT_TRUE(applied->created);
        EXPECT_STREQ("b", applied->spec->id);
        EXPECT_EQ(1u, applied->spec->revision);
        EXPECT_EQ(applied->spec->modified_unix_nanos + 60000000000,
                  applied->spec->expires_unix_nanos);
    }
    EXPECT_EQ(2u, apply("a", {.value = "args"}));
    reply = call("Specs/Apply", field(1, make_spec("b")));
    {
        Unpacked<Diagnose__V1__ApplyResponse> applied(&diagnose__v1__apply_response__descriptor,
                                                      reply.response);
        EXPECT_FALSE(applied->created);
        EXPECT_EQ(3u, applied->spec->revision);
    }
    reply = call("Specs/Get", id_request("a"));
    ASSERT_EQ(0, reply.code) << reply.message;
    Unpacked<Diagnose__V1__GetResponse> got(&diagnose__v1__get_response__descriptor,
                                            reply.response);
    EXPECT_STREQ("args", got->summary->spec->instrument->value);
    EXPECT_FALSE(got->summary->expired);
    reply = call("Specs/List", "");
    ASSERT_EQ(0, reply.code) << reply.message;
    {
        Unpacked<Diagnose__V1__ListResponse> list(&diagnose__v1__list_response__descriptor,
                                                  reply.response);
        ASSERT_EQ(2u, list->n_specs);
        EXPECT_STREQ("a", list->specs[0]->spec->id);
        EXPECT_STREQ("b", list->specs[1]->spec->id);
    }
    reply = call("Specs/Delete", id_request("a"));
    ASSERT_EQ(0, reply.code) << reply.message;
    Unpacked<Diagnose__V1__DeleteResponse> deleted(&diagnose__v1__delete_response__descriptor,
                                                   reply.response);
    EXPECT_EQ(4u, deleted->revision);
    EXPECT_EQ(5, call("Specs/Get", id_request("a")).code);
    EXPECT_EQ(5, call("Specs/Delete", id_request("a")).code);
}

TEST_F(SpecsServiceTest, RefusalsNameTheField) {
    std::string instrument = field(3, field(1, "log") + field(3, "elapsed"));
    std::string no_id = field(2, "a.b") + instrument + std::string("\x20\x01");
    std::string in_custom = field(1, field(1, field(5, "note")) + field(2, field(5, "\xff")));
    const struct {
        const char *method;
        std::string request;
        int code;
        const char *named;
    } cases[] = {
        {"Specs/Apply", "", 3, "spec: missing"},
        {"Specs/Apply", "garbage", 3, "request"},
        {"Specs/Apply", field(1, make_spec("a")) + field(9, "x"), 3, "field number 9"},
        {"Specs/Apply", field(1, make_spec("a")) + field(1, make_spec("b")), 3,
         "spec: given twice"},
        {"Specs/Apply", field(1, make_spec("a") + field(30, "x")), 3, "field number 30"},
        {"Specs/Apply", field(1, make_spec("a/b")), 3, "id: \"a/b\""},
        {"Specs/Apply", field(1, no_id), 3, "id: missing"},
        {"Specs/Apply", field(1, field(1, std::string("a\0b", 3)) + no_id), 3, "id: has a NUL"},
        {"Specs/Apply", field(1, field(1, "a\xff") + no_id), 3, "id: not valid UTF-8"},
        {"Specs/Apply", field(1, make_spec("a", {.target = "nodots"})), 3, "target"},
        {"Specs/Apply", field(1, make_spec("a", {.value = ""})), 3, "instrument.value"},
        {"Specs/Apply", field(1, make_spec("a", {.lifespan_ms = 0})), 3, "lifespan"},
        {"Specs/Apply", field(1, make_spec("a") + field(3, field(5, in_custom))), 3, "UTF-8"},
        {"Specs/Apply", field(1, make_spec("a", {.value = std::string(2u << 20, 'x')})), 8,
         "at most 1048576"},
        {"Specs/Apply", field(1, make_spec("a", {.value = std::string(10u << 20, 'x')})), 8, ""},
        {"Specs/Get", "", 3, "id: missing"},
        {"Specs/Get", "\xff", 3, "request"},
        {"Specs/Get", field(1, "a/b"), 3, "id"},
        {"Specs/Get", field(1, "unknown"), 5, "unknown"},
        {"Specs/Delete", field(1, "\xff"), 3, "request"},
        {"Specs/Delete", field(1, "../a"), 3, "id"},
    };

    for (const auto &each : cases) {
        Reply reply = call(each.method, each.request);

        EXPECT_EQ(each.code, reply.code) << each.named << ": " << reply.message;
        EXPECT_NE(std::string::npos, reply.message.find(each.named)) << reply.message;
    }
    EXPECT_EQ("", call("Specs/List", "").response);
    EXPECT_EQ(1u, apply("a")) << "nothing of that took a revision";
}

TEST_F(SpecsServiceTest, SpecsSurviveARestart) {
    apply("a");
    apply("b");
    ASSERT_EQ(0, call("Specs/Delete", id_request("b")).code);
    restart();
    EXPECT_EQ(0, call("Specs/Get", id_request("a")).code);
    EXPECT_EQ(5, call("Specs/Get", id_request("b")).code);
    EXPECT_EQ(4u, apply("b"));
}

TEST_F(SpecsServiceTest, SummariesAndProcesses) {
    std::string uid = uid_of(1);
    Diagnose__V1__SyncRequest request = DIAGNOSE__V1__SYNC_REQUEST__INIT;
    Diagnose__V1__Hello hello = DIAGNOSE__V1__HELLO__INIT;
    uint64_t revision = apply("a");

    std::string host = "web-1";
    hello.sidecar_uid = mutable_text(uid);
    hello.host = mutable_text(host);
    request.body_case = DIAGNOSE__V1__SYNC_REQUEST__BODY_HELLO;
    request.hello = &hello;
    ClientStream *sync = open("Sync/Sync", {pack(request)});
    std::string armed = make_process(
        uid_of(10), 20, {{"a", revision, DIAG_SPEC_STATE_ARMED, 7, 1, 2, {{2, 5}, {3, 6}}}});
    std::string silent = make_process(uid_of(11), 10, {{"a", revision - 1, DIAG_SPEC_STATE_ARMED}});
    ASSERT_EQ(DIAG_OK, sync->write(field(3, field(1, armed) + field(1, silent))));
    /* nothing answers a report: ask until it is in */
    Reply reply;
    do
        reply = call("Specs/Get", id_request("a"));
    while (
        Unpacked<Diagnose__V1__GetResponse>(&diagnose__v1__get_response__descriptor, reply.response)
            ->n_processes < 2);

    Unpacked<Diagnose__V1__GetResponse> got(&diagnose__v1__get_response__descriptor,
                                            reply.response);
    EXPECT_EQ(2u, got->summary->matched);
    EXPECT_EQ(1u, got->summary->armed);
    EXPECT_EQ(7u, got->summary->hits);
    EXPECT_EQ(1u, got->summary->errors);
    EXPECT_EQ(2u, got->summary->dropped);
    EXPECT_EQ(11u, got->summary->skipped);
    ASSERT_EQ(2u, got->n_processes);
    EXPECT_EQ(10u, got->processes[0]->process->pid);
    EXPECT_STREQ("web-1", got->processes[0]->host);
    EXPECT_STREQ(uid.c_str(), got->processes[0]->sidecar_uid);
    EXPECT_EQ(DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_UNSPECIFIED, got->processes[0]->status->state)
        << "it has told only of an older revision";
    EXPECT_EQ(revision, got->processes[0]->status->spec_revision);
    EXPECT_EQ(20u, got->processes[1]->process->pid);
    EXPECT_EQ(DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_ARMED, got->processes[1]->status->state);
    EXPECT_EQ(2u, got->processes[1]->status->n_skips);
}

TEST_F(SpecsServiceTest, ExpiredSpecsStayListed) {
    apply("a", {.lifespan_ms = 1});
    for (;;) {
        Unpacked<Diagnose__V1__GetResponse> got(&diagnose__v1__get_response__descriptor,
                                                call("Specs/Get", id_request("a")).response);
        if (got->summary->expired)
            break;
    }
    restart();
    EXPECT_EQ(0, call("Specs/Get", id_request("a")).code);
}

} // namespace
} // namespace diag_test
