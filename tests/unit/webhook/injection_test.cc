// SPDX-License-Identifier: MIT
#include "deploy/webhook/injection.h"

#include "tests/unit/webhook/json_testing.h"

namespace {

const char *const TEMPLATE = R"(
metadata: {annotations: {diagnose.dev/injected: "9", a/b~c: "x"}}
spec:
  initContainers:
  - name: diagnose-inject
    image: i
  - name: diagnose-sidecar
    restartPolicy: Always
    env:
    - {name: DIAGNOSE_CONTAINER, value: ""}
    - {name: DIAGNOSE_WORKLOAD, value: ""}
    - {name: OTHER, value: ""}
  volumes:
  - name: diagnose-package
    emptyDir: {}
  - name: diagnose-run
    emptyDir: {}
  containers:
  - name: any
    env:
    - {name: DIAGNOSE_SOCKET, value: /s}
    - {name: DIAGNOSE_CONTAINER, value: ""}
    - {name: PYTHONPATH, value: /d/b}
    volumeMounts:
    - {name: diagnose-package, mountPath: /d, readOnly: true}
    - {name: diagnose-run, mountPath: /r}
)";

class Injection : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_EQ(diag_pod_template_init(&pod_template, &err), DIAG_OK);
        ASSERT_EQ(diag_pod_template_add(&pod_template, "t", diag_bytes_from_text(TEMPLATE), &err),
                  DIAG_OK)
            << err.message;
    }
    void TearDown() override { diag_pod_template_done(&pod_template); }

    enum diag_status make(const json_t *pod) {
        json_t *made = nullptr;
        enum diag_status status = diag_injection_make(&pod_template, pod, &made, &err);

        operations.reset(made);
        EXPECT_EQ(status == DIAG_OK, made != nullptr);
        return status;
    }

    // The pod after its patch, whose own patch must be empty; null on failure.
    Json inject(const json_t *pod) {
        EXPECT_EQ(make(pod), DIAG_OK) << err.message;
        if (operations == nullptr)
            return nullptr;
        Json result = patched(pod, operations.get());
        EXPECT_EQ(make(result.get()), DIAG_OK) << err.message;
        EXPECT_EQ(dump(operations.get()), "[]");
        return result;
    }

    struct diag_pod_template pod_template = {};
    struct diag_error err = {};
    Json operations;
};

const char *const ANNOTATED =
    "{'metadata':{'name':'p','annotations':{'diagnose.dev/inject':'true'}},"
    "'spec':{'containers':[{'name':'app'}]}}";

Json pod_of(const std::string &annotations, const std::string &spec) {
    return parse("{'metadata':{'name':'p','annotations':{'diagnose.dev/inject':'true'" +
                 annotations + "}},'spec':" + spec + "}");
}

const json_t *at(const json_t *json, const std::string &path) {
    for (const std::string &segment : segments(path))
        json = json_is_array(json) ? json_array_get(json, std::stoul(segment))
                                   : json_object_get(json, segment.c_str());
    return json;
}

std::string names(const json_t *list) {
    std::string text;

    for (size_t i = 0; i < json_array_size(list); i++)
        text += std::string(i > 0 ? " " : "") +
                json_string_value(json_object_get(json_array_get(list, i), "name"));
    return text;
}

