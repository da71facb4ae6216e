# SPDX-License-Identifier: MIT
import datetime
import time
import unittest

import samples
from support import EngineTest, Repr, outside, to_python


def as_list(call):
    """A call of samples.everything as it sees its own arguments."""
    a, b, c, rest, d, extra = call(samples.everything)
    return [a, b, c, list(rest), d, extra]


BINDINGS = [
    lambda f: f(1),
    lambda f: f(1, 20),
    lambda f: f(1, 20, 30),
    lambda f: f(1, 20, 30, 40, 50),
    lambda f: f(1, c=30),
    lambda f: f(1, d=40),
    lambda f: f(1, c=30, d=40, e=50),
    lambda f: f(1, a="extra", b="extra"),
    lambda f: f(*[1, 2, 3, 4], **{"x": 1, "len": 2}),
]

# expression, what it gives for everything(1, c=5, len=6, zed=7), which returns RESULT
RESULT = [1, 2, 5, [], 4, {"len": 6, "zed": 7}]
EXPRESSIONS = [
    ("a", 1),
    ("(c)", 5),
    (" c # a comment", 5),
    ("c\n", 5),
    ("42", 42),
    ("None", None),
    ("'x'", "x"),
    ("a, c", [1, 5]),
    ("extra", {"len": 6, "zed": 7}),
    ("rest", []),
    ("args", [1]),
    ("kwargs", {"c": 5, "len": 6, "zed": 7}),
    ("result", RESULT),
    ("result[0] + a", 2),
    ("zed", 7),
    ("len", 6),
    ("zed + 1", 8),
    ("[zed + i for i in range(2)]", [7, 8]),
    ("(lambda: (zed, a, __name__))()", [7, 1, "samples"]),
    ("[a + i for i in range(c) if i > 3]", [5]),
    ("(y := a) + y", 2),
    ("thing.x", 1),
    ("sorted(k for k in locals() if k != 'frame')",
     sorted(["start", "now", "args", "kwargs", "active", "result", "end", "elapsed", "a", "b", "c", "rest",
             "d", "extra", "len", "zed"])),
    ("eval('a + zed')", 8),
    ("vars()['a']", 1),
    ("'zed' in dir()", True),
    ("globals()['__name__']", "samples"),
    ("frame.f_code.co_name", "everything"),
    ("frame.f_back.f_code.co_name", "call_everything"),
    ("frame.f_globals['__name__']", "samples"),
    ("sorted(frame.f_locals)", ["a", "b", "c", "d", "extra", "len", "rest", "zed"]),
    ("frame.f_lineno == frame.f_code.co_firstlineno", True),
    ("type(start).__name__, type(end).__name__, type(elapsed).__name__", ["float"] * 3),
    ("start <= end and 0 <= elapsed < 5", True),
    ("type(now).__name__, now.tzinfo", ["datetime", None]),
]


def call_everything():
    return samples.everything(1, c=5, len=6, zed=7)


