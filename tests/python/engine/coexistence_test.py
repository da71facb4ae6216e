# SPDX-License-Identifier: MIT
"""What debuggers, tracers, profilers and whoever looks at functions and frames see is what they
would see without probes."""
import functools
import os
import sys
import textwrap
import traceback
import types
import unittest

import engine_testing
from coexistence_samples import ALL, NAMES, loop, run_all, specs_of, switching
from coexistence_tools import (
    HAS_MONITORING, OBSERVATIONS, debugger_stops, is_ours, monitoring_events, profiler_calls,
    setprofile_events, settrace_events)
from support import EngineTest

try:
    import greenlet
except ImportError:
    greenlet = None


class CoexistenceTest(EngineTest):
    maxDiff = 4000

    def setUp(self):
        super().setUp()
        engine_testing.stop()
        engine_testing.start(False)

    def arm_all(self, specs=ALL):
        engine_testing.statuses()  # those that were removed are told once
        self.apply(*specs)
        self.assert_no_errors()

    def assert_no_errors(self):
        for spec_id, status in engine_testing.statuses().items():
            spec = ALL[int(spec_id.removeprefix("spec-"))]
            self.assertEqual((status["state"], status["errors"]), ("ARMED", 0), (spec, status))

    def test_observations(self):
        run_all()
        for observe in OBSERVATIONS:
            for title, specs in [("all", ALL), ("outside", [
                    spec for name in NAMES if "<locals>" not in name
                    for spec in specs_of(name, ("call",))])]:
                with self.subTest(observe=observe, probes=title):
                    self.apply()
                    before = observe()
                    self.assertEqual(observe(), before)
                    self.arm_all(specs)
                    after = observe()
                    self.assertEqual(after, before)
                    self.assert_no_errors()
                    self.assertGreater(sum(status["hits"] for status in
                                           engine_testing.statuses().values()), 0)
                    self.apply()
                    self.assertEqual(observe(), before)

    def test_probes_see_the_same_beside_a_tool(self):
        """Hits are those of a run without the tool."""
        self.arm_all()
        run_all()
        expected = {key: status["hits"] for key, status in engine_testing.statuses().items()}
        for observe in (settrace_events, setprofile_events, profiler_calls,
                        functools.partial(debugger_stops, "step"), *(
                            [monitoring_events] if HAS_MONITORING else [])):
            with self.subTest(observe=observe):
                observe()
                self.arm_all()
                run_all()
                self.assertEqual({key: status["hits"] for key, status in
                                  engine_testing.statuses().items()}, expected)

    def test_tools_that_come_and_go_in_the_middle(self):
        """A tracer begins in a probed function, and ends in another."""
        self.arm_all()
        before = run_all()
        for begin in (0, 1, 5, 20):
            count = 0

            def trace(frame, event, arg):
                nonlocal count
                count += 1
                if count > begin + 10:
                    sys.settrace(None)
                    frame.f_trace = None
                    return None
                return trace

            sys.settrace(trace)
            try:
                self.assertEqual(run_all(), before)
            finally:
                sys.settrace(None)
        self.assert_no_errors()

    def test_attach_and_detach_while_traced(self):
        self.apply()
        before = settrace_events()
        seen = []

        def trace(frame, event, arg):
            if is_ours(frame) and frame.f_code.co_name == "loop":
                seen.append((event, frame.f_lineno))
                if event == "line":
                    self.apply(*(ALL if len(seen) % 2 else []))
            return trace

        for _ in range(3):
            seen.clear()
            sys.settrace(trace)
            try:
                result = loop(3)
            finally:
                sys.settrace(None)
            self.assertEqual(result, 5)
            events = [event for event, _ in seen]
            self.assertEqual((events[0], events[-1], events.count("line")), ("call", "return", 12))
        self.apply()
        self.assertEqual(settrace_events(), before)


