# SPDX-License-Identifier: MIT
"""The instruments by themselves, and what classes in Python make of them."""
import copy
import datetime
import gc
import inspect
import pickle
import re
import sys
import threading
import weakref

import library_samples as samples
import pytest
from library_support import (
    IS_MONITORING,
    PATIENCE,
    Manager,
    Recorder,
    captured,
    probe_on,
    target_of,
    wait_until,
)

import diagnose
from diagnose import instruments
from diagnose.instruments import (
    HistogramInstrument,
    IncrementInstrument,
    Instrument,
    LogInstrument,
    ProbeTestInstrument,
)
from diagnose.probes import attach_to

UTC = datetime.timezone.utc
TYPES = [Instrument, LogInstrument, HistogramInstrument, IncrementInstrument, ProbeTestInstrument]
PAST = datetime.datetime(2001, 1, 1)


def utcnow():
    return datetime.datetime.now(UTC).replace(tzinfo=None)


def lines(function, *instruments, calls=((1,),)):
    """What the instruments write while the function is called."""
    probe = probe_on(function, *instruments)
    with captured("stdout") as stdout:
        for arguments in calls:
            function(*arguments)
    probe.instruments.clear()
    return stdout.getvalue()


# ---- construction and attributes ----


@pytest.mark.parametrize("kind", TYPES)
def test_attributes(kind):
    instrument = kind("n", "v")
    assert (instrument.name, instrument.value, instrument.event) == ("n", "v", "return")
    assert instrument.expires is None
    assert instrument.custom == {}
    assert instrument.mgr is diagnose.manager
    manager = Manager()
    expires = utcnow()
    instrument = kind(
        name="n", value="v", event="call", expires=expires, custom={"a": 1}, mgr=manager, type="log"
    )
    assert (instrument.expires, instrument.custom) == (expires, {"a": 1})
    assert instrument.mgr is manager
    assert repr(kind("n", "v")) == (
        kind.__name__ + "(name='n', value='v', event='return', expires=None, custom={})"
    )


# what is given -> the error
BAD = [
    ({"name": 5}, TypeError, "name: must be a str, not int"),
    ({"name": ""}, ValueError, "name: must not be empty"),
    ({"value": 5}, TypeError, "value: must be a str, not int"),
    ({"value": None}, TypeError, "value: must be a str, not NoneType"),
    ({"value": "1 +"}, ValueError, "value: .*invalid syntax"),
    ({"value": ""}, ValueError, "value: "),
    ({"value": "x = 1"}, ValueError, "value: "),
    ({"value": "a\0b"}, ValueError, "value: has a null character"),
    ({"value": "(" * 300}, ValueError, "value: "),
    ({"event": 5}, TypeError, "event: must be a str, not int"),
    ({"event": "retrun"}, ValueError, "event: \"retrun\" is not one of: call, return, end, line:N"),
    ({"event": "line:0"}, ValueError, "event: "),
    ({"expires": 5}, TypeError, "expires: must be a datetime or None, not int"),
    ({"expires": datetime.date(2026, 1, 1)}, TypeError, "expires: must be a datetime or None, not"),
    ({"custom": []}, TypeError, "custom: must be a dict or None, not list"),
    ({"custom": {"tags": 5}}, TypeError, r"custom\['tags'\]: must be a str, not int"),
    ({"custom": {"tags": "1 +"}}, ValueError, r"custom\['tags'\]: .*invalid syntax"),
]


@pytest.mark.parametrize("given, kind, message", BAD, ids=lambda v: str(v)[:30])
def test_bad_input_names_the_key(given, kind, message):
    with pytest.raises(kind, match="^" + message):
        LogInstrument(**{"name": "n", "value": "x", **given})
    instrument = ProbeTestInstrument("n", "x")
    probe_on(samples.plain, instrument)
    [(key, value)] = given.items()
    former = getattr(instrument, key)
    with pytest.raises(kind, match="^" + message):
        setattr(instrument, key, value)
    assert getattr(instrument, key) == former
    samples.plain(1)
    assert instrument.results == [1]


