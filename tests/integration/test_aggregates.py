# SPDX-License-Identifier: MIT
"""Counters and histograms: added up in the processes, read by the sidecar, sums exact."""
import json
import threading

import pytest

from testing.fleet import eventually, spec

# Adds each number that appears in the file at COMMANDS; says in DONE how many lines it has done.
APP = """
import os, sys, time
region = sys.argv[1]

def add(amount):
    return region

def work(path):
    done = 0
    while True:
        with open(path) as file:
            lines = file.read().split("\\n")[:-1]
        for line in lines[done:]:
            amount, repeat = line.split()
            for _ in range(int(repeat)):
                adder.add(eval(amount))
        if len(lines) > done:
            done = len(lines)
            with open(path + ".done.new", "w") as file:
                file.write(str(done))
            os.rename(path + ".done.new", path + ".done")
        time.sleep(0.005)

if __name__ == "__main__":
    import adder
    adder.region = region
    work(sys.argv[2])
"""

TIMEOUT = 60.0  # seconds of one subscription
TAGS = {"tags": "{'region': result}"}


class Adder:
    """One process, and what it is to add."""

    def __init__(self, fleet, region, name):
        self.path = fleet.write("commands-" + name, "")
        self.program = fleet.start_app("adder.py", APP, region, self.path)
        self.pid = self.program.pid
        self._lines = 0

    def add(self, amount, repeat=1):
        """`amount`: a Python expression."""
        with open(self.path, "a") as file:
            file.write("%s %d\n" % (amount, repeat))
        self._lines += 1

        def is_done():
            try:
                with open(self.path + ".done") as file:
                    return int(file.read()) == self._lines
            except FileNotFoundError:
                return False

        eventually(is_done, what="the additions")


class Totals:
    """The latest aggregates out of a subscription, by (pid, spec id, tags)."""

    def __init__(self, stream):
        assert next(stream).started
        self._stream = stream
        deadline = threading.Timer(TIMEOUT, stream.cancel)
        deadline.daemon = True
        deadline.start()
        self.latest = {}
        self.lost = 0

    def wait(self, is_enough):
        """Reads on until `is_enough` holds for the latest ones."""
        while not is_enough(self.latest):
            for batch in next(self._stream).batches:
                self.lost += batch.lost
                for one in batch.aggregates:
                    tags = ",".join("%s=%s" % (tag.key, tag.value) for tag in one.tags)
                    self.latest[batch.pid, one.spec_id, tags] = one

    def wait_sum(self, key, total):
        self.wait(lambda latest: key in latest and latest[key].counter.sum == total)
        return self.latest[key]


@pytest.fixture
def totals(fleet, api):
    return Totals(api.subscribe())


def test_two_processes(fleet, api, totals):
    apps = [Adder(fleet, "eu", "a"), Adder(fleet, "us", "b")]
    fleet.apply(
        spec("count", "adder.add", "amount", type="incr", name="shop.count", custom=TAGS),
        spec("size", "adder.add", "amount", type="hist"),
    )
    for id in ("count", "size"):
        fleet.wait_armed(id, 2)
    for app in apps:
        app.add("0.5", 300)
        app.add("8", 100)
    for app, region in zip(apps, ("eu", "us")):
        counter = totals.wait_sum((app.pid, "count", "region=" + region), 950)
        assert counter.counter.count == 400
        assert counter.name == "shop.count"
        assert not counter.is_overflow
        assert 0 < counter.start_unix_nanos <= counter.time_unix_nanos
        key = (app.pid, "size", "")
        totals.wait(lambda latest: key in latest and latest[key].histogram.count == 400)
        histogram = totals.latest[key].histogram
        assert (histogram.sum, histogram.min, histogram.max) == (950, 0.5, 8)
        assert sum(histogram.positive.bucket_counts) == 400
        assert histogram.positive.bucket_counts[0] == 300
        assert histogram.positive.bucket_counts[-1] == 100
        assert (histogram.zero_count, len(histogram.negative.bucket_counts)) == (0, 0)
    assert totals.lost == 0
    reply = api.get("count")
    assert sum(p.status.hits for p in reply.processes) <= 800


def test_a_filter_holds_for_aggregates(fleet, api):
    app = Adder(fleet, "eu", "a")
    fleet.apply(
        spec("one", "adder.add", "1", type="incr"), spec("two", "adder.add", "2", type="incr")
    )
    for id in ("one", "two"):
        fleet.wait_armed(id, 1)
    both, only = Totals(api.subscribe()), Totals(api.subscribe("two"))
    app.add("0", 10)
    both.wait_sum((app.pid, "one", ""), 10)
    both.wait_sum((app.pid, "two", ""), 20)
    only.wait_sum((app.pid, "two", ""), 20)
    assert list(only.latest) == [(app.pid, "two", "")]


