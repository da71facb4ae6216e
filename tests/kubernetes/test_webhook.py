# SPDX-License-Identifier: MIT
"""What diagnose-webhook makes of a review, over real HTTPS and with the template that the Kustomize
component uses: a table of AdmissionReviews, each patch applied by an implementation of RFC 6902 that
is not ours."""
import copy
import json

import pytest

import manifests
import restricted
from webhook_pods import (BOOTSTRAP, LOCAL_VOLUMES, check_pod, container, env_of, of_job, owned, pod,
                          required_affinity, unannotated)
from webhook_testing import review

# ---- pods that are injected ----

MANY = {"name": "worker", "image": "w:1", "env": [{"name": "A", "value": "1"}]}
INJECTED = [
    ("plain", pod(), ["web"], {}),
    ("no volumes and mounts", pod(volumes=None, containers=[{"name": "web", "image": "i"}]),
     ["web"], {}),
    ("of a Deployment", owned(), ["web"], {"workload": "shop"}),
    ("of a CronJob", of_job("report-29383920"), ["web"], {"workload": "report"}),
    ("of a Job", of_job("report-7"), ["web"], {"workload": "report-7"}),
    ("another container first", pod({"diagnose.dev/containers": "web"},
                                    containers=[container("mesh"), container("web")]), ["web"], {}),
    ("the first by default", pod(containers=[container("mesh"), container("web")]), ["mesh"], {}),
    ("several containers", pod({"diagnose.dev/containers": "web, worker"},
                               containers=[container("mesh"), container("web"), MANY]),
     ["web", "worker"], {}),
    ("several in another order", pod({"diagnose.dev/containers": "worker,web"},
                                     containers=[container("web"), MANY]), ["worker", "web"], {}),
    ("init containers", pod(initContainers=[container("migrate"), container("mesh-proxy",
                                                                           restartPolicy="Always")]),
     ["web"], {}),
    ("env", pod(containers=[container("web", env=[
        {"name": "A", "value": "1"},
        {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}])]), ["web"], {}),
    ("PYTHONPATH", pod(containers=[container("web", env=[
        {"name": "PYTHONPATH", "value": "/app:/lib"}, {"name": "Z", "value": "$(PYTHONPATH)"}])]),
     ["web"], {"python_path": BOOTSTRAP + ":/app:/lib"}),
    ("PYTHONPATH with ours behind another", pod(containers=[container("web", env=[
        {"name": "PYTHONPATH", "value": "/otel:" + BOOTSTRAP + ":/app"}])]),
     ["web"], {"python_path": BOOTSTRAP + ":/otel:/app"}),
    ("empty PYTHONPATH and envFrom", pod(containers=[container(
        "web", env=[{"name": "PYTHONPATH", "value": ""}],
        envFrom=[{"configMapRef": {"name": "c"}}])]), ["web"], {}),
    ("envFrom with a prefix", pod(containers=[container(
        "web", envFrom=[{"prefix": "APP_", "configMapRef": {"name": "c"}}])]), ["web"], {}),
    ("envFrom of another container", pod(
        {"diagnose.dev/containers": "web"},
        containers=[container("mesh", envFrom=[{"secretRef": {"name": "s"}}]), container("web")]),
     ["web"], {}),
    ("Python hint", pod({"diagnose.dev/python": "3.12"}), ["web"], {}),
    ("for Linux", pod(nodeSelector={"kubernetes.io/os": "linux"}, os={"name": "linux"}), ["web"], {}),
    ("for several architectures", pod(affinity=required_affinity(
        {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
        {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64", "arm64"]})), ["web"], {}),
    ("resources with room", pod(
        resources={"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
        containers=[container("web", resources={"requests": {"cpu": "500m"}})]), ["web"], {}),
    ("volumes that may go", pod({LOCAL_VOLUMES: "cache"},
                                volumes=[{"name": "cache", "emptyDir": {}},
                                         {"name": "kube-api-access", "emptyDir": {}}]),
     ["web"], {}),
    ("annotations with signs", pod({"a/b~c": "~1/", "": "x"}), ["web"], {}),
    ("not ASCII", pod({"note": "r\u00e9sum\u00e9 \U0001f40d \u0000 \"\\"}), ["web"], {}),
]


@pytest.mark.parametrize("before,chosen,more", [case[1:] for case in INJECTED],
                         ids=[case[0] for case in INJECTED])
def test_injected(webhook, before, chosen, more):
    after, warnings = webhook.inject(before)
    assert warnings == []
    check_pod(before, after, chosen, **more)
    again, warnings = webhook.inject(after)
    assert again is after and warnings == [], "a patch of a patched pod"


def test_injected_pods_hold_the_schema(webhook):
    """The API's, and those of valid pods without unknown fields."""
    pods = [before for _, before, _, _ in INJECTED]
    are_valid = [errors == [] for errors in manifests.schema_errors(pods)]
    assert are_valid.count(True) > len(pods) / 2
    injected = [webhook.inject(before)[0] for before in pods]
    for (name, *_), errors, is_valid in zip(INJECTED, manifests.schema_errors(injected), are_valid):
        assert errors == [] or not is_valid, name


def test_a_restricted_pod_stays_restricted(webhook):
    made = pod(securityContext={"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
               containers=[container("web", securityContext={
                   "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}})])
    assert restricted.violations(made) == []
    after, _ = webhook.inject(made)
    assert after is not made and restricted.violations(after) == []


def test_only_what_is_missing_is_added(webhook):
    whole, _ = webhook.inject(pod())
    for take in (lambda p: p["spec"]["initContainers"].pop(0),
                 lambda p: p["spec"]["initContainers"].pop(1),
                 lambda p: p["spec"]["volumes"].pop(1),
                 lambda p: p["spec"]["containers"][0].pop("env"),
                 lambda p: p["spec"]["containers"][0]["volumeMounts"].pop(1)):
        part = copy.deepcopy(whole)
        take(part)
        again, _ = webhook.inject(part)
        assert again != part
        for one, other in ((again, whole), (whole, again)):
            assert [c["name"] for c in one["spec"]["initContainers"]] == [
                c["name"] for c in other["spec"]["initContainers"]]
            assert all(v in other["spec"]["volumes"] for v in one["spec"]["volumes"])
            assert env_of(one["spec"]["containers"][0]) == env_of(other["spec"]["containers"][0])


def test_a_pod_that_another_webhook_changed_since_is_left(webhook):
    whole, _ = webhook.inject(pod())
    whole["spec"]["containers"].insert(0, container("mesh"))
    whole["spec"]["initContainers"].insert(0, container("mesh-init"))
    again, warnings = webhook.inject(whole)
    assert again is whole and warnings == []


# ---- what is left as it is ----

def annotated(value):
    made = pod()
    made["metadata"]["annotations"]["diagnose.dev/inject"] = value
    return made


DEPLOYMENT = {"group": "apps", "version": "v1", "kind": "Deployment"}
LEFT = [
    ("not annotated", unannotated(), {}),
    ("annotated false", annotated("false"), {}),
    ("a Deployment", pod(), {"kind": DEPLOYMENT}),
    ("another group's Pod", pod(), {"kind": {"group": "x", "version": "v1", "kind": "Pod"}}),
    ("an update", pod(), {"operation": "UPDATE"}),
    ("a deletion", None, {"operation": "DELETE", "oldObject": pod()}),
    ("a subresource", pod(), {"subResource": "ephemeralcontainers"}),
    ("no object", None, {}),
    ("a text for an object", "pod", {}),
    ("a list for an object", [], {}),
    ("metadata as text", dict(pod(), metadata="x"), {}),
    ("annotations as a list", dict(pod(), metadata={"annotations": ["diagnose.dev/inject"]}), {}),
    ("kind as text", pod(), {"kind": "Pod"}),
    ("operation as number", pod(), {"operation": 1}),
]


@pytest.mark.parametrize("before,request_more", [case[1:] for case in LEFT],
                         ids=[case[0] for case in LEFT])
def test_left_alone(webhook, before, request_more):
    after, warnings = webhook.inject(before, **request_more)
    assert after is before and warnings == []


def with_env(**variable):
    return pod(containers=[container("web", env=[dict(name="PYTHONPATH", **variable)])])


REFUSED = [
    ("unknown annotation value", annotated("yes"), 'diagnose.dev/inject: "yes" is neither'),
    ("annotation in capitals", annotated("True"), "is neither"),
    ("annotation as bool", annotated(True), "is neither"),
    ("PYTHONPATH by valueFrom", with_env(valueFrom={"configMapKeyRef": {"name": "c", "key": "k"}}),
     'container "web" has PYTHONPATH by valueFrom'),
    ("envFrom", pod(containers=[container("web", envFrom=[{"secretRef": {"name": "s"}}])]),
     'container "web" has envFrom'),
    ("wrong container name", pod({"diagnose.dev/containers": "wbe"}),
     'no container "wbe", only: web'),
    ("init container chosen", pod({"diagnose.dev/containers": "migrate"},
                                  initContainers=[container("migrate")]), 'no container "migrate"'),
    ("no container named", pod({"diagnose.dev/containers": ","}), "names no container"),
    ("wrong Python hint", pod({"diagnose.dev/python": "latest"}), "is not a version"),
    ("Windows by nodeSelector", pod(nodeSelector={"kubernetes.io/os": "windows"}), "windows"),
    ("Windows by the old label", pod(nodeSelector={"beta.kubernetes.io/os": "windows"}), "windows"),
    ("Windows by os", pod(os={"name": "windows"}), "windows"),
    ("another architecture", pod(nodeSelector={"kubernetes.io/arch": "s390x"}), "for s390x nodes"),
    ("another one by the old label", pod(nodeSelector={"beta.kubernetes.io/arch": "s390x"}),
     "for s390x nodes"),
    ("another one by affinity", pod(affinity=required_affinity(
        {"key": "kubernetes.io/arch", "operator": "In", "values": ["s390x"]})), "nodeAffinity"),
    ("Windows by affinity", pod(affinity=required_affinity(
        {"key": "kubernetes.io/os", "operator": "In", "values": ["windows"]})), "nodeAffinity"),
    # what an API server makes of a pod with limits before it asks
    ("resources without room", pod(
        resources={"requests": {"cpu": "500m", "memory": "64Mi"}, "limits": {"cpu": "1"}},
        containers=[container("web", resources={"requests": {"cpu": "500m", "memory": "64Mi"}})]),
     "spec.resources.requests.cpu leaves no room"),
    ("a limit of the pod that is too low", pod(resources={"limits": {"memory": "100Mi"}}),
     "spec.resources.limits.memory leaves no room"),
    ("a mirror pod", pod({"kubernetes.io/config.mirror": "5e8f"}), "static pod's mirror"),
    ("the node's network", pod(hostNetwork=True), "hostNetwork"),
    ("a volume of our name", pod(volumes=[{"name": "diagnose-run", "emptyDir": {}}]),
     'a volume "diagnose-run" of its own'),
    ("a container of our name", pod(initContainers=[container("diagnose-inject")]),
     'a container "diagnose-inject" of its own'),
    ("a mount at our path", pod(containers=[container(
        "web", volumeMounts=[{"name": "kube-api-access", "mountPath": "/run/diagnose"}])]),
     'a volume mount at "/run/diagnose" of its own'),
    ("spec as text", dict(pod(), spec="x"), "spec.containers is not a list"),
    ("no spec", {"metadata": pod()["metadata"]}, "spec.containers is not a list"),
    ("containers as object", pod(containers={"name": "web"}), "spec.containers is not a list"),
    ("container as text", pod(containers=["web"]), "spec.containers[0] has no name"),
    ("env as object", pod(containers=[container("web", env={"A": "1"})]), "env is not a list"),
    ("volumes as text", pod(volumes="x"), "/spec/volumes is not a list"),
]


@pytest.mark.parametrize("before,reason", [case[1:] for case in REFUSED],
                         ids=[case[0] for case in REFUSED])
def test_left_with_a_reason(webhook, before, reason):
    after, warnings = webhook.inject(before)
    assert after is before
    assert len(warnings) == 1 and warnings[0].startswith("diagnose: not instrumented: ")
    assert reason in warnings[0]


def test_other_versions_of_the_review(webhook):
    for version in ("admission.k8s.io/v1beta1", "admission.k8s.io/v2", None, 7):
        asked = dict(review(pod()), apiVersion=version)
        response = webhook.answer(asked)
        assert response["uid"] == asked["request"]["uid"]
        assert "patch" not in response and len(response["warnings"]) == 1
    body = json.loads(webhook.post(dict(review(pod()), apiVersion="admission.k8s.io/v1beta1"))[2])
    assert body["apiVersion"] == "admission.k8s.io/v1beta1"


def test_duplicate_keys(webhook):
    text = json.dumps(review(pod())).replace('"object":', '"object": {}, "object":')
    response = webhook.answer(text)
    assert "patch" not in response and "same key twice" in response["warnings"][0]


# ---- what is no review ----

MALFORMED = {
    "nothing": b"",
    "cut": json.dumps(review(pod())).encode()[:-1],
    "text": b"hello",
    "bytes": bytes(range(256)),
    "not UTF-8": b'{"request": {"uid": "\xff"}}',
    "number": b"7",
    "empty list": b"[]",
    "no request": b"{}",
    "no uid": json.dumps(review(pod(), uid=None)).encode(),
    "uid as number": json.dumps(review(pod(), uid=7)).encode(),
    "empty uid": json.dumps(review(pod(), uid="")).encode(),
    "deep": b'{"a":' + b"[" * 100000 + b"]" * 100000 + b"}",
    "YAML": b"request:\n  uid: x\n",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_malformed(webhook, body):
    status, headers, text = webhook.post(body)
    assert status == 400, text
    assert headers["Content-Type"].startswith("text/plain")
    assert text.startswith((b"not JSON: ", b"not an AdmissionReview: ")) and text.endswith(b"\n")


def test_deep_nesting_within_the_object(webhook):
    deep = []
    for _ in range(200):
        deep = [deep]
    after, warnings = webhook.inject(pod(extra=deep))
    assert warnings == [] and "initContainers" in after["spec"]
