# SPDX-License-Identifier: MIT
"""The type swap: what an armed function is to the program, deep recursion, threads, and memory."""
import copy
import functools
import gc
import inspect
import pickle
import sys
import threading
import time
import tracemalloc
import types
import typing
import unittest

import engine_testing
import samples
from swap_support import SwapTest


class Point:
    def __init__(self, x):
        self.x = x

    def method(self, y):
        return self.x + y

    def __getitem__(self, key):
        return key


def annotated(a: int, b: "str" = "x") -> float:
    """Documented."""
    return 1.0


class IdentityTest(SwapTest):
    def views(self):
        return [
            isinstance(annotated, types.FunctionType),
            annotated.__class__ is types.FunctionType,
            inspect.isfunction(annotated),
            callable(annotated),
            inspect.signature(annotated),
            inspect.getsource(annotated),
            inspect.getdoc(annotated),
            typing.get_type_hints(annotated),
            pickle.loads(pickle.dumps(annotated)) is annotated,
            pickle._loads(pickle._dumps(annotated)) is annotated,
            pickle.loads(pickle.dumps(Point.method)) is Point.method,
            copy.copy(annotated) is annotated,
            copy.deepcopy([annotated])[0] is annotated,
            repr(annotated),
            annotated.__name__, annotated.__qualname__, annotated.__module__,
            annotated.__code__, annotated.__defaults__, annotated.__globals__ is globals(),
            hash(annotated), annotated == annotated,
            type(annotated).__name__,
            functools.singledispatch(annotated)(1),
            functools.wraps(annotated)(lambda: 1).__wrapped__ is annotated,
            isinstance(Point(1).method, types.MethodType),
            inspect.ismethod(Point(1).method),
            gc.is_tracked(annotated),
            callable(getattr(annotated, "__get__")),
        ]

    def test_armed_functions_look_the_same(self):
        before = self.views()
        self.apply({"target": f"{__name__}.annotated"}, {"target": f"{__name__}.Point.method"})
        self.assertEqual(self.state("spec-1"), "ARMED")
        self.assertEqual(self.views(), before)
        annotated.attribute = 1
        self.apply()
        self.assertEqual(annotated.attribute, 1)
        del annotated.attribute
        self.assertEqual(self.views(), before)
        self.assert_restored(annotated, Point.method)

    def test_stop_restores(self):
        self.arm(f"{__name__}.annotated")
        engine_testing.stop()
        self.assert_restored(annotated)
        engine_testing.start()

    def test_tracing_does_not_see_expressions(self):
        seen = []
        self.arm("samples.plain", "[a for _ in range(2)]")
        sys.setprofile(lambda frame, event, arg: seen.append(frame.f_code.co_filename))
        try:
            samples.plain(1)
        finally:
            sys.setprofile(None)
        self.assertEqual(self.values(), [[1, 1]])
        self.assertNotIn("<instrument>", seen)
        self.assertIn(samples.__file__, seen)


def recurse(n):
    return 0 if n == 0 else 1 + recurse(n - 1)


def even(n):
    return True if n == 0 else odd(n - 1)


def odd(n):
    return False if n == 0 else even(n - 1)


class RecursionTest(SwapTest):
    def setUp(self):
        super().setUp()
        self.limit = sys.getrecursionlimit()

    def tearDown(self):
        sys.setrecursionlimit(self.limit)
        super().tearDown()

    def test_recursion(self):
        self.arm(f"{__name__}.recurse", "n")
        self.assertEqual(recurse(100), 100)
        self.assertEqual(self.values(), list(range(101)))

    def test_recursion_limit_is_the_same(self):
        def depth():
            low, high = 1, self.limit
            while low < high:
                middle = (low + high + 1) // 2
                try:
                    recurse(middle)
                    low = middle
                except RecursionError:
                    high = middle - 1
            return low

        unprobed = depth()
        self.arm(f"{__name__}.recurse", "(lambda x: [x for _ in range(1)])(n)")
        self.assertEqual(depth(), unprobed)
        self.assertEqual(self.state(), "ARMED", self.status()["message"])

    def test_recursion_from_c_is_not_what_limits(self):
        """3.12 allows for 1,500 calls from C, which is where a probed call comes from."""
        sys.setrecursionlimit(20000)
        self.arm(f"{__name__}.recurse", "n", event="call")
        self.assertEqual(recurse(3000), 3000)
        self.assertEqual(self.state(), "ARMED", self.status()["message"])
        self.assertEqual(len(self.values()), 3001)

    def test_deep_recursion_trips(self):
        sys.setrecursionlimit(200000)
        self.arm(f"{__name__}.recurse", "n")
        changes = engine_testing.status_changes()
        self.assertEqual(recurse(50000), 50000)
        self.assertEqual((self.state(), self.status()["message"]),
                         ("TRIPPED", "C stack nearly exhausted by recursion"))
        self.assertGreater(engine_testing.status_changes(), changes)
        self.assert_restored(recurse)
        engine_testing.tick()
        self.assertEqual(self.state(), "TRIPPED")
        self.assertEqual(recurse(50000), 50000)
        self.arm(f"{__name__}.recurse", "n")
        engine_testing.take_events()
        recurse(3)
        self.assertEqual(self.values(), [0, 1, 2, 3])

    def test_deep_recursion_of_two(self):
        sys.setrecursionlimit(200000)
        self.apply({"target": f"{__name__}.even"}, {"target": f"{__name__}.odd"})
        self.assertTrue(even(50000))
        self.assertEqual([self.state("spec-0"), self.state("spec-1")], ["TRIPPED"] * 2)
        self.assert_restored(even, odd)

    def test_small_stacks(self):
        sys.setrecursionlimit(200000)
        results = []
        for size in (64 << 10, 128 << 10, 1 << 20):
            self.arm(f"{__name__}.recurse", "n")
            old = threading.stack_size(size)
            thread = threading.Thread(target=lambda: results.append(recurse(20000)))
            thread.start()
            thread.join()
            threading.stack_size(old)
            self.assertEqual(self.state(), "TRIPPED")
        self.assertEqual(results, [20000] * 3)


