# SPDX-License-Identifier: MIT
"""Several engines in one process: that of the fleet's specs, and others whose specs are put one by
one."""
import gc
import os
import random
import signal
import sys
import threading
import time
import types
import unittest

import engine_testing
from handler_support import Doing, Handler, Interceptor
from support import EngineTest

IS_ASAN = "libasan" in os.environ.get("LD_PRELOAD", "")
DURATION_S = float(os.environ.get("DIAGNOSE_STRESS_S", "1"))


def work(a, b=1):
    c = a + b
    return c


def other(a):
    return -a


def fail(a):
    raise ValueError(a)


class EnginesTest(EngineTest):
    def setUp(self):
        super().setUp()
        self.engine = engine_testing.Engine()
        self.addCleanup(self.engine.close)

    def put(self, target, handler, spec_id="spec", engine=None, **spec):
        target = target if "." in target else f"{__name__}.{target}"
        (engine or self.engine).put({"id": spec_id, "target": target, **spec}, handler)
        return handler


class SharingTest(EnginesTest):
    def test_one_function(self):
        target = f"{__name__}.work"
        for event, value in (("call", "a"), ("return", "result"), ("end", "c"),
                             ("return", "(args, result)[1]")):
            for is_fleet_first in (False, True):
                with self.subTest(event=event, value=value, is_fleet_first=is_fleet_first):
                    if is_fleet_first:
                        self.arm(target, value, event=event)
                    handler = self.put("work", Handler(), event=event, value=value)
                    if not is_fleet_first:
                        self.arm(target, value, event=event)
                    self.assertEqual(self.engine.status("spec")["state"], "ARMED")
                    work(1)
                    self.assertEqual(self.values(), handler.take())
                    self.engine.remove("spec")
                    work(2)
                    self.assertEqual((len(self.values()), handler.values), (1, []))
                    self.put("work", handler, event=event, value=value)
                    self.apply()
                    work(3)
                    self.assertEqual((self.values(), len(handler.take())), ([], 1))
                    self.engine.remove("spec")
                    self.assert_restored(work)

    def test_what_is_implemented_in_c(self):
        self.arm("time.gmtime", "result.tm_year", event="return")
        handler = self.put("time.gmtime", Handler(), value="result.tm_year")
        time.gmtime(0)
        self.assertEqual((self.values(), handler.values), ([1970], [1970]))
        self.apply()
        time.gmtime(0)
        self.assertEqual(handler.values, [1970] * 2)

    def test_an_exception_reaches_both(self):
        self.arm(f"{__name__}.fail", "str(result)")
        handler = self.put("fail", Handler(), value="str(result)")
        self.assertRaises(ValueError, fail, 1)
        self.assertEqual((self.values(), handler.values), (["1"], ["1"]))

    def test_the_same_id(self):
        engines = [engine_testing.Engine() for _ in range(5)]
        handlers = [self.put("work", Handler(), "spec-0", engine, value=f"a + {i}")
                    for i, engine in enumerate(engines)]
        self.arm(f"{__name__}.work", "a")
        work(1)
        self.assertEqual([handler.take() for handler in handlers], [[1 + i] for i in range(5)])
        self.assertEqual(self.values(), [1])
        for i, engine in enumerate(engines):
            engine.close()
            work(1)
            self.assertEqual([len(handler.take()) for handler in handlers],
                             [0] * (i + 1) + [1] * (4 - i))
        self.assertEqual(self.values(), [1] * 5)

    def test_fleet_s_engine_goes_first(self):
        self.arm(f"{__name__}.work", "a")
        handler = self.put("work", Handler(), value="a")
        engine_testing.stop()
        work(1)
        self.assertEqual(handler.values, [1])
        engine_testing.start()
        self.arm(f"{__name__}.work", "a")
        work(2)
        self.assertEqual((handler.values, self.values()), ([1, 2], [2]))

    def test_interceptor_beside_the_fleet(self):
        target = f"{__name__}.work"
        self.apply({"target": target, "value": "(a, result)"},
                   {"target": target, "event": "call", "value": "a"},
                   {"target": target, "event": "end", "value": "a"})
        self.put("work", Interceptor(lambda proceed, args, kwargs: (proceed(10), "replaced")[1]),
                 event="call", value="1")
        self.assertEqual(work(1), "replaced")
        self.assertEqual(self.values(), [1, 10, [1, "replaced"]])
        self.engine.remove("spec")
        self.assertEqual(work(1), 2)
        self.assertEqual(self.values(), [1, 1, [1, 2]])

    def test_reentrance(self):
        """While an instrument of one engine runs, none of another fires."""
        self.arm(f"{__name__}.other", "a")
        handler = self.put("work", Doing(lambda hit: other(1)), value="1")
        work(1)
        self.assertEqual((handler.values, self.values()), ([-1], []))

    def test_imports_are_watched_for_all(self):
        sys.modules.pop("wave", None)
        self.apply({"target": "wave.open", "event": "call", "value": "f"})
        self.put("wave.open", Handler(), event="call", value="f")
        changes = engine_testing.status_changes(), self.engine.status_changes
        self.assertEqual((self.state(), self.engine.status("spec")["state"]), ("PENDING",) * 2)
        import wave
        self.assertEqual((self.state(), self.engine.status("spec")["state"]), ("ARMED",) * 2)
        self.assertEqual((engine_testing.status_changes(), self.engine.status_changes),
                         (changes[0] + 1, changes[1] + 1))
        self.assertRaises(Exception, wave.open, "/nowhere")

    def test_import_by_an_instrument(self):
        sys.modules.pop("wave", None)
        self.put("wave.open", Handler(), "pending", event="call", value="f")
        self.put("work", Doing(lambda hit: __import__("wave")), value="1")
        work(1)
        self.assertEqual(self.engine.status("pending")["state"], "ARMED")


