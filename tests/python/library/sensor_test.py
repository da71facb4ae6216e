# SPDX-License-Identifier: MIT
"""diagnose.sensor, for test suites."""
import unittest

import diagnose
from library_support import run_in_threads
from manager_support import Manager, Recorder, instruments_of, make_module, spec


class SensorTest(unittest.TestCase):
    def setUp(self):
        self.module = make_module("sensed")

    def tearDown(self):
        self.assertEqual(diagnose.probes.active_probes, {})

    def test_results(self):
        with diagnose.sensor("sensed.add") as sensor:
            self.assertIs(type(sensor), diagnose.ProbeTestInstrument)
            self.module.add(1)
            self.module.add(2, b=5)
        self.module.add(3)
        self.assertEqual(sensor.results, [2, 7])
        self.assertEqual((sensor.name, sensor.value, sensor.event),
                         ("test_instrument", "result", "return"))

    def test_arguments(self):
        cases = [
            (("sensed.add", "a", "n", "call", {"tags": "[str(b)]"}), {}),
            (("sensed.add",), {"value": "a", "name": "n", "event": "call",
                               "custom": {"tags": "[str(b)]"}}),
            ((), {"target": "sensed.add", "value": "a", "event": "call", "name": "n",
                  "custom": {"tags": "[str(b)]"}, "expires": None, "mgr": Manager("p")}),
        ]
        for args, kwargs in cases:
            with diagnose.sensor(*args, **kwargs) as sensor:
                self.module.add(7)
            self.assertEqual(sensor.results, [7])
            self.assertEqual((sensor.name, sensor.value, sensor.event), ("n", "a", "call"))

    def test_bad_arguments(self):
        for args, kwargs, error, text in [
            ((), {}, TypeError, "target"),
            ((5,), {}, TypeError, "target: must be a str, not int"),
            (("sensed.add",), {"target": "sensed.add"}, TypeError, "multiple values for target"),
            (("sensed.add", "1", "n", "call", None, None), {}, TypeError, "at most 5"),
        ]:
            with self.assertRaisesRegex(error, text):
                diagnose.sensor(*args, **kwargs)
        for kwargs, error in [({"value": "1 +"}, ValueError), ({"value": 1}, TypeError),
                              ({"colour": 1}, TypeError), ({"event": "exit"}, ValueError),
                              ({"name": None}, TypeError)]:
            with self.subTest(kwargs), self.assertRaises(error):
                diagnose.sensor("sensed.add", **kwargs).__enter__()

    def test_target_that_is_not_there(self):
        with self.assertRaises(Exception):
            diagnose.sensor("sensed.missing").__enter__()

    def test_exceptions_pass(self):
        with self.assertRaises(ZeroDivisionError):
            with diagnose.sensor("sensed.add"):
                1 / 0

    def test_again_but_not_within_itself(self):
        sensor = diagnose.sensor("sensed.add")
        with sensor as first:
            with self.assertRaisesRegex(RuntimeError, "in use"):
                sensor.__enter__()
            self.module.add(1)
        with sensor as second:
            self.module.add(2)
        self.assertEqual((first.results, second.results), ([2], [3]))

    def test_beside_others(self):
        manager = Manager("p")
        manager.specs["s"] = spec("sensed.add")
        with diagnose.sensor("sensed.add") as outer:
            manager.apply()
            with diagnose.sensor("sensed.add", "a") as inner:
                self.module.add(1)
                self.assertEqual(len(instruments_of("sensed.add")), 3)
            self.module.add(2)
        self.module.add(3)
        self.assertEqual(outer.results, [2, 3])
        self.assertEqual(inner.results, [1])
        self.assertEqual(Recorder.made[-1].results, [2, 3, 4])
        manager.specs = {}
        manager.apply()

    def test_probe_that_was_there_stays(self):
        probe = diagnose.probes.attach_to("sensed.add")
        probe.start()
        with diagnose.sensor("sensed.add") as sensor:
            self.module.add(1)
        self.assertEqual(sensor.results, [2])
        self.assertIs(diagnose.probes.active_probes.pop("sensed.add"), probe)
        probe.stop()

    def test_what_the_program_has_not_started_stays_off(self):
        probe = diagnose.probes.attach_to("sensed.add")
        probe.instruments["own"] = own = diagnose.ProbeTestInstrument("own", "result")
        with diagnose.sensor("sensed.add") as sensor:
            self.module.add(1)
            self.assertFalse(probe.is_running)
            self.assertEqual({key: one["state"] for key, one in probe.status().items()},
                             {"own": "STOPPED", "test_instrument": "ARMED"})
        self.module.add(2)
        self.assertEqual((sensor.results, own.results), ([2], []))
        self.assertFalse(probe.is_running)
        self.assertEqual(list(probe.instruments), ["own"])
        probe.start()
        with diagnose.sensor("sensed.add") as sensor:
            self.module.add(3)
        self.module.add(4)
        self.assertEqual((sensor.results, own.results), ([4], [4, 5]))
        self.assertTrue(probe.is_running)
        self.assertIs(diagnose.probes.active_probes.pop("sensed.add"), probe)
        probe.stop()

    def test_probe_that_the_program_asked_for_meanwhile_stays(self):
        with diagnose.sensor("sensed.add"):
            probe = diagnose.probes.attach_to("sensed.add")
            probe.instruments["own"] = own = diagnose.ProbeTestInstrument("own", "result")
            self.module.add(1)
            self.assertEqual(own.results, [])
            del probe.instruments["own"]
        self.assertIs(diagnose.probes.active_probes.pop("sensed.add"), probe)

    def test_stop_and_start_are_for_all(self):
        with diagnose.sensor("sensed.add") as sensor:
            probe = diagnose.probes.active_probes["sensed.add"]
            probe.stop()
            self.module.add(1)
            probe.start()
            self.module.add(2)
        self.assertEqual(sensor.results, [3])

    def test_what_is_no_probe_is_named(self):
        diagnose.probes.active_probes["sensed.add"] = 5
        with self.assertRaisesRegex(TypeError, "'sensed.add'.*must be a FunctionProbe, not int"):
            diagnose.sensor("sensed.add").__enter__()
        del diagnose.probes.active_probes["sensed.add"]

    def test_threads_on_one_target_lose_nothing(self):
        missed = []

        def work():
            for number in range(200):
                with diagnose.sensor("sensed.add", "a") as sensor:
                    self.module.add(number)
                if number not in sensor.results:
                    missed.append(number)

        run_in_threads(*[work] * 4)
        self.assertEqual(missed, [])


if __name__ == "__main__":
    unittest.main()
