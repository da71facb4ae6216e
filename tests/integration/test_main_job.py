# SPDX-License-Identifier: MIT
"""A spec goes down, events come up, and everything is as before afterwards."""
import json

import pytest

from testing.fleet import eventually, events_of, plain_value, spec

SHOP = """
import sys, time, functools

class Cart:
    region = "eu"
    def __init__(self, prices):
        self.prices = prices
    def total(self, discount=0):
        return sum(self.prices) - discount
    @staticmethod
    def rate(country):
        return {"at": 20, "de": 19}[country]
    @classmethod
    def empty(cls):
        return cls([])
    @property
    def size(self):
        return len(self.prices)

def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapper

@logged
def greet(name):
    return "hello " + name

def fail(code):
    raise KeyError(code)

if __name__ == "__main__":
    import shop
    while True:
        cart = shop.Cart([1, 2, 3])
        assert cart.total(discount=1) == 5
        assert shop.Cart.rate("at") == 20
        assert shop.Cart.empty().size == 0
        assert shop.greet("x") == "hello x"
        try:
            shop.fail("c")
        except KeyError as error:
            assert error.args == ("c",)
        else:
            raise SystemExit("no error")
        time.sleep(0.002)
"""


@pytest.fixture
def shop(fleet):
    return fleet.start_app("shop.py", SHOP)


CASES = [
    ("method", spec("a", "shop.Cart.total", "result"), 5),
    ("argument", spec("a", "shop.Cart.total", "discount"), 1),
    ("call", spec("a", "shop.Cart.total", "discount", event="call"), 1),
    ("expression", spec("a", "shop.Cart.total", "[result, self.region]"), [5, "eu"]),
    ("static method", spec("a", "shop.Cart.rate", "{'country': country, 'r': result}"),
     {"country": "at", "r": 20}),
    ("class method", spec("a", "shop.Cart.empty", "cls.__name__"), "Cart"),
    ("property", spec("a", "shop.Cart.size", "result"), 0),
    ("wrapped function", spec("a", "shop.greet", "result"), "hello x"),
    ("exception", spec("a", "shop.fail", "result"), "KeyError('c')"),
    ("args and kwargs", spec("a", "shop.Cart.total", "(len(args), kwargs)"), [1, {"discount": 1}]),
    ("times", spec("a", "shop.Cart.total", "0 <= elapsed < 5 and start <= end"), True),
    ("caller", spec("a", "shop.Cart.total", "frame.f_back.f_code.co_name"), "<module>"),
]


