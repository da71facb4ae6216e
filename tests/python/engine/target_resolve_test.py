# SPDX-License-Identifier: MIT
"""What targets resolve to, without arming anything."""
import enum
import gc
import random
import sys
import time
import types
import unittest
from inspect import unwrap

import target_samples as samples
from target_support import S, TargetTest, codes_in, codes_of
from target_testing import resolve, walks_heap

THING = samples.Thing.__dict__
IN_C = "target: is implemented in C: it has no lines or variables to look at"


def closure_of(function):
    return function.__closure__[0].cell_contents


HIDDEN = closure_of(samples.hidden)
CALL_DECO = samples.Deco.__call__

# target, function, written, self
FUNCTIONS = [
    ("twice", samples.twice, unwrap(samples.twice), None),
    ("twice.__wrapped__", samples.twice.__wrapped__, unwrap(samples.twice), None),
    ("wraps_builtin", samples.wraps_builtin, samples.wraps_builtin, None),
    ("endless", samples.endless, samples.endless.__wrapped__, None),
    ("dispatched", samples.dispatched, unwrap(samples.dispatched), None),
    ("Base.__own", samples.Base._Base__own, None, None),
    ("Base._Base__own", samples.Base._Base__own, None, None),
    ("Thing.__own", samples.Base._Base__own, None, None),
    ("Thing.__private", samples.Thing._Thing__private, None, None),
    ("Thing.inherited", samples.Base.inherited, None, None),
    ("Thing.decorated", samples.Thing.decorated, unwrap(samples.Thing.decorated), None),
    ("Thing.static", samples.Thing.static, None, None),
    ("Thing.of_class", THING["of_class"].__func__, None, None),
    ("Thing.of_class_around", THING["of_class_around"].__func__,
     unwrap(THING["of_class_around"].__func__), None),
    ("Thing.value", THING["value"].fget, None, None),
    ("Thing.value.fset", THING["value"].fset, None, None),
    ("Thing.lazy", THING["lazy"].func, None, None),
    ("Thing.dispatch", THING["dispatch"].func, None, None),
    ("Thing.partial_method", samples.Thing.method, None, None),
    ("Thing.coroutine", samples.Thing.coroutine, None, None),
    ("Thing.async_generator", samples.Thing.async_generator, None, None),
    ("Thing.generator", samples.Thing.generator, None, None),
    ("Color.value", enum.Enum.__dict__["value"].fget, None, None),
    ("Slots.__init__", samples.Slots.__init__, None, None),
    # through instances
    ("thing.method", samples.Thing.method, None, samples.thing),
    ("thing.inherited", samples.Base.inherited, None, samples.thing),
    ("thing.decorated", samples.Thing.decorated, unwrap(samples.Thing.decorated),
     samples.thing),
    ("thing.decorated.__wrapped__", unwrap(samples.Thing.decorated), None, samples.thing),
    ("thing.static", samples.Thing.static, None, None),
    ("thing.of_class", THING["of_class"].__func__, None, None),
    ("thing.value", THING["value"].fget, None, samples.thing),
    ("thing.value.fset", THING["value"].fset, None, samples.thing),
    ("thing.lazy", THING["lazy"].func, None, samples.thing),
    ("thing.dispatch", THING["dispatch"].func, None, samples.thing),
    ("thing.partial_method", samples.Thing.method, None, samples.thing),
    ("thing.__own", samples.Base._Base__own, None, samples.thing),
    ("slots.helper.help", samples.Helper.help, None, samples.slots.helper),
    ("callable_instance.helper.help", samples.Helper.help, None,
     samples.callable_instance.helper),
    ("callable_instance.plain", samples.endless, samples.endless.__wrapped__, None),
    ("partial.func", samples.endless, samples.endless.__wrapped__, None),
    ("bound", samples.Thing.method, None, samples.thing),
    ("bound.__func__", samples.Thing.method, None, samples.thing),
    ("bound.__self__.method", samples.Thing.method, None, samples.thing),
    ("bound_of_class", THING["of_class"].__func__, None, None),
    ("callable_instance", samples.Callable.__call__, None, samples.callable_instance),
    ("deco_function", CALL_DECO, samples.deco_function.__wrapped__, samples.deco_function),
    ("deco_function.__wrapped__", samples.deco_function.__wrapped__, None, None),
    ("Thing.by_instance", CALL_DECO, THING["by_instance"].__wrapped__, THING["by_instance"]),
    ("Thing.by_descriptor", CALL_DECO, THING["by_descriptor"].__wrapped__,
     THING["by_descriptor"]),
    ("thing.by_instance", CALL_DECO, THING["by_instance"].__wrapped__, THING["by_instance"]),
    ("uncallable.__wrapped__", samples.uncallable.__wrapped__, None, None),
    ("default", samples.default, None, None),
]

