# SPDX-License-Identifier: MIT
"""The package's stubs: they are what the modules really have, and programs that use the library as
docs/library.md shows check strictly."""
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PACKAGE = pathlib.Path(os.environ.get("DIAGNOSE_BIN", ROOT / "bazel-bin")) / "inproc/diagnose/package"
PYTHON = "/usr/bin/python3"


# What only stubs have: the shapes of dicts, protocols, an attribute of instances; and parameters that
# may be given by position only, which stubs call by name so that overriding methods may, too.
ONLY_IN_STUBS = r"""
diagnose\.(instruments\.)?Instrument\.(check_call|handle_error)
diagnose\.(SpecStatus|Status)
diagnose\.instruments\._.*
diagnose\.managers\.(Applied|Collection)
diagnose\.managers\.InstrumentManager\.specs
diagnose\.probes\.InstrumentStatus
"""


def run(folder, *command):
    environment = dict(os.environ, PYTHONPATH=str(PACKAGE), MYPYPATH=str(PACKAGE))
    done = subprocess.run(
        [PYTHON, *command], cwd=folder, env=environment, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


def test_stubs_match_the_modules(tmp_path):
    (tmp_path / "only-in-stubs").write_text(ONLY_IN_STUBS)
    status, output = run(
        tmp_path,
        *("-m", "mypy.stubtest", "diagnose", "--ignore-missing-stub"),
        *("--allowlist", "only-in-stubs", "--ignore-unused-allowlist"),
    )
    assert status == 0, output


def check(tmp_path, text):
    (tmp_path / "program.py").write_text(text, encoding="utf-8")
    return run(tmp_path, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), "program.py")


def test_examples_check_strictly(tmp_path):
    status, output = check(tmp_path, (ROOT / "tests/checks/typed_examples.py").read_text())
    assert status == 0, output


@pytest.mark.parametrize(
    "line, complaint",
    [
        ('diagnose.LogInstrument("x", 5)', "incompatible type"),
        ('diagnose.probes.attach_to("a.b").instruments["x"] = 5', "Incompatible types"),
        ('diagnose.probes.attach_to("a.b").begin()', "no attribute"),
        ('diagnose.instruments.statsd.increment("x", "y")', "incompatible type"),
        ('diagnose.manager.apply_in_background("soon")', "incompatible type"),
    ],
)
def test_mistakes_are_found(tmp_path, line, complaint):
    status, output = check(tmp_path, f"import diagnose\n\n{line}\n")
    assert status == 1 and complaint in output, output
