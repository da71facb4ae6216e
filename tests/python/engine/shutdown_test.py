# SPDX-License-Identifier: MIT
"""The interpreter ends with probes armed: its exit status and its silence are its own."""
import os
import signal
import subprocess
import sys
import textwrap
import unittest


class ShutdownTest(unittest.TestCase):
    """The interpreter ends with probes armed."""

    PROGRAM = """
        import asyncio, atexit, os, sys, threading, time
        import engine_testing

        def work(n=1):
            total = 0
            for i in range(n):
                total += i
            return total

        def produce():
            try:
                yield work()
                yield work()
            finally:
                work()

        def busy():
            while True:
                work(50)

        async def wait():
            await asyncio.sleep(0)
            return work()

        class Late:
            def __del__(self):
                work(2)
                self.method()

            def method(self):
                return [work() for _ in range(2)]

        engine_testing.start(False)
        specs = []
        for target in ("work", "produce", "busy", "wait", "Late.__del__", "Late.method"):
            for event, value in (("call", "None"), ("return", "result"), ("end", "locals()"),
                                 ("return", "hotspots.slowest"), ("return", "elapsed")):
                specs.append({"id": str(len(specs)), "target": "__main__." + target,
                              "event": event, "value": value})
        for target in ("time.sleep", "builtins.dict.get", "not_imported.f"):
            specs.append({"id": str(len(specs)), "target": target, "value": "None",
                          "event": "call"})
        engine_testing.apply(specs)
        for status in engine_testing.statuses().values():
            expected = "PENDING" if status["id"] == specs[-1]["id"] else "ARMED"
            assert status["state"] == expected, status
        work(3), asyncio.run(wait()), time.sleep(0)
    """

    CASES = [
        ("falls off its end", "", 0, ""),
        ("sys.exit", "sys.exit(3)", 3, ""),
        ("an exception", "def fail(): raise SystemExit(work(4))\nfail()", 6, ""),
        ("_exit", "os._exit(4)", 4, ""),
        ("a signal", "import signal\nsignal.signal(signal.SIGALRM, lambda *_: sys.exit(5))\n"
         "signal.setitimer(signal.ITIMER_REAL, 0.05)\nbusy()", 5, ""),
        ("atexit", "atexit.register(lambda: (work(), engine_testing.statuses()))", 0, ""),
        ("stopped", "engine_testing.stop(); work()", 0, ""),
        ("stopped at exit", "atexit.register(engine_testing.stop)", 0, ""),
        ("a finaliser", "late = Late()\nkept = [Late()]\nkept.append(kept)", 0, ""),
        ("a finaliser in sys", "sys.late = Late()", 0, ""),
        ("a suspended generator", "suspended = produce()\nnext(suspended)", 0, ""),
        ("a suspended generator in a cycle",
         "suspended = [produce()]\nnext(suspended[0])\nsuspended.append(suspended)", 0, ""),
        ("a suspended coroutine",
         "coroutine = wait()\ncoroutine.send(None)\nsys.kept = coroutine", 0, ""),
        ("daemon threads",
         "for _ in range(4):\n    threading.Thread(target=busy, daemon=True).start()\n"
         "time.sleep(0.05)", 0, ""),
        ("daemon threads, and one that goes on",
         "threading.Thread(target=busy, daemon=True).start()\n"
         "threading.Thread(target=lambda: (time.sleep(0.05), work())).start()", 0, ""),
        ("a daemon thread that applies",
         "def apply():\n    while True:\n        engine_testing.apply([]), "
         "engine_testing.apply(specs)\n"
         "threading.Thread(target=apply, daemon=True).start()\ntime.sleep(0.05)", 0, ""),
        ("a fork", "pid = os.fork()\nif pid == 0:\n    engine_testing.after_fork()\n    work()\n"
         "    sys.exit(7)\nassert os.waitpid(pid, 0)[1] == 7 << 8", 0, ""),
        ("SIGTERM", "import signal\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(5)",
         -signal.SIGTERM, ""),
    ]

    def test_all(self):
        program = textwrap.dedent(self.PROGRAM)
        for flags in ([], ["-X", "dev", "-W", "ignore"]):
            for title, end, status, errors in self.CASES:
                with self.subTest(title=title, flags=flags):
                    result = subprocess.run(
                        [sys.executable, *flags, "-c", program + "\n" + end],
                        capture_output=True, text=True, timeout=60,
                        env=dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path))))
                    self.assertEqual((result.returncode, result.stderr), (status, errors))


if __name__ == "__main__":
    unittest.main()
