# SPDX-License-Identifier: MIT
"""What the tests of callables in C share: hooks that are attached straight through the backend."""
import contextlib
import unittest

import c_testing


class CFunctionTest(unittest.TestCase):
    def setUp(self):
        self.attached = []
        self.addCleanup(self.detach_all)

    def detach_all(self):
        for number in self.attached:
            c_testing.detach(number)
        self.attached = []
        c_testing.reset()

    def attach(self, target, mode=c_testing.RECORD, callback=None):
        if callback is None:
            number = c_testing.attach(target, mode)
        else:
            number = c_testing.attach(target, mode, callback)
        self.attached = [*self.attached, number]  # no append: that may be what is probed
        return number

    def detach(self, number):
        c_testing.detach(number)
        self.attached.remove(number)

    @contextlib.contextmanager
    def probed(self, target, mode=c_testing.RECORD):
        """Restored bit by bit afterwards."""
        before = c_testing.pointers(target)
        number = self.attach(target, mode)
        yield number
        self.detach(number)
        self.assertEqual(c_testing.pointers(target), before)

    def records(self, number):
        """(self, args, kwargs, result) of each call."""
        return [record[:3] + record[4:5] for record in c_testing.describe(number)["records"]]

    def count(self, number):
        described = c_testing.describe(number)
        self.assertEqual(described["entered"], described["left"])
        return described["entered"]

    def mechanism(self, number):
        return c_testing.describe(number)["mechanism"]
