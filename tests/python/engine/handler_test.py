# SPDX-License-Identifier: MIT
"""Handlers: what they are given at a hit, what is counted, and what they may do."""
import asyncio
import gc
import signal
import time
import types
import unittest
import weakref

from handler_support import Doing, Handler, HandlerTest, functions_of, raised

INFINITE = 1 << 62


def work(a, b=2, *rest, key=0, **more):
    c = a + b
    a = -1
    return c


def fail(reason):
    raise ValueError(reason)


def use(flag):
    if flag:
        local = 1
    return flag


def bare(a):
    return a


def produce(n):
    for i in range(n):
        yield i
    return "done"


class Point:
    def __init__(self, x):
        self.x = x

    def move(self, by):
        self.x += by
        return self.x


origin = Point(0)


class HandlerCase(HandlerTest):
    MODULE = __name__


class HitTest(HandlerCase):
    def test_value_and_tags(self):
        line = work.__code__.co_firstlineno + 2
        cases = [
            ("call", "a + b", (6, {"k": 5})),
            ("return", "(a, result)", ((1, 6), {"k": 5})),
            ("end", "(a, c)", ((-1, 6), {"k": 5})),
            (f"line:{line}", "(a, c)", ((1, 6), {"k": 5})),
        ]
        for event, value, expected in cases:
            with self.subTest(event=event):
                handler = self.arm("work", Doing(lambda hit: (hit.value(), hit.tags())),
                                   event=event, value=value, tags="{'k': b}")
                self.assertEqual(work(1, 5), 6)
                self.assertEqual(handler.take(), [expected])
                self.assertEqual(self.counts(), {"hits": 1})
                self.engine.remove("spec")

    def test_without_tags(self):
        handler = self.arm("work", Doing(lambda hit: (hit.has_tags(), hit.tags())))
        work(1)
        self.assertEqual(handler.values, [(False, NotImplemented)])
        self.assertEqual(self.counts(), {"hits": 1})

    def test_value_is_evaluated_when_it_is_asked_for(self):
        box = types.SimpleNamespace(count=0)

        def count():
            box.count += 1
            return box.count

        handler = self.arm("work", Doing(lambda hit: None, globals={"count": count}),
                           value="count()")
        work(1)
        self.assertEqual((handler.values, box.count), ([None], 0))
        handler.do = lambda hit: (hit.value(), hit.value())
        work(1)
        self.assertEqual(handler.values[1:], [(1, 2)])

    def test_hit_is_over_after_fire(self):
        handler = self.arm("work", Doing(lambda hit: hit))
        work(1)
        with self.assertRaisesRegex(RuntimeError, "the hit is over"):
            handler.values[0].value()

    def test_exceptions_are_results(self):
        handler = self.arm("fail", Handler(), value="type(result).__name__")
        self.assertEqual(functions_of(raised(fail, "why")), ["fail"])
        self.assertEqual(handler.values, ["ValueError"])

    def test_handler_that_raises_the_target_s_exception(self):
        def again(hit):
            try:
                raise hit.value()
            except ValueError as error:
                raise KeyError from error

        handler = self.arm("fail", Doing(again))
        error = raised(fail, "why")
        self.assertEqual((error.__context__, error.__cause__), (None, None))
        self.assertEqual(functions_of(error), ["fail"])
        self.assertEqual([type(error) for error in handler.errors], [KeyError])

    def test_arguments(self):
        cases = [("call", True), ("return", True), ("end", True)]
        for event, wants in cases:
            with self.subTest(event=event):
                handler = self.arm("work", Doing(lambda hit: hit.arguments(),
                                                 wants_arguments=wants), event=event, value="1")
                self.assertEqual(work(1), 3)
                self.assertEqual(work(1, 5, 6, key=7, other=8), 6)
                given = handler.take()
                if event == "end":  # rebuilt from the variables as they were at the start
                    self.assertEqual(given, [((1, 2), {"key": 0}),
                                             ((1, 5, 6), {"key": 7, "other": 8})])
                else:
                    self.assertEqual(given, [((1,), {}), ((1, 5, 6), {"key": 7, "other": 8})])
                self.engine.remove("spec")

    def test_arguments_of_what_is_implemented_in_c(self):
        handler = self.arm("time.gmtime", Doing(lambda hit: hit.arguments(), wants_arguments=True),
                           event="call", value="1")
        time.gmtime(5)
        self.assertEqual(handler.values, [((5,), {})])

    def test_namespace(self):
        cases = [
            ("call", "(a, b, rest, more, callable(work), len('ab'), extra)",
             (1, 5, (6,), {"other": 8}, True, 2, "extra")),
            ("return", "(a, other, result, elapsed >= 0, kwargs, [extra for _ in 'a'])",
             (1, 8, 6, True, {"key": 7, "other": 8}, ["extra"])),
            ("end", "(a, c, elapsed >= 0, (lambda: extra)())", (-1, 6, True, "extra")),
        ]
        for event, text, expected in cases:
            with self.subTest(event=event):
                handler = Doing(lambda hit: eval(text, *[hit.namespace()] * 2),
                                wants_namespace=True, globals={"extra": "extra"})
                self.arm("work", handler, event=event, value="1")
                work(1, 5, 6, key=7, other=8)
                self.assertEqual((handler.take(), handler.errors), ([expected], []))
                self.engine.remove("spec")

    def test_namespace_measures_no_hotspots_on_suspicion(self):
        handler = self.arm("work", Doing(lambda hit: "hotspots" in hit.namespace(),
                                         wants_namespace=True), value="1")
        work(1)
        self.arm("work", handler, value="hotspots.calls")
        work(1)
        self.assertEqual(handler.values, [False, True])

    def test_generator(self):
        handler = self.arm("produce", Doing(lambda hit: (hit.value(), hit.arguments()),
                                            wants_arguments=True), value="(n, result)")
        self.assertEqual(list(produce(2)), [0, 1])
        self.assertEqual(handler.values, [((2, "done"), ((2,), {}))])

    def test_instance(self):
        handler = self.arm("origin.move", Handler(), event="call", value="by")
        Point(1).move(1)
        origin.move(2)
        self.assertEqual(handler.values, [2])
        self.assertEqual(self.counts(), {"hits": 1, "filtered": 1})