def test_other_bad_input():
    with pytest.raises(TypeError):
        LogInstrument("n")
    with pytest.raises(TypeError, match="retries"):
        LogInstrument("n", "x", retries=3)
    for key in ("name", "value", "event", "expires", "custom", "mgr"):
        with pytest.raises(TypeError, match="%s: cannot be deleted" % key):
            delattr(LogInstrument("n", "x"), key)
    with pytest.raises(NotImplementedError, match="fire"):
        Instrument("n", "x").fire({}, {})


def test_a_line_that_has_no_code_is_refused_and_the_former_event_stays():
    instrument = ProbeTestInstrument("n", "x")
    probe_on(samples.plain, instrument)
    with pytest.raises(ValueError, match="line"):
        instrument.event = "line:99999"
    assert instrument.event == "return"
    samples.plain(1)
    assert instrument.results == [1]


def test_arming_names_the_attribute():
    probe = probe_on(samples.plain)
    for instrument, message in (
        (LogInstrument("n", "result", "call"), "value: 'result' is known at return and end only"),
        (LogInstrument("n", "x", "call", custom={"tags": "[result]"}), "custom['tags']: 'result'"),
        (LogInstrument("n", "x", mgr=5), "mgr: int has no global_namespace"),
    ):
        with pytest.raises((TypeError, ValueError), match="^" + re.escape(message)):
            probe.instruments["i"] = instrument
    assert probe.instruments == {}


@pytest.mark.parametrize("given", [(), ("n", "v"), ("n", "v", "call", None, None, None)])
@pytest.mark.parametrize("kind", TYPES)
def test_an_unknown_argument_is_named(kind, given):
    with pytest.raises(TypeError, match="^foo: is no argument of %s$" % kind.__name__):
        kind(*given, foo=1)


def test_super_init_was_not_called():
    class Lazy(LogInstrument):
        def __init__(self):
            pass

    lazy = Lazy()
    with pytest.raises(AttributeError, match="has not called super"):
        lazy.value
    with pytest.raises(TypeError, match=r"instruments\['lazy'\]: .*has not called super"):
        diagnose.probes.attach_to("x.y").instruments["lazy"] = lazy
    with pytest.raises(TypeError, match="has not called super"):
        lazy(samples.plain)
    with pytest.raises(TypeError, match="has not called super"):
        lazy.fire({}, {})
    assert "Lazy" in repr(lazy)


# ---- live attributes ----


def assigns_before(instrument):
    for name in ("name", "value", "event"):
        setattr(instrument, name, "call")


def fails_before(instrument):
    with pytest.raises(ValueError, match="name"):
        Instrument.__init__(instrument, "", "x")
    instrument.value = "x"


@pytest.mark.parametrize("prepare", [assigns_before, fails_before])
def test_assignments_do_not_stand_for_super_init(prepare):
    class Lazy(LogInstrument):
        def __init__(self):
            prepare(self)

    lazy = Lazy()
    assert repr(lazy) == "<Lazy without an __init__>"
    for use in (
        lambda: probe_on(samples.plain).instruments.update(lazy=lazy),
        lambda: lazy.fire({}, {}),
        lambda: lazy(samples.plain),
        lambda: copy.copy(lazy),
    ):
        with pytest.raises(TypeError, match="has not called super"):
            use()
    samples.plain(1)


def test_attributes_are_live():
    instrument = ProbeTestInstrument("n", "x")
    probe_on(samples.plain, instrument)
    samples.plain(1)
    instrument.value = "x * 10"
    samples.plain(1)
    instrument.event = "end"
    instrument.value = "z"
    samples.plain(1)
    instrument.event = "call"
    instrument.value = "args"
    samples.plain(1)
    instrument.custom = {"tags": "{'x': x}"}
    samples.plain(1)
    instrument.custom["tags"] = "{'y': x}"
    samples.plain(1)
    samples.plain(1)
    instrument.custom = None
    samples.plain(1)
    assert instrument.log == [
        (None, 1), (None, 10), (None, 2), (None, (1,)), ({"x": 1}, (1,)), ({"y": 1}, (1,)),
        ({"y": 1}, (1,)), (None, (1,)),
    ]


