# SPDX-License-Identifier: MIT
"""apply() from several threads, from within itself, across a fork, and in the background."""
import os
import threading
import time
import unittest

import diagnose
from manager_support import (SECONDS, Manager, Recorder, eventually, instruments_of, make_module,
                             run_program, spec, utcnow)

BACKGROUND = "diagnose.manager"


def background_threads():
    return [thread for thread in threading.enumerate() if thread.name == BACKGROUND]


def run_in_child(function):
    """What the function gives in a forked child, as a str; fails if the child hangs."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, str(function()).encode())
        except BaseException as error:
            os.write(writer, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    try:
        os.set_blocking(reader, False)
        eventually(lambda: os.waitpid(child, os.WNOHANG)[0] == child, "the child ends")
        return os.read(reader, 65536).decode()
    finally:
        os.close(reader)


class Store(Manager):
    """`specs` waits, as a query would, until it is let go."""

    def __init__(self, *args):
        super().__init__(*args)
        self.documents = {}
        self.is_slow = False
        self.entered = threading.Event()
        self.gate = threading.Event()

    @property
    def specs(self):
        if self.is_slow:
            self.entered.set()
            assert self.gate.wait(SECONDS)
        return dict(self.documents)


class Threads(unittest.TestCase):
    def setUp(self):
        self.module = make_module("threaded")
        del Recorder.made[:]

    def tearDown(self):
        self.assertEqual(diagnose.probes.active_probes, {})

    def test_many_threads(self):
        manager = Manager("p")
        targets = ["threaded.add", "threaded.double", "threaded.Shop.price"]
        stop = threading.Event()

        def edit(number):
            while not stop.is_set():
                manager.specs[number] = spec(targets[number % 3])
                manager.apply()
                self.module.add(1)
                manager.specs.pop(number, None)
                manager.apply()

        threads = [threading.Thread(target=edit, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        stop.set()
        for thread in threads:
            thread.join(SECONDS)
            self.assertFalse(thread.is_alive())
        self.assertEqual(manager.messages(), [])
        manager.apply()
        self.assertEqual([made.finished for made in Recorder.made], [1] * len(Recorder.made))

    def test_a_thread_waits_for_the_other(self):
        manager = Store("p")
        manager.documents["s"] = spec("threaded.add")
        manager.is_slow = True
        first = threading.Thread(target=manager.apply)
        first.start()
        self.assertTrue(manager.entered.wait(SECONDS))
        manager.is_slow = False
        second = threading.Thread(target=manager.apply)
        second.start()
        second.join(0.1)
        self.assertTrue(second.is_alive())
        manager.gate.set()
        first.join(SECONDS)
        second.join(SECONDS)
        self.assertFalse(first.is_alive() or second.is_alive())
        self.assertEqual(len(Recorder.made), 1)
        manager.documents.clear()
        manager.apply()

    def test_from_within(self):
        manager = Manager("p")
        calls = []

        class Eager(Manager):
            def handle_error(self, probe=None, instrument=None):
                super().handle_error(probe, instrument)
                calls.append(1)
                self.specs["new"] = spec("threaded.add")
                self.apply()

        manager = Eager("p")
        manager.specs["bad"] = spec("threaded.add", type="lgo")
        manager.apply()
        self.assertEqual(len(calls), 1)
        self.assertEqual(len(instruments_of("threaded.add")), 1)
        manager.specs = {}
        manager.apply()

    def test_from_within_for_ever(self):
        class Endless(Manager):
            calls = 0

            @property
            def specs(self):
                raise OSError("away")

            def handle_error(self, probe=None, instrument=None):
                Endless.calls += 1
                self.apply()

        Endless("p").apply()
        self.assertEqual(Endless.calls, 2)

    def test_a_constructor_that_imports_what_is_being_imported(self):
        """One thread imports a module whose body applies; the pass needs that module."""
        print_ = run_program("""
import sys, tempfile, threading
import diagnose
from manager_support import Manager, Recorder, make_module, spec

make_module("threaded")
folder = tempfile.TemporaryDirectory()
sys.path.insert(0, folder.name)
with open(folder.name + "/half_imported.py", "w") as file:
    file.write("import __main__; __main__.in_body()")
manager = Manager("p")
importing, constructing = threading.Event(), threading.Event()

class Importing(Recorder):
    def __init__(self, *args, **kwargs):
        constructing.set()
        importing.wait()
        import half_imported
        super().__init__(*args, **kwargs)

def in_body():
    importing.set()
    constructing.wait()
    manager.specs["from-import"] = spec("threaded.double")
    manager.apply()