class FinaliserTest(EnginesTest):
    """A finaliser may run in the middle of the engine's work."""

    def within_work(self, act):
        """What act() gives when it is run by an object that the engine is the last to let go."""
        done = []

        class Late:
            def __del__(self):
                done.append(act())

        def victim(a, late=Late()):
            return a

        globals()["victim"] = victim
        self.put("victim", Handler(), "victim", value="a")
        del globals()["victim"], victim
        self.assertEqual(done, [])
        self.engine.remove("victim")
        self.assertEqual(len(done), 1)
        return done[0]

    def test_remove(self):
        handler = self.put("other", Handler(), value="a")

        def remove():
            self.engine.remove("spec")
            other(1)
            return handler.values, self.engine.status("spec"), type(other).__name__

        # restored only when the work is done
        self.assertEqual(self.within_work(remove)[:2], ([], None))
        other(1)
        self.assertEqual((handler.values, self.engine.status("spec")), ([], None))
        self.assert_restored(other)
        self.put("other", handler, value="a")
        other(1)
        self.assertEqual(handler.values, [1])

    def test_close(self):
        engine = engine_testing.Engine()
        handler = self.put("other", Handler(), engine=engine, value="a")

        def close():
            engine.close()
            other(1)

        self.within_work(close)
        other(1)
        self.assertEqual(handler.values, [])
        self.assert_restored(other)

    def test_close_of_the_fleet_s(self):
        self.apply({"target": f"{__name__}.work"}, {"target": f"{__name__}.work", "type": "incr",
                                                    "value": "1"})
        self.within_work(lambda: (engine_testing.stop(), work(1)))
        work(1)
        self.assertEqual(self.events(), [])
        self.assert_restored(work)
        engine_testing.start()

    def test_close_of_its_own(self):
        engine, self.engine = self.engine, engine_testing.Engine()
        handler = self.put("other", Handler(), engine=engine, value="a")
        engine, self.engine = self.engine, engine
        self.within_work(self.engine.close)
        other(1)
        self.assertEqual(handler.values, [])
        self.assert_restored(other)
        self.engine = engine

    def test_put_and_apply_are_refused(self):
        def put():
            with self.assertRaisesRegex(RuntimeError, "^UNAVAILABLE: a spec is put from within"):
                self.put("other", Handler(), value="a")
            with self.assertRaisesRegex(RuntimeError, "from within the engine's own work"):
                self.apply({"target": f"{__name__}.work"})
            return "refused"

        self.assertEqual(self.within_work(put), "refused")
        self.assertIsNone(self.engine.status("spec"))

    def test_tick_is_made_up_for(self):
        self.put("work", Handler(), expires=time.time_ns() + 20_000_000, value="a")

        def tick():
            time.sleep(0.03)
            self.engine.tick()
            return self.engine.status("spec")["state"]

        self.assertEqual(self.within_work(tick), "ARMED")
        self.assertEqual(self.engine.status("spec")["state"], "EXPIRED")
        self.assert_restored(work)

    def test_new_engine(self):
        def new():
            self.addCleanup(engine_testing.Engine().close)

        self.within_work(new)

    def test_collections(self):
        """Wherever they strike, also in the middle of arming the spec that is removed."""
        class Garbage:
            def __init__(self, act):
                self.act, self.self = act, self

            def __del__(self):
                self.act()

        threshold = gc.get_threshold()
        for i in range(100):
            gc.set_threshold(i + 1)
            Garbage(lambda: self.engine.remove("busy"))
            self.put("work", Handler(), "busy", value=f"[a for _ in ({i}, 2)] + [locals()]")
            gc.set_threshold(*threshold)
            gc.collect()
            work(1)
            self.engine.remove("busy")
            self.assert_restored(work)


