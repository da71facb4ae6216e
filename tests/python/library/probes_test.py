# SPDX-License-Identifier: MIT
"""Function probes: one per target, started and stopped, and in processes that fork or end."""
import asyncio
import importlib
import subprocess
import sys
import textwrap

import library_samples as samples
import pytest
from library_support import IS_MONITORING, Recorder, captured, probe_on, sensor, target_of

import diagnose
from diagnose.instruments import LogInstrument
from diagnose.probes import FunctionProbe, active_probes, attach_to, start_all

PLAIN = target_of(samples.plain)


# ---- probes ----


def test_the_first_example_of_the_readme():
    p = diagnose.probes.attach_to(target_of(samples.Thing.add))
    p.instruments["foo"] = diagnose.LogInstrument("foo", "other")
    p.start()
    with captured("stdout") as stdout:
        assert samples.Thing(13).add(other=5) == 18
    assert stdout.getvalue() == "Probe (foo) = 5\n"


def test_one_probe_for_a_target():
    probe = attach_to(PLAIN)
    assert attach_to(PLAIN) is probe
    assert active_probes == {PLAIN: probe}
    with pytest.raises(RuntimeError, match="attach_to.'%s'. returns it" % PLAIN):
        FunctionProbe(PLAIN)
    del active_probes[PLAIN]
    other = FunctionProbe(PLAIN, {"n": sensor()})
    assert attach_to(PLAIN) is other
    with pytest.raises(RuntimeError):
        other.__init__("x.y")
    assert other.target == PLAIN
    with pytest.raises(AttributeError):
        other.target = "x.y"


def test_repr():
    probe = FunctionProbe("a.b")
    assert repr(probe) == "FunctionProbe(target='a.b', instruments={})"
    probe.instruments["n"] = LogInstrument("n", "x")
    assert repr(probe) == (
        "FunctionProbe(target='a.b', instruments={'n': LogInstrument(name='n', value='x', "
        "event='return', expires=None, custom={})})"
    )


@pytest.mark.parametrize("target", [None, 5, b"a.b", samples.plain])
def test_a_target_that_is_no_text(target):
    with pytest.raises(TypeError, match="^target: must be a str, not "):
        attach_to(target)
    with pytest.raises(TypeError, match="^target: must be a str, not "):
        FunctionProbe(target)
    assert active_probes == {}


@pytest.mark.parametrize("with_instrument", [False, True])
@pytest.mark.parametrize("target, kind", [
    ("", ValueError), ("a..b", ValueError), ("a b.c", ValueError), ("x" * 600, ValueError),
    ("library_samples.FACTOR", ValueError), ("library_samples.missing", AttributeError),
    ("library_samples.Thing.missing", AttributeError), ("library_samples.Thing", NotImplementedError),
    ("builtins.int.__add__", NotImplementedError), ("library_samples", ValueError),
    ("os.path", ValueError),
])
def test_start_says_what_is_wrong_with_the_target(target, kind, with_instrument):
    probe = attach_to(target)
    if with_instrument:
        probe.instruments["n"] = sensor("1")
        probe.instruments["m"] = sensor("2")
    with pytest.raises(kind) as caught:
        probe.start()
    assert type(caught.value) is kind
    assert str(caught.value).startswith("target: ")
    assert "; target: " not in str(caught.value)
    with pytest.raises(kind):
        start_all()


def test_start_arms_the_rest():
    probe = attach_to(PLAIN)
    good = sensor()
    probe.instruments.update(good=good, bad=sensor("1", "line:9999"), worse=sensor("1", "line:8888"))
    with pytest.raises(ValueError, match=r"instruments\['bad'\]: .*; instruments\['worse'\]: "):
        probe.start()
    samples.plain(1)
    assert good.results == [1]
    states = {key: status["state"] for key, status in probe.status().items()}
    assert states == {"good": "ARMED", "bad": "FAILED", "worse": "FAILED"}
    assert "line" in probe.status()["bad"]["message"]


def test_start_and_stop_are_idempotent_and_restore():
    before = samples.plain.__code__, type(samples.plain)
    instrument = sensor("x", "call")
    probe = probe_on(samples.plain, instrument, start=False)
    probe.stop()
    samples.plain(0)
    for _ in range(3):
        probe.start()
        assert probe.is_running
    samples.plain(1)
    for _ in range(3):
        probe.stop()
        assert not probe.is_running
    samples.plain(2)
    assert (samples.plain.__code__, type(samples.plain)) == before
    assert samples.plain.__code__ is before[0]
    probe.start()
    samples.plain(3)
    assert instrument.results == [1, 3]


@pytest.mark.parametrize("event", ["call", "return", "end"])
def test_stop_restores_the_function_exactly(event):
    function = samples.plain
    before = function.__code__, function.__code__.co_code, type(function), dict(vars(function))
    probe = probe_on(function, sensor("x", event), sensor("args", "call", "m"))
    function(1)
    probe.stop()
    assert (function.__code__, function.__code__.co_code, type(function), vars(function)) == before
    assert function.__code__ is before[0]
    if IS_MONITORING:
        names = [sys.monitoring.get_tool(tool) for tool in range(6)]
        assert "diagnose" not in names


def test_a_probe_that_was_popped_can_be_stopped():
    instrument = sensor()
    probe = probe_on(samples.plain, instrument)
    assert active_probes.pop(PLAIN) is probe
    samples.plain(1)
    probe.stop()
    samples.plain(2)
    assert instrument.results == [1]


def test_start_all():
    one, two = sensor(), sensor()
    probe_on(samples.plain, one, start=False)
    probe_on(samples.same, two, start=False)
    start_all()
    samples.plain(1)
    samples.same(2)
    assert (one.results, two.results) == ([1], [2])


