# SPDX-License-Identifier: MIT
"""Probes: attaching, starting, stopping, and the live mapping of instruments."""
import asyncio
import gc
import importlib
import json
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import types
import weakref

import library_samples as samples
import pytest
from library_support import IS_MONITORING, Recorder, captured, probe_on, target_of

import diagnose
from diagnose.instruments import LogInstrument, ProbeTestInstrument
from diagnose.probes import FunctionProbe, active_probes, attach_to, start_all

PLAIN = target_of(samples.plain)


def sensor(value="x", event="return", name="n"):
    return ProbeTestInstrument(name, value, event)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes modules that can be imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    written = []

    def write(name, text):
        (tmp_path / (name + ".py")).write_text(textwrap.dedent(text))
        importlib.invalidate_caches()
        written.append(name)

    yield write
    for name in written:
        sys.modules.pop(name, None)


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


# ---- the mapping ----


def test_the_mapping_is_a_dict():
    probe = probe_on(samples.plain, sensor(), start=False)
    assert isinstance(probe.instruments, dict)
    assert dict(probe.instruments) == probe.instruments
    assert type(probe.instruments.copy()) is dict
    assert type(probe.instruments | {}) is dict
    assert list(probe.instruments) == ["n"] and "n" in probe.instruments and len(probe.instruments) == 1
    assert probe.instruments.get("x") is None
    with pytest.raises(TypeError):
        type(probe.instruments)()
    with pytest.raises(TypeError):
        probe.instruments.__init__({})
    assert json.dumps(probe.instruments, default=lambda i: i.value) == '{"n": "x"}'
    assert type(pickle.loads(pickle.dumps(probe.instruments))) is dict


@pytest.mark.parametrize("is_running", [False, True])
@pytest.mark.parametrize("key, value, message", [
    ("n", 5, r"^instruments\['n'\]: must be an Instrument, not int"),
    ("n", None, r"^instruments\['n'\]: must be an Instrument, not NoneType"),
    ("n", LogInstrument, r"^instruments\['n'\]: must be an Instrument, not type"),
    (5, LogInstrument("n", "x"), r"^instruments\[5\]: a key must be a str, not int"),
])
def test_what_is_no_instrument_is_refused(key, value, message, is_running):
    probe = probe_on(samples.plain, sensor(name="kept"), start=is_running)
    changes = [
        lambda i: i.__setitem__(key, value), lambda i: i.update({"other": sensor(), key: value}),
        lambda i: i.setdefault(key, value), lambda i: i.__ior__({key: value}),
        lambda i: i.update([(key, value)]),
    ]
    for change in changes:
        with pytest.raises(TypeError, match=message):
            change(probe.instruments)
    with pytest.raises(TypeError, match=message):
        FunctionProbe("x.y", {key: value})
    with pytest.raises(TypeError, match=message):
        probe.instruments = {key: value}
    assert list(probe.instruments) == ["kept"]
    assert "x.y" not in active_probes


def hit():
    """Which of the instruments see a call."""
    samples.plain(1)


CHANGES = [
    ("n[k] = v", lambda p, v: p.instruments.__setitem__("b", v), "ab"),
    ("replace", lambda p, v: p.instruments.__setitem__("a", v), "b"),
    ("del", lambda p, v: p.instruments.__delitem__("a"), ""),
    ("pop", lambda p, v: p.instruments.pop("a"), ""),
    ("pop of none", lambda p, v: p.instruments.pop("z", None), "a"),
    ("popitem", lambda p, v: p.instruments.popitem(), ""),
    ("clear", lambda p, v: p.instruments.clear(), ""),
    ("update", lambda p, v: p.instruments.update({"b": v}), "ab"),
    ("update of pairs", lambda p, v: p.instruments.update([("b", v)]), "ab"),
    ("update of keywords", lambda p, v: p.instruments.update(b=v), "ab"),
    ("setdefault", lambda p, v: p.instruments.setdefault("b", v), "ab"),
    ("setdefault of one", lambda p, v: p.instruments.setdefault("a", v), "a"),
    ("|=", lambda p, v: p.instruments.__ior__({"b": v}), "ab"),
    ("assign", lambda p, v: setattr(p, "instruments", {"b": v}), "b"),
    ("twice", lambda p, v: p.instruments.update(b=v, c=v), "abb"),
]


@pytest.mark.parametrize("name, change, expected", CHANGES, ids=lambda v: v if isinstance(v, str) else "")
def test_every_change_takes_effect_at_once(name, change, expected):
    seen = []

    class Sees(Recorder):
        def fire(self, _globals, _locals):
            seen.append(self.name)

    first, second = Sees("a", "x"), Sees("b", "x")
    probe = probe_on(samples.plain, first)
    change(probe, second)
    samples.plain(1)
    assert "".join(sorted(seen)) == expected
    assert first.finished == (0 if "a" in expected else 1)
    probe.stop()
    probe.start()
    seen.clear()
    samples.plain(1)
    assert "".join(sorted(seen)) == expected


