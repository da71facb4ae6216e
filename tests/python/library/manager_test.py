# SPDX-License-Identifier: MIT
"""InstrumentManager: specs in, instruments on probes, and what came of it in `applied`."""
import datetime
import functools
import gc
import importlib
import io
import os
import sys
import tempfile
import unittest
import weakref

import diagnose
from library_support import run_in_threads
from manager_support import Manager, Recorder, instruments_of, make_module, spec, utcnow

UTC = datetime.timezone.utc


class ManagerTest(unittest.TestCase):
    def setUp(self):
        self.module = make_module("managed")
        self.manager = Manager("p")
        del Recorder.made[:]

    def tearDown(self):
        self.manager.specs = {}
        self.manager.apply()
        self.assertEqual(diagnose.probes.active_probes, {})

    def apply(self, **specs):
        self.manager.specs.update(specs)
        self.manager.apply()

    def error(self, id="s"):
        return self.manager.specs[id]["applied"]["p"]["err"]


class Following(ManagerTest):
    def test_applied(self):
        self.apply(s=spec("managed.add"))
        modified = self.manager.specs["s"]["lastmodified"]
        self.assertEqual(self.manager.specs["s"]["applied"], {"p": {"lm": modified, "err": None}})
        self.assertEqual(self.module.add(2), 3)
        self.assertEqual(Recorder.made[0].results, [3])
        self.assertIs(Recorder.made[0].mgr, self.manager)
        self.assertEqual(Recorder.made[0].expires, modified + datetime.timedelta(minutes=10))
        self.assertEqual(self.manager.errors, [])

    def test_applied_keeps_other_processes(self):
        self.apply(s=spec("managed.add", applied={"q": 1}))
        self.assertEqual(sorted(self.manager.specs["s"]["applied"]), ["p", "q"])

    def test_unchanged_is_left_alone(self):
        self.apply(s=spec("managed.add", custom={"a": [1, {"b": 2}]}))
        self.module.add(1)
        for _ in range(3):
            self.manager.apply()
        self.assertEqual(len(Recorder.made), 1)
        self.module.add(1)
        self.assertEqual(Recorder.made[0].results, [2, 2])
        self.assertEqual(Recorder.made[0].finished, 0)

    def test_what_an_instrument_does_to_its_custom_is_no_edit(self):
        self.apply(s=spec("managed.add", custom={"seen": []}))
        Recorder.made[0].custom["seen"].append(1)
        self.manager.apply()
        self.assertEqual(len(Recorder.made), 1)
        self.assertEqual(self.manager.specs["s"]["instrument"]["custom"], {"seen": []})

    def test_edits(self):
        def modified(document):
            document["lastmodified"] += datetime.timedelta(seconds=1)

        edits = [
            modified,
            lambda document: document.update(lifespan=20),
            lambda document: document["instrument"].update(value="result + 1"),
            lambda document: document["instrument"].update(event="call", value="a"),
            lambda document: document["instrument"].update(custom={"x": {"y": [1]}}),
            lambda document: document["instrument"]["custom"]["x"]["y"].append(2),
        ]
        self.apply(s=spec("managed.add"))
        for index, edit in enumerate(edits):
            edit(self.manager.specs["s"])
            self.manager.apply()
            self.assertEqual(len(Recorder.made), index + 2)
            self.assertEqual([made.finished for made in Recorder.made], [1] * (index + 1) + [0])
            self.assertEqual(list(instruments_of("managed.add").values()), [Recorder.made[-1]])
            self.assertEqual(self.manager.specs["s"]["applied"]["p"]["lm"],
                             self.manager.specs["s"]["lastmodified"])
        self.module.add(5)
        self.assertEqual(Recorder.made[-1].results, [5])

    def test_retargeted(self):
        self.apply(s=spec("managed.add"))
        self.manager.specs["s"]["target"] = "managed.Shop.price"
        self.manager.apply()
        self.assertEqual(list(diagnose.probes.active_probes), ["managed.Shop.price"])
        self.module.add(1)
        self.module.Shop().price("abc")
        self.assertEqual([made.results for made in Recorder.made], [[], [3]])
        self.assertEqual([made.finished for made in Recorder.made], [1, 0])

    def test_removed(self):
        self.apply(s=spec("managed.add"), t=spec("managed.add"))
        del self.manager.specs["s"]
        self.manager.apply()
        self.module.add(1)
        self.assertEqual([made.results for made in Recorder.made], [[], [2]])
        self.assertEqual([made.finished for made in Recorder.made], [1, 0])
        del self.manager.specs["t"]
        self.manager.apply()
        self.assertEqual(diagnose.probes.active_probes, {})

    def test_removed_and_back(self):
        for _ in range(3):
            self.apply(s=spec("managed.add"), t=spec("managed.double"))
            self.module.add(1)
            self.manager.specs = {}
            self.manager.apply()
        self.assertEqual([made.results for made in Recorder.made], [[2], []] * 3)

    def test_class_replaced(self):
        class Other(Recorder):
            pass

        self.apply(s=spec("managed.add"))
        self.manager.instrument_classes = {"test": Other}
        self.manager.apply()
        self.assertEqual([type(made) for made in Recorder.made], [Recorder, Other])
        self.assertEqual(Recorder.made[0].finished, 1)

    def test_two_managers_on_one_target(self):
        other = Manager("other")
        other.specs["s"] = spec("managed.add", value="a")
        other.apply()
        self.apply(s=spec("managed.add"))
        self.module.add(1)
        self.assertEqual([made.results for made in Recorder.made], [[1], [2]])
        self.assertEqual(len(instruments_of("managed.add")), 2)
        other.specs.clear()
        other.apply()
        self.module.add(2)
        self.assertEqual([made.results for made in Recorder.made], [[1], [2, 3]])
        self.assertEqual([made.finished for made in Recorder.made], [1, 0])

    def test_an_instrument_of_the_program_stays(self):
        probe = diagnose.probes.attach_to("managed.add")
        own = Recorder("own", "result")
        probe.instruments["s"] = own
        probe.start()
        self.apply(s=spec("managed.add"))
        self.module.add(1)
        self.assertEqual(own.results, [2])
        self.manager.specs.clear()
        self.manager.apply()
        self.assertEqual(instruments_of("managed.add"), {"s": own})
        self.module.add(1)
        self.assertEqual(own.results, [2, 2])
        self.assertEqual(own.finished, 0)
        probe.stop()
        del diagnose.probes.active_probes["managed.add"]

    def test_a_replaced_instrument_is_not_removed(self):
        self.apply(s=spec("managed.add"))
        own = Recorder("own", "result")
        probe = diagnose.probes.active_probes["managed.add"]
        probe.instruments["s"] = own
        self.manager.specs.clear()
        self.manager.apply()
        self.assertEqual(instruments_of("managed.add"), {"s": own})
        probe.stop()
        del diagnose.probes.active_probes["managed.add"]

    def test_module_that_is_not_imported_yet(self):
        self.apply(s=spec("not_imported_yet.f"))
        self.assertIsNone(self.error())
        self.assertEqual(self.manager.errors, [])
        self.assertNotIn("not_imported_yet", sys.modules)

    def test_probes_of_the_program_stay_as_they_were(self):
        probe = diagnose.probes.attach_to("managed.add")
        probe.instruments["own"] = own = diagnose.ProbeTestInstrument("own", "result")
        self.apply(s=spec("managed.add"))
        self.module.add(1)
        self.assertEqual((Recorder.made[0].results, own.results), ([2], []))
        self.assertFalse(probe.is_running)
        self.manager.specs = {}
        self.manager.apply()
        self.assertEqual(list(probe.instruments), ["own"])
        self.assertIs(diagnose.probes.active_probes.pop("managed.add"), probe)

    def test_threads_on_one_target_lose_nothing(self):
        missed = []

        def work(name):
            manager = Manager(name)
            for number in range(100):
                manager.specs = {"same": spec("managed.add", "a")}
                manager.apply()
                [mine] = [made for made in list(Recorder.made) if made.mgr is manager]
                self.module.add(number)
                manager.specs = {}
                manager.apply()
                Recorder.made.remove(mine)
                if number not in mine.results or mine.finished != 1:
                    missed.append(number)

        run_in_threads(*[functools.partial(work, name) for name in "abcd"])
        self.assertEqual((missed, Recorder.made), ([], []))

    def replace_add(self):
        """As importlib.reload does: the same module, with another function of this name."""
        def add(a, b=1):
            return 100 * a

        self.module.add = add

    def test_a_reloaded_target_is_followed(self):
        with tempfile.TemporaryDirectory(prefix="diag.") as folder:
            path = os.path.join(folder, "reloaded.py")
            sys.path.insert(0, folder)
            try:
                with open(path, "w", encoding="ascii") as file:
                    file.write("def f():\n    return 1\n")
                module = importlib.import_module("reloaded")
                self.apply(s=spec("reloaded.f"))
                module.f()
                with open(path, "w", encoding="ascii") as file:
                    file.write("def f():\n    return 'another'\n")
                importlib.reload(module)
                self.manager.apply()
                module.f()
                self.assertEqual(Recorder.made[0].results, [1, "another"])
            finally:
                sys.path.remove(folder)
                sys.modules.pop("reloaded", None)

    def test_a_replaced_target_is_followed_at_once(self):
        self.apply(s=spec("managed.add"))
        for number in range(1, 4):
            self.replace_add()
            self.manager.apply()
            self.module.add(number)
        self.assertEqual(Recorder.made[0].results, [100, 200, 300])
        self.assertEqual(Recorder.made[0].finished, 0)

    def test_start_follows_a_replaced_target(self):
        probe = diagnose.probes.attach_to("managed.add")
        probe.instruments["own"] = own = diagnose.ProbeTestInstrument("own", "result")
        for number in range(1, 4):
            probe.start()
            self.module.add(number)
            self.replace_add()
        self.assertEqual(own.results, [2, 200, 300])
        probe.stop()
        diagnose.probes.active_probes.clear()

    def test_ids_of_any_kind(self):
        self.manager.specs = {1: spec("managed.add"), "1": spec("managed.add"),
                              (1, "x"): spec("managed.add")}
        self.manager.apply()
        self.module.add(1)
        self.assertEqual([made.results for made in Recorder.made], [[2]] * 3)
        del self.manager.specs["1"]
        self.manager.apply()
        self.assertEqual([made.finished for made in Recorder.made], [0, 1, 0])


