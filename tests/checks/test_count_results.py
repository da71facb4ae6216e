# SPDX-License-Identifier: MIT
"""The counter behind tests/run's last line."""
import os
import subprocess
import sys

import pytest

TESTING = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "testing")
COUNT = os.path.join(TESTING, "count_results.py")
WRITE_SKIPPED = os.path.join(TESTING, "write_skipped.py")
PASSED = '<testsuites><testsuite><testcase name="a" status="run"/></testsuite></testsuites>'
FAILED = '<testsuite><testcase name="a"><failure/></testcase><testcase name="b"/></testsuite>'
SKIPPED = '<testsuite><testcase name="a"><skipped/></testcase><testcase name="b"/></testsuite>'

CASES = [
    ("passed", {"a.xml": PASSED}, 0, "1 passed, 0 failed, 0 skipped", 0),
    ("failed", {"a.xml": FAILED}, 1, "1 passed, 1 failed, 0 skipped", 1),
    ("skipped", {"a.xml": SKIPPED}, 0, "1 passed, 0 failed, 1 skipped", 0),
    ("not run", {"a.xml": PASSED, "not-run.txt": "//x:y\n"}, 1, "1 passed, 1 failed, 0 skipped", 1),
    ("step", {"a.xml": PASSED}, 2, "1 passed, 2 failed, 0 skipped", 1),
    ("nothing", {}, 0, "0 passed, 0 failed, 0 skipped", 1),
]


@pytest.mark.parametrize("files, failed_steps, line, code", [c[1:] for c in CASES],
                         ids=[c[0] for c in CASES])
def test_count(tmp_path, files, failed_steps, line, code):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    logs = [tmp_path / ("step %d.log" % i) for i in range(failed_steps)]
    for log in logs:
        log.write_text("what it printed\n")
    result = subprocess.run([sys.executable, COUNT, str(tmp_path), *map(str, logs)],
                            capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == line
    assert result.returncode == code


def test_what_was_skipped_is_named(tmp_path):
    report = str(tmp_path / "python-3.12.xml")
    subprocess.run([sys.executable, WRITE_SKIPPED, report, "engine on 3.12", "<x> & not found"],
                   check=True)
    (tmp_path / "a.xml").write_text(PASSED)
    result = subprocess.run([sys.executable, COUNT, str(tmp_path)],
                            capture_output=True, text=True)
    assert result.stdout.splitlines() == [
        "SKIPPED python-3.12.xml: engine on 3.12: <x> & not found",
        "1 passed, 0 failed, 1 skipped",
    ]


def test_a_failed_step_shows_the_end_of_its_log(tmp_path):
    (tmp_path / "a.xml").write_text(PASSED)
    log = tmp_path / "engine, asan.log"
    log.write_bytes(b"".join(b"line %d\n" % i for i in range(100)) + b"\xff\n")
    result = subprocess.run([sys.executable, COUNT, str(tmp_path), str(log)],
                            capture_output=True, text=True)
    lines = result.stdout.splitlines()
    assert lines[0] == "FAILED step engine, asan, which ended with:"
    assert lines[1:30] == ["    line %d" % i for i in range(71, 100)]
    assert lines[-2:] == ["FAILED 1 steps failed without a report", "1 passed, 1 failed, 0 skipped"]
