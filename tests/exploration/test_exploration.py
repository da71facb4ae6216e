# SPDX-License-Identifier: MIT
"""A short sweep with Python's own tests on each interpreter; and that a sweep notices what it is
for. $DIAGNOSE_DRIVERS is the folder of engine_testing's extensions."""
import json
import os
import subprocess
import sys
import textwrap

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from testing import pythons  # noqa: E402

LIBRARY = """
    import functools

    def decorated(function):
        @functools.wraps(function)
        def around(*args):
            return function(*args)
        return around

    def plain(x):
        if x > 100:
            return None
        return x + 1

    def outer(x):
        def inner():
            return x
        return inner()

    square = lambda x: x * x

    @decorated
    def wrapped(x):
        return x

    class Thing:
        def __init__(self, x):
            self.x = x

        @property
        def prop(self):
            return self.x

        @prop.setter
        def prop(self, value):
            self.x = value

        @staticmethod
        def static():
            return 1

        @classmethod
        def make(cls):
            return cls(2)

    def produce(n):
        for i in range(n):
            yield i

    def unused():
        return 1
"""
TESTS = """
    import sys, unittest, library

    class Test(unittest.TestCase):
        def test_everything(self):
            self.assertEqual(library.plain(1) + library.outer(1) + library.square(2), 7)
            thing = library.Thing.make()
            thing.prop += library.wrapped(1) + thing.static()
            self.assertEqual((thing.prop, list(library.produce(2))), (4, [0, 1]))

        @unittest.skip("to be counted")
        def test_skipped(self):
            pass

        def test_failing(self):
            self.assertEqual(1, 2)
"""


def sweep(*arguments, folder=None, expected=0, path=None):
    environment = dict(os.environ, PYTHONPATH=path or "", PYTHONDONTWRITEBYTECODE="1")
    command = [os.path.join(HERE, "run"), "--drivers", os.environ["DIAGNOSE_DRIVERS"], *arguments]
    result = subprocess.run(command, env=environment, cwd=folder, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert result.returncode == expected, result.stdout
    return result.stdout


@pytest.fixture(params=pythons.MINORS)
def python(request):
    return pythons.find(request.param)[1]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "library.py").write_text(textwrap.dedent(LIBRARY))
    (tmp_path / "test_library.py").write_text(textwrap.dedent(TESTS))
    return tmp_path


def cells(output):
    """The table's last row by its columns."""
    head, *_, row = [line for line in output.splitlines() if line.startswith("| ")]
    return dict(zip([cell.strip() for cell in head.strip("|").split("|")],
                    [cell.strip() for cell in row.strip("|").split("|")]))


def test_everything_is_armed(python, folder):
    report = folder / "report.json"
    output = sweep("--json", str(report), "library", "--", python, "-m", "unittest", "test_library",
                   folder=folder)
    assert "tests: failures=1, run=" in output  # 3.12.1 does not count the one that is skipped
    assert "skipped=1" in output
    row = cells(output)
    assert (row["functions"], row["refused"], row["errors"]) == ("14", "0", "0"), output
    assert row["outcome equal"] == "yes"
    records = json.loads(report.read_text())["reports"][0]["records"]
    idle = {(record["function"].split(":")[0], record["event"]) for record in records
            if not record["hits"] and not record["skips"]}
    lines = {event for name, event in idle if name == "plain"}
    assert len(lines) == 1  # return None
    assert {name for name, _ in idle} == {"plain", "unused", "decorated"}  # the last one at import


@pytest.mark.parametrize("body, difference", [
    ("self.assertNotIn('engine_testing', open('/proc/self/maps').read())",
     "only with probes: FAIL: test_it"),
    ("self.assertNotIn('engine_testing', open('/proc/self/maps').read()) or self.skipTest('why')",
     "tests skipped: 1, with probes 0"),
    ("'engine_testing' in open('/proc/self/maps').read() and __import__('os')._exit(3)",
     "exit status 0, with probes exit status 3"),
    ("'engine_testing' in open('/proc/self/maps').read() and __import__('os').abort()",
     "exit status 0, with probes killed by SIGABRT"),
])
def test_differences(folder, body, difference):
    (folder / "test_different.py").write_text(textwrap.dedent("""
        import unittest, library

        class Test(unittest.TestCase):
            def test_it(self):
                library.plain(1)
                %s
    """) % body)
    output = sweep("library", "--", "/usr/bin/python3", "-m", "unittest", "test_different",
                   folder=folder, expected=1)
    assert "difference: " + difference in output
    assert cells(output)["outcome equal"] == "no"


def test_what_a_command_starts_has_no_probes(folder):
    (folder / "starts.py").write_text(textwrap.dedent("""
        import library, os, subprocess, sys
        library.plain(1)
        code = "import library, sys; library.plain(1); print(open('/proc/self/maps').read())"
        output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                                check=True).stdout
        assert "engine_testing" not in output
        assert os.environ["PYTHONPATH"] == "somewhere"
        assert sys.path[1] == os.path.abspath("somewhere")
        pid = os.fork()
        if pid == 0:
            library.plain(1)
            sys.exit(0)
        sys.exit(os.waitpid(pid, 0)[1])
    """))
    output = sweep("library", "--", "/usr/bin/python3", "starts.py", folder=folder,
                   path="somewhere")
    assert cells(output)["outcome equal"] == "yes"


@pytest.mark.parametrize("arguments, expected, reason", [
    (["--events", "call,never", "json"], 2, "\"never\" is not one of: call, return, end, line"),
    (["no_such_module"], 2, "has no test.test_no_such_module"),
    (["--drivers", "/nowhere", "json", "--", "true"], 2, "no engine_testing"),
    (["json", "--", "/no/such/command"], 2, "/no/such/command"),
    (["json", "--", "true"], 1, "no Python with probes came to its end"),
    (["json", "--", "/usr/bin/python3", "-E", "-c", "1"], 1, "no Python with probes"),
    (["wave", "--", "/usr/bin/python3", "-c", "1"], 1, "wave was not imported"),
    (["--timeout", "0.5", "json", "--", "sleep", "60"], 2, "took longer than 0.5 s"),
])
def test_bad_input(arguments, expected, reason):
    assert reason in sweep(*arguments, expected=expected)


@pytest.mark.parametrize("module", ["json", "contextlib"])
def test_own_tests_of_python(python, module):
    has_tests = subprocess.run([python, "-c", "import test.test_contextlib"], capture_output=True)
    if has_tests.returncode != 0:
        pytest.skip("%s has no tests of its own (Debian: libpython3-testsuite)" % python)
    row = cells(sweep("--python", python, module))
    assert (row["outcome equal"], row["errors"]) == ("yes", "0")
    assert int(row["fired"]) > int(row["armed"]) / 2
