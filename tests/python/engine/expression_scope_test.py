# SPDX-License-Identifier: MIT
"""Expressions on their own: what their names are from inside and outside, and what is told of them."""
import unittest

from engine_testing import Expression
from expression_support import outcome

NEEDS_START, NEEDS_ELAPSED, NEEDS_END, NEEDS_ACTIVE, NEEDS_HOTSPOTS, NEEDS_GIVEN = (
    1 << i for i in range(6))
SKIPPED = NotImplemented
LIMIT = 5
start = "global"  # a context name that the globals hide from inside


class InsideTest(unittest.TestCase):
    def test_variables(self):
        outer = "free"
        later = "later"

        def target(a, b="b", *rest, d=4, **extra):
            local, cell = [1], a

            def inner():
                return cell, outer, later, a

            if b is None:
                unbound = inner
            values = {}
            for text in TEXTS:
                for point in ("end", "line"):
                    expression = Expression(text, point, function, True)
                    try:
                        values[text, point] = expression.inside()
                    except Exception as error:
                        values[text, point] = f"{type(error).__name__}: {error}"
            return values

        TEXTS = ["a", "local", "outer", "cell", "later", "unbound", "LIMIT", "rest", "extra",
                 "a + d + len(local)", "[outer for _ in range(2)]", "later or 1", "unbound or 1",
                 "1 if a else unbound", "sorted(locals())",
                 "eval('outer')", "eval('len(local)')", "'unbound' in locals()", "start", "args",
                 "kwargs", "eval('start')", "eval('args')", "frame.f_back.f_code.co_name",
                 "sorted(frame.f_locals)[:2]", "frame.f_code.co_name", "nothing", "undefined()",
                 "(lambda: cell)()", "eval('(lambda: cell)()')", "type(now).__name__"]
        function = target
        del later
        values = target(10, "b", 11, 12, k=1)
        for (text, point), expected in {
            ("a", "end"): 10, ("local", "end"): [1], ("outer", "end"): "free", ("cell", "end"): 10,
            ("later", "end"): SKIPPED, ("unbound", "end"): SKIPPED, ("LIMIT", "end"): 5,
            ("rest", "end"): (11, 12), ("extra", "end"): {"k": 1},
            ("a + d + len(local)", "end"): 15, ("[outer for _ in range(2)]", "end"): ["free"] * 2,
            ("later or 1", "end"): SKIPPED, ("unbound or 1", "end"): SKIPPED,
            ("1 if a else unbound", "end"): SKIPPED,
            ("eval('outer')", "end"): "free", ("eval('len(local)')", "end"): 1,
            ("'unbound' in locals()", "end"): False, ("start", "end"): "global",
            ("args", "end"): (10, "b", 11, 12), ("kwargs", "end"): {"d": 4, "k": 1},
            ("eval('start')", "end"): "global", ("eval('args')", "end"): (10, "b", 11, 12),
            ("frame.f_back.f_code.co_name", "end"): "test_variables",
            ("sorted(frame.f_locals)[:2]", "end"): ["TEXTS", "a"],
            ("frame.f_code.co_name", "end"): "target",
            ("nothing", "end"): "NameError: name 'nothing' is not defined",
            ("(lambda: cell)()", "end"): 10, ("eval('(lambda: cell)()')", "end"): 10,
            ("type(now).__name__", "end"): "datetime",
        }.items():
            with self.subTest(text=text):
                self.assertEqual(values[text, point], expected)
                self.assertEqual(values[text, "line"], expected)
        for point in ("end", "line"):
            names = values["sorted(locals())", point]
            self.assertEqual([name for name in names if name != "error"],
                             ["TEXTS", "a", "b", "cell", "d", "expression", "extra", "function",
                              "inner", "local", "outer", "point", "rest", "text", "values"])

    def test_results(self):
        def target(a):
            values = {}
            for point in ("call", "return", "end", "line"):
                for text in ("result", "elapsed", "active", "end"):
                    try:
                        expression = Expression(text, point, function, True)
                    except ValueError as error:
                        values[point, text] = str(error)
                    else:
                        values[point, text] = outcome(expression.inside)
            return values

        function = target
        values = target(1)
        for text, expected in [("result", "result"), ("elapsed", 3.0), ("active", 2.0),
                               ("end", 1003.0)]:
            for point in ("return", "end"):
                self.assertEqual(values[point, text], (type(expected), repr(expected)))
            for point, title in (("call", "call"), ("line", "a line")):
                self.assertEqual(values[point, text], f"field: '{text}' is known at return and "
                                                      f"end only, not at {title}")

    def test_arguments_from_inside(self):
        def target(a, b=2, /, c=3, *rest, d=4, active=5, **extra):
            cell = lambda: (a, c)
            a, c, rest, extra = "rebound", "c", "rest", extra
            values = {}
            for text in ("a", "c", "[a, b, c, rest, d, active]", "active", "args", "kwargs", "extra",
                         "zed", "zed + a", "sorted(locals())", "eval('zed + a')",
                         "frame.f_locals['a']", "frame.f_back.f_code.co_name", "rest"):
                expression = Expression(text, "return", function, True)
                values[text] = expression.inside() if text in ("a", "c") else None
                expression = Expression(text, "return", function, True)
                values[text, "captured"] = expression.inside(captured)
            return values

        function = target
        captured = {0: 1, 2: 30, 5: (7, 8)}
        values = target(1, 2, 30, 7, 8, d=40, zed=9)
        self.assertEqual((values["a"], values["c"]), ("rebound", "c"))
        for text, expected in {
            "a": 1, "c": 30, "[a, b, c, rest, d, active]": [1, 2, 30, (7, 8), 40, 5],
            "args": (1, 2, 30, 7, 8), "kwargs": {"d": 40, "active": 5, "zed": 9},
            "extra": {"zed": 9}, "zed": 9, "zed + a": 10, "eval('zed + a')": 10,
            "frame.f_locals['a']": 1, "rest": (7, 8),
            "frame.f_back.f_code.co_name": "test_arguments_from_inside",
        }.items():
            self.assertEqual(values[text, "captured"], expected, text)
        self.assertEqual(values["sorted(locals())", "captured"], sorted(
            ["a", "b", "c", "rest", "d", "extra", "zed", "start", "now", "args", "kwargs", "frame",
             "active", "result", "end", "elapsed"]))

    def test_captured_but_unbound(self):
        def target(a):
            return Expression("a", "return", function, True).inside({0: NotImplemented})

        function = target
        self.assertIs(target(1), SKIPPED)


