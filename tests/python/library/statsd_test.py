# SPDX-License-Identifier: MIT
"""The type StatsD, against a receiver of UDP in this process: methods, lists, arguments."""
import decimal
import inspect
import math
import os
import sys

from statsd_support import StatsDTest

from diagnose import instruments
from diagnose.instruments import StatsD


class MethodsTest(StatsDTest):
    def test_lines(self):
        s = self.statsd
        for send, line in [
            (lambda: s.increment("a"), "a:1|c"),
            (lambda: s.increment("a", 5), "a:5|c"),
            (lambda: s.increment("a", -2.5), "a:-2.5|c"),
            (lambda: s.increment("a", True), "a:1|c"),
            (lambda: s.decrement("a"), "a:-1|c"),
            (lambda: s.decrement("a", 5), "a:-5|c"),
            (lambda: s.decrement("a", -5.5), "a:5.5|c"),
            (lambda: s.decrement("a", [1, (2, "t")]), "a:-1|c\na:-2|c|#t"),
            (lambda: s.histogram("a", 0.1), "a:0.1|h"),
            (lambda: s.gauge("a", 3), "a:3|g"),
            (lambda: s.timing("a", 320), "a:320|ms"),
            (lambda: s.distribution("a", 1e22), "a:1e+22|d"),
            (lambda: s.set("a", "x|y:z"), "a:x_y_z|s"),
            (lambda: s.set("a", 7), "a:7|s"),
            (lambda: s.set("a", ["u", "v"]), "a:u|s\na:v|s"),
            (lambda: s.increment(name="a", value=2, tags=["t"], sample_rate=1), "a:2|c|#t"),
            (lambda: s.increment("a", 2, ["t"], 1), "a:2|c|#t"),
            (lambda: s.increment("a", tags=None, sample_rate=None), "a:1|c"),
            (lambda: s.histogram("a", decimal.Decimal("2.50")), "a:2.5|h"),
            (lambda: s.histogram("a", 2**63), "a:9.223372036854776e+18|h"),
            (lambda: s.histogram("a", -2**63), "a:-9.223372036854776e+18|h"),
            (lambda: s.histogram("a", 2**63 - 1), "a:9223372036854775807|h"),
            (lambda: s.histogram("a", 0.1 + 0.2), "a:0.30000000000000004|h"),
        ]:
            with self.subTest(line=line):
                self.assertIsNone(send())
                self.assertEqual(self.receiver.datagram(), line)
        self.assertEqual(self.statsd.dropped, 0)

    def test_numbers_read_back_as_they_were(self):
        for number in [1 / 3, 1e-300, 5e-324, sys.float_info.max, math.pi * 1e9, -0.0001, 123.456]:
            self.statsd.gauge("n", number)
            text = self.receiver.datagram()[2:-2]
            self.assertEqual(float(text), number)
            self.assertEqual(len(text.replace("e+", "e")), len(repr(number).replace("e+", "e")))

    def test_other_numbers(self):
        class Index:
            def __index__(self):
                return 7

        class Float:
            def __float__(self):
                return 1.5

        class Int(int):
            pass

        for number, text in [(Index(), "7"), (Float(), "1.5"), (Int(3), "3")]:
            self.statsd.gauge("n", number)
            self.assertEqual(self.receiver.datagram(), "n:%s|g" % text)

    def test_tags(self):
        class Text(str):
            pass

        for tags, text in [
            (None, ""),
            ([], ""),
            ({}, ""),
            ("", ""),
            ("one", "|#one"),
            ("key:value", "|#key:value"),
            (["a:1", "b"], "|#a:1,b"),
            (("a:1", "b"), "|#a:1,b"),
            ({"a"}, "|#a"),
            ({"a": 1, "b": "x", "c": None, "d": 2.5}, "|#a:1,b:x,c:None,d:2.5"),
            ({"a": "x", "b": "y"}, "|#a:x,b:y"),
            ({1: True}, "|#1:True"),
            ([Text("a")], "|#a"),
            ({"k|1:2,3": "v|1:2,3\n"}, "|#k_1_2_3:v_1:2_3_"),
            (["url:http://x|y,z\n#"], "|#url:http://x_y_z_#"),
            ({"caf\xe9": "\u4e2d"}, "|#caf\xe9:\u4e2d"),
            ({"k": "\ud800x"}, "|#k:?x"),
        ]:
            with self.subTest(tags=tags):
                self.statsd.increment("n", tags=tags)
                self.assertEqual(self.receiver.datagram(), "n:1|c" + text)

    def test_names_cannot_break_the_line(self):
        for name, text in [
            ("a:1|c\nb", "a_1_c_b"),
            ("a b#c@d", "a_b_c_d"),
            ("caf\xe9", "caf\xe9"),
            ("a\ud800", "a?"),
            ("_e{1}", "_e_1_"),
        ]:
            self.statsd.increment(name)
            self.assertEqual(self.receiver.datagram(), text + ":1|c")

    def test_prefix_and_tags_of_the_object(self):
        statsd = self.make(prefix="app|x", tags={"env": "test"})
        statsd.increment("n")
        statsd.increment("n", tags=["a"])
        self.assertEqual(self.receiver.datagram(), "app_x.n:1|c|#env:test")
        self.assertEqual(self.receiver.datagram(), "app_x.n:1|c|#env:test,a")
        self.make(prefix="app.").increment("n")
        self.assertEqual(self.receiver.datagram(), "app.n:1|c")

    def test_sample_rate(self):
        statsd = self.make(max_datagram=65507)
        statsd.increment("n", [1] * 2000, sample_rate=0.25)
        lines = self.receiver.datagram().split("\n")
        self.assertEqual(set(lines), {"n:1|c|@0.25"})
        self.assertEqual(statsd.sent, len(lines))
        self.assertTrue(350 < len(lines) < 650, len(lines))
        statsd.increment("n", sample_rate=1e-12)
        self.assertTrue(self.receiver.is_empty())

    def test_forked_processes_take_different_samples(self):
        statsd = self.make(max_datagram=65507)
        statsd.increment("n")
        self.receiver.datagram()
        samples = []
        for _ in range(2):
            pid = os.fork()
            if pid == 0:
                statsd.histogram("n", list(range(400)), sample_rate=0.5)
                os._exit(0)
            os.waitpid(pid, 0)
            samples.append(self.receiver.datagram())
        self.assertNotEqual(*samples)