class CountTest(HandlerCase):
    def test_name_without_a_value(self):
        handler = self.arm("use", Handler(), event="end", value="local")
        use(False)
        use(True)
        self.assertEqual(handler.values, [NotImplemented, 1])
        self.assertEqual(self.counts(), {"hits": 1, "unbound": 1})

    def test_value_that_raises(self):
        def expect(hit):
            with self.assertRaises(ZeroDivisionError):
                hit.value()
            return "dealt with"

        handler = self.arm("bare", Doing(expect), value="1 // a")
        self.assertEqual(bare(0), 0)
        self.assertEqual((handler.values, self.counts()), (["dealt with"], {"hits": 1}))

    def test_error_that_is_counted(self):
        handler = self.arm("bare", Handler(), value="1 // a")
        for a in (0, 1, 0):
            self.assertEqual(bare(a), a)
        self.assertEqual(handler.values, [1])
        self.assertEqual([type(error) for error in handler.errors], [ZeroDivisionError] * 2)
        self.assertEqual(self.counts(), {"hits": 1, "errors": 2})
        self.assertEqual(self.state(), "ARMED")

    def test_one_error_per_hit(self):
        self.arm("bare", Doing(lambda hit: (hit.count_error(), hit.count_error())))
        bare(1)
        self.assertEqual(self.counts(), {"errors": 1})

    def test_reentrance(self):
        handler = self.arm("bare", Doing(lambda hit: bare(hit.value())))
        self.assertEqual(bare(3), 3)
        self.assertEqual(handler.values, [3])
        self.assertEqual(self.counts().get("hits"), 1)
        if self.status()["mechanism"] != "monitoring":  # which does not tell
            self.assertEqual(self.counts(), {"hits": 1, "reentrant": 1})

    def test_ctrl_c(self):
        handler = self.arm("bare", Handler(globals={"signal": signal}),
                           value="signal.raise_signal(signal.SIGINT)", event="call")
        with self.assertRaises(KeyboardInterrupt):
            bare(1)
            for _ in range(1000):  # the main thread's next instructions
                pass
        self.assertEqual((handler.errors, self.counts()), ([], {"dropped": 1}))
        self.assertEqual(self.state(), "ARMED")

    def test_ctrl_c_in_the_handler(self):
        def strike(hit):
            signal.raise_signal(signal.SIGINT)

        handler = self.arm("bare", Doing(strike), event="call")
        with self.assertRaises(KeyboardInterrupt):
            bare(1)
            for _ in range(1000):
                pass
        self.assertEqual((handler.errors, self.counts()), ([], {"dropped": 1}))