@pytest.mark.parametrize("manifest, expected", [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_event(fleet, shop, api, manifest, expected):
    fleet.apply(manifest)
    batch, event = next(events_of(api.subscribe("a")))
    assert event.error == ""
    assert plain_value(event.value) == expected
    assert batch.pid == shop.pid
    assert event.spec_id == "a"


def test_first_session(fleet, shop):
    """What the README shows, by the command line alone."""
    manifest = spec("total", "shop.Cart.total", "elapsed", custom={"tags": "{'region': self.region}"})
    result = fleet.ctl("apply", "-f", "-", input=json.dumps(manifest))
    assert (result.returncode, result.stderr) == (0, "")
    fleet.wait_armed("total", 1)
    result = fleet.ctl("events", "--spec", "total", "--count", "3", "-o", "json")
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == 3
    assert "ARMED" in fleet.ctl("describe", "spec", "total").stdout.upper()
    assert "1/1" in fleet.ctl("get", "specs").stdout
    assert str(shop.pid) in fleet.ctl("get", "processes").stdout
    assert fleet.ctl("delete", "spec", "total").returncode == 0
    assert fleet.ctl("describe", "spec", "total").returncode == 3
    assert fleet.ctl("delete", "spec", "total").returncode == 3


def test_after_delete_the_events_stop(fleet, shop, api):
    fleet.apply(spec("a", "shop.Cart.total", "result"))
    stream = api.subscribe()
    next(events_of(stream))
    api.delete("a")
    eventually(
        lambda: all(not p.status.statuses for p in api.processes().processes),
        what="the removal",
    )
    stream.cancel()
    result = fleet.ctl("events", "--seconds", "1", "-o", "json")
    assert (result.returncode, result.stdout) == (0, "")
    assert shop.is_running()


def test_an_edit_replaces_the_instrument(fleet, shop, api):
    fleet.apply(spec("a", "shop.Cart.total", "result"))
    stream = events_of(api.subscribe("a"))
    assert plain_value(next(stream)[1].value) == 5
    fleet.apply(spec("a", "shop.Cart.rate", "country"))
    assert any(plain_value(event.value) == "at" for _, event in stream)


def test_one_function_two_specs(fleet, shop, api):
    fleet.apply(
        spec("a", "shop.Cart.total", "'a'"), spec("b", "shop.Cart.total", "'b'", event="call")
    )
    seen = set()
    for _, event in events_of(api.subscribe()):
        seen.add((event.spec_id, plain_value(event.value)))
        if len(seen) == 2:
            break
    assert seen == {("a", "a"), ("b", "b")}


def test_pending_until_imported(fleet, api):
    app = fleet.start_app(
        "late.py",
        "import os, time\n"
        "while not os.path.exists(os.environ['GO']): time.sleep(0.01)\n"
        "import colorsys\n"
        "first = colorsys.rgb_to_hsv(1, 1, 1)\n"
        "time.sleep(1000)\n",
        env=fleet.app_environment(GO=fleet.path("go")),
    )
    fleet.apply(spec("a", "colorsys.rgb_to_hsv", "result"))
    (status,) = fleet.wait_state("a", 1)
    assert "colorsys" in status.message
    stream = api.subscribe("a")
    assert next(stream).started
    fleet.write("go", "")
    # the very first call after the import is seen
    _, event = next(events_of(stream))
    assert plain_value(event.value) == [0.0, 0.0, 1]
    fleet.wait_armed("a", 1)
    assert app.is_running()


def test_an_instrument_that_raises(fleet, shop, api):
    stream = events_of(api.subscribe("a"))
    fleet.apply(spec("a", "shop.Cart.total", "1 / (result - 5)"))
    _, event = next(stream)
    assert event.error == "ZeroDivisionError: division by zero"
    (status,) = fleet.wait_state("a", 3)
    assert "ZeroDivisionError: division by zero" in status.message
    assert status.errors == 1
    # an edit gives it a new life, and the target has noticed nothing
    fleet.apply(spec("a", "shop.Cart.total", "result"))
    assert any(plain_value(e.value) == 5 for _, e in stream if not e.error)
    assert shop.is_running()


STATUS_WRITER = """
import json, os, sys, time, diagnose
def f():
    return 1
sys.modules["app"] = sys.modules["__main__"]
while True:
    f()
    path = os.environ["STATUS"]
    with open(path + ".new", "w") as file:
        json.dump(diagnose.status(), file)
    os.rename(path + ".new", path)
    time.sleep(0.02)
"""


def test_expires_in_the_process_itself(fleet, api):
    controller, sidecar = fleet.programs
    status_path = fleet.path("status")
    fleet.start_app("app.py", STATUS_WRITER, env=fleet.app_environment(STATUS=status_path))

    def states():
        with open(status_path) as file:
            status = json.load(file)
        return status["connected"], [s["state"] for s in status["specs"]]

    fleet.apply(spec("a", "app.f", "result", lifespan=0.05))  # 3 seconds
    fleet.wait_armed("a", 1)
    assert states() == (True, ["ARMED"])
    # nobody is left to tell it
    controller.kill()
    sidecar.kill()
    eventually(lambda: states()[0] is False, what="the loss of the sidecar")
    assert states()[1] == ["ARMED"]
    eventually(lambda: states()[1] == ["EXPIRED"], timeout=5, what="expiry")


def test_bad_expression_fails_with_its_reason(fleet, shop, api):
    fleet.apply(spec("a", "shop.Cart.total", "result +"))
    (status,) = fleet.wait_state("a", 3)
    assert "SyntaxError" in status.message and "instrument.value" in status.message


def test_unknown_name_in_a_module_stays_pending(fleet, shop, api):
    fleet.apply(spec("a", "shop.Cart.totl", "result"))
    # pending at first as the module has not been imported yet
    eventually(lambda: "totl" in fleet.wait_state("a", 1)[0].message, what="the reason")


def test_a_class_is_refused(fleet, shop, api):
    fleet.apply(spec("a", "shop.Cart", "result"))
    (status,) = fleet.wait_state("a", 3)
    assert "class" in status.message
