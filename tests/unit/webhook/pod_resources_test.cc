// SPDX-License-Identifier: MIT
#include "deploy/webhook/pod_resources.h"

#include "tests/unit/webhook/json_testing.h"

namespace {

// What is injected asks for 20 together, or 10 at its start, and has a limit of 128Mi.
const char *const INJECTED =
    "[{'name':'inject','resources':{'requests':{'cpu':'10m','memory':'16Mi'},"
    "'limits':{'memory':'64Mi'}}},"
    "{'name':'sidecar','restartPolicy':'Always','resources':{'requests':{'cpu':'10m',"
    "'memory':'32Mi'},'limits':{'memory':'128Mi'}}}]";

std::string resources(const std::string &requests, const std::string &limits = "") {
    return "'resources':{'requests':{" + requests + "},'limits':{" + limits + "}}";
}

std::string container(const std::string &requests, const std::string &more = "") {
    return "{'name':'c'," + resources(requests) + more + "}";
}

enum diag_status check(const std::string &spec, struct diag_error *err) {
    return diag_pod_resources_check(parse(spec).get(), parse(INJECTED).get(), err);
}

TEST(PodResources, HaveRoom) {
    const std::string app = container("'cpu':'500m','memory':'64Mi'");
    const std::string cases[] = {
        "{'containers':[" + app + "]}",
        "{'resources':null,'containers':[" + app + "]}",
        "{'resources':{},'containers':[" + app + "]}",
        "{" + resources("'cpu':'510m','memory':'96Mi'", "'cpu':'1','memory':'128Mi'") +
            ",'containers':[" + app + "]}",
        "{" + resources("'cpu':'1','memory':'1Gi'") + ",'containers':[{'name':'c'}]}",
        // an init container of its own that needs more than all that comes after it
        "{" + resources("'cpu':'2.01'") + ",'initContainers':[" + container("'cpu':'2'") +
            "],'containers':[" + app + "]}",
        // what is there already is not added
        "{" + resources("'cpu':'1m','memory':'1'") +
            ",'initContainers':[{'name':'inject'}],'containers':[{'name':'c'},"
            "{'name':'sidecar'}]}",
        // of no concern: what an API server does not compare
        "{" + resources("'ephemeral-storage':'1'") + ",'containers':[" + app + "]}",
    };

    for (const std::string &spec : cases) {
        struct diag_error err = {};
        EXPECT_EQ(check(spec, &err), DIAG_OK) << spec << ": " << err.message;
    }
    EXPECT_EQ(diag_pod_resources_check(nullptr, nullptr, nullptr), DIAG_OK);
}

TEST(PodResources, HaveNone) {
    const std::string app = container("'cpu':'500m','memory':'64Mi'");
    const char *const none = "leaves no room for the injected containers";
    const char *const unknown = "cannot be compared";
    const struct {
        std::string spec, field, reason;
    } cases[] = {
        // what API servers make of a pod that has limits: its containers' requests
        {"{" + resources("'cpu':'500m','memory':'64Mi'", "'cpu':'1','memory':'1Gi'") +
             ",'containers':[" + app + "]}",
         "requests.cpu", none},
        {"{" + resources("'cpu':'509m'") + ",'containers':[" + app + "]}", "requests.cpu", none},
        {"{" + resources("'memory':'95Mi'") + ",'containers':[" + app + "]}", "requests.memory",
         none},
        {"{" + resources("", "'memory':'127Mi'") + ",'containers':[" + app + "]}", "limits.memory",
         none},
        {"{" + resources("'cpu':'1'") + ",'containers':[" + app + "," + app + "]}", "requests.cpu",
         none},
        // a container without a request has its limit as one
        {"{" + resources("'cpu':'500m'") +
             ",'containers':[{'name':'c','resources':{'limits':{'cpu':'495m'}}}]}",
         "requests.cpu", none},
        // its own init container runs beside the sidecar
        {"{" + resources("'cpu':'2'") + ",'initContainers':[" + container("'cpu':'2'") +
             "],'containers':[" + app + "]}",
         "requests.cpu", none},
        {"{" + resources("'cpu':'1'") + ",'initContainers':[" +
             container("'cpu':'495m'", ",'restartPolicy':'Always'") + "],'containers':[" + app +
             "]}",
         "requests.cpu", none},
        {"{" + resources("'cpu':'1e3'") + ",'containers':[" + app + "]}", "requests.cpu", unknown},
        {"{" + resources("", "'memory':['1Gi']") + ",'containers':[" + app + "]}", "limits.memory",
         unknown},
        {"{" + resources("'cpu':'1'") + ",'containers':[" + container("'cpu':'1u'") + "]}",
         "requests.cpu", unknown},
        {"{" + resources("'cpu':'1'") + ",'containers':[" + container("'cpu':'9000000000000k'") +
             "," + container("'cpu':'9000000000000k'") + "]}",
         "requests.cpu", unknown},
    };

    for (const auto &c : cases) {
        struct diag_error err = {};
        EXPECT_EQ(check(c.spec, &err), DIAG_ERR_UNSUPPORTED) << c.spec;
        EXPECT_NE(std::string(err.message).find("spec.resources." + c.field + " " + c.reason),
                  std::string::npos)
            << c.spec << ": " << err.message;
    }
}

} // namespace
