# SPDX-License-Identifier: MIT
"""Functions of many shapes, each with what runs it: the injected one must do the same."""
import asyncio
import contextlib

SHAPES = []  # (name, function, run)


def shape(*arguments, run=None):
    def add(function):
        SHAPES.append((function.__name__, function, run or (lambda: function(*arguments))))
        return function
    return add


def drain(generator):
    """What it yields, and how it ends."""
    found = []
    try:
        while True:
            found.append(next(generator))
    except StopIteration as stop:
        return found, stop.value


class Switch:
    """Suspends a coroutine once, and gives back what is sent."""

    def __init__(self, value=None):
        self.value = value

    def __await__(self):
        return (yield self.value)


class AsyncManager:
    async def __aenter__(self):
        await Switch("enter")
        return self

    async def __aexit__(self, *exc):
        await Switch("exit")
        return exc[0] is KeyError


class AsyncNumbers:
    def __init__(self, count):
        self.count = count

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.count:
            raise StopAsyncIteration
        self.count -= 1
        await Switch("next")
        return self.count


def steps(coroutine, *sent):
    """Drives it; an exception in `sent` is thrown in."""
    found, sent = [], list(sent)
    try:
        value = None
        while True:
            if isinstance(value, BaseException):
                found.append(coroutine.throw(value))
            else:
                found.append(coroutine.send(value))
            value = sent.pop(0) if sent else None
    except StopIteration as stop:
        return found, "returned", stop.value


@shape(1, 2)
def plain(a, b):
    c = a + b
    return c


one_line = shape(3)(lambda a: a * 2)


@shape(4)
def loops(n):
    total = 0
    for i in range(n):
        if i == 1:
            continue
        total += i
    else:
        total += 100
    while total > 0:
        total -= 50
        if total == 3:
            break
    while total: total = 0
    return [x for x in range(total + 2)
            if x], {k: v
                    for k, v in zip("ab", "cd")}


@shape(0)
def handled(n):
    try:
        return 1 / n
    except (ValueError,
            ZeroDivisionError) as e:
        return str(e)
    finally:
        n = 5


@shape(0)
def unhandled(n):
    try:
        1 / n
    finally:
        n = 2


@shape(0)
def chained(n):
    try:
        try:
            1 / n
        except ZeroDivisionError as e:
            raise KeyError(n) from e
    except KeyError:
        {}["x"]


@shape()
def nested_finally():
    for i in range(3):
        try:
            try:
                if i == 1:
                    continue
                if i == 2:
                    return i
            finally:
                i += 10
        finally:
            i += 100


@shape()
def managed():
    with contextlib.suppress(KeyError), \
            contextlib.suppress(ValueError):
        raise ValueError(1)
    with contextlib.suppress(KeyError): raise KeyError
    with contextlib.nullcontext(5) as five:
        return (five +
                1)


@shape()
def managed_raising():
    with contextlib.nullcontext():
        raise ValueError(2)


@shape({"x": [1, 2, (3, 4)]})
def matching(value):
    match value:
        case int():
            return 1
        case {"x": [a, b, (c, d)]} if (
                a == 1):
            return a, b, c, d
        case _:
            return 0


@shape(1, 2, 3)
def stars(a, /, *args, k=1, **kwargs):
    return dict(a=a,
                args=args,
                **kwargs), max(*args,
                               k)


@shape(5)
def conditional(a):
    b = (a
         if a > 100
         else
         a + 1)
    assert b, \
        "b"
    return (a and
            b or
            a)


@shape(5)
def closure(a):
    b = 1

    def inner(c):
        nonlocal b
        b += c
        return a + b
    return inner(2) + inner(3), (lambda: a)()


@shape(6)
def recursive(n):
    if n < 2:
        return n
    return recursive(n - 1) + recursive(n - 2)


@shape(30)
def deep_raise(n):
    if not n:
        raise LookupError("bottom")
    return deep_raise(n - 1)


@shape()
def groups():
    seen = []
    try:
        raise ExceptionGroup("all", [ValueError(1), TypeError(2), KeyError(3)])
    except* ValueError as e:
        seen.append(len(e.exceptions))
    except* (TypeError, KeyError) as e:
        seen.append(len(e.exceptions))
    try:
        raise ExceptionGroup("some", [ValueError(1), OSError(2)])
    except* ValueError:
        seen.append("value")


