# SPDX-License-Identifier: MIT
"""Specs on callables that are implemented in C."""
import functools
import json
import math
import operator
import random
import sys
import time
import unittest

import engine_testing
from support import EngineTest

own_random, other_random = random.Random(1), random.Random(2)
get_x = operator.itemgetter("x")
times_two = functools.partial(operator.mul, 2)


@functools.lru_cache
def cached(x):
    doubled = x * 2
    return doubled


class CSpecTest(EngineTest):
    # target, value, calls, values, mechanism
    CASES = [
        ("time.sleep", "(args, kwargs, result)", lambda: time.sleep(0), [[[0], {}, None]],
         "c-method"),
        ("math.sqrt", "result", lambda: [math.sqrt(4), math.sqrt(9)], [2.0, 3.0], "c-method"),
        ("builtins.len", "result", lambda: [len("ab"), len([])], [2, 0], "c-method"),
        ("builtins.dict.get", "(key, default, result)", lambda: {"a": 1}.get("a", 5), [["a", 5, 1]],
         "c-method"),
        ("builtins.str.join", "(self, result)", lambda: "-".join(["a", "b"]), [["-", "a-b"]],
         "c-method"),
        ("builtins.list.append", "args[1]", lambda: [].append(7), [7], "c-method"),
        ("json._default_decoder.scan_once", "result", lambda: json.loads("[1, 2]"),
         [[[1, 2], 6]], "c-type-call"),
        (f"{__name__}.get_x", "result", lambda: get_x({"x": 3}), [3], None),
        (f"{__name__}.times_two", "result", lambda: times_two(4), [8], None),
        (f"{__name__}.cached", "result", lambda: [cached(3), cached(3)], [6, 6], None),
        (f"{__name__}.own_random.random", "result > 2",
         lambda: [own_random.random(), other_random.random()], [False], "c-method"),
    ]

    def test_values(self):
        for target, value, call, expected, mechanism in self.CASES:
            with self.subTest(target=target):
                self.arm(target, value)
                if mechanism:
                    self.assertEqual(self.status()["mechanism"], mechanism)
                call()
                engine_testing.apply([])
                self.assertEqual(self.values(), expected)
                call()
                self.assertEqual(self.events(), [])

    def test_elapsed_and_exception(self):
        self.arm("time.sleep", "elapsed")
        time.sleep(0.01)
        (elapsed,) = self.values()
        self.assertTrue(0.01 <= elapsed < 1)
        self.arm("math.sqrt", "str(result)")
        self.assertRaises(ValueError, math.sqrt, -1)
        engine_testing.apply([])
        self.assertEqual(len(self.values()), 1)

    def test_inside_of_a_cached_function(self):
        self.arm(f"{__name__}.cached", "doubled", event="end")
        cached.cache_clear()
        cached(5), cached(5)
        self.assertEqual(self.values(), [10])
        self.assertEqual(self.status()["functions"], 1)
        self.arm(f"{__name__}.cached", "(x, len(hotspots.calls))")
        cached(6)
        self.assertEqual(self.values(), [[6, 2]])
        self.arm(f"{__name__}.cached", "(x, result)")
        cached(6)
        self.assertEqual(self.values(), [[6, 12]])

    def test_refused(self):
        cases = [
            ({"target": "time.sleep", "event": "end"}, "implemented in C"),
            ({"target": "time.sleep", "event": "line:1"}, "implemented in C"),
            ({"target": "math.sqrt", "value": "hotspots"}, "implemented in C"),
            ({"target": "builtins.int.__add__"}, "slot"),
            ({"target": "builtins.int"}, "class"),
        ]
        for spec, reason in cases:
            with self.subTest(spec=spec):
                self.apply(spec)
                self.assertEqual(self.state(), "FAILED")
                self.assertIn(reason, self.status()["message"])

    def test_follows_a_replacement(self):
        module = sys.modules[__name__]
        module.replaced = operator.itemgetter("a")
        self.arm(f"{__name__}.replaced", "result")
        module.replaced({"a": 1})
        module.replaced = operator.itemgetter("b")
        time.sleep(1.01)  # targets are followed once a second
        engine_testing.tick()
        module.replaced({"b": 2})
        self.assertEqual(self.values(), [1, 2])
        del module.replaced


if __name__ == "__main__":
    unittest.main()
