# SPDX-License-Identifier: MIT
"""What happens inside of functions: end, line, hotspots; generators, coroutines, nested functions."""
import asyncio
import gc
import inspect
import sys
import threading
import time
import traceback
import types
import unittest

import engine_testing
import inside_samples as samples
from support import EngineTest

MECHANISM = "monitoring" if sys.version_info >= (3, 12) else "injection"


def line_of(function, text):
    """The line of the source of `function` that holds `text`."""
    lines, first = inspect.getsourcelines(inspect.unwrap(function))
    return max(first, 1) + next(i for i, line in enumerate(lines) if text in line)


class EndTest(EngineTest):
    CASES = [
        ("loop", "total", lambda: samples.loop(4), [14]),
        ("loop", "(i, square, total + FACTOR)", lambda: samples.loop(3), [[2, 4, 15]]),
        ("loop", "sorted(locals())", lambda: samples.loop(2), [["i", "n", "square", "total"]]),
        ("loop", "n", lambda: samples.loop(0), [0]),
        ("branches", "sign", lambda: samples.branches(1), ["positive"]),
        ("rebinds", "text", lambda: samples.rebinds("  "), ["-"]),
        ("decorated", "doubled", lambda: samples.decorated(4), [8]),
        ("Shape.half", "value", lambda: samples.Shape(3).half, [1.5]),
        ("Shape.make", "shape.area", lambda: samples.Shape.make(3), [9]),
        ("Shape.__init__", "area", lambda: samples.Shape(4), [16]),
        ("recursive", "n", lambda: samples.recursive(3), [0, 1, 2, 3]),
        ("counter.<locals>.increment", "(count, step)", lambda: samples.counter(2)(3), [[6, 2]]),
        ("generator", "(i, sent)", lambda: list(samples.generator(2)), [[1, None]]),
        ("coroutine", "doubled", lambda: asyncio.run(samples.coroutine(4)), [8]),
        ("loop", "result", lambda: samples.loop(3), [5]),
    ]

    def test_values(self):
        for target, value, call, expected in self.CASES:
            with self.subTest(target=target, value=value):
                self.arm("inside_samples." + target, value, event="end")
                self.assertEqual(self.status()["mechanism"], MECHANISM)
                call()
                self.assertEqual(self.values(), expected)

    def test_exception(self):
        self.arm("inside_samples.branches", "x", event="end")
        try:
            samples.branches(0)
        except ValueError as error:
            frames = traceback.extract_tb(error.__traceback__)
        self.assertEqual(self.values(), [0])
        self.assertEqual([frame.name for frame in frames], ["test_exception", "branches"])
        self.assertEqual(frames[1].lineno, line_of(samples.branches, "raise"))

    def test_unbound_variable_is_a_skip(self):
        self.arm("inside_samples.branches", "sign", event="end")
        self.assertRaises(ValueError, samples.branches, 0)
        self.assertEqual(self.events(), [])
        self.assertEqual(self.status()["skips"]["unbound"], 1)
        self.assertEqual(self.state(), "ARMED")

    def test_existing_and_future_closures(self):
        first = samples.counter(1)
        self.arm("inside_samples.counter.<locals>.increment", "count", event="end")
        second = samples.counter(10)
        first(), second(), first()
        self.assertEqual(self.values(), [1, 10, 2])
        engine_testing.apply([])
        third = samples.counter(5)
        first(), second(), third()
        self.assertEqual(self.events(), [])

    def test_closures_in_a_frozen_heap(self):
        closure = samples.counter(1)
        gc.freeze()
        try:
            self.arm("inside_samples.counter.<locals>.increment", "count", event="end")
            closure()
            self.assertEqual(self.values(), [1])
            engine_testing.apply([])
        finally:
            gc.unfreeze()

    def test_code_is_restored(self):
        code, bytecode = samples.loop.__code__, samples.loop.__code__.co_code
        self.arm("inside_samples.loop", "total", event="end")
        samples.loop(2)
        engine_testing.apply([])
        self.assertIs(samples.loop.__code__, code)
        self.assertEqual(samples.loop.__code__.co_code, bytecode)