# target, callable, written, self
CALLABLES = [
    ("builtins.len", len, None, None),
    ("time.sleep", time.sleep, None, None),
    ("builtins.dict.get", dict.get, None, None),
    ("builtins.str.join", str.join, None, None),
    ("builtins.str.maketrans", str.maketrans, None, None),
    ("builtins.dict.fromkeys", dict.__dict__["fromkeys"], None, None),
    ("random.random", random.random, None, random.random.__self__),
    (S + "append", samples.append, None, samples.numbers),
    (S + "numbers.append", list.append, None, samples.numbers),
    (S + "partial", samples.partial, None, None),
    (S + "partial_subclass", samples.partial_subclass, None, None),
    (S + "item_getter", samples.item_getter, None, None),
    (S + "WithLambda.key", samples.WithLambda.key, None, None),
    (S + "bound_partial", samples.bound_partial.__func__, None, samples.thing),
    (S + "cached", samples.cached, unwrap(samples.cached), None),
    (S + "cached_around", samples.cached_around, unwrap(samples.cached_around), None),
    (S + "cached_builtin", samples.cached_builtin, None, None),
    (S + "cached.cache_info", type(samples.cached).cache_info, None, samples.cached),
    (S + "Thing.cached", THING["cached"], THING["cached"].__wrapped__, None),
    (S + "thing.cached", THING["cached"], THING["cached"].__wrapped__, samples.thing),
]

# target, its codes
NEST = samples.nest
CODES = [
    ("maker.<locals>.made", codes_of(unwrap(samples.maker), "made")),
    ("around.<locals>.around_wrapper", codes_of(samples.around, "around_wrapper")),
    ("hidden.<locals>.in_hidden", codes_of(HIDDEN, "in_hidden")),
    ("nest.<locals>.inner", codes_of(NEST, "inner")),
    ("nest.<locals>.inner.<locals>.deeper", codes_of(NEST, "inner.<locals>.deeper")),
    ("nest.<locals>.inner.<locals>.deeper.<locals>.<lambda>",
     codes_of(NEST, "inner.<locals>.deeper.<locals>.<lambda>")),
    ("nest.<locals>.several", codes_of(NEST, "several")),
    ("nest.<locals>.Local.method", codes_of(NEST, "Local.method")),
    ("nest.<locals>.Local.__private", codes_of(NEST, "Local.__private")),
    ("nest.<locals>.Local.method.<locals>.in_method",
     codes_of(NEST, "Local.method.<locals>.in_method")),
    ("nest.<locals>.Local.Inner.method", codes_of(NEST, "Local.Inner.method")),
    ("nest.<locals>.<lambda>", codes_of(NEST, "<lambda>")),
    ("nest.<locals>.<genexpr>", codes_of(NEST, "<genexpr>")),
    ("WithLambda.<lambda>", [samples.WithLambda.items[0].__code__]),
]

