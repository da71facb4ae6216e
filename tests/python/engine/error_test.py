# SPDX-License-Identifier: MIT
import functools
import os
import signal
import sys
import traceback
import unittest

import engine_testing
import samples
from support import EngineTest, Event, Repr

# expression, the error without its field
WRONG = [
    ("1 +", "SyntaxError: invalid syntax (line 1, column 4)"),
    ("x = 1", "SyntaxError: invalid syntax"),
    ("import os", "SyntaxError: invalid syntax"),
    ("await x", "SyntaxError: 'await' outside function"),
    ("(yield)", "SyntaxError: 'yield' outside function"),
    ("1) + (2", "SyntaxError: unmatched ')'"),
    ("'" + "x", "SyntaxError: unterminated string literal"),
    ("(" * 300 + ")" * 300, "SyntaxError: too many nested parentheses"),
    ("-" * 8000 + "1", ""),
    ("x" * 8193, ""),
    ("   ", ""),
]

# expression, text of the error
RAISING = [
    ("nope", "NameError: name 'nope' is not defined"),
    ("result.nope", "AttributeError: 'int' object has no attribute 'nope'"),
    ("1 / 0", "ZeroDivisionError: division by zero"),
    ("exec('raise SystemExit(3)')", "SystemExit: 3"),
    ("exec('raise KeyboardInterrupt')", "KeyboardInterrupt"),
    ("exec('raise GeneratorExit')", "GeneratorExit"),
    ("exec('class E(Exception):\\n def __str__(s): 1/0\\nraise E')", "E: <str failed>"),
    ("(lambda f: f(f))(lambda f: f(f))", "RecursionError: maximum recursion depth exceeded"),
    ("[][0]", "IndexError: list index out of range"),
    ("{}['é\\ud800']", "KeyError: 'é\\ud800'"),
]


class ErrorTest(EngineTest):
    def test_wrong_expressions(self):
        for value, message in WRONG:
            for target in ("samples.plain", "not_there.f"):
                with self.subTest(value=value[:20], target=target):
                    self.apply({"target": target, "value": value})
                    status = self.status()
                    self.assertEqual(status["state"], "FAILED")
                    self.assertTrue(status["message"].startswith("instrument.value: " + message),
                                    status["message"])
        self.apply({"target": "samples.plain", "tags": "1 +"})
        self.assertEqual(self.status()["message"],
                         "instrument.custom.tags: SyntaxError: invalid syntax (line 1, column 4)")
        self.assert_restored(samples.plain)

    def test_wrong_instruments(self):
        self.apply({"target": "samples.plain", "type": "gauge"})
        self.assertEqual(self.state(), "FAILED")
        self.assertIn("instrument.type", self.status()["message"])
        self.apply({"target": "samples.plain", "event": "ends"})
        self.assertIn("instrument.event", self.status()["message"])

    def test_raising_expressions(self):
        for value, message in RAISING:
            with self.subTest(value=value):
                self.apply({"target": "samples.plain", "value": value},
                           {"target": "samples.plain", "value": "result"})
                changes = engine_testing.status_changes()
                self.assertEqual(samples.plain(1), 3)
                self.assertGreater(engine_testing.status_changes(), changes)
                self.assertEqual(samples.plain(1), 3)
                error, *hits = sorted(self.events(), key=lambda event: -event.kind)
                self.assertEqual(error.kind, Event.KIND_ERROR)
                self.assertTrue(error.error.startswith(message), error.error)
                self.assertEqual([hit.value.int for hit in hits], [3, 3])
                status = self.status()
                self.assertEqual((status["state"], status["errors"], status["hits"]),
                                 ("FAILED", 1, 0))
                self.assertTrue(status["message"].startswith("instrument.value: " + message))
                self.assertEqual(self.state("spec-1"), "ARMED")
        engine_testing.tick()
        self.assertEqual(self.state(), "FAILED")

    def test_a_failed_instrument_fires_again_once_edited(self):
        self.apply({"target": "samples.plain", "value": "nope"})
        samples.plain(1)
        engine_testing.tick()
        self.assert_restored(samples.plain)
        self.events()
        self.apply({"target": "samples.plain", "value": "result"})
        samples.plain(1)
        self.assertEqual(self.values(), [3])

    def test_same_revision_stays_failed(self):
        spec = {"target": "samples.plain", "value": "nope", "revision": 5}
        self.apply(spec)
        samples.plain(1)
        self.apply(spec)
        self.assertEqual(self.state(), "FAILED")

    def test_full_ring(self):
        self.arm("samples.plain")
        engine_testing.limit_events(2)
        for _ in range(5):
            samples.plain(1)
        self.assertEqual((self.status()["hits"], self.status()["dropped"]), (5, 3))

    def test_errors_are_told_though_the_ring_is_full(self):
        self.apply({"id": "spec-1", "target": "samples.plain", "value": "result"},
                   {"id": "spec-2", "target": "samples.plain", "value": "nope"})
        engine_testing.limit_events(1)
        for _ in range(3):
            samples.plain(1)
        self.assertEqual(self.status("spec-1")["dropped"], 2)
        self.assertEqual(self.status("spec-2")["dropped"], 0)
        self.assertEqual([event.kind for event in self.events() if event.spec_id == "spec-2"],
                         [2])


