# SPDX-License-Identifier: MIT
"""Runs at the start of every interpreter that `python3 -m diagnose run` leads to: connects it, and
then lets the sitecustomize that it hides have its turn. Whatever fails here is one line on standard
error; the program runs as it would have."""


def _connect():
    import importlib.util
    import os
    import sys

    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if "diagnose" not in sys.modules:
        # from beside this file, whatever else is called diagnose; its folder need not be on sys.path
        spec = importlib.util.spec_from_file_location(
            "diagnose",
            os.path.join(package, "__init__.py"),
            submodule_search_locations=[package],
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules["diagnose"] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules["diagnose"]
            raise
    sys.modules["diagnose"].connect()


def _run_hidden_sitecustomize():
    import importlib.machinery
    import importlib.util
    import os
    import sys

    here = os.path.dirname(os.path.abspath(__file__))
    others = [path for path in sys.path if os.path.abspath(path) != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


try:
    _connect()
except Exception as error:
    import sys

    print("diagnose: not instrumented: %s: %s" % (type(error).__name__, error), file=sys.stderr)

_run_hidden_sitecustomize()
