# SPDX-License-Identifier: MIT
"""Instruments as decorators."""
import importlib
import os
import subprocess
import sys
import types

import pytest
from library_support import sensor

from diagnose.probes import active_probes, attach_to


def test_a_decorator_of_functions_and_methods():
    one = sensor("x", name="one")

    @one
    def local(x):
        return x

    class Local:
        @one
        def method(self, x):
            return -x

        @one
        @staticmethod
        def static(x):
            return x * 2

        @classmethod
        @one
        def of_class(cls, x):
            return x * 3

    assert isinstance(local, types.FunctionType)
    assert (local(1), Local().method(2), Local.static(3), Local.of_class(4)) == (1, -2, 6, 12)
    assert one.results == [1, 2, 3, 4]
    for probe in list(active_probes.values()):
        probe.stop()
    local(5)
    assert one.results == [1, 2, 3, 4]


def test_a_decorator_in_a_module(module):
    module("decorated_module", """
        import diagnose
        instrument = diagnose.ProbeTestInstrument("n", "result")
        def wraps(function):
            def wrapper(*args):
                return -function(*args)
            return wrapper
        @wraps
        @instrument
        def f(x):
            return x
        f(1)
        class C:
            @instrument
            def m(self, x):
                return x * 2
        def outer():
            @instrument
            def inner(x):
                return x * 3
            return inner
    """)
    decorated = importlib.import_module("decorated_module")
    assert decorated.f(2) == -2
    assert decorated.C().m(3) == 6
    one, two = decorated.outer(), decorated.outer()
    assert (one(4), two(5)) == (12, 15)
    assert decorated.instrument.results == [1, 2, 6, 12, 15]
    assert set(active_probes) == {
        "decorated_module.f", "decorated_module.C.m", "decorated_module.outer.<locals>.inner",
    }
    assert list(attach_to("decorated_module.f").instruments) == ["n"]
    importlib.reload(decorated)
    decorated.f(7)
    assert decorated.instrument.results[-1] == 7


def test_several_decorators_of_one_name():
    one, two = sensor("x"), sensor("-x")

    @one
    @two
    def f(x):
        return x

    f(1)
    [probe] = active_probes.values()
    assert probe.instruments == {"n": two, "n (2)": one}
    assert (one.results, two.results) == ([1], [-1])


def test_decorators_that_run_again_take_the_former_ones_place(module):
    module("again_module", """
        import diagnose
        made = []
        def log(value):
            made.append(diagnose.ProbeTestInstrument("n", value))
            return made[-1]
        @log("x")
        @log("-x")
        def f(x):
            return x
        def outer():
            @log("x")
            def inner(x):
                return x
            return inner
    """)
    again = importlib.import_module("again_module")
    probe = attach_to("again_module.f")
    by_hand = sensor("x")
    probe.instruments["n (3)"] = by_hand
    for round in range(3):
        again.f(round)
        assert [one.results for one in again.made] == [[round], [-round]]
        assert list(probe.instruments) == ["n", "n (2)", "n (3)"]
        assert list(probe.instruments.values()) == [*again.made[::-1], by_hand]
        importlib.reload(again)
    assert by_hand.results == [0, 1, 2]
    del again.made[:]
    functions = [again.outer() for _ in range(3)]
    [f(1) for f in functions]
    assert [one.results for one in again.made] == [[], [], [1, 1, 1]]
    assert len(attach_to("again_module.outer.<locals>.inner").instruments) == 1
    del functions
    [again.outer()(2) for _ in range(3)]
    assert [one.results for one in again.made[3:]] == [[2], [2], [2]]


@pytest.mark.parametrize("what", [5, "f", None, [1]])
def test_a_decorator_of_something_else(what):
    with pytest.raises(TypeError, match="decorator of functions, not of"):
        sensor()(what)


def test_a_decorated_function_in_main():
    program = """
import diagnose
@diagnose.LogInstrument("n", "result")
def f(x):
    return x + 1
class C:
    @diagnose.LogInstrument("m", "x")
    def g(self, x):
        pass
f(1)
C().g(5)
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=dict(os.environ)
    )
    assert (result.stdout, result.stderr) == ("Probe (n) = 2\nProbe (m) = 5\n", "")
