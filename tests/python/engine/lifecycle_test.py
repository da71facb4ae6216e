# SPDX-License-Identifier: MIT
import importlib
import os
import sys
import tempfile
import textwrap
import threading
import time
import types
import unittest

import engine_testing
import samples
from support import IS_INSIDE, EngineTest

SECOND = 10**9


class ModulesTest(EngineTest):
    def setUp(self):
        super().setUp()
        self.folder = tempfile.TemporaryDirectory()
        sys.path.insert(0, self.folder.name)

    def tearDown(self):
        sys.path.remove(self.folder.name)
        for name in [name for name in sys.modules if name.startswith("late")]:
            del sys.modules[name]
        self.folder.cleanup()
        super().tearDown()

    def write(self, name, text):
        path = os.path.join(self.folder.name, *name.split(".")) + ".py"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(textwrap.dedent(text))
        importlib.invalidate_caches()

    def test_armed_on_import(self):
        self.write("late", "def f(x): return x")
        self.apply({"target": "late.f"})
        self.assertEqual(self.state(), "PENDING")
        changes = engine_testing.status_changes()
        import late

        self.assertEqual(self.state(), "ARMED")
        self.assertGreater(engine_testing.status_changes(), changes)
        late.f(1)
        self.assertEqual(self.values(), [1])

    def test_importlib_is_left_alone_once_nothing_is_pending(self):
        loader = sys.modules["_frozen_importlib"]._load_unlocked
        self.write("late", "def f(x): return x")
        self.assert_restored(loader)
        self.apply({"target": "late.f"})
        self.assertIsNot(type(loader), types.FunctionType)
        import late  # noqa: F401

        self.assert_restored(loader)
        self.apply({"target": "never.f"})
        self.assertIsNot(type(loader), types.FunctionType)
        self.apply()
        self.assert_restored(loader)

    def test_import_in_a_thread_and_from_a_package(self):
        self.write("late.__init__", "")
        self.write("late.sub.__init__", "from . import deep")
        self.write("late.sub.deep", "class C:\n    def m(self): return 5")
        self.apply({"target": "late.sub.deep.C.m"})
        thread = threading.Thread(target=lambda: importlib.import_module("late.sub"))
        thread.start()
        thread.join()
        self.assertEqual(self.state(), "ARMED")
        sys.modules["late.sub.deep"].C().m()
        self.assertEqual(self.values(), [5])

    def test_module_that_is_being_imported(self):
        self.write("late", """
            import late_helper
            def f(x): return x
            import late_other
            def wrap(g):
                return lambda x: g(x) * 2
            f = wrap(f)
        """)
        self.write("late_helper", "")
        self.write("late_other", "")
        self.apply({"target": "late.f"})
        import late

        late.f(2)
        self.assertEqual(self.values(), [4])

    def test_import_that_fails(self):
        self.write("late", "def f(x): return x\nraise OSError('broken')")
        self.apply({"target": "late.f"})
        with self.assertRaisesRegex(OSError, "broken"):
            import late  # noqa: F401
        self.assertEqual(self.state(), "PENDING")

    def test_name_that_appears_later(self):
        self.apply({"target": "samples.appears"})
        self.assertEqual(self.state(), "PENDING")
        samples.appears = lambda: 8
        engine_testing.tick()
        self.assertEqual(self.state(), "ARMED")
        samples.appears()
        self.assertEqual(self.values(), [8])
        del samples.appears
        self.verify()
        self.assertEqual(self.state(), "PENDING")

    def verify(self):
        """Ticks until targets were looked up again."""
        deadline = time.monotonic() + 1.1
        while time.monotonic() < deadline:
            engine_testing.tick()
            time.sleep(0.05)

    def test_reload(self):
        self.write("late", "def f(x): return x")
        import late

        self.arm("late.f")
        old = late.f
        late.f(1)
        self.write("late", "def f(x): return x + 1000  # another size")
        importlib.reload(late)
        self.verify()
        self.assertEqual(self.state(), "ARMED")
        late.f(1)
        old(1)
        self.assertEqual(self.values(), [1, 1001])
        self.assertEqual(self.status()["hits"], 2)
        self.assert_restored(old)

    def test_target_that_becomes_something_else(self):
        samples.changing = lambda: 1
        self.arm("samples.changing")
        samples.changing = 5
        self.verify()
        self.assertEqual(self.state(), "FAILED")
        self.assertIn("is a int object", self.status()["message"])


