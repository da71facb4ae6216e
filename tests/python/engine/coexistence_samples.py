# SPDX-License-Identifier: MIT
"""Functions that debuggers and profilers look at while probes are on them."""
import asyncio
import inspect
import io
import logging
import sys
import traceback
import types
import warnings

log = logging.getLogger("coexistence")


def loop(n: int = 3, *rest, twice: bool = False, **names) -> int:
    """Adds up."""
    total = 0
    for i in range(n):
        if i % 2:
            total += i
        else:
            total += 2 * i
    return total * (2 if twice else 1)


def fails(n):
    try:
        return 10 // n + fails(n - 1)
    except ZeroDivisionError as error:
        raise ValueError(n) from error
    finally:
        n = None


def catches(n):
    try:
        fails(n)
    except ValueError:
        with io.StringIO() as file:
            traceback.print_exc(file=file)
            text = file.getvalue()
    return text


def produce(n):
    for i in range(n):
        try:
            yield i
        except KeyError:
            yield -1
    return n


def consume(n):
    made = produce(n)
    got = [next(made), made.throw(KeyError)]
    got += yield from made
    return got


async def double(n):
    await asyncio.sleep(0)
    return n * 2


async def stream(n):
    for i in range(n):
        yield await double(i)


async def collect(n):
    return [item async for item in stream(n)]


def outer(n):
    def inner(x):
        return x + n

    pair = [inner(1), (lambda x: x * n)(2)]
    return pair


def one_line(x): return x * 2


def warn_about(what):
    warnings.warn(what)
    warnings.warn(what + " at the caller", stacklevel=2)


def warns():
    warn_about("something")


def say(what):
    log.warning(what)
    log.warning("for the caller of %s", what, stacklevel=2)


def says():
    say("something")


def look_back():
    frame = sys._getframe()
    seen = []
    while frame is not None and len(seen) < 4:
        seen.append((frame.f_code.co_name, frame.f_lineno, sorted(frame.f_locals),
                     frame.f_globals is globals(), frame.f_trace))
        frame = frame.f_back
    return seen


def look(depth):
    if depth:
        return look(depth - 1)
    return look_back(), [(entry.function, entry.lineno) for entry in inspect.stack()[:3]]


class Thing:
    def __init__(self, x):
        self.x = x

    def method(self, y=1):
        """Of a Thing."""
        return self.x + y

    @classmethod
    def make(cls, x):
        return cls(x)

    @staticmethod
    def twice(x):
        return 2 * x

    @property
    def prop(self):
        return self.x

    def __eq__(self, other):
        return type(other) is Thing and self.x == other.x

    def __reduce__(self):
        return Thing, (self.x,)


def run_all():
    """Calls all of it; what it returns must not depend on probes."""
    thing = Thing.make(3)
    return (loop(4, 5, twice=True, name=1), catches(2), list(produce(2)),
            outer(3), one_line(4), thing.method(), thing.prop, Thing.twice(2),
            exhaust(consume(3)))


def exhaust(generator):
    got = []
    try:
        while True:
            got.append(next(generator))
    except StopIteration as stop:
        return got, stop.value
    except TypeError as error:
        return got, str(error)


def switching(name, main, seen):
    for i in range(2):
        seen.append((name, i))
        main.switch()
    seen.append(name)
    return name


NAMES = ["loop", "fails", "catches", "produce", "consume", "double", "stream", "collect", "outer",
         "outer.<locals>.inner", "one_line", "warn_about", "warns", "say", "says", "look_back",
         "look", "Thing.__init__", "Thing.method", "Thing.make", "Thing.twice", "Thing.prop",
         "run_all", "exhaust"]


def code_of(name):
    value = sys.modules[__name__]
    for part in name.replace(".<locals>", "").split("."):
        if isinstance(value, types.FunctionType):
            return next(constant for constant in value.__code__.co_consts
                        if isinstance(constant, types.CodeType) and constant.co_name == part)
        value = inspect.getattr_static(value, part)
        value = getattr(value, "__func__", value)
        value = getattr(value, "fget", value)
    return value.__code__


def specs_of(name, events=("call", "return", "end", "line")):
    code = code_of(name)
    for event in events:
        if event != "line":
            value = {"call": "None", "return": "result", "end": "locals()"}[event]
            yield {"target": f"{__name__}.{name}", "event": event, "value": value}
            continue
        lines = {line for _, _, line in code.co_lines() if line}
        for line in sorted(lines if len(lines) == 1 else lines - {code.co_firstlineno}):
            yield {"target": f"{__name__}.{name}", "event": f"line:{line}", "value": "locals()"}


ALL = [spec for name in NAMES for spec in specs_of(name)]
