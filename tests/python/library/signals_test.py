# SPDX-License-Identifier: MIT
"""Exceptions of the program's signal handlers: wherever they strike, they are the program's."""
import datetime
import itertools
import signal
import time

import library_samples as samples
import pytest
from library_support import Manager, captured, probe_on, target_of

from diagnose.instruments import Instrument, ProbeTestInstrument

ROUNDS = 50


class Boom(Exception):
    pass


def test_a_signal_that_strikes_in_an_instrument_reaches_the_program():
    class Slow(Instrument):
        def fire(self, _globals, _locals):
            signal.raise_signal(signal.SIGINT)
            for _ in range(1000):
                pass

    manager = Manager()
    instrument = Slow("i", "x", mgr=manager)
    probe_on(samples.plain, instrument)
    with pytest.raises(KeyboardInterrupt):
        samples.plain(1)
        for _ in range(1000):
            pass
    assert manager.errors == []


class Stop(Exception):
    """What a signal handler raises."""


def strike(*_):
    raise Stop


@pytest.mark.parametrize("handler, error", [(signal.default_int_handler, KeyboardInterrupt),
                                            (strike, Stop)])
@pytest.mark.parametrize("place", ["finish", "finish at a hit", "handle_error", "manager"])
def test_a_signal_that_strikes_afterwards_reaches_the_program(place, handler, error):
    class Struck(Instrument):
        def fire(self, _globals, _locals):
            if "finish" not in place:
                raise Boom
            self.expires = self.error_expiration if "hit" in place else None

        def finish(self):
            if "finish" in place:
                signal.raise_signal(signal.SIGINT)

        def handle_error(self, probe):
            if place == "handle_error":
                signal.raise_signal(signal.SIGINT)
            super().handle_error(probe)

    class Interrupted(Manager):
        def handle_error(self, probe=None, instrument=None):
            super().handle_error(probe, instrument)
            if place == "manager":
                signal.raise_signal(signal.SIGINT)

    instrument = Struck("i", "x", mgr=Interrupted())
    probe = probe_on(samples.plain, instrument)
    former = signal.signal(signal.SIGINT, handler)
    try:
        with captured("stderr") as stderr, pytest.raises(error):
            samples.plain(1)
            probe.instruments.clear()
            for _ in range(1000):
                pass
    finally:
        signal.signal(signal.SIGINT, former)
    assert stderr.getvalue() == ""
    assert len(instrument.mgr.errors) == (place == "manager")


class Work:
    """Things to do again and again; most of the time of each goes into compiling and arming."""

    def __init__(self):
        self.manager = Manager()
        self.probe = probe_on(samples.plain, ProbeTestInstrument("q", "x", mgr=self.manager))
        self.numbers = itertools.count()

    def put(self):
        value = "x + %d" % next(self.numbers)
        self.probe.instruments["q"] = ProbeTestInstrument("q", value, mgr=self.manager)

    def start(self):
        self.probe.stop()
        self.probe.start()

    def assign(self):
        self.probe.instruments["q"].value = "x + %d" % next(self.numbers)

    def apply(self):
        self.manager.specs["a"] = {
            "target": target_of(samples.plain),
            "instrument": {"type": "log", "name": "a", "value": "x + %d" % next(self.numbers)},
            "lifespan": 10,
            "lastmodified": datetime.datetime(2020, 1, 1),
        }
        self.manager.apply()


def until_struck(function, seconds):
    # a loop of its own: on 3.13.0 what strikes at the end of a loop misses the `try` around it
    end = time.monotonic() + 10
    signal.setitimer(signal.ITIMER_REAL, seconds)
    while time.monotonic() < end:
        function()
    return "nothing came out in 10 s"


@pytest.mark.parametrize("handler, error", [(signal.default_int_handler, KeyboardInterrupt),
                                            (strike, Stop)])
@pytest.mark.parametrize("what", ["put", "start", "assign", "apply"])
def test_a_signal_that_strikes_while_something_is_armed_reaches_the_program(what, handler, error):
    work = Work()
    former = signal.signal(signal.SIGALRM, handler)
    try:
        for number in range(ROUNDS):
            with pytest.raises(error):
                raise AssertionError(until_struck(getattr(work, what), 0.0003 + number * 1e-5))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    assert work.manager.errors == []
    work.manager.specs.clear()
    work.manager.apply()
    instrument = ProbeTestInstrument("z", "result", mgr=work.manager)
    work.probe.instruments.clear()
    work.probe.instruments["z"] = instrument
    work.probe.start()
    assert instrument.results == []
    assert samples.plain(1) == instrument.results[0]
    assert work.manager.errors == []
