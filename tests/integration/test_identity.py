# SPDX-License-Identifier: MIT
"""Who a sidecar and its processes are: labels by flags and by a file, as in a pod."""
import json

import pytest

from testing.fleet import Api, eventually, spec

APP = """
import sys, time
def f():
    return 1
sys.modules["app"] = sys.modules["__main__"]
while True:
    f()
    time.sleep(0.005)
"""

# The variables are gone when the child introduces itself.
FORKING = APP.replace("while True", """
import os
for name in ("DIAGNOSE_CONTAINER", "OTEL_RESOURCE_ATTRIBUTES"):
    del os.environ[name]
os.fork()
while True""")

# As Kubernetes writes metadata.labels into a downwardAPI volume.
POD_LABELS = """\
app.kubernetes.io/name="shop"
k8s.pod.name="not-this"
note="a \\"quoted\\" \\u00e4"
pod-template-hash="7d9f"\
"""


def test_a_pods_labels_are_seen_and_selected_by(bare_fleet):
    fleet = bare_fleet
    fleet.start_controller()
    fleet.start_sidecar(
        "--host", "shop/shop-1",
        "--labels-file", fleet.write("labels", POD_LABELS),
        "--label", "k8s.pod.name=shop-1",
        "--label-default", "service.name=",
        "--label-default", "service.name=the-shop",
        "--label-default", "service.name=shop-1",
        "--label-default", "service.version=",
    )
    fleet.start_app("app.py", APP)
    api = Api(fleet.channel())
    process = eventually(lambda: list(api.processes().processes), what="the process")[0]
    api.close()
    assert process.host == "shop/shop-1"
    assert dict(process.labels) == {
        "app.kubernetes.io/name": "shop",
        "k8s.pod.name": "shop-1",
        "note": 'a "quoted" \u00e4',
        "pod-template-hash": "7d9f",
        "service.name": "the-shop",
    }
    shown = json.loads(fleet.ctl("get", "processes", "-o", "json").stdout)
    assert shown[0]["labels"] == dict(process.labels)

    wanted = dict(spec("a", "app.f", "1"), selector={"labels": {"app.kubernetes.io/name": "shop"}})
    fleet.apply(wanted)
    fleet.wait_armed("a", 1)


def test_a_long_value_of_the_pods_does_not_stop_the_sidecar(bare_fleet):
    """A native sidecar that ends keeps the application from starting."""
    fleet = bare_fleet
    fleet.start_controller()
    sidecar = fleet.start_sidecar("--label-default", "service.name=" + 321 * "x",
                                  "--label-default", "service.name=shop",
                                  "--label-default", "service.instance.id=" + 4000 * "x")
    fleet.start_app("app.py", APP)
    process = eventually(lambda: fleet.ctl_json("get", "processes"), what="the process")[0]
    assert process["labels"] == {"service.name": "shop"}
    assert ('--label-default: a value of "service.name" is left out: it has 321 bytes; 320 are '
            'allowed') in sidecar.log()
    assert 'a value of "service.instance.id" is left out: it has 4000 bytes' in sidecar.log()


@pytest.mark.parametrize(
    "text, message",
    [
        ('a="1"\nb=2\n', 'line 2: the key "b" has a value without quotes'),
        ('a="1"\na="2"\n', 'line 2: the key "a" is there twice'),
        (None, "No such file"),
    ],
)
def test_a_bad_labels_file_is_named(bare_fleet, text, message):
    path = bare_fleet.path("labels")
    if text is not None:
        bare_fleet.write("labels", text)
    sidecar = bare_fleet.start_sidecar("--labels-file", path, wait=False)
    assert sidecar.process.wait(10) == 1
    assert "--labels-file: " in sidecar.log() and path in sidecar.log()
    assert message in sidecar.log()


def test_processes_name_their_container_and_service(fleet):
    fleet.start_app("one.py", APP, env=fleet.app_environment(
        DIAGNOSE_CONTAINER="web", OTEL_SERVICE_NAME="shop"))
    fleet.start_app("two.py", FORKING, env=fleet.app_environment(
        DIAGNOSE_CONTAINER="worker",
        OTEL_RESOURCE_ATTRIBUTES="service.name=mail%20out,service.version=1"))

    def seen():
        found = [(one["container"], one["service"])
                 for one in fleet.ctl_json("get", "processes")]
        return len(found) == 3 and sorted(found)

    assert eventually(seen, what="the processes") == [
        ("web", "shop"), ("worker", "mail out"), ("worker", "mail out"),
    ]
    fleet.apply(spec("a", "app.f", "1"))
    fleet.wait_armed("a", 3)
    shown = fleet.ctl("describe", "spec", "a").stdout
    assert [line.split()[2] for line in shown.splitlines() if " Armed " in line].count("worker") == 2
    detail = fleet.ctl_json("describe", "spec", "a")
    assert {one["container"] for one in detail["status"]["processes"]} == {"web", "worker"}
