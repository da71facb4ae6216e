# SPDX-License-Identifier: MIT
"""What the components of deploy/kubernetes do, whether the programs know the flags that they are given,
and the certificates without cert-manager."""
import base64
import copy
import json
import os
import re
import subprocess

import manifests as m
import pytest
import restricted
import yaml
from overlays import ALL, SHOP, rendered

BIN = os.environ.get("DIAGNOSE_BIN", os.path.join(m.ROOT, "bazel-bin"))


EVICTABLE = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"


def environment(container):
    return {one["name"]: one.get("value") for one in container.get("env", [])}


def test_injection_adds_and_leaves_the_rest():
    plain = m.find(rendered("examples/shop/app"), "Deployment")
    pod = m.pod_template(m.find(rendered("inject"), "Deployment"))
    spec = copy.deepcopy(pod["spec"])
    assert [c["name"] for c in spec["initContainers"]] == ["diagnose-inject", "diagnose-sidecar"]
    inject, sidecar = spec.pop("initContainers")
    assert sidecar["restartPolicy"] == "Always"
    assert environment(sidecar)["DIAGNOSE_CONTAINER"] == "web"
    assert environment(sidecar)["DIAGNOSE_WORKLOAD"] == "shop"
    application = spec["containers"][0]
    assert environment(application) == {
        "PYTHONPATH": "/opt/diagnose/diagnose/_bootstrap",
        "DIAGNOSE_SOCKET": "/run/diagnose/diagnose.sock",
        "DIAGNOSE_CONTAINER": "web",
    }
    # without what is ours, it is the pod that it was
    del application["env"]
    for things in (spec["volumes"], application["volumeMounts"]):
        things[:] = [one for one in things if not one["name"].startswith("diagnose-")]
    annotations = pod["metadata"]["annotations"]
    assert annotations.pop("diagnose.dev/injected") == version()
    assert list(annotations) == [EVICTABLE]
    assert spec == m.pod_template(plain)["spec"]


def test_the_volumes_keep_no_node_from_being_scaled_away():
    pod = m.pod_template(m.find(rendered("inject"), "Deployment"))
    local = [one["name"] for one in pod["spec"]["volumes"]
             if "emptyDir" in one and one["name"].startswith("diagnose-")]
    assert local and pod["metadata"]["annotations"][EVICTABLE] == ",".join(local)


def test_no_probe_stands_between_the_sidecar_and_the_application():
    """A startup probe gates the containers after it, a readiness probe the pod. Under Istio without
    native sidecars even the kubelet's questions go to a proxy that starts after all init containers."""
    for name in ("inject", "sidecar-classic"):
        template = m.pod_template(m.find(rendered(name), "Deployment"))
        (sidecar,) = [one for one in restricted.containers_of(template["spec"])
                      if one["name"] == "diagnose-sidecar"]
        assert "startupProbe" not in sidecar and "readinessProbe" not in sidecar
        probe = sidecar["livenessProbe"]
        assert probe["initialDelaySeconds"] + probe["periodSeconds"] * probe["failureThreshold"] >= 120


def test_an_existing_pythonpath_comes_after_ours():
    container = m.find(rendered("inject-pythonpath"), "Deployment")["spec"]["template"]["spec"][
        "containers"][0]
    assert environment(container)["PYTHONPATH"] == "/opt/diagnose/diagnose/_bootstrap:/app/lib:/app"
    assert environment(container)["REGION"] == "uk"


def test_own_init_containers_come_after_ours(tmp_path):
    patch = "- op: add\n  path: /spec/template/spec/initContainers\n" \
            "  value:\n  - {name: migrate, image: x}\n"
    m.write_overlay(str(tmp_path / "app"), SHOP,
                    patches=[{"target": {"kind": "Deployment"}, "patch": patch}])
    m.write_overlay(str(tmp_path), [str(tmp_path / "app")], ["inject"])
    spec = m.find(m.render(str(tmp_path)), "Deployment")["spec"]["template"]["spec"]
    names = [container["name"] for container in spec["initContainers"]]
    assert names == ["diagnose-inject", "diagnose-sidecar", "migrate"]


def test_of_two_deployments_none_is_chosen(tmp_path):
    other = yaml.safe_dump({"apiVersion": "apps/v1", "kind": "Deployment",
                            "metadata": {"name": "other"}})
    m.write_overlay(str(tmp_path), SHOP, ["inject"], files={"other.yaml": other})
    result = m.build(str(tmp_path))
    assert result.returncode != 0 and "multiple matches" in result.stderr


def test_the_classic_sidecar_is_the_same_container():
    native = m.find(rendered("inject"), "Deployment")["spec"]["template"]["spec"]
    classic = m.find(rendered("sidecar-classic"), "Deployment")["spec"]["template"]["spec"]
    sidecar = dict(native["initContainers"][1])
    assert sidecar.pop("restartPolicy") == "Always"
    assert classic["containers"] == [sidecar] + native["containers"]
    assert classic["initContainers"] == native["initContainers"][:1]
    assert classic["volumes"] == native["volumes"]


def test_the_webhook_reads_what_the_component_uses():
    manifests = rendered("webhook")
    config = [one for one in manifests if one["kind"] == "ConfigMap"]
    folder = os.path.join(m.KUBERNETES, "components", "inject", "common", "template")
    assert len(config) == 1
    for name, text in config[0]["data"].items():
        with open(os.path.join(folder, name)) as file:
            assert text == file.read()
    arguments = m.find(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]
    templates = [a.partition("=")[2] for a in arguments if a.startswith("--template=")]
    assert sorted(map(os.path.basename, templates)) == sorted(config[0]["data"])


