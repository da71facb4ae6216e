# SPDX-License-Identifier: MIT
"""Callable instances of types in C."""
import functools
import json
import operator
import unittest

import c_testing
from c_support import CFunctionTest


class InstanceTest(CFunctionTest):
    def cases(self):
        """(object, call, mechanism by version or None)"""
        cached = functools.lru_cache(lambda x: x)
        partial = functools.partial(c_testing.fast, 1)
        slow = functools.partial(functools.lru_cache(lambda x: x))
        return [
            (json.JSONDecoder().scan_once, lambda o: o("[1]", 0), {"c-type-call"}),
            (cached, lambda o: o(1), {"c-type-call", "c-vectorcall"}),
            (partial, lambda o: o(2), {"c-vectorcall"}),
            (slow, lambda o: o(2), {"c-type-call", "c-vectorcall"}),
            (operator.itemgetter(0), lambda o: o([1]), {"c-type-call", "c-vectorcall"}),
            (operator.attrgetter("real"), lambda o: o(1), {"c-type-call", "c-vectorcall"}),
            (operator.methodcaller("strip"), lambda o: o(" a "), {"c-type-call", "c-vectorcall"}),
        ]

    def test_calls_of_the_object_alone(self):
        for (target, call, mechanisms), (other, _, _) in zip(self.cases(), self.cases()):
            with self.subTest(repr(target)):
                expected = call(other)
                before = c_testing.pointers(target)
                number = self.attach(target)
                self.assertIn(self.mechanism(number), mechanisms)
                for _ in range(50):
                    self.assertEqual(call(target), expected)
                    call(other)
                self.assertEqual(call(target.__call__), expected)
                self.assertEqual(list(map(lambda _: call(target), range(3))), [expected] * 3)
                self.detach(number)
                self.assertEqual(self.count(number), 54)
                self.assertEqual(self.records(number)[0][3], expected)
                call(target)
                self.assertEqual(self.count(number), 54)
                self.assertEqual(c_testing.pointers(target), before)

    def test_an_object_that_gives_up_its_vectorcall(self):
        """A partial does, when it finds that its function has none (any more)."""
        class Inner(functools.partial):
            pass
        inner = Inner(c_testing.one)
        inner.attribute = "or it would be taken apart"
        target = functools.partial(inner)
        number = self.attach(target)
        target(1)
        Inner.__call__ = lambda self, x: ("in Python", x)
        for i in range(3):
            self.assertEqual(target(i), ("in Python", i))
        self.assertEqual([record[1] for record in self.records(number)], [(1,), (0,), (1,), (2,)])
        self.detach(number)
        self.assertEqual(target(9), ("in Python", 9))
        self.assertEqual(self.count(number), 4)

    def test_arguments(self):
        partial = functools.partial(c_testing.fast_keywords, 0)
        cached = functools.lru_cache(lambda a, b=0: a)
        for target in (partial, cached):
            with self.subTest(repr(target)), self.probed(target) as number:
                target(1, b=2)
                target.__call__(1, b=2)
                args, kwargs = (1,), {"b": 2}
                target(*args, **kwargs)
                self.assertEqual([record[:3] for record in self.records(number)],
                                 [(None, (1,), {"b": 2})] * 3)

    def test_exceptions(self):
        cached = functools.lru_cache(lambda: 1 // 0)
        with self.probed(cached) as number:
            with self.assertRaises(ZeroDivisionError) as caught:
                cached()
        self.assertIs(self.records(number)[0][3], caught.exception)

    def test_json_loads(self):
        with self.probed(json._default_decoder.scan_once) as number:
            self.assertEqual(json.loads('{"a": [1]}'), {"a": [1]})
        self.assertEqual(self.records(number)[0][1], ('{"a": [1]}', 0))

    def test_methods_of_a_class(self):
        class Class:
            @functools.lru_cache
            def method(self, x):
                return x
        instance = Class()
        with self.probed(Class.__dict__["method"]) as number:
            instance.method(1)
        self.assertEqual(self.records(number), [(None, (instance, 1), {}, 1)])

    def test_two_objects_of_one_type(self):
        first, second = json.JSONDecoder().scan_once, json.JSONDecoder().scan_once
        before = c_testing.pointers(first)
        numbers = [self.attach(first, c_testing.TIME), self.attach(second, c_testing.TIME)]
        first("1", 0)
        self.detach(numbers[0])
        second("1", 0)
        first("1", 0)
        self.assertEqual([self.count(n) for n in numbers], [1, 1])
        self.detach(numbers[1])
        self.assertEqual(c_testing.pointers(first), before)

    def test_subclasses_that_were_made_meanwhile(self):
        target = functools.partial(max, 1)
        with self.probed(target):
            subclass = type("Subclass", (functools.partial,), {})
            made = subclass(max, 1)
            self.assertEqual(made(2), 2)
        self.assertEqual(made(2), 2)
        bare = type("Bare", (functools.partial,), {})(max, 1)
        self.assertEqual(c_testing.pointers(made)[2], c_testing.pointers(bare)[2])

    def test_instances_of_a_subclass(self):
        class Subclass(functools.partial):
            pass
        target, other = Subclass(max, 1), functools.partial(max, 1)
        with self.probed(target) as number:
            self.assertEqual([target(2), other(3), Subclass(max, 1)(4)], [2, 3, 4])
        self.assertEqual(self.records(number), [(None, (2,), {}, 2)])

    def test_many_objects(self):
        targets = [operator.itemgetter(i) for i in range(100)]
        before = [c_testing.pointers(target) for target in targets]
        numbers = [self.attach(target, c_testing.TIME) for target in targets]
        for i, target in enumerate(targets):
            for _ in range(i):
                target(range(100))
        for number in numbers[::2]:
            self.detach(number)
        for target in targets:
            target(range(100))
        self.assertEqual([self.count(n) for n in numbers], [i + i % 2 for i in range(100)])
        self.detach_all()
        self.assertEqual([c_testing.pointers(target) for target in targets], before)


if __name__ == "__main__":
    unittest.main()
