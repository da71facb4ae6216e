# SPDX-License-Identifier: MIT
import collections
import decimal
import enum
import unittest

import engine_testing
import samples
from support import EngineTest, Event, Repr, to_python


class Colour(enum.IntEnum):
    RED = 3


class Text(str):
    def __str__(self):
        raise AssertionError("the value's own code ran")

    __repr__ = __len__ = __iter__ = __str__


class Pair(collections.namedtuple("Pair", "x y")):
    def __iter__(self):
        raise AssertionError("the value's own code ran")


class Items(list):
    def __len__(self):
        raise AssertionError("the value's own code ran")

    __iter__ = __getitem__ = __len__


class Mapping(dict):
    def items(self):
        raise AssertionError("the value's own code ran")

    __iter__ = __len__ = keys = items


class BadRepr:
    def __repr__(self):
        raise ValueError("no\ntext")


class WorseRepr:
    def __repr__(self):
        return 5


class EvilRepr:
    def __repr__(self):
        raise SystemExit(3)


class Sized:
    def __init__(self, size):
        self.size = size

    def __repr__(self):
        return "é" * self.size


class Shrinking:
    """Takes from its list while the list is encoded."""

    def __init__(self, items):
        self.items = items

    def __repr__(self):
        self.items.clear()
        return "shrunk"


def nested(depth):
    value = "leaf"
    for _ in range(depth):
        value = [value]
    return value


def itself():
    value = []
    value.append(value)
    return value


def shrinking():
    items = []
    items += [1, Shrinking(items), 3, 4]
    return items


def shrinking_dict():
    items = {}
    items.update({1: Shrinking(items), 2: Sized(1), 3: 3})
    return items