class LifecycleTest(EngineTest):
    def test_removed_is_reported_once(self):
        self.arm("samples.plain")
        samples.plain(1)
        self.apply()
        status = self.status()
        self.assertEqual((status["state"], status["hits"], status["mechanism"]),
                         ("REMOVED", 1, ""))
        self.assertEqual(engine_testing.statuses(), {})
        self.assert_restored(samples.plain)

    def test_removed_and_back(self):
        self.arm("samples.plain")
        self.apply()
        self.arm("samples.plain")
        self.assertEqual(self.state(), "ARMED")

    def test_edited(self):
        self.arm("samples.plain", "a")
        samples.plain(1)
        self.arm("samples.plain", "b")
        samples.plain(1)
        self.assertEqual(self.values(), [1, 2])
        self.assertEqual(self.status()["hits"], 1)

    def test_same_revision_is_kept(self):
        spec = {"target": "samples.plain", "revision": 9}
        self.apply(spec)
        samples.plain(1)
        self.apply({**spec, "expires": time.time_ns() + 100 * SECOND})
        self.assertEqual(self.status()["hits"], 1)
        self.assertGreater(engine_testing.next_expiry(), time.time_ns())

    def test_expiry_by_tick(self):
        now = time.time_ns()
        self.apply({"target": "samples.plain", "expires": now + 100 * SECOND},
                   {"target": "never.f", "expires": now + 50 * SECOND},
                   {"target": "samples.plain"})
        self.assertEqual(engine_testing.next_expiry(), now + 50 * SECOND)
        engine_testing.tick(now + 50 * SECOND)
        self.assertEqual([self.state(f"spec-{i}") for i in range(3)],
                         ["ARMED", "EXPIRED", "ARMED"])
        self.assertEqual(engine_testing.next_expiry(), now + 100 * SECOND)
        engine_testing.tick(now + 101 * SECOND)
        self.assertEqual(self.state(), "EXPIRED")
        self.assertEqual(engine_testing.next_expiry(), 0)
        samples.plain(1)
        self.assertEqual(self.values(), [3])
        self.apply({"target": "samples.plain", "expires": 1})
        self.assertEqual(self.state(), "EXPIRED")
        self.assert_restored(samples.plain)

    def test_expiry_on_the_hit_path(self):
        expires = time.time_ns() + SECOND // 5
        self.arm("samples.plain", expires=expires)
        samples.plain(1)
        while time.time_ns() < expires:
            time.sleep(0.01)
        changes = engine_testing.status_changes()
        samples.plain(1)
        self.assertEqual(engine_testing.status_changes(), changes + 1)
        self.assertEqual(self.values(), [3])
        self.assertEqual(self.state(), "EXPIRED")

    def test_calls_in_flight(self):
        entered, leave = threading.Event(), threading.Event()

        def waits():
            entered.set()
            leave.wait()
            return "done"

        samples.waits = waits
        results = []

        def run():
            entered.clear()
            leave.clear()
            thread = threading.Thread(target=lambda: results.append(samples.waits()))
            thread.start()
            entered.wait()
            return thread

        self.arm("samples.waits")
        thread = run()
        self.apply()
        leave.set()
        thread.join()
        self.assertEqual((self.values(), results), ([], ["done"]))
        thread = run()
        self.arm("samples.waits")
        leave.set()
        thread.join()
        expected = ["done"] if IS_INSIDE else []
        self.assertEqual((self.values(), results), (expected, ["done"] * 2))
        thread = run()
        engine_testing.stop()
        leave.set()
        thread.join()
        self.assertEqual(results, ["done"] * 3)
        engine_testing.start()

    def test_fork(self):
        self.arm("samples.plain", "result")
        samples.plain(1)
        pid = os.fork()
        if pid == 0:
            engine_testing.after_fork()
            hits = self.status()["hits"]
            engine_testing.take_events()
            samples.plain(1)
            (event,) = self.events()
            os._exit(0 if (hits, self.status()["hits"], event.thread_id) == (0, 1, os.getpid())
                     else 1)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertEqual(self.status()["hits"], 1)


class RefusalTest(unittest.TestCase):
    """By the module that drives sub-interpreters; its name and its functions have changed."""

    SOURCE = """
        import sys
        sys.path[:] = {path!r}
        import engine_testing
        try:
            engine_testing.start()
        except RuntimeError as error:
            assert "sub-interpreters are not supported" in str(error), error
        else:
            raise AssertionError("not refused")
    """

    def check(self, module, interpreter):
        try:
            # before 3.13, what goes wrong in there is raised here; then it is returned
            excinfo = module.run_string(
                interpreter, textwrap.dedent(self.SOURCE).format(path=sys.path))
            self.assertIsNone(excinfo)
        finally:
            module.destroy(interpreter)

    def test_sub_interpreter(self):
        if sys.version_info >= (3, 13):
            import _interpreters

            self.check(_interpreters, _interpreters.create("legacy"))
        else:
            import _xxsubinterpreters

            self.check(_xxsubinterpreters, _xxsubinterpreters.create(isolated=False))

    if sys.version_info >= (3, 12):
        def test_sub_interpreter_with_its_own_gil(self):
            if sys.version_info >= (3, 13):
                import _interpreters as module
            else:
                import _xxsubinterpreters as module
            self.check(module, module.create())


if __name__ == "__main__":
    unittest.main()
