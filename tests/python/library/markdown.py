# SPDX-License-Identifier: MIT
"""Runs the Python examples of a text in Markdown: blocks with prompts as doctests, one after another in
one module, and blocks of the form ```python file=NAME as modules that they can import."""
import doctest
import os
import re
import sys
import types

_BLOCK = re.compile(r"^```#?python(?: file=(?P<file>\S+))?\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_FLAGS = doctest.ELLIPSIS


def blocks(text):
    """Of each block: the file's name or None, the text, and its first line's number."""
    for match in _BLOCK.finditer(text):
        yield match["file"], match["text"], text.count("\n", 0, match.start("text")) + 1


def run(text, name, folder, **names):
    """Runs all examples with `names` as globals; returns how many there were. AssertionError: what came
    out differs, with doctest's report."""
    module = types.ModuleType(name)
    module.__dict__.update(names)
    sys.modules[name] = module
    sys.path.insert(0, str(folder))
    report = []
    try:
        runner = doctest.DocTestRunner(optionflags=_FLAGS, verbose=False)
        for file, block, line in blocks(text):
            if file is not None:
                with open(os.path.join(folder, file), "w", encoding="utf-8") as out:
                    out.write(block)
                continue
            test = doctest.DocTestParser().get_doctest(block, module.__dict__, name, name, line - 1)
            test.globs = module.__dict__  # not the copy
            runner.run(test, out=report.append, clear_globs=False)
    finally:
        sys.path.remove(str(folder))
        del sys.modules[name]
    assert runner.failures == 0, "".join(report)
    return runner.tries