def test_in_place_or_by_its_operator():
    probe = probe_on(samples.plain)
    former = probe.instruments
    probe.instruments |= {"n": sensor()}
    assert probe.instruments is former
    assert list(former) == ["n"]


def test_missing_keys():
    probe = attach_to(PLAIN)
    for change in (lambda i: i.pop("z"), lambda i: i.__delitem__("z"), lambda i: i.popitem()):
        with pytest.raises(KeyError):
            change(probe.instruments)
    assert probe.instruments.pop("z", 5) == 5


def test_what_cannot_be_armed_is_not_added():
    kept = sensor(name="kept")
    probe = probe_on(samples.plain, kept)
    with pytest.raises(ValueError, match="line"):
        probe.instruments["bad"] = sensor("1", "line:9999")
    recorder = Recorder("kept", "x", "line:9999")
    with pytest.raises(ValueError, match="line"):
        probe.instruments["kept"] = recorder
    samples.plain(1)
    assert kept.results == [1]
    assert recorder.finished == 0
    assert list(probe.instruments) == ["kept"]
    running = attach_to("library_samples.missing")
    with pytest.raises(AttributeError):
        running.start()
    with pytest.raises(AttributeError, match="has no missing"):
        running.instruments["n"] = sensor()
    assert running.instruments == {}


def test_finish_is_called_once_for_each_service():
    one = Recorder("n", "x")
    probe = probe_on(samples.plain, one)
    probe.stop()
    probe.stop()
    assert one.finished == 1
    probe.start()
    del probe.instruments["n"]
    assert one.finished == 2
    probe.instruments["n"] = one
    probe.instruments["n"] = one
    assert one.finished == 2
    probe.instruments["n"] = Recorder("n", "1 / 0")
    assert one.finished == 3
    two = probe.instruments["n"]
    samples.plain(1)
    samples.plain(1)
    probe.stop()
    assert (two.finished, len(two.errors)) == (1, 1)


def test_changes_while_other_threads_call():
    stop = threading.Event()
    wrong = []

    def call():
        while not stop.is_set():
            if samples.plain(1) != 2:
                wrong.append(1)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    probe = probe_on(samples.plain)
    total = 0
    try:
        for number in range(150):
            instrument = sensor("x", ["call", "return", "end"][number % 3])
            probe.instruments["a"] = instrument
            probe.instruments["b"] = Recorder("b", "x + result" if number % 3 == 1 else "x")
            instrument.value = "-x"
            while not instrument.results:
                samples.plain(1)
            if number % 10 == 0:
                probe.stop()
                probe.start()
            if number % 7 == 0:
                probe.instruments.clear()
            total += len(instrument.results)
            assert set(instrument.results) <= {1, -1}
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert total >= 150


def test_several_threads_change_the_same_probe():
    probe = probe_on(samples.plain)
    problems = []

    def change(name):
        try:
            for number in range(100):
                probe.instruments[name] = sensor()
                probe.instruments.pop(name)
                if number % 10 == 0:
                    probe.stop()
                probe.start()
                samples.plain(1)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=change, args=(str(i % 3),)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # two threads may pop the same name
    assert all(isinstance(problem, KeyError) for problem in problems)
    probe.instruments.clear()
    probe.stop()
    assert type(samples.plain) is types.FunctionType
    assert samples.plain(1) == 2


def test_an_instrument_that_removes_itself():
    class Once(Recorder):
        def fire(self, _globals, _locals):
            super().fire(_globals, _locals)
            del attach_to(PLAIN).instruments["n"]

    once = Once("n", "x")
    probe_on(samples.plain, once)
    for x in range(3):
        samples.plain(x)
    assert (once.values, once.finished) == ([0], 1)


def test_a_probe_without_instruments_is_collected():
    probe = FunctionProbe("a.b", {"n": sensor()})
    probe.me = probe
    reference = weakref.ref(probe)
    instruments = probe.instruments
    active_probes.clear()
    del probe
    gc.collect()
    assert reference() is not None  # the mapping keeps it
    instruments["m"] = sensor()
    del instruments
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("what", [5, [1], "ab", object()])
def test_instruments_that_are_no_dict(what):
    message = "^instruments: must be a dict, not %s$" % type(what).__name__
    probe = attach_to("x.y")
    with pytest.raises(TypeError, match=message):
        probe.instruments = what
    with pytest.raises(TypeError, match=message):
        FunctionProbe("x.z", what)
    assert set(active_probes) == {"x.y"}


def test_a_key_that_cannot_be_hashed():
    class Key(str):
        def __hash__(self):
            raise ValueError("no hash")

    instrument = sensor("x")
    probe = probe_on(samples.plain)
    instruments = probe.instruments
    for use in (instruments.__setitem__, instruments.setdefault, instruments.pop):
        with pytest.raises(ValueError, match="^no hash$"):
            use(Key("n"), instrument)
    with pytest.raises(ValueError, match="^no hash$"):
        del instruments[Key("n")]
    samples.plain(1)
    assert (dict(instruments), instrument.results, probe.status()) == ({}, [], {})


# ---- decorators ----


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
