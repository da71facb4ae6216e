# SPDX-License-Identifier: MIT
"""What targets can name, and what they cannot. Lines are found by their markers: # at NAME."""
import collections
import enum
import functools
import operator
import types


def around(function):
    @functools.wraps(function)
    def around_wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return around_wrapper


def anonymous(function):
    def anonymous_wrapper(*args):
        return function(*args)

    return anonymous_wrapper


@around
@around
def twice(x):
    return x


@around
def maker(x):
    def made():
        return x

    return made


@anonymous
def hidden(x):
    def in_hidden():
        return x

    return in_hidden


def endless(x):
    return x


endless.__wrapped__ = around(endless)
wraps_builtin = functools.wraps(len)(lambda x: len(x))


def nest(flag):
    def inner():
        def deeper():
            return (lambda: flag)

        return deeper

    if flag:
        def several():
            return 1
    else:
        def several():
            return 2

    class Local:
        attribute = flag

        def method(self):
            def in_method():
                return self

            return in_method

        def __private(self):
            return 1

        class Inner:
            def method(self):
                return 2

    squares = [lambda: x for x in range(3)]
    items = (
        item + 1  # at only genexpr
        for item in squares
    )
    return inner, several, Local, lambda: 1, lambda: 2, items, Local.Inner


def many():
    return [lambda: 1, lambda: 2, lambda: 3, lambda: 4, lambda: 5, lambda: 6, lambda: 7,
            lambda: 8, lambda: 9, lambda: 10, lambda: 11, lambda: 12, lambda: 13, lambda: 14,
            lambda: 15, lambda: 16, lambda: 17]


table = {"one": lambda: 1, "two": lambda: 2}  # at two lambdas
maker_of_lambda = [lambda: lambda: 3]


class WithLambda:
    key = operator.itemgetter(1)
    items = [lambda self: self]  # at lambda of a class


@functools.lru_cache
def cached(x):
    return x


@functools.lru_cache
@around
def cached_around(x):
    return x


cached_builtin = functools.lru_cache(len)


class Deco:
    """A decorator that is an instance."""

    def __init__(self, function):
        functools.update_wrapper(self, function)

    def __call__(self, *args):
        return self.__wrapped__(*args)


class BindingDeco(Deco):
    def __get__(self, instance, owner):
        raise AssertionError("target resolution ran a descriptor")


class Uncallable:
    def __init__(self, function):
        self.__wrapped__ = function


@Deco
def deco_function(x):
    return x


@Uncallable
def uncallable(x):
    return x


class Base:
    def inherited(self):
        return self

    def __own(self):
        return 1


class Slots:
    __slots__ = ("helper", "unset")

    def __init__(self):
        self.helper = Helper()


class Helper:
    def help(self):
        return self


class Callable:
    def __init__(self):
        self.plain = endless
        self.helper = Helper()

    def __call__(self):
        return self


class PartialSubclass(functools.partial):
    pass


class BadCall:
    __call__ = functools.partial(endless, 1)


class Nothing:
    pass


class OnlyNew:
    def __new__(cls):
        return object.__new__(cls)


class Color(enum.Enum):
    RED = 1


class Thing(Base):
    def method(self):
        return self

    @around
    def decorated(self):
        return self

    @Deco
    def by_instance(self):
        return self

    @BindingDeco
    def by_descriptor(self):
        return self

    @functools.lru_cache
    def cached(self):
        return self

    @staticmethod
    def static(x):
        return x

    @classmethod
    def of_class(cls):
        return cls

    @classmethod
    @around
    def of_class_around(cls):
        return cls

    @property
    def value(self):
        raise AssertionError("target resolution ran a property")

    @value.setter
    def value(self, x):
        pass

    @functools.cached_property
    def lazy(self):
        return 1

    @functools.singledispatchmethod
    def dispatch(self, x):
        return x

    partial_method = functools.partialmethod(method)
    write_only = property(None, lambda self, x: None)

    def __getattr__(self, name):
        raise AssertionError("target resolution ran __getattr__")

    async def coroutine(self):
        return 1

    async def async_generator(self):
        yield 1

    def generator(self):
        yield 1

    def __private(self):
        return 1


thing = Thing()
thing.lazy  # computed: the instance's dict has it
bound = thing.method
bound_of_class = Thing.of_class
bound_partial = types.MethodType(functools.partial(endless), thing)
slots = Slots()
callable_instance = Callable()
partial = functools.partial(endless, 1)
partial_subclass = PartialSubclass(endless)
item_getter = operator.itemgetter(0)
bad_call = BadCall()
nothing = Nothing()
number = 5
numbers = [1, 2]
append = numbers.append
method_wrapper = number.__add__
fields = collections.namedtuple("fields", "a b")
default = lambda a=(lambda: 1): a  # noqa: E731 at a lambda in a default


@functools.singledispatch
def dispatched(x):
    return x


def one_line(x): return x  # noqa: E704 at one line


@around
def long_signature(  # at def
    a,
    b=2,
):
    """Text."""

    # a comment: at comment
    total = a  # at first

    total += b  # at second

    def inner():
        return total  # at inner

    return inner  # at last


for number in range(2):  # at module level
    pass


class Body:
    attribute = 1  # at class body

    def method(self):
        return 1


def uses_comprehension(items):
    return [
        item + 1  # at only listcomp
        for item in items
    ]


def uses_lambda(items):
    return sorted(items, key=lambda item: -item)  # at lambda in function


def __getattr__(name):
    raise AssertionError("target resolution ran code of the module")