class Lifespans(ManagerTest):
    def test_not_armed(self):
        hour = datetime.timedelta(hours=1)
        cases = [
            {"lifespan": 0},
            {"lifespan": -1},
            {"lifespan": -1.5},
            {"lifespan": -(10**400)},
            {"lifespan": 0, "lastmodified": utcnow() + hour},
            {"lifespan": 59, "lastmodified": utcnow() - hour},
            {"lifespan": 1e-9, "lastmodified": datetime.datetime(1, 1, 1)},
            {"lifespan": 59, "lastmodified": datetime.datetime.now(UTC) - hour},
        ]
        for case in cases:
            with self.subTest(case):
                self.apply(s=spec("managed.add", **case))
                self.assertIsNone(self.error())
                self.assertEqual(self.manager.errors, [])
                self.assertEqual(diagnose.probes.active_probes, {})

    def test_armed(self):
        hour = datetime.timedelta(hours=1)
        now = utcnow().replace(microsecond=5)
        east = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
        cases = [
            ({"lifespan": None}, None),
            ({"lifespan": None, "lastmodified": datetime.datetime(1, 1, 1)}, None),
            ({"lifespan": 10**400}, None),
            ({"lifespan": 1e300}, None),
            ({"lifespan": 0.5, "lastmodified": now}, now + datetime.timedelta(seconds=30)),
            ({"lifespan": 61, "lastmodified": now - hour}, now + datetime.timedelta(minutes=1)),
            ({"lifespan": 60, "lastmodified": now.replace(tzinfo=UTC)}, now + hour),
            ({"lifespan": 60, "lastmodified": now.replace(tzinfo=UTC).astimezone(east)}, now + hour),
            ({"lifespan": 60, "lastmodified": datetime.datetime(9999, 12, 31, 22, 59, 59)},
             datetime.datetime(9999, 12, 31, 23, 59, 59)),
            ({"lifespan": 61, "lastmodified": datetime.datetime(9999, 12, 31, 23)}, None),
            ({"lifespan": 60, "lastmodified": datetime.datetime(2096, 2, 28, 23, 30)},
             datetime.datetime(2096, 2, 29, 0, 30)),
            ({"lifespan": 60, "lastmodified": datetime.datetime(2100, 2, 28, 23, 30)},
             datetime.datetime(2100, 3, 1, 0, 30)),
        ]
        for case, expires in cases:
            with self.subTest(case):
                self.apply(s=spec("managed.add", **case))
                self.assertIsNone(self.error())
                self.assertEqual(Recorder.made[-1].expires, expires)
                self.assertEqual(len(instruments_of("managed.add")), 1)

    def test_expired_ones_are_removed_and_edited_ones_come_back(self):
        self.apply(s=spec("managed.add", lifespan=0.2 / 60))
        while utcnow() <= Recorder.made[0].expires:
            self.module.add(1)
        self.manager.apply()
        self.assertEqual(diagnose.probes.active_probes, {})
        self.assertEqual(Recorder.made[0].finished, 1)
        self.manager.apply()
        self.assertEqual(len(Recorder.made), 1)
        self.manager.specs["s"]["lastmodified"] = utcnow() + datetime.timedelta(minutes=1)
        self.manager.apply()
        self.module.add(1)
        self.assertEqual(Recorder.made[1].results, [2])


