# SPDX-License-Identifier: MIT
"""A probe's live mapping of instruments."""
import gc
import json
import pickle
import threading
import types
import weakref

import library_samples as samples
import pytest
from library_support import Recorder, probe_on, sensor, target_of

from diagnose.instruments import LogInstrument
from diagnose.probes import FunctionProbe, active_probes, attach_to

PLAIN = target_of(samples.plain)


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
