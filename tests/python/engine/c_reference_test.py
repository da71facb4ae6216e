# SPDX-License-Identifier: MIT
"""Definitions of functions in C in memory that cannot be written: the last resort."""
import functools
import gc
import sys
import types
import unittest

import c_testing
from c_support import CFunctionTest


class ReferenceTest(CFunctionTest):
    """Definitions in memory that cannot be written."""

    def test_read_only_memory(self):
        target = c_testing.make("one", "readonly")

        def protection():
            with open("/proc/self/maps") as file:
                return [line.split()[1] for line in file if "memfd:definition" in line]

        before = protection()
        with self.probed(target) as number:
            self.assertEqual(self.mechanism(number), "c-method")
            self.assertEqual(protection(), before)
            target(1)
        self.assertEqual(protection(), before)
        self.assertEqual(self.records(number), [(None, (1,), {}, ((1,), {}))])

    def holders(self, target):
        class Slots:
            __slots__ = ("slot",)

        class Class:
            static = staticmethod(target)
            attribute = target

        slots, instance, inline = Slots(), Class(), Class()
        slots.slot = target
        instance.own = target
        instance.__dict__
        inline.own = target
        module = types.ModuleType("holder")
        module.function = target

        def closure(default=target, *, keyword=target):
            return target, default, keyword

        closure.own = target
        cell = closure.__closure__[0]
        partial = functools.partial(target)
        items, mapping, pair = [0, target, target], {"a": target, 1: target}, (target, 2)
        gc.freeze()
        self.addCleanup(gc.unfreeze)
        return {
            "module": lambda: module.function, "class": lambda: Class.attribute,
            "instance of class": lambda: inline.attribute,
            "static": lambda: Class.static, "static through the instance": lambda: instance.static,
            "instance": lambda: instance.own, "inline": lambda: inline.own,
            "slots": lambda: slots.slot, "list": lambda: items[2], "dict": lambda: mapping["a"],
            "dict with other keys": lambda: mapping[1], "tuple": lambda: pair[0],
            "cell": lambda: cell.cell_contents, "default": lambda: closure()[1],
            "keyword default": lambda: closure()[2], "closure": lambda: closure()[0],
            "function attribute": lambda: closure.own, "partial": lambda: partial.func,
        }

    def test_references_are_replaced_and_put_back(self):
        for kind in ("one", "fast_keywords"):
            target = c_testing.make(kind, "sealed")
            holders = self.holders(target)
            for holder in holders.values():
                for _ in range(60):
                    self.assertIs(holder(), target)
            count_before = sys.getrefcount(target)
            number = self.attach(target)
            self.assertEqual(self.mechanism(number), "c-references")
            for name, holder in holders.items():
                with self.subTest(f"{name}, armed"):
                    stand_in = holder()
                    self.assertIsNot(stand_in, target)
                    stand_in(name)
                    self.assertEqual(self.records(number)[-1],
                                     (None, (name,), {}, ((name,), {})))
            del stand_in
            calls = self.count(number)
            self.assertEqual(calls, len(holders))
            self.detach(number)
            for name, holder in holders.items():
                with self.subTest(f"{name}, restored"):
                    self.assertIs(holder(), target)
            target(1)
            self.assertEqual(self.count(number), calls)
            c_testing.reset()
            self.attached = []
            self.assertEqual(sys.getrefcount(target), count_before)

    def test_the_stand_in_looks_like_the_function(self):
        target = holder = c_testing.make("one", "sealed")
        box = [target]
        number = self.attach(target)
        stand_in = box[0]
        self.assertIsNot(stand_in, target)
        for name in ("__name__", "__doc__", "__self__", "__module__", "__qualname__", "__class__",
                     "__text_signature__"):
            self.assertEqual(getattr(stand_in, name), getattr(target, name))
        self.assertEqual((repr(stand_in), hash(stand_in)), (repr(target), hash(target)))
        self.assertTrue(stand_in == target and target == stand_in and {target: 1}[stand_in])
        self.assertIsInstance(stand_in, types.BuiltinFunctionType)
        self.assertTrue(callable(stand_in))
        with self.assertRaises(KeyError):
            stand_in(KeyError())
        self.detach(number)
        self.assertEqual(stand_in(1), ((1,), {}))
        self.assertEqual(self.count(number), 1)
        self.assertIs(holder, target)

    def test_the_stand_in_is_refused_as_a_target(self):
        target = c_testing.make("one", "sealed")
        box = [target]
        self.attach(target)
        with self.assertRaisesRegex(RuntimeError, "another"):
            c_testing.attach(box[0])

    def test_what_is_left_is_named(self):
        target = c_testing.make("one", "sealed")
        box, left = [target], {target}
        number = self.attach(target)
        excluded = c_testing.describe(number)["excluded"]
        self.assertIn("sets, keys of dicts", excluded)
        self.assertRegex(excluded, r"\d+ found and left alone, in .*\bset\b")
        self.detach(number)
        self.assertEqual((box, left), ([target], {target}))

    def test_nothing_to_replace(self):
        with self.assertRaisesRegex(RuntimeError, "read-only.*no reference"):
            c_testing.attach(c_testing.make("one", "sealed"))


if __name__ == "__main__":
    unittest.main()