class Overriding(ManagerTest):
    def test_specs_as_a_property(self):
        store = {"s": spec("managed.add")}
        failures = []

        class Stored(Manager):
            @property
            def specs(self):
                if failures:
                    raise failures[0]
                return {id: dict(document) for id, document in store.items()}

            def mark(self, id, lastmodified, error):
                store[id].setdefault("applied", {})[self.process_id] = (lastmodified, error)

        manager = Stored("p")
        manager.apply()
        self.assertEqual(store["s"]["applied"], {"p": (store["s"]["lastmodified"], None)})
        failures.append(OSError("the store is away"))
        manager.apply()
        manager.apply()
        self.assertEqual(manager.messages(), ["the store is away"] * 2)
        self.module.add(1)
        self.assertEqual(Recorder.made[-1].results, [2])
        del failures[0], store["s"]
        manager.apply()
        self.assertEqual(diagnose.probes.active_probes, {})

    def test_specs_of_other_kinds(self):
        for specs, message in [
            ([], "specs: must be a dict, not list"),
            (None, "specs: must be a dict, not NoneType"),
        ]:
            self.apply(s=spec("managed.add"))
            self.manager.specs = specs
            self.manager.apply()
            self.assertEqual(self.manager.messages()[-1], message)
            self.assertEqual(len(instruments_of("managed.add")), 1)
            self.manager.specs = {}

    def test_mark_that_raises(self):
        class Marked(Manager):
            def mark(self, id, lastmodified, error):
                raise OSError("no %s" % id)

        manager = Marked("p")
        manager.specs = {"s": spec("managed.add"), "t": spec("managed.double")}
        manager.apply()
        self.assertEqual(manager.messages(), ["no s", "no t"])
        self.module.double(2)
        self.assertEqual(Recorder.made[-1].results, [4])
        manager.specs = {}
        manager.apply()

    def test_check_call_and_get_tags(self):
        asked = []

        class Checking(Manager):
            def check_call(self, probe, instrument, *args, **kwargs):
                asked.append((probe.target, instrument.name, args, kwargs))
                return args[0] > 1

            def get_tags(self):
                return {"host": "h"}

        manager = Checking("p")
        manager.specs["s"] = spec("managed.add", name="checked")
        manager.apply()
        for number in range(3):
            self.assertEqual(self.module.add(number, b=2), number + 2)
        self.assertEqual(asked, [("managed.add", "checked", (n,), {"b": 2}) for n in range(3)])
        self.assertEqual(Recorder.made[-1].log, [({"host": "h"}, 4)])
        manager.specs = {}
        manager.apply()

    def test_defaults(self):
        manager = diagnose.managers.InstrumentManager()
        self.assertIs(manager.check_call(None, None, 1, a=2), True)
        with self.assertRaises(TypeError):
            manager.check_call(None)
        self.assertEqual(manager.get_tags(), {})
        self.assertEqual(sorted(manager.instrument_classes), ["hist", "incr", "log"])
        self.assertEqual(sorted(manager.global_namespace), ["datetime", "mag", "math", "time"])

    def test_handle_error_prints_the_traceback(self):
        stderr, sys.stderr = sys.stderr, io.StringIO()
        try:
            diagnose.managers.InstrumentManager().handle_error()
            self.assertEqual(sys.stderr.getvalue(), "")
            try:
                {}["lost"]
            except KeyError:
                diagnose.managers.InstrumentManager().handle_error(None, Recorder("named", "1"))
            printed = sys.stderr.getvalue()
        finally:
            sys.stderr = stderr
        self.assertIn("'named'", printed)
        self.assertIn("Traceback", printed)
        self.assertIn("KeyError: 'lost'", printed)

    def test_namespaces_and_classes_are_not_shared(self):
        class Custom(diagnose.managers.InstrumentManager):
            instrument_classes = {"test": Recorder}
            global_namespace = {"answer": 42}

        one, two = Custom(), Custom()
        one.global_namespace["x"] = 1
        one.instrument_classes["y"] = Recorder
        one.specs["z"] = 1
        self.assertEqual(two.global_namespace, {"answer": 42})
        self.assertEqual(two.instrument_classes, {"test": Recorder})
        self.assertEqual(two.specs, {})
        self.assertEqual(Custom.global_namespace, {"answer": 42})

    def test_global_namespace_reaches_expressions(self):
        self.manager.global_namespace.update({"answer": 42})
        self.apply(s=spec("managed.add", value="result + answer + mag(math.floor(12.5))"))
        self.module.add(1)
        self.assertEqual(Recorder.made[-1].results, [54])

    def test_subclass_without_init(self):
        class Careless(diagnose.managers.InstrumentManager):
            def __init__(self):
                pass

        manager = Careless()
        manager.apply()
        self.assertRegex(manager.process_id, r":\d+$")
        self.assertEqual(manager.specs, {})

    def test_garbage(self):
        manager = Manager()
        manager.specs["s"] = spec("managed.add")
        manager.apply()
        manager.specs.clear()
        manager.apply()
        del Recorder.made[:]
        reference = weakref.ref(manager)
        manager.loop = manager
        del manager
        gc.collect()
        self.assertIsNone(reference())