class StressTest(SwapTest):
    def test_attach_and_detach_under_load(self):
        def work(errors):
            point = Point(1)
            while not done.is_set():
                try:
                    assert point.method(2) == 3 and point[5] == 5 and recurse(20) == 20
                    assert samples.everything(1, zed=2)[5] == {"zed": 2}
                    try:
                        samples.raiser(ValueError("x"))
                    except ValueError as error:
                        assert error.args == ("x",)
                except BaseException as error:
                    errors.append(error)
                    return

        done, errors = threading.Event(), []
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        threads = [threading.Thread(target=work, args=(errors,)) for _ in range(4)]
        specs = [
            {"target": f"{__name__}.Point.method", "value": "[y, result, elapsed]"},
            {"target": f"{__name__}.Point.method", "value": "locals()", "event": "call"},
            {"target": f"{__name__}.Point.__getitem__", "value": "key"},
            {"target": f"{__name__}.recurse", "value": "[i for i in range(n)]"},
            {"target": "samples.raiser", "value": "result", "tags": "{'t': type(result)}"},
            {"target": "samples.everything", "value": "zed"},
            {"target": "samples.raiser", "value": "nope"},
            {"target": "never.f"},
        ]
        for thread in threads:
            thread.start()
        try:
            for i in range(500):
                self.apply(*specs[i % 3:])
                engine_testing.tick()
                time.sleep(0.001)
                self.apply(*specs[:i % 8])
                engine_testing.statuses()
                if i % 20 == 0:
                    engine_testing.take_events()
        finally:
            done.set()
            for thread in threads:
                thread.join()
            sys.setswitchinterval(interval)
        self.assertEqual(errors, [])
        self.apply()
        self.assert_restored(Point.method, Point.__getitem__, recurse, samples.raiser)


class LeakTest(SwapTest):
    HITS = 10000

    def references(self, objects):
        gc.collect()
        return [sys.getrefcount(item) for item in objects]

    def test_reference_counts(self):
        argument, extra = object(), object()
        samples.passes = lambda a, b=None, *rest, **kw: a
        objects = [argument, extra, samples.passes, samples.passes.__code__, samples.__dict__,
                   None.__class__]
        for value in ("a", "result", "(a, b)", "kw", "rest", "args", "kwargs", "zed", "locals()",
                      "[a for _ in (1, 2)]", "frame.f_locals", "now", "elapsed", "nope"):
            for event in ("call", "return"):
                with self.subTest(value=value, event=event):
                    before = self.references(objects)
                    self.arm("samples.passes", value, event=event)
                    for _ in range(self.HITS // 20):
                        samples.passes(argument, None, extra, zed=extra)
                    self.apply()
                    engine_testing.take_events()
                    self.assertEqual(self.references(objects), before)

    def test_reference_counts_of_exceptions(self):
        error = ValueError("x")
        self.arm("samples.raiser", "result", tags="{'k': result}")
        before = None
        for _ in range(self.HITS):
            try:
                samples.raiser(error)
            except ValueError as caught:
                caught.__traceback__ = None
                caught = None
            before = before or self.references([error, samples.raiser])
        self.assertEqual(self.references([error, samples.raiser]), before)

    def test_memory(self):
        self.arm("samples.everything", "[a, extra, now, frame, zed]", tags="{'t': a, 'u': zed}")

        def hits(count):
            for _ in range(count):
                samples.everything(1, zed=2)
            engine_testing.take_events()
            gc.collect()

        hits(100)
        tracemalloc.start()
        try:
            hits(100)
            before = tracemalloc.get_traced_memory()[0]
            hits(self.HITS)
            self.assertLess(tracemalloc.get_traced_memory()[0] - before, 20000)
        finally:
            tracemalloc.stop()

    def test_memory_of_arming(self):
        def cycles(count):
            for i in range(count):
                self.apply({"target": "samples.plain", "value": "a + b", "tags": "{'x': a}"},
                           {"target": "samples.Thing.value"}, {"target": "never.f"})
                samples.plain(1)
                self.apply()
            engine_testing.take_events()
            gc.collect()

        cycles(20)
        tracemalloc.start()
        try:
            cycles(20)
            before = tracemalloc.get_traced_memory()[0]
            cycles(500)
            self.assertLess(tracemalloc.get_traced_memory()[0] - before, 20000)
        finally:
            tracemalloc.stop()


if __name__ == "__main__":
    unittest.main()
