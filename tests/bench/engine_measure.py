# SPDX-License-Identifier: MIT
"""What tests/bench/engine runs in each interpreter: prints, as JSON, what calls took.

Every case is measured bare and armed: the same function object, called by the same loop. Each round
goes through four phases: nothing armed; all specs armed, C functions with a no-op; C functions
timed; nothing armed, and tracing functions in C. In each phase the cases take turns. What counts is
the least time of a call over all rounds and turns, or that of each round.
"""
import argparse
import functools
import gc
import itertools
import json
import math
import sys
import time
import types

import engine_bench

TURNS = 8  # per phase and round
IDLE = 100  # probed functions that are never called
HEAP = 300000  # objects, for attaching and detaching
DEBIAN = "/usr/lib/python3/dist-packages"

LOOP = """
def loop(f, times, a, b):
    for _ in times:
        %s
"""
PLAIN = "def f(a, b):\n    return a\n"
LOCAL = "def f(a, b):\n    c = a\n    return c\n"
RAISING = """
def throw(depth):
    if depth:
        throw(depth - 1)
    raise ValueError
def f(a, b):
    try:
        throw(%d)
    except ValueError:
        pass
"""
LONELY = """
def leaf(number):
    return number + 1
def f(a, b):
    c = a.x
    if c > 3:
        c = leaf(c)
    return c
"""

BARE, ARMED, TIMED, TRACED = range(4)


def lines(count):
    """A function that executes so many lines, no matter with which arguments."""
    return "def f(a, b):\n" + "    c = a\n" * (count - 1) + "    return c\n"


