# SPDX-License-Identifier: MIT
"""Errors never affect production code: whatever an instrument does, its target returns what it would
have returned, and raises what it would have raised."""
import itertools
import sys
import time
import traceback

import library_samples as samples
import pytest
from library_support import Manager, captured, probe_on, target_of

import diagnose
from diagnose.instruments import Instrument, LogInstrument, ProbeTestInstrument
from diagnose.probes import active_probes

HANG_S = 0.01


class Boom(BaseException):
    """Of those that `except Exception` lets through."""


class Deed:
    """What is done at the place: it is counted, so that a test cannot pass without it."""

    def __init__(self, kind):
        self.kind, self.count, self.target, self.probe = kind, 0, None, None

    def __call__(self, *unused):
        self.count += 1
        if self.kind == "hangs":
            time.sleep(HANG_S)
        elif self.kind == "recurses":
            try:
                self.target(1)
            except samples.Failure:
                pass
        elif self.kind == "deletes the probe":
            active_probes.pop(self.probe.target, None)
            self.probe.instruments.clear()
            self.probe.stop()
        else:
            raise RAISED[self.kind]()
        return 1


def recursion():
    return recursion()


RAISED = {
    "raises": ValueError,
    "raises a BaseException": Boom,
    "raises SystemExit": SystemExit,
    "raises KeyboardInterrupt": KeyboardInterrupt,
    "raises MemoryError": MemoryError,
    "raises RecursionError": recursion,
    "raises StopIteration": StopIteration,
    "raises the target's own": lambda: (samples.failures or [samples.Failure()])[-1],
}
KINDS = [*RAISED, "hangs", "recurses", "deletes the probe"]


def in_value(deed):
    return LogInstrument("i", "deed()")


def in_tags(deed):
    return LogInstrument("i", "1", custom={"tags": "{'a': deed()}"})


def in_check_call(deed):
    class Checks(LogInstrument):
        def check_call(self, probe, *args, **kwargs):
            return deed()

    return Checks("i", "x")


def in_managers_check_call(deed):
    class Checks(Manager):
        def check_call(self, probe, instrument, *args, **kwargs):
            return deed()

    manager = Checks()
    manager.global_namespace["deed"] = deed
    return LogInstrument("i", "x", mgr=manager)


def in_fire(deed):
    class Fires(Instrument):
        def fire(self, _globals, _locals):
            deed()

    return Fires("i", "x")


def in_emit(deed):
    class Emits(LogInstrument):
        def emit(self, name, value, tags):
            deed()

    return Emits("i", "x")


def in_finish(deed):
    class Finishes(LogInstrument):
        def finish(self):
            deed()

    return Finishes("i", "1 / 0")


def in_handle_error(deed):
    class Handles(LogInstrument):
        def handle_error(self, probe):
            deed()

    return Handles("i", "1 / 0")


def in_managers_handle_error(deed):
    class Handles(Manager):
        def handle_error(self, probe=None, instrument=None):
            deed()

    return LogInstrument("i", "1 / 0", mgr=Handles())


def with_object(deed, value, **methods):
    """An instrument whose value works on an object of a class with these methods."""
    methods = {name: lambda self, *args: made(deed()) for name, made in methods.items()}
    instrument = LogInstrument("i", value)
    instrument.thing = type("Thing", (), methods)
    return instrument


def in_str(deed):
    return with_object(deed, "thing()", __str__=str)


def in_repr_within_a_list(deed):
    return with_object(deed, "[thing()]", __repr__=str)


def in_eq(deed):
    return with_object(deed, "thing() == 1", __eq__=bool)


def in_destructor(deed):
    return with_object(deed, "thing() and None", __del__=lambda value: None)


def in_attribute(deed):
    return with_object(deed, "thing().number", __getattr__=int)


def in_write(deed):
    instrument = LogInstrument("i", "x")
    instrument.out = type("Out", (), {"write": deed})()
    return instrument


PLACES = [
    in_value, in_tags, in_check_call, in_managers_check_call, in_fire, in_emit, in_finish,
    in_handle_error, in_managers_handle_error, in_str, in_repr_within_a_list, in_eq, in_destructor,
    in_attribute, in_write,
]


def outcome(function):
    """What a call comes to: the object itself, and what an exception has come through."""
    try:
        return "returned", function(1)
    except BaseException as error:
        assert any(error is failure for failure in samples.failures)
        names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        chain = error.__context__, error.__cause__, error.__suppress_context__
        return "raised", type(error), error.args, names, chain


# A RecursionError's traceback takes long to be written: once for each place will do.
CASES = [
    pytest.param(*case, id="%s-%s-%s-%s" % (case[0].__name__, case[1], case[2].__name__, case[3]))
    for case in itertools.product(
        PLACES, KINDS, [samples.same, samples.fails], ["call", "return", "end"]
    )
    if case[1] != "raises RecursionError" or case[2:] == (samples.same, "return")
]


@pytest.mark.parametrize("place, kind, function, event", CASES)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_target_comes_to_the_same(place, kind, function, event):
    plain = outcome(function)
    deed = Deed(kind)
    instrument = place(deed)
    instrument.event = event
    instrument.mgr.global_namespace["deed"] = deed
    if hasattr(instrument, "thing"):
        instrument.mgr.global_namespace["thing"] = instrument.thing
    deed.target, deed.probe = function, probe_on(function, instrument)
    with captured("stderr"), captured("stdout"):
        for _ in range(3):
            assert outcome(function) == plain
            assert sys.exc_info() == (None, None, None)
    deed.probe.stop()
    assert deed.count > 0, "the test has tested nothing"
    assert outcome(function) == plain
    diagnose.manager.global_namespace.pop("deed", None)
    diagnose.manager.global_namespace.pop("thing", None)


