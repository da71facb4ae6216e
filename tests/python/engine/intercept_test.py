# SPDX-License-Identifier: MIT
"""Calls whose arguments are altered, that are skipped, or whose result is replaced."""
import math
import types
import unittest

import intercept_testing

WARM_UP = 100


class Point:
    def __init__(self, x):
        self.x = x

    def move(self, by, *, times=1):
        self.x += by * times
        return self.x


def fail(reason):
    raise ValueError(reason)


def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)


class InterceptTest(unittest.TestCase):
    def intercept(self, function, answer):
        intercept_testing.attach(function, answer)
        self.addCleanup(intercept_testing.detach)

    def test_answers(self):
        cases = [
            ("as it is", lambda proceed, args, kwargs: proceed(*args, **kwargs), 7),
            ("altered arguments", lambda proceed, args, kwargs: proceed(args[0], 10, times=2), 21),
            ("altered keywords", lambda proceed, args, kwargs: proceed(*args, times=1), 4),
            ("skipped", lambda proceed, args, kwargs: None, None),
            ("replaced result",
             lambda proceed, args, kwargs: -proceed(*args, **kwargs), -7),
            ("twice", lambda proceed, args, kwargs: (proceed(args[0], 1), proceed(args[0], 1)),
             (2, 3)),
        ]

        def loop(point, count):
            for _ in range(count):
                point.move(1)

        loop(Point(0), WARM_UP)  # call sites have specialised
        for name, answer, expected in cases:
            with self.subTest(name=name):
                intercept_testing.attach(Point.move, answer)
                self.assertEqual(Point(1).move(3, times=2), expected)
                intercept_testing.detach()
                self.assertEqual(Point(1).move(3, times=2), 7)
                self.assertIs(type(Point.move), types.FunctionType)

    def test_hot_call_sites(self):
        def loop(count):
            return sum(Point(1).x for _ in range(count))

        self.assertEqual(loop(WARM_UP), WARM_UP)
        intercept_testing.attach(Point.__init__,
                                 lambda proceed, args, kwargs: proceed(args[0], 5))
        self.assertEqual(loop(WARM_UP), 5 * WARM_UP)
        intercept_testing.detach()
        self.assertEqual(loop(WARM_UP), WARM_UP)

    def test_exceptions(self):
        def swallow(proceed, args, kwargs):
            try:
                return proceed(*args)
            except ValueError as error:
                return str(error)

        self.intercept(fail, swallow)
        self.assertEqual(fail("why"), "why")
        with self.assertRaises(TypeError):
            fail("why", "extra")

    def test_exception_of_the_answer_is_the_call_s(self):
        self.intercept(fail, lambda proceed, args, kwargs: 1 / 0)
        self.assertRaises(ZeroDivisionError, fail, "why")

    def test_recursion(self):
        self.intercept(depth, lambda proceed, args, kwargs: proceed(*args))
        self.assertEqual(depth(50), 50)

    def test_detach_during_the_call(self):
        def answer(proceed, args, kwargs):
            intercept_testing.detach()
            return ("answered", proceed(*args, **kwargs))

        intercept_testing.attach(Point.move, answer)
        self.assertEqual(Point(1).move(1), ("answered", 2))
        self.assertEqual(Point(1).move(1), 2)

    def test_what_is_implemented_in_c_is_refused(self):
        with self.assertRaisesRegex(RuntimeError, "cannot be intercepted"):
            intercept_testing.attach(math.sqrt, lambda proceed, args, kwargs: None)


if __name__ == "__main__":
    unittest.main()
