# SPDX-License-Identifier: MIT
"""Many processes, coming and going in every manner: each event arrives once, from whom it says."""
import collections
import json
import os

from testing.fleet import PYTHON, eventually, events_of, spec

# What every application here begins with. Children say how often they called f().
PRELUDE = """
import diagnose, json, os, sys, threading, time
def f():
    return os.getpid()
sys.modules["app"] = sys.modules["__main__"]
def is_ready():
    status = diagnose.status()
    return status["connected"] and any(s["state"] == "ARMED" for s in status["specs"])
def call(count):
    while not is_ready():
        time.sleep(0.001)
    for _ in range(count):
        assert f() == os.getpid()
def child(count):
    call(count)
    os._exit(0)
"""


def collect(stream, expected, uids=None):
    """Reads until `expected` events, or losses told, have come; events and losses by pid."""
    events, lost = collections.Counter(), collections.Counter()
    for response in stream:
        for batch in response.batches:
            lost[batch.pid] += batch.lost
            events[batch.pid] += len(batch.events)
            for event in batch.events:
                assert event.value.int == batch.pid
            if uids is not None:
                uids[batch.pid].add(batch.process_uid)
        assert response.lost == 0
        if sum(events.values()) + sum(lost.values()) >= expected:
            return events, lost


MANNERS = """
call(1000)
def wait(pid):
    assert os.waitpid(pid, 0)[1] == 0
def prefork():
    pids = [os.fork() for _ in range(3) if os.getpid() == parent]
    if os.getpid() != parent:
        child(1000)
    for pid in pids:
        wait(pid)
def fork_twice():
    pid = os.fork()
    if pid == 0:
        if os.fork() == 0:
            child(1000)
        os._exit(0)
    wait(pid)
def fork_in_a_thread():
    def run():
        pid = os.fork()
        if pid == 0:
            child(1000)
        wait(pid)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
def fork_of_a_fork():
    pid = os.fork()
    if pid == 0:
        call(1000)
        inner = os.fork()
        if inner == 0:
            child(1000)
        wait(inner)
        os._exit(0)
    wait(pid)
parent = os.getpid()
for manner in (prefork, fork_twice, fork_in_a_thread, fork_of_a_fork):
    manner()
print("clean end", flush=True)
time.sleep(60)
"""


def test_forks_of_every_manner(fleet, api):
    fleet.apply(spec("pid", "app.f", "result"))
    stream = api.subscribe("pid")
    assert next(stream).started
    app = fleet.start_app("app.py", PRELUDE + MANNERS)
    uids = collections.defaultdict(set)
    events, lost = collect(stream, 8000, uids)
    assert sorted(events.values()) == [1000] * 8
    assert not +lost
    assert all(len(of_one) == 1 for of_one in uids.values())
    assert len(set.union(*uids.values())) == 8
    eventually(lambda: "clean end" in app.log(), what="the end")


THREADS = """
is_over = False
def run():
    while not is_over:
        f()
        time.sleep(0.0002)
call(1)
threads = [threading.Thread(target=run) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(30):
    pid = os.fork()
    if pid == 0:
        child(100)
    assert os.waitpid(pid, 0)[1] == 0
is_over = True
for thread in threads:
    thread.join()
(status,) = diagnose.status()["specs"]
print(json.dumps([status["hits"], status["dropped"]]), flush=True)
time.sleep(60)
"""


def test_forks_while_other_threads_hit(fleet, api):
    fleet.apply(spec("pid", "app.f", "result"))
    stream = api.subscribe("pid")
    assert next(stream).started
    app = fleet.start_app("app.py", PRELUDE + THREADS)
    eventually(lambda: app.log(), 60, "the end of the forks")
    hits, dropped = json.loads(app.log())
    events, lost = collect(stream, hits + 30 * 100)
    assert events.pop(app.pid) == hits - dropped
    assert lost[app.pid] == dropped
    assert sorted(events.values()) == [100] * 30


EXEC = """
call(500)
if len(sys.argv) < 3:
    os.execv(sys.executable, [sys.executable, "-m", "diagnose", "run", "--",
                              sys.executable, sys.argv[0]] + sys.argv[1:] + ["again"])
print("clean end", flush=True)
time.sleep(60)
"""


def test_exec_makes_a_new_process_of_the_same_pid(fleet, api):
    fleet.apply(spec("pid", "app.f", "result"))
    stream = api.subscribe("pid")
    assert next(stream).started
    app = fleet.start_app("app.py", PRELUDE + EXEC)
    uids = collections.defaultdict(set)
    events, lost = collect(stream, 1500, uids)
    assert events == {app.pid: 1500}
    assert not +lost
    assert len(uids[app.pid]) == 3
    (process,) = eventually(
        lambda: [p for p in [api.processes().processes] if len(p) == 1], what="one process"
    )[0]
    assert process.status.process.uid in uids[app.pid]