def test_the_name_is_live():
    instrument = LogInstrument("n", "x")
    assert lines(samples.plain, instrument) == "Probe (n) = 1\n"
    instrument.name = "m"
    assert lines(samples.plain, instrument) == "Probe (m) = 1\n"


def test_a_change_on_several_probes():
    instrument = ProbeTestInstrument("n", "x")
    probe_on(samples.plain, instrument)
    probe_on(samples.same, instrument)
    instrument.value = "-x"
    samples.plain(1)
    samples.same(2)
    assert instrument.results == [-1, -2]
    instrument.value = "x"
    with pytest.raises(ValueError):
        instrument.event = "line:14"
    samples.plain(3)
    samples.same(4)
    assert instrument.results == [-1, -2, 3, 4]


@pytest.mark.parametrize("aware", [False, True])
def test_expiry(aware):
    now = datetime.datetime.now(UTC if aware else None) if aware else utcnow()
    if aware:
        now = now.astimezone(datetime.timezone(datetime.timedelta(hours=-7)))
    recorder = Recorder("n", "x", expires=now + datetime.timedelta(hours=1))
    probe = probe_on(samples.plain, recorder)
    samples.plain(1)
    recorder.expires = now - datetime.timedelta(seconds=1)
    assert recorder.finished == 1
    samples.plain(2)
    assert probe.status()["n"]["state"] == "EXPIRED"
    recorder.expires = None
    samples.plain(3)
    assert recorder.values == [1, 3]
    assert recorder.finished == 1


def test_what_has_expired_is_never_armed():
    recorder = Recorder("n", "x", expires=PAST)
    probe = probe_on(samples.plain, recorder)
    samples.plain(1)
    assert (recorder.values, recorder.finished) == ([], 0)
    assert probe.status()["n"]["state"] == "EXPIRED"
    recorder.expires = datetime.datetime.max
    samples.plain(2)
    assert recorder.values == [2]


def test_expiry_at_a_hit_disarms_soon():
    recorder = Recorder("n", "x", event="call")
    probe_on(samples.plain, recorder)
    probed = type(samples.plain)
    recorder.expires = utcnow() + datetime.timedelta(milliseconds=30)
    samples.plain(1)
    wait_until(lambda: utcnow() > recorder.expires)
    samples.plain(2)
    assert recorder.values == [1]
    assert recorder.finished == 1
    if not IS_MONITORING:
        assert probed is not type(recorder.fire.__func__)
    wait_until(lambda: type(samples.plain) is type(utcnow))


# ---- expressions ----

NAMES = [
    ("call", "x", 5), ("call", "[x for _ in range(2)]", [5, 5]), ("call", "(lambda: x)()", 5),
    ("call", "[FACTOR * x for _ in (1,)]", [15]), ("call", "foo + x", 12),
    ("call", "[foo for _ in (1,)]", [7]), ("call", "sorted([1, x], key=lambda v: -v * foo)", [5, 1]),
    ("call", "args", (5,)), ("call", "kwargs", {}), ("call", "type(start).__name__", "float"),
    ("call", "type(now).__name__", "datetime"), ("call", "frame.f_code.co_name is not None", True),
    ("return", "result", 15), ("return", "[result + x for _ in (1,)]", [20]),
    ("return", "elapsed >= 0 and end >= start", True), ("return", "(y := x) and y", 5),
    ("return", "sorted(hotspots.calls) != []", True), ("return", "hotspots.slowest.lineno > 0", True),
    ("end", "x * FACTOR", 15), ("end", "[x * foo for _ in (1,)]", [35]),
    ("return", "math.floor(2.5)", 2), ("call", "sum(x * i for i in range(foo))", 105),
]


