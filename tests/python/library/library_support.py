# SPDX-License-Identifier: MIT
"""What the tests of the library share."""
import contextlib
import io
import sys
import threading
import time

import diagnose
from diagnose.instruments import Instrument, ProbeTestInstrument
from diagnose.probes import attach_to

PATIENCE = 10.0
IS_MONITORING = sys.version_info >= (3, 12)


def target_of(function):
    return "%s.%s" % (function.__module__, function.__qualname__)


def probe_on(function, *instruments, start=True):
    """The probe of a function, with these instruments under their names."""
    probe = attach_to(function if isinstance(function, str) else target_of(function))
    probe.instruments.update({instrument.name: instrument for instrument in instruments})
    if start:
        probe.start()
    return probe


def sensor(value="x", event="return", name="n"):
    return ProbeTestInstrument(name, value, event)


@contextlib.contextmanager
def captured(name):
    """A StringIO in the place of sys.stdout or sys.stderr."""
    former, buffer = getattr(sys, name), io.StringIO()
    setattr(sys, name, buffer)
    try:
        yield buffer
    finally:
        setattr(sys, name, former)


def lines(function, *instruments, calls=((1,),)):
    """What the instruments write while the function is called."""
    probe = probe_on(function, *instruments)
    with captured("stdout") as stdout:
        for arguments in calls:
            function(*arguments)
    probe.instruments.clear()
    return stdout.getvalue()


class Recorder(Instrument):
    """Keeps the values, as a class in Python."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.values = []
        self.finished = 0
        self.errors = []

    def fire(self, _globals, _locals):
        self.values.append(self.evaluate(self.value, _globals, _locals))

    def finish(self):
        self.finished += 1

    def handle_error(self, probe):
        self.errors.append(sys.exc_info()[1])
        self.expires = self.error_expiration


class Manager(diagnose.managers.InstrumentManager):
    """Keeps what it is told of."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.errors = []

    def handle_error(self, probe=None, instrument=None):
        self.errors.append((probe, instrument, sys.exc_info()[1]))


def wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "has not happened"
        time.sleep(0.001)


def run_in_threads(*functions):
    """Until all have ended, with the interpreter going from one to the other as often as it can."""
    threads = [threading.Thread(target=function) for function in functions]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
