# SPDX-License-Identifier: MIT
"""Calls whose arguments are altered, that are skipped, or whose result is replaced."""
import asyncio
import functools
import gc
import math
import signal
import sys
import threading
import types
import unittest
import weakref

import engine_testing
from handler_support import Handler, HandlerTest, Interceptor, functions_of, raised

WARM_UP = 100


class Point:
    def __init__(self, x):
        self.x = x

    def move(self, by, *, times=1):
        self.x += by * times
        return self.x

    @staticmethod
    def double(x):
        return 2 * x

    @classmethod
    def at(cls, x):
        return cls(x)

    @property
    def half(self):
        return self.x / 2


origin = Point(0)


def fail(reason):
    raise ValueError(reason)


def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)


def bare(a):
    return a


def given(*args, **kwargs):
    return args, kwargs


def produce(n):
    yield from range(n)


async def wait(n):
    await asyncio.sleep(0)
    return n


def doubled(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return 2 * function(*args, **kwargs)
    return wrapper


@doubled
def decorated(a):
    return a + 1


@functools.lru_cache
def cached(a):
    return a


def through(proceed, args, kwargs):
    return proceed(*args, **kwargs)


class InterceptionCase(HandlerTest):
    MODULE = __name__

    def intercept(self, target, answer, spec_id="spec", **attributes):
        return self.arm(target, Interceptor(answer, **attributes), spec_id, event="call", value="1")


class AnswerTest(InterceptionCase):
    def test_answers(self):
        cases = [
            ("as it is", through, 7),
            ("altered arguments", lambda proceed, args, kwargs: proceed(args[0], 10, times=2), 21),
            ("altered keywords", lambda proceed, args, kwargs: proceed(*args, times=1), 4),
            ("skipped", lambda proceed, args, kwargs: None, None),
            ("replaced result", lambda proceed, args, kwargs: -proceed(*args, **kwargs), -7),
            ("twice", lambda proceed, args, kwargs: (proceed(args[0], 1), proceed(args[0], 1)),
             (2, 3)),
        ]

        def loop(point, count):
            for _ in range(count):
                point.move(1)

        loop(Point(0), WARM_UP)  # call sites have specialised
        for name, answer, expected in cases:
            with self.subTest(name=name):
                self.intercept("Point.move", answer)
                self.assertEqual(self.status()["mechanism"], "type-swap")
                self.assertEqual(Point(1).move(3, times=2), expected)
                self.assertEqual(self.counts(), {"hits": 1})
                self.engine.remove("spec")
                self.assertEqual(Point(1).move(3, times=2), 7)
                self.assertIs(type(Point.move), types.FunctionType)

    def test_hot_call_sites(self):
        def loop(count):
            return sum(Point(1).x for _ in range(count))

        self.assertEqual(loop(WARM_UP), WARM_UP)
        self.intercept("Point.__init__", lambda proceed, args, kwargs: proceed(args[0], 5))
        self.assertEqual(loop(WARM_UP), 5 * WARM_UP)
        self.engine.remove("spec")
        self.assertEqual(loop(WARM_UP), WARM_UP)

    def test_arguments(self):
        calls = [
            lambda: given(), lambda: given(1, 2), lambda: given(a=1), lambda: given(1, b=2, c=3),
            lambda: given(*range(100), **{f"k{i}": i for i in range(100)}),
        ]
        for answer in (through, lambda proceed, args, kwargs: proceed(*args, **dict(kwargs))):
            self.intercept("given", answer)
            for call in calls:
                got = call()
                self.engine.remove("spec")
                self.assertEqual(got, call())
                self.intercept("given", answer)

    def test_keywords_must_be_strings(self):
        def answer(proceed, args, kwargs):
            with self.assertRaisesRegex(TypeError, "keywords must be strings"):
                proceed(**{1: 2})
            return "answered"

        self.intercept("given", answer)
        self.assertEqual(given(1), "answered")

    def test_arguments_that_do_not_fit(self):
        self.intercept("bare", lambda proceed, args, kwargs: proceed(1))
        self.assertEqual(bare(1, 2, 3, why=4), 1)
        self.intercept("bare", lambda proceed, args, kwargs: proceed())
        self.assertRaisesRegex(TypeError, "missing 1 required", bare, 1)

    def test_kinds_of_methods(self):
        minus = lambda proceed, args, kwargs: proceed(*args[:-1], -args[-1])  # noqa: E731
        cases = [
            ("Point.move", lambda: Point(1).move(1), 0),
            ("Point.double", lambda: Point.double(1), -2),
            ("Point.double", lambda: Point(1).double(1), -2),
            ("Point.at", lambda: Point.at(1).x, -1),
            ("decorated", lambda: decorated(1), 0),
        ]
        for target, call, expected in cases:
            with self.subTest(target=target):
                self.intercept(target, minus)
                self.assertEqual(call(), expected)
                self.engine.remove("spec")
        self.intercept("Point.half", lambda proceed, args, kwargs: proceed(*args) + 1)
        self.assertEqual(Point(4).half, 3)

    def test_instance(self):
        self.intercept("origin.move", lambda proceed, args, kwargs: "intercepted")
        self.assertEqual((origin.move(1), Point(0).move(1)), ("intercepted", 1))
        self.assertEqual(self.counts(), {"hits": 1, "filtered": 1})

    def test_generators_and_coroutines(self):
        self.intercept("produce", lambda proceed, args, kwargs: proceed(args[0] + 1))
        self.intercept("wait", lambda proceed, args, kwargs: proceed(args[0] + 1), "coroutine")
        generator = produce(1)
        self.assertIs(type(generator), types.GeneratorType)
        self.assertEqual((list(generator), asyncio.run(wait(1))), ([0, 1], 2))
        self.intercept("produce", lambda proceed, args, kwargs: "none made")
        self.assertEqual(produce(1), "none made")

    def test_value_and_namespace(self):
        got = []

        class Looking(Interceptor):
            def intercept(self, interception):
                got.append((interception.value(), interception.arguments(),
                            eval("(a, own)", interception.namespace())))
                return interception.proceed(1)

        handler = Looking(None, globals={"own": 5}, wants_namespace=True)
        self.arm("bare", handler, event="call", value="a + own")
        self.assertEqual(bare(a=2), 1)
        self.assertEqual(got, [(7, ((), {"a": 2}), (2, 5))])

    def test_proceed_is_over_with_intercept(self):
        kept = []
        self.intercept("bare", lambda proceed, args, kwargs: kept.append(proceed))
        self.assertIsNone(bare(1))
        self.assertRaisesRegex(RuntimeError, "it is over", kept[0], 1)

    def test_another_thread_cannot_proceed(self):
        errors = []

        def answer(proceed, args, kwargs):
            def run():
                try:
                    proceed(*args)
                except RuntimeError as error:
                    errors.append(str(error))

            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
            return proceed(*args)

        self.intercept("bare", answer)
        self.assertEqual(bare(1), 1)
        self.assertEqual(errors, ["a call goes on in the thread that makes it only"])


class RefusalTest(InterceptionCase):
    def test_refused(self):
        line = bare.__code__.co_firstlineno + 1
        cases = [
            ("bare", "return", "instrument.event: only calls can be intercepted: it must be call"),
            ("bare", "end", "instrument.event: only calls can be intercepted: it must be call"),
            ("bare", f"line:{line}",
             "instrument.event: only calls can be intercepted: it must be call"),
            ("builtins.hex", "call",
             "target: is implemented in C: its calls cannot be intercepted"),
            ("cached", "call", "target: is implemented in C: its calls cannot be intercepted"),
            ("doubled.<locals>.wrapper", "call",
             "target: names code within functions, whose calls cannot be intercepted"),
        ]
        for target, event, message in cases:
            with self.subTest(target=target, event=event):
                with self.assertRaises(RuntimeError) as caught:
                    self.put(target, Interceptor(through), event=event, value="1")
                self.assertEqual(str(caught.exception), "UNSUPPORTED: " + message)
                self.assertEqual((self.state(), self.status()["message"]), ("FAILED", message))
        self.assertEqual((bare(1), hex(1), math.sqrt(4)), (1, "0x1", 2))
        self.assertIs(type(bare), types.FunctionType)


class ExceptionTest(InterceptionCase):
    def test_it_can_be_dealt_with(self):
        def swallow(proceed, args, kwargs):
            try:
                return proceed(*args, **kwargs)
            except ValueError as error:
                return str(error)

        self.intercept("fail", swallow)
        self.assertEqual(fail("why"), "why")
        self.assertRaises(TypeError, fail, "why", "extra")

    def test_one_of_the_answer_is_the_call_s(self):
        self.intercept("fail", lambda proceed, args, kwargs: 1 / 0)
        self.assertRaises(ZeroDivisionError, fail, "why")

    def test_it_passes_unchanged(self):
        def chain():
            try:
                raise KeyError("context")
            except KeyError:
                raise error from cause

        # True: an interceptor in C; one in Python appears in the traceback
        cases = [(True, ["chain"]),
                 (Interceptor(through), ["intercept", "through", "chain"])]
        for interceptor, functions in cases:
            for has_return in (False, True):
                with self.subTest(interceptor=interceptor, has_return=has_return):
                    error, cause = ValueError("why"), RuntimeError("cause")
                    globals()["chain"] = chain
                    self.addCleanup(globals().pop, "chain", None)
                    self.arm("chain", interceptor, event="call", value="1")
                    if has_return:
                        self.arm("chain", Handler(), "other", value="result")
                    self.assertIs(raised(chain), error)
                    self.assertIs(error.__cause__, cause)
                    self.assertIsInstance(error.__context__, KeyError)
                    self.assertEqual(functions_of(error), functions)
                    self.engine.remove("other")

    def test_counted_error(self):
        class Counting(Interceptor):
            def intercept(self, interception):
                interception.count_error()
                return interception.proceed(1)

        self.arm("bare", Counting(None), event="call", value="1")
        self.assertEqual(bare(2), 1)
        self.assertEqual(self.counts(), {"errors": 1})

    def test_ctrl_c_in_the_target(self):
        def strike():
            signal.raise_signal(signal.SIGINT)

        self.arm("strike", Interceptor(through, callable=strike), event="call", value="1")
        self.assertRaises(KeyboardInterrupt, strike)


class OtherActionsTest(InterceptionCase):
    def test_beside_others(self):
        """CALL before, RETURN after, with what the caller gets, in whichever order they came."""
        others = [("call", "a"), ("return", "(a, result)"), ("end", "(a, 'end')")]
        handlers = {event: Handler() for event, _ in others}

        def arm_others():
            for event, value in others:
                self.arm("bare", handlers[event], event, event=event, value=value)

        def answer(proceed, args, kwargs):
            self.assertEqual(handlers["call"].take(), [1])
            result = proceed(args[0] + 1)
            self.assertEqual(handlers["end"].take(), [(2, "end")])
            self.assertEqual(handlers["return"].values, [])
            return result, "replaced"

        for is_first in (False, True):
            with self.subTest(is_first=is_first):
                if is_first:
                    self.intercept("bare", answer)
                arm_others()
                if not is_first:
                    self.intercept("bare", answer)
                self.assertEqual(bare(1), (2, "replaced"))
                self.assertEqual(handlers["return"].take(), [(1, (2, "replaced"))])
                self.assertEqual(self.status("return")["mechanism"], "type-swap")
                self.engine.remove("spec")
                self.assertEqual(bare(1), 1)
                self.assertEqual(handlers["return"].take(), [(1, 1)])
                self.assertEqual(self.status("return")["mechanism"],
                                 "monitoring" if sys.version_info >= (3, 12) else "type-swap")
                for event, _ in others:
                    handlers[event].values.clear()
                    self.engine.remove(event)
                self.assertIs(type(bare), types.FunctionType)

    def test_skipped_call_returns_all_the_same(self):
        handler = self.arm("bare", Handler(), "other", value="(a, result)")
        self.intercept("bare", lambda proceed, args, kwargs: "skipped")
        bare(1)
        self.assertEqual(handler.values, [(1, "skipped")])

    def test_exception_is_a_result(self):
        handler = self.arm("bare", Handler(), "other", value="type(result).__name__")
        self.intercept("bare", lambda proceed, args, kwargs: 1 / 0)
        self.assertRaises(ZeroDivisionError, bare, 1)
        self.assertEqual(handler.values, ["ZeroDivisionError"])

    def test_nesting(self):
        """In the order in which they were put, the first is the outermost."""
        for name in "abc":
            self.intercept("bare", lambda proceed, args, kwargs, name=name:
                           name + proceed(args[0] + name), name)
        self.assertEqual(bare("-"), "abc-abc")
        self.engine.remove("b")
        self.assertEqual(bare("-"), "ac-ac")
        self.intercept("bare", lambda proceed, args, kwargs: "x" + proceed(args[0] + "x"), "a")
        self.assertEqual(bare("-"), "cx-cx")
        self.intercept("bare", lambda proceed, args, kwargs: "skipped", "c")
        self.assertEqual(bare("-"), "xskipped")

    def test_hits_meanwhile(self):
        """None while it runs, but for the time that the call goes on."""
        other = self.arm("bare", Handler(), "other", value="a")

        def answer(proceed, args, kwargs):
            bare("before")
            result = proceed(*args)
            bare("after")
            return result

        def target():
            bare("during")
            return "done"

        self.arm("target", Interceptor(answer, callable=target), event="call", value="1")
        self.assertEqual(target(), "done")
        self.assertEqual(other.values, ["during"])
        bare("later")
        self.assertEqual(other.values, ["during", "later"])


class RecursionTest(InterceptionCase):
    def test_each_call_is_intercepted(self):
        self.intercept("depth", through)
        self.assertEqual(depth(50), 50)
        self.assertEqual(self.counts(), {"hits": 51})

    def test_limit(self):
        """The target's recursion ends at about where it would without."""
        def reached():
            level = 0

            def down():
                nonlocal level
                level += 1
                down()

            return down, lambda: level

        down, level = reached()
        self.assertRaises(RecursionError, down)
        plain = level()
        down, level = reached()
        self.arm("down", Interceptor(through, callable=down), event="call", value="1")
        self.assertRaises(RecursionError, down)
        self.assertLessEqual(level(), plain + 64)
        self.assertEqual(self.state(), "ARMED")

    def test_stack_exhaustion(self):
        results = []

        def run():
            limit = sys.getrecursionlimit()
            sys.setrecursionlimit(100_000)
            try:
                results.append(depth(2000))
            except RecursionError:
                results.append("recursion")
            finally:
                sys.setrecursionlimit(limit)

        self.intercept("depth", through)
        size = threading.stack_size(512 << 10)
        try:
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
        finally:
            threading.stack_size(size)
        self.assertEqual(self.state(), "TRIPPED")
        self.assertIn(results, ([2000], ["recursion"]))
        self.assertEqual(depth(5), 5)
        self.assertIs(type(depth), types.FunctionType)


class LifeTest(InterceptionCase):
    def test_removed_during_the_call(self):
        for when in ("before", "after", "both"):
            with self.subTest(when=when):
                def answer(proceed, args, kwargs):
                    if when != "after":
                        self.engine.remove("spec")
                        gc.collect()
                    result = proceed(*args)
                    if when != "before":
                        self.engine.remove("spec")
                        gc.collect()
                    return "answered", result

                self.intercept("bare", answer)
                self.assertEqual(bare(1), ("answered", 1))
                self.assertEqual(bare(1), 1)
                self.assertIs(type(bare), types.FunctionType)

    def test_removed_in_flight_by_another_thread(self):
        entered, go = threading.Event(), threading.Event()
        results = []

        def slow(a):
            entered.set()
            go.wait()
            return a

        handler = Interceptor(lambda proceed, args, kwargs: -proceed(*args), callable=slow)
        reference = weakref.ref(handler)
        self.arm("slow", handler, event="call", value="1")
        del handler
        thread = threading.Thread(target=lambda: results.append(slow(1)))
        thread.start()
        entered.wait()
        self.engine.remove("spec")
        gc.collect()
        self.assertIsNotNone(reference())
        go.set()
        thread.join()
        self.assertEqual((results, slow(1)), ([-1], 1))
        del thread
        gc.collect()
        self.assertIsNone(reference())

    def test_engine_closed_during_the_call(self):
        def answer(proceed, args, kwargs):
            self.engine.close()
            return proceed(*args), proceed(*args)

        self.intercept("bare", answer)
        self.assertEqual((bare(1), bare(1)), ((1, 1), 1))

    def test_code_replaced_during_the_call(self):
        def victim(a):
            return a

        def answer(proceed, args, kwargs):
            victim.__code__ = (lambda b: ("new", b)).__code__
            gc.collect()
            return proceed(*args)

        self.arm("victim", Interceptor(answer, callable=victim), event="call", value="1")
        self.assertEqual(victim(1), ("new", 1))

    def test_put_during_the_call(self):
        def answer(proceed, args, kwargs):
            self.intercept("bare", lambda proceed, args, kwargs: "inner", "another")
            return proceed(*args)

        self.intercept("bare", answer)
        self.assertEqual((bare(1), self.status("another")["state"]), (1, "ARMED"))
        self.engine.remove("spec")
        self.assertEqual(bare(1), "inner")

    def test_two_engines(self):
        other = engine_testing.Engine()
        self.addCleanup(other.close)
        self.intercept("bare", lambda proceed, args, kwargs: ("first", proceed(*args)))
        other.put({"id": "spec", "target": f"{__name__}.bare", "event": "call", "value": "1"},
                  Interceptor(lambda proceed, args, kwargs: ("second", proceed(*args))))
        self.assertEqual(bare(1), ("first", ("second", 1)))
        self.engine.close()
        self.assertEqual(bare(1), ("second", 1))

    def test_traced(self):
        """The interceptor's own frames are left alone by sys.settrace, the target's are not."""
        seen = []

        def trace(frame, event, arg):
            if event == "call":
                seen.append(frame.f_code.co_name)

        self.intercept("bare", through)
        sys.settrace(trace)
        try:
            bare(1)
        finally:
            sys.settrace(None)
        self.assertEqual(seen, ["bare"])


if __name__ == "__main__":
    unittest.main()