def test_the_webhook_fails_open_and_sees_only_what_is_annotated():
    for webhook in m.find(rendered("webhook"), "MutatingWebhookConfiguration")["webhooks"]:
        assert webhook["failurePolicy"] == "Ignore"
        assert webhook["timeoutSeconds"] <= 5
        assert [one["resources"] for one in webhook["rules"]] == [["pods"]]
        assert "'diagnose.dev/inject' in object.metadata.annotations" in \
            webhook["matchConditions"][0]["expression"]


def test_service_ports_say_that_tls_is_spoken():
    """A mesh takes the protocol from the name's first part, and breaks what it takes for plaintext."""
    services = [one for one in rendered("webhook") if one["kind"] == "Service"]
    names = {one["metadata"]["name"]: [port["name"] for port in one["spec"]["ports"]]
             for one in services}
    assert names == {"diagnose-controller": ["tls-grpc"], "diagnose-webhook": ["https"]}


def test_images_follow_the_registry_into_the_webhook():
    template = m.find(rendered("examples/cluster"), "Deployment")["spec"]["template"]
    annotations = template["metadata"]["annotations"]
    for name in ("inject", "sidecar"):
        assert annotations["diagnose.dev/image-" + name] == \
            "registry.example.com/diagnose/%s:%s" % (name, version())


def version():
    with open(os.path.join(m.ROOT, "lib", "base", "version.h")) as file:
        return re.search(r'DIAG_VERSION "(.*)"', file.read())[1]


@pytest.mark.parametrize("name", ALL)
def test_images_are_of_this_version(name):
    for template in filter(None, map(m.pod_template, rendered(name))):
        for container in restricted.containers_of(template["spec"]):
            assert container["image"].endswith(":" + version())


# ---- the programs know their flags ----

PROGRAMS = {
    "controller": ("base", "controller/diagnose-controller"),
    "diagnose-sidecar": ("inject", "sidecar/diagnose-sidecar"),
    "diagnose-inject": ("inject", "deploy/images/inject/diagnose-inject"),
    "webhook": ("webhook", "deploy/webhook/diagnose-webhook"),
}


@pytest.mark.parametrize("container", sorted(PROGRAMS))
def test_programs_take_their_arguments(container):
    source, path = PROGRAMS[container]
    program = os.path.join(BIN, path)
    if not os.path.exists(program):
        pytest.skip("%s is not built" % path)
    arguments = [c["args"] for template in filter(None, map(m.pod_template, rendered(source)))
                 for c in restricted.containers_of(template["spec"]) if c["name"] == container]
    assert len(arguments) == 1
    good = subprocess.run([program] + arguments[0] + ["--version"], capture_output=True, text=True)
    assert good.returncode == 0, good.stderr
    bad = subprocess.run([program] + arguments[0] + ["--nonsense", "--version"], capture_output=True)
    assert bad.returncode == 2


# ---- certificates without cert-manager ----


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("tls") / "tls")
    names = ["--name", "diagnose-controller.diagnose.svc", "--name", "diagnose-webhook.diagnose.svc"]
    subprocess.run([os.path.join(m.ROOT, "deploy", "certificates"), folder] + names, check=True,
                   capture_output=True)
    return folder


def secrets(*arguments):
    return subprocess.run([os.path.join(m.KUBERNETES, "secrets"), *arguments], capture_output=True,
                          text=True)


def test_secrets_hold_the_certificates(certificates):
    own = list(yaml.safe_load_all(secrets(certificates).stdout))
    applications = list(yaml.safe_load_all(
        secrets(certificates, "--application", "shop", "--application", "mail").stdout))
    names = [(one["metadata"]["namespace"], one["metadata"]["name"]) for one in own + applications]
    assert names == [
        ("diagnose", "diagnose-controller-tls"),
        ("diagnose", "diagnose-webhook-tls"),
        ("diagnose", "diagnose-client-tls"),
        ("shop", "diagnose-sidecar-tls"),
        ("mail", "diagnose-sidecar-tls"),
    ]
    for one, file in zip(own + applications, ["server", "server", "client", "client", "client"]):
        for key, name in (("ca.crt", "ca.pem"), ("tls.crt", file + ".pem"), ("tls.key", file + ".key")):
            with open(os.path.join(certificates, name), "rb") as stored:
                assert base64.b64decode(one["data"][key]) == stored.read()
    assert m.schema_errors(own + applications) == [[]] * 5


def test_the_webhook_patch_names_the_authority(certificates):
    (patch,) = json.loads(secrets(certificates, "--webhook-patch").stdout)
    with open(os.path.join(certificates, "ca.pem"), "rb") as file:
        assert base64.b64decode(patch["value"]) == file.read()
    assert (patch["op"], patch["path"]) == ("add", "/webhooks/0/clientConfig/caBundle")
    configuration = m.find(rendered("webhook"), "MutatingWebhookConfiguration")
    patched = m.set_field(configuration, patch["path"].lstrip("/"), patch["value"])
    assert m.schema_errors([patched]) == [[]]


def test_secrets_refuses_what_is_wrong(certificates, tmp_path):
    subprocess.run([os.path.join(m.ROOT, "deploy", "certificates"), str(tmp_path / "other")],
                   check=True, capture_output=True)
    for arguments, message in [
        ([], "Usage"),
        (["/nonexistent"], "/nonexistent/ca.pem is missing"),
        ([str(tmp_path / "other")], "is not for the name diagnose-controller.diagnose.svc"),
        ([certificates, "--application", "Shop"], "\"Shop\" is not the name of a namespace"),
        ([certificates, "--webhook-patch", "--application", "shop"], "two different outputs"),
        ([certificates, "--nonsense"], "--nonsense"),
    ]:
        result = secrets(*arguments)
        assert result.returncode == 2 and result.stdout == "", arguments
        assert message in result.stderr
