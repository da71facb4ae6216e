# SPDX-License-Identifier: MIT
"""The type swap: all the ways in which a function is called, none of which may slip by."""
import dis
import functools
import operator
import sys
import threading
import unittest

import engine_testing
import samples
from swap_support import SwapTest

WARM_UP = 100


class Point:
    def __init__(self, x):
        self.x = x

    def method(self, y):
        return self.x + y

    def defaults(self, y=1, *, z=2):
        return y + z

    @property
    def double(self):
        return self.x * 2

    @staticmethod
    def static(y):
        return y

    @classmethod
    def of_class(cls, y):
        return y

    def __getitem__(self, key):
        return key

    def __setitem__(self, key, value):
        pass

    def __delitem__(self, key):
        pass

    def __add__(self, other):
        return self

    def __radd__(self, other):
        return self

    def __iadd__(self, other):
        return self

    def __neg__(self):
        return self

    def __eq__(self, other):
        return True

    def __lt__(self, other):
        return True

    def __hash__(self):
        return 1

    def __len__(self):
        return 3

    def __bool__(self):
        return True

    def __call__(self, y):
        return y

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return None

    def __contains__(self, item):
        return True

    def __iter__(self):
        return iter(())

    def __getattr__(self, name):
        return name

    def __str__(self):
        return "text"

    def __format__(self, spec):
        return "text"

    def __index__(self):
        return 1


class Overrides:
    """What Point cannot have without changing how it is reached."""

    def __getattribute__(self, name):
        return name

    def __setattr__(self, name, value):
        pass

    def __delattr__(self, name):
        pass

    def __get__(self, instance, owner):
        return self

    def __set__(self, instance, value):
        pass

    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration

    def __repr__(self):
        return "text"

    def __new__(cls):
        return object.__new__(cls)

    def __class_getitem__(cls, key):
        return key

    def __init_subclass__(cls):
        pass

    def __instancecheck__(self, other):
        return True

    def __del__(self):
        pass

    def generate(self):
        yield 1

    async def coroutine(self):
        return 1


Point.described = Overrides()


def set_attribute(p):
    p.x = 1


def delete_attribute(p):
    del p.x


def set_described(p):
    Point(1).described = 2


def run_coroutine(p):
    coroutine = Overrides.coroutine(p)
    try:
        coroutine.send(None)
    except StopIteration:
        pass


def with_it(p):
    with p:
        pass


def in_place(p):
    p += 1


def set_it(p):
    p[1] = 2


def delete_it(p):
    del p[1]


def iterate(p):
    for _ in p:
        pass


# name of the function, what reaches it; run in a loop that the interpreter has specialised
WAYS = [
    ("method", lambda p: p.method(1)),
    ("method", lambda p: Point.method(p, 1)),
    ("method", lambda p: p.method(y=1)),
    ("method", lambda p: p.method(*[1])),
    ("defaults", lambda p: p.defaults()),
    ("defaults", lambda p: p.defaults(1)),
    ("defaults", lambda p: p.defaults(z=1)),
    ("double", lambda p: p.double),
    ("static", lambda p: p.static(1)),
    ("static", lambda p: Point.static(1)),
    ("of_class", lambda p: Point.of_class(1)),
    ("__init__", lambda p: Point(1)),
    ("__getitem__", lambda p: p[1]),
    ("__getitem__", lambda p: operator.getitem(p, 1)),
    ("__setitem__", set_it),
    ("__delitem__", delete_it),
    ("__add__", lambda p: p + 1),
    ("__radd__", lambda p: 1 + p),
    ("__iadd__", in_place),
    ("__neg__", lambda p: -p),
    ("__eq__", lambda p: p == 1),
    ("__lt__", lambda p: p < 1),
    ("__hash__", lambda p: hash(p)),
    ("__len__", lambda p: len(p)),
    ("__bool__", lambda p: 1 if p else 0),
    ("__call__", lambda p: p(1)),
    ("__enter__", with_it),
    ("__exit__", with_it),
    ("__contains__", lambda p: 1 in p),
    ("__iter__", iterate),
    ("__getattr__", lambda p: p.unknown),
    ("__str__", lambda p: str(p)),
    ("__format__", lambda p: f"{p}"),
    ("__index__", lambda p: [1, 2][p]),
]


# the same of Overrides
MORE_WAYS = [
    ("__getattribute__", lambda p: p.x),
    ("__setattr__", set_attribute),
    ("__delattr__", delete_attribute),
    ("__get__", lambda p: Point.described),
    ("__set__", set_described),
    ("__iter__", iterate),
    ("__next__", iterate),
    ("__repr__", lambda p: f"{p!r}"),
    ("__new__", lambda p: Overrides()),
    ("__class_getitem__", lambda p: Overrides[1]),
    ("__init_subclass__", lambda p: type("Derived", (Overrides,), {})),
    ("__instancecheck__", lambda p: isinstance(1, p)),
    ("__del__", lambda p: Overrides()),
    ("generate", lambda p: list(Overrides.generate(p))),
    ("coroutine", run_coroutine),
]