class PutTest(HandlerCase):
    def test_status_of_none(self):
        self.assertIsNone(self.engine.status("no such"))
        self.engine.remove("no such")

    def test_unchanged(self):
        handler = self.arm("bare", Handler())
        bare(1)
        self.arm("bare", handler)
        bare(2)
        self.assertEqual((handler.values, self.counts()), ([1, 2], {"hits": 2}))

    def test_edited(self):
        first = self.arm("bare", Handler())
        bare(1)
        edits = [dict(value="-a"), dict(event="call", value="a"), dict(value="a", tags="['a']")]
        for edit in edits:
            with self.subTest(edit=edit):
                handler = self.arm("bare", Handler(), **edit)
                bare(2)
                self.assertEqual(self.counts(), {"hits": 1})
                self.assertIn(handler.values, ([2], [-2]))
        handler = self.arm("work", handler, value="a")
        bare(3)
        work(4)
        self.assertEqual(handler.values[1:], [4])
        self.assertEqual(first.values, [1])
        self.engine.remove("spec")
        for function in (bare, work):
            self.assertIs(type(function), types.FunctionType)

    def test_errors(self):
        cases = [
            (dict(target="bare", value="a +"), "INVALID: instrument.value: "),
            (dict(target="bare", event="retrun"), "INVALID: instrument.event: "),
            (dict(target="..", value="a"), "INVALID: target: "),
            (dict(target="Point", value="a"), "UNSUPPORTED: target: "),
            (dict(target="bare", event="line:1"), "INVALID: "),
            (dict(target="bare", tags=")"), "INVALID: instrument.custom.tags: "),
        ]
        for spec, message in cases:
            with self.subTest(spec=spec):
                with self.assertRaises(RuntimeError) as caught:
                    self.put(handler=Handler(), **spec)
                self.assertTrue(str(caught.exception).startswith(message), caught.exception)
                self.assertEqual(self.state(), "FAILED")
                self.assertIn(self.status()["message"], str(caught.exception))
                self.engine.remove("spec")
                self.assertIsNone(self.status())

    def test_bad_edit_disarms(self):
        handler = self.arm("bare", Handler())
        self.assertRaises(RuntimeError, self.put, "bare", handler, value="a +")
        bare(1)
        self.assertEqual((handler.values, self.state()), ([], "FAILED"))
        self.arm("bare", handler)
        bare(2)
        self.assertEqual(handler.values, [2])

    def test_failed_is_tried_again(self):
        self.addCleanup(globals().pop, "later", None)
        globals()["later"] = Point
        with self.assertRaises(RuntimeError):
            self.put("later", Handler())
        globals()["later"] = bare
        handler = self.arm("later", Handler())
        bare(1)
        self.assertEqual(self.counts(), {"hits": 1})
        del handler

    def test_pending(self):
        self.addCleanup(globals().pop, "later", None)
        self.put("later", Handler())
        self.assertEqual((self.state(), self.status()["message"]),
                         ("PENDING", f"module {__name__} has no later yet"))
        globals()["later"] = bare
        self.put("later", Handler())
        self.assertEqual(self.state(), "ARMED")

    def test_expiry(self):
        now = time.time_ns()
        handler = self.arm("bare", Handler(), expires=now + INFINITE)
        bare(1)
        self.arm("bare", handler, expires=now + 2 * INFINITE)
        self.assertEqual(self.counts(), {"hits": 1})
        self.put("bare", handler, expires=now - 1)
        self.assertEqual(self.state(), "EXPIRED")
        bare(2)
        self.arm("bare", handler)
        bare(3)
        self.assertEqual(handler.values, [1, 3])

    def test_expiry_is_seen_at_the_hit(self):
        handler = self.arm("bare", Handler(), expires=time.time_ns() + 20_000_000)
        deadline = time.monotonic() + 30
        while self.state() == "ARMED":
            bare(1)
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual(self.state(), "EXPIRED")
        self.engine.tick()
        self.assertIs(type(bare), types.FunctionType)
        del handler

    def test_tick_sweeps(self):
        self.arm("bare", Handler(), expires=time.time_ns() + INFINITE)
        self.engine.tick(time.time_ns() + 2 * INFINITE)
        self.assertEqual(self.state(), "EXPIRED")
        self.assertIs(type(bare), types.FunctionType)

    def test_many(self):
        namespace = {}
        count = 300
        for i in range(count):
            exec(f"def many_{i}(a): return a + {i}", globals(), namespace)
        globals().update(namespace)
        for name in namespace:
            self.addCleanup(globals().pop, name)
        handlers = [Handler() for _ in range(count)]
        for _ in range(2):
            for i in range(count):
                self.arm(f"many_{i}", handlers[i], f"spec-{i}")
        for i in range(count):
            namespace[f"many_{i}"](1)
            self.assertEqual(handlers[i].values, [1 + i])
        for i in range(0, count, 2):
            self.engine.remove(f"spec-{i}")
        for i in range(count):
            namespace[f"many_{i}"](1)
            self.assertEqual(len(handlers[i].values), 1 + i % 2)


