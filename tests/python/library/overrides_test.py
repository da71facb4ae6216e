# SPDX-License-Identifier: MIT
"""Methods that a class in Python overrides."""
import sys

import library_samples as samples
import pytest
from library_support import Manager, captured, probe_on

from diagnose.instruments import LogInstrument, ProbeTestInstrument


def test_methods_may_be_overridden_at_any_time():
    calls = []

    class Derived(LogInstrument):
        pass

    instrument = Derived("n", "x")
    probe_on(samples.plain, instrument)
    with captured("stdout") as stdout:
        samples.plain(1)
        Derived.emit = lambda self, name, value, tags: calls.append((name, value, tags))
        samples.plain(2)
        instrument.emit = lambda name, value, tags: calls.append("instance's")
        samples.plain(3)
        del instrument.emit
        del Derived.emit
        samples.plain(4)
    assert stdout.getvalue() == "Probe (n) = 1\nProbe (n) = 4\n"
    assert calls == [("n", 2, None), "instance's"]


def test_each_method_is_asked():
    calls = []

    class Derived(ProbeTestInstrument):
        def check_call(self, probe, *args, **kwargs):
            calls.append(("check_call", args, kwargs))
            return super().check_call(probe, *args, **kwargs)

        def evaluate(self, value, _globals, _locals):
            calls.append(("evaluate", value))
            return super().evaluate(value, _globals, _locals)

        def merge_tags(self, _globals, _locals):
            calls.append("merge_tags")
            return super().merge_tags(_globals, _locals)

        def fire(self, _globals, _locals):
            calls.append("fire")
            super().fire(_globals, _locals)

        def finish(self):
            calls.append("finish")
            super().finish()

    instrument = Derived("n", "x", custom={"tags": "{'x': x}"})
    probe = probe_on(samples.plain, instrument)
    samples.plain(1, y=5)
    probe.stop()
    assert calls == [
        ("check_call", (1,), {"y": 5}), "fire", ("evaluate", "x"), "merge_tags",
        ("evaluate", "{'x': x}"), "finish",
    ]
    assert instrument.log == [({"x": 1}, 1)]


@pytest.mark.parametrize("of_manager", [False, True])
@pytest.mark.parametrize("event", ["call", "return", "end"])
def test_check_call_filters(of_manager, event):
    class Filters(Manager):
        def check_call(self, probe, instrument, *args, **kwargs):
            return args[0] > 1

    class Checks(ProbeTestInstrument):
        def check_call(self, probe, *args, **kwargs):
            assert probe.instruments["n"] is self
            return args[0] > 1

    manager = Filters() if of_manager else Manager()
    kind = ProbeTestInstrument if of_manager else Checks
    instrument = kind("n", "x", event=event, mgr=manager)
    probe = probe_on(samples.plain, instrument)
    for x in range(4):
        samples.plain(x)
    assert manager.errors == []
    assert instrument.results == [2, 3]
    assert probe.status()["n"]["skips"]["declined"] == 2
    assert probe.status()["n"]["hits"] == 2


def test_a_manager_that_is_no_instrument_manager():
    class Duck:
        global_namespace = {"foo": 5}

        def check_call(self, probe, instrument, *args, **kwargs):
            return True

        def get_tags(self):
            return ["duck"]

        def handle_error(self, probe=None, instrument=None):
            self.error = sys.exc_info()[1]

    instrument = ProbeTestInstrument("n", "foo", mgr=Duck())
    probe_on(samples.plain, instrument)
    samples.plain(1)
    assert instrument.log == [(["duck"], 5)]
    instrument.value = "1 / 0"
    samples.plain(1)
    assert isinstance(instrument.mgr.error, ZeroDivisionError)


def test_a_class_with_slots_a_mixin_and_its_own_arguments():
    class Mixin:
        def finish(self):
            self.is_finished = True

    class Slotted(Mixin, ProbeTestInstrument):
        __slots__ = ("limit", "is_finished")

        def __init__(self, name, limit):
            super().__init__(name, value="x", event="call")
            self.limit = limit

        def __init_subclass__(cls, **kwargs):
            super().__init_subclass__(**kwargs)

        def check_call(self, probe, *args, **kwargs):
            return args[0] < self.limit

    class Further(Slotted):
        pass

    for kind in (Slotted, Further):
        instrument = kind("n", limit=2)
        probe = probe_on(samples.plain, instrument)
        for x in range(4):
            samples.plain(x)
        probe.instruments.clear()
        assert instrument.results == [0, 1]
        assert instrument.is_finished


def test_attributes_as_properties_of_a_class():
    class Fixed(ProbeTestInstrument):
        event = "call"
        shown = "x"

        @property
        def value(self):
            return self.shown

        @value.setter
        def value(self, value):
            self.shown = "[%s]" % value

    instrument = Fixed("n", "x")
    probe = probe_on(samples.plain, instrument)
    samples.plain(1)
    instrument.shown = "-x"
    probe.stop()
    probe.start()
    samples.plain(1)
    assert instrument.results == [[1], -1]
