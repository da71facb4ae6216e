# SPDX-License-Identifier: MIT
"""What the tests of the type swap share."""
from support import EngineTest, outside


class SwapTest(EngineTest):
    """All calls are seen from outside."""

    def apply(self, *specs):
        super().apply(*({**spec, "value": outside(spec.get("value", "result"))} for spec in specs))
