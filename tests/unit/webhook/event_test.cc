// SPDX-License-Identifier: MIT
#include "deploy/webhook/event.h"

#include "tests/unit/webhook/json_testing.h"

namespace {

TEST(Event, IsOfEventsK8sIo) {
    struct diag_error err = {};
    struct diag_review_notice notice = {};
    struct diag_buffer body = {};

    strcpy(notice.namespace_name, "shop");
    strcpy(notice.api_version, "apps/v1");
    strcpy(notice.kind, "ReplicaSet");
    strcpy(notice.name, "shop-5f6");
    strcpy(notice.uid, "u-2");
    strcpy(notice.reason, "it \"has\" none");
    ASSERT_EQ(diag_event_make(&notice, "pod-1", UINT64_C(1795420799123456789), &body, &err),
              DIAG_OK);
    Json event = parse(std::string(reinterpret_cast<char *>(body.data), body.size));
    EXPECT_EQ(dump(event.get()),
              "{'action':'Inject','apiVersion':'events.k8s.io/v1',"
              "'eventTime':'2026-11-23T07:59:59.123456Z','kind':'Event','metadata':"
              "{'generateName':'diagnose-','namespace':'shop'},'note':'it \\'has\\' none',"
              "'reason':'NotInstrumented','regarding':{'apiVersion':'apps/v1','kind':'ReplicaSet',"
              "'name':'shop-5f6','namespace':'shop','uid':'u-2'},"
              "'reportingController':'diagnose.dev/webhook','reportingInstance':'pod-1',"
              "'type':'Warning'}");
    diag_buffer_done(&body);
}

TEST(Event, LeavesOutWhatIsNotKnown) {
    struct diag_review_notice notice = {};
    struct diag_buffer body = {};
    struct diag_error err = {};
    std::string instance(500, 'i');

    EXPECT_EQ(diag_event_make(&notice, "i", 0, &body, &err), DIAG_ERR_INVALID);
    strcpy(notice.namespace_name, "shop");
    strcpy(notice.api_version, "v1");
    strcpy(notice.kind, "Pod");
    ASSERT_EQ(diag_event_make(&notice, instance.c_str(), 0, &body, &err), DIAG_OK);
    Json event = parse(std::string(reinterpret_cast<char *>(body.data), body.size));
    EXPECT_EQ(dump(json_object_get(event.get(), "regarding")),
              "{'apiVersion':'v1','kind':'Pod','namespace':'shop'}");
    EXPECT_EQ(json_string_length(json_object_get(event.get(), "reportingInstance")), 128u);
    EXPECT_EQ(dump(json_object_get(event.get(), "eventTime")), "'1970-01-01T00:00:00.000000Z'");
    diag_buffer_done(&body);
}

} // namespace
