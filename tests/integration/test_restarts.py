# SPDX-License-Identifier: MIT
"""Whatever is killed, the others go on and the application never notices."""
import http.client
import os
import signal
import socket
import threading
import time

import pytest

from testing.fleet import ROOT, Api, eventually, events_of, spec

RECONNECT_SECONDS = 5.0


class Load:
    """A client that asks the shop again and again, and counts what is not a 200."""

    def __init__(self, port):
        self.port = port
        self.requests = 0
        self.errors = []
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _request(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/products")
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                self.errors.append(response.status)
        finally:
            connection.close()

    def _run(self):
        while not self._is_stopping.wait(0.01):
            try:
                self._request()
            except OSError as error:
                self.errors.append(repr(error))
            self.requests += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._is_stopping.set()
        self._thread.join()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        return [int(child) for child in file.read().split()]


@pytest.fixture
def shop(fleet):
    """The demo shop under gunicorn with two workers, probed on each request."""
    port = free_port()
    environment = fleet.app_environment()
    program = fleet.start(
        "shop",
        fleet.run_argv(
            "gunicorn",
            "--workers",
            "2",
            "--bind",
            "127.0.0.1:%d" % port,
            "--chdir",
            os.path.join(ROOT, "deploy", "demo"),
            "shop.app:create_app()",
        ),
        environment,
    )
    program.port = port

    def is_up():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    eventually(is_up, what="the shop's start")
    fleet.apply(spec("list", "shop.catalog.Catalog.list", "elapsed"))
    return program


def flows_again(fleet, since):
    """Seconds from `since` until a new subscriber sees an event, at most RECONNECT_SECONDS."""
    while True:
        api = Api(fleet.channel())
        try:
            for _ in events_of(api.subscribe("list")):
                return time.monotonic() - since
        except Exception as error:  # the controller may still be on its way up
            if time.monotonic() - since > RECONNECT_SECONDS:
                raise AssertionError("no events: %s" % error)
        finally:
            api.close()


def processes_of(fleet):
    api = Api(fleet.channel())
    try:
        return api.processes().processes
    finally:
        api.close()


def test_kill_controller_sidecar_and_worker(fleet, shop):
    fleet.wait_armed("list", 2)
    with Load(shop.port) as load:
        assert flows_again(fleet, time.monotonic()) < RECONNECT_SECONDS

        since = time.monotonic()
        fleet.programs[0].kill()
        fleet.start_controller()
        assert flows_again(fleet, since) < RECONNECT_SECONDS
        fleet.wait_armed("list", 2, RECONNECT_SECONDS)

        since = time.monotonic()
        fleet.programs[1].kill()
        fleet.start_sidecar(wait=False)
        assert flows_again(fleet, since) < RECONNECT_SECONDS
        fleet.wait_armed("list", 2, RECONNECT_SECONDS)

        errors_before = list(load.errors)
        worker = children(shop.pid)[0]
        since = time.monotonic()
        os.kill(worker, signal.SIGKILL)
        eventually(
            lambda: len(children(shop.pid)) == 2 and worker not in children(shop.pid),
            what="the new worker",
        )
        assert flows_again(fleet, since) < RECONNECT_SECONDS
        eventually(
            lambda: worker not in [p.status.process.pid for p in processes_of(fleet)],
            RECONNECT_SECONDS,
            "the killed worker's disappearance",
        )
        fleet.wait_armed("list", 2, RECONNECT_SECONDS)
        served = load.requests
        eventually(lambda: load.requests >= served + 100, what="a hundred more requests")
    # a request that the killed worker was serving may be cut off; that is not our doing
    assert errors_before == []
    assert len(load.errors) <= 1


def test_specs_survive_kill_of_the_controller(fleet, api):
    for number in range(20):
        fleet.apply(spec("s%d" % number, "app.f", "result"))
    api.delete("s7")
    before = {s.spec.id: s.spec.revision for s in api.list().specs}
    fleet.programs[0].kill()
    fleet.start_controller()
    again = Api(fleet.channel())
    assert {s.spec.id: s.spec.revision for s in again.list().specs} == before
    assert len(before) == 19
    again.close()


COUNTER = """
import sys, time, os
def f(n):
    return n
sys.modules["app"] = sys.modules["__main__"]
n = 0
while True:
    f(n)
    n += 1
    time.sleep(0.001)
"""


def test_nothing_committed_is_lost_when_the_sidecar_is_killed(fleet, api):
    """The process hands its ring to the next sidecar, which goes on behind what the controller had
    acknowledged: some events come twice, none is missing."""
    fleet.start_app("app.py", COUNTER)
    fleet.apply(spec("n", "app.f", "n"))
    stream = events_of(api.subscribe("n"))
    numbers = [next(stream)[1].value.int for _ in range(100)]
    fleet.programs[1].kill()
    fleet.start_sidecar()
    while len(numbers) < 5000 and numbers[-1] < numbers[0] + 3000:
        numbers.append(next(stream)[1].value.int)
    assert sorted(set(numbers)) == list(range(numbers[0], max(numbers) + 1))
    jumps = [(a, b) for a, b in zip(numbers, numbers[1:]) if b != a + 1]
    assert len(jumps) <= 1, jumps
    assert len(numbers) - len(set(numbers)) < 200


def test_a_restart_by_sigterm_repeats_nothing(fleet, api):
    fleet.start_app("app.py", COUNTER)
    fleet.apply(spec("n", "app.f", "n"))
    stream = events_of(api.subscribe("n"))
    numbers = [next(stream)[1].value.int for _ in range(100)]
    assert fleet.programs[1].stop() == 0
    fleet.start_sidecar()
    while numbers[-1] < numbers[0] + 2000:
        numbers.append(next(stream)[1].value.int)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))


