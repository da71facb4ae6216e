# SPDX-License-Identifier: MIT
import threading
import unittest

import engine_testing
import samples
from support import Aggregate, EngineTest, Event

TARGET = "samples.plain"
OVERFLOW = "otel.metric.overflow=true"


class AggregateTest(EngineTest):
    def arm_aggregate(self, value, type="incr", **spec):
        self.arm(TARGET, value, type=type, **spec)

    def only(self):
        """Sum and count of the one total that has changed."""
        (total,) = self.aggregates().values()
        return total

    def failure(self):
        (event,) = self.events()
        self.assertEqual(event.kind, Event.KIND_ERROR)
        self.assertEqual(self.state(), "FAILED")
        return event.error, self.status()["message"].partition(":")[0]

    def test_numbers(self):
        for value, total in [("result", 5), ("2.5", 2.5), ("True", 1), ("0", 0), ("10**18", 1e18)]:
            with self.subTest(value):
                self.arm_aggregate(value)
                self.assertEqual(samples.plain(2, 3), 5)
                samples.plain(2, 3)
                self.assertEqual(self.only(), (2 * total, 2))
                self.assertEqual(self.events(), [])
                self.assertEqual(self.status()["hits"], 2)
                self.apply()
                self.assertEqual(self.only(), (2 * total, 2), "the last values")

    def test_elapsed(self):
        self.arm_aggregate("elapsed", type="hist")
        for _ in range(10):
            samples.plain(1, 2)
        total, count = self.only()
        self.assertEqual(count, 10)
        self.assertTrue(0 < total < 1, total)

    def test_key(self):
        self.arm_aggregate("1", name="shop.adds", tags='{"b": a, "a": "x"}')
        samples.plain(7, 3)
        ((key, is_histogram, _, _, is_final),) = engine_testing.take_aggregates()
        key = Aggregate.FromString(key)
        self.assertFalse(is_histogram or is_final or key.is_overflow)
        self.assertEqual((key.spec_id, key.spec_revision), ("spec-0", self._revision))
        self.assertEqual(key.name, "shop.adds")
        self.assertEqual([(t.key, t.value) for t in key.tags], [("a", "x"), ("b", "7")])

    def test_hist_takes_negative_numbers(self):
        self.arm_aggregate("a - 5", type="hist")
        samples.plain(1, 1)
        samples.plain(7, 1)
        self.assertEqual(self.only(), (-2, 2))

    def test_call(self):
        self.arm_aggregate("a", event="call")
        samples.plain(4, 1)
        self.assertEqual(self.only(), (4, 1))

    def test_tags_facet(self):
        self.arm_aggregate("b", tags='["region:" + str(a), "fixed"]')
        for a in (1, 2, 1):
            samples.plain(a, 10)
        self.assertEqual(
            self.aggregates(),
            {
                ("spec-0", "fixed=,region=1"): (20, 2),
                ("spec-0", "fixed=,region=2"): (10, 1),
            },
        )

    def test_the_order_of_tags_does_not_matter(self):
        self.arm_aggregate("1", tags='{"x": 1, "y": 2} if a else {"y": 2, "x": 1}')
        samples.plain(0, 1)
        samples.plain(1, 1)
        self.assertEqual(self.aggregates(), {("spec-0", "x=1,y=2"): (2, 2)})

    def test_lists(self):
        self.arm_aggregate("[a, (b, 'one'), [a, ['x:1', 'y:2']], (b, {'x': 3})]")
        samples.plain(1, 2)
        self.assertEqual(
            self.aggregates(),
            {
                ("spec-0", ""): (1, 1),
                ("spec-0", "one="): (2, 1),
                ("spec-0", "x=1,y=2"): (1, 1),
                ("spec-0", "x=3"): (2, 1),
            },
        )

    def test_a_pairs_tags_come_on_top(self):
        self.arm_aggregate("[1, (2, 'q:1')]", type="hist", tags="['p:0']")
        samples.plain(1, 2)
        self.assertEqual(
            self.aggregates(), {("spec-0", "p=0"): (1, 1), ("spec-0", "p=0,q=1"): (2, 1)}
        )

    def test_an_empty_list_adds_nothing(self):
        self.arm_aggregate("[]")
        samples.plain(1, 2)
        self.assertEqual(self.aggregates(), {})
        self.assertEqual(self.status()["hits"], 1)

    def test_refusals(self):
        value, tags = "instrument.value", "instrument.custom.tags"
        for type, expression, tag_expression, error, field in [
            ("incr", "-1", None, "ValueError: -1 is negative, and a counter only goes up", value),
            ("incr", "[1, -0.5]", None,
             "ValueError: -0.5 is negative, and a counter only goes up", value),
            ("incr", "float('nan')", None, "ValueError: nan is not a finite number", value),
            ("hist", "float('nan')", None, "ValueError: nan is not a finite number", value),
            ("hist", "float('-inf')", None, "ValueError: inf is not a finite number", value),
            ("incr", "10**400", None, "OverflowError: int too large to convert to float", value),
            ("incr", "'5'", None,
             "TypeError: a number, or a list of numbers or (number, tags) pairs, is expected, "
             "not str", value),
            ("hist", "None", None,
             "TypeError: a number, or a list of numbers or (number, tags) pairs, is expected, "
             "not NoneType", value),
            ("incr", "[1, 'x']", None,
             "TypeError: item 1: a number or a (number, tags) pair is expected, not str", value),
            ("incr", "[(1, 'x', 2)]", None,
             "TypeError: item 0: a number or a (number, tags) pair is expected, not tuple", value),
            ("incr", "[(1, 5)]", None,
             "TypeError: a dict or a list of str is expected, not int", value),
            ("incr", "[0] * 101", None, "ValueError: 101 values, at most 100", value),
            ("incr", "1", "5", "TypeError: a dict or a list of str is expected, not int", tags),
            ("incr", "[1]", "5", "TypeError: a dict or a list of str is expected, not int", tags),
            ("incr", "1", "a.x", "AttributeError: 'int' object has no attribute 'x'", tags),
        ]:
            with self.subTest(expression, tags=tag_expression):
                spec = {} if tag_expression is None else {"tags": tag_expression}
                self.arm_aggregate(expression, type=type, **spec)
                self.assertEqual(samples.plain(2, 3), 5)
                self.assertEqual(self.failure(), (error, field))
                self.assertEqual(self.aggregates(), {}, "all or nothing")

    def test_too_many_tag_sets(self):
        self.arm_aggregate("1", tags="{'a': a}")
        for a in range(64):
            samples.plain(a, 0)
        self.assertEqual(self.status()["message"], "")
        self.assertEqual(len(self.aggregates()), 64)
        for a in range(100, 110):
            samples.plain(a, 0)
        samples.plain(63, 0)
        self.assertEqual(
            self.aggregates(), {("spec-0", OVERFLOW): (10, 10), ("spec-0", "a=63"): (2, 2)}
        )
        self.assertEqual(self.state(), "ARMED")
        self.assertIn("otel.metric.overflow", self.status()["message"])
        self.assertEqual(engine_testing.status_changes() > 0, True)

    def test_tags_too_long(self):
        self.arm_aggregate("1", tags="{'a': 'x' * 300} if a else {'a': 'y' * 150}")
        samples.plain(1, 0)
        samples.plain(0, 0)
        self.assertEqual(
            self.aggregates(), {("spec-0", OVERFLOW): (1, 1), ("spec-0", "a=" + "y" * 150): (1, 1)}
        )

    def test_an_edit_begins_anew(self):
        self.arm_aggregate("1")
        samples.plain(1, 2)
        self.arm_aggregate("10")
        samples.plain(1, 2)
        totals = [
            (Aggregate.FromString(key).spec_revision, total, is_final)
            for key, _, total, _, is_final in engine_testing.take_aggregates()
        ]
        self.assertEqual(
            sorted(totals), [(self._revision - 1, 1.0, True), (self._revision, 10.0, False)]
        )

    def test_removal_frees_the_slots(self):
        for i in range(300):
            self.arm_aggregate("1")
            samples.plain(1, 2)
            self.apply()
            ((_, _, total, _, is_final),) = engine_testing.take_aggregates()
            self.assertEqual((total, is_final), (1, True), i)

    def test_the_same_revision_goes_on(self):
        spec = {"id": "s", "target": TARGET, "type": "incr", "value": "1", "revision": 7}
        engine_testing.apply([spec])
        samples.plain(1, 2)
        engine_testing.apply([spec])
        samples.plain(1, 2)
        self.assertEqual(self.aggregates(), {("s", ""): (2, 2)})

    def test_without_a_segment_it_is_dropped(self):
        self.arm_aggregate("1")
        samples.plain(1, 2)
        self.aggregates()
        engine_testing.renew_segment(False)
        samples.plain(1, 2)
        self.assertEqual(self.status()["dropped"], 1)
        engine_testing.renew_segment(True)
        samples.plain(1, 2)
        self.assertEqual(self.aggregates(), {("spec-0", ""): (1, 1)}, "from 0 again")
        self.assertEqual(self.status()["dropped"], 1)
        self.assertEqual(self.status()["hits"], 3)

    def test_threads(self):
        self.arm_aggregate("1", tags="{'a': a}")

        def run(a):
            for _ in range(2000):
                samples.plain(a, 0)

        threads = [threading.Thread(target=run, args=(a,)) for a in (1, 2, 1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(
            self.aggregates(), {("spec-0", "a=1"): (4000, 4000), ("spec-0", "a=2"): (4000, 4000)}
        )


if __name__ == "__main__":
    unittest.main()
