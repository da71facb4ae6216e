# SPDX-License-Identifier: MIT
"""Targets of every kind."""
import functools
import pprint as _pprint
import time


def plain(a, b=2):
    return a + b


def everything(a, b=2, /, c=3, *rest, d=4, **extra):
    return (a, b, c, rest, d, extra)


def slow(seconds):
    time.sleep(seconds)


def required(a, b):
    return (a, b)


def raiser(error):
    raise error


def long_name_of_an_argument(result, start, args):
    return "real"


def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return ("wrapped", function(*args, **kwargs))

    return wrapper


@logged
def decorated(x):
    return x


@functools.lru_cache
def cached(x):
    return x


def generator(n):
    yield from range(n)


async def coroutine():
    return 1


async def async_generator():
    yield 1


def outer():
    def inner():
        return 1

    return inner


class Meta(type):
    def on_meta(cls):
        return "meta"


class Base:
    def inherited(self):
        return "inherited"


class Thing(Base, metaclass=Meta):
    def __init__(self, x=1):
        self.x = x

    def method(self, y):
        return self.x + y

    @staticmethod
    def static(y):
        return ("static", y)

    @classmethod
    def of_class(cls, y):
        return (cls.__name__, y)

    @property
    def value(self):
        return self.x

    @value.setter
    def value(self, x):
        self.x = x

    @value.deleter
    def value(self):
        self.x = None

    @functools.cached_property
    def lazy(self):
        return ("lazy", self.x)

    write_only = property(None, lambda self, x: None)

    def __call__(self, y):
        return ("called", y)

    def __getitem__(self, key):
        return ("item", key)

    def __len__(self):
        return 7

    def __add__(self, other):
        return ("sum", other)

    def __eq__(self, other):
        return ("equal", other)

    __hash__ = None

    def __enter__(self):
        return "entered"

    def __exit__(self, *exc):
        return None

    def __iter__(self):
        return iter([1])

    def __contains__(self, item):
        return True

    def __bool__(self):
        return True

    def __getattr__(self, name):
        if name == "dynamic":
            return "dynamic"
        raise AttributeError(name)

    class Nested:
        def method(self):
            return "nested"


thing = Thing()
bound = thing.method
partial = functools.partial(plain, 1)
builtin = len
a_module = _pprint
number = 5


def __getattr__(name):
    if name == "missing":
        raise AssertionError("target resolution ran code of the module")
    raise AttributeError(name)