def test_sidecar_first_controller_later(bare_fleet):
    fleet = bare_fleet
    fleet.start_controller()
    fleet.programs[0].kill()
    fleet.start_sidecar()
    fleet.start_app("app.py", COUNTER)
    fleet.start_controller()
    fleet.apply(spec("n", "app.f", "n"))
    fleet.wait_armed("n", 1, RECONNECT_SECONDS)


def test_app_first_sidecar_later(bare_fleet):
    fleet = bare_fleet
    fleet.start_controller()
    fleet.start_app("app.py", COUNTER)
    fleet.start_sidecar()
    fleet.apply(spec("n", "app.f", "n"))
    fleet.wait_armed("n", 1, RECONNECT_SECONDS)


def test_a_killed_process_leaves_the_fleet(fleet, api):
    app = fleet.start_app("app.py", COUNTER)
    fleet.apply(spec("n", "app.f", "n"))
    fleet.wait_armed("n", 1)
    app.kill()
    eventually(lambda: not api.processes().processes, what="the process's disappearance")


def test_the_ttl_disarms_when_the_controller_stays_away(bare_fleet):
    fleet = bare_fleet
    fleet.start_controller("--ttl", "2")
    fleet.start_sidecar()
    status = fleet.path("status")
    fleet.start_app(
        "app.py",
        COUNTER.replace(
            "time.sleep(0.001)",
            "time.sleep(0.01)\n"
            "    import diagnose\n"
            "    open(os.environ['STATUS'], 'w').write(repr(len(diagnose.status()['specs'])))",
        ),
        env=fleet.app_environment(STATUS=status),
    )
    fleet.apply(spec("n", "app.f", "n"))
    fleet.wait_armed("n", 1)
    fleet.programs[0].kill()
    eventually(lambda: open(status).read() == "0", timeout=6, what="disarming after the ttl")
    fleet.start_controller("--ttl", "2")
    fleet.wait_armed("n", 1, RECONNECT_SECONDS)


def test_diagnosectl_events_subscribes_again(fleet, api):
    fleet.start_app("app.py", COUNTER)
    fleet.apply(spec("n", "app.f", "n"))
    events = fleet.start_events()
    eventually(lambda: '"value"' in events.log(), what="an event")
    fleet.programs[0].kill()
    fleet.start_controller()
    eventually(lambda: "subscribed again" in events.log(), RECONNECT_SECONDS, "the subscription")
    size = len(events.log())
    eventually(lambda: '"value"' in events.log()[size:], RECONNECT_SECONDS, "more events")
    assert events.stop() == 0