REFUSALS = [
    ("target_samples", "call", "target: is a module, not a function"),
    ("os.path", "call", "target: is a module, not a function"),
    (S + "Thing", "call", "target: is a class, not a function; name a method of it (target_samples"
     ".Thing has no __init__ and no __new__ in Python)"),
    (S + "Slots", "call", "target: is a class, not a function; name a method of it, such as "
     "target_samples.Slots.__init__"),
    (S + "OnlyNew", "end", "target: is a class, not a function; name a method of it, such as "
     "target_samples.OnlyNew.__new__"),
    (S + "nothing", "call",
     "target: is a target_samples.Nothing object, which has no __call__"),
    (S + "number", "call", "target: is a int object, which has no __call__"),
    (S + "uncallable", "call", "target: is a target_samples.Uncallable object, which has no "
     "__call__; the function that it wraps is at target_samples.uncallable.__wrapped__"),
    (S + "bad_call", "call",
     "target: is a target_samples.BadCall object whose __call__ is no Python function"),
    (S + "thing.by_descriptor", "call", "target: is a target_samples.BindingDeco object, which "
     "instances bind in a way of its own; name it by its class"),
    (S + "Thing.write_only", "return", "target: is a property without a getter"),
    (S + "Thing.lazy.attrname", "call", "target: is a str object, which has no __call__"),
    (S + "Thing.write_only.fget", "return", "target: is a property without a getter"),
    (S + "Thing.value.fdel", "return", "target: is a property without a deleter"),
    (S + "method_wrapper", "call", "target: is a slot of a type in C: operators and constructors "
     "reach it without a call"),
    ("builtins.int.__add__", "call", "target: is a slot of a type in C: operators and constructors "
     "reach it without a call"),
    ("builtins.object.__init__", "call", "target: is a slot of a type in C: operators and "
     "constructors reach it without a call"),
    (S + "Slots.helper", "call", "target: is an attribute that is kept in C, not a function"),
    ("types.FunctionType.__code__", "call",
     "target: is an attribute that is kept in C, not a function"),
    ("builtins.len", "end", IN_C),
    ("builtins.dict.get", "line", IN_C),
    (S + "partial", "end", IN_C),
    (S + "cached_builtin", "end", IN_C),
    (S + "many.<locals>.<lambda>", "call", "target: names more than 16 functions"),
    (S + "Thing.<locals>.x", "call", "target: target_samples.Thing is no Python function, it has "
     "no functions inside of it"),
    (S + "item_getter.<locals>.x", "call", "target: target_samples.item_getter is no Python "
     "function, it has no functions inside of it"),
]

PENDING = [
    ("not_there.f", "module not_there is not imported yet"),
    ("not_there.f.<locals>.g", "module not_there is not imported yet"),
    ("not/there.py:1", "file not/there.py is not loaded yet"),
    ("arget_samples.py:1", "file arget_samples.py is not loaded yet"),
    ("/target_samples.py:1", "file /target_samples.py is not loaded yet"),
    (S + "missing", "module target_samples has no missing yet"),
    (S + "Thing.missing", "class target_samples.Thing has no missing yet"),
    (S + "thing.missing", "object target_samples.thing has no missing yet"),
    (S + "slots.unset", "object target_samples.slots has no unset yet"),
    (S + "slots.unset.help", "object target_samples.slots has no unset yet"),
    (S + "twice.missing", "object target_samples.twice has no missing yet"),
    (S + "missing.<locals>.inner", "module target_samples has no missing yet"),
    (S + "nest.<locals>.missing", "function target_samples.nest has no function <locals>.missing "
     "yet"),
    (S + "nest.<locals>.inner.deeper", "function target_samples.nest has no function "
     "<locals>.inner.deeper yet"),
    (S + "nest.<locals>.Local", "function target_samples.nest has no function <locals>.Local yet"),
    (S + "nest.<locals>.Local.<locals>.method", "function target_samples.nest has no function "
     "<locals>.Local.<locals>.method yet"),
    (S + "Base.<lambda>", "class target_samples.Base has no function <lambda> yet"),
    ("xml.not_imported_here.f", "module xml.not_imported_here is not imported yet"),
]


