# SPDX-License-Identifier: MIT
"""The library in programs that fork, spawn, have threads, tasks or greenlets: probes set before and
after the fork fire in the right processes, and nothing is held up at the exit."""
import collections
import datetime
import http.client
import json
import os
import shutil
import signal
import socket
import sys
import tempfile

import pytest

from testing.fleet import PACKAGE, PYTHON, Program, eventually

SECONDS = 60  # by which whatever hangs has failed

# What all programs share: a manager whose store is a JSON file, and an instrument that appends
# "PID NAME VALUE" to a file with one write.
JOBS = """
import datetime, json, os, threading

import diagnose

HITS = os.open(os.environ["HITS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


class Append(diagnose.Instrument):
    def fire(self, _globals, _locals):
        value = self.evaluate(self.value, _globals, _locals)
        os.write(HITS, b"%d %s %d\\n" % (os.getpid(), self.name.encode(), value))


class FileManager(diagnose.managers.InstrumentManager):
    instrument_classes = {"append": Append}

    @property
    def specs(self):
        with open(os.environ["STORE"]) as file:
            specs = json.load(file)
        for spec in specs.values():
            spec["lastmodified"] = datetime.datetime.fromisoformat(spec["lastmodified"])
        return specs

    def mark(self, id, lastmodified, error):
        os.write(HITS, b"%d applied:%s %d\\n" % (os.getpid(), id.encode(), error is None))


def double(n):
    return 2 * n


def threads():
    return [thread.name for thread in threading.enumerate()].count("diagnose.manager")


diagnose.manager = FileManager()
diagnose.manager.apply()
diagnose.manager.apply_in_background(0.05)
"""


class Programs:
    """A folder with jobs.py, the store of its specs, and the file of its hits."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="diag.", dir="/tmp")
        self.store = self.path("store.json")
        self.hits_path = self.path("hits")
        self.programs = []
        self.specs = {}
        self.write("jobs.py", JOBS)
        self.put("before", "jobs.double")

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name) + ".new", "w") as file:
            file.write(text)
        os.rename(self.path(name) + ".new", self.path(name))
        return self.path(name)

    def put(self, id, target, value="result", **instrument):
        self.specs[id] = {
            "target": target,
            "instrument": {"type": "append", "name": id, "value": value, **instrument},
            "lifespan": 10,
            "lastmodified": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        }
        self.write("store.json", json.dumps(self.specs))

    def remove(self, id):
        del self.specs[id]
        self.write("store.json", json.dumps(self.specs))

    def start(self, *argv):
        environment = dict(os.environ, PYTHONPATH=PACKAGE + os.pathsep + self.folder,
                           STORE=self.store, HITS=self.hits_path, PYTHONUNBUFFERED="1")
        program = Program(argv[0], list(argv), self.path("log"), env=environment)
        self.programs.append(program)
        return program

    def run(self, source, *arguments):
        """Runs main.py to its end, which must come; what it has printed."""
        program = self.start(PYTHON, self.write("main.py", source), *arguments)
        assert program.process.wait(SECONDS) == 0, program.log()
        return program.log()

    def hits(self):
        """Counter of (pid, name, value)."""
        if not os.path.exists(self.hits_path):
            return collections.Counter()
        with open(self.hits_path) as file:
            return collections.Counter(
                (int(pid), name, int(value)) for pid, name, value in map(str.split, file))

    def pids_of(self, name):
        return {pid for pid, what, _ in self.hits() if what == name}

    def close(self, is_failure):
        for program in self.programs:
            if is_failure:
                print("---", program.name, program.log()[-4000:])
            try:
                os.killpg(program.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            program.process.wait(SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def programs(request):
    made = Programs()
    yield made
    made.close(True)


MULTIPROCESSING = """
import multiprocessing, os, sys
import jobs