M = __name__
VALUES = [
    (None, None),
    (True, True),
    (False, False),
    (0, 0),
    (-1, -1),
    (2**63 - 1, 2**63 - 1),
    (-2**63, -2**63),
    (2**63, Repr("int", "9223372036854775808")),
    (1.5, 1.5),
    (float("inf"), float("inf")),
    ("", ""),
    ("text", "text"),
    ("é€😀", "é€😀"),
    ("ÿ" * 3, "ÿ" * 3),
    ("a\ud800b", "a\\ud800b"),
    ("nul\0", "nul\0"),
    (b"\x00\xff", b"\x00\xff"),
    (bytearray(b"ab"), b"ab"),
    ([], []),
    ([1, [2, "x"]], [1, [2, "x"]]),
    ((1, 2), [1, 2]),
    ({}, {}),
    ({"a": 1, 2: None, b"k": [3]}, {"a": 1, 2: None, b"k": [3]}),
    (Colour.RED, 3),
    (Text("sub"), "sub"),
    (Pair(1, 2), [1, 2]),
    (Items([1, 2]), [1, 2]),
    (Mapping(a=1), {"a": 1}),
    (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    (collections.defaultdict(list, a=[1]), {"a": [1]}),
    (decimal.Decimal("1.50"), Repr("decimal.Decimal", "Decimal('1.50')")),
    ({1}, Repr("set", "{1}")),
    (1j, Repr("complex", "1j")),
    (ValueError("x"), Repr("ValueError", "ValueError('x')")),
    (int, Repr("type", "<class 'int'>")),
    (BadRepr(), Repr(f"{M}.BadRepr", "<repr failed: ValueError: no\ntext>")),
    (WorseRepr(), Repr(f"{M}.WorseRepr",
                       "<repr failed: TypeError: __repr__ returned non-string (type int)>")),
    (EvilRepr(), Repr(f"{M}.EvilRepr", "<repr failed: SystemExit: 3>")),
    (nested(6), nested(6)),
]

# value, original_size, a check of what arrived
CUTS = [
    ("x" * 2000, 0, lambda got: got == "x" * 2000),
    ("x" * 2001, 2001, lambda got: got == "x" * 2000),
    ("é" * 1001, 2002, lambda got: got == "é" * 1000),
    ("x" + "é" * 1000, 2001, lambda got: got == "x" + "é" * 999),
    ("€" * 10000, 30000, lambda got: got == "€" * 666),
    ("\ud800" * 400, 2400, lambda got: got == "\\ud800" * 333),
    (b"x" * 3000, 3000, lambda got: got == b"x" * 2000),
    (bytearray(3000), 3000, lambda got: got == bytes(2000)),
    (list(range(100)), 0, lambda got: got == list(range(100))),
    (list(range(101)), 101, lambda got: got == list(range(100))),
    (tuple(range(500)), 500, lambda got: got == list(range(100))),
    ({i: i for i in range(101)}, 101, lambda got: got == {i: i for i in range(100)}),
    # not counted to its end, which would take as long as the text is
    ("é" * 10**6, None, lambda got: got == "é" * 1000),
    (Sized(3000), 6000, lambda got: got == Repr(f"{M}.Sized", "é" * 1000)),
    (set(range(10**6)), None, lambda got: got.text.startswith("{0, 1, 2,")),
    (["x" * 2000] * 100, 100, lambda got: got == ["x" * 500] * 30),
    ({i: "x" * 2000 for i in range(100)}, 100,
     lambda got: got == {i: "x" * 500 for i in range(30)}),
]


def deepest(value):
    depth = 0
    while isinstance(value, list):
        depth, value = depth + 1, value[0]
    return depth, value


class ValueTest(EngineTest):
    def send(self, value):
        """The event of a call that returns `value`."""
        samples.raw = lambda: value
        self.arm("samples.raw")
        samples.raw()
        (event,) = self.events()
        self.assertEqual(event.kind, Event.KIND_HIT)
        return event

    def test_values(self):
        for i, (value, expected) in enumerate(VALUES):
            with self.subTest(i=i):
                event = self.send(value)
                got = to_python(event.value)
                self.assertEqual(got, expected)
                self.assertIs(type(got), type(expected))
                self.assertEqual(event.value.original_size, 0)

    def test_cuts(self):
        for i, (value, original_size, check) in enumerate(CUTS):
            with self.subTest(i=i):
                event = self.send(value)
                self.assertTrue(check(to_python(event.value)))
                if original_size is None:  # only known to be more
                    self.assertGreater(event.value.original_size, 2000)
                else:
                    self.assertEqual(event.value.original_size, original_size)

    def test_depth(self):
        depth, leaf = deepest(to_python(self.send(nested(7)).value))
        self.assertEqual((depth, leaf), (6, Repr("list", "['leaf']")))
        depth, leaf = deepest(to_python(self.send(itself()).value))
        self.assertEqual((depth, leaf), (6, Repr("list", "[[...]]")))

    def test_values_that_change_while_encoded(self):
        self.assertEqual(to_python(self.send(shrinking()).value)[:2],
                         [1, Repr(f"{M}.Shrinking", "shrunk")])
        self.send(shrinking_dict())

    def test_no_event_is_over_the_limit(self):
        wide = [[[["x" * 300] * 100] * 100] * 100] * 100
        for value in (wide, {i: wide for i in range(100)}, [Sized(1000)] * 100,
                      [["é" * 999] * 100] * 100):
            samples.raw = lambda: value
            tags = "['k' * 10 + str(i) + ':' + 'v' * 400 for i in range(32)]"
            self.arm("samples.raw", tags=tags)
            samples.raw()
            (data,) = engine_testing.take_events()
            self.assertLessEqual(len(data), 16384)
            event = Event.FromString(data)
            self.assertEqual(len(event.tags), 32)
            self.assertNotEqual(event.value.WhichOneof("kind"), None)

    def test_the_event_itself(self):
        import os
        import threading

        self.assertEqual(samples.plain(1), 3)
        self.apply({"id": "some.id", "target": "samples.plain", "revision": 77})
        thread = threading.Thread(target=samples.plain, args=(1,))
        samples.plain(1)
        thread.start()
        thread.join()
        first, second = self.events()
        self.assertEqual((first.spec_id, first.spec_revision), ("some.id", 77))
        self.assertEqual(first.thread_id, os.getpid())
        self.assertEqual(second.thread_id, thread.native_id)
        self.assertEqual(first.error, "")
        self.assertLessEqual(first.time_unix_nanos, second.time_unix_nanos)

    def test_strings_get_no_cached_utf8(self):
        import sys

        value = "é" * 1000
        size = sys.getsizeof(value)
        self.send(value)
        self.assertEqual(sys.getsizeof(value), size)


class TagsTest(EngineTest):
    def tags(self, expression, call=lambda: samples.plain(1)):
        self.arm("samples.plain", tags=expression)
        call()
        (event,) = self.events()
        self.assertEqual(event.kind, Event.KIND_HIT, event.error)
        return [(tag.key, tag.value) for tag in event.tags]

    def test_tags(self):
        cases = [
            ("{'a': a, 'r': result, 3: None}", [("a", "1"), ("r", "3"), ("3", "None")]),
            ("['k:v', 'no colon', 'a:b:c', ':x', '']",
             [("k", "v"), ("no colon", ""), ("a", "b:c"), ("", "x"), ("", "")]),
            ("('k:v',)", [("k", "v")]),
            ("{'k:v'}", [("k", "v")]),
            ("frozenset(['k:v'])", [("k", "v")]),
            ("{}", []),
            ("[]", []),
            ("{'é': '\\ud800'}", [("é", "\\ud800")]),
            ("{'k': [1, (2,), {3: set()}]}", [("k", "[1, (2,), {3: set()}]")]),
            ("{'k': 'é' * 200}", [("k", "é" * 127)]),
            ("['k:' + 'v' * 300]", [("k", "v" * 254)]),
            ("['k' * 300]", [("k" * 256, "")]),
            ("[str(i) for i in range(32)]", [(str(i), "") for i in range(32)]),
        ]
        for expression, expected in cases:
            with self.subTest(expression=expression):
                self.assertEqual(self.tags(expression), expected)

    def test_wrong_tags(self):
        cases = [
            ("5", "TypeError: a dict or a list of str is expected, not int"),
            ("'k:v'", "TypeError: a dict or a list of str is expected, not str"),
            ("None", "TypeError: a dict or a list of str is expected, not NoneType"),
            ("[1]", "TypeError: a tag in a list must be str, not int"),
            ("[str(i) for i in range(33)]", "ValueError: 33 tags, at most 32"),
            ("{i: i for i in range(33)}", "ValueError: 33 tags, at most 32"),
            ("nope", "NameError: name 'nope' is not defined"),
            ("{'k': type('T', (), {'__str__': lambda s: 1/0})()}",
             "ZeroDivisionError: division by zero"),
        ]
        for expression, message in cases:
            with self.subTest(expression=expression):
                self.arm("samples.plain", tags=expression)
                self.assertEqual(samples.plain(1), 3)
                (event,) = self.events()
                self.assertEqual((event.kind, event.error), (Event.KIND_ERROR, message))
                self.assertEqual(self.state(), "FAILED")
                self.assertEqual(self.status()["message"],
                                 f"instrument.custom.tags: {message}")


if __name__ == "__main__":
    unittest.main()