class ContextTest(EngineTest):
    def test_bindings(self):
        for event in ("call", "return"):
            for value in ("[a, b, c, rest, d, extra]", "eval('[a, b, c, rest, d, extra]')"):
                self.arm("samples.everything", value, event=event)
                for i, call in enumerate(BINDINGS):
                    with self.subTest(event=event, value=value, i=i):
                        expected = as_list(call)
                        self.assertEqual(self.values(), [expected])

    def test_each_argument_alone(self):
        for i, name in enumerate(["a", "b", "c", "rest", "d", "extra"]):
            self.arm("samples.everything", name)
            for j, call in enumerate(BINDINGS):
                with self.subTest(name=name, j=j):
                    self.assertEqual([as_list(call)[i]], self.values())

    def test_expressions(self):
        for value, expected in EXPRESSIONS:
            with self.subTest(value=value):
                self.arm("samples.everything", value)
                call_everything()
                self.assertEqual(self.values(), [expected])

    def test_arguments_hide_what_came_before_and_results_hide_arguments(self):
        self.arm("samples.long_name_of_an_argument", "[result, start, args]")
        samples.long_name_of_an_argument(1, 2, 3)
        self.assertEqual(self.values(), [["real", 2, 3]])
        self.arm("samples.long_name_of_an_argument", "[result, start, args]", event="call")
        samples.long_name_of_an_argument(1, 2, 3)
        self.assertEqual(self.values(), [[1, 2, 3]])

    def test_results_are_unknown_before_the_call(self):
        for name in ("result", "end", "elapsed"):
            with self.subTest(name=name):
                self.apply({"target": "samples.plain", "value": name, "event": "call"})
                self.assertEqual((self.state(), self.status()["message"]), (
                    "FAILED",
                    f"instrument.value: '{name}' is known at return and end only, not at call"))
                samples.plain(1)
        self.assertEqual(self.events(), [])

    def test_clocks(self):
        self.arm("samples.plain", "[start, end, now.isoformat(), elapsed]")
        before = time.time()
        samples.plain(1)
        after = time.time()
        (event,) = self.events()
        start, end, now, elapsed = (item for item in event.value.list.items)
        self.assertTrue(before - 2e-5 <= start.float <= end.float <= after + 2e-5)
        self.assertTrue(0 <= elapsed.float <= after - before + 2e-5)
        self.assertTrue(before - 2e-5 <= event.time_unix_nanos / 1e9 <= after + 2e-5)
        expected = datetime.datetime.fromtimestamp(
            start.float, datetime.timezone.utc).replace(tzinfo=None)
        self.assertLess(abs(datetime.datetime.fromisoformat(now.str) - expected),
                        datetime.timedelta(milliseconds=1))

    def test_clocks_agree_with_the_system_all_along(self):
        """Before and after the processor's counter has been measured, and across pauses."""
        self.apply({"target": "samples.plain", "value": "[start, end, elapsed]"},
                   {"target": "samples.required", "value": "elapsed"})
        begin = time.monotonic()
        while time.monotonic() - begin < 0.5:
            before, before_ns = time.time(), time.perf_counter_ns()
            samples.plain(1)
            samples.required(1, 2)
            after, took = time.time(), (time.perf_counter_ns() - before_ns) / 1e9
            (start, end, elapsed), direct = self.values_and_check_times(before, after)
            self.assertTrue(before - 2e-5 <= start <= end + 1e-6 <= after + 2e-5)
            self.assertTrue(0 <= elapsed <= took + 2e-5)
            self.assertTrue(0 <= direct <= took + 2e-5)
            time.sleep(0.15 if time.monotonic() - begin > 0.3 else 0)

    def test_elapsed_is_what_the_call_took(self):
        self.arm("samples.slow", "elapsed")
        for seconds in (0.001, 0.03, 0.15):
            begin_ns = time.perf_counter_ns()
            samples.slow(seconds)
            took = (time.perf_counter_ns() - begin_ns) / 1e9
            (elapsed,) = self.values()
            self.assertTrue(seconds - 2e-5 <= elapsed <= took + 2e-5, (seconds, elapsed, took))

    def values_and_check_times(self, before, after):
        events = self.events()
        for event in events:
            self.assertTrue(before - 2e-5 <= event.time_unix_nanos / 1e9 <= after + 2e-5)
        return [to_python(event.value) for event in events]

    def test_frame_without_a_python_caller(self):
        self.arm("samples.plain", "frame.f_back.f_code.co_name")
        list(map(samples.plain, [1]))
        self.assertEqual(self.values(), ["test_frame_without_a_python_caller"])

    def test_arguments_are_those_of_the_call(self):
        samples.rebinds = None
        exec("def rebinds(a):\n    a = a + 1\n    return a", vars(samples))
        self.arm("samples.rebinds", "[a, result]")
        samples.rebinds(1)
        self.assertEqual(self.values(), [[1, 2]])

    def test_call_that_does_not_bind(self):
        cases = [
            ("result", [Repr("TypeError", None)]),
            ("a", [1]),
            ("b", []),
            ("a, b", []),
            ("eval('1 if b else 0')", None),
        ]
        for value, expected in cases:
            with self.subTest(value=value):
                self.arm("samples.required", outside(value))
                with self.assertRaises(TypeError) as caught:
                    samples.required(1)
                self.assertIn("missing 1 required positional argument: 'b'",
                              str(caught.exception))
                if expected is None:
                    self.assertEqual(self.state(), "FAILED")
                    self.events()
                elif value == "result":
                    (got,) = self.values()
                    self.assertEqual(got.type_name, "TypeError")
                else:
                    self.assertEqual(self.values(), expected)

    def test_new_code_object(self):
        def other(b, a):
            return "other"

        exec("def recoded(a, b):\n    return 'first'", vars(samples))
        self.arm("samples.recoded", outside("[a, b, result]"))
        samples.recoded.__code__ = other.__code__
        samples.recoded(1, 2)
        self.assertEqual(self.values(), [[2, 1, "other"]])

    def test_probes_do_not_fire_while_an_expression_runs(self):
        self.apply({"target": "samples.plain", "value": "plain(5) + decorated(1)[1]"},
                   {"target": "samples.decorated"})
        samples.plain(1)
        self.assertEqual(self.values(), [8])

    def test_many_arguments(self):
        names = [f"a{i}" for i in range(100)]
        exec(f"def many({', '.join(names)}):\n    return 1", vars(samples))
        self.arm("samples.many", "[" + ", ".join(names) + "]")
        samples.many(*range(100))
        self.assertEqual(self.values(), [list(range(100))])


if __name__ == "__main__":
    unittest.main()
