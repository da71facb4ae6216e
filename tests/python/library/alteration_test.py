# SPDX-License-Identifier: MIT
"""Instruments that take the place of a call, and what the caller gets when they fail."""
import asyncio
import os
import threading
import traceback

import library_samples as samples
import pytest
from library_support import Manager, Recorder, probe_on

from diagnose.instruments import Instrument, ProbeTestInstrument, Raise

try:
    import greenlet
except ImportError:
    greenlet = None

needs_greenlets = pytest.mark.skipif(
    greenlet is None or "libasan" in os.environ.get("LD_PRELOAD", ""),
    reason="python3-greenlet is not there, or copies whole stacks under AddressSanitizer")


class Altering(Instrument):
    alters = True

    def __init__(self, intercept, function=samples.plain, start=True, **kwargs):
        super().__init__("alters", "None", mgr=Manager(), **kwargs)
        self.given = intercept
        self.finished = 0
        if function is not None:
            self.probe = probe_on(function, self, start=start)

    def intercept(self, proceed, *args, **kwargs):
        return self.given(proceed, *args, **kwargs)

    def finish(self):
        self.finished += 1

    @property
    def errors(self):
        return [error for _, _, error in self.mgr.errors]


def test_its_event_is_call():
    assert Altering(None, None).event == "call"
    for event in ("return", "end", "line:5"):
        with pytest.raises(ValueError, match="^event: must be call, as Altering alters calls"):
            Altering(None, None, event=event)
        with pytest.raises(ValueError, match="^event: must be call"):
            Altering(None, None).event = event


def test_arguments_are_altered():
    altering = Altering(lambda proceed, x, y=1: proceed(x * 10, y=y + 1))
    assert samples.plain(1) == 12
    assert samples.plain(1, 5) == 16
    assert samples.plain(x=2, y=0) == 21
    altering.probe.stop()
    assert samples.plain(1) == 2
    assert altering.errors == []
    assert altering.finished == 1
    assert altering.probe.status()["alters"]["hits"] == 3


def test_the_call_is_skipped():
    seen = ProbeTestInstrument("n", "x")
    probe_on(samples.plain, seen)
    Altering(lambda proceed, *args, **kwargs: "instead")
    assert samples.plain(1) == "instead"


def test_the_result_is_replaced():
    Altering(lambda proceed, *args, **kwargs: -proceed(*args, **kwargs))
    assert samples.plain(1) == -2


def test_methods_and_other_callables():
    Altering(lambda proceed, self, other: proceed(self, other + 1), samples.Thing.add)
    assert samples.Thing(1).add(1) == 3
    Altering(lambda proceed, *args: list(proceed(*args)), samples.generates)
    assert samples.generates(3) == [0, 1, 2]
    Altering(lambda proceed, x: proceed(x + 1), samples.awaits)
    assert asyncio.run(samples.awaits(1)) == 2


@pytest.mark.parametrize("target", ["math.floor", "builtins.len"])
def test_targets_in_c_are_refused(target):
    altering = Altering(lambda proceed, *args: 5, None)
    with pytest.raises(NotImplementedError, match="target: "):
        probe_on(target, altering)
    assert len([1]) == 1


@pytest.mark.parametrize("exception", [KeyError("no"), KeyError, SystemExit(3), KeyboardInterrupt])
def test_the_caller_sees_an_exception(exception):
    altering = Altering(lambda proceed, x: Raise(exception))
    kind = exception if isinstance(exception, type) else type(exception)
    with pytest.raises(kind) as caught:
        samples.plain(1)
    if not isinstance(exception, type):
        assert caught.value is exception
    assert altering.errors == []
    assert altering.probe.status()["alters"]["state"] == "ARMED"


def test_raise():
    error = KeyError("no")
    assert Raise(error).exception is error
    assert isinstance(Raise(KeyError).exception, KeyError)
    assert repr(Raise(error)) == "Raise(KeyError('no'))"
    for wrong in (5, int, None, "KeyError"):
        with pytest.raises(TypeError, match="exception"):
            Raise(wrong)


def calls_then_raises(proceed, *args, **kwargs):
    proceed(*args, **kwargs)
    raise ValueError("mine")


def raises(proceed, *args, **kwargs):
    raise ValueError("mine")


def exits(proceed, *args, **kwargs):
    raise SystemExit


def lets_through(proceed, *args, **kwargs):
    return proceed(*args, **kwargs)


def raises_again(proceed, *args, **kwargs):
    try:
        return proceed(*args, **kwargs)
    except samples.Failure as error:
        raise error from KeyError("cause")


def raises_another(proceed, *args, **kwargs):
    try:
        proceed(*args, **kwargs)
    finally:
        raise ValueError("mine")


def takes_too_few(proceed):
    return 5


def outcome(function, *args):
    try:
        return "returned", function(*args)
    except BaseException as error:
        frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        return "raised", type(error), error.args, frames, error.__context__, error.__cause__


@pytest.mark.parametrize("function", [samples.same, samples.fails])
@pytest.mark.parametrize("intercept, count", [
    (calls_then_raises, None), (raises, 1), (exits, 1), (lets_through, 0), (raises_again, 0),
    (raises_another, 1), (takes_too_few, 1),
])
def test_what_it_raises_itself_does_not_reach_the_caller(intercept, count, function):
    plain = outcome(function, 1)
    calls = []

    class Counts(Recorder):
        def fire(self, _globals, _locals):
            calls.append(1)

    altering = Altering(intercept, function)
    probe_on(function, Counts("count", "x", "end"))
    got = outcome(function, 1)
    if plain[0] == "raised":
        got = got[:3] + ([name for name in got[3] if name not in ("intercept", intercept.__name__)],) + got[4:]
    assert got == plain
    assert len(calls) == 1  # the target ran once, whoever ran it
    if count is None:
        count = 1 if plain[0] == "returned" else 0
    assert len(altering.errors) == count
    assert altering.finished == count
    if count:
        assert altering.probe.status()["alters"]["state"] == "FAILED"
        assert outcome(function, 1) == plain


