# SPDX-License-Identifier: MIT
"""What the tests of the library probe."""
import functools

FACTOR = 3


class Failure(Exception):
    pass


RESULT = object()
failures = []  # what `fails` has raised


def plain(x, y=1):
    z = x + y
    return z


def same(x):
    """A result to be compared by identity."""
    return RESULT


def fails(x):
    failures.append(Failure(x))
    raise failures[-1]


def uses_global(x):
    return x * FACTOR


def takes_all(a, *args, b=2, **kwargs):
    return a


def generates(n):
    for i in range(n):
        yield i


async def awaits(x):
    return x


def outer(x):
    def inner(y):
        return x + y

    return inner


def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


@logged
def decorated(x):
    return x


class Thing:
    def __init__(self, number):
        self.number = number

    def add(self, other):
        return self.number + other

    @classmethod
    def make(cls, number):
        return cls(number)

    @staticmethod
    def double(x):
        return 2 * x

    @property
    def half(self):
        return self.number / 2


def counts_down(n):
    return counts_down(n - 1) if n else 0