@pytest.mark.parametrize("event, value, expected", NAMES)
def test_every_expression_has_the_same_value_in_c_and_in_python(event, value, expected):
    manager = Manager()
    manager.global_namespace["foo"] = 7
    built_in = ProbeTestInstrument("c", value, event=event, mgr=manager)
    derived = Recorder("py", value, event=event, mgr=manager)
    probe_on(samples.uses_global, built_in, derived)
    samples.uses_global(5)
    assert derived.errors == []
    assert manager.errors == []
    assert built_in.results == derived.values == [expected]


def test_evaluate_on_its_own():
    instrument = Instrument("n", "x")
    evaluate = instrument.evaluate
    assert evaluate("x + y", {"x": 1}, {"y": 2}) == 3
    assert evaluate("x", {"x": 1}, {"x": 2}) == 2
    assert evaluate("[x + y + len('a') for _ in (1,)]", {"x": 1}, {"y": 2}) == [4]
    assert evaluate("  x", {}, {"x": 1}) == 1
    assert evaluate(value="(lambda: x)()", _globals={}, _locals={"x": 1}) == 1

    class Computed(dict):
        def __missing__(self, key):
            if key == "length":
                return 5
            raise KeyError(key)

    assert evaluate("length + x + len('ab')", {"x": 1}, Computed()) == 8
    for arguments, kind in [
        (("y", {}, {}), NameError), (("1 +", {}, {}), ValueError), ((5, {}, {}), TypeError),
        (("y", [], {}), TypeError), (("y", {}, 5), TypeError), (("1 / 0", {}, {}), ZeroDivisionError),
    ]:
        with pytest.raises(kind):
            evaluate(*arguments)
    for number in range(200):
        assert evaluate("x + %d" % number, {}, {"x": 1}) == number + 1


def test_each_thread_in_fire_keeps_its_names():
    first_is_over, second_is_in = threading.Event(), threading.Event()

    class Keeps(ProbeTestInstrument):
        def fire(self, _globals, _locals):
            if _locals["x"] == 1:
                second.start()
                assert second_is_in.wait(PATIENCE)
            else:
                second_is_in.set()
                assert first_is_over.wait(PATIENCE)
            self.evaluate("(kept := x)", _globals, _locals)
            self.log.append((None, self.evaluate("kept", _globals, _locals)))

    second = threading.Thread(target=samples.plain, args=(2,))
    instrument = Keeps("n", "x", mgr=Manager())
    probe_on(samples.plain, instrument)
    samples.plain(1)
    first_is_over.set()
    second.join()
    assert instrument.mgr.errors == []
    assert instrument.results == [1, 2]


class Text(str):
    __hash__ = None


def test_texts_of_a_class_derived_from_str():
    class Own(ProbeTestInstrument):
        def fire(self, _globals, _locals):
            tags = self.merge_tags(_globals, _locals)
            self.log.append((tags, self.evaluate(self.value, _globals, _locals)))

    built_in, own = (
        kind("n", Text("x * 2"), Text("call"), custom={"tags": Text("['t']")}, mgr=Manager())
        for kind in (ProbeTestInstrument, Own)
    )
    for instrument in (built_in, own):
        probe_on(samples.plain, instrument)
        samples.plain(1)
        assert instrument.mgr.errors == []
        assert instrument.log == [(["t"], 2)]
        instrument.custom["tags"] = 5
        samples.plain(1)
        assert {str(error) for _, _, error in instrument.mgr.errors} == {
            "custom['tags']: must be a str, not int"
        }