class ReturnTest(EngineTest):
    def test_arguments_are_those_of_the_start(self):
        cases = [
            ("rebinds", "(text, default)", lambda: samples.rebinds(" x "), [[" x ", "-"]]),
            ("deletes", "x", lambda: samples.deletes(4), [4]),
            ("takes_out", "timeout", lambda: samples.takes_out("u", timeout=7), [7]),
            ("takes_out", "options", lambda: samples.takes_out("u", timeout=7), [{"timeout": 7}]),
            ("takes_out", "len(kwargs)", lambda: samples.takes_out("u", timeout=7), [1]),
            ("rebinds_all", "(a, b, c, d, e, f, g, h, i, j)",
             lambda: samples.rebinds_all(*range(10)), [list(range(10))]),
        ]
        for target, value, call, expected in cases:
            with self.subTest(target=target):
                self.arm("inside_samples." + target, value)
                call()
                self.assertEqual(self.values(), expected)

    def test_generators(self):
        generator = samples.generator(2)
        self.arm("inside_samples.generator", "(n, result)")
        self.assertEqual([next(generator), generator.send("a")], [0, 1])
        self.assertEqual(self.events(), [])
        with self.assertRaises(StopIteration) as stop:
            generator.send("b")
        self.assertEqual(stop.exception.value, ("done", "b"))
        if MECHANISM == "monitoring":  # sees generators that exist already
            self.assertEqual(self.values(), [[2, ["done", "b"]]])
        self.assertEqual(list(samples.generator(1)), [0])
        self.assertEqual(self.values()[-1], [1, ["done", None]])

    def test_coroutines_and_async_generators(self):
        self.arm("inside_samples.coroutine", "result")
        self.assertEqual(asyncio.run(samples.coroutine(3)), 6)
        self.assertEqual(self.values(), [6])
        self.arm("inside_samples.async_generator", "(n, result)")
        self.assertEqual(asyncio.run(samples.consume(3)), [0, 1, 2])
        self.assertEqual(self.values(), [[3, None]])
        self.arm("inside_samples.delegating", "result")
        self.assertEqual(list(samples.delegating(2)), [0, 1])
        self.assertEqual(self.values(), [["done", None]])

    def test_exception_of_a_generator(self):
        self.arm("inside_samples.generator", "type(result).__name__")
        generator = samples.generator(2)
        next(generator)
        self.assertRaises(KeyError, generator.throw, KeyError("x"))
        self.assertEqual(self.values(), ["KeyError"])

    def test_elapsed_and_active(self):
        self.apply(
            {"target": "inside_samples.pausing", "value": "elapsed"},
            {"target": "inside_samples.pausing", "value": "active"},
        )
        generator = samples.pausing(lambda: time.sleep(0.01))
        next(generator)
        time.sleep(0.05)
        self.assertEqual(list(generator), [2])
        elapsed, active = self.values()
        self.assertGreater(elapsed, 0.06)
        self.assertGreater(active, 0.01)
        self.assertLess(active, elapsed - 0.04)

    def test_active_after_an_exception_was_thrown_in(self):
        self.arm("inside_samples.survives", "[active, elapsed]")
        generator = samples.survives(lambda: time.sleep(0.02))
        next(generator)
        time.sleep(0.05)
        generator.throw(ValueError())
        list(generator)
        ((active, elapsed),) = self.values()
        self.assertGreaterEqual(active, 0.02)
        self.assertLess(active, elapsed - 0.04)

    def test_active_of_a_plain_function_is_elapsed(self):
        self.arm("inside_samples.loop", "elapsed - active")
        samples.loop(3)
        self.assertEqual(self.values(), [0.0])

    def test_lambdas(self):
        line = line_of(samples, "both on this line")
        for target, calls, expected in [
            ("inside_samples.<lambda>", [lambda: samples.double(4)], [8]),
            (f"inside_samples.py:{line}", [lambda f=f: f(5) for f in samples.pair], [6, 4]),
        ]:
            with self.subTest(target=target):
                self.arm(target, "result")
                for call in calls:
                    call()
                self.assertEqual(self.values(), expected)

    def test_the_engine_s_own_lambdas_are_none(self):
        module = types.ModuleType("without_lambdas")
        exec("def f(x):\n    return x", module.__dict__)
        sys.modules[module.__name__] = module
        try:
            self.apply({"target": "without_lambdas.f", "value": "[x for _ in range(1)]"},
                       {"target": "without_lambdas.<lambda>"})
            self.assertEqual([self.state("spec-0"), self.state("spec-1")], ["ARMED", "PENDING"])
        finally:
            del sys.modules[module.__name__]

    def test_two_lambdas_with_different_names(self):
        line = line_of(samples, "both on this line")
        self.arm(f"inside_samples.py:{line}", "(x if 'x' in locals() else y, result)")
        for function in samples.pair:
            function(5)
        self.assertEqual(self.values(), [[5, 6], [5, 4]])

    def test_method_of_a_class_in_a_function(self):
        self.arm("inside_samples.outer.<locals>.Inner.method", "(y, result)")
        self.assertEqual(samples.outer(1)(2), 3)
        self.assertEqual(self.values(), [[2, 3]])

    def test_one_instance(self):
        self.arm("inside_samples.square.grow", "result")
        samples.square.grow(1), samples.other.grow(1), samples.square.grow(1)
        self.assertEqual(self.values(), [3, 4])
        self.assertEqual(self.status()["skips"]["filtered"], 1)

    def test_call_of_a_nested_function(self):
        self.arm("inside_samples.counter.<locals>.increment", "(by, args)", event="call")
        samples.counter(1)(5)
        self.assertEqual(self.values(), [[5, [5]]])


