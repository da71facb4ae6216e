# cython: binding=True
# SPDX-License-Identifier: MIT
"""Functions as Cython makes them, for c_function_test."""


def add(a, b=2, *, c=3):
    return a + b + c


def one(x):
    if x < 0:
        raise ValueError("negative")
    return x * 2


def none():
    return "none"


def make(x):
    def inner(y):
        return x + y
    return inner


class Plain:
    def method(self, x):
        return ("plain", x)


cdef class Extension:
    def method(self, x):
        return ("extension", x)


def get_of(mapping, key):
    """Cython keeps what it calls here for good, where it knows the type."""
    cdef dict known = mapping
    return known.get(key)
