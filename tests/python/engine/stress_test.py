# SPDX-License-Identifier: MIT
"""Attach and detach while four threads recurse, raise, generate and await in the very functions.

$DIAGNOSE_STRESS_CYCLES is how often: 1000 is the full number, without it there are fewer, most of
all on 3.11, where each attach to a function with calls in flight walks the heap.
$DIAGNOSE_STRESS_SEED, to repeat random specs, is the seed that a failure names."""
import asyncio
import ctypes
import functools
import gc
import math
import os
import random
import sys
import threading
import traceback
import tracemalloc
import types
import unittest

import engine_testing

IS_ASAN = "libasan" in os.environ.get("LD_PRELOAD", "")
DEFAULT_CYCLES = 300 if sys.version_info >= (3, 12) else 24
CYCLES = int(os.environ.get("DIAGNOSE_STRESS_CYCLES", DEFAULT_CYCLES // (3 if IS_ASAN else 1)))
SEED = int(os.environ.get("DIAGNOSE_STRESS_SEED", random.SystemRandom().randrange(10**9)))
THREADS = 4
WAIT_S = 120


# What is probed.


class Bottom(Exception):
    pass


def fibonacci(n):
    if n < 2:
        return n
    first = fibonacci(n - 1)
    second = fibonacci(n - 2)
    return first + second


def sink_to(depth, path=()):
    if depth == 0:
        raise Bottom(len(path))
    try:
        return sink_to(depth - 1, path + (depth,))
    except Bottom as error:
        if depth % 3 == 0:
            raise Bottom(depth) from error
        raise
    finally:
        path = None


def numbers(count):
    got = []
    try:
        for i in range(count):
            try:
                sent = yield i
            except KeyError as error:
                sent = error.args[0]
            got.append(sent)
    finally:
        total = len(got)
    return total, got


def delegating(count):
    result = yield from numbers(count)
    return "delegated", result


def adder(step):
    total = 0

    def add(by=1, *, twice=False):
        nonlocal total
        total += by * step * (2 if twice else 1)
        return total

    return add


async def leaf(n):
    await asyncio.sleep(0)
    return n * 2


async def ticks(count):
    for i in range(count):
        await asyncio.sleep(0)
        yield i


async def tree(n):
    if n == 0:
        return [await leaf(1)]
    left, right = await asyncio.gather(tree(n - 1), leaf(n))
    collected = [i async for i in ticks(n)]
    return left + [right] + collected


def logged(function):
    @functools.wraps(function)
    def around(*args, **kwargs):
        return function(*args, **kwargs)

    return around


class Shape:
    made = 0

    def __init__(self, side, *rest, **names):
        self.side = side
        self.rest = rest, sorted(names)

    @property
    def area(self):
        return self.side * self.side

    @staticmethod
    def double(x):
        return x * 2

    @classmethod
    def of(cls, side):
        return cls(side, side, name=side)

    @logged
    def grown(self, by):
        grown = type(self)(self.side + by)
        return grown.area

    def __call__(self, x):
        return x + self.side


# What the threads do; each result is compared with that of an unprobed run.


def recursions():
    return fibonacci(7)


def exceptions():
    try:
        sink_to(9)
    except Bottom:
        return traceback.format_exc()


def generators():
    done = list(delegating(4))
    driven = numbers(3)
    taken = [next(driven), driven.send("a"), driven.throw(KeyError("b"))]
    try:
        driven.send("c")
    except StopIteration as stop:
        taken.append(stop.value)
    suspended = numbers(5)
    next(suspended)
    suspended.close()
    left = numbers(5)
    next(left)
    del left
    return done, taken


def coroutines():
    return asyncio.run(tree(3))


def objects():
    shape = Shape.of(3)
    add = adder(2)
    return (shape.area, shape.rest, shape.grown(2), shape(1), Shape.double(4), add(), add(3),
            add(1, twice=True), math.gcd(12, 18), {"a": 1}.get("a"))


WORK = [recursions, exceptions, generators, coroutines, objects]
FUNCTIONS = [fibonacci, sink_to, numbers, delegating, adder, leaf, ticks, tree, Shape.__init__,
             Shape.area.fget, Shape.double, Shape.of.__func__, Shape.grown, Shape.grown.__wrapped__,
             Shape.__call__]


def lines_of(code):
    return sorted({line for _, _, line in code.co_lines() if line} - {code.co_firstlineno})


def spec(target, event, value, **more):
    if not target.startswith(("builtins.", "math.")):
        target = "%s.%s" % (__name__, target)
    return {"target": target, "event": event, "value": value, **more}


OUTSIDE = [
    spec("fibonacci", "call", "n"), spec("fibonacci", "return", "result"),
    spec("fibonacci", "return", "elapsed", type="hist"), spec("sink_to", "return", "type(result)"),
    spec("sink_to", "call", "(depth, path)"), spec("adder", "return", "step"),
    spec("Shape.__init__", "call", "args"), spec("Shape.area", "return", "result"),
    spec("Shape.double", "return", "x"), spec("Shape.of", "return", "side", type="incr"),
    spec("Shape.grown", "return", "result > 2"), spec("Shape.__call__", "call", "locals()"),
]
INSIDE = [
    spec("fibonacci", "end", "n"), spec("fibonacci", "return", "hotspots.slowest"),
    spec("fibonacci", "line:%d" % lines_of(fibonacci.__code__)[-1], "first"),
    spec("sink_to", "end", "depth"), spec("sink_to", "return", "hotspots.worst.lineno"),
    spec("sink_to", "line:%d" % lines_of(sink_to.__code__)[2], "path"),
    spec("numbers", "return", "result"), spec("numbers", "end", "len(got)"),
    spec("numbers", "return", "active"), spec("delegating", "return", "hotspots.calls"),
    spec("adder.<locals>.add", "end", "total"), spec("adder.<locals>.add", "return", "result"),
    spec("leaf", "return", "result"), spec("ticks", "return", "active"),
    spec("tree", "end", "n"), spec("tree", "line:%d" % lines_of(tree.__code__)[0], "n"),
    spec("Shape.grown", "end", "by"), spec("Shape.area", "end", "self.side"),
]
IN_C = [
    spec("math.gcd", "return", "result"), spec("math.gcd", "call", "args"),
    spec("builtins.dict.get", "return", "elapsed", type="hist"),
]


class Workers:
    """Threads that do the work until they are told to stop, and what was not as expected."""

    def __init__(self, expected):
        self.expected = expected
        self.is_stopping = False
        self.rounds = [0] * THREADS
        self.faults = []
        self.threads = [threading.Thread(target=self.work, args=(i,), daemon=True)
                        for i in range(THREADS)]

    def work(self, number):
        try:
            while not self.is_stopping and not self.faults:
                work = WORK[(self.rounds[number] + number) % len(WORK)]
                result = work()
                if result != self.expected[work]:
                    self.faults.append((work.__name__, result))
                self.rounds[number] += 1
        except BaseException:
            self.faults.append(traceback.format_exc())

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_stopping = True
        for thread in self.threads:
            thread.join(WAIT_S)
            if thread.is_alive():
                self.faults.append("a thread did not come to its end")


class _MallInfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
        "fordblks", "keepcost")]


