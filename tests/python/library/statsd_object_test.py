# SPDX-License-Identifier: MIT
"""Where a StatsD client sends, and what it is as an object."""
import copy
import errno
import gc
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
import weakref

from statsd_support import PATIENCE, Receiver, StatsDTest

from diagnose import instruments
from diagnose.instruments import StatsD


class AddressTest(StatsDTest):
    def test_environment(self):
        for environment, arguments, address in [
            ({}, {}, "localhost:8125"),
            ({"DD_AGENT_HOST": "10.0.0.1"}, {}, "10.0.0.1:8125"),
            ({"DD_DOGSTATSD_PORT": "9"}, {}, "localhost:9"),
            ({"DD_DOGSTATSD_URL": "udp://h:7"}, {}, "h:7"),
            ({"DD_DOGSTATSD_URL": "unix:///s"}, {}, "unix:///s"),
            ({"DD_DOGSTATSD_URL": "udp://h:7"}, {"host": "mine"}, "mine:8125"),
            ({"DD_AGENT_HOST": "10.0.0.1"}, {"port": 5}, "10.0.0.1:5"),
            ({}, {"host": "::1", "port": 5}, "[::1]:5"),
            ({}, {"host": "unix:///s"}, "unix:///s"),
        ]:
            with self.subTest(environment=environment, arguments=arguments):
                statsd = StatsD(**arguments)
                os.environ.update(environment)
                self.assertEqual(statsd.address, address)
                self.assertEqual(repr(statsd), "<diagnose.instruments.StatsD %s "
                                               "sent=0 dropped=0 failed=0>" % address)
                for variable in environment:
                    del os.environ[variable]

    def test_a_wrong_environment_is_told_when_it_matters(self):
        os.environ["DD_DOGSTATSD_PORT"] = "x"
        statsd = StatsD()
        message = 'DD_DOGSTATSD_PORT: port: "x" is not a number from 1 to 65535'
        for call in (lambda: statsd.increment("n"), statsd.connect, lambda: statsd.address):
            with self.assertRaises(ValueError) as raised:
                call()
            self.assertEqual(str(raised.exception), message)
        self.assertIn("(no address)", repr(statsd))
        os.environ["DD_DOGSTATSD_PORT"] = str(self.receiver.port)
        statsd.increment("n")
        self.assertEqual(self.receiver.datagram(), "n:1|c")

    def test_nothing_is_opened_before_the_first_send(self):
        before = sorted(os.listdir("/proc/self/fd"))
        statsd = self.make()
        statsd.address, statsd.sent
        statsd.close()
        self.assertEqual(sorted(os.listdir("/proc/self/fd")), before)
        statsd.increment("n")
        self.assertEqual(len(os.listdir("/proc/self/fd")), len(before) + 1)
        statsd.close()
        statsd.close()
        self.assertEqual(sorted(os.listdir("/proc/self/fd")), before)
        statsd.increment("m")
        self.assertEqual(self.receiver.datagram(), "n:1|c")
        self.assertEqual(self.receiver.datagram(), "m:1|c")
        del statsd
        self.assertEqual(sorted(os.listdir("/proc/self/fd")), before)

    def test_ipv6(self):
        try:
            receiver = Receiver(socket.AF_INET6, ("::1", 0))
        except OSError as error:
            self.skipTest("no IPv6: %s" % error)
        self.addCleanup(receiver.close)
        StatsD("::1", receiver.port).increment("n")
        self.assertEqual(receiver.datagram(), "n:1|c")

    def test_unix_socket(self):
        folder = tempfile.mkdtemp(prefix="diag.", dir="/tmp")
        self.addCleanup(shutil.rmtree, folder)
        path = folder + "/s"
        statsd = StatsD("unix://" + path)
        with self.assertRaises(FileNotFoundError) as raised:
            statsd.connect()
        self.assertEqual(raised.exception.errno, errno.ENOENT)
        receiver = Receiver(socket.AF_UNIX, path)
        self.addCleanup(receiver.close)
        statsd.connect()
        statsd.increment("n")
        self.assertEqual(receiver.datagram(), "n:1|c")
        self.assertEqual(self.counts(statsd), (1, 0, 0))

    def test_connect_looks_names_up(self):
        statsd = StatsD("LOCALHOST", self.receiver.port)
        statsd.connect()
        statsd.increment("n")
        self.assertEqual(self.counts(statsd), (1, 0, 0))
        with self.assertRaises(OSError) as raised:
            StatsD("no-such-host.invalid").connect()
        self.assertIn("no-such-host.invalid", str(raised.exception))

    def test_a_name_that_was_not_looked_up_drops_until_it_is(self):
        statsd = StatsD("LOCALHOST", self.receiver.port)
        total = 0
        while not statsd.sent:
            statsd.increment("n")
            total += 1
        self.assertGreaterEqual(statsd.dropped, 1)
        self.assertEqual(sum(self.counts(statsd)), total)

    def test_nobody_there(self):
        port = self.receiver.port
        self.receiver.close()
        for _ in range(4):
            self.statsd.increment("n")
        self.assertEqual(sum(self.counts()), 4)
        self.assertEqual(self.statsd.failed, 3)
        self.receiver = Receiver(address=("127.0.0.1", port))
        self.addCleanup(self.receiver.close)
        self.statsd.increment("m")
        self.assertEqual(self.receiver.datagram(), "m:1|c")