manager.instrument_classes["importing"] = Importing
manager.specs["s"] = spec("threaded.add", type="importing")
applying = threading.Thread(target=manager.apply, daemon=True)
applying.start()
constructing.wait()
import half_imported
applying.join(20)
assert not applying.is_alive()
assert manager.errors == []
print(sorted(diagnose.probes.active_probes))
folder.cleanup()
""")
        self.assertEqual(print_, "['threaded.add', 'threaded.double']\n")

    def test_fork_while_another_thread_applies(self):
        manager = Store("p")
        manager.documents["s"] = spec("threaded.add")
        manager.apply()
        manager.is_slow = True
        thread = threading.Thread(target=manager.apply)
        thread.start()
        self.assertTrue(manager.entered.wait(SECONDS))

        def child():
            manager.is_slow = False
            manager.documents["t"] = spec("threaded.double")
            manager.apply()
            self.module.double(4)
            self.module.add(4)
            return [made.results for made in Recorder.made]

        try:
            self.assertEqual(run_in_child(child), "[[5], [8]]")
        finally:
            manager.gate.set()
            thread.join(SECONDS)
        self.assertFalse(thread.is_alive())
        manager.is_slow = False
        manager.documents.clear()
        manager.apply()

    def test_fork_in_the_middle_of_a_replacement(self):
        """What the vanished thread had begun is done again, and nothing is left over."""
        manager = Manager("p")
        entered, gate = threading.Event(), threading.Event()

        class Slow(Recorder):
            def finish(self):
                super().finish()
                entered.set()
                assert gate.wait(SECONDS)

        manager.instrument_classes["slow"] = Slow
        manager.specs["s"] = spec("threaded.add", type="slow")
        manager.apply()
        manager.specs["s"]["instrument"]["type"] = "test"
        manager.specs["s"]["target"] = "threaded.double"
        thread = threading.Thread(target=manager.apply)
        thread.start()
        self.assertTrue(entered.wait(SECONDS))

        def child():
            gate.set()
            manager.apply()
            before = sorted((target, len(instruments_of(target))) for target in
                            diagnose.probes.active_probes)
            manager.specs.clear()
            manager.apply()
            return before, dict(diagnose.probes.active_probes)

        try:
            self.assertEqual(run_in_child(child), "([('threaded.double', 1)], {})")
        finally:
            gate.set()
            thread.join(SECONDS)
        manager.specs.clear()
        manager.apply()

    def test_fork_from_within(self):
        answers = []

        class Forking(Manager):
            def handle_error(self, probe=None, instrument=None):
                answers.append(run_in_child(lambda: self.apply() or "nested"))

        manager = Forking("p")
        manager.specs["bad"] = spec("threaded.add", type="lgo")
        manager.apply()
        manager.specs["bad"] = spec("threaded.add")
        manager.apply()
        self.assertEqual(answers, ["nested"])
        self.assertEqual(len(instruments_of("threaded.add")), 1)
        manager.specs.clear()
        manager.apply()

    def test_process_id_of_a_child(self):
        manager = Manager()
        manager.specs["s"] = spec("threaded.add")
        manager.apply()

        def child():
            manager.apply()
            applied = manager.specs["s"]["applied"]
            return len(applied), manager.process_id in applied, len(Recorder.made)

        self.assertEqual(run_in_child(child), "(2, True, 1)")
        manager.specs.clear()
        manager.apply()


class Background(unittest.TestCase):
    def setUp(self):
        self.module = make_module("threaded")
        self.manager = Manager("p")
        del Recorder.made[:]

    def tearDown(self):
        self.manager.stop_background()
        eventually(lambda: not background_threads(), "the thread ends")
        self.manager.specs = {}
        self.manager.apply()
        self.assertEqual(diagnose.probes.active_probes, {})

    def test_follows(self):
        self.manager.apply_in_background(0.01)
        self.assertEqual([thread.daemon for thread in background_threads()], [True])
        self.manager.specs["s"] = spec("threaded.add")
        eventually(lambda: instruments_of("threaded.add"), "applied")
        del self.manager.specs["s"]
        eventually(lambda: not instruments_of("threaded.add"), "removed")

    def test_applies_at_once_and_the_period_can_be_changed(self):
        self.manager.specs["s"] = spec("threaded.add")
        self.manager.apply_in_background()
        eventually(lambda: instruments_of("threaded.add"), "applied")
        self.manager.specs["t"] = spec("threaded.double")
        self.manager.apply_in_background(period=1000)
        eventually(lambda: instruments_of("threaded.double"), "applied again")
        self.assertEqual(len(background_threads()), 1)
        self.manager.specs["u"] = spec("threaded.Shop.price")
        self.manager.apply_in_background(0.01)
        eventually(lambda: instruments_of("threaded.Shop.price"), "applied once more")
        self.assertEqual(len(background_threads()), 1)

    def test_stop_is_idempotent_and_what_is_applied_stays(self):
        self.manager.stop_background()
        self.manager.specs["s"] = spec("threaded.add")
        self.manager.apply_in_background(0.01)
        eventually(lambda: instruments_of("threaded.add"), "applied")
        self.manager.stop_background()
        self.manager.stop_background()
        eventually(lambda: not background_threads(), "the thread ends")
        self.assertEqual(len(instruments_of("threaded.add")), 1)
        self.manager.apply_in_background(1000)
        self.assertEqual(len(background_threads()), 1)

    def test_bad_periods(self):
        for period, error in [("1", TypeError), (None, TypeError), (True, TypeError),
                              (0, ValueError), (-1, ValueError), (float("nan"), ValueError),
                              (float("inf"), ValueError), (10**400, ValueError)]:
            with self.subTest(period), self.assertRaisesRegex(error, "^period: "):
                self.manager.apply_in_background(period)
        self.assertEqual(background_threads(), [])

    def test_errors_do_not_end_it(self):
        class Failing(Manager):
            def apply(self):
                if len(self.errors) < 3:
                    raise OSError("failing")
                super().apply()

        self.manager = Failing("p")
        self.manager.specs["s"] = spec("threaded.add")
        self.manager.apply_in_background(0.001)
        eventually(lambda: instruments_of("threaded.add"), "applied")
        self.assertEqual(self.manager.messages(), ["failing"] * 3)

    def test_an_exit_ends_it_and_it_can_be_started_again(self):
        def leave(*args, **kwargs):
            raise SystemExit()

        self.manager.instrument_classes["leave"] = leave
        self.manager.specs["s"] = spec("threaded.add", type="leave")
        self.manager.apply_in_background(0.001)
        eventually(lambda: not background_threads(), "the thread ends")
        self.manager.specs["s"] = spec("threaded.add")
        self.manager.apply_in_background(0.001)
        eventually(lambda: instruments_of("threaded.add"), "applied")

    def test_stopped_from_within(self):
        manager = self.manager

        class Stopping(Recorder):
            def __init__(self, *args, **kwargs):
                manager.stop_background()
                super().__init__(*args, **kwargs)

        manager.instrument_classes["stopping"] = Stopping
        manager.specs["s"] = spec("threaded.add", type="stopping")
        manager.apply_in_background(0.001)
        eventually(lambda: not background_threads(), "the thread ends")
        eventually(lambda: instruments_of("threaded.add"), "applied")

    def test_a_child_has_its_own(self):
        self.manager.apply_in_background(0.005)

        def child():
            threads = len(background_threads())
            self.manager.specs["s"] = spec("threaded.add")
            eventually(lambda: instruments_of("threaded.add"), "applied", 10)
            self.module.add(1)
            return threads, Recorder.made[0].results, os.getpid() != parent

        parent = os.getpid()
        for _ in range(3):
            self.assertEqual(run_in_child(child), "(1, [2], True)")
        self.assertEqual(len(background_threads()), 1)
        self.assertEqual(Recorder.made, [])

    def test_a_child_that_is_forked_while_the_thread_applies(self):
        """Its thread may well have the identity of the one that was in the middle of it."""
        entered, gate = threading.Event(), threading.Event()

        class Slow(Recorder):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                entered.set()
                assert gate.wait(SECONDS)

        self.manager.instrument_classes["slow"] = Slow
        self.manager.specs["s"] = spec("threaded.add", type="slow")
        self.manager.apply_in_background(0.005)
        self.assertTrue(entered.wait(SECONDS))

        def child():
            gate.set()
            eventually(lambda: instruments_of("threaded.add"), "applied", 10)
            return len(instruments_of("threaded.add")), self.module.add(1)

        try:
            self.assertEqual(run_in_child(child), "(1, 2)")
        finally:
            gate.set()

    def test_a_child_has_none_after_stop(self):
        self.manager.apply_in_background(0.005)
        self.manager.stop_background()
        self.assertEqual(run_in_child(lambda: len(background_threads())), "0")

    def test_a_grandchild_has_its_own(self):
        self.manager.apply_in_background(0.005)
        self.assertEqual(
            run_in_child(lambda: run_in_child(lambda: len(background_threads()))), "1")

    def test_exit_is_not_held_up(self):
        began = time.monotonic()
        for state in ("waiting", "in the middle"):
            output = run_program("""
import sys, threading, time
import diagnose
from manager_support import Manager, eventually
entered = threading.Event()
class Slow(Manager):
    @property
    def specs(self):
        if sys.argv[1] == "in the middle":
            entered.set()
            time.sleep(1000)
        entered.set()
        return {}
diagnose.manager = Slow()
diagnose.manager.apply_in_background(1000)
entered.wait()
print("done")
""", state)
            self.assertEqual(output, "done\n")
        self.assertLess(time.monotonic() - began, SECONDS)

    def test_a_manager_that_is_dropped_goes_on_until_stopped(self):
        manager = Manager("q")
        manager.specs["s"] = spec("threaded.add", lastmodified=utcnow())
        specs = manager.specs
        manager.apply_in_background(0.005)
        eventually(lambda: instruments_of("threaded.add"), "applied")
        stop = manager.stop_background
        del manager
        specs.clear()
        eventually(lambda: not instruments_of("threaded.add"), "followed")
        stop()


if __name__ == "__main__":
    unittest.main()