class ListsTest(StatsDTest):
    def emit(self, value):
        """As an instrument does, which calls no method of a StatsD that is of no subclass."""
        instruments.HistogramInstrument("n", "1").emit("n", value, ["all"])

    def test_numbers_and_pairs(self):
        self.addCleanup(setattr, instruments, "statsd", instruments.statsd)
        instruments.statsd = self.statsd
        for value, lines in [
            ([1, 2.5], ["n:1|h|#all", "n:2.5|h|#all"]),
            ((1, 2), ["n:1|h|#all", "n:2|h|#all"]),
            ([(1, "a"), (2, ["b:x", "c"])], ["n:1|h|#all,a", "n:2|h|#all,b:x,c"]),
            ([[1, {"k": "v"}]], ["n:1|h|#all,k:v"]),
            ([(1, None), 2, (3, ())], ["n:1|h|#all", "n:2|h|#all", "n:3|h|#all"]),
            ([], []),
        ]:
            for send in (
                lambda v: self.statsd.histogram("n", v, tags=["all"]),
                self.emit,
            ):
                with self.subTest(value=value):
                    send(value)
                    if lines:
                        self.assertEqual(self.receiver.datagram(), "\n".join(lines))
                    self.assertTrue(self.receiver.is_empty())

    def test_as_few_datagrams_as_hold_them(self):
        statsd = self.make(max_datagram=100)
        statsd.increment("counter", list(range(1000)))
        received = []
        while len(received) < 1000:
            datagram = self.receiver.datagram()
            self.assertLessEqual(len(datagram), 100)
            if len(received) + len(datagram.split("\n")) < 1000:
                self.assertGreater(len(datagram) + len("\ncounter:999|c"), 100)
            received += datagram.split("\n")
        self.assertEqual(received, ["counter:%d|c" % i for i in range(1000)])
        self.assertTrue(self.receiver.is_empty())
        self.assertEqual(self.counts(statsd), (1000, 0, 0))

    def test_a_wrong_item_sends_nothing(self):
        for value, kind, message in [
            ([1, "2"], TypeError, "value: item 1: a number, or a (number, tags) pair, is expected,"
                                  " not str"),
            ([1, None], TypeError, "value: item 1: a number, or a (number, tags) pair, is expected,"
                                   " not NoneType"),
            ([1, (2,)], TypeError, "value: item 1: a (number, tags) pair is expected, not 1 items"),
            ([1, (2, "a", "b")], TypeError,
             "value: item 1: a (number, tags) pair is expected, not 3 items"),
            ([1, ("x", "a")], TypeError,
             "value: item 1: a number, or a (number, tags) pair, is expected, not str"),
            ([1, (2, 3)], TypeError,
             "tags: a dict, a list of str or a str is expected, not int"),
            ([1, (2, [3])], TypeError, "tags: item 0: str is expected, not int"),
            ([1, math.nan], ValueError, "value: nan is not a finite number"),
            ([1, (-math.inf, "a")], ValueError, "value: inf is not a finite number"),
            ([1, 10**400], ValueError,
             "value: an integer too large for a floating-point number"),
            ([1, (2, "t" * 1500)], ValueError,
             "a metric of 1507 bytes, a datagram has at most 1432"),
        ]:
            with self.subTest(value=value):
                with self.assertRaises(kind) as raised:
                    self.statsd.increment("n", value)
                self.assertEqual(str(raised.exception), message)
        self.assertTrue(self.receiver.is_empty())
        self.assertEqual(self.counts(), (0, 0, 0))

    def test_what_user_code_raises_comes_out(self):
        class Bad:
            def __str__(self):
                raise KeyError("str")

            def __float__(self):
                raise KeyError("float")

        for value, tags in [([1, Bad()], None), (1, {"k": Bad()}), ([1, (2, {"k": Bad()})], None)]:
            with self.assertRaises(KeyError):
                self.statsd.histogram("n", value, tags=tags)
        self.assertTrue(self.receiver.is_empty())

    def test_user_code_may_use_the_object_meanwhile(self):
        statsd, log = self.statsd, []

        class Nested:
            def __init__(self, tags):
                self.tags = tags

            def __str__(self):
                statsd.increment("inner", [1, 2], tags=["x" * 100])
                self.tags.clear()
                return "nested"

            def __float__(self):
                statsd.__init__("127.0.0.1", port, max_datagram=64)
                numbers.clear()
                log.append(1)
                return 4.5

        port = self.receiver.port
        tags = {"a": "b"}
        tags["c"] = Nested(tags)
        numbers = [1, Nested({}), 3]
        statsd.increment("outer", numbers, tags=tags)
        x = "|#" + "x" * 100
        self.assertEqual(self.receiver.datagram(), "inner:1|c%s\ninner:2|c%s" % (x, x))
        self.assertEqual(self.receiver.datagram(), "\n".join(
            "outer:%s|c|#a:b,c:nested" % n for n in ("1", "4.5", "3")))
        self.assertEqual(log, [1])