class ObjectTest(StatsDTest):
    def test_subclass(self):
        class Mine(StatsD):
            def __init__(self, *args, **kwargs):
                self.seen = []
                super().__init__(*args, **kwargs)

            def increment(self, name, value=1, tags=None, sample_rate=1):
                self.seen.append(name)
                super().increment("mine." + name, value, tags, sample_rate)

        mine = self.make(Mine, tags="t")
        mine.increment("n")
        self.assertEqual(self.receiver.datagram(), "mine.n:1|c|#t")
        self.assertEqual(mine.seen, ["n"])
        # instruments see that its methods are others
        self.addCleanup(setattr, instruments, "statsd", instruments.statsd)
        instruments.statsd = mine
        instruments.IncrementInstrument("n", "1").emit("n", 5, None)
        self.assertEqual(self.receiver.datagram(), "mine.n:5|c|#t")
        instruments.statsd = None
        # a cycle through the subclass's dict is found
        mine.me = mine
        gone = weakref.ref(mine)
        del mine
        gc.collect()
        self.assertIsNone(gone())

    def test_a_subclass_that_forgets_init(self):
        class Mine(StatsD):
            def __init__(self):
                pass

        mine = Mine()
        self.assertEqual(mine.address, "localhost:8125")
        os.environ["DD_DOGSTATSD_PORT"] = str(self.receiver.port)
        mine = Mine()
        mine.increment("n")
        self.assertEqual(self.receiver.datagram(), "n:1|c")

    def test_the_type_is_not_to_be_altered(self):
        with self.assertRaises(TypeError):
            StatsD.increment = None
        with self.assertRaises(AttributeError):
            self.statsd.increment = None
        with self.assertRaises(AttributeError):
            self.statsd.sent = 5
        with self.assertRaises(TypeError):
            copy.copy(self.statsd)

    def test_init_again(self):
        other = Receiver()
        self.addCleanup(other.close)
        self.statsd.increment("n")
        with self.assertRaises(TypeError):
            self.statsd.__init__(host=5)
        self.statsd.increment("n")
        self.assertEqual(self.counts(), (2, 0, 0))
        self.statsd.__init__("127.0.0.1", other.port)
        self.statsd.increment("m")
        self.assertEqual(other.datagram(), "m:1|c")
        self.assertEqual(self.counts(), (1, 0, 0))

    def test_threads(self):
        def work():
            for _ in range(500):
                self.statsd.increment("n", [1, 2], tags={"k": 1})
                self.statsd.connect()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sum(self.counts()), 4000)

    def test_fork_and_daemons(self):
        self.statsd.increment("parent")
        self.assertEqual(self.receiver.datagram(), "parent:1|c")
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                self.statsd.increment("child")
                # as daemons do; then something else takes all the numbers
                os.closerange(3, 1024)
                left, right = socket.socketpair()
                for number in range(10, 1024):
                    os.dup2(left.fileno(), number)
                self.statsd.increment("daemon")
                right.setblocking(False)
                try:
                    right.recv(100)
                except BlockingIOError:
                    code = 0 if self.counts() == (3, 0, 0) else 2
            finally:
                os._exit(code)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertEqual(self.receiver.datagram(), "child:1|c")
        self.assertEqual(self.receiver.datagram(), "daemon:1|c")
        self.assertEqual(self.counts(), (1, 0, 0))

    def test_nothing_leaks(self):
        def use():
            statsd = self.make(prefix="p", tags={"a": 1})
            statsd.increment("n", [1, (2.5, {"k": object})], tags=["x"])
            for bad in (lambda: statsd.increment("n", [None]), lambda: statsd.increment("n", 1, 2),
                        lambda: StatsD("x", 1, "p", 5), lambda: statsd.increment("\ud800", "x")):
                with self.assertRaises(TypeError):
                    bad()

        def blocks():
            gc.collect()
            return sys.getallocatedblocks()

        for _ in range(20):
            use()
        before = blocks()
        for _ in range(200):
            use()
        self.assertLess(blocks() - before, 50)

    def test_process_ends_while_a_name_is_looked_up(self):
        program = ("from diagnose.instruments import StatsD\n"
                   "StatsD('no-such-host.invalid').increment('n')\n"
                   "print('end')")
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                                timeout=PATIENCE)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "end\n", ""))


if __name__ == "__main__":
    unittest.main()
