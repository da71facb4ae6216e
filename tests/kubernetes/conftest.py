# SPDX-License-Identifier: MIT
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from testing.cluster import build_images  # noqa: E402
from webhook_testing import Webhook  # noqa: E402


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """A folder with the archives of all images."""
    return build_images(str(tmp_path_factory.mktemp("images")))


@pytest.fixture(scope="module")
def webhook():
    """diagnose-webhook, running."""
    with Webhook() as webhook:
        yield webhook