def work(n):
    assert jobs.threads() == 1
    return os.getpid(), jobs.double(n)

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2) as pool:
        answers = pool.map(work, range(50), chunksize=1)
        pool.close()
        pool.join()
    process = context.Process(target=work, args=(1000,))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert [value for _, value in answers] == [2 * n for n in range(50)]
    print(os.getpid(), process.pid, *sorted({pid for pid, _ in answers}))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(programs, method):
    parent, lone, *workers = map(int, programs.run(MULTIPROCESSING, method).split())
    hits = programs.hits()
    counts = collections.Counter(
        value for (_, name, value), count in hits.items() if name == "before" for _ in range(count))
    assert counts == {2 * n: 1 for n in list(range(50)) + [1000]}
    assert hits[lone, "before", 2000] == 1
    assert programs.pids_of("before") == {lone, *workers}
    # a forked child has it from its parent, and may be gone before its own thread says so
    applied = {parent} if method == "fork" else {parent, lone, *workers}
    assert applied <= programs.pids_of("applied:before")


FORKS = """
import os, sys, time
import jobs

def wait_for(path):
    while not os.path.exists(path):
        jobs.double(-1)
        time.sleep(0.005)

children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        wait_for(os.environ["STORE"] + ".stop")
        sys.exit(0)  # through Python's own end, with the thread alive
    children.append(child)
print(os.getpid(), *children, flush=True)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
"""


def test_probes_set_before_and_after_a_fork(programs):
    program = programs.start(PYTHON, programs.write("main.py", FORKS))
    parent, *children = map(int, eventually(
        lambda: "\n" in program.log() and program.log(), SECONDS).split())
    eventually(lambda: programs.pids_of("before") == set(children), SECONDS, "hits before")
    programs.put("after", "jobs.double", "result - 1")
    eventually(lambda: programs.pids_of("after") == set(children), SECONDS, "hits after")
    assert programs.pids_of("applied:after") == {parent, *children}
    programs.remove("before")

    def is_quiet():
        seen = [hit for hit in programs.hits().items() if hit[0][1] == "before"]
        afters = sum(programs.hits()[pid, "after", -3] for pid in children)
        eventually(lambda: sum(programs.hits()[pid, "after", -3] for pid in children) > afters + 9)
        return seen == [hit for hit in programs.hits().items() if hit[0][1] == "before"]

    eventually(is_quiet, SECONDS, "removed everywhere")
    programs.write("store.json.stop", "")
    assert program.process.wait(SECONDS) == 0, program.log()


THREADS = """
import threading
import jobs

def work(first):
    for n in range(first, first + 500):
        assert jobs.double(n) == 2 * n

threads = [threading.Thread(target=work, args=(500 * number,)) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads(programs):
    programs.run(THREADS)
    assert {key[1:]: count for key, count in programs.hits().items() if key[1] == "before"} == {
        ("before", 2 * n): 1 for n in range(4000)}


ASYNCIO = """
import asyncio
import jobs

async def work(n):
    await asyncio.sleep(0)
    jobs.double(n)
    await asyncio.sleep(0.001)
    return jobs.double(n + 1000)

async def main():
    values = await asyncio.gather(*(work(n) for n in range(200)))
    assert values == [2 * n + 2000 for n in range(200)]
    await asyncio.get_running_loop().run_in_executor(None, jobs.double, 5000)

asyncio.run(main())
"""


def test_asyncio(programs):
    programs.run(ASYNCIO)
    expected = [2 * n for n in range(200)] + [2 * n + 2000 for n in range(200)] + [10000]
    assert {key[1:]: count for key, count in programs.hits().items() if key[1] == "before"} == {
        ("before", value): 1 for value in expected}


GEVENT = """
import sys
import gevent.monkey
gevent.monkey.patch_all()
import gevent
import diagnose
import jobs

class Yielding(jobs.Append):
    def fire(self, _globals, _locals):
        gevent.sleep(0.001)
        jobs.double(-1)  # its own target: no hit
        super().fire(_globals, _locals)
        gevent.sleep(0)

diagnose.manager.instrument_classes["yielding"] = Yielding
diagnose.manager.apply()

def work(first):
    for n in range(first, first + 20):
        assert jobs.double(n) == 2 * n

