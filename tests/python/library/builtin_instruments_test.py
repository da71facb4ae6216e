# SPDX-License-Identifier: MIT
"""What the instruments for the log and for StatsD make of a value."""

import library_samples as samples
import pytest
from library_support import Manager, lines, probe_on

from diagnose import instruments
from diagnose.instruments import HistogramInstrument, IncrementInstrument, LogInstrument


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