TEST_F(Injection, GivesAPlainPodEverything) {
    Json pod = parse(ANNOTATED);
    Json result = inject(pod.get());

    EXPECT_EQ(dump(result.get()),
              "{'metadata':{'annotations':{'a/b~c':'x','diagnose.dev/inject':'true',"
              "'diagnose.dev/injected':'9'},'name':'p'},'spec':{'containers':[{'env':["
              "{'name':'DIAGNOSE_SOCKET','value':'/s'},{'name':'DIAGNOSE_CONTAINER','value':'app'},"
              "{'name':'PYTHONPATH','value':'/d/b'}],'name':'app','volumeMounts':["
              "{'mountPath':'/d','name':'diagnose-package','readOnly':true},"
              "{'mountPath':'/r','name':'diagnose-run'}]}],'initContainers':["
              "{'image':'i','name':'diagnose-inject'},{'env':["
              "{'name':'DIAGNOSE_CONTAINER','value':'app'},{'name':'DIAGNOSE_WORKLOAD','value':''},"
              "{'name':'OTHER','value':''}],'name':'diagnose-sidecar','restartPolicy':'Always'}],"
              "'volumes':[{'emptyDir':{},'name':'diagnose-package'},"
              "{'emptyDir':{},'name':'diagnose-run'}]}}");
    // nothing of one pod stays in the template
    EXPECT_EQ(dump(inject(pod.get()).get()), dump(result.get()));
}

TEST_F(Injection, LeavesPodsAloneThatDoNotAsk) {
    for (const char *pod : {
             "{'spec':{'containers':[{'name':'app'}]}}",
             "{'metadata':{},'spec':{'containers':[{'name':'app'}]}}",
             "{'metadata':{'annotations':null},'spec':{'containers':[{'name':'app'}]}}",
             "{'metadata':{'annotations':{'diagnose.dev/inject':'false'}},'spec':{}}",
             "{'metadata':{'annotations':{'diagnose.dev/containers':'app'}},'spec':{}}",
             "{'metadata':{'labels':{'diagnose.dev/inject':'true'}},'spec':{}}",
             "{'metadata':[],'spec':{}}",
             "{'metadata':{'annotations':['diagnose.dev/inject']}}",
             "[]",
             "null",
             "'text'",
         }) {
        EXPECT_EQ(make(parse(pod).get()), DIAG_ERR_NOT_FOUND) << pod;
    }
    EXPECT_EQ(make(nullptr), DIAG_ERR_NOT_FOUND);
}

TEST_F(Injection, PutsOursFirstAndKeepsWhatIsThere) {
    Json pod = pod_of("", "{'volumes':[{'name':'data'}],'initContainers':[{'name':'migrate'}],"
                          "'containers':[{'name':'app','env':[{'name':'A','value':'1'}],"
                          "'volumeMounts':[{'name':'data','mountPath':'/data'}]}]}");
    Json result = inject(pod.get());

    EXPECT_EQ(names(at(result.get(), "/spec/initContainers")),
              "diagnose-inject diagnose-sidecar migrate");
    EXPECT_EQ(names(at(result.get(), "/spec/volumes")), "data diagnose-package diagnose-run");
    EXPECT_EQ(names(at(result.get(), "/spec/containers/0/env")),
              "A DIAGNOSE_SOCKET DIAGNOSE_CONTAINER PYTHONPATH");
    EXPECT_EQ(names(at(result.get(), "/spec/containers/0/volumeMounts")),
              "data diagnose-package diagnose-run");
}

TEST_F(Injection, TakesNullForAListThatIsNotGiven) {
    Json pod = pod_of("", "{'volumes':null,'initContainers':null,'containers':"
                          "[{'name':'app','env':null,'volumeMounts':null,'envFrom':null}]}");

    EXPECT_EQ(names(at(inject(pod.get()).get(), "/spec/containers/0/env")),
              "DIAGNOSE_SOCKET DIAGNOSE_CONTAINER PYTHONPATH");
}

TEST_F(Injection, ChoosesContainers) {
    const char *spec = "{'containers':[{'name':'mesh'},{'name':'app'},{'name':'worker'}]}";
    const struct {
        const char *annotations;
        bool chosen[3];
        const char *first;
    } cases[] = {
        {"", {true, false, false}, "mesh"},
        {",'diagnose.dev/containers':'app'", {false, true, false}, "app"},
        {",'diagnose.dev/containers':'worker,app'", {false, true, true}, "worker"},
        {",'diagnose.dev/containers':' app , worker,,app '", {false, true, true}, "app"},
    };

    for (const auto &c : cases) {
        Json pod = pod_of(c.annotations, spec);
        Json result = inject(pod.get());

        for (size_t i = 0; i < 3; i++)
            EXPECT_EQ(at(result.get(), "/spec/containers/" + std::to_string(i) + "/env") != nullptr,
                      c.chosen[i])
                << c.annotations << " " << i;
        EXPECT_EQ(dump(at(result.get(), "/spec/initContainers/1/env/0/value")),
                  "'" + std::string(c.first) + "'");
    }
}

