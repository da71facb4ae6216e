# SPDX-License-Identifier: MIT
"""StatsD against npm's statsd, the original server: what was sent is what it has counted.

What it makes of DogStatsD's extensions, as of 0.9.0: tags become a part of the name, in the form of
Graphite ("name;key=value"); the types h and d are not known to it, and are added up as counters are.
"""
import json
import os
import re
import shutil
import socket
import subprocess
import sys

import pytest

from testing.fleet import PACKAGE, PYTHON, ROOT, Program, eventually

VERSION = "0.9.0"
CACHE = os.path.join(ROOT, ".build", "statsd-" + VERSION)


@pytest.fixture(scope="module")
def package():
    """The folder of the server; skips the test where it cannot be had."""
    package = os.path.join(CACHE, "node_modules", "statsd")
    if os.path.isdir(package):
        return package
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip("there is no %s here" % program)
    partial = "%s.%d" % (CACHE, os.getpid())
    os.makedirs(partial)
    try:
        result = subprocess.run(
            ["npm", "install", "--prefix", partial, "--omit=optional", "--ignore-scripts",
             "--no-audit", "--no-fund", "--fetch-retries=0", "statsd@" + VERSION],
            capture_output=True, text=True, timeout=120)
        if result.returncode != 0:
            pytest.skip("npm cannot install statsd: %s" % result.stderr.strip()[:300])
        if not os.path.isdir(CACHE):
            os.rename(partial, CACHE)
    except subprocess.TimeoutExpired:
        pytest.skip("npm does not answer")
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return package


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """The server, and what it says at its management port."""

    def __init__(self, package, folder):
        self.port, self.management = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
        config = os.path.join(folder, "config.js")
        with open(config, "w") as file:
            json.dump({"address": "127.0.0.1", "port": self.port, "mgmt_address": "127.0.0.1",
                       "mgmt_port": self.management, "backends": [], "flushInterval": 3600000}, file)
        self.program = Program("statsd", ["node", os.path.join(package, "stats.js"), config],
                               os.path.join(folder, "statsd.log"))

    def ask(self, command):
        """The answer as a dict of names and numbers, or lists of numbers."""
        with socket.create_connection(("127.0.0.1", self.management), timeout=10) as connection:
            connection.sendall(command.encode())
            text = b""
            while b"END" not in text:
                part = connection.recv(65536)
                assert part, text
                text += part
        answer = {}
        for name, several, one in re.findall(
                r"'?([^\s'{},]+)'?: (?:\[([^\]]*)\]|([-+.\de]+))", text.decode()):
            answer[name] = float(one) if one else [float(n) for n in several.split(",")]
        return answer

    def is_ready(self, statsd):
        assert self.program.is_running(), self.program.log()
        try:
            statsd.increment("ready")
            return self.ask("counters").get("ready")
        except OSError:
            return False

    def wait_for_all(self, statsd):
        """What is sent by one socket arrives in order."""
        statsd.increment("end")
        eventually(lambda: self.ask("counters").get("end"), what="the last metric")


def take_modules():
    names = [name for name in sys.modules if name.partition(".")[0] == "diagnose"]
    return {name: sys.modules.pop(name) for name in names}


@pytest.fixture(scope="module")
def statsd_class():
    messages = take_modules()  # those of the API are in a package of the same name
    sys.path.insert(0, PACKAGE)
    try:
        from diagnose.instruments import StatsD
    finally:
        del sys.path[0]
    yield StatsD
    take_modules()
    sys.modules.update(messages)


@pytest.fixture
def server(tmp_path, package, statsd_class):
    server = Server(package, str(tmp_path))
    try:
        statsd = statsd_class("127.0.0.1", server.port)
        eventually(lambda: server.is_ready(statsd), what="the server's start")
        yield server
    finally:
        server.program.stop()


@pytest.fixture
def statsd(server, statsd_class):
    return statsd_class("127.0.0.1", server.port)


def test_counters(server, statsd):
    before = server.ask("counters")
    for _ in range(100):
        statsd.increment("one")
    statsd.increment("five", 5)
    statsd.increment("half", 0.5)
    statsd.decrement("five", 2)
    statsd.increment("list", [1, 2, 3.25])
    statsd.increment("pairs", [(1, "a"), (2, ["b:x", "c"]), (4, {"b": "x", "c d": 1}), 8])
    statsd.increment("tagged", tags={"env": "test", "shop": "a|b,c"})
    statsd.increment("bro|ken:1|c\nname", 7)
    server.wait_for_all(statsd)
    counters = server.ask("counters")
    assert (counters["one"], counters["five"], counters["half"]) == (100, 3, 0.5)
    assert counters["list"] == 6.25
    assert {name: n for name, n in counters.items() if name.startswith("pairs")} == {
        "pairs;a": 1, "pairs;b=x;c": 2, "pairs;b=x;c_d=1": 4, "pairs": 8}
    assert counters["tagged;env=test;shop=a_b_c"] == 1
    assert counters["bro_ken_1_c_name"] == 7
    assert counters["statsd.bad_lines_seen"] == 0
    received = counters["statsd.metrics_received"] - before["statsd.metrics_received"]
    assert received == statsd.sent == 100 + 3 + 3 + 4 + 3
    assert (statsd.dropped, statsd.failed) == (0, 0)