def test_last_values_of_a_killed_process(fleet, totals):
    for i in range(3):
        app = Adder(fleet, "eu", "app%d" % i)
        if i == 0:
            fleet.apply(spec("count", "adder.add", "amount", type="incr"))
        fleet.wait_armed("count", 1)
        app.add("1", 1000 + i)
        app.program.kill()  # -9, at once
        key = (app.pid, "count", "")
        totals.wait_sum(key, 1000 + i)
        eventually(lambda: not fleet.ctl_json("get", "processes"), what="the end of the process")


def test_last_values_of_a_removed_spec(fleet, api, totals):
    app = Adder(fleet, "eu", "a")
    for revision in range(3):
        fleet.apply(spec("count", "adder.add", "amount * %d" % (revision + 1), type="incr"))
        fleet.wait_armed("count", 1)
        app.add("7", 100)
        api.delete("count")
        totals.wait_sum((app.pid, "count", ""), 700 * (revision + 1))
        eventually(
            lambda: all(not p.status.statuses for p in api.processes().processes),
            what="the removal",
        )


def test_values_go_on_after_a_restart_of_the_sidecar(fleet, totals):
    sidecar = fleet.programs[1]
    app = Adder(fleet, "eu", "a")
    key = (app.pid, "count", "")
    fleet.apply(spec("count", "adder.add", "amount", type="incr"))
    fleet.wait_armed("count", 1)
    app.add("1", 100)
    start = totals.wait_sum(key, 100).start_unix_nanos
    sidecar.kill()
    app.add("1", 10)  # while there is no sidecar
    fleet.start_sidecar()
    assert totals.wait_sum(key, 110).start_unix_nanos == start
    app.add("1", 1)
    assert totals.wait_sum(key, 111).start_unix_nanos == start


def test_who_subscribes_later_gets_everything(fleet, api):
    app = Adder(fleet, "eu", "a")
    fleet.apply(spec("count", "adder.add", "amount", type="incr"))
    fleet.wait_armed("count", 1)
    app.add("2", 50)
    for _ in range(2):  # with nobody watching before
        stream = api.subscribe()
        Totals(stream).wait_sum((app.pid, "count", ""), 100)
        stream.cancel()


def test_too_many_tag_sets(fleet, totals):
    app = Adder(fleet, "eu", "a")
    fleet.apply(
        spec("count", "adder.add", "1", type="incr", custom={"tags": "{'amount': amount}"})
    )
    fleet.wait_armed("count", 1)
    for amount in range(70):
        app.add(amount)
    key = (app.pid, "count", "otel.metric.overflow=true")
    assert totals.wait_sum(key, 6).is_overflow
    assert len(totals.latest) == 65
    eventually(
        lambda: "otel.metric.overflow" in fleet.ctl("describe", "spec", "count").stdout,
        what="the warning in the status",
    )


@pytest.mark.parametrize(
    "type, value, error",
    [
        ("incr", "-amount", "ValueError: -3 is negative, and a counter only goes up"),
        ("incr", "result", "TypeError: a number, or a list of numbers or (number, tags) pairs, is "
                           "expected, not str"),
        ("hist", "float('nan')", "ValueError: nan is not a finite number"),
    ],
)
def test_values_that_do_not_count(fleet, api, type, value, error):
    app = Adder(fleet, "eu", "a")
    stream = api.subscribe()
    fleet.apply(spec("count", "adder.add", value, type=type))
    fleet.wait_armed("count", 1)
    app.add("3", 5)
    (status,) = fleet.wait_state("count", 3)
    assert status.message == "instrument.value: " + error
    for response in stream:
        events = [event for batch in response.batches for event in batch.events]
        if events:
            break
    assert [event.error for event in events] == [error]


def test_the_command_line(fleet):
    app = Adder(fleet, "eu", "a")
    fleet.apply(
        spec("count", "adder.add", "amount", type="incr", custom=TAGS),
        spec("size", "adder.add", "amount", type="hist"),
    )
    for id in ("count", "size"):
        fleet.wait_armed(id, 1)
    app.add("5", 24)
    result = fleet.ctl("events", "--spec", "count", "--count", "1")
    assert result.returncode == 0, result.stderr
    assert result.stdout.split(" ", 1)[1] == "pid=%d count +120 (sum 120) {region=eu}\n" % app.pid
    result = fleet.ctl("events", "--spec", "size", "--count", "1")
    assert result.stdout.split(" ", 1)[1] == (
        "pid=%d size count 24 sum 120 min 5 p50 5 p90 5 p99 5 max 5\n" % app.pid
    )
    line = json.loads(fleet.ctl("events", "--spec", "size", "--count", "1", "-o", "json").stdout)
    assert (line["kind"], line["count"], line["sum"]) == ("histogram", 24, 120)
    assert line["positive"]["counts"] == [24]
