# SPDX-License-Identifier: MIT
"""Real pods, from the very manifests: the demo shop's image knows nothing of Diagnose, the package
comes by an init container, the sidecar beside it serves the workers, and all of them may be killed."""
import os
import subprocess

import pytest

from testing import cluster as cluster_module
from testing import node as node_module
from testing import pods
from testing.fleet import eventually

WORKERS = 2


@pytest.fixture(scope="module")
def cluster(request):
    try:
        node_module.check()
        with cluster_module.Cluster(request.getfixturevalue("images")) as cluster:
            yield cluster
    except node_module.Unavailable as reason:
        pytest.skip("pods cannot be played: %s" % reason)


@pytest.fixture(scope="module")
def shop(cluster):
    shop = cluster.start_shop(cluster.shop_manifest())
    await_workers(cluster, shop)
    cluster.apply("cart-total")
    await_armed(cluster, shop)
    return shop


@pytest.fixture(autouse=True)
def logs_of_failures(request):
    failed_before = request.session.testsfailed
    yield
    if request.session.testsfailed > failed_before and "cluster" in request.fixturenames:
        request.getfixturevalue("cluster").print_logs()


def await_workers(cluster, shop, strangers=()):
    """Gunicorn's master and its workers are connected, and are none of `strangers` (their uids)."""
    def check():
        uids = {process["uid"] for process in cluster.processes(shop)} - set(strangers)
        return uids if len(uids) == 1 + WORKERS else None

    return eventually(check, 20, "the shop's processes at the controller")


def await_armed(cluster, shop):
    def check():
        states = [status["state"] for process in cluster.processes(shop)
                  for status in process["statuses"]]
        return states.count("Armed") == WORKERS

    eventually(check, 20, "the spec's arming in all workers")


def assert_events_of_all_workers(cluster, shop):
    events = cluster.events(shop)
    assert {event["spec_id"] for event in events} == {"cart-total"}
    assert {event["kind"] for event in events} == {"hit"}
    assert all(isinstance(event["value"], float) for event in events)
    assert len({event["process_uid"] for event in events}) == WORKERS


def test_events_of_all_workers(cluster, shop):
    assert "is installed in /opt/diagnose" in shop.logs("diagnose-inject")
    assert shop.exit_code("diagnose-inject") == 0
    assert "diagnose:" not in shop.logs("web")
    assert_events_of_all_workers(cluster, shop)


@pytest.mark.parametrize("name", ["controller", "sidecar", "webhook", "inject"])
def test_every_program_finds_its_libraries(cluster, name):
    image = "localhost/diagnose/%s:%s" % (name, cluster.version)
    result = cluster.node.podman("run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL",
                                 image, "--version")
    assert result.stdout == "diagnose-%s %s\n" % (name, cluster.version)


def status_of(pid):
    with open("/proc/%d/status" % pid) as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


@pytest.mark.parametrize("container, user", [("web", 10001), ("diagnose-sidecar", 65533),
                                             ("controller", 65532)])
def test_hardening(cluster, shop, container, user):
    pid = (cluster.controller if container == "controller" else shop).pid(container)
    status = status_of(pid)
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {str(user)}
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[capabilities], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    with open("/proc/%d/mountinfo" % pid) as file:
        options = {line.split()[4]: line.split()[5].split(",") for line in file}
    assert "ro" in options["/"]
    if container == "web":
        assert "ro" in options["/opt/diagnose"]


def test_containers_share_nothing_but_volumes_and_the_network(shop):
    def namespace(container, kind):
        return os.readlink("/proc/%d/ns/%s" % (shop.pid(container), kind))

    for kind in ("pid", "mnt"):
        assert namespace("web", kind) != namespace("diagnose-sidecar", kind)
    assert namespace("web", "net") == namespace("diagnose-sidecar", "net")


def test_a_pod_says_who_it_is(cluster, shop):
    labels = cluster.processes(shop)[0]["labels"]
    metadata = shop.manifest["metadata"]
    expected = {
        "k8s.namespace.name": "shop",
        "k8s.pod.name": "shop-0",
        "k8s.pod.uid": metadata["uid"],
        "k8s.node.name": pods.NODE_NAME,
        "k8s.container.name": "web",
        "service.name": "shop",
        "service.namespace": "shop",
        "service.instance.id": "shop.shop-0.web",
        "service.version": "1.0",
        "app.kubernetes.io/name": "shop",
        "app.kubernetes.io/version": "1.0",
    }
    assert {key: labels.get(key) for key in expected} == expected


def probe(address):
    """As kubelet asks: over the pod's address, without TLS."""
    import grpc

    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary("/grpc.health.v1.Health/Check",
                                   request_serializer=bytes, response_deserializer=bytes)
        return call(b"", timeout=10, wait_for_ready=True)


def test_probes(cluster, shop):
    for pod, container in ((shop, "diagnose-sidecar"), (cluster.controller, "controller")):
        port = pods.container_of(pod.manifest, container)["livenessProbe"]["grpc"]["port"]
        assert probe("%s:%d" % (pod.address, port)) == b"\x08\x01"  # SERVING


