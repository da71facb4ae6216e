# SPDX-License-Identifier: MIT
"""What the tests of bytecode injection share."""
import re
import traceback
import types

import inject_testing

START, RETURN, RAISE, SUSPEND, LINES = 1, 2, 4, 8, 16
ALL = START | RETURN | RAISE | SUSPEND | LINES


class Observer:
    """An attached observer; detached at the end of the block."""

    def __init__(self, function, events=ALL, lines=(), *, is_only=True, is_counting=False,
                 hook=None):
        code = function if isinstance(function, types.CodeType) else function.__code__
        hint = None if function is code or not is_only else function
        references = 3  # `code`, the argument, and the tuple of arguments
        self.handle, self.functions, self.excluded = inject_testing.attach(
            code, events, list(lines), hint, references if hint else 0, is_counting, hook)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.detach()

    def detach(self):
        inject_testing.detach(self.handle)

    def update(self, events, lines=()):
        inject_testing.update(self.handle, events, list(lines))

    def take(self):
        return inject_testing.take(self.handle)

    def kinds(self):
        return [kind for kind, _, _ in self.take()]

    def lines(self):
        return [value for kind, _, value in self.take() if kind == "line"]

    @property
    def count(self):
        return inject_testing.counts(self.handle)[0]

    @property
    def reentrant(self):
        return inject_testing.counts(self.handle)[1]


def describe_exception(exception):
    if exception is None:
        return None
    frames = [(f.filename, f.name, f.lineno, f.end_lineno, f.colno, f.end_colno)
              for f in traceback.extract_tb(exception.__traceback__)
              if "inject_samples" in f.filename or "long_function" in f.filename]
    return (text(exception), frames, describe_exception(exception.__context__),
            describe_exception(exception.__cause__), exception.__suppress_context__)


def text(value):
    return re.sub(r"Task-\d+|0x[0-9a-f]+", "", repr(value))


def outcome(run):
    try:
        return text(run())
    except BaseException as e:
        return describe_exception(e)