SHORT_LIVED = """
call(1)
for number in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        child(10)
    assert os.waitpid(pid, 0)[1] == 0
print("clean end", flush=True)
time.sleep(60)
"""


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def memory_kib(pid):
    """What is its own or shared with nobody, and what it maps of memfds."""
    with open("/proc/%d/smaps_rollup" % pid) as file:
        return int(file.read().split("Rss:")[1].split()[0])


def test_hundreds_of_short_lived_processes(fleet, api):
    sidecar = fleet.programs[1]
    fleet.apply(spec("pid", "app.f", "result"))
    stream = api.subscribe("pid")
    assert next(stream).started
    warm_up, count = 30, 300
    app = fleet.start_app("app.py", PRELUDE + SHORT_LIVED, str(warm_up))
    events, _ = collect(stream, 1 + 10 * warm_up)
    app.kill()
    eventually(lambda: not api.processes().processes, what="an empty fleet")
    eventually(lambda: descriptors(sidecar.pid) < 40, what="closed descriptors")
    before = descriptors(sidecar.pid), memory_kib(sidecar.pid)

    app = fleet.start_app("app.py", PRELUDE + SHORT_LIVED, str(count))
    events, lost = collect(stream, 1 + 10 * count)
    assert sorted(events.values()) == [1] + [10] * count
    assert not +lost
    app.kill()
    eventually(lambda: not api.processes().processes, what="an empty fleet")
    eventually(lambda: descriptors(sidecar.pid) == before[0], what="closed descriptors")
    assert memory_kib(sidecar.pid) < before[1] + 2048


CROWD = """
call(1)
for _ in range(3):
    if os.fork() == 0:
        break
while True:
    f()
    time.sleep(0.01)
"""


def states(fleet):
    return {p["pid"]: (p["state"], p.get("reason", "")) for p in fleet.ctl_json("get", "processes")}


def by_state(fleet, state):
    return {pid for pid, (its_state, _) in states(fleet).items() if its_state == state}


def check_crowd(fleet, reason):
    """Two of four find room; the others are listed with the reason, and wait for their turn."""
    fleet.apply(spec("pid", "app.f", "result"))
    app = fleet.start_app("app.py", PRELUDE + CROWD)
    eventually(lambda: len(by_state(fleet, "Refused")) == 2, what="two refused processes")
    all_states = states(fleet)
    refused = [why for state, why in all_states.values() if state == "Refused"]
    assert len(all_states) == 4 and len(by_state(fleet, "Connected")) == 2
    assert all(reason in why for why in refused), refused
    table = fleet.ctl("get", "processes").stdout
    assert "Refused: pid " in table and reason in table

    served = by_state(fleet, "Connected") - {app.pid}
    os.kill(served.pop(), 9)
    eventually(lambda: len(by_state(fleet, "Refused")) == 1, what="one that is let in")
    assert len(by_state(fleet, "Connected")) == 2
    fleet.wait_armed("pid", 2)
    app.kill()  # its children are killed with its session, when the test ends


def test_more_processes_than_the_limit(bare_fleet):
    bare_fleet.start_controller()
    bare_fleet.start_sidecar("--max-processes", "2")
    check_crowd(bare_fleet, "2 processes are connected, no more are allowed (--max-processes)")


def test_more_memory_than_the_limit(bare_fleet):
    bare_fleet.start_controller()
    bare_fleet.start_sidecar("--ring-size", "65536", "--max-memory", "1000000")
    check_crowd(bare_fleet, "(--max-memory)")


def test_a_refused_process_that_ends_is_forgotten(bare_fleet):
    bare_fleet.start_controller()
    bare_fleet.start_sidecar("--max-processes", "1")
    first = bare_fleet.start("first", bare_fleet.run_argv(PYTHON, "-c", "import time; time.sleep(60)"),
                             bare_fleet.app_environment())
    eventually(lambda: by_state(bare_fleet, "Connected") == {first.pid}, what="the first")
    second = bare_fleet.start("second", bare_fleet.run_argv(PYTHON, "-c", "import time; time.sleep(60)"),
                              bare_fleet.app_environment())
    eventually(lambda: by_state(bare_fleet, "Refused") == {second.pid}, what="the second")
    second.kill()
    eventually(lambda: list(states(bare_fleet)) == [first.pid], what="the second one's end")
    assert second.log() == ""
