# SPDX-License-Identifier: MIT
"""sys.monitoring as the mechanism: what it is asked for, and what happens when it refuses."""
import sys
import unittest
from unittest import mock

from support import IS_INSIDE, EngineTest, monitored_events

if not IS_INSIDE:
    raise unittest.SkipTest("3.11 has no sys.monitoring")


def work(a):
    b = a
    return b


def other(a):
    raise ValueError(a)


class UpdateTest(EngineTest):
    def apply_failing(self, function, at, *specs):
        """Applies while the call number `at` of sys.monitoring's function fails."""
        real, calls = getattr(sys.monitoring, function), []

        def failing(*args):
            calls.append(args)
            if len(calls) == at:
                raise MemoryError("out of memory")
            return real(*args)

        with mock.patch.object(sys.monitoring, function, failing):
            self.apply(*specs)
        return len(calls) >= at

    def test_failure_changes_nothing(self):
        line = work.__code__.co_firstlineno + 2
        target = f"{__name__}.work"
        first = {"target": target, "event": "call", "value": "a", "revision": 1}
        failed = 0
        further = [{"target": target, "event": f"line:{line}", "value": "b"},
                   {"target": target, "event": "return", "value": "elapsed > 0"}]
        for added in further:
            for function in ("set_local_events", "set_events"):
                for at in range(1, 4):
                    with self.subTest(added=added, function=function, at=at):
                        self.apply(first)
                        events = monitored_events(work.__code__)
                        has_failed = self.apply_failing(function, at, first, added)
                        if not has_failed:
                            self.assertEqual(self.state("spec-1"), "ARMED")
                            self.apply()
                            continue
                        if self.state("spec-1") == "FAILED":
                            failed += 1
                            self.assertIn("out of memory", self.status("spec-1")["message"])
                            self.assertEqual(monitored_events(work.__code__), events)
                        self.events()
                        work(1)
                        self.assertEqual(self.state(), "ARMED")
                        self.assertIn(1, self.values())
                        self.apply(first, added)
                        self.assertEqual(self.state("spec-1"), "ARMED")
                        self.events()
                        work(2)
                        self.assertEqual(len(self.values()), 2)
                        self.apply()
                        self.assert_restored(work)
                        self.assertRaises(ValueError, other, 1)
                        self.assertEqual(self.values(), [])
        self.assertGreaterEqual(failed, 4)

    def test_same_wishes_ask_for_nothing(self):
        specs = [{"target": f"{__name__}.work", "event": "end", "value": "b", "revision": 1}
                 for _ in range(3)]
        self.apply(specs[0])
        with mock.patch.object(sys.monitoring, "set_local_events") as asked:
            self.apply(*specs)
        asked.assert_not_called()
        work(1)
        self.assertEqual(self.values(), [1] * 3)


if __name__ == "__main__":
    unittest.main()
