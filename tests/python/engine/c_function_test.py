# SPDX-License-Identifier: MIT
"""Built-in functions and methods: what is seen of their calls, and what is refused."""
import contextlib
import json
import math
import os
import random
import re
import time
import unittest

import c_testing
from c_support import CFunctionTest

BOX = c_testing.Box()


class ConventionTest(CFunctionTest):
    CASES = {
        "noargs": [((), {})],
        "one": [((1,), {})],
        "varargs": [((), {}), ((1, "a"), {})],
        "varargs_keywords": [((), {}), ((1,), {}), ((1,), {"b": 2, "c": [3]}), ((), {"b": 2})],
        "fast": [((), {}), ((1, 2, 3), {})],
        "fast_keywords": [((), {}), ((1, 2), {}), ((1,), {"b": 2}), ((), {"a": 1, "b": 2})],
        "method": [((1, 2), {}), ((1,), {"b": 2})],
        "of_class": [((1,), {"b": 2})],
        "of_none": [((1,), {"b": 2})],
    }

    def check(self, target, call, cases, bound):
        with self.probed(target) as number:
            self.assertEqual(self.mechanism(number), "c-method")
            for args, kwargs in cases:
                self.assertEqual(call(*args, **kwargs), (args, kwargs))
        self.assertEqual(self.records(number),
                         [(bound, args, kwargs, (args, kwargs)) for args, kwargs in cases])
        call(*cases[0][0], **cases[0][1])
        self.assertEqual(self.count(number), len(cases))

    def test_module_functions(self):
        for name, cases in self.CASES.items():
            if hasattr(c_testing, name):
                with self.subTest(name):
                    function = getattr(c_testing, name)
                    self.check(function, function, cases, None)

    def test_descriptors(self):
        for name, cases in self.CASES.items():
            with self.subTest(name):
                target = c_testing.Box.__dict__[name]
                bound = {"of_class": c_testing.Box, "of_none": None}.get(name, BOX)
                if name == "of_none":
                    target = target.__func__
                self.check(target, getattr(BOX, name), cases, bound)

    def test_bound_methods(self):
        for name, cases in self.CASES.items():
            if name in ("of_class", "of_none"):
                continue
            with self.subTest(name):
                target, other = getattr(BOX, name), getattr(c_testing.Box(), name)
                self.check(target, getattr(BOX, name), cases, BOX)
                with self.probed(target) as number:
                    other(*cases[0][0], **cases[0][1])
                self.assertEqual(self.count(number), 0)

    def test_exceptions(self):
        for name in ("one", "varargs", "varargs_keywords", "fast", "fast_keywords"):
            with self.subTest(name), self.probed(getattr(c_testing, name)) as number:
                error = KeyError("told")
                with self.assertRaises(KeyError) as caught:
                    getattr(c_testing, name)(error)
                self.assertIs(caught.exception, error)
                self.assertEqual(self.records(number), [(None, (error,), {}, error)])

    def test_exception_with_keywords(self):
        error = KeyError("told")
        with self.probed(c_testing.varargs_keywords) as number:
            with self.assertRaises(KeyError):
                c_testing.varargs_keywords(error, b=1)
        self.assertEqual(self.records(number), [(None, (error,), {"b": 1}, error)])

    def test_broken_functions_stay_so(self):
        for name, seen in (("null_without_exception", SystemError),
                           ("result_with_exception", type(None))):
            function = getattr(c_testing, name)
            with self.subTest(name):
                with self.assertRaises(SystemError) as bare:
                    function()
                with self.probed(function) as number:
                    with self.assertRaises(SystemError) as probed:
                        function()
                self.assertEqual(str(probed.exception), str(bare.exception))
                self.assertEqual(repr(probed.exception.__cause__), repr(bare.exception.__cause__))
                self.assertIsInstance(self.records(number)[0][3], seen)

    def test_elapsed(self):
        with self.probed(time.sleep) as number:
            time.sleep(0.02)
        elapsed = c_testing.describe(number)["records"][0][5]
        self.assertGreaterEqual(elapsed, 0.019)
        self.assertLess(elapsed, 2)

    def test_names(self):
        box = c_testing.Box
        for target, args, names in (
                (c_testing.noargs, (), ()), (c_testing.one, (1,), ("x",)),
                (c_testing.varargs, (), ("a", "b", "c")), (c_testing.fast, (), None),
                (c_testing.varargs_keywords, (), ("a", "b")),
                (c_testing.fast_keywords, (), ("a", "b")),
                (box.one, (BOX, 1), ("self", "x")), (BOX.one, (1,), ("self", "x")),
                (box.fast, (BOX,), None), (math.sqrt, (1,), ("x",)),
                (dict.get, ({}, 1), ("self", "key", "default")), ({}.get, (1,), ("self", "key", "default")),
                (sorted, ([],), ("iterable", "key", "reverse"))):
            with self.subTest(repr(target)), self.probed(target) as number:
                target(*args)
                told = [record[3] for record in c_testing.describe(number)["records"]]
                self.assertEqual(told, [names])


