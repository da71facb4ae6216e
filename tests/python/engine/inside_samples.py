# SPDX-License-Identifier: MIT
"""Functions to be looked into."""
import asyncio
import functools

FACTOR = 10


def loop(n):
    total = 0
    for i in range(n):
        square = i * i
        total += square
    return total


def branches(x):
    if x > 0:
        sign = "positive"
    elif x < 0:
        sign = "negative"
    else:
        raise ValueError(x)
    return sign


def rebinds(text, default="-"):
    text = text.strip()
    if not text:
        text = default
    return len(text)


def deletes(x):
    y = x
    del x
    return y


def handles(error):
    try:
        raise error
    except KeyError as caught:
        name = type(caught).__name__
        return name
    finally:
        done = True  # noqa: F841


def recursive(n):
    return 0 if n == 0 else 1 + recursive(n - 1)


def counter(step):
    count = 0

    def increment(by=1):
        nonlocal count
        count += by * step
        return count

    return increment


def generator(n):
    sent = None
    for i in range(n):
        sent = yield i
    return ("done", sent)


def delegating(n):
    result = yield from generator(n)
    return result


async def coroutine(x):
    await asyncio.sleep(0)
    doubled = x * 2
    return doubled


async def async_generator(n):
    for i in range(n):
        await asyncio.sleep(0)
        yield i


async def consume(n):
    return [item async for item in async_generator(n)]


def pausing(clock):
    yield 1
    clock()
    yield 2


def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return ("wrapped", function(*args, **kwargs))

    return wrapper


@logged
def decorated(x):
    doubled = x * 2
    return doubled


class Shape:
    def __init__(self, side):
        self.side = side
        area = side * side
        self.area = area

    @property
    def half(self):
        value = self.side / 2
        return value

    @classmethod
    def make(cls, side):
        shape = cls(side)
        return shape

    def grow(self, by):
        self.side += by
        return self.side


square, other = Shape(2), Shape(3)
double = lambda x: x * 2  # noqa: E731
pair = [lambda x: x + 1, lambda y: y - 1]  # both on this line


def outer(x):
    class Inner:
        def method(self, y):
            return x + y

    return Inner().method


def counted(function):
    def wrapper(*args):
        return function(*args)

    return wrapper


@counted
def first(x):
    return x


@counted
def second(x):
    return x


def takes_out(url, **options):
    timeout = options.pop("timeout", None)
    return (url, timeout)


def rebinds_all(a, b, c, d, e, f, g, h, i, j):
    a = b = c = d = e = f = g = h = i = j = 0
    return a + b + c + d + e + f + g + h + i + j


class Shared:
    def __init__(self, value):
        self.value = value

    def rebinds_self(self, x):
        self = self.value
        return self + x

    def shares_self(self, x):
        return [self.value + x for _ in range(1)][0], (lambda: self)


one, two = Shared(1), Shared(2)


def survives(clock):
    try:
        yield 1
    except ValueError:
        clock()
    yield 2