def test_a_module_that_comes_later(module):
    instrument = sensor()
    probe = probe_on("late_module.f", instrument)
    assert probe.status()["n"]["state"] == "PENDING"
    assert "late_module" in probe.status()["n"]["message"]
    assert "late_module" not in sys.modules
    module("late_module", "def f(x):\n    return x\n")
    late = importlib.import_module("late_module")
    assert probe.status()["n"]["state"] == "ARMED"
    late.f(5)
    assert instrument.results == [5]


def test_started_while_the_module_is_imported(module):
    module("early_module", """
        import diagnose
        instrument = diagnose.ProbeTestInstrument("n", "x")
        probe = diagnose.probes.attach_to("early_module.f")
        probe.instruments["n"] = instrument
        probe.start()
        def f(x):
            return x
    """)
    early = importlib.import_module("early_module")
    early.f(5)
    assert early.instrument.results == [5]


def test_status():
    instrument = sensor()
    probe = probe_on(samples.plain, instrument, start=False)
    assert probe.status()["n"]["state"] == "STOPPED"
    probe.start()
    samples.plain(1)
    status = probe.status()["n"]
    assert status["mechanism"] in ("type-swap", "monitoring")
    assert (status["state"], status["message"], status["hits"], status["errors"]) == (
        "ARMED", "", 1, 0,
    )
    assert set(status["skips"]) == {"reentrant", "in flight", "unbound", "filtered", "declined"}
    probe.stop()
    assert probe.status()["n"]["hits"] == 1
    probe.instruments.clear()
    assert probe.status() == {}


TARGETS = [
    ("plain", lambda: samples.plain(1), "x", 1), ("decorated", lambda: samples.decorated(1), "args", (1,)),
    ("Thing.add", lambda: samples.Thing(1).add(2), "self.number + other", 3),
    ("Thing.make", lambda: samples.Thing.make(4), "number", 4),
    ("Thing.double", lambda: samples.Thing.double(4), "result", 8),
    ("Thing.half", lambda: samples.Thing(4).half, "result", 2.0),
    ("Thing.__init__", lambda: samples.Thing(4), "number", 4),
    ("generates", lambda: list(samples.generates(2)), "n", 2),
    ("awaits", lambda: asyncio.run(samples.awaits(3)), "result", 3),
    ("outer.<locals>.inner", lambda: samples.outer(1)(2), "y", 2),
    ("takes_all", lambda: samples.takes_all(1, 2, b=3, c=4), "(a, args, kwargs, b, c)",
     (1, (2,), {"c": 4}, 3, 4)),
]


@pytest.mark.parametrize("name, call, value, expected", TARGETS, ids=lambda v: str(v)[:20])
def test_targets_of_every_kind(name, call, value, expected):
    instrument = sensor(value)
    recorder = Recorder("m", value)
    probe_on("library_samples." + name, instrument, recorder)
    call()
    assert recorder.errors == []
    assert instrument.results == recorder.values == [expected]


def test_a_function_in_c():
    instrument = sensor("result")
    probe_on("math.floor", instrument)
    import math

    math.floor(2.5)
    assert instrument.results == [2]


# ---- processes ----


def run(program):
    result = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(program)],
        capture_output=True, text=True, timeout=60,
    )
    assert result.stderr == ""
    assert result.returncode == 0
    return result.stdout


def test_fork():
    assert run("""
        import os, sys
        import diagnose
        def f(x):
            return x
        probe = diagnose.probes.attach_to("__main__.f")
        probe.instruments["n"] = diagnose.ProbeTestInstrument("n", "x")
        probe.start()
        f(1)
        pid = os.fork()
        if pid == 0:
            assert probe.status()["n"]["hits"] == 0
            f(2)
            assert probe.instruments["n"].results == [1, 2]
            assert probe.status()["n"]["hits"] == 1
            probe.instruments["m"] = diagnose.ProbeTestInstrument("m", "-x")
            f(3)
            assert probe.instruments["m"].results == [-3]
            probe.stop()
            f(4)
            assert probe.instruments["n"].results == [1, 2, 3]
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        f(5)
        assert probe.instruments["n"].results == [1, 5]
        print("good")
    """) == "good\n"


def test_fork_while_threads_change_probes():
    assert run("""
        import os, sys, threading
        import diagnose
        def f(x):
            return x
        probe = diagnose.probes.attach_to("__main__.f")
        probe.start()
        stop = threading.Event()
        def change(name):
            while not stop.is_set():
                probe.instruments[name] = diagnose.ProbeTestInstrument("n", "x")
                f(1)
        threads = [threading.Thread(target=change, args=(str(i),), daemon=True) for i in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                instrument = diagnose.ProbeTestInstrument("n", "x")
                probe.instruments["child"] = instrument
                f(2)
                probe.stop()
                f(3)
                os._exit(0 if instrument.results == [2] else 1)
            assert os.waitpid(pid, 0)[1] == 0
        stop.set()
        print("good")
    """) == "good\n"


def test_exit_with_probes_armed():
    assert run("""
        import atexit
        import diagnose
        def f(x):
            return x
        class Late:
            def __del__(self):
                f(7)
        late = Late()
        probe = diagnose.probes.attach_to("__main__.f")
        probe.instruments["n"] = diagnose.LogInstrument("n", "x")
        probe.start()
        atexit.register(f, 5)
    """) == "Probe (n) = 5\n"


def test_import_needs_nothing():
    modules = run("""
        import sys
        before = set(sys.modules)
        import diagnose
        print(sorted(set(sys.modules) - before))
    """)
    for heavy in ("threading", "socket", "logging", "asyncio", "inspect", "typing", "re"):
        assert "'%s'" % heavy not in modules