def test_a_subclass_adds_names():
    class Adds(Recorder):
        def fire(self, _globals, _locals):
            _locals["added"] = 10
            super().fire(_globals, _locals)
            self.values.append(self.evaluate("[added + x for _ in (1,)]", _globals, _locals))
            self.values.append(
                self.evaluate("other + x", dict(_globals, other=100), dict(_locals, x=_locals["x"]))
            )
            self.values.append(self.evaluate("other * FACTOR", {"other": 100}, _locals))

    adds = Adds("n", "added + x")
    probe_on(samples.uses_global, adds)
    samples.uses_global(1)
    assert adds.errors == []
    assert adds.values == [11, [11], 101, 300]


def test_what_fire_is_given():
    given = []

    class Fires(Instrument):
        def fire(self, _globals, _locals):
            given.append((_globals, _locals))

    diagnose.manager = Manager()
    probe_on(samples.plain, Fires("n", "x"))
    samples.plain(1)
    [(_globals, _locals)] = given
    assert _globals is diagnose.manager.global_namespace
    assert _locals["x"] == 1 and _locals["result"] == 2
    assert isinstance(_locals, dict)
    diagnose.manager = None
    samples.plain(2)
    assert given[1][0] == {}
    assert given[1][1]["x"] == 2


def test_the_managers_globals_are_live():
    diagnose.manager = Manager()
    instrument = ProbeTestInstrument("n", "foo + x")
    python = Recorder("p", "foo + x")
    probe_on(samples.plain, instrument, python)
    diagnose.manager.global_namespace.update({"foo": 10})
    instrument.expires = python.expires = None
    samples.plain(1)
    diagnose.manager.global_namespace["foo"] = 20
    samples.plain(1)
    diagnose.manager.global_namespace = {"foo": 30}
    samples.plain(1)
    other = Manager()
    other.global_namespace["foo"] = 40
    diagnose.manager = other
    samples.plain(1)
    samples.plain(1)
    assert instrument.results == [11, 21, 31, 41, 41]
    assert python.values == [11, 21, 31, 41, 41]


def test_a_name_without_a_value_is_left_out():
    instrument = ProbeTestInstrument("n", "zz", event="line:%d" % (samples.plain.__code__.co_firstlineno + 1))
    instrument.value = "z"
    probe = probe_on(samples.plain, instrument)
    samples.plain(1)
    assert instrument.results == []
    assert probe.status()["n"]["skips"]["unbound"] == 1


# ---- log ----


@pytest.mark.parametrize("value, expected", [
    ("x", "1"), ("None", None), ("'a'", "a"), ("[x, 'a']", "[1, 'a']"), ("''", ""),
    ("'b' * 2000", "b" * 2000), ("'b' * 2001", "b" * 1997 + "..."),
    ("'\\u20ac' * 3000", "\u20ac" * 1997 + "..."),
    ("list(range(5000))", str(list(range(5000)))[:1997] + "..."),
    ("{i: str(i) for i in range(5000)}", str({i: str(i) for i in range(5000)})[:1997] + "..."),
    ("{1: (2, [3])}", "{1: (2, [3])}"), ("0", "0"), ("False", "False"),
    ("'\\ud800'", "\ud800"), ("['\\ud800']", "['\\ud800']"),
])
def test_log_of_a_value(value, expected):
    text = "" if expected is None else "Probe (n) = %s\n" % expected
    assert lines(samples.plain, LogInstrument("n", value)) == text


@pytest.mark.parametrize("tags, expected", [
    ("{'a': x}", "{'a': 1}"), ("['a:1']", "['a:1']"), ("('a:1', 'b')", "['a:1', 'b']"), ("{}", None),
    ("[]", None), ("{'a:1'}", "['a:1']"), ("{'a': 'b' * 3000}", "{'a': '%s..." % ("b" * 1990)),
])
def test_log_of_tags(tags, expected):
    part = "" if expected is None else "[tags=%s]" % expected
    instrument = LogInstrument("n", "x", custom={"tags": tags})
    assert lines(samples.plain, instrument) == "Probe (n)%s = 1\n" % part


