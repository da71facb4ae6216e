# SPDX-License-Identifier: MIT
"""Writes a wheel for each extension that Bazel has built: the action of tools/wheel.bzl.

usage: bazel_wheels.py --out FOLDER --file NAME=PATH... --extension PATH...

Runs at the root of what pyproject.toml, README.md, LICENSE and lib/base/version.h are in. An extension
that needs nothing but glibc is called manylinux, of the glibc whose symbols it needs; it says so
itself.
"""
import argparse
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import archive  # noqa: E402

GLIBC = {"libc.so.6", "libm.so.6", "libpthread.so.0", "ld-linux-x86-64.so.2",
         "ld-linux-aarch64.so.1"}


def platform_of(extension, machine):
    output = subprocess.run(["readelf", "--dynamic", "--version-info", "--wide", extension],
                            check=True, capture_output=True, text=True).stdout
    needed = set(re.findall(r"\(NEEDED\)\s+Shared library: \[(.*)\]", output))
    versions = [tuple(int(part) for part in text.split("."))
                for text in re.findall(r"Name: GLIBC_([\d.]+)", output)]
    if not needed <= GLIBC or not versions:
        return "linux_" + machine
    # the tag's least: before that, the form was another
    major, minor = max(versions + [(2, 17)])[:2]
    return "manylinux_%d_%d_%s" % (major, minor, machine)


def tag_of(extension):
    """As in cp311-cp311-manylinux_2_34_x86_64."""
    match = re.search(r"\.cpython-(\d+)-(\w+)-linux-gnu\.so$", extension)
    if match is None:
        sys.exit("bazel_wheels.py: %s is not named as an extension for CPython is" % extension)
    python = "cp" + match[1]
    return "%s-%s-%s" % (python, python, platform_of(extension, match[2]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--file", action="append", default=[])
    parser.add_argument("--extension", action="append", default=[])
    options = parser.parse_args()
    project = archive.Project(".")
    common = {}
    for pair in options.file:
        name, path = pair.split("=", maxsplit=1)
        with open(path, "rb") as file:
            common[name] = file.read()
    for extension in options.extension:
        with open(extension, "rb") as file:
            contents = {"diagnose/" + os.path.basename(extension): file.read()}
        project.write_wheel(options.out, tag_of(extension), {**common, **contents})


main()