class CodeReplacedTest(EngineTest):
    """The program assigns __code__, __defaults__ or the like while a probe is there."""

    def setUp(self):
        super().setUp()
        self.namespace = {}
        self.module = types.ModuleType("replaceable")
        sys.modules["replaceable"] = self.module
        self.addCleanup(sys.modules.pop, "replaceable")
        exec(compile(textwrap.dedent("""
            def f(x, y=1):
                z = x + y
                return z

            def g(x, y=2):
                w = x * y
                return w
        """), "replaceable.py", "exec"), vars(self.module))

    EVENTS = [("call", "x"), ("return", "result"), ("end", "x"), ("line:3", "x")]

    def test_code(self):
        for event, value in self.EVENTS:
            with self.subTest(event=event):
                f, g = self.module.f, self.module.g
                original = f.__code__
                self.arm("replaceable.f", value, event=event)
                self.assertEqual(f(3), 4)
                f.__code__ = g.__code__
                self.assertEqual(f(3), 3)
                engine_testing.tick()
                self.assertEqual(f(3), 3)
                self.apply()
                self.assertEqual(f(3), 3)
                self.assertIs(f.__code__, g.__code__)
                self.assert_restored(f, g)
                f.__code__ = original
                self.assertEqual(f(3), 4)

    def test_code_in_the_middle_of_a_call(self):
        for event, value in self.EVENTS:
            with self.subTest(event=event):
                f, g = self.module.f, self.module.g
                original = f.__code__

                class Switch(int):
                    def __add__(self, other):
                        f.__code__ = g.__code__
                        return int(self) + other

                self.arm("replaceable.f", value, event=event)
                self.assertEqual(f(Switch(3)), 4)
                self.assertEqual(f(3), 3)
                self.apply()
                self.assertIs(f.__code__, g.__code__)
                f.__code__ = original

    def test_defaults(self):
        for event, value in self.EVENTS:
            with self.subTest(event=event):
                f = self.module.f
                self.arm("replaceable.f", value, event=event)
                for _ in range(20):  # specialised
                    self.assertEqual(f(3), 4)
                f.__defaults__ = (5,)
                self.assertEqual(f(3), 8)
                f.__kwdefaults__ = {}
                self.apply()
                self.assertEqual(f(3), 8)
                f.__defaults__ = (1,)


class ForkTest(EngineTest):
    def test_in_the_middle_of_probed_calls(self):
        self.apply(*ALL)
        statuses = {}

        class Forks:
            """An argument that forks as it is used."""

            def __index__(self):
                statuses["pid"] = os.fork()
                if statuses["pid"] == 0:
                    engine_testing.after_fork()
                return 3

        try:
            result = loop(Forks())
            again = run_all()
        except BaseException:
            traceback.print_exc()
            result = again = None
        if statuses["pid"] == 0:
            status = engine_testing.statuses()["spec-0"]
            is_right = result == 5 and again is not None and status["hits"] == 1
            os._exit(0 if is_right else 1)
        self.assertEqual(result, 5)
        self.assertEqual(os.waitpid(statuses["pid"], 0)[1], 0)
        self.assertEqual(run_all(), again)


@unittest.skipIf(greenlet is None, "python3-greenlet is not there")
@unittest.skipIf("libasan" in os.environ.get("LD_PRELOAD", ""),
                 "greenlets copy whole stacks, which AddressSanitizer takes for an error")
class GreenletTest(EngineTest):
    def test_calls_that_do_not_end_in_the_order_of_their_beginning(self):
        switches = self.switches
        before = switches()
        self.assertEqual(before, [("a", 0), ("b", 0), ("a", 1), ("b", 1), "b", "a"])
        specs = [{"target": f"coexistence_samples.switching", "event": event, "value": value} for
                 event, value in [("call", "name"), ("return", "(name, result)"),
                                  ("end", "(name, i)"), ("return", "elapsed >= 0 and name")]]
        self.apply(*specs)
        for _ in range(3):
            self.assertEqual(switches(), before)
        values = self.values()
        for expected in (["a", "a"], ["b", "b"], ["a", 1], ["b", 1], "a", "b"):
            self.assertEqual(values.count(expected), 6 if isinstance(expected, str) else 3)

    @staticmethod
    def switches():
        seen = []
        main = greenlet.getcurrent()
        tasks = {}
        for name in "ab":
            tasks[name] = greenlet.greenlet(
                functools.partial(switching, name, main, seen))
        for name in "ababba":
            tasks[name].switch()
        return seen


if __name__ == "__main__":
    unittest.main()