class TargetResolveTest(TargetTest):
    def test_functions(self):
        for text, function, written, instance in FUNCTIONS:
            for point in ("call", "return", "end", "line"):
                with self.subTest(text=text, point=point):
                    result = self.found(S + text, point)
                    self.assertIs(result["function"], function)
                    self.assertIs(result["written"], written or function)
                    if point in ("call", "return") or function is not CALL_DECO:
                        self.assertIs(result["self"], instance)
                    else:  # the function as written is called without the decorator's instance
                        self.assertIsNone(result["self"])
                    self.assertEqual((result["callable"], result["codes"]), (None, []))

    def test_globals_are_those_of_the_code_that_is_looked_at(self):
        outer = types.FunctionType(samples.endless.__code__, {"of": "outer"})
        outer.__wrapped__ = samples.nest
        samples.other_globals = outer
        self.addCleanup(delattr, samples, "other_globals")
        for point, expected in (("call", outer.__globals__), ("return", outer.__globals__),
                                ("end", vars(samples)), ("line", vars(samples))):
            self.assertIs(self.found(S + "other_globals", point)["globals"], expected)
        self.assertIs(self.found(S + "cached", "end")["globals"], vars(samples))
        self.assertIs(self.found(S + "nest.<locals>.inner")["globals"], vars(samples))
        self.assertIsNone(self.found("builtins.len")["globals"])

    def test_callables_in_c(self):
        for text, function, written, instance in CALLABLES:
            for point in ("call", "return", "end", "line"):
                if written is None and point in ("end", "line"):
                    continue
                with self.subTest(text=text, point=point):
                    result = self.found(text, point)
                    self.assertIs(result["callable"], function)
                    self.assertIs(result["written"], written)
                    self.assertIs(result["self"], instance)
                    self.assertEqual((result["function"], result["codes"]), (None, []))

    def test_functions_of_cython(self):
        try:
            from Cython.Tempita import _tempita
        except ImportError:
            self.skipTest("no Cython for this interpreter")
        if not _tempita.__file__.endswith(".so"):
            self.skipTest("Cython is not compiled here")
        samples.template = _tempita.Template("x")
        self.addCleanup(delattr, samples, "template")
        method = _tempita.Template.__dict__["substitute"]
        for text, function, instance in [
            ("Cython.Tempita._tempita.sub", _tempita.sub, None),
            ("Cython.Tempita._tempita.Template.substitute", method, None),
            (S + "template.substitute", method, samples.template),
        ]:
            with self.subTest(text=text):
                result = self.found(text, "return")
                self.assertIs(result["callable"], function)
                self.assertIs(result["self"], instance)
                self.assertEqual(resolve(text, "line", False)["message"], IN_C)

    def test_codes(self):
        for text, codes in CODES:
            with self.subTest(text=text):
                self.assertNotEqual(codes, [])
                self.assert_codes(S + text, codes)

    def test_lambdas_of_a_module(self):
        lambdas = [code for code in (function.__code__ for function in gc.get_objects()
                                     if type(function) is types.FunctionType
                                     and function.__globals__ is vars(samples))
                   if code.co_qualname == "<lambda>"]
        self.assert_codes(S + "<lambda>", set(lambdas))
        self.assert_codes(S + "<lambda>.<locals>.<lambda>",
                          codes_in(samples.maker_of_lambda[0].__code__))

    def test_lambdas_of_a_frozen_heap(self):
        gc.collect()
        gc.freeze()
        try:
            self.assert_codes(S + "WithLambda.<lambda>", [samples.WithLambda.items[0].__code__])
        finally:
            gc.unfreeze()

    def test_closures_whose_maker_is_gone(self):
        module = self.make_module("def maker():\n    def made():\n        return 1\n"
                                  "    return made\nkept = [maker()]\ndel maker\n")
        self.assert_codes(module.__name__ + ".maker.<locals>.made", [module.kept[0].__code__])

    @unittest.skipIf(sys.version_info < (3, 12), "has no generic functions")
    def test_generic_functions_and_classes(self):
        module = self.make_module("""
            def maker():
                def generic[T](x: T) -> T:
                    return x

                class Generic[T]:
                    def method(self) -> T:
                        return 1

                return generic, Generic
            """)
        function, cls = module.maker()
        name = module.__name__
        self.assert_codes(name + ".maker.<locals>.generic", [function.__code__])
        self.assert_codes(name + ".maker.<locals>.Generic.method", [cls.method.__code__])
        self.assert_codes(f"{name}.py:{function.__code__.co_firstlineno + 1}",
                          [function.__code__])

    def test_refusals(self):
        for text, point, message in REFUSALS:
            with self.subTest(text=text):
                result = resolve(text, point, False)
                self.assertEqual((result["outcome"], result["message"]), ("REFUSED", message))
                self.assertEqual([result[key] for key in ("function", "callable", "codes",
                                                          "globals", "written", "self")],
                                 [None, None, [], None, None, None])

    def test_pending(self):
        import xml  # noqa: F401 a package without its modules

        for text, message in PENDING:
            with self.subTest(text=text):
                result = resolve(text, "call", False)
                self.assertEqual((result["outcome"], result["message"]), ("PENDING", message))

    def test_long_paths_are_cut_between_characters(self):
        for size in range(1, 5):
            text = "target_samples." + "a" * size + "\u00e4" * 240
            message = resolve(text, "call", False)["message"]
            self.assertIn("module target_samples has no a", message)
            self.assertIn("\u00e4" * 200, message)
        long = types.ModuleType("l" + "\u00e4" * 240)
        long.C = samples.Slots
        sys.modules[long.__name__] = long
        self.addCleanup(sys.modules.pop, long.__name__)
        message = resolve(long.__name__ + ".C", "call", False)["message"]
        self.assertTrue(message.endswith("\u00e4.__init__"), message)

    def test_no_references_are_kept(self):
        texts = [S + row[0] for row in FUNCTIONS] + [row[0] for row in CALLABLES]
        texts += [S + row[0] for row in CODES] + [row[0] for row in REFUSALS + PENDING]
        texts += [f"target_samples.py:{line}" for line in range(1, 260, 20)]
        objects = [samples.thing, samples.Thing.method, samples.nest, samples.nest.__code__,
                   vars(samples), samples.cached, samples.deco_function, samples.bound,
                   samples.WithLambda.items[0].__code__, list.append, samples.numbers]
        for text in texts:
            before = [sys.getrefcount(each) for each in objects]
            for _ in range(10):
                resolve(text, "call", False)
            after = [sys.getrefcount(each) for each in objects]
            self.assertEqual(after, before, text)

    def test_instances_keep_the_way_in_which_they_hold_their_attributes(self):
        instance = samples.Callable()
        samples.fresh = instance
        self.addCleanup(delattr, samples, "fresh")
        self.found(S + "fresh.helper.help")
        for i in range(40):  # past what can be held without a dict
            setattr(instance, f"attribute_{i}", i)
        self.assertIs(self.found(S + "fresh.helper.help")["self"], instance.helper)
        instance.__dict__ = {"helper": samples.Helper()}
        self.assertIs(self.found(S + "fresh.helper.help")["self"], instance.helper)

    def test_what_may_walk_the_heap(self):
        for text, expected in [(S + "twice", False), (S + "nest.<locals>.inner", True),
                               (S + "<lambda>", True), ("a/b.py:1", True)]:
            self.assertIs(walks_heap(text), expected, text)


if __name__ == "__main__":
    unittest.main()
