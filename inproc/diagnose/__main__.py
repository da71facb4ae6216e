# SPDX-License-Identifier: MIT
"""python3 -m diagnose run [--socket PATH] -- PROGRAM [ARGUMENT...]

Runs a Python program, unaltered, so that it and the processes that it starts connect to the
sidecar: a sitecustomize module on PYTHONPATH calls diagnose.connect() in each of them.
"""
import argparse
import os
import shutil
import sys

BOOTSTRAP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_bootstrap")

EXAMPLES = """\
examples:
  python3 -m diagnose run -- gunicorn --workers 2 shop.app:app
  python3 -m diagnose run --socket /tmp/d.sock -- worker.py --queue mail
"""


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python3 -m diagnose",
        description="Live instrumentation for Python programs.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="run a program that connects to the sidecar",
        description="Runs a Python program, unaltered, so that it and the processes that it "
        "starts connect to the sidecar.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument(
        "--socket",
        metavar="PATH",
        help="the sidecar's unix socket (default: $DIAGNOSE_SOCKET or /run/diagnose/diagnose.sock)",
    )
    run.add_argument("program", nargs=argparse.REMAINDER, metavar="-- PROGRAM [ARGUMENT...]")
    options = parser.parse_args(arguments)
    if options.program[:1] == ["--"]:
        del options.program[0]
    if not options.program:
        run.error("no program given")
    return options


def command_line(program):
    """What to execute: a program on PATH as it is, a Python file by this interpreter."""
    found = shutil.which(program[0])
    if found:
        return [found] + program[1:]
    if program[0].endswith(".py") and os.path.isfile(program[0]):
        return [sys.executable] + program
    sys.exit("diagnose run: %s: no such program" % program[0])


def warn_of_isolation(program):
    """Flags of Python under which it looks at neither PYTHONPATH nor sitecustomize."""
    if not os.path.basename(program[0]).startswith("python"):
        return
    for argument in program[1:]:
        if not argument.startswith("-") or argument in ("-c", "-m", "-"):
            return
        if not argument.startswith("--") and set(argument[1:]) & set("EIS"):
            print(
                "diagnose run: %s keeps Python from loading anything but the program; "
                "it will not be instrumented" % argument,
                file=sys.stderr,
            )


def main(arguments=None):
    options = parse(arguments)
    command = command_line(options.program)
    warn_of_isolation(options.program)
    environment = dict(os.environ)
    path = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = BOOTSTRAP + (os.pathsep + path if path else "")
    if options.socket:
        environment["DIAGNOSE_SOCKET"] = os.path.abspath(options.socket)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execve(command[0], command, environment)
    except OSError as error:
        sys.exit("diagnose run: %s: %s" % (command[0], error.strerror))


if __name__ == "__main__":
    main()
