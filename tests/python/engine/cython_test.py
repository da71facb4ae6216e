# SPDX-License-Identifier: MIT
"""Functions that Cython made."""
import math
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import unittest

import c_testing
from c_support import CFunctionTest


def build_cython(folder):
    """The module cython_samples for this interpreter; raises SkipTest."""
    cython = shutil.which("cython3")
    compiler = shutil.which("cc") or shutil.which("gcc")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cython_samples.pyx")
    if cython is None or compiler is None:
        raise unittest.SkipTest("cython3 or a C compiler is missing")
    if os.path.realpath(sys.executable) != os.path.realpath("/usr/bin/python3"):
        raise unittest.SkipTest("Debian's Cython is for the system's Python")
    translated = os.path.join(folder, "cython_samples.c")
    subprocess.run([cython, "-3", source, "-o", translated], check=True, capture_output=True)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-w",
                    "-I" + sysconfig.get_paths()["include"], translated, "-o",
                    os.path.join(folder, "cython_samples.so")], check=True, capture_output=True)
    sys.path.insert(0, folder)
    try:
        import cython_samples
    finally:
        sys.path.remove(folder)
    return cython_samples


class CythonTest(CFunctionTest):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.samples = build_cython(folder)

    def test_functions(self):
        samples = self.samples
        for target, call, record in (
                (samples.add, lambda: samples.add(1, c=5), (None, (1,), {"c": 5}, 8)),
                (samples.one, lambda: samples.one(4), (None, (4,), {}, 8)),
                (samples.none, lambda: samples.none(), (None, (), {}, "none"))):
            with self.subTest(repr(target)), self.probed(target) as number:
                call()
                self.assertEqual(self.mechanism(number), "c-method")
                self.assertEqual(self.records(number), [record])

    def test_methods(self):
        for cls, in_args in ((self.samples.Plain, True), (self.samples.Extension, False)):
            target, instance = cls.__dict__["method"], cls()
            with self.subTest(repr(target)), self.probed(target) as number:
                result = instance.method(3)
                seen_self, args, _, seen = self.records(number)[0]
                self.assertEqual(seen, result)
                self.assertEqual((seen_self, *args), (None, instance, 3) if in_args
                                 else (instance, 3))

    def test_closures_share_a_definition(self):
        first, second = self.samples.make(1), self.samples.make(10)
        with self.probed(first) as number:
            self.assertEqual((first(1), second(1)), (2, 11))
        self.assertEqual(self.records(number), [(None, (1,), {}, 2)])

    def test_names(self):
        for target, args, names in ((self.samples.add, (1,), ("a", "b", "c")),
                                    (self.samples.one, (1,), ("x",))):
            with self.probed(target) as number:
                target(*args)
            self.assertEqual(c_testing.describe(number)["records"][0][3], names)

    def test_exceptions(self):
        with self.probed(self.samples.one) as number:
            with self.assertRaises(ValueError) as caught:
                self.samples.one(-1)
        self.assertIs(self.records(number)[0][3], caught.exception)

    def test_an_address_that_cython_keeps(self):
        """Cython's own calls of dict.get go to whatever it found first, for good."""
        with self.probed(dict.get):
            self.assertEqual(self.samples.get_of({1: 2}, 1), 2)
        for target in (math.sqrt, str.join, dict.get):
            with self.probed(target):
                self.assertEqual(self.samples.get_of({1: 3}, 1), 3)
        self.assertEqual(self.samples.get_of({1: 4}, 1), 4)


if __name__ == "__main__":
    unittest.main()
