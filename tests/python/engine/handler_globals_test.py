# SPDX-License-Identifier: MIT
"""Names that a handler brings along: where they are found, and what hides what."""
import math
import unittest

from handler_support import Doing, Handler, HandlerTest

scale = 10
hidden = "function's"


def work(a, b=2):
    local = a + b
    return local


def keywords(a, **more):
    return a


def outer():
    free = "free"

    def inner(a):
        return free
    return inner


EVENTS = ["call", "return", "end"]


class HandlerGlobalsTest(HandlerTest):
    MODULE = __name__

    def evaluate(self, value, names, event="call", target="work", call=lambda: work(1)):
        """The value at one hit."""
        handler = self.arm(target, Handler(globals=names), event=event, value=value)
        call()
        self.assertEqual(handler.errors, [])
        self.assertEqual(self.status()["message"], "")
        self.engine.remove("spec")
        return handler.values.pop()

    def test_forms(self):
        cases = [
            ("own", 7),
            ("own + a", 8),
            ("own if own > a else scale", 7),
            ("own, scale, len('ab'), a", (7, 10, 2, 1)),
            ("box.imag", 0),
            ("[own + i for i in (1, 2)]", [8, 9]),
            ("sum(own for _ in range(3))", 21),
            ("{own: scale for _ in 'a'}", {7: 10}),
            ("(lambda: own + a)()", 8),
            ("(lambda x: lambda y: own + x + y + a)(1)(2)", 11),
            ("[[own for _ in range(scale - 9)] for _ in range(1)]", [[7]]),
            ("f'{own} {a}'", "7 1"),
            ("function(own)", -7),
            ("module.sqrt(own + 2)", 3.0),
            ("eval('own + a')", 8),
            ("eval('[own for _ in (1, 2)]')", [7, 7]),
            ("(x := own) + x", 14),
            ("[y := own, y][1]", 7),
            ("own == 7 and 'own' not in locals()", True),
        ]
        names = {"own": 7, "box": 5, "function": lambda x: -x, "module": math}
        for event in EVENTS:
            for value, expected in cases:
                with self.subTest(event=event, value=value):
                    self.assertEqual(self.evaluate(value, names, event), expected)

    def test_what_hides_what(self):
        cases = [
            ("call", "a", 1, "arguments"),
            ("call", "b", 2, "defaults"),
            ("return", "result", 3, "context names"),
            ("call", "hidden", "handler's", "globals"),
            ("call", "len", "handler's", "builtins"),
            ("call", "len and hidden", "handler's", "globals and builtins"),
            ("call", "[len for _ in 'a'][0]", "handler's", "builtins in functions"),
            ("call", "eval('hidden')", "handler's", "globals in eval"),
            ("end", "local", 3, "variables"),
            ("end", "hidden", "handler's", "globals"),
            ("end", "elapsed", "handler's", "context names, which are the last"),
            ("end", "eval('elapsed')", "handler's", "the same in eval"),
            ("end", "eval('hidden')", "handler's", "globals in eval"),
        ]
        names = dict.fromkeys(("a", "b", "local", "result", "elapsed", "hidden", "len"),
                              "handler's")
        for event, value, expected, title in cases:
            with self.subTest(title=title, event=event):
                self.assertEqual(self.evaluate(value, names, event), expected)

    def test_variables_of_outer_functions(self):
        inner = outer()
        handler = self.arm("inner", Handler(callable=inner, globals={"free": 1, "own": 2}),
                           event="end", value="(free, own)")
        inner(1)
        self.assertEqual(handler.values, [("free", 2)])

    def test_live(self):
        for value in ("own", "own + 0", "[own for _ in 'a'][0]", "eval('own')", "(lambda: own)()"):
            for event in EVENTS:
                with self.subTest(value=value, event=event):
                    names = {"own": 1}
                    handler = self.arm("work", Handler(globals=names), event=event, value=value)
                    work(1)
                    names["own"] = 2
                    work(1)
                    del names["own"]
                    work(1)
                    names["other"] = 3
                    names.clear()
                    names["own"] = 4
                    work(1)
                    self.assertEqual(handler.values, [1, 2, 4])
                    self.assertEqual([type(error) for error in handler.errors], [NameError])
                    self.engine.remove("spec")

    def test_name_that_comes_to_hide_a_global(self):
        for value in ("hidden", "hidden + ''", "[hidden for _ in 'a'][0]", "eval('hidden')"):
            with self.subTest(value=value):
                names = {}
                handler = self.arm("work", Handler(globals=names), value=value)
                work(1)
                names["hidden"] = "handler's"
                work(1)
                del names["hidden"]
                work(1)
                self.assertEqual(handler.values, ["function's", "handler's", "function's"])
                self.engine.remove("spec")

    def test_global_that_changes(self):
        self.addCleanup(globals().__setitem__, "scale", scale)
        handler = self.arm("work", Handler(globals={"own": 1}), value="(scale, own)")
        for globals()["scale"] in (1, 2):
            work(1)
        self.assertEqual(handler.values, [(1, 1), (2, 1)])

    def test_keywords_hide_them(self):
        handler = self.arm("keywords", Handler(globals={"own": "handler's"}), value="(own, a)",
                           event="call")
        keywords(1)
        keywords(1, own="keyword's")
        self.assertEqual(handler.values, [("handler's", 1), ("keyword's", 1)])

    def test_what_is_implemented_in_c(self):
        names = {"own": 1}
        for target, call in (("time.gmtime", __import__("time").gmtime), ("builtins.hex", hex)):
            for value in ("own", "(own, [own for _ in 'a'], len('a'))", "eval('own')"):
                with self.subTest(target=target, value=value):
                    got = self.evaluate(value, names, target=target, call=lambda: call(5))
                    self.assertIn(got, (1, (1, [1], 1)))

    def test_pure(self):
        self.arm("work", Handler(globals={"own": 1}), value="own + a > scale and len('ab') == 2")
        work(1)
        self.assertTrue(self.status()["pure"])

    def test_keys_of_other_types(self):
        names = {"own": 1, 5: 6, (): 7}
        self.assertEqual(self.evaluate("own + a", names), 2)

    def test_warning(self):
        handler = Handler(globals={"own": 1})
        self.arm("work", handler, value="(own, scale, nowhere)")
        self.assertEqual(self.status()["message"],
                         "instrument.value: nothing is called 'nowhere' yet")
        handler.globals["nowhere"] = 2
        work(1)
        self.assertEqual(handler.values, [(1, 10, 2)])

    def test_context_name_that_the_point_never_has(self):
        with self.assertRaisesRegex(RuntimeError, "INVALID: instrument.value: 'elapsed' is known"):
            self.put("work", Handler(globals={}), event="call", value="elapsed")
        self.assertEqual(self.evaluate("elapsed", {"elapsed": "handler's"}), "handler's")

    def test_namespace(self):
        for event in EVENTS:
            with self.subTest(event=event):
                names = {"own": 1, "hidden": "handler's", "a": "handler's"}
                handler = Doing(
                    lambda hit: eval("(own, hidden, scale, b, len('a'))", hit.namespace()),
                    globals=names, wants_namespace=True)
                self.arm("work", handler, event=event, value="1")
                work(1)
                names["own"] = 2
                work(1)
                self.assertEqual(handler.values, [(1, "handler's", 10, 2, 1),
                                                  (2, "handler's", 10, 2, 1)])
                self.assertNotIn("__builtins__", names)
                self.engine.remove("spec")

    def test_they_are_not_written_to(self):
        names = {"own": 1}
        self.evaluate("(x := own, [y := own for _ in 'a'], eval('(z := own)'))", names)
        self.assertEqual(names, {"own": 1})
        self.assertNotIn("x", globals())


if __name__ == "__main__":
    unittest.main()
