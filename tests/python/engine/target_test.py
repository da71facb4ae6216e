# SPDX-License-Identifier: MIT
import unittest

import samples
from samples import plain as imported_plain
from support import IS_INSIDE, EngineTest


def set_value():
    samples.Thing().value = 3


def delete_value():
    del samples.Thing().value


# target, a call that hits it, the result
HITS = [
    ("samples.plain", lambda: samples.plain(1), 3),
    ("samples.plain", lambda: imported_plain(1), 3),
    ("samples.plain", lambda: samples.partial(), 3),
    ("samples.plain", lambda: list(map(samples.plain, [1])), 3),
    ("samples.decorated", lambda: samples.decorated(4), ["wrapped", 4]),
    ("samples.decorated.__wrapped__", lambda: samples.decorated(4), 4),
    ("samples.cached.__wrapped__", lambda: (samples.cached.cache_clear(), samples.cached(3)),
     3),
    ("samples.Thing.method", lambda: samples.Thing(1).method(2), 3),
    ("samples.Thing.method", lambda: samples.bound(2), 3),
    ("samples.thing.method", lambda: samples.thing.method(2), 3),
    ("samples.Thing.inherited", lambda: samples.Thing().inherited(), "inherited"),
    ("samples.Base.inherited", lambda: samples.Thing().inherited(), "inherited"),
    ("samples.Thing.on_meta", lambda: samples.Thing.on_meta(), "meta"),
    ("samples.Thing.Nested.method", lambda: samples.Thing.Nested().method(), "nested"),
    ("samples.Thing.static", lambda: samples.Thing.static(2), ["static", 2]),
    ("samples.Thing.static.__func__", lambda: samples.Thing().static(2), ["static", 2]),
    ("samples.Thing.of_class", lambda: samples.Thing.of_class(2), ["Thing", 2]),
    ("samples.Thing.value", lambda: samples.Thing(9).value, 9),
    ("samples.Thing.value.fget", lambda: samples.Thing(9).value, 9),
    ("samples.Thing.value.fset", set_value, None),
    ("samples.Thing.value.fdel", delete_value, None),
    ("samples.Thing.write_only.fset", lambda: setattr(samples.Thing(), "write_only", 1), None),
    ("samples.Thing.lazy", lambda: samples.Thing(9).lazy, ["lazy", 9]),
    ("samples.Thing.lazy.func", lambda: samples.Thing(9).lazy, ["lazy", 9]),
    ("samples.Thing.__init__", lambda: samples.Thing(), None),
    ("samples.Thing.__call__", lambda: samples.thing(2), ["called", 2]),
    ("samples.Thing.__getitem__", lambda: samples.thing["k"], ["item", "k"]),
    ("samples.Thing.__len__", lambda: len(samples.thing), 7),
    ("samples.Thing.__add__", lambda: samples.thing + 1, ["sum", 1]),
    ("samples.Thing.__eq__", lambda: samples.thing == 1, ["equal", 1]),
    ("samples.Thing.__contains__", lambda: 1 in samples.thing, True),
    ("samples.Thing.__bool__", lambda: bool(samples.thing), True),
    ("samples.Thing.__getattr__", lambda: samples.thing.dynamic, "dynamic"),
]

REFUSALS = [
    ("samples.Thing", "is a class, not a function; name a method of it, such as "
                      "samples.Thing.__init__"),
    ("samples", "names no module"),
    ("samples.a_module", "is a module"),
    ("samples.number", "is a int object, which has no __call__"),
    ("samples.Thing.write_only", "is a property without a getter"),
    ("builtins.object.__init__", "is a slot of a type in C"),
]

PENDING = [
    ("not_there.f", "module not_there is not imported yet"),
    ("samples.missing", "module samples has no missing yet"),
    ("samples.Thing.missing", "class samples.Thing has no missing yet"),
    ("samples.thing.dynamic", "object samples.thing has no dynamic yet"),
    ("xml.not_imported_here.f", "module xml.not_imported_here is not imported yet"),
]


class TargetTest(EngineTest):
    def test_hits(self):
        for target, call, result in HITS:
            with self.subTest(target=target):
                unprobed = repr(call())
                self.arm(target)
                probed = repr(call())
                self.assertEqual(self.values(), [result])
                self.assertEqual(self.status()["hits"], 1)
                self.assertEqual(self.status()["functions"], 1)
                self.assertEqual(self.status()["mechanism"],
                                 "monitoring" if IS_INSIDE else "type-swap")
                self.apply()
                if "object at" not in probed:
                    self.assertEqual(probed, unprobed)
                call()
                self.assertEqual(self.values(), [])
        self.assert_restored(samples.plain, samples.Thing.method, samples.Thing.__init__)

    def test_refusals(self):
        for target, message in REFUSALS:
            with self.subTest(target=target):
                self.apply({"target": target})
                self.assertEqual(self.state(), "FAILED")
                self.assertIn(message, self.status()["message"])
                self.assertTrue(self.status()["message"].startswith("target"))

    def test_pending(self):
        import xml  # noqa: F401 a package without its modules

        for target, message in PENDING:
            with self.subTest(target=target):
                self.apply({"target": target})
                self.assertEqual((self.state(), self.status()["message"]), ("PENDING", message))

    def test_function_of_the_same_name_as_a_module(self):
        import pprint

        self.arm("pprint.pformat")
        pprint.pformat(1)
        self.assertEqual(self.values(), ["1"])

    def test_call_of_generators(self):
        self.arm("samples.generator", "n", event="call")
        self.assertEqual(list(samples.generator(3)), [0, 1, 2])
        self.assertEqual(self.values(), [3])

    def test_several_instruments_on_one_function(self):
        self.apply(
            {"target": "samples.plain", "value": "a", "event": "call"},
            {"target": "samples.plain", "value": "b"},
            {"target": "samples.plain", "value": "result"},
        )
        samples.plain(1)
        self.assertEqual(self.values(), [1, 2, 3])
        self.apply({"target": "samples.plain", "value": "a"})
        samples.plain(1)
        self.assertEqual(self.values(), [1])


if __name__ == "__main__":
    unittest.main()