def test_log_goes_where_out_says():
    class List(list):
        write = list.append

    class Own(LogInstrument):
        out = List()

    instrument = LogInstrument("n", "x")
    instrument.out = List()
    assert lines(samples.plain, Own("o", "x"), instrument) == ""
    assert Own.out == ["Probe (o) = 1\n"]
    assert instrument.out == ["Probe (n) = 1\n"]
    LogInstrument.out = List()
    try:
        assert lines(samples.plain, LogInstrument("c", "x")) == ""
        assert LogInstrument.out == ["Probe (c) = 1\n"]
    finally:
        LogInstrument.out = None
    assert LogInstrument.MAX_CHARS == 2000


# ---- tags ----


class Tagged(Manager):
    tags = {}

    def get_tags(self):
        return self.tags


# the manager's, the instrument's -> together
MERGED = [
    ({}, None, None), (None, None, None), ({"m": 1}, None, {"m": 1}), (["m:1"], None, ["m:1"]),
    ({"m": 1}, "{'i': 2}", {"m": 1, "i": 2}), ({"m": 1}, "{'m': 2}", {"m": 2}),
    ({"m": 1}, "['i:2']", ["m:1", "i:2"]), (["m:1"], "{'i': 2}", ["m:1", "i:2"]),
    (["m:1"], "['i:2']", ["m:1", "i:2"]), ({}, "{'i': 2}", {"i": 2}), ({}, "['i:2']", ["i:2"]),
    ({"m": 1}, "{}", {"m": 1}), ({"m": 1}, "[]", {"m": 1}), ([], "{'i': 2}", {"i": 2}),
    ((), "('i',)", ["i"]), ({}, "{}", {}), ({}, "[]", []), ({}, "", None),
]


@pytest.mark.parametrize("common, own, expected", MERGED)
def test_tags_are_merged(common, own, expected):
    manager = Tagged()
    manager.tags = common
    custom = None if own is None else {"tags": own}
    instrument = ProbeTestInstrument("n", "x", custom=custom, mgr=manager)
    probe_on(samples.plain, instrument)
    samples.plain(1)
    assert manager.errors == []
    assert instrument.log == [(expected, 1)]
    assert instrument.merge_tags({}, {"x": 1}) == expected


@pytest.mark.parametrize("common, own, key", [
    ({}, "5", r"custom\['tags'\]"), ({}, "'a:1'", r"custom\['tags'\]"), ({}, "None", r"custom\['tags'\]"),
    ({}, "[5]", None), ({"m": 1}, "[5]", r"custom\['tags'\]"), (5, None, r"get_tags\(\)"),
    ([5], "{'a': 1}", r"get_tags\(\)"),
])
def test_tags_of_the_wrong_kind(common, own, key):
    manager = Tagged()
    manager.tags = common
    custom = None if own is None else {"tags": own}
    instrument = ProbeTestInstrument("n", "x", custom=custom, mgr=manager)
    with pytest.raises(TypeError, match=key or "custom"):
        instrument.merge_tags({}, {"x": 1})
    probe_on(samples.plain, instrument)
    samples.plain(1)
    [(_, _, error)] = manager.errors
    assert isinstance(error, TypeError)


# ---- statsd ----


class Statsd:
    def __init__(self):
        self.calls = []

    def histogram(self, name, value, tags=None):
        self.calls.append(("histogram", name, value, tags))

    def increment(self, name, value, tags=None):
        self.calls.append(("increment", name, value, tags))


@pytest.fixture
def statsd(monkeypatch):
    client = Statsd()
    monkeypatch.setattr(instruments, "statsd", client)
    return client


FORMS = [
    ("5", None, [(5, None)]), ("2.5", None, [(2.5, None)]), ("True", None, [(True, None)]),
    ("None", None, []), ("[1, 2.5]", None, [(1, None), (2.5, None)]), ("[]", None, []),
    ("5", "{'a': x}", [(5, ["a:1"])]), ("5", "['a:1', 'b']", [(5, ["a:1", "b"])]),
    ("[(1, 'p'), (2, ['q', 'r']), (3, {'s': 4})]", None,
     [(1, ["p"]), (2, ["q", "r"]), (3, ["s:4"])]),
    ("[(1, 'p'), 2]", "{'a': x}", [(1, ["a:1", "p"]), (2, ["a:1"])]),
    ("[[1, None]]", None, [(1, None)]),
]