TEST_F(Injection, ChoosesAContainerThatIsNamedTwiceOnce) {
    Json pod = pod_of(",'diagnose.dev/containers':'app,app'",
                      "{'containers':[{'name':'app','env':[],'volumeMounts':[]}]}");
    Json result = inject(pod.get());

    EXPECT_EQ(names(at(result.get(), "/spec/containers/0/env")),
              "DIAGNOSE_SOCKET DIAGNOSE_CONTAINER PYTHONPATH");
}

TEST_F(Injection, NamesTheWorkload) {
    const struct {
        const char *metadata, *workload;
    } cases[] = {
        {"'ownerReferences':[{'controller':true,'kind':'ReplicaSet','name':'shop-5f6'}],"
         "'labels':{'pod-template-hash':'5f6'}",
         "shop"},
        {"'ownerReferences':[{'controller':true,'kind':'ReplicaSet','name':'shop-5f6'}]",
         "shop-5f6"},
        {"'ownerReferences':[{'controller':true,'kind':'ReplicaSet','name':'5f6'}],"
         "'labels':{'pod-template-hash':'5f6'}",
         "5f6"},
        {"'ownerReferences':[{'controller':true,'kind':'ReplicaSet','name':'ab5f6'}],"
         "'labels':{'pod-template-hash':'5f6'}",
         "ab5f6"},
        {"'ownerReferences':[{'kind':'X','name':'x'},"
         "{'controller':true,'kind':'StatefulSet','name':'db-5f6'}],"
         "'labels':{'pod-template-hash':'5f6'}",
         "db-5f6"},
        {"'ownerReferences':[{'controller':true,'kind':'Job','name':'report-29383920'}]", "report"},
        {"'ownerReferences':[{'controller':true,'kind':'Job','name':'a-1-29383920'}]", "a-1"},
        {"'ownerReferences':[{'controller':true,'kind':'Job','name':'report-2938392'}]",
         "report-2938392"},
        {"'ownerReferences':[{'controller':true,'kind':'Job','name':'report29383920'}]",
         "report29383920"},
        {"'ownerReferences':[{'controller':true,'kind':'Job','name':'-29383920'}]", "-29383920"},
        {"'ownerReferences':[{'controller':true,'kind':'Job','name':'day-20261123'}]",
         "day-20261123"},
        {"'ownerReferences':[{'controller':true,'kind':'Job','name':'id-1763900000'}]",
         "id-1763900000"},
        {"'ownerReferences':[{'controller':true,'kind':'Job','name':'29383920'}]", "29383920"},
        {"'ownerReferences':[{'controller':true,'kind':'StatefulSet','name':'db-29383920'}]",
         "db-29383920"},
        {"'ownerReferences':[{'kind':'X','name':'x'}]", ""},
        {"'ownerReferences':[{'controller':true,'kind':'X','name':7}]", ""},
        {"'ownerReferences':'x','labels':[]", ""},
    };

    for (const auto &c : cases) {
        Json pod = parse(std::string("{'metadata':{'annotations':{'diagnose.dev/inject':'true'},") +
                         c.metadata + "},'spec':{'containers':[{'name':'app'}]}}");
        Json result = inject(pod.get());

        EXPECT_EQ(dump(at(result.get(), "/spec/initContainers/1/env/1/value")),
                  "'" + std::string(c.workload) + "'");
    }
}

