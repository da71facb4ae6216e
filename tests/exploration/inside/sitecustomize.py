# SPDX-License-Identifier: MIT
"""Loaded by the command's Python as it starts: arms the modules, see arming.py, and gets out of the
way. Processes that the command starts in turn are as they would be without."""
import os
import sys


def _run(path, namespace):
    with open(path) as file:
        exec(compile(file.read(), path, "exec"), namespace)


def _begin():
    import marshal

    inside = os.path.dirname(__file__)
    with open(os.environ.pop("DIAGNOSE_SWEEP"), "rb") as file:
        config = marshal.load(file)
    # the search path as the command had it
    if config["pythonpath"] is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = config["pythonpath"]
    sys.path.remove(inside)
    sys.path_importer_cache.pop(inside, None)
    namespace = {"__name__": "sweep"}
    for name in ("functions.py", "arming.py"):
        _run(os.path.join(inside, os.pardir, name), namespace)
    namespace["begin"](config)


if "DIAGNOSE_SWEEP" in os.environ:
    _begin()
_this = sys.modules.pop(__name__)
try:
    import sitecustomize  # noqa: F401  the interpreter's own
except ImportError:
    sys.modules[__name__] = _this
