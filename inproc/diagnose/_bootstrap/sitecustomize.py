# SPDX-License-Identifier: MIT
"""Runs at the start of every interpreter that finds this folder on PYTHONPATH: connects it, if it is one
that can be, and then lets the sitecustomize that it hides have its turn.

It must harm nobody: PYTHONPATH reaches whatever the container starts, tools and Pythons of any version
included, so this file is written in what all of them understand, and imports next to nothing. Whatever
fails is one line on standard error, which is not repeated by the processes that are started from here;
the program runs as it would have.

DIAGNOSE_EXCLUDE: names of programs or modules (`python -m`), separated by commas, that are not to be
    instrumented, besides those in _EXCLUDED; "-pip" takes one off the list; "*" stands for all.
DIAGNOSE_VERBOSE: if set and not empty, every process tells whether it is instrumented.
"""
import os
import sys

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Where a process leaves the reason that it has told, for those that it starts.
_TOLD = "DIAGNOSE_NOT_INSTRUMENTED"

# The oldest glibc that the extensions can be loaded by.
_GLIBC = (2, 34)

# Tools that run for a moment, that change the interpreter under them, or that the package manager runs.
_EXCLUDED = (
    "2to3", "add-apt-repository", "apt-add-repository", "apt-listbugs", "apt-listchanges",
    "cloud-init", "command-not-found", "compileall", "conda", "dnf", "easy_install", "ensurepip",
    "get-pip", "lsb_release", "mamba", "pip", "pip-compile", "pip-sync", "pipenv", "pipx", "pdm",
    "poetry", "py3clean", "py3compile", "py3versions", "py_compile", "pyclean", "pycompile",
    "pyvenv", "setup", "tox", "unattended-upgrade", "unattended-upgrades", "update-manager", "uv",
    "venv", "virtualenv", "yum",
)


def _program():
    """What this interpreter runs: name of a script, or of a module; else empty."""
    arguments = getattr(sys, "orig_argv", None) or []
    index = 1
    while index < len(arguments):
        argument = arguments[index]
        if not argument.startswith("-") or argument == "-":
            return os.path.basename(argument)
        if argument.startswith("--"):
            # as in --check-hash-based-pycs always
            index += 1 if "=" in argument or argument in ("--help", "--version") else 2
            continue
        for position, letter in enumerate(argument[1:], 2):
            if letter == "c":
                return ""
            if letter in "mWX":
                # the value is the rest of this argument, or the next one
                value = argument[position:]
                if not value:
                    index += 1
                    value = arguments[index] if index < len(arguments) else ""
                if letter == "m":
                    return value
                break
        index += 1
    return ""


def _is_excluded(program):
    names = set(_EXCLUDED)
    for name in os.environ.get("DIAGNOSE_EXCLUDE", "").split(","):
        name = name.strip()
        if name == "*":
            return True
        if name.startswith("-"):
            names.discard(name[1:])
        elif name:
            names.add(name)
    stem = program[:-3] if program.endswith(".py") else program
    # pip3.11 is pip, easy_install-3.11 easy_install, pip._internal pip
    forms = (program, stem, stem.rstrip("0123456789.-"), stem.split(".")[0])
    return any(form in names for form in forms if form)


def _libc():
    """The C library that this interpreter runs on: "glibc 2.36", or the name of another one."""
    try:
        # the name is known only to Pythons that were built with glibc's headers
        return os.confstr("CS_GNU_LIBC_VERSION") or "no glibc"
    except (AttributeError, OSError, ValueError):
        pass
    try:
        with open("/proc/self/maps") as maps:
            return "musl" if "/ld-musl-" in maps.read() else "no glibc"
    except (IOError, OSError):
        return "no glibc"


def _is_supported_libc(libc):
    name, _, version = libc.partition(" ")
    try:
        return name == "glibc" and tuple(map(int, version.split(".")[:2])) >= _GLIBC
    except ValueError:
        return True  # a version of somebody's own: importing tells


def _versions():
    """Python versions that there are extensions for: "3.11, 3.12"."""
    start = "_native.cpython-"
    tags = [name[len(start):].split("-")[0] for name in os.listdir(_PACKAGE)
            if name.startswith(start)]
    tags.sort(key=lambda tag: (len(tag), tag))
    return ", ".join(tag[0] + "." + tag[1:] for tag in tags) or "none"


def _unsupported():
    """Why this interpreter cannot be instrumented; None: nothing speaks against it."""
    name = getattr(getattr(sys, "implementation", None), "name", "cpython")
    if name != "cpython" or "PyPy" in sys.version:
        return "%s is not supported, only CPython" % (name if name != "cpython" else "PyPy")
    version = "%d.%d" % sys.version_info[:2]
    if version not in _versions().split(", "):
        return "there is no extension for Python %s, but for: %s" % (version, _versions())
    libc = _libc()
    if not _is_supported_libc(libc):
        return "its C library is %s; the extension is for glibc %d.%d or later" % ((libc,) + _GLIBC)
    if "t" in sys.abiflags:
        return "free-threaded builds of Python are not supported"

    import _imp

    extensions = ["_native" + suffix for suffix in _imp.extension_suffixes()]
    if not any(os.path.exists(os.path.join(_PACKAGE, extension)) for extension in extensions):
        return "there is no extension for this build of Python (%s)" % extensions[0]
    return None


class _Finder:
    """Finds diagnose beside this file, whatever else has that name; its folder need not be on
    sys.path."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "diagnose":
            return None

        from importlib.machinery import PathFinder

        return PathFinder.find_spec(name, [os.path.dirname(_PACKAGE)])


def _connect():
    finders = sys.meta_path
    finders.insert(0, _Finder)
    try:
        import diagnose
    finally:
        finders.remove(_Finder)
    diagnose.connect()


def _say(text):
    try:
        sys.stderr.write("diagnose: %s\n" % text)
        sys.stderr.flush()
    except Exception:
        pass  # there is no standard error, or nobody reads it


def _instrument():
    is_verbose = bool(os.environ.get("DIAGNOSE_VERBOSE"))
    program = _program()
    if _is_excluded(program):
        if is_verbose:
            _say("not instrumented: %s is excluded" % (program or "this program"))
        return
    try:
        reason = _unsupported()
        if reason is None:
            _connect()
    except Exception as error:
        reason = "%s: %s" % (type(error).__name__, error)
    if reason is None:
        if is_verbose:
            _say("instrumented: Python %d.%d, %s" % (sys.version_info[:2] + (_libc(),)))
        return
    if is_verbose or os.environ.get(_TOLD) != reason:
        _say("not instrumented: " + reason)
        os.environ[_TOLD] = reason


def _others():
    """sys.path without this folder."""
    here = os.path.dirname(os.path.abspath(__file__))
    return [path for path in sys.path if os.path.abspath(path) != here]


def _run_hidden_sitecustomize():
    if sys.version_info < (3, 5):
        import imp

        try:
            found = imp.find_module("sitecustomize", _others())
        except ImportError:
            return
        imp.load_module("sitecustomize", *found)
        return

    import importlib.machinery

    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", _others())
    if spec is None or spec.loader is None:
        return

    import importlib.util

    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


try:
    _instrument()
except Exception:
    pass  # an environment in which not even the reason can be found

_run_hidden_sitecustomize()