class SharedCodeTest(EngineTest):
    def test_functions_of_one_decorator(self):
        line = line_of(samples.counted, "return function")
        for spec in ({"event": "call", "value": "args[0]"}, {"event": "return"}, {"event": "end"},
                     {"event": f"line:{line}", "value": "args[0]"}):
            with self.subTest(spec=spec):
                self.apply({"target": "inside_samples.first", "value": "result", **spec})
                self.assertEqual(self.state(), "ARMED", self.status()["message"])
                samples.second(1), samples.first(2)
                self.assertEqual(self.values(), [2])
                self.assertEqual(self.status()["functions"], 1)

    def test_two_functions_of_one_code(self):
        """The function that the first spec brought goes before the code is restored."""
        samples.a, samples.b = samples.counter(1), samples.counter(2)
        specs = [{"target": f"inside_samples.{name}", "value": "by", "event": "end", "id": name,
                  "revision": 1} for name in "ab"]
        self.apply(*specs)
        samples.a(1), samples.b(2)
        self.assertEqual(self.values(), [1, 2])
        self.apply(specs[1])
        del samples.a
        gc.collect()
        samples.b(3)
        self.assertEqual(self.values(), [3])
        self.apply()
        self.assertEqual(samples.b(1), 12)
        self.assertEqual(self.events(), [])
        self.assert_restored(samples.b)
        del samples.b

    def test_one_instance_whose_method_rebinds_self(self):
        for name in ("rebinds_self", "shares_self"):
            line = line_of(getattr(samples.Shared, name), "return")
            for event in ("call", "return", "end", f"line:{line}"):
                with self.subTest(name=name, event=event):
                    self.arm(f"inside_samples.one.{name}", "x", event=event)
                    getattr(samples.two, name)(1), getattr(samples.one, name)(5)
                    self.assertEqual(self.values(), [5])
                    self.assertEqual(self.status()["skips"]["filtered"], 1)


