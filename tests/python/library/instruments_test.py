# SPDX-License-Identifier: MIT
"""The instruments by themselves: construction, attributes that change while they run, objects."""
import copy
import datetime
import gc
import inspect
import pickle
import re
import weakref

import library_samples as samples
import pytest
from library_support import (
    IS_MONITORING,
    Manager,
    Recorder,
    lines,
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
