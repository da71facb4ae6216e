// SPDX-License-Identifier: MIT
#include "deploy/webhook/review.h"

#include "tests/unit/webhook/json_testing.h"

namespace {

const char *const TEMPLATE =
    "spec: {volumes: [{name: v, emptyDir: {}}], containers: [{name: x, env: "
    "[{name: PYTHONPATH, value: /d}]}], initContainers: [{name: i, resources: "
    "{limits: {cpu: 0.1}}}]}";
const char *const POD = "{'metadata':{'name':'p','annotations':{'diagnose.dev/inject':'true'}},"
                        "'spec':{'containers':[{'name':'app'}]}}";
const char *const BROKEN =
    "{'metadata':{'name':'p','annotations':{'diagnose.dev/inject':'perhaps'}}}";

std::string decoded(const std::string &text) {
    static const std::string alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    unsigned bits = 0, count = 0;

    for (char c : text) {
        if (c == '=')
            break;
        bits = bits << 6 | static_cast<unsigned>(alphabet.find(c));
        count += 6;
        if (count >= 8) {
            count -= 8;
            out.push_back(static_cast<char>(bits >> count & 255));
        }
    }
    return out;
}

class Review : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_EQ(diag_pod_template_init(&pod_template, &err), DIAG_OK);
        ASSERT_EQ(diag_pod_template_add(&pod_template, "t", diag_bytes_from_text(TEMPLATE), &err),
                  DIAG_OK)
            << err.message;
    }
    void TearDown() override {
        diag_review_answer_done(&answer);
        diag_pod_template_done(&pod_template);
    }

    enum diag_status ask(const std::string &bytes) {
        diag_review_answer_done(&answer);
        answer = {};
        err = {};
        return diag_review_answer_make(&pod_template, diag_bytes_make(bytes.data(), bytes.size()),
                                       &answer, &err);
    }

    // The response; what every answer has is checked.
    Json respond(const std::string &review, const char *api_version = "admission.k8s.io/v1") {
        EXPECT_EQ(ask(quoted(review)), DIAG_OK) << err.message << ": " << review;
        Json body =
            parse(std::string(reinterpret_cast<const char *>(answer.body.data), answer.body.size));
        EXPECT_STREQ(json_string_value(json_object_get(body.get(), "apiVersion")), api_version);
        EXPECT_STREQ(json_string_value(json_object_get(body.get(), "kind")), "AdmissionReview");
        EXPECT_EQ(json_object_size(body.get()), 3u);
        Json response(json_incref(json_object_get(body.get(), "response")));
        EXPECT_TRUE(json_is_true(json_object_get(response.get(), "allowed")));
        EXPECT_EQ(json_object_get(response.get(), "patch") != nullptr,
                  json_object_get(response.get(), "patchType") != nullptr);
        return response;
    }

    struct diag_pod_template pod_template = {};
    struct diag_review_answer answer = {};
    struct diag_error err = {};
};

std::string review_of(const std::string &object, const std::string &more = "") {
    return "{'apiVersion':'admission.k8s.io/v1','kind':'AdmissionReview','request':{'uid':'u-1',"
           "'kind':{'group':'','version':'v1','kind':'Pod'},'operation':'CREATE',"
           "'namespace':'shop','object':" +
           object + more + "}}";
}

std::string replaced(std::string text, const std::string &from, const std::string &to) {
    size_t place = text.find(from);
    EXPECT_NE(place, std::string::npos) << from;
    return text.replace(place, from.size(), to);
}

TEST_F(Review, PatchesAPod) {
    Json response = respond(review_of(POD));

    EXPECT_EQ(dump(json_object_get(response.get(), "uid")), "'u-1'");
    EXPECT_EQ(dump(json_object_get(response.get(), "patchType")), "'JSONPatch'");
    EXPECT_EQ(json_object_get(response.get(), "warnings"), nullptr);
    EXPECT_EQ(answer.outcome, DIAG_REVIEW_PATCHED);
    EXPECT_STREQ(answer.notice.kind, "Pod");
    EXPECT_STREQ(answer.notice.name, "p");
    EXPECT_STREQ(answer.notice.namespace_name, "shop");
    EXPECT_STREQ(answer.notice.reason, "");

    std::string text = decoded(json_string_value(json_object_get(response.get(), "patch")));
    EXPECT_NE(text.find("\"cpu\":0.1}"), std::string::npos) << text;
    Json pod = parse(POD), patch = parse(text);
    Json result = patched(pod.get(), patch.get());
    EXPECT_NE(dump(result.get()).find("'env':[{'name':'PYTHONPATH','value':'/d'}]"),
              std::string::npos);
}