gevent.joinall([gevent.spawn(work, 20 * number) for number in range(30)], raise_error=True)
threads = gevent.get_hub().threadpool.map(jobs.double, range(1000, 1010))
assert threads == [2 * n for n in range(1000, 1010)]
"""


@pytest.mark.parametrize("kind", ["append", "yielding"])
def test_gevent(programs, kind):
    """Hits of a greenlet count while another one is in the middle of an instrument."""
    pytest.importorskip("gevent")
    programs.put("before", "jobs.double", type=kind)
    programs.run(GEVENT)
    hits = {key[1:]: count for key, count in programs.hits().items() if key[1] == "before"}
    expected = {("before", 2 * n): 1 for n in list(range(600)) + list(range(1000, 1010))}
    if kind == "append":
        assert hits == expected
    else:
        assert {key: hits.get(key) for key in expected} == expected
        assert ("before", -2) not in hits


GEVENT_APPLY = """
import gevent.monkey
gevent.monkey.patch_all()
import os
import gevent
import jobs

def apply(number):
    for _ in range(10):
        jobs.diagnose.manager.apply()
        gevent.sleep(0.001)

class Slow(jobs.FileManager):
    @property
    def specs(self):
        gevent.sleep(0.002)  # as a query does
        return super().specs

jobs.diagnose.manager.stop_background()
jobs.diagnose.manager = Slow()
jobs.diagnose.manager.apply_in_background(0.003)
gevent.joinall([gevent.spawn(apply, number) for number in range(10)], raise_error=True)
child = os.fork()
if child == 0:
    gevent.sleep(0.05)
    jobs.double(7)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(child)
"""


def test_gevent_managers(programs):
    pytest.importorskip("gevent")
    child = int(programs.run(GEVENT_APPLY))
    assert programs.hits()[child, "before", 14] == 2  # of each manager's instrument
    assert child in programs.pids_of("applied:before")


WSGI = """
import os
import jobs

def app(environ, start_response):
    n = int(environ["QUERY_STRING"])
    answer = "%d %d %d" % (os.getpid(), jobs.double(n), jobs.threads())
    start_response("200 OK", [("Content-Type", "text/plain"), ("Connection", "close")])
    return [answer.encode()]
"""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=SECONDS)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self.path)


def ask(path, n):
    connection = UnixConnection(path)
    try:
        connection.request("GET", "/?%d" % n)
        return [int(word) for word in connection.getresponse().read().split()]
    except (ConnectionError, FileNotFoundError, http.client.HTTPException):
        return None
    finally:
        connection.close()


@pytest.mark.parametrize("flags", [
    ["--workers", "2"],
    ["--workers", "2", "--preload"],
    ["--workers", "2", "--threads", "4", "--preload"],
    ["--workers", "2", "-k", "gevent"],
    ["--workers", "2", "-k", "gevent", "--preload"],
], ids=" ".join)
def test_gunicorn(programs, flags):
    if "gevent" in flags:
        pytest.importorskip("gevent")
    programs.write("wsgi.py", WSGI)
    path = programs.path("g.sock")
    server = programs.start(shutil.which("gunicorn"), "--bind", "unix:" + path, "--chdir",
                            programs.folder, "--graceful-timeout", "10", *flags, "wsgi:app")
    asked = collections.Counter()

    def ask_once(n):
        answer = ask(path, n)
        if answer is not None:
            pid, value, threads = answer
            assert (value, threads) == (2 * n, 1), answer
            asked[pid, "before", value] += 1
        return answer

    eventually(lambda: ask_once(1) and len({pid for pid, _, _ in asked}) == 2, SECONDS, "workers")
    workers = {pid for pid, _, _ in asked}
    for n in range(100):
        assert ask_once(n) is not None
    hits = programs.hits()
    assert {key: count for key, count in hits.items() if key[1] == "before"} == asked
    assert server.pid not in programs.pids_of("before")
    assert (server.pid in programs.pids_of("applied:before")) == ("--preload" in flags)

    programs.put("after", "jobs.double", "result + 1")
    eventually(lambda: workers <= programs.pids_of("applied:after"), SECONDS, "after in all")
    eventually(lambda: ask_once(500) and programs.pids_of("after") == workers, SECONDS, "hits")

    server.process.terminate()
    assert server.process.wait(30) == 0, server.log()
    assert "CRITICAL" not in server.log() and "Traceback" not in server.log(), server.log()