class RaceTest(EnginesTest):
    def run_all(self, *functions):
        """Each in a thread of its own, again and again."""
        deadline = time.monotonic() + DURATION_S
        errors = []

        def loop(function):
            try:
                while time.monotonic() < deadline and not errors:
                    function()
            except BaseException as error:
                errors.append(error)
                raise

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            threads = [threading.Thread(target=loop, args=(function,)) for function in functions]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(interval)
        self.assertEqual(errors, [])

    def test_put_and_remove(self):
        def call():
            self.assertEqual((work(1), other(1)), (2, -1))

        def put():
            event, value = random.choice([("call", "a"), ("return", "(a, result)"),
                                          ("end", "a + 1"), ("return", "[args for _ in 'a']")])
            self.put(random.choice(["work", "other"]), Handler(), f"spec-{random.randrange(5)}",
                     event=event, value=value)

        def intercept():
            spec_id = f"spec-{random.randrange(5)}"
            self.put("work", Interceptor(lambda proceed, args, kwargs: proceed(*args, **kwargs)),
                     spec_id, event="call", value="1")

        def remove():
            self.engine.remove(f"spec-{random.randrange(5)}")

        def look():
            self.engine.status(f"spec-{random.randrange(5)}")
            self.engine.tick()

        def apply():
            self.apply({"target": f"{__name__}.work"}, {"target": f"{__name__}.other"})
            self.apply()
            engine_testing.take_events()

        self.run_all(call, call, put, put, intercept, remove, look, apply)
        for i in range(5):
            self.engine.remove(f"spec-{i}")
        self.apply()
        self.assert_restored(work, other)

    def test_from_within_fire(self):
        def act(hit):
            i = random.randrange(5)
            random.choice([
                lambda: self.engine.remove(f"spec-{i}"),
                lambda: self.put(random.choice(["work", "other"]), handler, f"spec-{i}",
                                 event="call", value="a"),
                lambda: hit.value(),
            ])()

        handler = Doing(act)
        for i in range(5):
            self.put("work", handler, f"spec-{i}", event="call", value="a")

        def call():
            self.assertEqual((work(1), other(1)), (2, -1))
            del handler.values[:]

        self.run_all(call, call, lambda: self.put("work", handler, "spec-9", event="call",
                                                  value="a"))
        self.assertEqual(handler.errors, [])
        self.engine.close()
        self.assert_restored(work, other)


class ForkTest(EnginesTest):
    def setUp(self):
        super().setUp()
        # a thread that has been joined may be at its end still, and have a lock of AddressSanitizer
        deadline = time.monotonic() + 10
        while IS_ASAN and len(os.listdir("/proc/self/task")) > 1 and time.monotonic() < deadline:
            time.sleep(0.001)

    def in_child(self, check):
        """Runs `check` in a child, which is killed if that hangs."""
        pid = os.fork()
        if pid == 0:
            status = 1
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(60)
            try:
                check()
                status = 0
            finally:
                sys.stderr.flush()
                os._exit(status)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)

    def test_either_order(self):
        self.arm(f"{__name__}.work", "result")
        handler = self.put("work", Handler(), value="result")
        self.put("wave.open", Handler(), "pending", value="1", event="call")
        sys.modules.pop("wave", None)
        work(1)
        orders = [(engine_testing.after_fork, self.engine.after_fork),
                  (self.engine.after_fork, engine_testing.after_fork)]
        for order in orders:
            def check():
                for after_fork in order:
                    after_fork()
                assert self.status()["hits"] == 0 == self.engine.status("spec")["hits"]
                work(2)
                assert self.status()["hits"] == 1 == self.engine.status("spec")["hits"]
                assert handler.values[-1] == 3
                self.put("other", handler, "another", value="a")
                self.engine.remove("spec")
                self.apply()
                import wave
                assert self.engine.status("pending")["state"] == "ARMED", wave
                assert type(work) is types.FunctionType

            self.in_child(check)
        self.assertEqual(self.engine.status("spec")["hits"], 1)

    def test_within_fire(self):
        def fork(hit):
            self.in_child(lambda: (self.engine.after_fork(), work(5), self.put(
                "other", Handler(), "another", value="a"), other(1)))
            return hit.value()

        handler = self.put("work", Doing(fork), value="result")
        work(1)
        self.assertEqual((handler.values, handler.errors), ([2], []))

    @unittest.skipIf(IS_ASAN, "AddressSanitizer's own locks do not survive a fork beside a thread")
    def test_while_others_are_at_work(self):
        """Whoever had the turn is not in the child, whatever it was doing."""
        stop = threading.Event()

        def churn():
            for i in iter(stop.is_set, True):
                self.put("work", Handler(), f"spec-{i}", value="[a for _ in 'abc'] + [result]")
                self.put("work", Handler(), f"spec-{i}", event="end", value="eval('a')")
                self.engine.remove(f"spec-{i}")

        handler = self.put("other", Handler(), value="a")
        threads = [threading.Thread(target=churn) for _ in range(2)]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        threshold = gc.get_threshold()
        gc.set_threshold(20)
        for thread in threads:
            thread.start()

        def check():
            self.engine.after_fork()
            engine_testing.after_fork()
            self.put("other", handler, "another", value="a")
            self.engine.remove("spec-False")
            before = len(handler.values)
            other(1)
            assert len(handler.values) == before + 2, handler.values
            assert work(1) == 2

        try:
            for _ in range(20):
                self.in_child(check)
        finally:
            stop.set()
            gc.set_threshold(*threshold)
            sys.setswitchinterval(interval)
            for thread in threads:
                thread.join()


if __name__ == "__main__":
    unittest.main()