class BuiltinTest(CFunctionTest):
    """What the interpreter has special instructions for, in loops that it has specialised."""

    ROUNDS = 200

    def loops(self):
        numbers, text, mapping, pattern = [], ",", {1: 2}, re.compile("a")
        prejoined, preget = text.join, mapping.get

        def sqrt(n):
            for _ in range(n):
                math.sqrt(2.0)

        def length(n):
            for _ in range(n):
                len(numbers)

        def instance(n):
            for _ in range(n):
                isinstance(numbers, list)

        def append(n):
            for _ in range(n):
                numbers.append(1)

        def join(n):
            for _ in range(n):
                text.join(["a"])

        def join_bound(n):
            for _ in range(n):
                prejoined(["a"])

        def join_unbound(n):
            for _ in range(n):
                str.join(",", ["a"])

        def get(n):
            for _ in range(n):
                mapping.get(1)

        def get_bound(n):
            for _ in range(n):
                preget(1)

        def from_keys(n):
            for _ in range(n):
                dict.fromkeys([1])

        def order(n):
            for _ in range(n):
                sorted([2, 1], key=None)

        def stat(n):
            for _ in range(n):
                os.stat("/")

        def now(n):
            for _ in range(n):
                time.time()

        def match(n):
            for _ in range(n):
                pattern.match("a")

        def maximum(n):
            for _ in range(n):
                max(1, 2)

        def mapped(n):
            for _ in map(math.sqrt, range(n)):
                pass

        def starred(n):
            args, kwargs = ([2, 1],), {"reverse": True}
            for _ in range(n):
                sorted(*args, **kwargs)

        return [(math.sqrt, sqrt), (math.sqrt, mapped), (len, length), (isinstance, instance),
                (list.append, append), (str.join, join), (str.join, join_bound),
                (str.join, join_unbound), (dict.get, get), (dict.get, get_bound),
                (dict.__dict__["fromkeys"], from_keys), (sorted, order), (sorted, starred),
                (os.stat, stat), (time.time, now), (type(pattern).match, match), (max, maximum)]

    def test_hot_loops(self):
        for target, loop in self.loops():
            with self.subTest(loop.__name__):
                for _ in range(3):
                    loop(self.ROUNDS)
                with self.probed(target, c_testing.TIME) as number:
                    loop(self.ROUNDS)
                    loop(self.ROUNDS)
                self.assertEqual(self.count(number), 2 * self.ROUNDS)
                loop(self.ROUNDS)
                self.assertEqual(self.count(number), 2 * self.ROUNDS)

    def test_attach_inside_of_a_running_loop(self):
        for target, call in ((len, lambda items: len(items)), (math.sqrt, lambda _: math.sqrt(4))):
            items, number = [], None
            for i in range(300):
                if i == 200:
                    number = self.attach(target, c_testing.COUNT)
                call(items)
            self.assertEqual(c_testing.describe(number)["entered"], 100)
            self.detach(number)

    def test_bound_append_hears_its_list_alone(self):
        mine, other = [], []
        with self.probed(mine.append) as number:
            for i in range(100):
                mine.append(i)
                other.append(i)
        self.assertEqual(self.count(number), 100)
        self.assertEqual(self.records(number)[3][:3], (mine, (3,), {}))

    def test_operators_are_excluded_by_name(self):
        with self.probed(dict.__getitem__) as number:
            self.assertIn("operators", c_testing.describe(number)["excluded"])
        with self.probed(math.sqrt) as number:
            self.assertEqual(c_testing.describe(number)["excluded"],
                             "calls in C code that do not go through the Python object")