@shape()
def class_inside():
    class Inside(list):
        x = 1

        def method(self):
            return super().__len__(), __class__
    return Inside((1, 2)).method()[0]


def _generator_run():
    results = [drain(generates(3))]
    g = generates(3)
    results += [next(g), g.send("sent"), g.throw(ValueError("thrown")), next(g, "end")]
    g = generates(3)
    next(g)
    g.close()
    g = generates(1)
    g.close()
    return results


@shape(run=_generator_run)
def generates(n):
    for i in range(n):
        try:
            got = yield i
            if got:
                yield got
        except ValueError as e:
            yield str(e)
    return "done"


def _unhandled_run():
    g = generates_plainly()
    next(g)
    try:
        g.throw(KeyError("in"))
    except KeyError as e:
        return repr(e), next(g, "over")


@shape(run=_unhandled_run)
def generates_plainly():
    with contextlib.nullcontext():
        yield 1
    yield 2


def _inner_generator():
    try:
        got = yield 1
        got = yield got
    except ValueError:
        return "caught"
    return "whole"


def _delegates_run():
    results = [drain(delegates(_inner_generator())), drain(delegates([7, 8]))]
    g = delegates(_inner_generator())
    results += [next(g), g.send(5)]
    try:
        g.throw(ValueError("in"))
    except StopIteration as stop:
        results.append(stop.value)
    g = delegates(_inner_generator())
    next(g)
    try:
        g.throw(KeyError("through"))
    except KeyError as e:
        results.append(repr(e))
    g = delegates(_inner_generator())
    next(g)
    g.close()
    return results


@shape(run=_delegates_run)
def delegates(inner):
    value = yield from inner
    return value


def _coroutine_run():
    results = [steps(coroutine(4), 1, 2, 3, 4, 5, 6, 7, 8)]
    try:
        steps(coroutine(4), 1, ValueError("in"), 3)
    except ValueError as e:
        results.append(repr(e))
    c = coroutine(4)
    c.send(None)
    c.close()
    coroutine(4).close()
    results.append(asyncio.run(with_asyncio(3)))
    return results


@shape(run=_coroutine_run)
async def coroutine(n):
    a = await Switch(n)
    async with AsyncManager() as m:
        raise KeyError(m)
    async for i in AsyncNumbers(2):
        a += i
    else:
        a += 10
    b = [i async for i in AsyncNumbers(1)]
    return (a,
            await Switch("last"),
            b)


@shape(run=lambda: asyncio.run(with_asyncio(2)))
async def with_asyncio(n):
    await asyncio.sleep(0)
    task = asyncio.ensure_future(asyncio.sleep(100))
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        n += 1
    await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
    return n


async def _async_generator_main():
    results = [i async for i in async_generator(3)]
    g = async_generator(5)
    results += [await anext(g), await g.asend("sent")]
    results.append(await g.athrow(ValueError("in")))
    await g.aclose()
    return results


@shape(run=lambda: asyncio.run(_async_generator_main()))
async def async_generator(n):
    for i in range(n):
        try:
            got = yield i
            await asyncio.sleep(0)
            if got:
                yield got
        except ValueError as e:
            yield str(e)


def _make_long():
    """Its jumps and constants need EXTENDED_ARG; so do some more when it is injected."""
    lines = ["def long_function(n):", "    total = 0", "    for i in range(n):"]
    for i in range(400):
        lines += [f"        if i == {i}:", f"            total += {i + 1000}",
                  "            continue" if i % 50 == 7 else "        else: total -= 1"]
    lines += ["        try:", "            total += len(str(i))", "        finally:",
              "            total += 1", "    return total"]
    # as many jumps over just less than 256 units as over just more
    for i in range(40):
        lines += [f"def medium_{i}(n):", "    while n:", "        n -= 1", "        if n % 2:"]
        lines += ["            n = n + 1 - 1"] * (15 + i // 2) + ["        n = n * 1" * (i % 2)]
        lines += ["    return n"]
    namespace = {"__name__": __name__}
    exec(compile("\n".join(lines), "long_function.py", "exec"), namespace)
    return namespace


_long = _make_long()
shape(20)(_long["long_function"])
for _i in range(40):
    shape(3)(_long[f"medium_{_i}"])
