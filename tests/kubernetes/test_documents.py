# SPDX-License-Identifier: MIT
"""docs/kubernetes.md is run as it stands, in a copy of deploy/: Kustomize, certificates and diagnosectl
are the real ones, what needs a cluster or a registry is played."""
import base64
import importlib.machinery
import importlib.util
import json
import os
import re
import shutil
import subprocess

import document
import manifests as m
import pytest
import restricted
import yaml

from testing.fleet import BIN, Fleet

REGISTRY = "registry.test:5000/tools"
INJECTED = ["diagnose-inject", "diagnose-sidecar"]
# Plays a program: writes down how it was called.
RECORDER = "#!/bin/bash\nprintf '%s\\n' \"${0##*/} $*\" >>\"$CALLS\"\n"
DIAGNOSECTL = """#!/bin/bash
set -- "${@/#localhost:7400/$SERVER}"
[ "$1" != events ] || set -- "$@" --seconds 1
exec %s "$@"
"""


class Reader:
    """Somebody who does what the document says, in a checkout, with a cluster of files."""

    def __init__(self, folder, variant):
        if m.kubectl_or_reason()[0] is None:
            pytest.skip(m.kubectl_or_reason()[1])
        self.folder = str(folder / "checkout")
        self.variant = variant
        shutil.copytree(os.path.join(m.ROOT, "deploy"), self.path("deploy"),
                        ignore=shutil.ignore_patterns("__pycache__"))
        programs = str(folder / "programs")
        self.calls = str(folder / "calls")
        self.cluster = str(folder / "cluster")
        self.server = "localhost:1"
        self._path = programs + ":" + os.environ["PATH"]
        for place in (programs + "/skopeo", programs + "/bazel", self.path("deploy/install-packages"),
                      self.path("deploy/images/build"), self.path("deploy/demo/load.py")):
            self._write_program(place, RECORDER)
        self._write_program(self.path("bazel-bin/ctl/diagnosectl"),
                            DIAGNOSECTL % os.path.join(BIN, "ctl", "diagnosectl"))
        os.symlink(os.path.join(m.HERE, "fake_kubectl"), programs + "/kubectl")
        if variant == "cert-manager":
            self.make_namespace("cert-manager")

    def path(self, *names):
        return os.path.join(self.folder, *names)

    @staticmethod
    def _write_program(path, text):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o755)

    def make_namespace(self, name):
        self.run_text("kubectl apply -f - <<<'{kind: Namespace, metadata: {name: %s}}'\n" % name)

    def run(self, *sections):
        texts = document.commands(*sections, variant=self.variant)
        assert texts
        return self.run_text("\n".join(texts))

    def run_text(self, text):
        """In one shell with what was run before, as far as variables go."""
        text = text.replace("registry=registry.example.com/diagnose", "registry=" + REGISTRY)
        script = "set -euo pipefail\n! [ -e ../variables ] || . ../variables\n%s\n" \
                 "for job in $(jobs -p); do wait $job; done\n" \
                 "declare -p tls registry >../variables 2>/dev/null || :\n" % text
        environment = dict(os.environ, PATH=self._path, CALLS=self.calls, CLUSTER=self.cluster,
                           SERVER=self.server)
        result = subprocess.run(["bash", "-c", script], cwd=self.folder, env=environment,
                                capture_output=True, text=True)
        assert result.returncode == 0, result.stderr + result.stdout
        return result.stdout + result.stderr

    def called(self):
        with open(self.calls) as file:
            return file.read().splitlines()

    def objects(self):
        with open(self.cluster) as file:
            return json.load(file)

    def secret(self, namespace, name):
        [found] = [one for one in self.objects() if one["kind"] == "Secret"
                   and one["metadata"]["namespace"] == namespace and one["metadata"]["name"] == name]
        return {key: base64.b64decode(value) for key, value in found["data"].items()}

    def write_kustomization(self, folder):
        text = document.kustomizations()[folder]
        text = re.sub(r"https://git\.example\.com/diagnose//(\S+)\?ref=v[0-9.]+", r"../\1", text)
        os.makedirs(self.path(folder), exist_ok=True)
        with open(self.path(folder, "kustomization.yaml"), "w") as file:
            file.write(text)
        return self.path(folder)


@pytest.fixture
def reader(tmp_path):
    return Reader(tmp_path, "own")


def pods_of(objects):
    return [template for template in map(m.pod_template, objects) if template]


def images_of(objects):
    for template in pods_of(objects):
        yield from (c["image"] for c in restricted.containers_of(template["spec"]))
        yield from (value for key, value in template["metadata"].get("annotations", {}).items()
                    if key.startswith("diagnose.dev/image-"))


