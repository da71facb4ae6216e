# SPDX-License-Identifier: MIT
import os
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from testing.fleet import Api, Fleet  # noqa: E402

# A shell ignores it on behalf of what it runs in the background; programs inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def bare_fleet():
    """Nothing is running yet."""
    with Fleet() as fleet:
        yield fleet


@pytest.fixture
def fleet(bare_fleet):
    """A controller and a sidecar."""
    bare_fleet.start_controller()
    bare_fleet.start_sidecar()
    return bare_fleet


@pytest.fixture
def api(fleet):
    api = Api(fleet.channel())
    yield api
    api.close()
