// SPDX-License-Identifier: MIT
#include "deploy/webhook/pod_template.h"

#include "tests/unit/webhook/json_testing.h"

namespace {

class PodTemplate : public testing::Test {
  protected:
    void SetUp() override { ASSERT_EQ(diag_pod_template_init(&pod_template, &err), DIAG_OK); }
    void TearDown() override { diag_pod_template_done(&pod_template); }

    enum diag_status add(const char *text) {
        return diag_pod_template_add(&pod_template, "f.yaml", diag_bytes_from_text(text), &err);
    }

    struct diag_pod_template pod_template = {};
    struct diag_error err = {};
};

TEST_F(PodTemplate, IsReadFromWhateverHoldsAPod) {
    for (const char *text : {
             "{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {template: "
             "{metadata: {annotations: {a: b}}, spec: {volumes: [{name: v}]}}}}",
             "{kind: PodTemplate, template: {metadata: {annotations: {a: b}}, spec: {volumes: "
             "[{name: v}]}}}",
             "{kind: Pod, metadata: {name: x, annotations: {a: b}}, spec: {volumes: [{name: v}]}}",
         }) {
        TearDown();
        SetUp();
        ASSERT_EQ(add(text), DIAG_OK) << err.message;
        EXPECT_EQ(dump(pod_template.annotations), "{'a':'b'}");
        EXPECT_EQ(dump(pod_template.volumes), "[{'name':'v'}]");
    }
}

TEST_F(PodTemplate, IsPutTogether) {
    ASSERT_EQ(add("{spec: {initContainers: [{name: a, image: x}], volumes: [{name: v}]}}"),
              DIAG_OK);
    ASSERT_EQ(add("{spec: {initContainers: [{name: b}], containers: [{name: any, env: [{name: E}], "
                  "volumeMounts: [{name: v, mountPath: /v}]}]}}"),
              DIAG_OK)
        << err.message;
    EXPECT_EQ(dump(pod_template.init_containers), "[{'image':'x','name':'a'},{'name':'b'}]");
    EXPECT_EQ(dump(pod_template.env), "[{'name':'E'}]");
    EXPECT_EQ(dump(pod_template.volume_mounts), "[{'mountPath':'/v','name':'v'}]");

    ASSERT_EQ(diag_pod_template_set_image(&pod_template, diag_bytes_from_text("b"), "r/i:1", &err),
              DIAG_OK);
    EXPECT_EQ(dump(pod_template.init_containers),
              "[{'image':'x','name':'a'},{'image':'r/i:1','name':'b'}]");
    EXPECT_EQ(diag_pod_template_set_image(&pod_template, diag_bytes_from_text("c"), "i", &err),
              DIAG_ERR_NOT_FOUND);
    EXPECT_STREQ(err.message, "the template has no init container called \"c\"");
}

TEST_F(PodTemplate, NamesWhatIsWrong) {
    const char *const cases[][2] = {
        {"[1]", "the pod: is not an object"},
        {"{spec: [1]}", "spec: is not an object"},
        {"{metadata: x}", "metadata: is not an object"},
        {"{status: {}}", "cannot inject the field \"status\""},
        {"{metadata: {labels: {a: b}}}", "cannot inject the field \"labels\""},
        {"{metadata: {annotations: [a]}}", "metadata.annotations: is not an object"},
        {"{metadata: {annotations: {a: 1}}}", "\"a\" is not a text"},
        {"{spec: {hostNetwork: true}}",
         "spec: the webhook cannot inject the field \"hostNetwork\""},
        {"{spec: {volumes: {name: v}}}", "spec.volumes: is not a list"},
        {"{spec: {volumes: [{nam: v}]}}", "spec.volumes[0]: not an object with a name"},
        {"{spec: {volumes: [{name: v}, {name: v}]}}", "spec.volumes: name \"v\" twice"},
        {"{spec: {initContainers: [x]}}", "spec.initContainers[0]: not an object with a name"},
        {"{spec: {containers: []}}", "spec.containers: is not a list of one"},
        {"{spec: {containers: [{name: a}, {name: b}]}}", "spec.containers: is not a list of one"},
        {"{spec: {containers: [{name: a, image: i}]}}", "cannot inject the field \"image\""},
        {"{spec: {containers: [{volumeMounts: [{name: v}]}]}}",
         "volumeMounts[0]: not an object with a mountPath and a name"},
        {"{spec: {containers: [{env: [{name: PYTHONPATH, valueFrom: {}}]}]}}",
         "PYTHONPATH has no value"},
        {"{spec: {containers: [{env: [{name: PYTHONPATH, value: ''}]}]}}",
         "PYTHONPATH has no value"},
        {"{", "did not find expected node content"},
    };

    for (const auto &c : cases) {
        TearDown();
        SetUp();
        EXPECT_EQ(add(c[0]), DIAG_ERR_INVALID) << c[0];
        EXPECT_NE(std::string(err.message).find(c[1]), std::string::npos) << err.message;
        EXPECT_EQ(std::string(err.message).rfind("f.yaml:", 0), 0u) << err.message;
    }
}

TEST_F(PodTemplate, IsReadFromFiles) {
    std::string path = testing::TempDir() + "/pod.yaml";
    FILE *file = fopen(path.c_str(), "w");

    fputs("spec: {volumes: [{name: v}]}", file);
    fclose(file);
    EXPECT_EQ(diag_pod_template_add_file(&pod_template, path.c_str(), &err), DIAG_OK);
    EXPECT_EQ(dump(pod_template.volumes), "[{'name':'v'}]");
    EXPECT_EQ(diag_pod_template_add_file(&pod_template, "/nowhere", &err), DIAG_ERR_IO);
    EXPECT_NE(std::string(err.message).find("/nowhere"), std::string::npos);
    EXPECT_EQ(diag_pod_template_add_file(&pod_template, "/", &err), DIAG_ERR_IO);
    EXPECT_EQ(diag_pod_template_add_file(&pod_template, "/dev/zero", &err), DIAG_ERR_INVALID);
}

} // namespace
