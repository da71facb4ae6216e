# SPDX-License-Identifier: MIT
"""What is wrong with a spec is told once, by key and spec, and leaves the others alone."""
import collections
import datetime
import sys
import types
import unittest

import diagnose
from manager_support import Manager, Recorder, instruments_of, make_module, spec, utcnow

MISSING = object()


class Odd(datetime.tzinfo):
    def utcoffset(self, time):
        raise RuntimeError("no offset")


class Picky(Recorder):
    def __init__(self, *args, **kwargs):
        raise OSError("picky")


class NoText(Exception):
    def __str__(self):
        raise ValueError("no text")


class Mute(Recorder):
    def __init__(self, *args, **kwargs):
        raise NoText()


def changed(path, value):
    """A spec with this value at the path, or without what is there."""
    document = spec("faulty.add")
    place = document
    *outer, last = path.split(".")
    for key in outer:
        place = place.setdefault(key, {})
    if value is MISSING:
        del place[last]
    else:
        place[last] = value
    return document


# The document, the error in `applied`, and its type.
DOCUMENTS = [
    (changed("target", MISSING), "target: missing", LookupError),
    (changed("instrument", MISSING), "instrument: missing", LookupError),
    (changed("lifespan", MISSING), "lifespan: missing", LookupError),
    (changed("lastmodified", MISSING), "lastmodified: missing", LookupError),
    (changed("instrument.type", MISSING), "instrument.type: missing", LookupError),
    (changed("instrument.name", MISSING), "instrument.name: missing", LookupError),
    (changed("instrument.value", MISSING), "instrument.value: missing", LookupError),
    (changed("target", 5), "target: must be a str, not int", TypeError),
    (changed("target", None), "target: must be a str, not NoneType", TypeError),
    (changed("target", ""), "target: is empty", ValueError),
    (changed("instrument", "log"), "instrument: must be a dict, not str", TypeError),
    (changed("instrument", [("type", "log")]), "instrument: must be a dict, not list", TypeError),
    (changed("instrument.type", 1), "instrument.type: must be a str, not int", TypeError),
    (changed("instrument.type", "lgo"),
     'instrument.type: "lgo" is not one of: log, mute, none, picky, test', ValueError),
    (changed("instrument.type", "none"),
     "instrument.type: instrument_classes['none'] is no class", TypeError),
    (changed("instrument.name", None), "instrument.name: must be a str, not NoneType", TypeError),
    (changed("instrument.value", 5), "instrument.value: must be a str, not int", TypeError),
    (changed("instrument.value", b"x"), "instrument.value: must be a str, not bytes", TypeError),
    (changed("instrument.event", "exit"),
     "instrument.event: 'exit' is not one of: call, return, end, line:N", ValueError),
    (changed("instrument.event", "line:0"),
     "instrument.event: 'line:0' is not one of: call, return, end, line:N", ValueError),
    (changed("instrument.event", "line:"),
     "instrument.event: 'line:' is not one of: call, return, end, line:N", ValueError),
    (changed("instrument.event", None), "instrument.event: must be a str, not NoneType", TypeError),
    (changed("instrument.custom", ["tags"]), "instrument.custom: must be a dict or None, not list",
     TypeError),
    (changed("instrument.custom", {"tags": {"a": 1}}),
     "instrument.custom.tags: must be a str, not dict", TypeError),
    (changed("instrument.expires", None), "instrument.expires: is the manager's to give",
     ValueError),
    (changed("instrument.mgr", None), "instrument.mgr: is the manager's to give", ValueError),
    (dict(changed("target", "faulty.add"), instrument={"type": "test", "name": "n", "value": "1",
                                                       2: 3}),
     "instrument: a key must be a str, not int", TypeError),
    (changed("lifespan", True), "lifespan: must be a number of minutes, or None, not bool",
     TypeError),
    (changed("lifespan", "10"), "lifespan: must be a number of minutes, or None, not str",
     TypeError),
    (changed("lifespan", datetime.timedelta(1)),
     "lifespan: must be a number of minutes, or None, not datetime.timedelta", TypeError),
    (changed("lifespan", float("nan")),
     "lifespan: must be a finite number of minutes, or None, not nan", ValueError),
    (changed("lifespan", float("inf")),
     "lifespan: must be a finite number of minutes, or None, not inf", ValueError),
    (changed("lastmodified", "2026-11-23"), "lastmodified: must be a datetime, not str", TypeError),
    (changed("lastmodified", 1764000000.0), "lastmodified: must be a datetime, not float",
     TypeError),
    (changed("lastmodified", datetime.date(2026, 11, 23)),
     "lastmodified: must be a datetime, not datetime.date", TypeError),
    (changed("lastmodified", None), "lastmodified: must be a datetime, not NoneType", TypeError),
    (changed("lastmodified", datetime.datetime(2026, 11, 23, tzinfo=Odd())),
     "lastmodified: its utcoffset() raised RuntimeError: no offset", ValueError),
]


