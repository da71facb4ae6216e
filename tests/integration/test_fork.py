# SPDX-License-Identifier: MIT
"""Children of a fork get a life of their own: uid, ring and statuses."""
from testing.fleet import eventually, events_of, spec

FORKS = """
import os, sys, time, signal
def f():
    return os.getpid()
sys.modules["app"] = sys.modules["__main__"]
time.sleep(float(os.environ.get("BEFORE", "0")))
for _ in range(3):
    if os.fork() == 0:
        break
while True:
    assert f() == os.getpid()
    time.sleep(0.005)
"""


def pids_seen(api, id, count):
    seen = set()
    for batch, event in events_of(api.subscribe(id)):
        assert batch.pid == event.value.int
        seen.add((batch.pid, batch.process_uid))
        if len({pid for pid, _ in seen}) == count:
            return seen


def test_forked_after_connecting(fleet, api):
    fleet.start_app("app.py", FORKS, env=fleet.app_environment(BEFORE="0.5"))
    fleet.apply(spec("pid", "app.f", "result"))
    seen = pids_seen(api, "pid", 4)
    assert len({uid for _, uid in seen}) == 4
    fleet.wait_armed("pid", 4)


MULTIPROCESSING = """
import multiprocessing, os, sys, time
def work(n):
    return n * n
if __name__ == "__main__":
    import app
    method = sys.argv[1]
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        while not os.path.exists(os.environ["STOP"]):
            assert pool.map(app.work, range(10)) == [n * n for n in range(10)]
            time.sleep(0.01)
    print("clean end", flush=True)
"""


def test_multiprocessing(fleet, api):
    fleet.apply(spec("work", "app.work", "result"))
    for method in ("fork", "spawn", "forkserver"):
        stop = fleet.path("stop-" + method)
        path = fleet.write("app.py", MULTIPROCESSING)
        app = fleet.start(
            method,
            fleet.run_argv("/usr/bin/python3", path, method),
            fleet.app_environment(STOP=stop),
        )
        seen = set()
        for batch, _ in events_of(api.subscribe("work")):
            seen.add(batch.pid)
            if len(seen) == 2:
                break
        assert app.pid not in seen
        fleet.write("stop-" + method, "")
        assert app.process.wait(20) == 0, app.log()
        assert app.log() == "clean end\n"
        eventually(lambda: not api.processes().processes, what="the end of " + method)


EXITS = {
    "falls off the end": "",
    "sys.exit": "sys.exit(0)",
    "os._exit": "os._exit(0)",
    "exec": "os.execv('/bin/true', ['true'])",
}


def test_programs_end_as_ever(fleet):
    for name, ending in EXITS.items():
        app = fleet.start_app(
            "app.py", "import os, sys, time, diagnose\ndiagnose.connect(wait=10)\n" + ending
        )
        assert app.process.wait(20) == 0, name
        assert app.log() == "", name
