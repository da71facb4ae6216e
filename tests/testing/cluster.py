# SPDX-License-Identifier: MIT
"""A controller and the demo shop in pods, from the manifests that Kustomize renders."""
import contextlib
import http.client
import json
import os
import subprocess

import yaml

from testing import pods
from testing.fleet import BIN, ROOT, eventually
from testing.node import Node, Unavailable

CONTROLLER_NAME = "diagnose-controller.diagnose.svc"
SPECS = os.path.join(ROOT, "deploy", "demo", "specs")


def build_images(folder):
    """$DIAGNOSE_IMAGES, or all images newly built, the demo's too; returns the folder."""
    given = os.environ.get("DIAGNOSE_IMAGES")
    if given:
        return given
    subprocess.run([os.path.join(ROOT, "deploy", "images", "build"), "--demo", folder], check=True)
    return folder


def render(kustomization):
    """The documents that Kustomize makes of a folder under deploy/kubernetes, with images as they are
    called where they are built."""
    result = subprocess.run(
        [os.path.join(ROOT, "tests", "kubernetes", "kubectl"), "kustomize",
         os.path.join(ROOT, "deploy", "kubernetes", kustomization)],
        capture_output=True, text=True)
    if result.returncode == 69:
        raise Unavailable(result.stderr.strip())
    if result.returncode != 0:
        raise AssertionError(result.stderr)
    text = result.stdout.replace("registry.example.com/diagnose/", "localhost/diagnose/")
    return [document for document in yaml.safe_load_all(text) if document]


def make_certificates(folder):
    subprocess.run([os.path.join(ROOT, "deploy", "certificates"), folder, "--name",
                    CONTROLLER_NAME], check=True, capture_output=True)

    def read(name):
        with open(os.path.join(folder, name), "rb") as file:
            return file.read()

    def secret(name):
        return {"tls.crt": read(name + ".pem"), "tls.key": read(name + ".key"),
                "ca.crt": read("ca.pem")}

    return {"diagnose-controller-tls": secret("server"), "diagnose-sidecar-tls": secret("client")}


class Cluster:
    """On one node: a controller, started here, and shops, started by start_shop()."""

    def __init__(self, images):
        self.images = images
        self._stack = contextlib.ExitStack()
        self.shop_documents = render("examples/shop-classic")
        self._controller_documents = render("base")
        [manifest] = pods.pods_of(self._controller_documents)
        self.version = pods.container_of(manifest, "controller")["image"].rpartition(":")[2]

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.node = stack.enter_context(Node())
            for name in sorted(os.listdir(self.images)):
                if name.endswith(".tar"):
                    self.node.load(os.path.join(self.images, name))
            self.tls = self.node.path("tls")
            self.secrets = make_certificates(self.tls)
            try:
                self._start_controller()
            except AssertionError:
                self.print_logs()
                raise
            self._stack = stack.pop_all()
        return self

    def _start_controller(self):
        [manifest] = pods.pods_of(self._controller_documents)
        self.controller = self.node.play(manifest, self.secrets)
        eventually(lambda: self.ctl("get", "specs", "--timeout=1").returncode == 0, 20,
                   "the controller's answer")

    def __exit__(self, kind, value, traceback):
        if kind is not None:
            self.print_logs()
        self._stack.close()

    def print_logs(self):
        for pod in self.node.pods:
            pod.print_logs()

    def shop_manifest(self, name="shop-0"):
        """The shop's pod; to be changed at will."""
        [manifest] = pods.pods_of(self.shop_documents)
        manifest["metadata"]["name"] = name
        return manifest

    def start_shop(self, manifest):
        """Returns the pod when it serves requests."""
        shop = self.node.play(manifest, self.secrets, {CONTROLLER_NAME: self.controller.address})
        self.await_service(shop)
        return shop

    def await_service(self, shop):
        eventually(lambda: self.is_serving(shop), 30, "an answer of " + shop.name)

    def is_serving(self, shop):
        connection = http.client.HTTPConnection(shop.address, 8000, timeout=5)
        try:
            connection.request("GET", "/products")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    @contextlib.contextmanager
    def load(self, shop):
        """Customers come while the block runs."""
        process = subprocess.Popen(
            [os.path.join(ROOT, "deploy", "demo", "load.py"), shop.address + ":8000"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            process.wait(15)

    def ctl(self, *arguments, timeout=60):
        return subprocess.run(
            [os.path.join(BIN, "ctl", "diagnosectl"),
             "--server", self.controller.address + ":7400",
             "--tls-server-name", CONTROLLER_NAME,
             "--tls-ca", os.path.join(self.tls, "ca.pem"),
             "--tls-cert", os.path.join(self.tls, "client.pem"),
             "--tls-key", os.path.join(self.tls, "client.key"), *arguments],
            capture_output=True, text=True, timeout=timeout)

    def ctl_json(self, *arguments):
        result = self.ctl(*arguments, "-o", "json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def apply(self, name):
        """Applies a spec of the demo."""
        result = self.ctl("apply", "-f", os.path.join(SPECS, name + ".yaml"))
        assert result.returncode == 0, result.stderr

    def processes(self, shop):
        """What the controller knows of a pod's processes."""
        return [process for process in self.ctl_json("get", "processes")
                if process["labels"].get("k8s.pod.name") == shop.name]

    def events(self, shop, count=20):
        """The next events of a pod while customers come: list of dicts."""
        uids = {process["uid"] for process in self.processes(shop)}
        with self.load(shop):
            result = self.ctl("events", "--count", str(count), "--seconds", "20", "-o", "json")
        assert result.returncode == 0, result.stderr
        events = [json.loads(line) for line in result.stdout.splitlines()]
        return [event for event in events if event["process_uid"] in uids]
