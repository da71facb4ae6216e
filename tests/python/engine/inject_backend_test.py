# SPDX-License-Identifier: MIT
"""Bytecode injection on CPython 3.11: functions whose code is exchanged, and given back."""
import functools
import gc
import sys
import threading
import time
import tracemalloc
import types
import unittest

import inject_testing

if sys.version_info >= (3, 12):
    raise unittest.SkipTest("3.12 and later have sys.monitoring")

import inject_samples
from inject_support import ALL, LINES, RAISE, RETURN, START, Observer, outcome

THREADS_S = 2


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
