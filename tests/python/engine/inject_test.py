# SPDX-License-Identifier: MIT
"""Bytecode injection on CPython 3.11. DIAGNOSE_INJECT_ALL=1 checks every function of the standard
library; else a sample, whose seed is printed on failure (DIAGNOSE_INJECT_SEED repeats it)."""
import copy
import dis
import functools
import gc
import glob
import inspect
import marshal
import os
import pickle
import random
import re
import sys
import sysconfig
import threading
import time
import traceback
import tracemalloc
import types
import unittest
import warnings

import inject_testing

if sys.version_info >= (3, 12):
    raise unittest.SkipTest("3.12 and later have sys.monitoring")

import inject_samples
import inject_verifier

START, RETURN, RAISE, SUSPEND, LINES = 1, 2, 4, 8, 16
ALL = START | RETURN | RAISE | SUSPEND | LINES
SAMPLE_FILES = 60
THREADS_S = 2


def nested_codes(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from nested_codes(constant)


class Observer:
    """An attached observer; detached at the end of the block."""

    def __init__(self, function, events=ALL, lines=(), *, is_only=True, is_counting=False,
                 hook=None):
        code = function if isinstance(function, types.CodeType) else function.__code__
        hint = None if function is code or not is_only else function
        references = 3  # `code`, the argument, and the tuple of arguments
        self.handle, self.functions, self.excluded = inject_testing.attach(
            code, events, list(lines), hint, references if hint else 0, is_counting, hook)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.detach()

    def detach(self):
        inject_testing.detach(self.handle)

    def update(self, events, lines=()):
        inject_testing.update(self.handle, events, list(lines))

    def take(self):
        return inject_testing.take(self.handle)

    def kinds(self):
        return [kind for kind, _, _ in self.take()]

    def lines(self):
        return [value for kind, _, value in self.take() if kind == "line"]

    @property
    def count(self):
        return inject_testing.counts(self.handle)[0]

    @property
    def reentrant(self):
        return inject_testing.counts(self.handle)[1]


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


def describe_exception(exception):
    if exception is None:
        return None
    frames = [(f.filename, f.name, f.lineno, f.end_lineno, f.colno, f.end_colno)
              for f in traceback.extract_tb(exception.__traceback__)
              if "inject_samples" in f.filename or "long_function" in f.filename]
    return (text(exception), frames, describe_exception(exception.__context__),
            describe_exception(exception.__cause__), exception.__suppress_context__)


def text(value):
    return re.sub(r"Task-\d+|0x[0-9a-f]+", "", repr(value))


def outcome(run):
    try:
        return text(run())
    except BaseException as e:
        return describe_exception(e)


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


def make_closure(n):
    def closure(x):
        return x + n
    return closure


def observed(x):
    return x


def replaced(x):
    return -x


class Holder:
    def method(self, x):
        return x

    @staticmethod
    def static(x):
        return x

    @property
    def prop(self):
        return 5


def inner_code(function, name):
    return next(code for code in function.__code__.co_consts
                if isinstance(code, types.CodeType) and code.co_name == name)


class BackendTest(unittest.TestCase):
    def test_one_function(self):
        code = observed.__code__
        references = sys.getrefcount(code), sys.getrefcount(observed)
        with Observer(observed, START | RETURN) as observer:
            self.assertEqual((observer.functions, observer.excluded), (1, ""))
            self.assertIs(inject_testing.original(observed.__code__), code)
            self.assertEqual(observed(1), 1)
            self.assertEqual(observer.kinds(), ["start", "returned"])
        self.assertIs(observed.__code__, code)
        self.assertEqual(observed(1), 1)
        self.assertEqual(observer.take(), [])
        del observer
        self.assertEqual((sys.getrefcount(code), sys.getrefcount(observed)), references)

    def test_specialised_calls(self):
        holder = Holder()

        def calls():
            return (observed(1), holder.method(2), Holder.static(3), holder.prop,
                    functools.partial(observed, 6)(), list(map(observed, [7])))
        for _ in range(50):
            calls()
        for function in observed, Holder.method, Holder.static, Holder.prop.fget:
            with self.subTest(function.__qualname__):
                with Observer(function, START) as observer:
                    for _ in range(50):
                        calls()
                    expected = 150 if function is observed else 50
                    self.assertEqual(observer.count, expected)
                calls()
                self.assertEqual(observer.count, expected)

    def test_closures(self):
        code = inner_code(make_closure, "closure")
        before = [make_closure(i) for i in range(3)]
        frozen = make_closure(10)
        gc.collect()
        gc.freeze()
        self.addCleanup(gc.unfreeze)
        with Observer(code, START) as observer:
            self.assertEqual(observer.functions, 4)
            after = make_closure(20)
            for function in [*before, frozen, after]:
                function(1)
            self.assertEqual(len(observer.take()), 5)
        self.assertIs(inner_code(make_closure, "closure"), code)
        for function in [*before, frozen, after]:
            self.assertIs(function.__code__, code)

    def test_outer_and_inner(self):
        """Both are observed; whichever goes first, the other stays."""
        for outer_first in True, False:
            for outer_ends_first in True, False:
                with self.subTest(outer_first=outer_first, outer_ends_first=outer_ends_first):
                    self.check_outer_and_inner(outer_first, outer_ends_first)

    def check_outer_and_inner(self, outer_first, outer_ends_first):
        outer_code, inner = make_closure.__code__, inner_code(make_closure, "closure")
        if outer_first:
            outer_observer, inner_observer = Observer(make_closure, START), Observer(inner, START)
        else:
            inner_observer, outer_observer = Observer(inner, START), Observer(make_closure, START)
        make_closure(1)(2)
        self.assertEqual((outer_observer.kinds(), inner_observer.kinds()), (["start"], ["start"]))
        (outer_observer if outer_ends_first else inner_observer).detach()
        closure = make_closure(1)
        closure(2)
        self.assertEqual((outer_observer.kinds(), inner_observer.kinds()),
                         ([], ["start"]) if outer_ends_first else (["start"], []))
        (inner_observer if outer_ends_first else outer_observer).detach()
        self.assertIs(make_closure.__code__, outer_code)
        self.assertIs(inner_code(make_closure, "closure"), inner)
        self.assertIs(closure.__code__, inner)

    def test_maker_in_flight(self):
        def maker():
            yield
            yield lambda: 1
        generator = maker()
        next(generator)
        code = inner_code(maker, "<lambda>")
        with Observer(code, START) as observer:
            function = next(generator)
            function()
            self.assertEqual(observer.kinds(), ["start"])
        self.assertIs(function.__code__, code)

    def test_maker_that_runs(self):
        code = next(c for c in self.test_maker_that_runs.__code__.co_consts
                    if isinstance(c, types.CodeType) and c.co_name == "made")
        with Observer(code, START) as observer:
            def made():
                pass
            made()
            self.assertEqual(observer.kinds(), ["start"])
        self.assertIs(made.__code__, code)

    def test_function_with_other_code_is_left_alone(self):
        def function(x):
            return x
        observer = Observer(function, START)
        function.__code__ = replaced.__code__
        observer.detach()
        self.assertIs(function.__code__, replaced.__code__)
        self.assertEqual(function(1), -1)

    def test_update(self):
        def function(x):
            x += 1
            return x
        first = function.__code__.co_firstlineno
        code = function.__code__
        with Observer(function, 0, [first + 1]) as observer:
            function(1)
            self.assertEqual(observer.lines(), [first + 1])
            observer.update(RETURN, [first + 2])
            function(1)
            self.assertEqual(observer.kinds(), ["line", "returned"])
            self.assertIs(inject_testing.original(function.__code__), code)
        self.assertIs(function.__code__, code)

    def test_update_in_flight(self):
        def generator():
            x = 1
            yield x
            x = 2
            yield x
        first = generator.__code__.co_firstlineno
        with Observer(generator, START, [first + 1, first + 3]) as observer:
            older = generator()
            next(older)
            self.assertEqual(observer.kinds(), ["start", "line"])
            observer.update(LINES)
            next(older)  # injected for line 3 only
            self.assertEqual(observer.lines(), [first + 3])
            oldest = generator()
            next(oldest)
            observer.take()
            observer.update(RAISE)
            next(oldest)
            self.assertEqual(observer.take(), [], "no longer wanted")
        older.close()
        oldest.close()
        self.assertEqual(observer.take(), [])

    def test_detach_in_flight(self):
        def generator():
            yield 1
            yield 2
        observer = Observer(generator)
        running = generator()
        self.assertEqual(next(running), 1)
        observer.detach()
        observer.take()
        code = sys.getrefcount(generator.__code__)
        self.assertEqual(list(running), [2])
        self.assertEqual(observer.take(), [])
        del observer
        del running
        gc.collect()
        self.assertLess(sys.getrefcount(generator.__code__), code)

    def test_attach_in_flight(self):
        def generator():
            yield 1
            yield 2
        running = generator()
        next(running)
        with Observer(generator) as observer:
            self.assertEqual(list(running), [2])
            self.assertEqual(observer.take(), [])
            self.assertEqual(list(generator()), [1, 2])
            self.assertIn("returned", observer.kinds())

    def test_recursion_in_flight(self):
        observers = []

        def recursive(n):
            if n == 5:
                observers.append(Observer(recursive, START | RETURN))
            if n == 2:
                observers[0].detach()
            return n + recursive(n - 1) if n else 0
        self.assertEqual(recursive(8), 36)
        self.assertEqual(observers[0].kinds(), ["start"] * 3)  # 4, 3, 2

    def test_detach_by_callback(self):
        def function():
            x = 1
            return x
        observer = Observer(function, hook=lambda event: observer.detach())
        code = inject_testing.original(function.__code__)
        self.assertEqual(function(), 1)
        self.assertEqual(observer.kinds(), ["start"])
        self.assertIs(function.__code__, code)

    def test_detach_before_the_generator_is_made(self):
        """A collection while its cells are made: the generator must have room all the same."""
        def generator(a):
            b = [a]
            yield (a, (b, (lambda: (a, b))))
        code = generator.__code__
        bare = code.co_stacksize
        observer = Observer(generator)
        self.assertGreater(generator.__code__.co_stacksize, bare)

        class Finalized:
            def __init__(self):
                self.cycle = self

            def __del__(self):
                observer.detach()

        threshold = gc.get_threshold()
        self.addCleanup(gc.set_threshold, *threshold)
        Finalized()
        gc.set_threshold(1)
        made = generator(1)
        gc.set_threshold(*threshold)
        self.assertIs(generator.__code__, code)
        self.assertGreater(code.co_stacksize, bare, "it was detached in time")
        self.assertEqual(next(made)[0], 1)
        with self.assertRaises(KeyError):
            made.throw(KeyError(1))
        self.assertEqual(observer.take(), [])

    def test_exception_of_a_callback(self):
        def function(x):
            if not x:
                raise KeyError(x)
            return [x]
        with Observer(function, hook=lambda event: 1 / 0) as observer:
            self.assertEqual(function(3), [3])
            with self.assertRaises(KeyError) as caught:
                function(0)
            self.assertIsNone(caught.exception.__context__)
            self.assertEqual(len(observer.take()), 8)

    def test_reentrant(self):
        def function():
            return 1
        with Observer(function, START | RETURN, hook=lambda event: function()) as observer:
            function()
            self.assertEqual(observer.kinds(), ["start", "returned"])
            self.assertEqual(observer.reentrant, 4)

    def test_second_observer(self):
        with Observer(observed, START):
            with self.assertRaisesRegex(RuntimeError, "observed already"):
                Observer(observed, START)
            with self.assertRaisesRegex(RuntimeError, "observed already"):
                Observer(inject_testing.original(observed.__code__), START)

    def test_nothing_to_tell(self):
        """The code is injected all the same: it is known again at detach."""
        code = observed.__code__
        with Observer(observed, 0):
            self.assertIs(inject_testing.original(observed.__code__), code)
            self.assertEqual(observed(1), 1)
        self.assertIs(observed.__code__, code)

    def test_no_leak(self):
        shapes = [s for s in inject_samples.SHAPES
                  if s[0] in ("plain", "loops", "handled", "chained", "closure", "recursive",
                              "deep_raise", "generates", "generates_plainly", "delegates")]
        self.assertEqual(len(shapes), 10)

        def cycle():
            for name, function, run in shapes:
                with Observer(function, is_counting=True) as observer:
                    outcome(run)
                    observer.update(LINES)
                    outcome(run)
        cycle()
        cycle()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        cycle()
        gc.collect()
        references = [(sys.getrefcount(f.__code__), sys.getrefcount(f)) for _, f, _ in shapes]
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(10):
            cycle()
        gc.collect()
        self.assertLess(tracemalloc.get_traced_memory()[0] - before, 4096)
        self.assertEqual([(sys.getrefcount(f.__code__), sys.getrefcount(f)) for _, f, _ in shapes],
                         references)

    def test_threads(self):
        """Attached, updated and detached while threads call, recurse, raise and suspend."""
        shapes = [s for s in inject_samples.SHAPES
                  if s[0] in ("recursive", "handled", "deep_raise", "generates", "delegates",
                              "closure", "coroutine", "async_generator", "managed")]
        self.assertEqual(len(shapes), 9)
        expected = {name: outcome(run) for name, _, run in shapes}
        is_over, wrong, rounds = threading.Event(), [], [0] * 4

        def work(index):
            while not is_over.is_set():
                for name, _, run in shapes:
                    result = outcome(run)
                    if result != expected[name]:
                        wrong.append((name, result))
                rounds[index] += 1

        threads = [threading.Thread(target=work, args=(i,)) for i in range(len(rounds))]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        self.addCleanup(sys.setswitchinterval, interval)
        for thread in threads:
            thread.start()
        count, cycle, deadline = 0, 0, time.monotonic() + THREADS_S
        while time.monotonic() < deadline or min(rounds) == 0:
            cycle += 1
            for i, (_, function, _) in enumerate(shapes):
                observer = Observer(function, is_counting=True, is_only=bool(cycle % 2))
                if i == cycle % len(shapes):
                    observer.update(ALL - LINES)
                    time.sleep(0)  # the others' turn
                observer.detach()
                count += observer.count
        is_over.set()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong[:3], [])
        self.assertGreater(count, 0)
        self.assertGreater(min(rounds), 0)


if __name__ == "__main__":
    unittest.main()