class LineTest(EngineTest):
    def test_values(self):
        cases = [
            ("loop", "total += square", "(i, square, total)", lambda: samples.loop(3),
             [[0, 0, 0], [1, 1, 0], [2, 4, 1]]),
            ("loop", "for i in range(n)", "total", lambda: samples.loop(2), [0, 0, 1]),
            ("loop", "return total", "total", lambda: samples.loop(3), [5]),
            ("branches", "sign = \"negative\"", "x", lambda: samples.branches(-2), [-2]),
            ("branches", "raise", "x",
             lambda: self.assertRaises(ValueError, samples.branches, 0), [0]),
            ("handles", "name = type", "caught", lambda: samples.handles(KeyError(1)), None),
            ("generator", "sent = yield i", "i", lambda: list(samples.generator(2)), [0, 1]),
            ("coroutine", "doubled = x * 2", "x", lambda: asyncio.run(samples.coroutine(2)), [2]),
            ("counter.<locals>.increment", "count += by", "count",
             lambda: samples.counter(1)(3), [0]),
            ("decorated", "return doubled", "doubled", lambda: samples.decorated(2), [4]),
            ("recursive", "return 0", "n", lambda: samples.recursive(2), [2, 1, 0]),
            ("Shape.grow", "self.side += by", "by", lambda: samples.Shape(1).grow(4), [4]),
        ]
        for target, text, value, call, expected in cases:
            with self.subTest(target=target, text=text):
                function = samples
                for name in target.split(".<locals>")[0].split("."):
                    function = getattr(function, name)
                line = line_of(function, text)
                self.arm("inside_samples." + target, value, event=f"line:{line}")
                call()
                if expected is None:
                    self.assertEqual(len(self.values()), 1)
                else:
                    self.assertEqual(self.values(), expected)

    def test_one_line_function(self):
        line = line_of(samples, "double = lambda")
        self.arm("inside_samples.<lambda>", "x", event=f"line:{line}")
        samples.double(3), samples.double(4)
        self.assertEqual(self.values(), [3, 4])

    def test_lines_are_added_and_removed(self):
        first, second = (line_of(samples.loop, text) for text in ("square = i", "total +="))
        specs = [
            {"target": "inside_samples.loop", "value": "i", "event": f"line:{first}"},
            {"target": "inside_samples.loop", "value": "square", "event": f"line:{second}"},
        ]
        self.apply(specs[0])
        samples.loop(2)
        self.assertEqual(self.values(), [0, 1])
        self.apply(*specs)
        samples.loop(2)
        self.assertEqual(self.values(), [0, 0, 1, 1])
        self.apply(specs[1])
        samples.loop(2)
        self.assertEqual(self.values(), [0, 1])

    def test_refused_lines(self):
        begin = line_of(samples.loop, "def loop")
        gap = line_of(samples, "both on this line") + 1
        for line, reason in [(begin + 6, "outside of"), (gap, "outside of"), (1, "outside of")]:
            with self.subTest(line=line):
                code = samples.loop.__code__
                self.apply({"target": "inside_samples.loop", "event": f"line:{line}"})
                self.assertEqual(self.state(), "FAILED")
                self.assertIn(reason, self.status()["message"])
                self.assertIs(samples.loop.__code__, code)