class ArgumentsTest(StatsDTest):
    def test_wrong_arguments_are_named(self):
        s = self.statsd
        for call, kind, message in [
            (lambda: s.increment(), TypeError, "increment() missing required argument: 'name'"),
            (lambda: s.histogram("n"), TypeError,
             "histogram() missing required argument: 'value'"),
            (lambda: s.increment("n", 1, None, 1, 2), TypeError,
             "increment() takes at most 4 arguments (5 given)"),
            (lambda: s.increment("n", name="n"), TypeError,
             "increment() got multiple values for argument 'name'"),
            (lambda: s.increment("n", rate=1), TypeError,
             "increment() got an unexpected keyword argument 'rate'"),
            (lambda: s.increment(b"n"), TypeError, "name: str is expected, not bytes"),
            (lambda: s.increment(""), ValueError, "name: is empty"),
            (lambda: s.increment("_sc"), ValueError,
             'name: begins with "_sc", as service checks do'),
            (lambda: s.increment("n" * 1500), ValueError,
             "a metric of 1504 bytes, a datagram has at most 1432"),
            (lambda: s.increment("n" * 70000), ValueError,
             "name: a text of 70000 bytes, a datagram has at most 65507"),
            (lambda: s.increment("n", "1"), TypeError,
             "value: a number, or a list of numbers or (number, tags) pairs, is expected, not str"),
            (lambda: s.set("n", None), TypeError,
             "value: a number or a str, or a list of numbers or (number, tags) pairs, is expected,"
             " not NoneType"),
            (lambda: s.set("n", ""), ValueError, "value: is empty"),
            (lambda: s.gauge("n", 1j), TypeError,
             "value: a number, or a list of numbers or (number, tags) pairs, is expected, not"
             " complex"),
            (lambda: s.gauge("n", math.inf), ValueError, "value: inf is not a finite number"),
            (lambda: s.increment("n", tags=1), TypeError,
             "tags: a dict, a list of str or a str is expected, not int"),
            (lambda: s.increment("n", tags=[1]), TypeError,
             "tags: item 0: str is expected, not int"),
            (lambda: s.increment("n", sample_rate=0), ValueError,
             "sample_rate: must be above 0 and at most 1"),
            (lambda: s.increment("n", sample_rate=math.nan), ValueError,
             "sample_rate: must be above 0 and at most 1"),
            (lambda: s.increment("n", sample_rate="1"), TypeError,
             "sample_rate: a number is expected, not str"),
            (lambda: StatsD(host=1), TypeError, "host: str or None is expected, not int"),
            (lambda: StatsD(host=""), ValueError,
             "host: has 0 characters, 1 to 255 are allowed"),
            (lambda: StatsD(host="a\0b"), ValueError, "host: has a NUL character"),
            (lambda: StatsD(host="http://x"), ValueError,
             'host: "http://x" is neither a host nor unix:///path'),
            (lambda: StatsD(port="1"), TypeError, "port: int is expected, not str"),
            (lambda: StatsD(port=0), ValueError, "port: must be from 1 to 65535"),
            (lambda: StatsD(port=65536), ValueError, "port: must be from 1 to 65535"),
            (lambda: StatsD(port=2**70), ValueError, "port: must be from 1 to 65535"),
            (lambda: StatsD(prefix=1), TypeError, "prefix: str is expected, not int"),
            (lambda: StatsD(tags=1), TypeError,
             "tags: a dict, a list of str or a str is expected, not int"),
            (lambda: StatsD(max_datagram=63), ValueError, "max_datagram: must be from 64 to 65507"),
            (lambda: StatsD(max_datagram=1.5), TypeError,
             "max_datagram: int is expected, not float"),
        ]:
            with self.subTest(message=message):
                with self.assertRaises(kind) as raised:
                    call()
                self.assertEqual(str(raised.exception), message)
        self.assertEqual(self.counts(), (0, 0, 0))

    def test_signatures_and_documentation(self):
        for name in ("increment", "decrement", "histogram", "gauge", "timing", "distribution",
                     "set"):
            method = getattr(StatsD, name)
            parameters = list(inspect.signature(method).parameters)
            self.assertEqual(parameters, ["self", "name", "value", "tags", "sample_rate"])
            self.assertTrue(method.__doc__)
        for name in ("connect", "close", "sent", "dropped", "failed", "address"):
            self.assertTrue(getattr(StatsD, name).__doc__)
        self.assertEqual(StatsD.__module__, "diagnose.instruments")
        self.assertEqual(list(inspect.signature(StatsD).parameters),
                         ["host", "port", "prefix", "tags", "max_datagram"])
