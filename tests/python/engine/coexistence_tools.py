# SPDX-License-Identifier: MIT
"""Debuggers, tracers, profilers and whoever looks at functions and frames: each of OBSERVATIONS
runs the samples, and returns what it saw of them."""
import asyncio
import bdb
import copy
import cProfile
import functools
import inspect
import logging
import os
import pickle
import pstats
import re
import sys
import threading
import traceback
import types
import typing
import warnings

from coexistence_samples import (
    Thing, catches, code_of, collect, double, exhaust, fails, log, look, loop, one_line, produce,
    run_all, says, stream, warns)

HAS_MONITORING = sys.version_info >= (3, 12)
ADDRESS = re.compile("0x[0-9a-f]+")
SAMPLES_FILE = os.path.realpath(run_all.__code__.co_filename)


def is_ours(frame):
    return os.path.realpath(frame.f_code.co_filename) == SAMPLES_FILE


def settrace_events():
    seen = []

    def trace(frame, event, arg):
        if not is_ours(frame):
            return None
        if event == "exception":
            arg = arg[0].__name__, str(arg[1])
        seen.append((frame.f_code.co_name, event, frame.f_lineno, repr(arg)[:50]))
        return trace

    sys.settrace(trace)
    try:
        run_all()
        asyncio.run(collect(2))
    finally:
        sys.settrace(None)
    return [entry for entry in seen if "object" not in entry[3]], len(seen)


def line_coverage():
    """As coverage.py does it with settrace, arcs included."""
    arcs, last = set(), {}

    def trace(frame, event, arg):
        if not is_ours(frame):
            return None
        if event == "line":
            arcs.add((frame.f_code.co_name, last.get(frame), frame.f_lineno))
            last[frame] = frame.f_lineno
        elif event == "return":
            arcs.add((frame.f_code.co_name, last.pop(frame, None), -frame.f_code.co_firstlineno))
        return trace

    threading.settrace(trace)
    try:
        thread = threading.Thread(target=run_all)
        thread.start()
        thread.join()
    finally:
        threading.settrace(None)
    return arcs


def setprofile_events():
    seen = []

    def profile(frame, event, arg):
        if is_ours(frame):
            name = getattr(arg, "__name__", "") if event.startswith("c_") else ""
            seen.append((frame.f_code.co_name, event, name, frame.f_lineno))

    sys.setprofile(profile)
    try:
        run_all()
    finally:
        sys.setprofile(None)
    return seen


class Debugger(bdb.Bdb):
    def __init__(self, steps):
        super().__init__()
        self.seen, self.steps = [], steps

    def _stop(self, what, frame, more=None):
        if is_ours(frame):
            names = {name: repr(value)[:40] for name, value in frame.f_locals.items()
                     if isinstance(value, (int, str, list))}
            self.seen.append((what, frame.f_code.co_name, frame.f_lineno, names, more))
        if self.steps == "step":
            self.set_step()
        elif self.steps == "next":
            self.set_next(frame)
        else:
            self.set_continue()

    def user_call(self, frame, args):
        self._stop("call", frame)

    def user_line(self, frame):
        self._stop("line", frame)

    def user_return(self, frame, value):
        self._stop("return", frame, repr(value)[:40] if isinstance(value, (int, str)) else None)

    def user_exception(self, frame, info):
        self._stop("exception", frame, info[0].__name__)


def debugger_stops(steps):
    debugger = Debugger(steps)
    for name in ("loop", "fails", "outer.<locals>.inner"):
        code = code_of(name)
        line = max(line for _, _, line in code.co_lines() if line)
        error = debugger.set_break(SAMPLES_FILE, line)
        assert error is None, error
    result = debugger.runcall(run_all)
    debugger.clear_all_breaks()
    return debugger.seen, result


def profiler_calls():
    profiler = cProfile.Profile()
    profiler.runcall(run_all)
    stats = pstats.Stats(profiler).stats
    return sorted((key, (calls, primitive), sorted(callers)) for
                  key, (primitive, calls, _, _, callers) in stats.items() if "built" not in key[2])


def monitoring_events():
    """Another tool, with each line disabled after its first time; without INSTRUCTION, which is
    told otherwise where sys.settrace has been."""
    monitoring = sys.monitoring
    tool = monitoring.PROFILER_ID
    events = monitoring.events
    seen = []
    monitoring.use_tool_id(tool, "another")

    def note(name, is_disabling=False):
        def callback(code, *args):
            if code.co_filename == run_all.__code__.co_filename:
                # an exception from a callee is told at the call's instruction or its last cache
                # entry, according to how the interpreter has specialised the call
                seen.append((name, code.co_name, None if name == "RAISE" else
                             [arg for arg in args if isinstance(arg, int)]))
                return monitoring.DISABLE if is_disabling else None
            return None

        return callback

    names = ["PY_START", "PY_RETURN", "PY_YIELD", "PY_RESUME", "PY_UNWIND", "PY_THROW", "RAISE",
             "EXCEPTION_HANDLED", "JUMP", "BRANCH", "CALL", "LINE"]
    try:
        for name in names:
            monitoring.register_callback(tool, getattr(events, name), note(name, name == "LINE"))
        for _ in range(2):
            monitoring.set_events(tool, sum(getattr(events, name) for name in names))
            run_all()
            run_all()
            monitoring.restart_events()
            run_all()
            monitoring.set_events(tool, 0)
            monitoring.set_local_events(tool, loop.__code__, events.LINE | events.PY_START)
            monitoring.restart_events()
            loop(), loop()
            monitoring.set_local_events(tool, loop.__code__, 0)
            loop()
    finally:
        monitoring.set_events(tool, 0)
        for name in names:
            monitoring.register_callback(tool, getattr(events, name), None)
        monitoring.free_tool_id(tool)
    return seen


