# SPDX-License-Identifier: MIT
"""Line coverage of the parsers, out of what llvm-cov exports: coverage.py PROFILE BINARY
OTHER_OBJECTS FILES, where each file is PATH or PATH:FUNCTION,FUNCTION."""
import os
import subprocess
import sys

LEAST_PERCENT = 90


def lines_of(shown, functions):
    """(covered, all) lines of the file, or of these functions of it, in llvm-cov's text."""
    covered = total = 0
    for line in shown.splitlines():
        parts = line.split("|", 2)
        if len(parts) != 3 or not parts[0].strip().isdigit() or not parts[1].strip():
            continue
        total += 1
        covered += parts[1].strip() != "0"
    return covered, total


def show(profile, binary, objects, path, functions):
    names = [] if functions is None else [option for name in functions
                                          for option in ("-name-regex", "(^|:)%s$" % name)]
    return subprocess.run(
        ["llvm-cov", "show", binary] + objects + ["-instr-profile", profile] + names
        + ([os.path.abspath(path)] if functions is None else []),
        check=True, capture_output=True, text=True).stdout


def main():
    profile, binary, objects, files = sys.argv[1:]
    is_enough = True
    for entry in files.split():
        path, _, names = entry.partition(":")
        functions = names.split(",") if names else None
        covered, total = lines_of(show(profile, binary, objects.split(), path, functions),
                                  functions)
        percent = 100.0 * covered / total if total else 0.0
        print("%-28s %4d of %4d lines  %5.1f %%%s" % (
            path, covered, total, percent, "  its parsing functions" if names else ""))
        is_enough = is_enough and percent >= LEAST_PERCENT
    if not is_enough:
        print("less than %d %%" % LEAST_PERCENT, file=sys.stderr)
    return 0 if is_enough else 1


if __name__ == "__main__":
    sys.exit(main())