def missing_secrets(objects):
    """Secrets that pods mount, and that nobody has made nor is to make."""
    there = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in objects
             if one["kind"] == "Secret"}
    there |= {(one["metadata"]["namespace"], one["spec"]["secretName"]) for one in objects
              if one["kind"] == "Certificate"}
    wanted = {(one["metadata"]["namespace"], volume["secret"]["secretName"])
              for one in objects if m.pod_template(one)
              for volume in m.pod_template(one)["spec"]["volumes"] if "secret" in volume}
    assert wanted
    return wanted - there


def start_controller(fleet, reader):
    """With the certificates of its pod; what is connected to is what the reader connects to."""
    flags = []
    for key, flag in (("ca.crt", "ca"), ("tls.crt", "cert"), ("tls.key", "key")):
        with open(fleet.path(key), "wb") as file:
            file.write(reader.secret("diagnose", "diagnose-controller-tls")[key])
        flags += ["--tls-" + flag, fleet.path(key)]
    fleet.start_controller(*flags)
    reader.server = "localhost:%d" % fleet.port


def test_images_are_built_and_pushed(reader):
    reader.run("1.")
    calls = reader.called()
    [build] = [call for call in calls if call.startswith("build ")]
    loader = importlib.machinery.SourceFileLoader(
        "build", os.path.join(m.ROOT, "deploy", "images", "build"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("build", loader))
    loader.exec_module(module)
    options = module.parse(build.split()[1:])
    assert [call for call in calls if call.startswith("skopeo")] == [
        "skopeo copy docker-archive:%s/%s.tar docker://%s/%s:%s"
        % (options.folder, name, REGISTRY, name, module.read_version())
        for name in ["controller", "webhook", "inject", "sidecar", "demo"]]
    assert sorted(options.names) == sorted(["controller", "webhook", "inject", "sidecar", "demo"])
    assert "bazel build --config=release //ctl:diagnosectl" in calls
    groups = subprocess.run([os.path.join(m.ROOT, "deploy", "install-packages"), "--help"], check=True,
                            capture_output=True, text=True).stdout
    [install] = [call for call in calls if call.startswith("install-packages ")]
    assert all(re.search("^  %s  " % group, groups, re.MULTILINE) for group in install.split()[1:])


@pytest.mark.parametrize("injection", ["4a.", "4b."])
@pytest.mark.parametrize("variant", ["cert-manager", "own"])
def test_from_nothing_to_a_shop_and_back(tmp_path, variant, injection):
    reader = Reader(tmp_path, variant)
    reader.run("1.", "2.", "3.")
    if injection == "4a.":
        reader.run("4a.")
    else:
        [command] = re.findall("`(kubectl apply -k [^`]*shop-webhook)`", open(document.PATH).read())
        reader.run_text(command)
    objects = reader.objects()
    pushed = {call.rpartition("docker://")[2] for call in reader.called()}
    assert set(images_of(objects)) <= pushed
    assert missing_secrets(objects) == set()
    configuration = m.find(objects, "MutatingWebhookConfiguration")
    if variant == "own":
        assert base64.b64decode(configuration["webhooks"][0]["clientConfig"]["caBundle"]) == \
            reader.secret("shop", "diagnose-sidecar-tls")["ca.crt"]
    else:
        assert "cert-manager.io/inject-ca-from" in configuration["metadata"]["annotations"]

    reader.make_namespace("mail")
    for kind in ("Certificate", "Secret") if variant == "cert-manager" else ("Secret",):
        name = "diagnose-sidecar" + ("-tls" if kind == "Secret" else "")
        reader.run_text("kubectl -n mail apply -f - <<<'{kind: %s, metadata: {name: %s}}'\n"
                        % (kind, name))
    text = "\n".join(document.commands("Uninstall"))
    if variant == "own":  # as the comments say
        text = re.sub(".*# with cert-manager\n", "", text)
        text = text.replace("examples/cluster\n", "examples/cluster-own-certificates\n")
    reader.run_text(text)
    left = ["Namespace/cert-manager"] if variant == "cert-manager" else []
    assert [m.name_of(one) for one in reader.objects()] == left + ["Namespace/mail"]


def skip_unless_built(*programs):
    for program in programs:
        if not os.path.exists(os.path.join(BIN, program)):
            pytest.skip("%s is not built" % program)


def test_first_spec_and_new_certificates(reader):
    skip_unless_built("ctl/diagnosectl", "controller/diagnose-controller")
    reader.run("1.", "2.", "3.", "4a.")
    with Fleet() as fleet:
        start_controller(fleet, reader)
        output = reader.run("5.")
        assert "There are no processes; 0 sidecars" in output
        assert re.search("cart-total +shop.cart.Cart.total", output)
        assert "load.py 127.0.0.1:8000" in reader.called()

    before = reader.secret("diagnose", "diagnose-client-tls")
    [section] = document.commands("Certificates")
    reader.run_text(section)
    authority = reader.secret("diagnose", "diagnose-client-tls")["ca.crt"]
    assert authority != before["ca.crt"]
    assert {one["data"]["ca.crt"] for one in reader.objects() if one["kind"] == "Secret"} == \
        {base64.b64encode(authority).decode()}
    configuration = m.find(reader.objects(), "MutatingWebhookConfiguration")
    assert base64.b64decode(configuration["webhooks"][0]["clientConfig"]["caBundle"]) == authority
    with Fleet() as fleet:  # and the client's certificate by the same loop
        start_controller(fleet, reader)
        assert "cart-total" in reader.run("5.")


def limits(containers):
    return {c["name"]: c["resources"]["limits"].get("cpu") for c in containers
            if c["name"] in INJECTED}


def test_an_application_of_ones_own(reader):
    folder = reader.write_kustomization("my-app")
    shutil.copytree(reader.path("deploy/kubernetes/examples/shop/app"), folder + "/app")
    manifests = m.render(folder)
    assert m.schema_errors(manifests) == [[]] * len(manifests)
    containers = m.pod_template(m.find(manifests, "Deployment"))["spec"]["initContainers"]
    assert [c["name"] for c in containers] == INJECTED
    assert all(c["image"].startswith("registry.example.com/diagnose/") for c in containers)
    assert limits(containers) == dict.fromkeys(INJECTED, "100m")


def test_cpu_limits_by_the_webhook(reader):
    plain = m.render(reader.path("deploy/kubernetes/examples/cluster"))
    reader.run("CPU limits")
    manifests = m.render(reader.write_kustomization("my-cluster"))
    assert m.schema_errors(manifests) == [[]] * len(manifests)
    data = m.find(manifests, "ConfigMap")["data"]
    template = yaml.safe_load(data["pod.yaml"])["spec"]["template"]
    assert limits(template["spec"]["initContainers"]) == dict.fromkeys(INJECTED, "100m")
    # nothing else is different, but for the ConfigMap's name, which the Deployment follows
    before = m.find(plain, "ConfigMap")["data"]
    assert re.sub("\n *cpu: 100m", "", data.pop("pod.yaml")) == before.pop("pod.yaml") and data == before
    webhook = m.pod_template(m.find(manifests, "Deployment"))
    assert webhook["spec"]["volumes"][0]["configMap"]["name"] == \
        m.find(manifests, "ConfigMap")["metadata"]["name"]
    assert list(images_of(manifests)) == list(images_of(plain))


def test_the_other_snippets(reader):
    rest = [yaml.safe_load(block.text) for block in document.snippets()
            if not block.text.startswith("# ")]
    annotations, selector, policy = rest
    m.write_overlay(reader.path("annotated"), ["examples/shop/app"], patches=[
        {"target": {"kind": "Deployment"}, "patch": yaml.safe_dump(
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "any"},
             **annotations})}])
    deployment = m.find(m.render(reader.path("annotated")), "Deployment")
    assert m.pod_template(deployment)["metadata"]["annotations"]["diagnose.dev/inject"] == "true"
    assert m.schema_errors([deployment, policy]) == [[], []]
    skip_unless_built("ctl/diagnosectl", "controller/diagnose-controller")
    with Fleet() as fleet:
        fleet.start_controller()
        with open(reader.path("deploy/demo/specs/cart-total.yaml")) as file:
            spec = {**yaml.safe_load(file), **selector}
        fleet.apply(spec)
        output = subprocess.run(
            [os.path.join(BIN, "ctl", "diagnosectl"), "get", "specs", "-o", "yaml", "-s", fleet.server],
            check=True, capture_output=True, text=True).stdout
        assert yaml.safe_load(output)["selector"] == selector["selector"]


def test_links_lead_to_headings():
    with open(document.PATH) as file:
        text = file.read()
    headings = {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
                for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
    for anchor in re.findall(r"\]\(#([^)]+)\)", text):
        assert anchor in headings
    for path in re.findall(r"\]\((\.\.?/[^)#]+)", text):
        assert os.path.exists(os.path.join(os.path.dirname(document.PATH), path)), path