TEST_F(Injection, PrefixesPythonPath) {
    const struct {
        const char *env, *expected;
    } cases[] = {
        {"[{'name':'PYTHONPATH','value':'/a:/b'}]", "'/d/b:/a:/b'"},
        {"[{'name':'PYTHONPATH','value':'$(HOME)/lib'}]", "'/d/b:$(HOME)/lib'"},
        {"[{'name':'PYTHONPATH','value':''}]", "'/d/b'"},
        {"[{'name':'PYTHONPATH'}]", "'/d/b'"},
        {"[{'name':'PYTHONPATH','value':null,'valueFrom':null}]", "'/d/b'"},
        {"[{'name':'PYTHONPATH','value':'/d/b:/a'}]", "'/d/b:/a'"},
        {"[{'name':'PYTHONPATH','value':'/a:/d/b'}]", "'/d/b:/a'"},
        {"[{'name':'PYTHONPATH','value':'/d/b/c'}]", "'/d/b:/d/b/c'"},
        {"[{'name':'PYTHONPATH','value':'x/d/b'}]", "'/d/b:x/d/b'"},
    };

    for (const auto &c : cases) {
        Json pod = pod_of("", std::string("{'containers':[{'name':'app','env':") + c.env + "}]}");
        EXPECT_EQ(dump(at(inject(pod.get()).get(), "/spec/containers/0/env/0/value")), c.expected)
            << c.env;
    }
    // of two, the last is the one that counts
    Json twice =
        pod_of("", "{'containers':[{'name':'app','env':[{'name':'PYTHONPATH','value':'/a'},"
                   "{'name':'PYTHONPATH','value':'/b'}]}]}");
    Json result = inject(twice.get());
    EXPECT_EQ(dump(at(result.get(), "/spec/containers/0/env/0/value")), "'/a'");
    EXPECT_EQ(dump(at(result.get(), "/spec/containers/0/env/1/value")), "'/d/b:/b'");
}

// As OpenTelemetry's operator does, whose webhook comes after ours.
TEST_F(Injection, IsFirstAgainAfterAnotherWebhook) {
    Json whole = inject(pod_of("", "{'containers':[{'name':'app','env':[{'name':'PYTHONPATH',"
                                   "'value':'/app'}]}]}")
                            .get());
    json_t *variable = const_cast<json_t *>(at(whole.get(), "/spec/containers/0/env/0"));

    json_object_set_new(variable, "value", json_string("/otel/auto:/d/b:/app:/otel"));
    ASSERT_EQ(make(whole.get()), DIAG_OK) << err.message;
    EXPECT_EQ(json_array_size(operations.get()), 1u);
    Json again = inject(whole.get());
    EXPECT_EQ(dump(at(again.get(), "/spec/containers/0/env/0/value")),
              "'/d/b:/otel/auto:/app:/otel'");
}

TEST_F(Injection, LeavesOtherVariablesOfTheApplication) {
    Json pod = pod_of("", "{'containers':[{'name':'app','env':"
                          "[{'name':'DIAGNOSE_SOCKET','value':'/mine'}]}]}");
    EXPECT_EQ(dump(at(inject(pod.get()).get(), "/spec/containers/0/env/0/value")), "'/mine'");
}

TEST_F(Injection, TakesEnvFromThatCannotSetPythonPath) {
    for (const char *container : {
             "{'name':'app','envFrom':[{'prefix':'DB_','secretRef':{'name':'s'}}]}",
             "{'name':'app','envFrom':[{'secretRef':{'name':'s'}}],"
             "'env':[{'name':'PYTHONPATH','value':''}]}",
             "{'name':'app','envFrom':[]}",
         }) {
        Json pod = pod_of("", std::string("{'containers':[") + container + "]}");
        EXPECT_NE(inject(pod.get()), nullptr) << container;
    }
}

