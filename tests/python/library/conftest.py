# SPDX-License-Identifier: MIT
"""The tests of the library run on the built package:

    bazel build //inproc/diagnose:package
    PYTHONPATH=bazel-bin/inproc/diagnose/package python3 -m pytest tests/python/library

Other interpreters than Debian's need /usr/lib/python3/dist-packages on PYTHONPATH, too, for pytest.
"""
import importlib
import signal
import sys
import textwrap

import pytest

# A shell ignores it on behalf of what it runs in the background.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Each test begins and ends without probes, and with the manager that there was."""
    diagnose = sys.modules.get("diagnose")
    manager = getattr(diagnose, "manager", None)
    yield
    if diagnose is None:
        return
    diagnose.manager = manager
    for probe in list(diagnose.probes.active_probes.values()):
        probe.instruments.clear()
        probe.stop()
    diagnose.probes.active_probes.clear()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes modules that can be imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    written = []

    def write(name, text):
        (tmp_path / (name + ".py")).write_text(textwrap.dedent(text))
        importlib.invalidate_caches()
        written.append(name)

    yield write
    for name in written:
        sys.modules.pop(name, None)
