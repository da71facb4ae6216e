# SPDX-License-Identifier: MIT
"""diagnose-webhook over real HTTPS, with the template that the Kustomize component uses: a table of
AdmissionReviews, each patch applied by an implementation of RFC 6902 that is not ours."""
import copy
import json
import os
import re
import signal
import socket
import ssl
import threading
import time

import pytest
import yaml

import manifests
import restricted
from webhook_testing import (TEMPLATES, WEBHOOK, EventServer, Program, Webhook, eventually, review,
                             wait_for_log)

BOOTSTRAP = "/opt/diagnose/diagnose/_bootstrap"


def load(path):
    with open(path) as file:
        return yaml.safe_load(file)


POD_TEMPLATE = load(TEMPLATES[0])["spec"]["template"]
CONTAINER_TEMPLATE = load(TEMPLATES[1])["template"]["spec"]["containers"][0]


@pytest.fixture(scope="module")
def webhook():
    with Webhook() as webhook:
        yield webhook


def pod(annotations=None, name="shop", **spec):
    """What an API server sends of a Deployment's pod, with the defaults that it has set."""
    full = {
        "containers": [container("web")],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "securityContext": {},
        "volumes": [{"name": "kube-api-access", "projected": {"sources": []}}],
    }
    full.update(spec)
    metadata = {"annotations": {"diagnose.dev/inject": "true"}, "labels": {"app": "shop"}}
    metadata["annotations"].update(annotations or {})
    if name:
        metadata["name"] = name
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": full, "status": {}}


def container(name, **more):
    return dict({"name": name, "image": "shop:1", "resources": {}, "volumeMounts": [
        {"name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"},
    ]}, **more)


def owned(annotations=None, **spec):
    """A pod of a Deployment, which has no name yet."""
    made = pod(annotations, name=None, **spec)
    made["metadata"].update({
        "generateName": "shop-6c5f8b7d9-",
        "labels": {"app": "shop", "pod-template-hash": "6c5f8b7d9"},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "controller": True,
                             "name": "shop-6c5f8b7d9", "uid": "8f6d"}],
    })
    return made


def env_of(container):
    """Name to value or valueFrom; names come once."""
    env = container.get("env", [])
    assert len({variable["name"] for variable in env}) == len(env)
    return {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in env}


def check_pod(before, after, chosen, python_path=None, workload=""):
    """That `after` is `before` and the template's, and nothing else."""
    spec = after["spec"]
    names = [c["name"] for c in spec["initContainers"]]
    assert names == (["diagnose-inject", "diagnose-sidecar"]
                     + [c["name"] for c in before["spec"].get("initContainers") or []])
    all_names = names + [c["name"] for c in spec["containers"]]
    assert len(set(all_names)) == len(all_names)
    volumes = [v["name"] for v in spec["volumes"]]
    assert len(set(volumes)) == len(volumes)
    sidecar = spec["initContainers"][1]
    assert sidecar["restartPolicy"] == "Always" and "startupProbe" in sidecar
    assert env_of(sidecar)["DIAGNOSE_CONTAINER"] == chosen[0]
    assert env_of(sidecar)["DIAGNOSE_WORKLOAD"] == workload
    for injected in spec["initContainers"][:2]:
        check_restricted(injected)
    for c in spec["initContainers"] + spec["containers"]:
        paths = [mount["mountPath"] for mount in c.get("volumeMounts", [])]
        assert len(set(paths)) == len(paths)
        assert {mount["name"] for mount in c.get("volumeMounts", [])} <= set(volumes)
        expanded = {name for text in c.get("args", []) for name in re.findall(r"\$\((\w+)\)", text)}
        if c["name"].startswith("diagnose-"):
            assert expanded <= set(env_of(c))
    assert after["metadata"]["annotations"]["diagnose.dev/injected"]
    for c in spec["containers"]:
        if c["name"] in chosen:
            env = env_of(c)
            assert env["PYTHONPATH"] == (python_path or BOOTSTRAP)
            assert env["DIAGNOSE_SOCKET"] == "/run/diagnose/diagnose.sock"
            assert env["DIAGNOSE_CONTAINER"] == c["name"]
            mounts = {m["mountPath"]: m for m in c["volumeMounts"]}
            assert mounts["/opt/diagnose"]["readOnly"] is True
            assert "/run/diagnose" in mounts
    assert without_ours(after, chosen, before) == without_ours(before, chosen, before)