class ErrorTest(unittest.TestCase):
    def setUp(self):
        self.module = make_module("faulty")
        self.manager = Manager("p")
        self.manager.instrument_classes.update({"none": None, "picky": Picky, "mute": Mute})
        del Recorder.made[:]

    def tearDown(self):
        self.manager.specs = {}
        self.manager.apply()
        self.assertEqual(diagnose.probes.active_probes, {})


class Documents(ErrorTest):
    def test_each(self):
        for document, error, kind in DOCUMENTS:
            with self.subTest(error):
                self.setUp()
                self.manager.specs = {"before": spec("faulty.double"), "bad": document,
                                      "after": spec("faulty.Shop.price")}
                for _ in range(3):
                    self.manager.apply()
                self.assertEqual(document["applied"],
                                 {"p": {"lm": document.get("lastmodified"), "err": error}})
                self.assertEqual(self.manager.messages(), ["spec 'bad': " + error])
                self.assertIs(type(self.manager.errors[0][0]), kind)
                self.assertEqual(instruments_of("faulty.add"), {})
                self.module.double(1)
                self.module.Shop().price("ab")
                self.assertEqual([made.results for made in Recorder.made], [[2], [2]])
                self.tearDown()

    def test_documents_that_are_none(self):
        for document, name in [([1], "list"), ("text", "str"), (None, "NoneType"), (5, "int")]:
            with self.subTest(name):
                self.setUp()
                self.manager.specs = {"bad": document, "after": spec("faulty.add")}
                self.manager.apply()
                self.manager.apply()
                self.assertEqual(self.manager.messages(),
                                 ["spec 'bad': must be a dict, not " + name])
                self.assertEqual(len(instruments_of("faulty.add")), 1)
                self.tearDown()

    def test_applied_of_another_kind(self):
        for applied in ([], None, "x"):
            with self.subTest(applied):
                self.setUp()
                self.manager.specs = {"bad": spec("faulty.add", applied=applied)}
                self.manager.apply()
                self.manager.apply()
                self.assertEqual(self.manager.messages(), [
                    "spec 'bad': applied: must be a dict, not " + type(applied).__name__])
                self.assertEqual(self.manager.specs["bad"]["applied"], applied)
                self.tearDown()

    def test_keys_of_the_store_are_kept(self):
        document = spec("faulty.add")
        document["_id"] = object()
        document["owner"] = "somebody"
        expected = dict(document)
        self.manager.specs = {"s": document}
        self.manager.apply()
        self.assertEqual(self.manager.errors, [])
        self.assertEqual({key: document[key] for key in expected}, expected)

    def test_mappings_that_are_no_dict(self):
        document = spec("faulty.add", applied={})
        self.manager.specs = types.MappingProxyType({"s": types.MappingProxyType(document)})
        self.manager.apply()
        self.assertEqual(self.manager.errors, [])
        self.assertEqual(list(document["applied"]), ["p"])
        self.module.add(1)
        self.assertEqual(Recorder.made[-1].results, [2])

    def test_instrument_of_a_subclass_of_dict(self):
        document = spec("faulty.add")
        document["instrument"] = collections.OrderedDict(document["instrument"])
        self.manager.specs = {"s": document}
        self.manager.apply()
        self.assertEqual(self.manager.errors, [])
        self.assertEqual(len(instruments_of("faulty.add")), 1)