TEST_F(Injection, AddsItsVolumesToThoseThatMayGo) {
    const std::string key = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes";
    const std::string more = "{metadata: {annotations: {" + key + ": 'diagnose-a,diagnose-b'}}}";
    const char *const cases[][2] = {
        {"''", "'diagnose-a,diagnose-b'"},
        {"'cache'", "'cache,diagnose-a,diagnose-b'"},
        {"'diagnose-b,cache'", "'diagnose-b,cache,diagnose-a'"},
        {"'cache,diagnose-a,diagnose-b'", "'cache,diagnose-a,diagnose-b'"},
        {"7", "7"},
    };
    Json plain = parse(ANNOTATED);
    const char *spec = "{'containers':[{'name':'app'}]}";

    // a template without it leaves the pod's as it is
    Json left = inject(pod_of(",'" + key + "':'cache'", spec).get());
    EXPECT_EQ(dump(json_object_get(at(left.get(), "/metadata/annotations"), key.c_str())),
              "'cache'");
    ASSERT_EQ(diag_pod_template_add(&pod_template, "m", diag_bytes_from_text(more.c_str()), &err),
              DIAG_OK)
        << err.message;
    Json result = inject(plain.get());
    EXPECT_EQ(dump(json_object_get(at(result.get(), "/metadata/annotations"), key.c_str())),
              "'diagnose-a,diagnose-b'");
    for (const auto &c : cases) {
        result = inject(pod_of(",'" + key + "':" + c[0], spec).get());
        EXPECT_EQ(dump(json_object_get(at(result.get(), "/metadata/annotations"), key.c_str())),
                  c[1]);
    }
}

TEST_F(Injection, StaysOutOfPodsWithoutRoom) {
    const char *more = "{spec: {initContainers: [{name: big, resources: {requests: {cpu: 10m}}}]}}";
    Json full = pod_of("", "{'resources':{'requests':{'cpu':'5m'}},'containers':[{'name':'app'}]}");

    EXPECT_EQ(make(full.get()), DIAG_OK) << err.message;
    ASSERT_EQ(diag_pod_template_add(&pod_template, "m", diag_bytes_from_text(more), &err), DIAG_OK);
    EXPECT_EQ(make(full.get()), DIAG_ERR_UNSUPPORTED);
    EXPECT_NE(std::string(err.message).find("spec.resources.requests.cpu"), std::string::npos);
}