@pytest.mark.parametrize("value, tags, expected", FORMS)
@pytest.mark.parametrize("kind", [HistogramInstrument, IncrementInstrument])
def test_a_statsd_of_the_programs(kind, value, tags, expected, statsd):
    manager = Manager()
    instrument = kind("n", value, custom=tags and {"tags": tags}, mgr=manager)
    probe_on(samples.plain, instrument)
    samples.plain(1)
    method = "histogram" if kind is HistogramInstrument else "increment"
    assert manager.errors == []
    assert statsd.calls == [(method, "n", number, own) for number, own in expected]


@pytest.mark.parametrize("value, message", [
    ("'5'", "value: must be a number, or a list"), ("{}", "value: must be"), ("1j", "value: must be"),
    ("['5']", "value: item 0"), ("[1, (2, 3, 4)]", "value: item 1"), ("[('a', 1)]", "value: item 0"),
    ("[(1, 5)]", "value: "), ("float('nan')", "value: nan is not"), ("[float('inf')]", "value: inf"),
])
def test_values_that_are_no_numbers(value, message, statsd):
    manager = Manager()
    probe_on(samples.plain, HistogramInstrument("n", value, mgr=manager))
    samples.plain(1)
    [(_, _, error)] = manager.errors
    assert isinstance(error, (TypeError, ValueError))
    assert str(error).startswith(message)
    assert statsd.calls == []


def test_statsd_is_looked_up_at_each_hit(statsd, monkeypatch):
    probe_on(samples.plain, IncrementInstrument("n", "1"))
    samples.plain(1)
    other = Statsd()
    monkeypatch.setattr(instruments, "statsd", other)
    samples.plain(1)
    assert len(statsd.calls) == len(other.calls) == 1


# ---- overridden methods ----


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


# ---- objects ----


class Defaults(ProbeTestInstrument):
    name, value, event, expires, custom, mgr = "d", "-x", "call", None, {}, None

    def __init__(self, **kwargs):
        super().__init__(kwargs.pop("name", self.name), kwargs.pop("value", self.value), **kwargs)


def test_defaults_of_a_class_hide_no_attribute():
    instrument = Defaults(event="call", custom={"tags": "['t']"})
    probe_on(samples.plain, instrument)
    samples.plain(1)
    instrument.value = "x * 2"
    instrument.custom = {"tags": "['u']"}
    samples.plain(2)
    instrument.custom = None
    assert instrument.custom == {}
    instrument.custom["tags"] = "['v']"
    instrument.event = "return"
    instrument.value = "result"
    samples.plain(3)
    assert instrument.log == [(["t"], -1), (["u"], 4), (["v"], 4)]
    for name, value in (("value", "1 +"), ("event", "line:99999"), ("expires", 5), ("custom", 5)):
        former = getattr(instrument, name)
        with pytest.raises((TypeError, ValueError)):
            setattr(instrument, name, value)
        assert getattr(instrument, name) == former
    with pytest.raises(TypeError, match="value: cannot be deleted"):
        del instrument.value
    instrument.expires = PAST
    samples.plain(4)
    assert len(instrument.log) == 3


def test_an_error_switches_off_an_instrument_with_a_default():
    instrument = Defaults(value="1 / 0", mgr=Manager())
    probe_on(samples.plain, instrument)
    for _ in range(5):
        samples.plain(1)
    assert instrument.expires == Instrument.error_expiration
    assert len(instrument.mgr.errors) == 1
    instrument.value, instrument.expires = "x", None
    samples.plain(1)
    assert instrument.results == [1]