class SharedTest(CFunctionTest):
    def test_filters_side_by_side(self):
        mine, other = random.Random(), random.Random()
        whole = self.attach(type(mine).__mro__[1].__dict__["random"], c_testing.TIME)
        first, second = self.attach(mine.random), self.attach(other.random)
        module = self.attach(random.random)
        mine.random()
        other.random()
        other.random()
        random.random()
        random.Random().random()
        self.assertEqual([self.count(n) for n in (whole, first, second, module)], [5, 1, 2, 1])
        self.assertIs(self.records(first)[0][0], mine)
        self.detach(first)
        mine.random()
        other.random()
        self.assertEqual([self.count(n) for n in (whole, first, second, module)], [7, 1, 3, 1])
        self.detach(whole)
        self.detach(module)
        mine.random()
        other.random()
        self.assertEqual([self.count(n) for n in (whole, first, second, module)], [7, 1, 4, 1])
        before = c_testing.pointers(random.random)[0]
        self.detach(second)
        self.assertNotEqual(c_testing.pointers(random.random)[0], before)

    def test_exception_with_several_listeners(self):
        numbers = [self.attach(c_testing.Box.one), self.attach(BOX.one)]
        error = ValueError("x")
        with self.assertRaises(ValueError) as caught:
            BOX.one(error)
        self.assertIs(caught.exception, error)
        for number in numbers:
            self.assertEqual(self.records(number), [(BOX, (error,), {}, error)])

    def test_the_same_callable_twice_is_refused(self):
        self.attach(math.sqrt)
        with self.assertRaisesRegex(RuntimeError, "already|another"):
            c_testing.attach(math.sqrt)

    def test_detach_of_one_while_the_other_is_called(self):
        box = c_testing.Box()
        second = self.attach(box.one)
        first = self.attach(c_testing.Box.one, c_testing.CALL,
                            lambda: second in self.attached and self.detach(second))
        box.one(1)
        box.one(1)
        self.assertEqual(self.count(first), 2)
        self.assertEqual(self.count(second), 1)


class RefusalTest(CFunctionTest):
    def test_reasons(self):
        class InPython:
            def __call__(self):
                pass

            __slots__ = ("slot",)

        for target, reason in (
                (int, "a class"), (InPython, "a class"), (lambda: 0, "a function in Python"),
                (InPython().__call__, "a bound method"),
                (InPython(), "__call__ is not in C"), (int.__add__, "operators reach"),
                ((1).__add__, "operators reach"), (type.__dict__["__name__"], "attribute in C"),
                (InPython.__dict__["slot"], "attribute in C"), (3, "not callable"),
                (None, "not callable"), (math, "not callable"),
                (staticmethod(len), "staticmethod"), (classmethod(len), "classmethod"),
                (int.__new__, "__new__"), (object.__new__, "__new__"),
                (object.__getstate__, "pickling"), ((1).__getstate__, "pickling"),
                (c_testing.make("noargs", "unknown"), "flags 0xc of unknown")):
            with self.subTest(repr(target)):
                before = c_testing.pointers(target)
                with self.assertRaisesRegex(RuntimeError, "unsupported: .*" + re.escape(reason)):
                    c_testing.attach(target)
                self.assertEqual(c_testing.pointers(target), before)


if __name__ == "__main__":
    unittest.main()
