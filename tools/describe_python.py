# SPDX-License-Identifier: MIT
"""Says what tools/pythons.bzl needs to know of the interpreter that runs this: "ok", minor version,
full version, executable, EXT_SUFFIX and the folder of Python.h; or "no", minor version and the
reason why Diagnose cannot be built for it. One item a line."""
import os
import sys
import sysconfig


def reason(include):
    if sys.implementation.name != "cpython":
        return "is not CPython"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "is a free-threaded build"
    if hasattr(sys, "gettotalrefcount") or hasattr(sys, "getobjects"):
        return "is a debug build"
    for header in ("Python.h", os.path.join("internal", "pycore_frame.h")):
        if not os.path.exists(os.path.join(include, header)):
            return "has no " + os.path.join(include, header)
    return None


def main():
    include = sysconfig.get_paths()["include"]
    why_not = reason(include)
    minor = "%d.%d" % sys.version_info[:2]
    if why_not:
        print("\n".join(["no", minor, why_not]))
        return
    version = sys.version.split()[0]
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    print("\n".join(["ok", minor, version, sys.executable, suffix, include]))


main()