@pytest.mark.parametrize("text", ["z", "z%d"])
def test_a_getter_that_assigns(text):
    class Assigns(ProbeTestInstrument):
        count = 0

        @property
        def value(self):
            self.count += 1
            self.name = text % self.count if "%" in text else text
            self.event = "call"
            return "x * 10"

        @value.setter
        def value(self, value):
            pass

    instrument = Assigns("n", "1")
    for function in (samples.plain, samples.same):
        attach_to(target_of(function)).instruments["n"] = instrument
        probe_on(function)
        function(1)
    assert instrument.results == [10, 10]
    assert instrument.name == (text % instrument.count if "%" in text else text)
    assert instrument.count < 20


def test_pickle_and_copy():
    for kind in TYPES:
        instrument = kind("n", "x", event="call", expires=PAST, custom={"tags": "{}"})
        instrument.note = "mine"
        for twin in (pickle.loads(pickle.dumps(instrument)), copy.copy(instrument)):
            assert type(twin) is kind and twin is not instrument
            assert repr(twin) == repr(instrument)
            assert twin.note == "mine"


class Threshold(ProbeTestInstrument):
    """With arguments of its own, a default that hides a field, and a property."""

    custom = {}

    def __init__(self, limit, *, given="x"):
        self.limit, self.given = limit, given
        super().__init__("slow", given)

    @property
    def value(self):
        return self.given

    @value.setter
    def value(self, value):
        self.given = value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_and_copy_of_a_class_with_its_own_arguments(protocol):
    instrument = Threshold(5)
    instrument.value, instrument.custom = "-x", {"tags": "['t']"}
    pickled = pickle.loads(pickle.dumps(instrument, protocol))
    for twin in (pickled, copy.copy(instrument), copy.deepcopy(instrument)):
        assert type(twin) is Threshold and twin is not instrument
        assert vars(twin) == vars(instrument)
        assert repr(twin) == repr(instrument)
        probe = probe_on(samples.plain, twin)
        samples.plain(2)
        twin.custom = {"tags": "['u']"}
        samples.plain(2)
        probe.instruments.clear()
        assert twin.log == [(["t"], -2), (["u"], -2)]
    assert instrument.custom == {"tags": "['t']"}


@pytest.mark.parametrize("kind", TYPES)
def test_cycles_are_collected(kind):
    class Derived(kind):
        pass

    instrument = Derived("n", "x")
    instrument.me = instrument
    instrument.custom["me"] = instrument
    reference = weakref.ref(instrument)
    probe = probe_on(samples.plain, instrument)
    instrument.evaluate("x", {}, {"x": 1})
    probe.stop()
    del probe, instrument
    diagnose.probes.active_probes.clear()
    gc.collect()
    assert reference() is None


def test_custom_that_is_shared_survives():
    custom = {"a": 1}
    instrument = LogInstrument("n", "x", custom=custom)
    instrument.me = instrument
    del instrument
    gc.collect()
    assert custom == {"a": 1}


def test_signatures_and_docstrings():
    for kind in [*TYPES, instruments.Raise, diagnose.probes.FunctionProbe]:
        assert inspect.signature(kind).parameters
        assert inspect.getdoc(kind)
        for name, member in vars(kind).items():
            if name.startswith("_") or name in ("alters", "error_expiration", "out", "MAX_CHARS"):
                continue
            assert inspect.getdoc(member), name
            if inspect.isroutine(member):
                assert "self" in str(inspect.signature(member)), name
    assert str(inspect.signature(Instrument.fire)) == "(self, /, _globals, _locals)"


def test_results_and_log_of_a_test_instrument():
    instrument = ProbeTestInstrument("n", "x if x else None")
    probe_on(samples.plain, instrument)
    samples.plain(1)
    samples.plain(0)
    assert instrument.log == [(None, 1), (None, None)]
    assert instrument.results == [1, None]
    instrument.log.clear()
    assert instrument.results == []
    instrument.log = []
    with pytest.raises(TypeError, match="log"):
        instrument.log = 5