class Classes(ErrorTest):
    def apply(self, **changes):
        self.manager.specs = {"bad": spec("faulty.add", **changes), "good": spec("faulty.add")}
        self.manager.apply()
        self.manager.apply()
        self.assertEqual(len(instruments_of("faulty.add")), 1)
        self.assertEqual(len(self.manager.errors), 1)
        error, _, instrument = self.manager.errors[0]
        return error, instrument, self.manager.specs["bad"]["applied"]["p"]["err"]

    def test_constructor_raises(self):
        error, instrument, text = self.apply(type="picky")
        self.assertIsInstance(error, OSError)
        self.assertEqual(error.__notes__, ["spec 'bad'"])
        self.assertIsNone(instrument)
        self.assertEqual(text, "OSError: picky")

    def test_error_without_a_text(self):
        error, _, text = self.apply(type="mute")
        self.assertIsInstance(error, NoText)
        self.assertEqual(text, "NoText (its text cannot be told)")

    def test_value_that_does_not_compile(self):
        error, _, text = self.apply(value="a +")
        self.assertIsInstance(error, ValueError)
        self.assertIn("value", text)

    def test_unknown_keyword(self):
        error, _, text = self.apply(colour="red")
        self.assertIsInstance(error, TypeError)
        self.assertIn("colour", text)

    def test_keys_are_spelled_alike_whoever_finds_them(self):
        class Strict(Recorder):
            def __init__(self, name, value, mgr, expires, type):
                super().__init__(name, value, mgr=mgr, expires=expires)

        class Choosy(Recorder):
            def __init__(self, *args, shade, **kwargs):
                raise TypeError("shade: must be dark")

        class Caused(Recorder):
            def __init__(self, *args, **kwargs):
                raise ValueError("event: too late") from OSError("cause")

        for changes, kind, key in [
                ({"name": ""}, ValueError, "instrument.name: "),
                ({"type": "log", "name": ""}, ValueError, "instrument.name: "),
                ({"value": "a +"}, ValueError, "instrument.value: "),
                ({"type": "log", "value": "a +"}, ValueError, "instrument.value: "),
                ({"value": "elapsed", "event": "call"}, ValueError, "instrument.value: "),
                ({"custom": {"tags": "["}}, ValueError, "instrument.custom.tags: "),
                ({"type": "log", "shade": 1}, TypeError, "instrument.shade: "),
                ({"type": "log", "event": "call", "custom": None, "shade": 1}, TypeError,
                 "instrument.shade: "),
                ({"shade": 1}, TypeError, "instrument.shade: "),
                ({"type": "strict", "shade": 1}, TypeError, "instrument.shade: "),
                ({"type": "choosy", "shade": 1}, TypeError, "instrument.shade: must be dark"),
                ({"type": "caused"}, ValueError, "instrument.event: too late")]:
            with self.subTest(changes):
                self.setUp()
                self.manager.instrument_classes.update(
                    log=diagnose.LogInstrument, strict=Strict, choosy=Choosy, caused=Caused)
                error, _, text = self.apply(**changes)
                self.assertTrue(text.startswith(key), text)
                self.assertIs(type(error), kind)
                self.assertEqual(str(error), "spec 'bad': " + text)
                if changes.get("type") == "caused":
                    self.assertIsInstance(error.__cause__, OSError)
                    self.assertIsNotNone(error.__traceback__)
                self.tearDown()

    def test_class_that_makes_something_else(self):
        self.manager.instrument_classes["picky"] = dict
        error, _, text = self.apply(type="picky")
        self.assertIsInstance(error, TypeError)
        self.assertIn("bad", text)

    def test_target_that_is_not_there(self):
        for target in ("faulty.missing", "faulty.Shop.missing", "nodots", "a b.c", ".x", "faulty..add"):
            with self.subTest(target):
                self.setUp()
                self.manager.specs = {"bad": spec(target), "good": spec("faulty.add")}
                self.manager.apply()
                self.manager.apply()
                self.assertEqual(len(self.manager.errors), 1, self.manager.messages())
                self.assertIsNotNone(self.manager.specs["bad"]["applied"]["p"]["err"])
                self.assertEqual(list(diagnose.probes.active_probes), ["faulty.add"])
                self.tearDown()


