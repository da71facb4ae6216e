# SPDX-License-Identifier: MIT
"""The interpreters that the package has extensions for: those that tools/pythons.bzl has found."""
import functools
import os
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MINORS = ("3.11", "3.12", "3.13")


def external():
    """The folder of @pythons."""
    result = subprocess.run(["bazel", "info", "output_base"], cwd=ROOT, check=True,
                            capture_output=True, text=True)
    return os.path.join(result.stdout.strip(), "external", "pythons")


@functools.lru_cache(maxsize=None)
def table():
    """{minor version: its line, without the tag}"""
    with open(os.path.join(external(), "pythons.tsv")) as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    return {row[0].replace("_", "."): row[1:] for row in rows}


def find(minor):
    """Full version and executable; skips the test if there is none."""
    version, executable = table()[minor][:2]
    if version == "missing":
        pytest.skip("CPython %s: %s" % (minor, executable))
    return version, executable