def tracebacks():
    texts = [catches(3)]
    for action in (lambda: fails(2), lambda: exhaust(5), lambda: loop("x"), lambda: loop(1, n=2),
                   lambda: Thing(), lambda: asyncio.run(collect("x"))):
        try:
            action()
        except Exception as error:
            texts.append(traceback.format_exc())
            entries = traceback.extract_tb(error.__traceback__)
            texts.append([(entry.name, entry.lineno, entry.colno, entry.end_colno)
                          for entry in entries])
    return texts


def looks():
    thing = Thing(1)
    functions = [loop, produce, double, stream, Thing.method, Thing.twice, Thing.make.__func__,
                 Thing.prop.fget, fails]
    seen = []
    for function in functions:
        seen.append((
            inspect.signature(function), inspect.getfullargspec(function),
            inspect.getsource(function), inspect.getdoc(function), inspect.getmodule(function),
            inspect.isfunction(function), inspect.isroutine(function),
            inspect.isgeneratorfunction(function), inspect.iscoroutinefunction(function),
            inspect.isasyncgenfunction(function), inspect.getclosurevars(function),
            asyncio.iscoroutinefunction(function), callable(function), repr(function),
            typing.get_type_hints(function), function.__dict__, function.__defaults__,
            function.__kwdefaults__, function.__closure__, function.__name__,
            function.__qualname__, function.__code__.co_name, function.__code__.co_firstlineno,
            list(function.__code__.co_lines())[:1], function.__code__.co_varnames,
            function.__code__.co_flags, dir(function), hash(function), function == function,
            isinstance(function, types.FunctionType), type(function).__name__,
            copy.copy(function) is function, copy.deepcopy([function])[0] is function,
        ))
    seen.append((inspect.getcallargs(loop, 1, 2, twice=3), inspect.ismethod(thing.method),
                 repr(thing.method.__func__), inspect.getsource(thing.method)))
    return seen


def pickles():
    seen = []
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for value in (loop, produce, double, Thing.method, Thing.make, Thing(2).method,
                      functools.partial(loop, 2, twice=True)):
            for dumps, loads in ((pickle.dumps, pickle.loads), (pickle._dumps, pickle._loads)):
                data = dumps(value, protocol)
                seen.append((data, ADDRESS.sub("", repr(loads(data))), loads(data) == value))
    return seen


def wrappers():
    @functools.wraps(loop)
    def wrapper(*args, **kwargs):
        return loop(*args, **kwargs)

    cached = functools.lru_cache(loop)
    single = functools.singledispatch(loop)
    return (wrapper.__wrapped__ is loop, inspect.signature(wrapper), wrapper.__doc__,
            inspect.unwrap(wrapper) is loop, wrapper(3), cached(3), cached(3), single(3),
            functools.partial(loop, 3)(), functools.reduce(lambda a, f: f(a), [loop, loop], 2),
            list(map(one_line, [1, 2])), sorted([3, 1], key=one_line),
            types.MethodType(loop, 3)(), loop.__get__(3)(), loop.__call__(3))


def recorded_warnings():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warns()
    return [(str(each.message), each.filename, each.lineno) for each in caught]


def log_records():
    records = []

    class Handler(logging.Handler):
        def emit(self, record):
            records.append((record.getMessage(), record.funcName, record.lineno, record.filename))

    handler = Handler()
    log.addHandler(handler)
    propagate, log.propagate = log.propagate, False
    try:
        says()
    finally:
        log.removeHandler(handler)
        log.propagate = propagate
    return records


def frames():
    seen = look(2)
    generator = produce(2)
    next(generator)
    seen += (generator.gi_frame.f_lineno, dict(generator.gi_frame.f_locals), generator.gi_code.co_name,
             inspect.getgeneratorstate(generator))
    coroutine = double(1)
    coroutine.send(None)
    seen += (coroutine.cr_frame.f_lineno, inspect.getcoroutinestate(coroutine))
    coroutine.close()
    return seen, run_all()


OBSERVATIONS = [settrace_events, line_coverage, setprofile_events,
                functools.partial(debugger_stops, "step"),
                functools.partial(debugger_stops, "next"),
                functools.partial(debugger_stops, "continue"),
                profiler_calls, tracebacks, looks, pickles, wrappers, recorded_warnings,
                log_records, frames]
if HAS_MONITORING:
    OBSERVATIONS.append(monitoring_events)