class HotspotsTest(EngineTest):
    def test_attributes(self):
        self.arm("inside_samples.loop", "[hotspots.calls, hotspots.slowest, hotspots.worst.lineno, "
                 "hotspots.filename, hotspots.source(hotspots.worst.lineno), result, n]")
        samples.loop(5)
        calls, slowest, worst, filename, source, result, n = self.values()[0]
        self.assertEqual((result, n), (30, 5))
        self.assertEqual(filename, samples.loop.__code__.co_filename)
        lines = {text: line_of(samples.loop, text) for text in
                 ("total = 0", "for i", "square =", "total +=", "return")}
        self.assertEqual({line: calls[line][0] for line in calls}, {
            lines["total = 0"]: 1, lines["for i"]: 6, lines["square ="]: 5,
            lines["total +="]: 5, lines["return"]: 1})
        for count, longest, total in calls.values():
            self.assertTrue(0 <= longest <= total <= count * longest + 1e-9)
        self.assertIn(worst, calls)
        self.assertEqual(slowest[0], max(entry[1] for entry in calls.values()))
        self.assertEqual(calls[slowest[1]][1], slowest[0])
        self.assertEqual(source, inspect.getsourcelines(samples.loop)[0][
            worst - samples.loop.__code__.co_firstlineno])

    def test_a_hotspot_is_a_namedtuple(self):
        self.arm("inside_samples.loop", "[hotspots.worst._fields, hotspots.worst._asdict(), "
                 "hotspots.worst._replace(source='x').source, hotspots.slowest == "
                 "tuple(hotspots.slowest), repr(hotspots.worst)[:13]]")
        samples.loop(5)
        fields, as_dict, replaced, is_tuple, text = self.values()[0]
        self.assertEqual(fields, ["time", "lineno", "source"])
        self.assertEqual(list(as_dict), fields)
        self.assertEqual((replaced, is_tuple, text), ("x", True, "hotspot(time="))

    def test_suspended_time_does_not_count(self):
        self.arm("inside_samples.pausing", "[*hotspots.slowest, elapsed]")
        generator = samples.pausing(lambda: time.sleep(0.01))
        next(generator)
        time.sleep(0.05)
        list(generator)
        longest, line, source, elapsed = self.values()[0]
        self.assertEqual(source.strip(), "clock()")
        self.assertEqual(line, line_of(samples.pausing, "clock()"))
        self.assertLess(longest, elapsed - 0.04)

    def test_in_tags_of_a_decorated_function(self):
        self.arm("inside_samples.decorated", "result", tags="{'line': hotspots.worst.lineno}")
        self.assertEqual(samples.decorated(2), ("wrapped", 4))
        event = self.events()[0]
        self.assertEqual(event.tags[0].key, "line")


class LifecycleTest(EngineTest):
    def test_in_flight_at_attach_and_detach(self):
        entered, leave = threading.Event(), threading.Event()

        def work():
            entered.set()
            leave.wait()
            return "done"

        samples.work = work
        try:
            thread = threading.Thread(target=work)
            thread.start()
            entered.wait()
            self.arm("inside_samples.work", "elapsed", event="return")
            leave.set()
            thread.join()
            for event in self.events():
                self.assertGreaterEqual(event.value.float, 0)
            work()
            self.assertEqual(len(self.values()), 1)
        finally:
            del samples.work

    def test_a_spec_that_comes_during_a_call(self):
        first = {"target": "inside_samples.survives", "value": "elapsed", "id": "a", "revision": 1}
        second = {**first, "id": "b"}
        self.apply(first)
        generator = samples.survives(None)
        next(generator)
        self.apply(first, second)
        list(generator)
        self.assertEqual(len(self.values()), 1)
        self.assertEqual(self.status("b")["skips"]["in flight"], 1)
        self.apply(second)
        list(samples.survives(None))
        self.assertEqual(len(self.values()), 1)
        self.assertEqual(self.status("b")["hits"], 1)

    def test_all_events_at_once(self):
        line = line_of(samples.loop, "return total")
        specs = [
            {"target": "inside_samples.loop", "value": "'call'", "event": "call"},
            {"target": "inside_samples.loop", "value": "'line'", "event": f"line:{line}"},
            {"target": "inside_samples.loop", "value": "'end'", "event": "end"},
            {"target": "inside_samples.loop", "value": "'return'", "event": "return"},
            {"target": "inside_samples.loop", "value": "hotspots and 'hotspots'"},
        ]
        self.apply(*specs)
        self.assertEqual([self.state(f"spec-{i}") for i in range(5)], ["ARMED"] * 5)
        self.assertEqual(samples.loop(3), 5)
        self.assertEqual(sorted(self.values()), ["call", "end", "hotspots", "line", "return"])
        engine_testing.apply([])
        self.assertEqual(samples.loop(3), 5)
        self.assertEqual(self.events(), [])

    def test_an_instrument_that_raises_is_off(self):
        for event, value in [("end", "1 / 0"), ("return", "missing_name"),
                             (f"line:{line_of(samples.loop, 'return total')}", "total.missing")]:
            with self.subTest(event=event):
                self.apply({"target": "inside_samples.loop", "value": value, "event": event})
                self.assertEqual(samples.loop(3), 5)
                self.assertEqual(samples.loop(3), 5)
                self.assertEqual(self.state(), "FAILED")
                self.assertEqual(len(self.events()), 1)

    def test_expression_that_calls_the_target(self):
        self.arm("inside_samples.loop", "loop(2)", event="end")
        self.assertEqual(samples.loop(3), 5)
        self.assertEqual(self.values(), [1])

    def test_status(self):
        samples.keep = samples.counter(1), samples.counter(2)
        try:
            self.arm("inside_samples.counter.<locals>.increment", "count", event="end")
            status = self.status()
            self.assertEqual((status["mechanism"], status["codes"]), (MECHANISM, 1))
            self.assertIs(status["pure"], True)
            if MECHANISM == "injection":
                self.assertEqual(status["functions"], 2)
        finally:
            del samples.keep

    def test_a_name_that_nothing_has_is_a_warning(self):
        self.arm("inside_samples.loop", "total + not_yet", event="end")
        self.assertIn("'not_yet'", self.status()["message"])
        samples.not_yet = 1
        try:
            samples.loop(3)
            self.assertEqual(self.values(), [6])
        finally:
            del samples.not_yet
        samples.loop(3)
        self.assertEqual(self.state(), "FAILED")
        self.assertIn("NameError", self.status()["message"])