def test_proceed_may_be_called_several_times():
    Altering(lambda proceed, x: [proceed(i) for i in range(x)])
    assert samples.plain(3) == [1, 2, 3]


def test_the_last_outcome_counts():
    def twice(proceed, x):
        proceed(x + 1)
        proceed(x + 2)
        raise ValueError

    altering = Altering(twice)
    assert samples.plain(1) == 4
    assert len(altering.errors) == 1


def test_proceed_ends_with_the_call():
    kept = []
    Altering(lambda proceed, x: kept.append(proceed) or proceed(x))
    assert samples.plain(1) == 2
    with pytest.raises(RuntimeError, match="the call is over"):
        kept[0](1)


def test_proceed_is_of_its_thread():
    problems = []

    def elsewhere(proceed, x):
        def call():
            try:
                proceed(x)
            except RuntimeError as error:
                problems.append(str(error))

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        return proceed(x)

    Altering(elsewhere)
    assert samples.plain(1) == 2
    assert problems == ["proceed: the call is another thread's"]


def test_check_call_is_asked_first():
    class Sometimes(Altering):
        def check_call(self, probe, *args, **kwargs):
            if args[0] == 3:
                raise ValueError
            return args[0] == 1

    altering = Sometimes(lambda proceed, x: "altered")
    assert [samples.plain(x) for x in (1, 2, 3, 1)] == ["altered", 3, 4, 2]
    assert altering.probe.status()["alters"]["skips"]["declined"] == 1
    assert len(altering.errors) == 1


def until_parent(value):
    """Has the caller's parent go on, and gives back the value when it is switched to again."""
    greenlet.getcurrent().parent.switch()
    return value


@needs_greenlets
def test_proceed_belongs_to_its_greenlet():
    """Whether intercept() has returned or not."""
    problems, others = [], []

    def call(proceed, x):
        while True:
            try:
                proceed(x)
            except RuntimeError as error:
                problems.append(str(error))
            until_parent(None)

    def intercept(proceed, x):
        others.append(greenlet.greenlet(call))
        others[-1].switch(proceed, x)
        return -1

    altering = Altering(intercept)
    assert [samples.plain(x) for x in range(3)] == [-1, -1, -1]
    assert problems == ["proceed: the call is another greenlet's"] * 3
    del problems[:]
    for other in others:
        other.switch()
    assert problems == ["proceed: the call is over, as intercept() has returned"] * 3
    assert altering.errors == []


@needs_greenlets
def test_each_greenlet_is_intercepted():
    """While the others are in the middle of intercept(), of proceed() or of fire()."""
    class Fires(Instrument):
        def fire(self, _globals, _locals):
            seen.append(until_parent("fire"))

    def intercept(proceed, x):
        return until_parent(proceed(until_parent(x * 10)))

    seen = []
    altering = Altering(intercept)
    altering.probe.instruments["fires"] = Fires("fires", "1", "return")
    ones = [greenlet.greenlet(samples.plain) for _ in range(4)]
    for x, one in enumerate(ones):
        one.switch(x)
    for one in ones * 2:
        one.switch()
    assert [one.switch() for one in ones] == [1, 11, 21, 31]
    assert seen == ["fire"] * 4
    status = altering.probe.status()
    assert [status[key]["hits"] for key in ("alters", "fires")] == [4, 4]
    assert [status[key]["skips"]["reentrant"] for key in ("alters", "fires")] == [0, 0]
    assert altering.errors == []


def test_several_and_others_beside_them():
    one = Altering(lambda proceed, x: proceed(x + 1))

    class Other(Altering):
        pass

    two = Other(lambda proceed, x: proceed(x * 10), None)
    two.name = "two"
    seen = ProbeTestInstrument("n", "(args, result)")
    one.probe.instruments.update(two=two, seen=seen)
    assert samples.plain(1) in (12, 21)
    assert len(seen.results) == 1
    one.probe.stop()
    assert samples.plain(1) == 2
    assert one.errors == two.errors == []


def test_it_removes_its_own_probe():
    def removes(proceed, x):
        altering.probe.instruments.clear()
        altering.probe.stop()
        return proceed(x + 1)

    altering = Altering(removes)
    assert samples.plain(1) == 3
    assert samples.plain(1) == 2


def test_it_recurses():
    def recurses(proceed, x):
        return proceed(x) if x > 2 else samples.plain(x + 1)

    Altering(recurses)
    assert samples.plain(1) == 3  # what an instrument calls is not intercepted itself


def test_the_target_recurses_within_proceed():
    seen = []

    def notes(proceed, n):
        seen.append(n)
        return proceed(n)

    Altering(notes, samples.counts_down)
    assert samples.counts_down(3) == 0
    assert seen == [3, 2, 1, 0]


def test_a_decorator_alters():
    class Doubles(Instrument):
        alters = True

        def intercept(self, proceed, *args):
            return 2 * proceed(*args)

    @Doubles("n", "None")
    def f(x):
        return x

    assert f(2) == 4


def test_without_intercept():
    class Lacks(Instrument):
        alters = True

    lacks = Lacks("n", "None", mgr=Manager())
    probe_on(samples.plain, lacks)
    assert samples.plain(1) == 2
    [(_, _, error)] = lacks.mgr.errors
    assert isinstance(error, AttributeError)