TEST_F(Review, LeavesAPodThatIsInjected) {
    std::string pod = "{'metadata':{'annotations':{'diagnose.dev/inject':'true',"
                      "'diagnose.dev/injected':'1'}},'spec':{'volumes':[{'name':'v'}],"
                      "'initContainers':[{'name':'i'}],'containers':[{'name':'app','env':"
                      "[{'name':'PYTHONPATH','value':'/d'}]}]}}";
    Json response = respond(review_of(pod));

    EXPECT_EQ(dump(response.get()), "{'allowed':true,'uid':'u-1'}");
    EXPECT_EQ(answer.outcome, DIAG_REVIEW_COMPLETE);
}

TEST_F(Review, SaysWhyItStaysOut) {
    Json response = respond(review_of(BROKEN));

    EXPECT_STREQ(
        json_string_value(json_array_get(json_object_get(response.get(), "warnings"), 0)),
        "diagnose: not instrumented: annotation diagnose.dev/inject: \"perhaps\" is neither "
        "\"true\" nor \"false\"");
    EXPECT_EQ(json_object_get(response.get(), "patch"), nullptr);
    EXPECT_EQ(answer.outcome, DIAG_REVIEW_STAYED_OUT);
}

TEST_F(Review, LeavesWhatIsNoNewPod) {
    const char *const changes[][2] = {
        {"'kind':'Pod'", "'kind':'Deployment'"},
        {"'group':''", "'group':'apps'"},
        {"'version':'v1'", "'version':'v2'"},
        {"'CREATE'", "'UPDATE'"},
        {"'CREATE'", "'DELETE'"},
        {"'CREATE'", "7"},
        {"'uid'", "'subResource':'status','uid'"},
    };

    for (const auto &change : changes) {
        Json response = respond(replaced(review_of(POD), change[0], change[1]));
        EXPECT_EQ(dump(response.get()), "{'allowed':true,'uid':'u-1'}") << change[1];
        EXPECT_EQ(answer.outcome, DIAG_REVIEW_NOT_ASKED);
    }
    for (const char *object : {"null", "'text'", "7", "[]", "{}", "{'metadata':7,'spec':[]}"}) {
        EXPECT_EQ(dump(respond(review_of(object)).get()), "{'allowed':true,'uid':'u-1'}") << object;
    }
}

TEST_F(Review, AnswersOtherVersionsWithoutAPatch) {
    std::string beta = replaced(review_of(POD), "k8s.io/v1", "k8s.io/v1beta1");
    Json response = respond(beta, "admission.k8s.io/v1beta1");
    EXPECT_EQ(json_object_get(response.get(), "patch"), nullptr);
    EXPECT_EQ(json_array_size(json_object_get(response.get(), "warnings")), 1u);

    for (const char *version : {"'example.com/v1'", "null", "7", "['admission.k8s.io/v1']"}) {
        response = respond(replaced(review_of(POD), "'admission.k8s.io/v1'", version));
        EXPECT_EQ(json_object_get(response.get(), "patch"), nullptr) << version;
        EXPECT_EQ(answer.outcome, DIAG_REVIEW_STAYED_OUT);
    }
    response = respond(replaced(review_of(POD), "'AdmissionReview'", "'ConversionReview'"));
    EXPECT_EQ(json_object_get(response.get(), "patch"), nullptr);
}

TEST_F(Review, AnswersDuplicateKeysWithoutAPatch) {
    Json response = respond(review_of(POD, ",'object':{}"));

    EXPECT_EQ(json_object_get(response.get(), "patch"), nullptr);
    EXPECT_NE(std::string(answer.notice.reason).find("same key twice"), std::string::npos);
}

TEST_F(Review, RefusesWhatHasNoUid) {
    const char *const reviews[][2] = {
        {"", "not JSON"},
        {"{", "not JSON"},
        {"<html>", "not JSON"},
        {"{} {}", "not JSON"},
        {"{'request':{'uid':'u-1'}", "not JSON"},
        {"{'a':1e999,'request':{'uid':'u-1'}}", "not JSON"},
        {"'text'", "not JSON"},
        {"[]", "request.uid is no text"},
        {"{}", "request.uid is no text"},
        {"{'request':null}", "request.uid is no text"},
        {"{'request':{'uid':7}}", "request.uid is no text"},
        {"{'request':{'uid':''}}", "request.uid is empty"},
        {"{'request':[{'uid':'u-1'}]}", "request.uid is no text"},
    };

    for (const auto &review : reviews) {
        EXPECT_EQ(ask(quoted(review[0])), DIAG_ERR_INVALID) << review[0];
        EXPECT_NE(std::string(err.message).find(review[1]), std::string::npos) << err.message;
        EXPECT_EQ(answer.body.data, nullptr);
    }
    EXPECT_EQ(ask("{\"request\":{\"uid\":\"\xff\"}}"), DIAG_ERR_INVALID);
    EXPECT_EQ(ask(std::string("\0\0\0", 3)), DIAG_ERR_INVALID);
}