def used_by_malloc():
    """Bytes; those of sanitizers are not told."""
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = _MallInfo
    info = mallinfo()
    return info.uordblks + info.hblkhd


def reference_counts():
    gc.collect()
    counts = {}
    for function in FUNCTIONS:
        name = function.__qualname__
        counts[name] = sys.getrefcount(function)
        counts[name, "code"] = sys.getrefcount(function.__code__)
        counts[name, "globals"] = sys.getrefcount(function.__globals__)
        for constant in function.__code__.co_consts:
            if isinstance(constant, types.CodeType):
                counts[name, constant.co_name] = sys.getrefcount(constant)
    for kind in (Shape, Bottom, types.FunctionType, types.CodeType, types.GeneratorType,
                 math.gcd, dict.__dict__["get"]):
        counts[repr(kind)] = sys.getrefcount(kind)
    return counts


class StressTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.expected = {work: work() for work in WORK}

    def setUp(self):
        engine_testing.start(False)
        self.revision = 0
        self.is_stopped = False
        interval = sys.getswitchinterval()
        self.addCleanup(sys.setswitchinterval, interval)
        sys.setswitchinterval(2e-5)
        # no references to codes: who has the only function of a code is attached to more quickly
        self.codes = {function: self.describe(function) for function in FUNCTIONS}

    def tearDown(self):
        if not self.is_stopped:
            engine_testing.stop()

    @staticmethod
    def describe(function):
        code = function.__code__
        return id(code), code.co_code, id(code.co_consts), [id(item) for item in code.co_consts]

    def apply(self, specs):
        numbered = []
        for i, one in enumerate(specs):
            self.revision += 1
            numbered.append({"id": "spec-%d" % i, "revision": self.revision, **one})
        engine_testing.apply(numbered)

    def assert_armed(self, specs):
        statuses = engine_testing.statuses()
        for i, one in enumerate(specs):
            status = statuses["spec-%d" % i]
            self.assertEqual(status["state"], "ARMED", "%s: %s" % (one, status["message"]))

    def assert_restored(self):
        for function, description in self.codes.items():
            self.assertIs(type(function), types.FunctionType)
            self.assertEqual(self.describe(function), description)
        if sys.version_info >= (3, 12):
            for tool in range(6):
                if sys.monitoring.get_tool(tool) is not None:
                    for function in FUNCTIONS:
                        events = sys.monitoring.get_local_events(tool, function.__code__)
                        self.assertEqual(events, 0)

    def cycle(self, cycles, specs_of):
        """Attaches and detaches `cycles` times while the threads work."""
        with Workers(self.expected) as workers:
            for number in range(cycles):
                specs = specs_of(number)
                self.apply(specs)
                self.assert_armed(specs)
                if number % 4 == 3:  # else replaced by the next ones
                    engine_testing.apply([])
                if workers.faults:
                    break
            engine_testing.apply([])
        self.assertEqual(workers.faults, [])
        self.assertTrue(all(workers.rounds), workers.rounds)

    def assert_fires(self, specs):
        self.apply(specs)
        for work in WORK:
            self.assertEqual(work(), self.expected[work])
        statuses = engine_testing.statuses()
        for i, one in enumerate(specs):
            status = statuses["spec-%d" % i]
            self.assertEqual((status["state"], status["errors"]), ("ARMED", 0), status)
            self.assertGreater(status["hits"], 0, "%s %s" % (one, status))
        engine_testing.apply([])

    def stress(self, specs):
        def some(number):
            return [one for i, one in enumerate(specs) if (number * 7 + i) % 3 != 0]

        self.assert_fires(specs)
        self.cycle(max(CYCLES // 20, 4), some)
        engine_testing.statuses()
        counts, used = reference_counts(), used_by_malloc()
        self.cycle(CYCLES, some)
        engine_testing.statuses()
        after = reference_counts()
        self.assertEqual(after, counts)
        if not IS_ASAN:
            # beside what threads and asyncio leave in caches
            self.assertLess(used_by_malloc() - used, max(200 * CYCLES, 1 << 20))
        self.assert_restored()
        self.assert_fires(specs)
        self.assert_restored()

    def test_calls_from_outside(self):
        self.stress(OUTSIDE)

    def test_from_inside(self):
        self.stress(INSIDE)

    def test_functions_in_c(self):
        self.stress(IN_C)

    def test_all_at_once(self):
        self.stress(OUTSIDE + INSIDE + IN_C)

    @unittest.skipIf(IS_ASAN, "AddressSanitizer keeps freed memory back: what Python caches by address "
                     "grows for longer than the test waits")
    def test_no_memory_is_lost(self):
        """One thread, so that what Python itself allocates is the same each time."""
        specs = OUTSIDE + INSIDE + IN_C
        quiet = [work for work in WORK if work is not coroutines]

        def cycle(count):
            for _ in range(count):
                self.apply(specs)
                for work in quiet:
                    work()
                engine_testing.apply([])
                engine_testing.statuses()
            gc.collect()

        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        count = max(CYCLES // 20, 20)
        cycle(count)
        growths = []
        # caches of Python grow now and then, a leak grows each time: not even one small object in
        # each cycle
        for _ in range(12):
            traced, used = tracemalloc.get_traced_memory()[0], used_by_malloc()
            cycle(count)
            growths.append(max(tracemalloc.get_traced_memory()[0] - traced,
                               0 if IS_ASAN else used_by_malloc() - used))
            if growths[-1] < 16 * count:
                return
        self.fail("memory grows by %s bytes in %d cycles each" % (growths, count))

    def test_random_specs(self):
        chance = random.Random(SEED)
        values = {
            "call": ["n", "None", "args", "locals()", "1 / 0", "missing", "start"],
            "return": ["result", "elapsed", "hotspots.slowest", "type(result)", "result.missing",
                       "active", "end - start", "locals()"],
            "end": ["None", "locals()", "self", "n", "elapsed", "[][1]"],
        }
        targets = ["fibonacci", "sink_to", "numbers", "delegating", "adder", "leaf", "ticks", "tree",
                   "adder.<locals>.add", "Shape.__init__", "Shape.area", "Shape.double", "Shape.of",
                   "Shape.grown", "Shape.__call__", "Shape", "absent", "math.gcd",
                   "builtins.dict.get"]
        lines = [line for function in FUNCTIONS for line in lines_of(function.__code__)]
        kept = []

        def one():
            event = chance.choice(["call", "return", "end", "line"])
            if event == "line":
                line = chance.choice(lines)
                target = chance.choice(targets + ["%s:%d" % (os.path.basename(__file__), line)])
                if ".py:" in target:
                    return {"target": target, "event": "line:%d" % line, "value": "locals()"}
                return spec(target, "line:%d" % line, "locals()")
            return spec(chance.choice(targets), event, chance.choice(values[event]),
                        type=chance.choice(["log", "log", "incr", "hist"]),
                        tags=chance.choice([None, "{'a': 1}", "{'n': n}"]))

        states = set()  # of all cycles: in one of them all specs may be bad
        with Workers(self.expected) as workers:
            for number in range(CYCLES):
                kept = [each for each in kept if chance.random() < 0.7]
                for _ in range(chance.randrange(8)):
                    self.revision += 1
                    kept.append({"id": "spec-%d" % self.revision, "revision": 1, **one()})
                engine_testing.apply(kept)
                states |= {status["state"] for status in engine_testing.statuses().values()}
                if chance.random() < 0.1:
                    engine_testing.tick()
                if workers.faults:
                    break
            engine_testing.apply([])
        self.assertEqual(workers.faults, [], "seed %d, cycle %d" % (SEED, number))
        self.assertIn("ARMED", states)
        self.assert_restored()
        for work in WORK:
            self.assertEqual(work(), self.expected[work])

    def test_the_engine_goes_and_comes(self):
        with Workers(self.expected) as workers:
            for number in range(max(CYCLES // 10, 20)):
                self.apply(OUTSIDE + INSIDE + IN_C)
                engine_testing.stop()
                self.is_stopped = True
                engine_testing.start(False)
                self.is_stopped = False
        self.assertEqual(workers.faults, [])
        self.assert_restored()


if __name__ == "__main__":
    unittest.main()
