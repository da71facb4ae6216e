# SPDX-License-Identifier: MIT
"""Bytecode injection on CPython 3.11. DIAGNOSE_INJECT_ALL=1 checks every function of the standard
library; else a sample, whose seed is printed on failure (DIAGNOSE_INJECT_SEED repeats it)."""
import copy
import dis
import glob
import inspect
import marshal
import os
import pickle
import random
import sys
import sysconfig
import types
import unittest
import warnings

import inject_testing

if sys.version_info >= (3, 12):
    raise unittest.SkipTest("3.12 and later have sys.monitoring")

import inject_samples
import inject_verifier
from inject_support import (
    ALL, LINES, RAISE, RETURN, START, SUSPEND, Observer, outcome, text)

SAMPLE_FILES = 60


def nested_codes(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from nested_codes(constant)


class StructureTest(unittest.TestCase):
    def test_standard_library(self):
        seed = int(os.environ.get("DIAGNOSE_INJECT_SEED", random.SystemRandom().getrandbits(32)))
        files = sorted(glob.glob(sysconfig.get_path("stdlib") + "/**/*.py", recursive=True))
        self.assertGreater(len(files), 150)
        if "DIAGNOSE_INJECT_ALL" not in os.environ:
            files = random.Random(seed).sample(files, SAMPLE_FILES)
        count = 0
        for path in files:
            with open(path, "rb") as file, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    module = compile(file.read(), path, "exec", dont_inherit=True)
                except (SyntaxError, ValueError):
                    continue  # tests of the compiler
            for code in nested_codes(module):
                count += 1
                try:
                    self.check(code)
                except Exception as e:
                    self.fail(f"{path}:{code.co_firstlineno} {code.co_qualname}: "
                              f"{type(e).__name__}: {e} (seed {seed})")
        self.assertGreater(count, SAMPLE_FILES)
        if "DIAGNOSE_INJECT_ALL" in os.environ:
            print(f"{count} code objects")

    def check(self, code):
        inject_verifier.check(code, inject_testing.inject(code, ALL, []))
        inject_verifier.check_lines(code, inject_testing.inject(code, LINES, []))

    def test_samples(self):
        for name, function, _ in inject_samples.SHAPES:
            with self.subTest(name):
                self.check(function.__code__)
                for events in range(ALL + 1):
                    inject_verifier.check(function.__code__,
                                          inject_testing.inject(function.__code__, events, []))

    def test_extended_arguments(self):
        code = inject_samples._long["long_function"].__code__
        self.assertGreater(len(code.co_consts), 256)
        instructions = list(dis.get_instructions(code))
        self.assertTrue(any(ins.opname == "EXTENDED_ARG" and "JUMP" in following.opname
                            for ins, following in zip(instructions, instructions[1:])))

    def test_the_verifier_sees_damage(self):
        def function(n):
            try:
                while n:
                    n -= 1
            finally:
                n = 1
            return n
        code = function.__code__
        injected = inject_testing.inject(code, ALL, [])
        damages = {
            "code": {"co_code": injected.co_code[:-2]},
            "stack": {"co_stacksize": 1},
            "lines": {"co_linetable": code.co_linetable},
            "handlers": {"co_exceptiontable": code.co_exceptiontable},
            "name": {"co_name": "other"},
            "constants": {"co_consts": injected.co_consts[1:]},
        }
        for what, change in damages.items():
            with self.subTest(what), self.assertRaises((AssertionError, LookupError)):
                inject_verifier.check(code, injected.replace(**change))
        with self.assertRaises(AssertionError):
            inject_verifier.check_lines(code, inject_testing.inject(code, 0, []))

    def test_odd_code(self):
        def function():
            return 1
        code = function.__code__
        for what, change, message in [
                ("no RESUME", {"co_code": code.co_code[2:]}, "no RESUME"),
                ("a jump out", {"co_code": code.co_code + bytes([110, 200])}, "jump out"),
                ("EXTENDED_ARG", {"co_code": code.co_code + bytes([144, 0])}, "EXTENDED_ARG"),
                ("locations", {"co_linetable": b"\x80"}, "location table"),
                ("handlers", {"co_exceptiontable": b"\x80\x7f"}, "exception table")]:
            with self.subTest(what), self.assertRaisesRegex(RuntimeError, message):
                inject_testing.inject(code.replace(**change), ALL, [])


def is_of(code, function):
    return (code.co_name, code.co_firstlineno, code.co_filename) == (
        function.__code__.co_name, function.__code__.co_firstlineno, function.__code__.co_filename)


def traced(function, run):
    """Outcome, and what sys.settrace tells of the function: (event, line, argument, opcode)."""
    events, frames = [], []

    def trace(frame, event, argument):
        if not is_of(frame.f_code, function):
            return None
        if frame not in frames:
            frames.append(frame)
        opcode = None
        if event in ("call", "return"):
            opcode = dis.opname[frame.f_code.co_code[frame.f_lasti]]
        if event == "exception":
            argument = argument[0].__name__
        events.append((frames.index(frame), event, frame.f_lineno, text(argument), opcode))
        return trace

    sys.settrace(trace)
    try:
        result = outcome(run)
    finally:
        sys.settrace(None)
    return result, events


def expected_callbacks(events):
    """What the observer must be told, out of what sys.settrace was: (kind, line, value). A line of
    None: not known, as the tracer was told nothing."""
    expected, suspended, begun, ignored = [], set(), set(), set()
    last = {event[0]: i for i, event in enumerate(events)}
    for i, (frame, event, line, argument, opcode) in enumerate(events):
        if event == "call" and frame not in begun and opcode != "RESUME":
            ignored.add(frame)  # thrown into before it began
        if frame in ignored:
            continue
        if event == "call":
            expected.append(("resumed" if frame in begun else "start", line, "None"))
            begun.add(frame)
            suspended.discard(frame)
        elif frame in suspended:  # the iterator took what was thrown in, and returned
            expected.append(("resumed", None, "None"))
            suspended.discard(frame)
        if event == "line":
            expected.append(("line", line, repr(line)))
        elif event == "return":
            if opcode == "YIELD_VALUE" and last[frame] > i:  # all end, be it by close()
                expected.append(("suspended", line, "None"))
                suspended.add(frame)
            elif opcode == "RETURN_VALUE":
                expected.append(("returned", line, argument))
            else:
                expected.append(("raised", line, None))
    return expected


def profiled(function, run):
    events = []

    def profile(frame, event, argument):
        if is_of(frame.f_code, function):
            events.append((event, frame.f_lineno, getattr(argument, "__name__", None)
                           if event.startswith("c_") else None))

    sys.setprofile(profile)
    try:
        outcome(run)
    finally:
        sys.setprofile(None)
    return events


class SameTest(unittest.TestCase):
    maxDiff = None

    def each_shape(self):
        for name, function, run in inject_samples.SHAPES:
            with self.subTest(name):
                yield function, run

    def test_outcome_and_events(self):
        for function, run in self.each_shape():
            bare = outcome(run)
            bare_traced, events = traced(function, run)
            self.assertEqual(bare_traced, bare)
            expected = expected_callbacks(events)
            self.assertGreater(len(expected), 1)
            with Observer(function) as observer:
                for _ in range(3):  # specialised the last time
                    self.assertEqual(outcome(run), bare)
                    self.check_callbacks(observer, expected)
                with_both, events_of_both = traced(function, run)
                self.assertEqual(with_both, bare)
                self.assertEqual(events_of_both, events)
                self.check_callbacks(observer, expected)
            self.assertEqual(traced(function, run), (bare, events))
            self.assertEqual(observer.take(), [])

    def check_callbacks(self, observer, expected):
        taken = observer.take()
        found = [(kind, None if at is None else line, None if kind == "raised" else text(value))
                 for (kind, line, value), (_, at, _) in zip(taken, expected)]
        self.assertEqual(len(taken), len(expected), [(k, l) for k, l, _ in taken])
        self.assertEqual(found, expected)

    def test_profile(self):
        for function, run in self.each_shape():
            bare = profiled(function, run)
            with Observer(function):
                self.assertEqual(profiled(function, run), bare)

    def test_each_line_alone(self):
        for function, run in self.each_shape():
            if len(list(function.__code__.co_lines())) > 200:
                continue
            with Observer(function, LINES) as observer:
                outcome(run)
                lines = observer.lines()
                for line in set(lines):
                    observer.update(0, [line])
                    outcome(run)
                    self.assertEqual(observer.lines(), [line] * lines.count(line))
                observer.update(0, [1, 10**6])
                outcome(run)
                self.assertEqual(observer.take(), [])

    def test_each_event_alone(self):
        kinds = {START: {"start"}, RETURN: {"returned"}, RAISE: {"raised"},
                 SUSPEND: {"suspended", "resumed"}, LINES: {"line"}}
        for function, run in self.each_shape():
            with Observer(function) as observer:
                bare = outcome(run)
                everything = observer.kinds()
                for events, wanted in kinds.items():
                    observer.update(events)
                    self.assertEqual(outcome(run), bare)
                    self.assertEqual(observer.kinds(), [k for k in everything if k in wanted])

    def test_what_inspect_sees(self):
        def function(a, /, b: int = 2, *args, c=3, **kwargs) -> str:
            "doc"
            return a

        def seen():
            return (inspect.signature(function), inspect.getsource(function),
                    inspect.getclosurevars(function), function.__doc__, type(function),
                    inspect.getfullargspec(function), repr(function)[:40],
                    list(function.__code__.co_lines()) and function.__code__.co_flags)
        bare = seen()
        with Observer(function) as observer:
            self.assertIsNot(function.__code__, inject_testing.original(function.__code__))
            self.assertEqual(seen(), bare)
            self.assertEqual(observer.take(), [])

    def test_copies_do_nothing(self):
        def function(a):
            return a + 1
        with Observer(function) as observer:
            copied = types.FunctionType(marshal.loads(marshal.dumps(function.__code__)), {})
            self.assertEqual(copied(1), 2)
            for constant in function.__code__.co_consts:
                pickle.loads(pickle.dumps(constant))
                copy.deepcopy(constant)
            self.assertEqual(observer.take(), [])


if __name__ == "__main__":
    unittest.main()