TEST_F(Review, BearsDeepNesting) {
    std::string deep(2000, '[');
    deep += std::string(2000, ']');
    Json response = respond(review_of(POD, ",'options':" + deep));
    EXPECT_EQ(answer.outcome, DIAG_REVIEW_PATCHED);

    std::string deeper = std::string(500000, '[') + std::string(500000, ']');
    EXPECT_EQ(ask(quoted(review_of(POD, ",'options':" + deeper))), DIAG_ERR_INVALID);
}

TEST_F(Review, BearsNulsAndOtherCharacters) {
    // what is after a NUL does not count as equal to what is before it
    respond(review_of("{'metadata':{'annotations':{'diagnose.dev/inject':'true\\u0000'}}}"));
    EXPECT_EQ(answer.outcome, DIAG_REVIEW_STAYED_OUT);
    respond(review_of("{'metadata':{'annotations':{'diagnose.dev/inject':'\xc3\xa9\\n\\u0001'}}}"));
    EXPECT_NE(std::string(answer.notice.reason).find("\"????\""), std::string::npos)
        << answer.notice.reason;
    for (const char *c = answer.notice.reason; *c != '\0'; c++)
        EXPECT_TRUE(*c >= ' ' && *c <= '~');
    respond(replaced(review_of(POD), "'app'", "'\\u0000'"));
    EXPECT_EQ(answer.outcome, DIAG_REVIEW_STAYED_OUT);
}

TEST_F(Review, CutsWhatItSays) {
    std::string long_name(3000, 'x');
    Json response = respond(review_of("{'metadata':{'annotations':{'diagnose.dev/inject':'true',"
                                      "'diagnose.dev/containers':'" +
                                      long_name + "'}},'spec':{'containers':[{'name':'" +
                                      long_name + "'},{'name':'b" + long_name + "'},{'name':'c" +
                                      long_name + "'},{'name':'d" + long_name + "'}]}}"));
    EXPECT_EQ(answer.outcome, DIAG_REVIEW_PATCHED); // the name is there
    response = respond(review_of("{'metadata':{'annotations':{'diagnose.dev/inject':'true',"
                                 "'diagnose.dev/containers':'y'}},'spec':{'containers':[{'name':'" +
                                 long_name + "'},{'name':'b" + long_name + "'},{'name':'c" +
                                 long_name + "'},{'name':'d" + long_name + "'}]}}"));
    json_t *warning = json_array_get(json_object_get(response.get(), "warnings"), 0);
    EXPECT_LE(json_string_length(warning), 256u);
    EXPECT_GT(json_string_length(warning), 100u);
}

TEST_F(Review, SaysWhomItIsAbout) {
    const struct {
        const char *metadata, *subject;
    } cases[] = {
        {"'name':'p'", "v1 Pod p "},
        {"'name':'p','ownerReferences':[{'controller':true,'apiVersion':'apps/v1','kind':"
         "'StatefulSet','name':'db','uid':'u-2'}]",
         "v1 Pod p "},
        {"'generateName':'shop-5f6-','ownerReferences':[{'controller':true,'apiVersion':'apps/v1',"
         "'kind':'ReplicaSet','name':'shop-5f6','uid':'u-2'}]",
         "apps/v1 ReplicaSet shop-5f6 u-2"},
        {"'generateName':'shop-5f6-'", "v1 Pod  "},
        {"'name':'../secrets'", "v1 Pod  "},
        {"'name':['p']", "v1 Pod  "},
    };

    for (const auto &c : cases) {
        respond(review_of(std::string("{'metadata':{'annotations':{'diagnose.dev/inject':'?'},") +
                          c.metadata + "}}"));
        const struct diag_review_notice &notice = answer.notice;
        EXPECT_EQ(std::string(notice.api_version) + " " + notice.kind + " " + notice.name + " " +
                      notice.uid,
                  c.subject);
        EXPECT_STREQ(notice.namespace_name, "shop");
        EXPECT_FALSE(answer.is_dry_run);
    }
    for (const char *space : {"'a/b'", "'../x'", "'a b'", "7", "'%2e'"}) {
        respond(replaced(review_of(BROKEN), "'shop'", space));
        EXPECT_STREQ(answer.notice.namespace_name, "") << space;
    }
    respond(review_of(BROKEN, ",'dryRun':true"));
    EXPECT_TRUE(answer.is_dry_run);
}

// From the end of the parsing on, which jansson does not survive.
TEST_F(Review, ReportsEveryFailedAllocation) {
    for (const char *object : {POD, BROKEN}) {
        std::string review = quoted(review_of(object));
        enum diag_status status;
        size_t count, first;

        Allocator::install();
        json_decref(json_loads(review.c_str(), JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, nullptr));
        count = first = Allocator::calls;
        do {
            Allocator::install();
            Allocator::fail_from = count++;
            status = ask(review);
            EXPECT_EQ(Allocator::used, 0u) << count;
            EXPECT_TRUE(status == DIAG_OK || status == DIAG_ERR_NO_MEMORY) << err.message;
            ASSERT_LT(count, 10000u);
        } while (status != DIAG_OK);
        EXPECT_GT(count, first + 10);
    }
}

} // namespace
