# SPDX-License-Identifier: MIT
"""What the tests of expressions share."""


def outcome(function):
    """A value with its type, or what was raised."""
    try:
        value = function()
    except Exception as error:
        return type(error), str(error)
    return type(value), repr(value)
