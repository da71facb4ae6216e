# SPDX-License-Identifier: MIT
"""What the tests of managers share: modules to probe, specs, and a manager that keeps its errors."""
import datetime
import os
import subprocess
import sys
import time
import types

import diagnose

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(diagnose.__file__)))
SECONDS = 30  # by which whatever hangs has failed

SAMPLES = """
def add(a, b=1):
    return a + b
def double(a):
    return 2 * a
class Shop:
    def price(self, item):
        return len(item)
"""


def make_module(name, source=SAMPLES):
    """A module that can be imported by this name, as if it had been."""
    module = types.ModuleType(name)
    exec(compile(source, name + ".py", "exec"), module.__dict__)
    sys.modules[name] = module
    return module


def utcnow():
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)


class Recorder(diagnose.ProbeTestInstrument):
    """Keeps its hits, and counts how often it was finished."""

    made = []

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.finished = 0
        Recorder.made.append(self)

    def finish(self):
        self.finished += 1


class Manager(diagnose.managers.InstrumentManager):
    """handle_error keeps what it is told."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.instrument_classes = {"log": diagnose.LogInstrument, "test": Recorder}
        self.errors = []

    def handle_error(self, probe=None, instrument=None):
        self.errors.append((sys.exc_info()[1], probe, instrument))

    def messages(self):
        return [str(error) for error, _, _ in self.errors]


def spec(target, value="result", **changes):
    """A spec of type "test"; `changes` with a name of an instrument's key go there."""
    instrument = {"type": "test", "name": "n", "value": value}
    document = {
        "target": target,
        "instrument": instrument,
        "lifespan": 10,
        "lastmodified": utcnow(),
    }
    for key, change in changes.items():
        where = document if key in ("lifespan", "lastmodified", "applied") else instrument
        where[key] = change
    return document


def instruments_of(target):
    """Those on the target, by key; {} if it has no probe."""
    probe = diagnose.probes.active_probes.get(target)
    return {} if probe is None else dict(probe.instruments)


def eventually(condition, what, seconds=SECONDS):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "not in %d s: %s" % (seconds, what)
        time.sleep(0.005)


def run_program(source, *arguments, seconds=SECONDS):
    """Runs Python source in a process of its own, which must end by itself: what it printed."""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p))
    result = subprocess.run([sys.executable, "-c", source] + list(arguments), env=environment,
                            capture_output=True, text=True, timeout=seconds)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == "", result.stderr
    return result.stdout