class ProcessIds(unittest.TestCase):
    def test_process_id(self):
        manager = diagnose.managers.InstrumentManager("web-1")
        self.assertEqual(manager.process_id, "web-1")
        manager.process_id = None
        self.assertRegex(manager.process_id, r"^.+:%d$" % os.getpid())
        for bad, error in [(1, TypeError), (b"x", TypeError), ("", ValueError)]:
            with self.assertRaisesRegex(error, "process_id"):
                manager.process_id = bad
            with self.assertRaisesRegex(error, "process_id"):
                diagnose.managers.InstrumentManager(bad)


class Magnitudes(unittest.TestCase):
    def test_mag(self):
        from diagnose.managers import mag

        cases = [
            ((0,), 0), ((0.0,), 0.0), ((1,), 1), ((9,), 1), ((10,), 10), ((999,), 100),
            ((1000,), 1000), ((1234,), 1000), ((-70,), -10), ((0.02,), 0.01), ((0.5,), 0.1),
            ((1000, 2), 512), ((1024, 2), 1024), ((10**15,), 10**15), ((10**300,), 10**300),
            ((243, 3), 243), ((12.5, 5), 5.0),
        ]
        for arguments, expected in cases:
            with self.subTest(arguments):
                self.assertAlmostEqual(mag(*arguments) / (expected or 1), 1 if expected else 0)
                self.assertIs(type(mag(*arguments)), type(expected))
        for arguments, error, text in [
            (("1",), TypeError, "number: must be a number, not str"),
            ((float("nan"),), ValueError, "number: must be finite"),
            ((1, 1), ValueError, "base: must be more than 1"),
            ((1, None), TypeError, "base: must be a number"),
            ((10**400,), OverflowError, ""),
        ]:
            with self.assertRaisesRegex(error, text):
                mag(*arguments)


if __name__ == "__main__":
    unittest.main()
