# SPDX-License-Identifier: MIT
"""The search for the functions of a code object, and for the code that makes them."""
import functools
import gc
import sys
import threading
import types
import unittest
import weakref

import inject_testing


def make():
    def made():
        return 1
    return made


def make_nested():
    def between():
        return lambda: 2
    return between


def generate():
    yield
    return (lambda: 3)()


async def coroutine():
    return (lambda: 4)()


async def generate_asynchronously():
    yield (lambda: 5)()


def code_in(code, *names):
    for name in names:
        code = next(c for c in code.co_consts
                    if isinstance(c, types.CodeType) and c.co_name == name)
    return code


class FunctionsTest(unittest.TestCase):
    def found(self, code):
        return sorted(map(id, inject_testing.functions_of(code)))

    def test_closures(self):
        code = code_in(make.__code__, "made")
        self.assertEqual(self.found(code), [])
        held = [make() for _ in range(5)]
        self.assertEqual(self.found(code), sorted(map(id, held)))
        del held[2:]
        self.assertEqual(self.found(code), sorted(map(id, held)))

    def test_wherever_they_are(self):
        holders = [functools.partial(make()), {"key": make()}, types.SimpleNamespace(f=make()),
                   (make(),), staticmethod(make()), weakref.WeakMethod]
        self.assertEqual(len(self.found(code_in(make.__code__, "made"))), len(holders) - 1)

    def test_every_generation(self):
        code = code_in(make.__code__, "made")
        held = []
        for generation in 0, 1, 2:
            held.append(make())
            gc.collect(generation)
        held.append(make())
        self.assertEqual(self.found(code), sorted(map(id, held)))
        gc.freeze()
        self.addCleanup(gc.unfreeze)
        held.append(make())
        self.assertEqual(self.found(code), sorted(map(id, held)))

    def test_other_code(self):
        function = make()
        code = function.__code__
        function.__code__ = make.__code__
        self.assertEqual(self.found(code), [])
        self.assertEqual(self.found(make.__code__), sorted([id(make), id(function)]))

    def test_references(self):
        """The list holds its functions; nothing else does."""
        function = make()
        count = sys.getrefcount(function)
        found = inject_testing.functions_of(function.__code__)
        self.assertEqual(sys.getrefcount(function), count + 1)
        del found
        self.assertEqual(sys.getrefcount(function), count)

    def test_the_visitor_stops(self):
        self.assertEqual(inject_testing.visit_functions(1), 1)
        self.assertEqual(inject_testing.visit_functions(10), 10)
        self.assertGreater(inject_testing.visit_functions(10**9), 1000)


class CodesTest(unittest.TestCase):
    def test_of_functions(self):
        code = code_in(make_nested.__code__, "between", "<lambda>")
        self.assertTrue(inject_testing.is_reached(code))
        self.assertTrue(inject_testing.is_reached(make_nested.__code__))

    def test_that_nobody_executes(self):
        code = compile("def f(): pass", "nowhere.py", "exec")
        self.assertFalse(inject_testing.is_reached(code))
        self.assertFalse(inject_testing.is_reached(code_in(code, "f")))

    def test_of_running_frames(self):
        seen = {}
        code = compile("check()\ndef f(): pass", "nowhere.py", "exec")
        exec(code, {"check": lambda: seen.update(
            module=inject_testing.is_reached(code), f=inject_testing.is_reached(
                code_in(code, "f")))})
        self.assertEqual(seen, {"module": True, "f": True})

    def test_of_frames_of_other_threads(self):
        is_running, may_end = threading.Event(), threading.Event()
        code = compile("is_running.set()\nmay_end.wait()\ndef f(): pass", "nowhere.py", "exec")
        thread = threading.Thread(target=exec, args=(
            code, {"is_running": is_running, "may_end": may_end}))
        thread.start()
        is_running.wait()
        self.assertTrue(inject_testing.is_reached(code_in(code, "f")))
        may_end.set()
        thread.join()
        gc.collect()  # f and its globals
        self.assertFalse(inject_testing.is_reached(code_in(code, "f")))

    def test_of_suspended_generators(self):
        for function, name in ((generate, "gi_code"), (coroutine, "cr_code"),
                               (generate_asynchronously, "ag_code")):
            with self.subTest(name):
                copied = types.FunctionType(function.__code__.replace(co_name="copied"), {})
                suspended = copied()
                code = suspended.gi_code if name == "gi_code" else getattr(suspended, name)
                del copied
                self.assertTrue(inject_testing.is_reached(code))
                if name == "cr_code":
                    suspended.close()
                del suspended
                self.assertFalse(inject_testing.is_reached(code))


class OnlyTest(unittest.TestCase):
    def test_references_tell(self):
        function = make()
        code = function.__code__  # one more
        others = sys.getrefcount(code)  # but for the function's, and with a tuple of arguments
        self.assertTrue(inject_testing.is_only(code, function, others))
        self.assertFalse(inject_testing.is_only(code, function, others - 1))
        self.assertFalse(inject_testing.is_only(code, None, others))
        self.assertFalse(inject_testing.is_only(code, make, others))
        other = types.FunctionType(code, {})
        self.assertFalse(inject_testing.is_only(code, function, others))
        self.assertEqual(other(), 1)


class CollectingTest(unittest.TestCase):
    def test_collecting(self):
        seen = []

        class Finalized:
            def __init__(self):
                self.cycle = self

            def __del__(self):
                seen.append(inject_testing.is_collecting())

        Finalized()
        gc.collect()
        self.assertEqual(seen, [True])
        self.assertFalse(inject_testing.is_collecting())


if __name__ == "__main__":
    unittest.main()
