# SPDX-License-Identifier: MIT
"""What the tests of target resolution share."""
import importlib
import inspect
import pathlib
import shutil
import sys
import tempfile
import textwrap
import unittest

import target_samples as samples
from target_testing import resolve

S = "target_samples."
SOURCE = pathlib.Path(samples.__file__).read_text()


def line_at(marker):
    for number, line in enumerate(SOURCE.splitlines(), 1):
        if line.endswith("at " + marker):
            return number
    raise LookupError(marker)


def codes_in(code):
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield constant
            yield from codes_in(constant)


def codes_of(function, *names):
    """The codes inside of a function that have one of the qualified names."""
    return [code for code in codes_in(function.__code__)
            if code.co_qualname.partition("<locals>.")[2] in names]


class TargetTest(unittest.TestCase):
    def found(self, text, point="call"):
        result = resolve(text, point, False)
        self.assertEqual((result["outcome"], result["message"]), ("FOUND", ""))
        return result

    def assert_codes(self, text, codes, point="call"):
        result = self.found(text, point)
        self.assertEqual((result["function"], result["callable"], result["written"],
                          result["self"]), (None,) * 4)
        self.assertEqual(sorted(map(id, result["codes"])), sorted(map(id, codes)),
                         (result["codes"], codes))
        return result

    def make_module(self, source, name="target_made"):
        """Writes and imports a module, until the end of the test."""
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = pathlib.Path(folder, name + ".py")
        path.write_text(textwrap.dedent(source))
        sys.path.insert(0, folder)
        self.addCleanup(sys.path.remove, folder)
        self.addCleanup(sys.modules.pop, name, None)
        importlib.invalidate_caches()
        return importlib.import_module(name)
