# SPDX-License-Identifier: MIT
"""The main job on each version of Python that the package has an extension for."""
import pytest

from testing.fleet import eventually, events_of, plain_value, spec
from testing.pythons import MINORS, find

APP = """
import os, sys, time, warnings
# of fork() in a process with threads, one of which is ours (3.12 and later)
warnings.simplefilter("ignore", DeprecationWarning)

class Cart:
    def __init__(self, prices):
        self.prices = prices
    def total(self, discount=0):
        return sum(self.prices) - discount

def recurse(n):
    return 0 if n == 0 else 1 + recurse(n - 1)

if __name__ == "__main__":
    import app
    is_child = os.fork() == 0
    while not os.path.exists(os.environ["STOP"]):
        cart = app.Cart([1, 2, 3])
        assert cart.total(discount=1) == 5
        assert app.recurse(800) == 800
        time.sleep(0.002)
    if not is_child:
        os.wait()
"""


@pytest.mark.parametrize("minor", MINORS)
def test_main_job(fleet, api, minor):
    version, python = find(minor)
    app = fleet.start_app("app.py", APP, python=python,
                          env=fleet.app_environment(STOP=fleet.path("stop")))
    fleet.apply(
        spec("total", "app.Cart.total", "[result, discount, self.prices]"),
        spec("init", "app.Cart.__init__", "len(prices)", event="call"),
        spec("depth", "app.recurse", "n == result"),
    )
    for name in ("total", "init", "depth"):
        fleet.wait_armed(name, 2)
    values, pids = {"depth": True}, set()
    for batch, event in events_of(api.subscribe("total", "init")):
        assert event.error == ""
        values[event.spec_id] = plain_value(event.value)
        pids.add(batch.pid)
        if len(values) == 3 and len(pids) == 2:
            break
    assert values == {"total": [5, 1, [1, 2, 3]], "init": 3, "depth": True}
    assert app.pid in pids
    _, event = next(events_of(api.subscribe("depth")))
    assert (event.error, event.value.bool) == ("", True)
    processes = api.processes().processes
    assert [p.status.process.python_version for p in processes] == [version] * 2
    # ends with everything armed
    fleet.write("stop", "")
    assert app.process.wait(20) == 0, app.log()
    assert app.log() == ""


@pytest.mark.parametrize("minor", MINORS)
def test_everything_is_as_before_after_the_delete(fleet, api, minor):
    _, python = find(minor)
    app = fleet.start_app("app.py", APP, python=python,
                          env=fleet.app_environment(STOP=fleet.path("stop")))
    fleet.apply(spec("total", "app.Cart.total", "result"))
    stream = api.subscribe()
    next(events_of(stream))
    fleet.wait_armed("total", 2)
    api.delete("total")
    eventually(
        lambda: all(not p.status.statuses for p in api.processes().processes),
        what="the removal",
    )
    stream.cancel()
    result = fleet.ctl("events", "--seconds", "1", "-o", "json")
    assert (result.returncode, result.stdout) == (0, "")
    fleet.write("stop", "")
    assert app.process.wait(20) == 0, app.log()
    assert app.log() == ""