def looping(count):
    """Executes so many lines, and one more, again and again the same two."""
    return "def f(a, b):\n    for c in range(%d):\n        c = a\n" % (count // 2)


def calling(count):
    """A function of one line that calls a leaf of three lines so many times."""
    leaf = "def leaf(a):\n    b = a\n    c = b\n    return c\n"
    return leaf + "def f(a, b):\n    return " + " + ".join(["leaf(1)"] * count) + "\n"


class Thing:
    def __init__(self):
        self.x = 5


class Case:
    """A function, the loop that calls it, and what is armed on it."""

    def __init__(self, name, source=PLAIN, event=None, value="None", calls=1.0, expect=None,
                 phase=ARMED, tracer=None):
        """`calls`: share of the calls that a turn makes; `expect`: None, or what the last hit's
        value must satisfy."""
        self.name, self.calls, self.expect = name, calls, expect
        self.phase, self.tracer = phase, tracer
        self.arguments = (Thing(), [1, 2, 3])
        module = types.ModuleType("bench_" + name)
        sys.modules[module.__name__] = module
        exec(compile(source, module.__name__ + ".py", "exec"), module.__dict__)
        self.function = module.f
        self.loop = make_loop("f(a, b)")
        self.spec = event and make_spec(name, module.__name__ + ".f", event, value)

    def take_turn(self, calls, is_armed):
        """Nanoseconds per call."""
        calls = max(1, int(calls * self.calls))
        if self.tracer and is_armed:
            self.tracer(True)
        try:
            self.loop(self.function, itertools.repeat(None, max(20, calls // 20)),
                      *self.arguments)
            times = itertools.repeat(None, calls)
            hits = engine_bench.hits()
            begin = time.perf_counter_ns()
            self.loop(self.function, times, *self.arguments)
            took = time.perf_counter_ns() - begin
            hits = engine_bench.hits() - hits
        finally:
            if self.tracer and is_armed:
                self.tracer(False)
        if hits != (calls if is_armed and self.spec else 0):
            raise AssertionError("%d hits in %d calls" % (hits, calls))
        if is_armed and self.expect and not self.expect(engine_bench.last_value()):
            raise AssertionError("the last value was %r" % (engine_bench.last_value(),))
        return took / calls


class CCase(Case):
    """A function that is implemented in C."""

    def __init__(self, name, function, target, arguments, event="call", value="None",
                 phase=ARMED):
        super().__init__(name, phase=phase)
        self.function, self.arguments = function, arguments
        self.loop = make_loop("f(a)")
        self.spec = make_spec(name, target, event, value)


def make_loop(call):
    namespace = {}
    exec(compile(LOOP % call, "loop.py", "exec"), namespace)
    return namespace["loop"]


def make_spec(name, target, event, value):
    return {"id": name, "target": target, "event": event, "value": value}


def is_short_time(value):
    return type(value) is float and 0 <= value < 0.1


def wrapped_cases():
    """What others do: a closure, wrapt, tracing functions in C. And how wrapt is implemented."""
    closure = Case("wraps")
    inner = closure.function

    @functools.wraps(inner)
    def wrapper(*args, **kwargs):
        return inner(*args, **kwargs)

    closure.function = wrapper
    cases = [
        Case("bare"),
        closure,
        Case("set_trace", phase=TRACED, tracer=engine_bench.set_trace),
        Case("set_profile", phase=TRACED, tracer=engine_bench.set_profile),
    ]
    sys.path.insert(0, DEBIAN)
    try:
        import wrapt
    except ImportError as error:
        return cases, "not there: %s" % error
    finally:
        sys.path.remove(DEBIAN)
    case = Case("wrapt")
    case.function = wrapt.FunctionWrapper(
        case.function, lambda wrapped, instance, args, kwargs: wrapped(*args, **kwargs))
    is_compiled = isinstance(wrapt.FunctionWrapper.__module__, str)
    return cases + [case], "%s, %s" % (wrapt.__version__, "in C" if is_compiled else "in Python")


def python_cases():
    thing = lambda value: type(value) is Thing  # noqa: E731
    cases = [
        Case("call_none", event="call"),
        Case("return_argument", event="return", value="a", expect=thing),
        Case("return_result", event="return", value="result", expect=thing),
        Case("return_elapsed", event="return", value="elapsed", expect=is_short_time),
        Case("return_expression", event="return", value="a.x > 3 and len(b) < 10",
             expect=lambda value: value is True),
        Case("end_local", LOCAL, event="end", value="c", expect=thing),
        Case("line_none", LOCAL, event="line:3"),
        Case("line_local", LOCAL, event="line:3", value="c", expect=thing),
        Case("lonely", LONELY),
    ]
    for count in (10, 110):
        calls = 4 / count
        cases += [
            Case("line_of_%d" % count, lines(count), event="line:2", calls=calls),
            Case("hotspots_of_%d" % count, lines(count), event="return",
                 value="hotspots and 0", calls=calls, expect=lambda value: value == 0),
            Case("hotspots_loop_%d" % count, looping(count), event="return",
                 value="hotspots and 0", calls=calls, expect=lambda value: value == 0),
            Case("unwind_%d" % count, RAISING % count, calls=calls),
        ]
    for count in (2, 200):
        calls = 2 / count
        cases += [
            Case("end_calls_%d" % count, calling(count), event="end", value="a", calls=calls),
            Case("line_calls_%d" % count, calling(count), event="line:6", calls=calls),
            Case("hotspots_calls_%d" % count, calling(count), event="return",
                 value="hotspots and 0", calls=calls),
        ]
    return cases


def c_cases():
    functions = [
        ("sqrt", math.sqrt, "math.sqrt", (2.0, None)),
        ("get", {"key": 1}.get, "builtins.dict.get", ("key", None)),
        ("join", "".join, "builtins.str.join", (["a", "b"], None)),
    ]
    return [CCase(name + "_none", *rest) for name, *rest in functions] + [
        CCase(name + "_elapsed", *rest, event="return", value="elapsed", phase=TIMED)
        for name, *rest in functions
    ]


def idle_specs():
    """Specs of functions that nobody calls."""
    module = types.ModuleType("bench_idle")
    sys.modules[module.__name__] = module
    for i in range(IDLE):
        exec(compile(PLAIN.replace(" f(", " f%d(" % i), "idle.py", "exec"), module.__dict__)
    return [make_spec("idle-%d" % i, "bench_idle.f%d" % i, "return", "elapsed")
            for i in range(IDLE)]


class Measurement:
    def __init__(self, cases, calls):
        self.cases, self.calls = cases, calls
        self.bare, self.armed = {}, {}
        self.rounds = {}  # name: the least of each phase that measured it, in turn
        self.statuses, self.failures = {}, {}
        self.idle = idle_specs()
        self.lonely = next(case.function.__code__ for case in cases if case.name == "lonely")
        self.lonely_bytecode = set()

    def apply(self, phase):
        """Only what this phase measures."""
        specs = []
        if phase in (ARMED, TIMED):
            specs = self.idle + [c.spec for c in self.cases if c.spec and c.phase == phase]
        engine_bench.apply(specs)
        statuses = engine_bench.statuses()
        for spec in specs:
            status = statuses[spec["id"]]
            if status["state"] != "ARMED":
                self.fail(spec["id"], "%s: %s" % (status["state"], status["message"]))
            self.statuses[spec["id"]] = status

    def fail(self, name, reason):
        self.failures.setdefault(name, reason)

    def measure(self, phase):
        self.apply(phase)
        best = {}
        cases = [c for c in self.cases
                 if phase in (BARE, c.phase) and c.name not in self.failures]
        for _ in range(TURNS):
            for case in cases:
                try:
                    ns = case.take_turn(self.calls, phase != BARE)
                except AssertionError as error:
                    self.fail(case.name, str(error))
                    continue
                best[case.name] = min(ns, best.get(case.name, ns))
        least = self.bare if phase == BARE else self.armed
        for name, ns in best.items():
            least[name] = min(ns, least.get(name, ns))
            self.rounds.setdefault(name, []).append(ns)
        if phase in (BARE, ARMED):
            self.lonely_bytecode.add((self.lonely.co_code, self.lonely._co_code_adaptive))


def attach_and_detach(target, event, value, repeats):
    """Milliseconds, sorted: until one spec is armed, plus until it is gone."""
    took = []
    for i in range(repeats):
        spec = make_spec("%s-%d" % (target, i), target, event, value)
        begin = time.perf_counter_ns()
        engine_bench.apply([spec])
        armed = time.perf_counter_ns()
        status = engine_bench.statuses()[spec["id"]]
        detach = time.perf_counter_ns()
        engine_bench.apply([])
        took.append((time.perf_counter_ns() - detach + armed - begin) / 1e6)
        engine_bench.statuses()
        if status["state"] != "ARMED":
            raise AssertionError("%s: %s" % (status["state"], status["message"]))
    return sorted(took)


def attach_figures(repeats):
    """{event: [minimum, median]}, or what went wrong, in a big heap."""
    heap = [{"number": i, "list": []} for i in range(HEAP // 2)]
    assert len(gc.get_objects()) > HEAP
    figures = {}
    for event, value in (("call", "None"), ("return", "elapsed"), ("end", "c"), ("line:3", "c")):
        case = Case("attach_" + event.replace(":", "_"), LOCAL)
        # not the code itself: an additional reference to it makes a walk of the heap necessary
        before = type(case.function), id(case.function.__code__)
        try:
            took = attach_and_detach("bench_%s.f" % case.name, event, value, repeats)
            figures[event] = [took[0], took[len(took) // 2]]
        except AssertionError as error:
            figures[event] = str(error)
        assert (type(case.function), id(case.function.__code__)) == before, "is not restored"
    del heap
    return figures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--only", default="", help="names of cases, with commas between them")
    options = parser.parse_args()

    engine_bench.start()
    others, wrapt = wrapped_cases()
    cases = others + python_cases() + c_cases()
    only = options.only.split(",") if options.only else None
    if only:
        cases = [c for c in cases if c.name in only + ["bare", "wraps", "lonely"]]
    measurement = Measurement(cases, options.calls)
    gc.collect()
    gc.disable()
    for _ in range(options.rounds):
        for phase in (BARE, ARMED, TIMED, TRACED):
            measurement.measure(phase)
    engine_bench.apply([])
    attach = {} if only else attach_figures(max(20, options.rounds))
    engine_bench.stop()
    json.dump({
        "version": sys.version.split()[0],
        "executable": sys.executable,
        "wrapt": wrapt,
        "bare": measurement.bare,
        "armed": measurement.armed,
        "rounds": measurement.rounds,
        "statuses": measurement.statuses,
        "failures": measurement.failures,
        "is_lonely_unchanged": len(measurement.lonely_bytecode) == 1,
        "attach_ms": attach,
    }, sys.stdout)


if __name__ == "__main__":
    main()
