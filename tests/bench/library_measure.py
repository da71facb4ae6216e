# SPDX-License-Identifier: MIT
"""What tests/bench/library runs in each interpreter: prints, as JSON, what calls and passes took.

Every case has a function of its own, all of the same source, called by the same loop. In each round
the cases take turns, bare and then instrumented, so that a slow moment slows all of them alike.
"""
import argparse
import datetime
import functools
import gc
import itertools
import json
import os
import socket
import sys
import time
import types

import diagnose

SOURCE = "def f(a, b):\n    return a\n"
LOOP = """
def loop(f, times, a, b):
    for _ in times:
        f(a, b)
"""
TURNS = 6  # per round

loop = types.FunctionType(compile(LOOP, "loop.py", "exec").co_consts[0], {})
null = open(os.devnull, "w")


class PythonLog(diagnose.LogInstrument):
    """LogInstrument once more, in Python."""

    def fire(self, _globals, _locals):
        value = self.evaluate(self.value, _globals, _locals)
        tags = self.merge_tags(_globals, _locals)
        if tags:
            null.write("Probe (%s)[tags=%s] = %s\n" % (self.name, str(tags)[:2000], str(value)[:2000]))
        else:
            null.write("Probe (%s) = %s\n" % (self.name, str(value)[:2000]))


class PythonStatsD:
    def __init__(self, address):
        self.address = address
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)

    def increment(self, name, value=1, tags=None):
        try:
            self.socket.sendto(b"%s:%d|c" % (name.encode(), value), self.address)
        except OSError:
            pass


def closure(function):
    """W: what any decorator costs."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def evaluating(function, expression, emit):
    """A decorator that does with the expression's value what an instrument does."""
    code = compile(expression, "expression", "eval")
    names = function.__code__.co_varnames[:function.__code__.co_argcount]

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        result = function(*args, **kwargs)
        try:
            scope = dict(zip(names, args))
            scope.update(kwargs, args=args, kwargs=kwargs, result=result)
            emit(eval(code, function.__globals__, scope))
        except Exception:
            pass
        return result

    return wrapper


def log(value):
    null.write("Probe (n) = %s\n" % str(value)[:2000])


def make_function(name, source=SOURCE):
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, name + ".py", "exec"), module.__dict__)
    return module.f


class Decorated:
    def __init__(self, name, decorate):
        self.name = name
        self.bare = make_function("bench_" + name)
        self.decorated = decorate(self.bare)

    def functions(self):
        yield self.bare
        yield self.decorated


class Probed:
    def __init__(self, name, make):
        self.name = name
        self.bare = make_function("bench_" + name)
        self.make = make

    def functions(self):
        yield self.bare
        probe = diagnose.probes.attach_to("bench_%s.f" % self.name)
        probe.instruments["n"] = self.make()
        probe.start()
        yield self.bare
        (status,) = probe.status().values()
        probe.stop()
        del diagnose.probes.active_probes["bench_%s.f" % self.name]
        if status["errors"] or not status["hits"]:
            raise AssertionError("%s: %r" % (self.name, status))


def take_turn(function, calls):
    """Nanoseconds per call."""
    times = itertools.repeat(None, calls)
    begin = time.perf_counter_ns()
    loop(function, times, 7, None)
    return (time.perf_counter_ns() - begin) / calls


def cases_for(address):
    client = PythonStatsD(address)
    return [
        Decorated("wraps", closure),
        Decorated("log_decorator", lambda f: evaluating(f, "a", log)),
        Probed("log", lambda: diagnose.LogInstrument("n", "a")),
        Probed("log_python", lambda: PythonLog("n", "a")),
        Decorated("statsd_decorator",
                  lambda f: evaluating(f, "1", lambda v: client.increment("n", v))),
        Probed("statsd", lambda: diagnose.IncrementInstrument("n", "1")),
    ]


def measure_hits(cases, rounds, calls):
    """{case: what it adds to a call, in nanoseconds, the least of all turns}, and the bare call."""
    least = {}
    for _ in range(rounds):
        for case in cases:
            for state, function in enumerate(case.functions()):
                for _ in range(TURNS):
                    took = take_turn(function, calls)
                    key = case.name, state
                    least[key] = min(took, least.get(key, took))
    return ({case.name: least[case.name, 1] - least[case.name, 0] for case in cases},
            min(least[case.name, 0] for case in cases))


def milliseconds(function):
    begin = time.perf_counter_ns()
    function()
    return (time.perf_counter_ns() - begin) / 1e6


def measure_manager(count, rounds):
    """Milliseconds for so many specs: the least of the rounds."""
    module = types.ModuleType("bench_many")
    sys.modules[module.__name__] = module
    for i in range(count):
        exec(compile(SOURCE.replace("f(", "f%d(" % i), "many.py", "exec"), module.__dict__)
    functions = {name: f for name, f in vars(module).items() if callable(f)}
    manager = diagnose.managers.InstrumentManager("bench")
    times = {"decorate": [], "first": [], "unchanged": [], "one_edited": [], "removed": []}
    for _ in range(rounds):
        def decorate():
            for name, function in functions.items():
                setattr(module, name, evaluating(function, "result", log))

        times["decorate"].append(milliseconds(decorate))
        vars(module).update(functions)
        now = datetime.datetime.now(datetime.timezone.utc)
        manager.specs = {
            i: {"target": "bench_many.f%d" % i, "lifespan": 10, "lastmodified": now,
                "instrument": {"type": "log", "name": "n", "value": "result"}}
            for i in range(count)
        }
        times["first"].append(milliseconds(manager.apply))
        times["unchanged"].append(milliseconds(manager.apply))
        manager.specs[count // 2]["lifespan"] = 20
        times["one_edited"].append(milliseconds(manager.apply))
        errors = [spec["applied"] for spec in manager.specs.values()
                  if spec["applied"]["bench"]["err"] is not None]
        if errors or len(diagnose.probes.active_probes) != count:
            raise AssertionError("not applied: %r" % errors[:1])
        manager.specs = {}
        times["removed"].append(milliseconds(manager.apply))
    return {name: min(took) for name, took in times.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--specs", type=int, required=True)
    options = parser.parse_args()

    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    host, port = receiver.getsockname()
    diagnose.LogInstrument.out = null
    diagnose.instruments.statsd = diagnose.instruments.StatsD(host, port)
    gc.collect()
    gc.disable()
    hits, bare = measure_hits(cases_for((host, port)), options.rounds, options.calls)
    manager = measure_manager(options.specs, max(3, options.rounds // 4))
    json.dump({"version": sys.version.split()[0], "executable": sys.executable, "bare": bare,
               "hits": hits, "manager": manager, "specs": options.specs}, sys.stdout)


if __name__ == "__main__":
    main()