class CallableInCTest(unittest.TestCase):
    def test_names(self):
        names = ("self", "key", "default")
        for text, args, kwargs, expected in [
            ("key", ({}, "k"), {}, "k"), ("default", ({}, "k"), {}, SKIPPED),
            ("default", ({}, "k", 5), {}, 5), ("default", ({}, "k"), {"default": 6}, 6),
            ("self", ({1: 2}, "k"), {}, {1: 2}), ("args", ({}, "k", 5), {}, ({}, "k", 5)),
            ("kwargs", ({}, "k"), {"default": 6}, {"default": 6}), ("other", ({},), {"other": 1}, 1),
            ("key + other", ({}, "k"), {"other": "x"}, "kx"),
            ("eval('key')", ({}, "k"), {}, "k"), ("frame.f_code", ({},), {}, None),
            ("sorted(frame.f_locals)", ({}, "k"), {}, ["key", "self"]),
            ("len(key)", ({}, "k"), {}, 1), ("result", ({},), {}, None), ("elapsed", ({},), {}, 3.0),
        ]:
            with self.subTest(text=text, args=args):
                value = Expression(text, "return", names).method(*args, **kwargs)
                self.assertEqual(value, expected)

    def test_without_a_self_and_without_names(self):
        self.assertEqual(Expression("[x, y]", "call", ("x", "y")).outside(1, y=2), [1, 2])
        self.assertEqual(Expression("args, kwargs", "call", None).outside(1, y=2), ((1,), {"y": 2}))
        self.assertEqual(Expression("y", "call", None).outside(1, y=2), 2)
        self.assertEqual(Expression("frame.f_back.f_code.co_name", "call", None).outside(),
                         "test_without_a_self_and_without_names")
        with self.assertRaisesRegex(NameError, "'y' is not defined"):
            Expression("y", "call", None).outside(1)
        with self.assertRaisesRegex(NameError, "'Plain' is not defined"):
            Expression("Plain", "call", None).outside(1)