@unittest.skipUnless(MECHANISM == "monitoring", "3.11 has no sys.monitoring")
class MonitoringTest(EngineTest):
    def tool(self):
        return next(i for i in range(6) if sys.monitoring.get_tool(i) == "diagnose")

    def test_tool_id_is_given_back(self):
        self.arm("inside_samples.loop", "total", event="end")
        tool = self.tool()
        engine_testing.apply([])
        self.assertIsNone(sys.monitoring.get_tool(tool))

    def test_all_tool_ids_are_taken(self):
        free = [i for i in range(6) if sys.monitoring.get_tool(i) is None]
        for tool in free:
            sys.monitoring.use_tool_id(tool, "somebody")
        try:
            self.apply({"target": "inside_samples.loop", "value": "total", "event": "end"})
            self.assertEqual(self.state(), "FAILED")
            self.assertIn("tool ids of sys.monitoring are in use", self.status()["message"])
        finally:
            for tool in free:
                sys.monitoring.free_tool_id(tool)

    def test_tool_id_is_taken_away(self):
        specs = [{"target": "inside_samples.loop", "value": "total", "event": "end"},
                 {"target": "inside_samples.branches", "value": "sign", "event": "end"}]
        self.apply(specs[0])
        tool = self.tool()
        sys.monitoring.free_tool_id(tool)
        sys.monitoring.use_tool_id(tool, "somebody")
        try:
            self.apply(*specs)
            self.assertEqual([self.state("spec-0"), self.state("spec-1")], ["ARMED"] * 2)
            samples.loop(3), samples.branches(1)
            self.assertEqual(self.values(), [5, "positive"])
            engine_testing.apply([])
            self.assertEqual(sys.monitoring.get_tool(tool), "somebody")
        finally:
            sys.monitoring.free_tool_id(tool)

    def test_callbacks_called_by_the_program(self):
        self.arm("inside_samples.loop", "total", event="end")
        events = sys.monitoring.events
        for event in (events.PY_START, events.PY_RETURN, events.PY_UNWIND, events.LINE,
                      events.PY_RESUME, events.PY_YIELD, events.PY_THROW):
            callback = sys.monitoring.register_callback(self.tool(), event, None)
            for arguments in ((), (1,), (samples.loop.__code__,), (1, "x"), (1, 2, 3)):
                callback(*arguments)
        samples.loop(3)
        self.assertEqual(self.events(), [])


if __name__ == "__main__":
    unittest.main()