class TargetRaisesTest(EngineTest):
    def arm_raiser(self, value="result"):
        self.arm("samples.raiser", value)

    def test_result_is_the_exception(self):
        self.arm_raiser("[type(result).__name__, result.args, "
                        "result.__traceback__.tb_frame.f_code.co_name]")
        with self.assertRaises(ValueError):
            samples.raiser(ValueError("x", 1))
        self.assertEqual(self.values(), [["ValueError", ["x", 1], "raiser"]])

    def test_bare_result(self):
        self.arm_raiser()
        with self.assertRaises(KeyError):
            samples.raiser(KeyError("k"))
        self.assertEqual(self.values(), [Repr("KeyError", "KeyError('k')")])

    def outcome(self, value):
        """What the caller sees of an exception, with a context and a cause."""
        error, cause = ValueError("x"), KeyError("cause")
        error.__cause__ = cause
        try:
            try:
                raise LookupError("context")
            except LookupError as context:
                if value is not None:
                    self.arm_raiser(value)
                samples.raiser(error)
        except ValueError as caught:
            self.assertIs(caught, error)
            self.assertEqual(repr(caught.__context__), "LookupError('context')")
            self.assertIs(caught.__cause__, cause)
            lines = [frame.name for frame in traceback.extract_tb(caught.__traceback__)]
            return lines, caught.__suppress_context__, sys.exc_info()[0]

    def test_exception_is_unchanged(self):
        expected = self.outcome(None)
        for value in ("result", "1 / 0", "'constant'", "elapsed",
                      "exec('raise result')", "exec('raise result from OSError()')",
                      "result.with_traceback(None)",
                      "exec('try: raise result\\nexcept Exception as e: raise OSError from e')"):
            with self.subTest(value=value):
                self.assertEqual(self.outcome(value), expected)
                self.apply()

    def test_exceptions_of_every_kind(self):
        def stop():
            yield from iter([])

        self.arm_raiser()
        for error in (SystemExit(2), KeyboardInterrupt(), GeneratorExit(), StopIteration(5),
                      OSError(2, "x"), UnicodeDecodeError("utf-8", b"x", 0, 1, "bad")):
            with self.subTest(error=error):
                with self.assertRaises(type(error)) as caught:
                    samples.raiser(error)
                self.assertIs(caught.exception, error)
        self.assertEqual(len(self.values()), 6)

    def test_exceptions_out_of_c(self):
        exec("def divide(a): return 1 // a", vars(samples))
        self.arm("samples.divide", "str(result)")
        with self.assertRaisesRegex(ZeroDivisionError, "division"):
            samples.divide(0)
        self.assertEqual(len(self.values()), 1)

    def test_exception_handled_by_the_caller_is_still_there(self):
        self.arm("samples.plain", "1 / 0")
        try:
            raise ValueError("handled")
        except ValueError as error:
            samples.plain(1)
            self.assertIs(sys.exc_info()[1], error)
            self.assertIsNone(error.__context__)


class SignalTest(EngineTest):
    """Exceptions of signal handlers that arrive while an instrument runs are the program's."""

    def setUp(self):
        super().setUp()
        self.handlers = {number: signal.getsignal(number)
                         for number in (signal.SIGINT, signal.SIGUSR1)}
        samples.strike = lambda number: (os.kill(os.getpid(), number), spin())

    def tearDown(self):
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        super().tearDown()

    def test_ctrl_c(self):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for value in ("strike(2)", "type('R', (), {'__repr__': lambda s: strike(2)})()"):
            with self.subTest(value=value):
                self.apply({"target": "samples.plain", "value": value},
                           {"target": "samples.plain", "value": "[i for i in range(99)]"})
                with self.assertRaises(KeyboardInterrupt):
                    samples.plain(1)
                    spin()
                self.assertEqual(self.state(), "ARMED")
                self.assertEqual(self.state("spec-1"), "ARMED")
                self.events()

    def test_handler_that_raises(self):
        class Timeout(BaseException):
            pass

        def handler(number, frame):
            raise error

        class Handler:
            def method(self, number, frame):
                raise error

            __call__ = method

        error = Timeout("mine")
        for registered in (handler, Handler().method, Handler(), functools.partial(handler),
                           functools.partial(Handler().method)):
            with self.subTest(registered=registered):
                signal.signal(signal.SIGUSR1, registered)
                self.arm("samples.plain", f"strike({int(signal.SIGUSR1)})")
                with self.assertRaises(Timeout) as caught:
                    samples.plain(1)
                    spin()
                self.assertIs(caught.exception, error)
                self.assertEqual((self.state(), self.status()["dropped"]), ("ARMED", 1))

    def test_an_instrument_that_plays_ctrl_c_is_found_out(self):
        cases = [
            ("(_ for _ in ()).throw(KeyboardInterrupt)", 0),
            # where a generator stands on 3.13, Ctrl-C might have struck; but not again
            ("(lambda g: (next(g), g.throw(KeyboardInterrupt)))(_ for _ in (1, 2))",
             1 if sys.version_info >= (3, 13) else 0),
        ]
        for value, times in cases:
            with self.subTest(value=value):
                self.arm("samples.plain", value)
                raised = 0
                for _ in range(20):
                    try:
                        samples.plain(1)
                        spin()
                    except KeyboardInterrupt:
                        raised += 1
                self.assertEqual(raised, times)
                self.assertEqual(self.state(), "FAILED")

    def test_signal_while_the_target_raises(self):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.arm("samples.raiser", "strike(2)")
        with self.assertRaises(KeyboardInterrupt):
            try:
                samples.raiser(ValueError("x"))
            except ValueError:
                spin()


def spin():
    """Runs until a signal has been handled."""
    for _ in range(1000000):
        pass


if __name__ == "__main__":
    unittest.main()