@pytest.mark.parametrize("place", [in_value, in_tags, in_fire, in_check_call, in_emit, in_str])
@pytest.mark.parametrize("kind", RAISED)
def test_what_an_instrument_raises_switches_it_off_and_is_told_once(place, kind):
    manager, deed = Manager(), Deed(kind)
    instrument = place(deed)
    instrument.mgr = manager
    manager.global_namespace["deed"] = deed
    manager.global_namespace["thing"] = getattr(instrument, "thing", None)
    probe = probe_on(samples.plain, instrument)
    deed.target, deed.probe = samples.plain, probe
    for _ in range(3):
        assert samples.plain(1) == 2
    assert deed.count == 1
    [(of_probe, of_instrument, error)] = manager.errors
    assert of_probe is probe and of_instrument is instrument
    if kind == "raises RecursionError":
        assert isinstance(error, RecursionError)
    elif kind == "raises the target's own":
        assert type(error) is samples.Failure
    else:
        assert type(error) is RAISED[kind]
    assert instrument.expires == Instrument.error_expiration
    status = probe.status()["i"]
    assert (status["state"], status["errors"], status["hits"]) == ("FAILED", 1, 0)
    assert type(error).__name__ in status["message"]


def test_an_error_expiration_of_none_lets_it_go_on():
    class GoesOn(LogInstrument):
        error_expiration = None

    manager = Manager()
    instrument = GoesOn("i", "1 / 0", mgr=manager)
    probe = probe_on(samples.plain, instrument)
    for _ in range(3):
        samples.plain(1)
    assert len(manager.errors) == 3
    assert probe.status()["i"]["errors"] == 3
    assert instrument.expires is None


def test_an_instrument_that_raised_works_again_when_it_is_renewed():
    manager = Manager()
    instrument = ProbeTestInstrument("i", "1 / x", mgr=manager)
    probe = probe_on(samples.plain, instrument)
    samples.plain(0)
    samples.plain(1)
    assert instrument.results == []
    instrument.expires = None
    samples.plain(1)
    assert instrument.results == [1.0]
    assert probe.status()["i"]["state"] == "ARMED"
    assert probe.status()["i"]["message"] == ""


def test_without_a_manager_the_traceback_goes_to_stderr():
    diagnose.manager = None
    probe_on(samples.plain, LogInstrument("i", "1 / 0"))
    with captured("stderr") as stderr:
        assert samples.plain(1) == 2
    assert "ZeroDivisionError" in stderr.getvalue()


def test_an_error_in_handle_error_is_shown_with_the_first_one():
    class Handles(LogInstrument):
        def handle_error(self, probe):
            raise KeyError("second")

    probe = probe_on(samples.plain, Handles("i", "1 / 0"))
    with captured("stderr") as stderr:
        for _ in range(3):
            samples.plain(1)
    assert stderr.getvalue().count("KeyError: 'second'") == 1
    assert stderr.getvalue().count("ZeroDivisionError") == 1
    assert probe.status()["i"]["state"] == "FAILED"


class Broken:
    def write(self, text):
        raise OSError("no room")

    def flush(self):
        raise OSError("no room")


@pytest.mark.parametrize("stderr", [None, Broken(), "deleted"])
@pytest.mark.parametrize("function", [samples.same, samples.fails])
def test_a_broken_stderr_is_nobodys_problem(stderr, function, monkeypatch):
    diagnose.manager = None
    plain = outcome(function)

    class Handles(LogInstrument):
        def handle_error(self, probe):
            raise KeyError("second")

    probe_on(function, Handles("h", "1 / 0"), LogInstrument("i", "1 / 0"))
    if stderr == "deleted":
        monkeypatch.delattr(sys, "stderr")
    else:
        monkeypatch.setattr(sys, "stderr", stderr)
    assert outcome(function) == plain


def test_a_missing_or_closed_stdout(monkeypatch, tmp_path):
    instrument = LogInstrument("i", "x", mgr=Manager())
    probe_on(samples.plain, instrument)
    monkeypatch.setattr(sys, "stdout", None)
    assert samples.plain(1) == 2
    assert instrument.mgr.errors == []
    closed = open(tmp_path / "out", "w")
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    assert samples.plain(1) == 2
    [(_, _, error)] = instrument.mgr.errors
    assert isinstance(error, ValueError)


@pytest.mark.filterwarnings("error")
def test_warnings_that_are_errors_are_the_instruments():
    class Returns(Instrument):
        def fire(self, _globals, _locals):
            return 5

    manager = Manager()
    probe_on(samples.plain, Returns("i", "x", mgr=manager))
    assert samples.plain(1) == 2
    [(_, _, error)] = manager.errors
    assert isinstance(error, RuntimeWarning)


def test_fire_returning_something_is_told_once_for_a_class():
    class Returns(Instrument):
        def fire(self, _globals, _locals):
            return 5

    probe_on(samples.plain, Returns("i", "x"), Returns("j", "x"))
    with pytest.warns(RuntimeWarning, match=r"Returns\.fire has returned something \(int\)") as told:
        for _ in range(3):
            samples.plain(1)
    assert len(told) == 1


def test_deep_recursion_of_the_target_ends_as_without_a_probe():
    def depth(limit):
        count = 0
        try:
            def down():
                nonlocal count
                count += 1
                samples.plain(count)
                down()

            down()
        except RecursionError:
            return count

    plain = depth(0)
    instrument = ProbeTestInstrument("i", "x + len(repr(x))", mgr=Manager())
    probe_on(samples.plain, instrument)
    assert abs(depth(0) - plain) <= 10
    assert instrument.mgr.errors == []
    assert target_of(samples.plain) in active_probes