class Telling(ErrorTest):
    def test_again_when_it_is_another_one(self):
        document = spec("faulty.add", type="lgo")
        self.manager.specs = {"s": document}
        self.manager.apply()
        self.manager.apply()
        document["lastmodified"] = utcnow() + datetime.timedelta(seconds=1)
        self.manager.apply()
        self.manager.apply()
        document["instrument"]["type"] = "gol"
        self.manager.apply()
        self.manager.apply()
        self.assertEqual([message.split()[3] for message in self.manager.messages()],
                         ['"lgo"', '"lgo"', '"gol"'])

    def test_mended_by_an_edit(self):
        document = spec("faulty.add", type="lgo")
        self.manager.specs = {"s": document}
        self.manager.apply()
        document["instrument"]["type"] = "test"
        self.manager.apply()
        self.assertIsNone(document["applied"]["p"]["err"])
        self.module.add(1)
        self.assertEqual(Recorder.made[-1].results, [2])

    def test_mended_elsewhere(self):
        self.manager.specs = {"s": spec("faulty.add", type="late"), "t": spec("faulty.later")}
        self.manager.apply()
        self.assertEqual(len(self.manager.errors), 2)
        self.manager.instrument_classes["late"] = Recorder
        self.module.later = self.module.double
        self.manager.apply()
        for id in "st":
            self.assertIsNone(self.manager.specs[id]["applied"]["p"]["err"])
        self.assertEqual(len(instruments_of("faulty.add")), 1)
        self.assertEqual(len(instruments_of("faulty.later")), 1)

    def test_broken_by_an_edit_stops_what_was_there(self):
        document = spec("faulty.add")
        self.manager.specs = {"s": document}
        self.manager.apply()
        document["instrument"]["event"] = "exit"
        self.manager.apply()
        self.assertEqual(diagnose.probes.active_probes, {})
        self.assertEqual([made.finished for made in Recorder.made], [1])
        self.assertIn("instrument.event", document["applied"]["p"]["err"])

    def test_long_and_odd_texts_can_be_stored(self):
        def fail(*args, **kwargs):
            raise OSError("\udc80" + "x" * 5000)

        self.manager.instrument_classes["picky"] = fail
        self.manager.specs = {"s": spec("faulty.add", type="picky")}
        self.manager.apply()
        text = self.manager.specs["s"]["applied"]["p"]["err"]
        self.assertEqual(len(text), 2000)
        self.assertTrue(text.startswith("OSError: \\udc80xxx"))
        text.encode()

    def test_instrument_classes_of_another_kind(self):
        self.manager.specs = {"s": spec("faulty.add")}
        self.manager.apply()
        classes, self.manager.instrument_classes = self.manager.instrument_classes, []
        self.manager.apply()
        self.assertEqual(self.manager.messages(),
                         ["instrument_classes: must be a dict, not list"])
        self.assertEqual(len(instruments_of("faulty.add")), 1)
        self.manager.instrument_classes = classes


class Handlers(ErrorTest):
    def test_handle_error_that_raises(self):
        class Worse(Manager):
            def handle_error(self, probe=None, instrument=None):
                raise LookupError("worse")

        seen = []
        hook, sys.unraisablehook = sys.unraisablehook, seen.append
        try:
            manager = Worse("p")
            manager.specs = {"bad": spec("faulty.add", type="lgo"), "good": spec("faulty.add")}
            manager.apply()
        finally:
            sys.unraisablehook = hook
        self.assertEqual([str(one.exc_value) for one in seen], ["worse"])
        self.assertEqual(len(instruments_of("faulty.add")), 1)
        manager.specs = {}
        manager.apply()

    def test_exits_are_no_errors(self):
        for leave in (KeyboardInterrupt, SystemExit, GeneratorExit):
            with self.subTest(leave):
                def raises(*args, **kwargs):
                    raise leave()

                self.manager.instrument_classes["picky"] = raises
                self.manager.specs = {"one": spec("faulty.add"),
                                      "two": spec("faulty.add", type="picky")}
                with self.assertRaises(leave):
                    self.manager.apply()
                self.assertEqual(self.manager.errors, [])
                self.manager.specs["two"]["instrument"]["type"] = "test"
                self.manager.apply()
                self.assertEqual(len(instruments_of("faulty.add")), 2)

    def test_the_error_is_the_current_one_only_meanwhile(self):
        self.manager.specs = {"s": spec("faulty.add", type="lgo")}
        try:
            raise OSError("outer")
        except OSError as outer:
            self.manager.apply()
            self.assertIs(sys.exc_info()[1], outer)
        self.assertEqual(len(self.manager.errors), 1)
        self.assertIsInstance(self.manager.errors[0][0], ValueError)

    def test_finish_that_raises(self):
        class Clinging(Recorder):
            def finish(self):
                raise OSError("clinging")

        self.manager.instrument_classes["picky"] = Clinging
        self.manager.specs = {"s": spec("faulty.add", type="picky"), "t": spec("faulty.add")}
        self.manager.apply()
        del self.manager.specs["s"]
        self.manager.apply()
        self.assertEqual([type(made) for made in instruments_of("faulty.add").values()], [Recorder])


if __name__ == "__main__":
    unittest.main()