TEST_F(Injection, StaysOutWithAReason) {
    const struct {
        const char *annotations, *spec, *reason;
    } cases[] = {
        {"", "'text'", "spec.containers is not a list"},
        {"", "{}", "spec.containers is not a list"},
        {"", "{'containers':[]}", "spec.containers is not a list"},
        {"", "{'containers':{'name':'app'}}", "spec.containers is not a list"},
        {"", "{'containers':[{'name':'app'},7]}", "spec.containers[1] has no name"},
        {"", "{'containers':[{'name':null}]}", "spec.containers[0] has no name"},
        {",'diagnose.dev/containers':'web'", "{'containers':[{'name':'app'},{'name':'mesh'}]}",
         "no container \"web\", only: app, mesh"},
        {",'diagnose.dev/containers':'ap'", "{'containers':[{'name':'app'}]}",
         "no container \"ap\""},
        {",'diagnose.dev/containers':' , '", "{'containers':[{'name':'app'}]}",
         "names no container"},
        {",'diagnose.dev/containers':['app']", "{'containers':[{'name':'app'}]}", "is not text"},
        {",'diagnose.dev/python':'2.7'", "{'containers':[{'name':'app'}]}",
         "\"2.7\" is not a version"},
        {",'diagnose.dev/python':'3.12.1'", "{'containers':[{'name':'app'}]}", "is not a version"},
        {",'diagnose.dev/python':'3.'", "{'containers':[{'name':'app'}]}", "is not a version"},
        {",'diagnose.dev/python':312", "{'containers':[{'name':'app'}]}", "is not a version"},
        {"", "{'nodeSelector':{'kubernetes.io/os':'windows'},'containers':[{'name':'app'}]}",
         "windows"},
        {"", "{'nodeSelector':{'beta.kubernetes.io/os':'windows'},'containers':[{'name':'app'}]}",
         "windows"},
        {"", "{'os':{'name':'windows'},'containers':[{'name':'app'}]}", "windows"},
        {"", "{'nodeSelector':{'kubernetes.io/arch':'s390x'},'containers':[{'name':'app'}]}",
         "for s390x nodes"},
        {",'kubernetes.io/config.mirror':'5e8f'", "{'containers':[{'name':'app'}]}",
         "static pod's mirror"},
        {"", "{'hostNetwork':true,'containers':[{'name':'app'}]}", "hostNetwork"},
        {"", "{'volumes':'x','containers':[{'name':'app'}]}", "/spec/volumes is not a list"},
        {"", "{'volumes':[{'name':'diagnose-run'}],'containers':[{'name':'app'}]}",
         "a volume \"diagnose-run\" of its own"},
        {"", "{'initContainers':{},'containers':[{'name':'app'}]}",
         "/spec/initContainers is not a list"},
        {"", "{'initContainers':[{'name':'diagnose-inject'}],'containers':[{'name':'app'}]}",
         "a container \"diagnose-inject\" of its own"},
        {"", "{'containers':[{'name':'app'},{'name':'diagnose-sidecar'}]}",
         "a container \"diagnose-sidecar\" of its own"},
        {"", "{'containers':[{'name':'app','volumeMounts':[{'name':'x','mountPath':'/r'}]}]}",
         "a volume mount at \"/r\" of its own"},
        {"", "{'containers':[{'name':'app','volumeMounts':7}]}", "volumeMounts is not a list"},
        {"", "{'containers':[{'name':'app','env':'A=1'}]}", "env is not a list"},
        {"", "{'containers':[{'name':'app','env':[{'name':'PYTHONPATH','valueFrom':{}}]}]}",
         "container \"app\" has PYTHONPATH by valueFrom"},
        {"", "{'containers':[{'name':'app','env':[{'name':'PYTHONPATH','value':7}]}]}",
         "PYTHONPATH by valueFrom"},
        {"", "{'containers':[{'name':'app','envFrom':[{'configMapRef':{'name':'c'}}]}]}",
         "container \"app\" has envFrom"},
        {"", "{'containers':[{'name':'app','envFrom':[{'prefix':'PYTHON'}]}]}", "has envFrom"},
        {"", "{'containers':[{'name':'app','envFrom':[{'prefix':''}]}]}", "has envFrom"},
        {"", "{'containers':[{'name':'app','envFrom':{}}]}", "envFrom is not a list"},
    };

    for (const auto &c : cases) {
        Json pod = pod_of(c.annotations, c.spec);
        EXPECT_EQ(make(pod.get()), DIAG_ERR_UNSUPPORTED) << c.reason;
        EXPECT_NE(std::string(err.message).find(c.reason), std::string::npos)
            << err.message << "\nis not: " << c.reason;
    }
    for (const char *value : {"'yes'", "'True'", "''", "true", "null", "['true']", "'true '"}) {
        Json pod = parse(std::string("{'metadata':{'annotations':{'diagnose.dev/inject':") + value +
                         "}},'spec':{'containers':[{'name':'app'}]}}");
        EXPECT_EQ(make(pod.get()), DIAG_ERR_UNSUPPORTED) << value;
        EXPECT_NE(std::string(err.message).find("neither \"true\" nor \"false\""),
                  std::string::npos);
    }
}

TEST_F(Injection, StaysOutIfTheSecondOfTheChosenCannotHaveIt) {
    Json pod = pod_of(",'diagnose.dev/containers':'a,b'",
                      "{'containers':[{'name':'a'},{'name':'b','env':[{'name':'PYTHONPATH',"
                      "'valueFrom':{}}]}]}");
    EXPECT_EQ(make(pod.get()), DIAG_ERR_UNSUPPORTED);
}

