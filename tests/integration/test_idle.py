# SPDX-License-Identifier: MIT
"""A sidecar with nothing to do sleeps: its processes cost it a few wake-ups a second, not one for every
tick of a clock; and it is awake as soon as there is something."""
import glob
import time

import pytest

from testing.fleet import eventually, spec

APP = """
import sys, time
sys.modules["app"] = sys.modules["__main__"]
def f():
    return 1
while True:
    time.sleep(0.2)
    if open(sys.argv[1]).read():
        break
while True:
    f()
    time.sleep(0.001)
"""
SECONDS = 2
# the backstop wakes 4 times a second; before it was thought of as idle, 40 times
WAKE_UPS_MAX = 30


def wake_ups(pid):
    """How often the threads of a process have gone to sleep; those of gRPC sleep a second each."""
    total = 0
    for path in glob.glob("/proc/%d/task/*/status" % pid):
        with open(path) as file:
            text = file.read()
        total += int(text.split("\nvoluntary_ctxt_switches:")[1].split()[0])
    return total


@pytest.mark.parametrize("is_watched", [False, True], ids=["unwatched", "watched"])
def test_an_idle_sidecar_sleeps(bare_fleet, is_watched):
    fleet = bare_fleet
    fleet.start_controller()
    sidecar = fleet.start_sidecar()
    go = fleet.write("go", "")
    fleet.start_app("app.py", APP, go)
    fleet.apply(spec("a", "app.f", "result"))
    fleet.wait_armed("a", 1)
    if is_watched:
        watcher = fleet.start_events()
        eventually(lambda: "Watching" in watcher.log(), what="the subscription")
    time.sleep(1)  # what the start has left to do

    before = wake_ups(sidecar.pid)
    time.sleep(SECONDS)
    assert wake_ups(sidecar.pid) - before < WAKE_UPS_MAX

    with open(go, "w") as file:
        file.write("go")
    if is_watched:
        eventually(lambda: watcher.log().count('"kind"') > 100, what="the events")
    else:
        eventually(lambda: fleet.ctl_json("get", "specs")[0]["status"]["hits"] > 100,
                   what="the hits")
        assert fleet.ctl_json("get", "specs")[0]["status"]["dropped"] == 0
