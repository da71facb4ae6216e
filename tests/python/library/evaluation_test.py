# SPDX-License-Identifier: MIT
"""What an instrument makes of its expressions: the value's and the tags'."""
import threading

import library_samples as samples
import pytest
from library_support import PATIENCE, Manager, Recorder, probe_on

import diagnose
from diagnose.instruments import Instrument, ProbeTestInstrument


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