TEST_F(Injection, AddsOnlyWhatIsMissing) {
    Json whole = inject(parse(ANNOTATED).get());
    const char *const removals[][2] = {
        {"/spec/volumes", "0"},          {"/spec/volumes", "1"},
        {"/spec/initContainers", "0"},   {"/spec/initContainers", "1"},
        {"/spec/containers/0/env", "0"}, {"/spec/containers/0/env", "1"},
        {"/spec/containers/0/env", "2"}, {"/spec/containers/0/volumeMounts", "1"},
    };

    for (const auto &removal : removals) {
        Json pod(json_deep_copy(whole.get()));
        json_t *list = const_cast<json_t *>(at(pod.get(), removal[0]));

        ASSERT_EQ(json_array_remove(list, std::stoul(removal[1])), 0);
        EXPECT_EQ(make(pod.get()), DIAG_OK) << err.message;
        EXPECT_EQ(json_array_size(operations.get()), 1u) << removal[0] << removal[1];
        inject(pod.get());
    }
}

TEST_F(Injection, KeepsTheOrderAroundOthers) {
    // a mesh's webhook put its container first since, and somebody took out the sidecar
    Json pod = pod_of(",'diagnose.dev/injected':'9'",
                      "{'volumes':[{'name':'diagnose-package'},{'name':'diagnose-run'}],"
                      "'initContainers':[{'name':'mesh-init'},{'name':'diagnose-inject'},"
                      "{'name':'own'}],'containers':[{'name':'app'}]}");
    Json result = inject(pod.get());
    EXPECT_EQ(names(at(result.get(), "/spec/initContainers")),
              "mesh-init diagnose-inject diagnose-sidecar own");

    Json other = pod_of(",'diagnose.dev/injected':'9'",
                        "{'initContainers':[{'name':'diagnose-sidecar'},{'name':'own'}],"
                        "'containers':[{'name':'app'}]}");
    EXPECT_EQ(names(at(inject(other.get()).get(), "/spec/initContainers")),
              "diagnose-inject diagnose-sidecar own");
}

TEST_F(Injection, StaysWithTheContainerThatWasInjected) {
    Json whole = inject(parse(ANNOTATED).get());
    json_t *containers = const_cast<json_t *>(at(whole.get(), "/spec/containers"));

    ASSERT_EQ(json_array_insert_new(containers, 0, parse("{'name':'mesh'}").release()), 0);
    ASSERT_EQ(make(whole.get()), DIAG_OK) << err.message;
    EXPECT_EQ(dump(operations.get()), "[]");
}

TEST_F(Injection, TakesTheClassicSidecarForTheSidecar) {
    Json pod = pod_of(",'diagnose.dev/injected':'9'",
                      "{'containers':[{'name':'app'},{'name':'diagnose-sidecar'}]}");
    EXPECT_EQ(names(at(inject(pod.get()).get(), "/spec/initContainers")), "diagnose-inject");

    // it has a mount of ours, and is not taken for one of the application's containers
    pod = pod_of(",'diagnose.dev/injected':'9'",
                 "{'containers':[{'name':'app'},{'name':'diagnose-sidecar','volumeMounts':"
                 "[{'name':'diagnose-run','mountPath':'/r'}]}]}");
    Json result = inject(pod.get());
    EXPECT_NE(at(result.get(), "/spec/containers/0/env"), nullptr);
    EXPECT_EQ(at(result.get(), "/spec/containers/1/env"), nullptr);
}

TEST_F(Injection, ReportsEveryFailedAllocation) {
    Json pod = parse(ANNOTATED);
    enum diag_status status;
    size_t count = 0;

    do {
        json_t *made = nullptr;

        Allocator::install();
        Allocator::fail_from = count++;
        status = diag_injection_make(&pod_template, pod.get(), &made, &err);
        EXPECT_TRUE(status == DIAG_OK || status == DIAG_ERR_NO_MEMORY) << status;
        EXPECT_EQ(made != nullptr, status == DIAG_OK);
        json_decref(made);
        EXPECT_EQ(Allocator::used, 0u) << count;
        ASSERT_LT(count, 10000u);
    } while (status != DIAG_OK);
    EXPECT_GT(count, 100u);
}

} // namespace