def test_lists_share_datagrams(server, statsd):
    before = server.ask("counters")
    statsd.increment("list", list(range(1000)))
    server.wait_for_all(statsd)
    after = server.ask("counters")
    assert after["list"] == sum(range(1000))
    # 10 lines of 8 bytes, 90 of 9, 900 of 10, with line feeds, by 1432; and the last metric
    packets = after["statsd.packets_received"] - before["statsd.packets_received"]
    assert packets == 8 + 1


def test_timers_have_the_very_numbers(server, statsd):
    numbers = [320, 0.1, 1 / 3, 1e22, 5e-324, 1.7976931348623157e308, 123456.789, 2**53, 0]
    statsd.timing("list", numbers)
    for number in numbers:
        statsd.timing("single", number)
    server.wait_for_all(statsd)
    timers = server.ask("timers")
    assert timers["list"] == timers["single"] == numbers


def test_histograms_are_added_up(server, statsd):
    """A limit of this server, which takes every type that it does not know for a counter."""
    statsd.histogram("h", [1, 2.5, (4, "t")])
    statsd.distribution("d", [1, 2.5])
    server.wait_for_all(statsd)
    counters = server.ask("counters")
    assert (counters["h"], counters["h;t"], counters["d"]) == (3.5, 4, 3.5)
    assert counters["statsd.bad_lines_seen"] == 0


def test_gauges(server, statsd):
    statsd.gauge("g", 5)
    statsd.gauge("g", 2.5)
    statsd.gauge("negative", -3)
    statsd.gauge("delta", 10)
    statsd.gauge("delta", -3)  # by this server's rules, a difference
    server.wait_for_all(statsd)
    gauges = server.ask("gauges")
    assert (gauges["g"], gauges["negative"], gauges["delta"]) == (2.5, -3, 7)


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.00001])
def test_sampled_counters_are_scaled_up(server, statsd, rate):
    for _ in range(100):
        statsd.increment("sampled", [1] * 20, sample_rate=rate)
    server.wait_for_all(statsd)
    counters = server.ask("counters")
    assert counters.get("sampled", 0) == pytest.approx((statsd.sent - 1) / rate)
    assert counters["statsd.bad_lines_seen"] == 0
    if rate == 0.5:
        assert 700 < statsd.sent < 1300


def test_restart_of_the_server(server, statsd):
    statsd.increment("before")
    server.wait_for_all(statsd)
    server.program.kill()
    server.program.process = subprocess.Popen(server.program.process.args,
                                              stdout=subprocess.DEVNULL, start_new_session=True)
    eventually(lambda: server.is_ready(statsd), what="the server's second start")
    statsd.increment("after", [1, 2])
    server.wait_for_all(statsd)
    counters = server.ask("counters")
    assert counters["after"] == 3
    assert "before" not in counters


SHOP = """
import sys
import diagnose
from diagnose import instruments, probes

class Cart:
    def total(self, prices):
        return sum(prices)

import __main__
sys.modules["shop"] = __main__
instruments.statsd = instruments.StatsD("127.0.0.1", int(sys.argv[1]), prefix="shop")
probe = probes.attach_to("shop.Cart.total")
for number, value in enumerate(["result", "prices", "[(p, 'price:%d' % p) for p in prices]"]):
    for kind in (instruments.IncrementInstrument, instruments.HistogramInstrument):
        name = "%s.%d" % (kind.__name__[:4], number)
        probe.instruments[name] = kind(name, value)
probe.instruments["tagged"] = instruments.IncrementInstrument(
    "tagged", "1", custom={"tags": "{'count': len(prices)}"})
probe.start()
for _ in range(10):
    assert Cart().total([1, 2]) == 3
probe.stop()
Cart().total([1, 2])
s = instruments.statsd
print(s.sent, s.dropped, s.failed)
"""


def test_instruments(server, statsd):
    """What hits send arrives: a number, a list of numbers, a list of pairs, and tags."""
    result = subprocess.run([PYTHON, "-c", SHOP, str(server.port)], capture_output=True, text=True,
                            env={**os.environ, "PYTHONPATH": PACKAGE}, timeout=60)
    assert (result.stdout, result.stderr) == ("110 0 0\n", "")
    server.wait_for_all(statsd)
    counters = server.ask("counters")
    ours = {name: n for name, n in counters.items() if name.startswith("shop.")}
    expected = {"shop.tagged;count=2": 10}
    for kind in ("Incr", "Hist"):  # to this server, histograms are counters as well
        expected["shop.%s.0" % kind] = expected["shop.%s.1" % kind] = 30
        expected["shop.%s.2;price=1" % kind] = 10
        expected["shop.%s.2;price=2" % kind] = 20
    assert ours == expected
    assert counters["statsd.bad_lines_seen"] == 0