def test_the_sidecar_is_killed(cluster, shop):
    former = await_workers(cluster, shop)
    restarts = shop.restart_count("web")
    shop.kill("diagnose-sidecar")
    assert await_workers(cluster, shop) == former, "the shop's processes are the same"
    await_armed(cluster, shop)
    assert_events_of_all_workers(cluster, shop)
    assert shop.restart_count("web") == restarts


def test_the_application_is_killed(cluster, shop):
    former = await_workers(cluster, shop)
    shop.kill("web")
    cluster.await_service(shop)
    await_workers(cluster, shop, strangers=former)
    await_armed(cluster, shop)
    assert_events_of_all_workers(cluster, shop)


def test_the_controller_is_killed(cluster, shop):
    former = await_workers(cluster, shop)
    cluster.controller.kill("controller")
    eventually(lambda: cluster.ctl("get", "specs", "--timeout=1").returncode == 0, 20,
               "the controller's answer")
    assert await_workers(cluster, shop) == former
    await_armed(cluster, shop)
    assert_events_of_all_workers(cluster, shop)


@pytest.fixture
def other_shop(cluster):
    """Starts a second shop, with a manifest that is changed first, and stops it in the end."""
    def start(change):
        manifest = cluster.shop_manifest("shop-1")
        change(manifest)
        return cluster.start_shop(manifest)

    yield start
    for pod in [pod for pod in cluster.node.pods if pod.name == "shop-1"]:
        pod.stop()


def assert_serving_as_it_is(cluster, shop):
    assert cluster.is_serving(shop)
    assert cluster.processes(shop) == []
    assert shop.restart_count("web") == 0


def test_without_the_init_container_the_application_serves(cluster, other_shop):
    def change(manifest):
        manifest["spec"]["initContainers"] = []

    shop = other_shop(change)
    assert_serving_as_it_is(cluster, shop)
    assert "diagnose" not in shop.logs("web")


def test_without_a_sidecar_the_application_serves(cluster, other_shop):
    def change(manifest):
        manifest["spec"]["containers"] = [pods.container_of(manifest, "web")]

    shop = other_shop(change)
    assert_serving_as_it_is(cluster, shop)
    assert "diagnose" not in shop.logs("web")


def test_a_package_for_no_python_of_ours(cluster, other_shop):
    def change(manifest):
        pods.container_of(manifest, "diagnose-inject")["args"] = [
            "--best-effort", "--python=3.9", "/opt/diagnose"]

    shop = other_shop(change)
    assert_serving_as_it_is(cluster, shop)
    assert shop.exit_code("diagnose-inject") == 0
    assert "there is no extension for Python 3.9, but for: 3." in shop.logs("diagnose-inject")
    assert "diagnose" not in shop.logs("web")


def test_a_package_for_another_python_than_the_applications(cluster, other_shop):
    def change(manifest):
        pods.container_of(manifest, "diagnose-inject")["args"] = ["--python=3.12", "/opt/diagnose"]

    shop = other_shop(change)
    assert_serving_as_it_is(cluster, shop)
    assert shop.logs("web").count("diagnose: not instrumented: ") == 1
    assert "no extension for Python 3.11, but for: 3.12\n" in shop.logs("web")


# The inject image on its own: options of the volume's mount, of podman's, argument -> message.
BAD_VOLUMES = {
    "read-only": ("mode=1777", ":ro", "/opt/diagnose",
                  "/opt/diagnose: .diagnose-new: cannot be made: Read-only file system"),
    "no room": ("mode=1777,size=100k", "", "/opt/diagnose",
                ": cannot be written: No space left on device"),
    "somebody else's": ("mode=0755", "", "/opt/diagnose",
                        "/opt/diagnose: .diagnose-new: cannot be made: Permission denied"),
    "missing": ("mode=1777", "", "/opt/elsewhere",
                "/opt/elsewhere: the folder to copy to: No such file or directory"),
}


@pytest.fixture
def volume(request, tmp_path):
    """A file system of its own, with the options that the parameter gives."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", request.param, "tmpfs", tmp_path], check=True)
    yield str(tmp_path)
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


@pytest.mark.parametrize("volume, option, argument, message", BAD_VOLUMES.values(),
                         ids=BAD_VOLUMES, indirect=["volume"])
@pytest.mark.parametrize("is_best_effort", [False, True])
def test_volumes_that_cannot_take_the_package(cluster, volume, option, argument, message,
                                              is_best_effort):
    image = pods.container_of(cluster.shop_manifest(), "diagnose-inject")["image"]
    result = cluster.node.podman(
        "run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL",
        "--volume=%s:/opt/diagnose%s" % (volume, option), image,
        *(["--best-effort"] if is_best_effort else []), argument, must_succeed=False)
    assert result.returncode == (0 if is_best_effort else 1)
    assert message in result.stderr
    assert ("will start without being instrumented" in result.stderr) == is_best_effort
    assert os.listdir(volume) == []


def test_the_sidecar_ends_when_asked(cluster, other_shop):
    shop = other_shop(lambda manifest: None)
    await_workers(cluster, shop)
    cluster.node.podman("stop", "--time=10", "shop-1-diagnose-sidecar")
    assert shop.exit_code("diagnose-sidecar") == 0
    assert cluster.is_serving(shop)
    eventually(lambda: cluster.processes(shop) == [], 20, "the end of the pod's processes")
