// SPDX-License-Identifier: MIT
#include "deploy/webhook/pod_nodes.h"

#include "tests/unit/webhook/json_testing.h"

namespace {

#if defined(__x86_64__)
const char *const OURS = "amd64", *const OTHER = "arm64";
#else
const char *const OURS = "arm64", *const OTHER = "amd64";
#endif

// OURS and OTHER stand for architectures.
std::string spec_of(std::string text) {
    for (size_t at; (at = text.find("OURS")) != std::string::npos;)
        text.replace(at, 4, OURS);
    for (size_t at; (at = text.find("OTHER")) != std::string::npos;)
        text.replace(at, 5, OTHER);
    return text;
}

std::string affinity_of(const std::string &terms) {
    return spec_of("{'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':"
                   "{'nodeSelectorTerms':" +
                   terms + "}}}}");
}

std::string expressions(const std::string &text) {
    return "{'matchExpressions':[" + text + "]}";
}

std::string expression(const std::string &key, const std::string &operation,
                       const std::string &values) {
    return "{'key':'" + key + "','operator':'" + operation + "','values':[" + values + "]}";
}

TEST(PodNodes, LetsPodsBeThatMayComeToOurs) {
    const std::string other = expression("kubernetes.io/arch", "In", "'OTHER'");
    const std::string cases[] = {
        "{}",
        "null",
        "'text'",
        spec_of("{'os':{'name':'linux'},'nodeSelector':{'kubernetes.io/os':'linux',"
                "'kubernetes.io/arch':'OURS','beta.kubernetes.io/arch':'OURS','disk':'ssd'}}"),
        "{'nodeSelector':['kubernetes.io/arch'],'os':'windows','affinity':'x'}",
        "{'affinity':{'nodeAffinity':{'preferredDuringSchedulingIgnoredDuringExecution':["
        "{'weight':1,'preference':{'matchExpressions':[{'key':'kubernetes.io/arch','operator':"
        "'In','values':['s390x']}]}}]}}}",
        affinity_of("[]"),
        affinity_of("{}"),
        affinity_of("[" + expressions(expression("kubernetes.io/arch", "In", "'OTHER','OURS'")) +
                    "]"),
        affinity_of("[" + expressions(expression("kubernetes.io/arch", "NotIn", "'OTHER'")) + "]"),
        affinity_of("[" + expressions(expression("disk", "In", "'OTHER'")) + "]"),
        affinity_of("[" + expressions(expression("kubernetes.io/arch", "Exists", "")) + "]"),
        // one of the terms is enough
        affinity_of("[" + expressions(other) + "," +
                    expressions(expression("disk", "In", "'ssd'")) + "]"),
        affinity_of("[" + expressions(other) +
                    ",{'matchFields':[{'key':'metadata.name',"
                    "'operator':'In','values':['node-1']}]}]"),
    };

    for (const std::string &spec : cases) {
        struct diag_error err = {};
        EXPECT_EQ(diag_pod_nodes_check(parse(spec).get(), &err), DIAG_OK)
            << spec << ": " << err.message;
    }
    EXPECT_EQ(diag_pod_nodes_check(nullptr, nullptr), DIAG_OK);
}

TEST(PodNodes, StaysOutOfPodsForOtherNodes) {
    const std::string affinity = "the pod's required nodeAffinity rules out nodes with linux on ";
    const struct {
        std::string spec, reason;
    } cases[] = {
        {"{'os':{'name':'windows'}}", "the pod is for windows nodes"},
        {"{'os':{'name':'windows'},'nodeSelector':{'kubernetes.io/os':'linux'}}", "for windows"},
        {"{'os':{'name':'linux'},'nodeSelector':{'kubernetes.io/os':'windows'}}", "for windows"},
        {"{'nodeSelector':{'beta.kubernetes.io/os':'windows'}}", "for windows nodes"},
        {spec_of("{'nodeSelector':{'kubernetes.io/arch':'OTHER'}}"),
         spec_of("the pod is for OTHER nodes; what is injected is for linux on OURS")},
        {spec_of("{'nodeSelector':{'beta.kubernetes.io/arch':'OTHER'}}"),
         spec_of("the pod is for OTHER nodes")},
        {affinity_of("[" + expressions(expression("kubernetes.io/arch", "In", "'OTHER'")) + "]"),
         affinity + OURS},
        {affinity_of("[" + expressions(expression("beta.kubernetes.io/arch", "In", "'s390x'")) +
                     "]"),
         affinity},
        {affinity_of("[" + expressions(expression("kubernetes.io/os", "In", "'windows'")) + "]"),
         affinity},
        {affinity_of("[" + expressions(expression("kubernetes.io/os", "NotIn", "'linux'")) + "]"),
         affinity},
        // all expressions of a term count
        {affinity_of("[" +
                     expressions(expression("disk", "In", "'ssd'") + "," +
                                 expression("kubernetes.io/arch", "In", "'OTHER'")) +
                     "]"),
         affinity},
        // every term excludes us; an empty one matches no node
        {affinity_of("[" + expressions(expression("kubernetes.io/arch", "In", "'OTHER'")) + ",{}," +
                     expressions(expression("kubernetes.io/os", "In", "'windows'")) + "]"),
         affinity},
    };

    for (const auto &c : cases) {
        struct diag_error err = {};
        EXPECT_EQ(diag_pod_nodes_check(parse(c.spec).get(), &err), DIAG_ERR_UNSUPPORTED) << c.spec;
        EXPECT_NE(std::string(err.message).find(c.reason), std::string::npos)
            << err.message << "\nis not: " << c.reason;
    }
}

} // namespace