class CallableTest(HandlerCase):
    def test_function_that_no_name_leads_to(self):
        def inner(a):
            return a + 1

        handler = self.arm("inner", Handler(callable=inner))
        self.assertEqual(inner(1), 2)
        self.assertEqual(handler.values, [2])
        self.engine.remove("spec")
        self.assertIs(type(inner), types.FunctionType)

    def test_decorator_in_the_body_of_a_class(self):
        handler = Handler()

        def armed(function):
            handler.callable = function
            self.arm("Class.method", handler, event="call", value="a")
            return function

        class Class:
            @armed
            def method(self, a):
                return a

        self.assertEqual(Class().method(5), 5)
        self.assertEqual(handler.values, [5])

    def test_kinds(self):
        def inner(a):
            return a

        cases = [staticmethod(inner), classmethod(inner), property(inner), inner]
        for case in cases:
            with self.subTest(case=case):
                handler = self.arm("inner", Handler(callable=case), event="end", value="a")
                inner(1)
                self.assertEqual(handler.values, [1])
        with self.assertRaisesRegex(RuntimeError, "^INVALID|^UNSUPPORTED"):
            self.put("inner", Handler(callable=5))

    def test_lines(self):
        def inner(a):
            b = a
            return b

        line = inner.__code__.co_firstlineno + 2
        handler = self.arm("inner", Handler(callable=inner), event=f"line:{line}", value="b")
        inner(1)
        self.assertEqual(handler.values, [1])


class LifeTest(HandlerCase):
    def test_objects_are_released(self):
        handler = Handler(globals={})
        reference = weakref.ref(handler)
        for _ in range(2):
            self.arm("bare", handler)
        self.arm("bare", handler, "other", event="end", value="a")
        bare(1)
        del handler
        self.assertIsNotNone(reference())
        self.engine.remove("spec")
        self.assertIsNotNone(reference())
        self.engine.remove("other")
        gc.collect()
        self.assertIsNone(reference())

    def test_destructor_may_put(self):
        class Last(Handler):
            def __del__(handler):
                self.put("work", Handler(), "from-destructor", value="a")

        self.arm("bare", Last())
        self.engine.remove("spec")
        gc.collect()
        self.assertEqual(self.state("from-destructor"), "ARMED")

    def test_within_fire(self):
        cases = {
            "remove": lambda: self.engine.remove("spec"),
            "replace": lambda: self.put("bare", Handler(), value="-a"),
            "retarget": lambda: self.put("work", Handler(), value="a"),
            "close": lambda: self.engine.close(),
            "tick": lambda: self.engine.tick(),
            "another": lambda: self.put("bare", Handler(), "another"),
            "statuses": lambda: self.status(),
            "collect": gc.collect,
        }
        for event in ("call", "return", "end"):
            for name, do in cases.items():
                with self.subTest(event=event, name=name):
                    self.engine = __import__("engine_testing").Engine()

                    def act(hit):
                        value = hit.value()
                        do()
                        return value, hit.value()

                    handler = Doing(act)
                    self.arm("bare", handler, event=event, value="a")
                    del act
                    self.assertEqual(bare(7), 7)
                    self.assertEqual((handler.values, handler.errors), ([(7, 7)], []))
                    self.assertEqual(bare(8), 8)
                    self.engine.close()
                    self.assertIs(type(bare), types.FunctionType)

    def test_removed_while_a_call_is_in_flight(self):
        async def main():
            started, go = asyncio.Event(), asyncio.Event()

            async def slow(a):
                started.set()
                await go.wait()
                return a

            handler = Handler(callable=slow)
            reference = weakref.ref(handler)
            self.arm("slow", handler, value="(a, elapsed > 0)")
            del handler
            task = asyncio.ensure_future(slow(1))
            await started.wait()
            self.engine.remove("spec")
            gc.collect()
            go.set()
            self.assertEqual(await task, 1)
            del slow, task
            gc.collect()
            self.assertIsNone(reference())

        asyncio.run(main())


if __name__ == "__main__":
    unittest.main()