class FactsTest(unittest.TestCase):
    def facts(self, text, point="return", is_inside=False, source="def f(a, b, *rest, **extra): pass"):
        exec(source, namespace := {})
        return Expression(text, point, namespace["f"], is_inside).facts()

    def test_needs(self):
        every = NEEDS_START | NEEDS_ELAPSED | NEEDS_END | NEEDS_ACTIVE
        plain = "def f(a, b): pass"
        for text, needs in [("elapsed", NEEDS_ELAPSED), ("start", NEEDS_START), ("now", NEEDS_START),
                            ("end", NEEDS_END), ("active", NEEDS_ACTIVE), ("args", NEEDS_GIVEN),
                            ("kwargs", NEEDS_GIVEN), ("a", 0), ("result", 0), ("frame", 0),
                            ("[elapsed, end]", NEEDS_ELAPSED | NEEDS_END),
                            ("locals()", every | NEEDS_GIVEN)]:
            for is_inside in (False, True):
                with self.subTest(text=text, is_inside=is_inside):
                    self.assertEqual(self.facts(text, "return", is_inside, plain)["needs"], needs)
        self.assertEqual(self.facts("args", "end", True, plain)["needs"], 0)
        self.assertEqual(self.facts("zed", "return")["needs"], every | NEEDS_GIVEN)

    def test_arguments(self):
        all_of_them = (1 << 64) - 1
        for text, point, arguments in [
            ("a", "return", 1), ("b + a", "return", 3), ("result", "return", 0),
            ("extra", "return", 8), ("args", "return", all_of_them),
            ("frame", "return", all_of_them), ("zed", "return", all_of_them),
            ("eval('a')", "call", all_of_them), ("a", "end", 0), ("locals()", "line", 0),
        ]:
            with self.subTest(text=text, point=point):
                self.assertEqual(self.facts(text, point, point in ("end", "line"))["arguments"],
                                 arguments)
        many = "def f(" + ", ".join(f"a{i}" for i in range(100)) + "): pass"
        self.assertEqual(self.facts("a70 + a1", source=many)["arguments"], 1 << 63 | 2)

    def test_constants_and_elapsed(self):
        for text, constant in [("42", 42), ("1 + 1", 2), ("(1, 'x')", (1, "x")), ("-1", -1),
                               ("None", None), ("a", NotImplemented), ("[1]", NotImplemented),
                               ("1 / 0", NotImplemented), ("1 < 2", True)]:
            with self.subTest(text=text):
                self.assertEqual(self.facts(text)["constant"], constant)
        self.assertTrue(self.facts("elapsed")["is_elapsed"])
        self.assertFalse(self.facts("elapsed + 0")["is_elapsed"])
        self.assertFalse(self.facts("elapsed", "end", True)["is_elapsed"])

    def test_warnings(self):
        for text, point, warning in [
            ("x", "call", "field: nothing is called 'x' yet"),
            ("x + y + a + len(b)", "return", "field: nothing is called 'x' or 'y' yet"),
            ("(x := a) + x", "call", ""), ("[x for x in a]", "call", ""),
            ("result", "call", "field: nothing is called 'result' yet"),
            ("result", "end", ""), ("lambda x: x + z", "line", "field: nothing is called 'z' yet"),
            ("[elapsed for elapsed in a]", "line", ""), ("eval('elapsed')", "line", ""),
            ("(elapsed := a) + elapsed", "line", ""),
            (" + ".join(f"name{i:050}" for i in range(20)), "call", None),
        ]:
            with self.subTest(text=text, point=point):
                got = self.facts(text, point, point in ("end", "line"))["warning"]
                if warning is None:
                    self.assertTrue(got.endswith("' yet") and len(got) < 300, got)
                else:
                    self.assertEqual(got, warning)

    def test_context_names_that_a_point_never_has(self):
        plain = "def f(a, b): pass"
        for text, point, message in [
            ("result", "call", "'result' is known at return and end only, not at call"),
            ("a + elapsed", "call", "'elapsed' is known at return and end only, not at call"),
            ("[end for _ in a]", "call", "'end' is known at return and end only, not at call"),
            ("active", "line", "'active' is known at return and end only, not at a line"),
            ("hotspots.calls", "line", "'hotspots' is known at return only, not at a line"),
            ("hotspots", "end", "'hotspots' is known at return only, not at end"),
        ]:
            with self.subTest(text=text, point=point):
                with self.assertRaises(ValueError) as caught:
                    self.facts(text, point, point in ("end", "line"), plain)
                self.assertEqual(str(caught.exception), "field: " + message)
        for source in ("def f(a, elapsed): pass", "elapsed = 1\ndef f(a): pass"):
            for point in ("call", "line"):
                self.assertEqual(
                    self.facts("elapsed", point, point == "line", source)["warning"], "")


if __name__ == "__main__":
    unittest.main()