def loop(way, p, count):
    for _ in range(count):
        way(p)


class EveryWayTest(SwapTest):
    def check_ways(self, ways, instance, event):
        owner = type(instance).__name__
        for name, way in ways:
            with self.subTest(name=name):
                loop(way, instance, WARM_UP)
                for _ in range(2):  # again after a detach, when caches may hold old versions
                    self.arm(f"{__name__}.{owner}.{name}", "1", event=event)
                    loop(way, instance, WARM_UP)
                    self.assertEqual(self.status()["hits"], WARM_UP)
                    self.apply()
                    loop(way, instance, WARM_UP)
                    self.assertEqual(len(self.values()), WARM_UP)

    def test_specialised_code(self):
        self.check_ways(WAYS, Point(1), "return")

    def test_more_specialised_code(self):
        self.check_ways(MORE_WAYS, Overrides(), "call")

    def test_specialised_as_before_after_a_detach(self):
        def instructions(way):
            loop(way, point, 10 * WARM_UP)
            return [i.opname for i in dis.get_instructions(way, adaptive=True)]

        point = Point(1)
        for name, way in WAYS:
            with self.subTest(name=name):
                before = instructions(way)
                self.arm(f"{__name__}.Point.{name}", "1", event="call")
                loop(way, point, WARM_UP)
                self.apply()
                after = instructions(way)
                if name == "__init__" and sys.version_info >= (3, 13):
                    # right for all callables, so nothing ever makes the interpreter leave it
                    after[after.index("CALL_NON_PY_GENERAL")] = "CALL_ALLOC_AND_ENTER_INIT"
                self.assertEqual(after, before)

    def test_replaced_while_armed(self):
        """What specialised code knows of the old parts must not come back with the version."""
        def replaced(a, b=1):
            return a + b

        def call():
            try:
                return replaced(1)
            except TypeError:
                return None

        samples.replaced = replaced
        changes = [
            (lambda: setattr(replaced, "__defaults__", (2,)), 3),
            (lambda: setattr(replaced, "__code__", (lambda a, b: -a - b).__code__), -3),
            (lambda: setattr(replaced, "__kwdefaults__", {"c": 3}), -3),
            (lambda: setattr(replaced, "__defaults__", None), None),
        ]
        for change, result in changes:
            for _ in range(WARM_UP):
                call()
            self.arm("samples.replaced")
            call()
            change()
            self.assertEqual(call(), result)
            self.apply()
            self.assertEqual([call() for _ in range(WARM_UP)], [result] * WARM_UP)

    def test_init_of_several_classes(self):
        """Shared, inherited, under another name: whatever a class has noted as its __init__."""
        def start(self, x):
            self.x = x

        class Base:
            __init__ = start

        class Derived(Base):
            pass

        class Other(int, Base):  # int.__new__ comes first
            pass

        class Late:
            pass

        samples.start = start
        classes = [Base, Derived, Other, Late]
        for _ in range(3):
            loop(lambda p: [cls(1) for cls in classes if cls is not Late], None, WARM_UP)
            self.arm("samples.start", "x")
            Late.__init__ = start
            loop(lambda p: [cls(1) for cls in classes], None, WARM_UP)
            self.assertEqual(self.status()["hits"], len(classes) * WARM_UP)
            self.apply()
            engine_testing.take_events()

    def test_inside_a_running_loop(self):
        def hot(armed_at):
            for i in range(3 * WARM_UP):
                if i == armed_at:
                    self.arm(f"{__name__}.Point.method", "y")
                if i == 2 * WARM_UP:
                    self.apply()
                point.method(i)

        point = Point(1)
        hot(WARM_UP)
        self.assertEqual(self.values(), list(range(WARM_UP, 2 * WARM_UP)))

    def test_references_taken_before(self):
        point = Point(1)
        bound, partial = point.method, functools.partial(Point.method, point)
        registry, closure = {"f": Point.method}, (lambda f: lambda: f(point, 4))(Point.method)
        self.arm(f"{__name__}.Point.method", "y")
        bound(1), partial(2), registry["f"](point, 3), closure()
        sorted([5], key=bound)
        list(map(bound, [6]))
        functools.reduce(lambda _, y: bound(y), [7, 8])
        self.assertEqual(self.values(), [1, 2, 3, 4, 5, 6, 8])

    def test_callbacks_from_other_threads(self):
        self.arm("samples.plain", "a")
        thread = threading.Thread(target=samples.plain, args=(5,))
        thread.start()
        thread.join()
        self.assertEqual(self.values(), [5])


if __name__ == "__main__":
    unittest.main()
