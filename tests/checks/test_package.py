# SPDX-License-Identifier: MIT
"""The Python package as it is built: an extension for each interpreter, with nothing to link."""
import glob
import os
import re
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from testing.fleet import PACKAGE  # noqa: E402
from testing.pythons import MINORS, find, table  # noqa: E402


def test_one_extension_for_each_interpreter():
    names = [os.path.basename(path) for path in glob.glob(PACKAGE + "/diagnose/_native*")]
    assert sorted(names) == sorted("_native" + row[2] for row in table().values()
                                   if row[0] != "missing")


@pytest.mark.parametrize("minor", MINORS)
def test_extension_links_libc_alone(minor):
    find(minor)
    extension = os.path.join(PACKAGE, "diagnose", "_native" + table()[minor][2])
    output = subprocess.run(["readelf", "--dynamic", "--wide", extension], check=True,
                            capture_output=True, text=True).stdout
    needed = set(re.findall(r"\(NEEDED\)\s+Shared library: \[(.*)\]", output))
    assert "libc.so.6" in needed
    assert needed <= {"libc.so.6", "libm.so.6"}


@pytest.mark.parametrize("minor", MINORS)
def test_import_and_command_line(minor):
    version, python = find(minor)
    environment = {key: value for key, value in os.environ.items()
                   if not key.startswith(("PYTHON", "DIAGNOSE"))}
    environment.update(PYTHONPATH=PACKAGE, DIAGNOSE_SOCKET="/nonexistent")
    program = "import diagnose, sys; print(diagnose.status()['socket'], sys.version.split()[0])"
    result = subprocess.run([python, "-m", "diagnose", "run", "--", python, "-c", program],
                            env=environment, capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("/nonexistent %s\n" % version, "")