def check_restricted(container):
    """What the restricted Pod Security Standard wants of a container."""
    context = container["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["runAsNonRoot"] is True and context["runAsUser"] > 0
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert context["readOnlyRootFilesystem"] is True
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    assert "memory" in container["resources"]["limits"]


def without_ours(pod, chosen, before):
    """The pod less what the template brings, and less the PYTHONPATH of the chosen containers."""
    pod = copy.deepcopy(pod)
    spec = pod["spec"]
    ours = {v["name"] for v in POD_TEMPLATE["spec"]["volumes"]}
    pod["metadata"]["annotations"].pop("diagnose.dev/injected", None)
    spec["volumes"] = [v for v in spec.get("volumes") or [] if v["name"] not in ours]
    spec["initContainers"] = [c for c in spec.get("initContainers") or []
                              if not c["name"].startswith("diagnose-")]
    ours = {variable["name"] for variable in CONTAINER_TEMPLATE["env"]}
    for c in spec["containers"]:
        if c["name"] in chosen:
            c["env"] = [v for v in c.get("env") or [] if v["name"] not in ours]
            c["volumeMounts"] = [m for m in c.get("volumeMounts") or []
                                 if m["mountPath"] not in ("/opt/diagnose", "/run/diagnose")]
    return pod


# ---- pods that are injected ----

MANY = {"name": "worker", "image": "w:1", "env": [{"name": "A", "value": "1"}]}
INJECTED = [
    ("plain", pod(), ["web"], {}),
    ("no volumes and mounts", pod(volumes=None, containers=[{"name": "web", "image": "i"}]),
     ["web"], {}),
    ("of a Deployment", owned(), ["web"], {"workload": "shop"}),
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


def unannotated():
    made = pod()
    del made["metadata"]["annotations"]
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


# ---- sizes ----

def test_an_object_of_3_mb(webhook):
    large = pod({"large": "x" * (3 << 20)})
    after, warnings = webhook.inject(large)
    assert warnings == []
    check_pod(large, after, ["web"])
    many = pod(containers=[container("web", env=[
        {"name": "VARIABLE_%d" % i, "value": "value-%d" % i} for i in range(60000)])])
    assert 2 << 20 < len(json.dumps(review(many))) < 4 << 20
    after, warnings = webhook.inject(many)
    assert len(after["spec"]["containers"][0]["env"]) > 60000


def memory_kib(webhook, key):
    with open("/proc/%d/status" % webhook.program.pid) as file:
        return int(re.search(key + r":\s+(\d+) kB", file.read()).group(1))


def is_sanitized(webhook):
    """What sanitizers keep counts as memory, too."""
    with open("/proc/%d/maps" % webhook.program.pid) as file:
        return "san.so" in file.read()


def test_too_large(webhook):
    before = memory_kib(webhook, "VmHWM")
    for size in ((4 << 20) + 1, 8 << 20, 20 << 20):
        status, headers, text = webhook.post(b" " * size)
        assert status == 413 and b"over 4 MiB" in text
    # small as text, large as JSON
    status, headers, text = webhook.post(b"[" + b"[]," * 1000000 + b"[]]")
    assert status == 413 and b"memory" in text
    if not is_sanitized(webhook):
        assert memory_kib(webhook, "VmHWM") - before < 20 << 10
    webhook.inject(pod())


def test_too_large_in_chunks(webhook):
    connection = webhook.connect()
    connection.request("POST", "/mutate", (b" " * 65536 for _ in range(100)),
                       {"Content-Type": "application/json"}, encode_chunked=True)
    response = connection.getresponse()
    assert response.status == 413 and b"over 4 MiB" in response.read()
    connection.close()


def test_too_large_is_said_before_the_body_is_sent(webhook):
    with webhook.context().wrap_socket(socket.create_connection(("localhost", webhook.port)),
                                       server_hostname="localhost") as client:
        client.sendall(b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                       b"Content-Length: 5000000\r\nExpect: 100-continue\r\n\r\n")
        client.settimeout(10)
        assert client.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_bodies_have_a_limit_together(webhook):
    """Of all connections; what has come of those that are refused is given back."""
    size = 4 << 20
    connections = [webhook.connect() for _ in range(12)]
    for connection in connections:
        connection.putrequest("POST", "/mutate")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        connection.send(b" " * (size - 1))
    after, warnings = webhook.inject(pod({"large": "x" * 100000}))
    assert "initContainers" in after["spec"], "there is room again when some were refused"
    statuses = []
    for connection in connections:
        connection.send(b" ")
        response = connection.getresponse()
        statuses.append(response.status)
        response.read()
        connection.close()
    assert set(statuses) == {400, 503} and statuses.count(400) >= 7


# ---- HTTP ----

def test_other_requests(webhook):
    for method, path, headers, status in (
            ("GET", "/healthz", {}, 200), ("HEAD", "/readyz", {}, 200), ("GET", "/readyz", {}, 200),
            ("GET", "/", {}, 404), ("POST", "/mutate/", {}, 404), ("GET", "/mutate", {}, 405),
            ("POST", "/healthz", {}, 405), ("PUT", "/mutate", {}, 405), ("POST", "/mutate", {}, 415),
            ("POST", "/mutate", {"Content-Type": "text/plain"}, 415),
            ("POST", "/mutate", {"Content-Type": "application/jsonp"}, 415)):
        got = webhook.request(method, path, b"{}" if method in ("POST", "PUT") else None, headers)
        assert got[0] == status, (method, path, got)
        assert (got[1]["Allow"] is not None) == (status == 405)
    body = json.dumps(review(pod()))
    for kind in ("application/json; charset=utf-8", "Application/JSON"):
        assert webhook.request("POST", "/mutate", body, {"Content-Type": kind})[0] == 200
    # API servers tell how long they will wait
    status, _, text = webhook.request("POST", "/mutate?timeout=3s", body,
                                      {"Content-Type": "application/json"})
    assert status == 200 and b"JSONPatch" in text


def test_connections_are_kept(webhook):
    connection = webhook.connect()
    connection.connect()
    first = connection.sock
    for _ in range(20):
        connection.request("POST", "/mutate", json.dumps(review(pod())),
                           {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert response.status == 200 and response.read()
        assert connection.sock is first
    connection.close()


def test_many_at_once(webhook):
    errors = []

    def run(index):
        try:
            before = pod({"number": str(index), "large": "x" * (index % 4 << 18)})
            for _ in range(5):
                after, warnings = webhook.inject(before)
                assert warnings == [] and after["metadata"]["annotations"]["number"] == str(index)
        except Exception as error:  # noqa: B902
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1")
def test_only_https_of_today(webhook):
    with socket.create_connection(("localhost", webhook.port)) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        client.settimeout(10)
        assert not client.recv(1000).startswith(b"HTTP")
    context = webhook.context()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(socket.create_connection(("localhost", webhook.port)),
                            server_hostname="localhost")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = webhook.context()
        context.minimum_version = context.maximum_version = version
        with context.wrap_socket(socket.create_connection(("localhost", webhook.port)),
                                 server_hostname="localhost") as client:
            assert client.version() == version.name.replace("_", ".")


# ---- slow clients ----

def drip(client, data, seconds):
    """Sends a byte now and then; how long until the server ends it, or None."""
    started = time.monotonic()
    client.settimeout(0.1)
    for byte in data:
        try:
            client.send(bytes([byte]))
            if client.recv(1) == b"":
                return time.monotonic() - started
        except TimeoutError:
            pass
        except OSError:
            return time.monotonic() - started
        if time.monotonic() - started > seconds:
            return None
    return None


HEAD = b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def test_slow_requests_are_ended():
    with Webhook("--request-timeout=2", "--idle-timeout=30") as webhook:
        def open_client():
            return webhook.context().wrap_socket(
                socket.create_connection(("localhost", webhook.port)), server_hostname="localhost")

        def ask_health(client):
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"ok\n"):
                answer += client.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200")

        # the head, the body, and a second request on a connection that has waited
        with open_client() as client:
            assert 1 < drip(client, HEAD + b"X: " + b"y" * 1000, 10) < 6
        with open_client() as client:
            client.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
            assert 1 < drip(client, b" " * 1000, 10) < 6
        with open_client() as client:
            ask_health(client)
            time.sleep(3)  # longer than a request may take
            ask_health(client)
            assert 1 < drip(client, HEAD + b"X: " + b"y" * 1000, 10) < 6
        # a handshake that does not go on
        with socket.create_connection(("localhost", webhook.port)) as client:
            assert 1 < drip(client, b"\x16\x03\x01\x02\x00" + b"\x00" * 1000, 10) < 6


def test_slow_clients_do_not_keep_others_out():
    with Webhook("--request-timeout=2", "--max-connections=8") as webhook:
        clients = [socket.create_connection(("localhost", webhook.port)) for _ in range(20)]
        # they have all places until their time is over
        after, warnings = webhook.inject(pod())
        assert warnings == [] and "initContainers" in after["spec"]
        for client in clients:
            client.close()


# ---- certificates ----

def serial_of(webhook, context):
    with context.wrap_socket(socket.create_connection(("localhost", webhook.port)),
                             server_hostname="localhost") as client:
        return client.getpeercert()["serialNumber"]


def test_certificates_are_read_again():
    with Webhook() as webhook, Webhook() as other:
        first = serial_of(webhook, webhook.context())
        assert first == serial_of(webhook, webhook.context())
        kept = webhook.connect()
        kept.request("GET", "/healthz")
        assert kept.getresponse().read() == b"ok\n"
        for name in ("server.pem", "server.key"):  # the key follows a little later
            os.rename(os.path.join(other.tls, name), os.path.join(webhook.tls, name))
            if name == "server.pem":
                wait_for_log(webhook, "the certificate stays the old one")
                assert serial_of(webhook, webhook.context()) == first
        wait_for_log(webhook, "new certificate")
        assert serial_of(webhook, other.context()) != first
        with pytest.raises(ssl.SSLError):
            serial_of(webhook, webhook.context())
        kept.request("GET", "/healthz")  # what was connected before goes on
        assert kept.getresponse().read() == b"ok\n"
        kept.close()


# ---- the end ----

def test_sigterm_drains():
    with Webhook("--stop-delay=2") as webhook:
        body = json.dumps(review(pod())).encode()
        slow = webhook.connect()
        slow.putrequest("POST", "/mutate")
        slow.putheader("Content-Type", "application/json")
        slow.putheader("Content-Length", str(len(body)))
        slow.endheaders()
        slow.send(body[:10])
        idle = webhook.connect()
        idle.connect()
        webhook.program.process.send_signal(signal.SIGTERM)
        wait_for_log(webhook, "stopping in 2 s")
        # not ready, but still serving, and asking clients to connect elsewhere
        status, headers, text = webhook.request("GET", "/readyz")
        assert status == 503 and text == b"stopping\n"
        assert webhook.request("GET", "/healthz")[0] == 200
        status, headers, text = webhook.post(body)
        assert status == 200 and headers["Connection"].lower() == "close"

        def is_closed():
            try:
                socket.create_connection(("localhost", webhook.port), 1).close()
                return False
            except OSError:
                return True

        eventually(is_closed, what="no new connections")
        assert webhook.program.is_running()
        slow.send(body[10:])
        answer = json.loads(slow.getresponse().read())
        assert "patch" in answer["response"]
        assert webhook.program.process.wait(10) == 0


def test_a_second_signal_hurries():
    with Webhook("--stop-delay=60") as webhook:
        webhook.program.process.send_signal(signal.SIGTERM)
        wait_for_log(webhook, "stopping in 60 s")
        webhook.program.process.send_signal(signal.SIGINT)
        assert webhook.program.process.wait(10) == 0


# ---- events ----

@pytest.fixture
def events(tmp_path):
    server = EventServer(str(tmp_path))
    yield server
    server.close()


def test_events(events):
    with Webhook(*events.flags(), env=events.env()) as webhook:
        _, warnings = webhook.inject(owned({"diagnose.dev/containers": "x"}))
        path, headers, event = events.requests.get(timeout=10)
        assert path == "/apis/events.k8s.io/v1/namespaces/shop/events"
        assert headers["Authorization"] == "Bearer token-1"
        assert headers["Content-Type"] == "application/json"
        assert event["apiVersion"] == "events.k8s.io/v1" and event["kind"] == "Event"
        assert event["metadata"]["namespace"] == "shop" and event["metadata"]["generateName"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event["eventTime"])
        assert event["type"] == "Warning" and event["reason"] == "NotInstrumented"
        assert event["action"] and event["reportingController"]
        assert event["reportingInstance"] == socket.gethostname()[:128]
        assert "diagnose: not instrumented: " + event["note"] == warnings[0]
        assert event["regarding"] == {"apiVersion": "apps/v1", "kind": "ReplicaSet", "uid": "8f6d",
                                      "name": "shop-6c5f8b7d9", "namespace": "shop"}
        # the kubelet has renewed the token; the pod has a name; the same again is not told
        events.write_token("token-2")
        webhook.inject(owned({"diagnose.dev/containers": "x"}))
        webhook.inject(pod({"diagnose.dev/containers": "x"}), dryRun=True)
        webhook.inject(pod())
        webhook.inject(unannotated())
        webhook.inject(pod({"diagnose.dev/containers": "y"}))
        _, headers, event = events.requests.get(timeout=10)
        assert headers["Authorization"] == "Bearer token-2"
        assert event["regarding"]["kind"] == "Pod" and event["regarding"]["name"] == "shop"
        assert '"y"' in event["note"]
        assert events.requests.empty()


def test_events_hold_the_schema(events):
    with Webhook(*events.flags(), env=events.env()) as webhook:
        posted = []
        for made in (pod({"diagnose.dev/containers": "x"}), owned({"diagnose.dev/containers": "x"}),
                     pod({"diagnose.dev/containers": "x"}, name=None)):
            webhook.inject(made)
            posted.append(events.requests.get(timeout=10)[2])
    assert manifests.schema_errors(posted) == [[], [], []]


def test_events_are_tried_again(events):
    events.answers[:] = [503, 429, 201]
    with Webhook(*events.flags(), "--log-level=debug", env=events.env()) as webhook:
        webhook.inject(pod({"diagnose.dev/containers": "x"}))
        for _ in range(3):
            events.requests.get(timeout=10)
        wait_for_log(webhook, " posted: event about Pod shop/shop")
        events.answers[:] = [403]
        webhook.inject(pod({"diagnose.dev/containers": "y"}))
        wait_for_log(webhook, 'not posted: event about Pod shop/shop')
        assert 'HTTP 403: {"kind":"Status","message":"answer"}' in webhook.program.log()


def test_events_never_delay_an_answer(tmp_path):
    stalled = EventServer(str(tmp_path), stalls=True)
    try:
        with Webhook(*stalled.flags(), env=stalled.env()) as webhook:
            webhook.inject(pod({"diagnose.dev/containers": "first"}))
            stalled.requests.get(timeout=10)  # it is being posted, and that takes long
            started = time.monotonic()
            for i in range(100):
                webhook.inject(pod({"diagnose.dev/containers": "x%d" % i}))
            assert time.monotonic() - started < 5 < 100 * 5  # a post takes 5 s to give up
            wait_for_log(webhook, "too many are waiting")
            stalled.requests.get(timeout=20)  # the second attempt has just begun
            started = time.monotonic()
            assert webhook.program.stop(20) == 0
            assert time.monotonic() - started < 4
            assert webhook.program.log().count("stopping\n") > 50
    finally:
        stalled.close()


def test_events_only_to_the_clusters_api_server(events, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    other = EventServer(str(folder))
    try:
        # a server whose certificate another authority has signed
        with Webhook(*events.flags(), env=other.env()) as webhook:
            webhook.inject(pod({"diagnose.dev/containers": "x"}))
            wait_for_log(webhook, "not posted: ", timeout=20)
            assert other.requests.empty()
    finally:
        other.close()


def test_without_a_cluster_there_are_no_events(events):
    with Webhook() as webhook:
        assert "no events: not in a cluster" in webhook.program.log()
        assert webhook.inject(pod({"diagnose.dev/containers": "x"}))[1]
    with Webhook("--no-events", *events.flags(), env=events.env()) as webhook:
        assert webhook.inject(pod({"diagnose.dev/containers": "x"}))[1]
    assert events.requests.empty()


# ---- starting ----

def test_bad_starts(tmp_path, webhook):
    tls = ["--tls-cert=" + os.path.join(webhook.tls, "server.pem"),
           "--tls-key=" + os.path.join(webhook.tls, "server.key")]
    template = ["--template=" + path for path in TEMPLATES]
    bad = tmp_path / "bad.yaml"
    bad.write_text("spec:\n  hostNetwork: true\n")
    for number, (flags, code, message) in enumerate((
            ([], 2, "--tls-cert and --tls-key are required"),
            (tls, 2, "--template is required"),
            (tls + ["--template=/nowhere"], 1, "--template: /nowhere: No such file"),
            (tls + ["--template=%s" % bad], 1,
             "%s: spec: the webhook cannot inject the field \"hostNetwork\"" % bad),
            (tls + template + ["--image=nobody=i"], 1, "no init container called \"nobody\""),
            (tls + template + ["--listen=localhost"], 1, "--listen: \"localhost\" is not HOST:PORT"),
            (tls + template + ["--listen=127.0.0.1:%d" % webhook.port], 1, "Address already in use"),
            (tls[:1] + ["--tls-key=" + os.path.join(webhook.tls, "client.key")] + template, 1,
             "is not the key of"),
            (["--tls-cert=/nowhere", tls[1]] + template, 1, "/nowhere: No such file"))):
        program = Program("webhook", [WEBHOOK] + flags, str(tmp_path / ("log%d" % number)))
        assert program.process.wait(10) == code, flags
        assert message in program.log()


def test_image_flag():
    with Webhook("--image=diagnose-sidecar=registry.example.com/s@sha256:00") as webhook:
        after, _ = webhook.inject(pod())
        images = [c["image"] for c in after["spec"]["initContainers"]]
        assert images == [POD_TEMPLATE["spec"]["initContainers"][0]["image"],
                          "registry.example.com/s@sha256:00"]
