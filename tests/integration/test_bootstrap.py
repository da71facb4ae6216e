# SPDX-License-Identifier: MIT
"""What PYTHONPATH=.../_bootstrap does to whatever interpreter and program finds it: it connects those
that can be, says why not once, and harms none."""
import glob
import os
import re
import subprocess
import sys

import pytest

from testing.fleet import PACKAGE, PYTHON
from testing.pythons import MINORS, find

BOOTSTRAP = os.path.join(PACKAGE, "diagnose", "_bootstrap")
ASK = "import sys; print(getattr(sys.modules.get('diagnose'), '__version__', None) is not None)"
OTHERS = sorted(
    path for path in glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python"))
    + glob.glob("/usr/bin/python[23].*[0-9]")
    if not path.split("/versions/")[-1].startswith(MINORS) and not path.endswith(MINORS)
)


def environment(bootstrap=BOOTSTRAP, **extra):
    kept = {key: value for key, value in os.environ.items()
            if not key.startswith(("PYTHON", "DIAGNOSE", "LD_", "ASAN"))}
    kept.update(PYTHONPATH=bootstrap, DIAGNOSE_SOCKET="/nonexistent", PYTHONDONTWRITEBYTECODE="1")
    kept.update(extra)
    return kept


def run(*arguments, python=PYTHON, **options):
    extra = options.pop("env", {})
    bootstrap = options.pop("bootstrap", BOOTSTRAP)
    return subprocess.run([python] + list(arguments), env=environment(bootstrap, **extra),
                          capture_output=True, text=True, timeout=60, **options)


def outcome(result):
    return result.returncode, result.stdout, result.stderr


@pytest.mark.parametrize("minor", MINORS)
def test_a_supported_interpreter_is_instrumented_in_silence(minor):
    _, python = find(minor)
    assert outcome(run("-c", ASK, python=python)) == (0, "True\n", "")


@pytest.mark.parametrize("minor", MINORS)
def test_it_says_so_if_asked(minor):
    _, python = find(minor)
    result = run("-c", ASK, python=python, env={"DIAGNOSE_VERBOSE": "1"})
    assert result.stdout == "True\n"
    assert result.stderr.startswith("diagnose: instrumented: Python %s, glibc 2." % minor)


@pytest.mark.skipif(not OTHERS, reason="no other version of Python is installed")
@pytest.mark.parametrize("python", OTHERS)
@pytest.mark.parametrize("warnings", ["default", "error"])
def test_another_version_of_python_runs_unharmed(python, warnings, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.hidden = 1\n")
    version = subprocess.run([python, "-Ec", "import sys; print('%d.%d' % sys.version_info[:2])"],
                             capture_output=True, text=True, check=True).stdout.strip()
    result = run("-c", "import sys; print(sys.hidden, 'diagnose' in sys.modules); sys.exit(7)",
                 python=python, bootstrap="%s:%s" % (BOOTSTRAP, tmp_path),
                 env={"PYTHONWARNINGS": warnings})
    assert result.returncode == 7
    assert result.stdout in ("1 False\n", "(1, False)\n")  # the latter is Python 2's
    assert result.stderr == ("diagnose: not instrumented: there is no extension for Python %s, "
                             "but for: %s\n" % (version, ", ".join(
                                 minor for minor in MINORS if has_extension(minor))))


def has_extension(minor):
    return bool(glob.glob("%s/diagnose/_native.cpython-%s-*" % (PACKAGE, minor.replace(".", ""))))


# What is changed before the bootstrap runs, as no such interpreter is at hand -> the reason.
NO_GLIBC = ("def refuse(*a, **k): raise ValueError('unrecognized configuration name')\n"
            "os.confstr = refuse\n")
PRETENDED = {
    "musl": (NO_GLIBC +
             "maps = '7f00 r-xp 00000000 00:01 1 /lib/ld-musl-x86_64.so.1'\n"
             "builtins.open = lambda *a, **k: io.StringIO(maps)",
             "its C library is musl; the extension is for glibc 2.34 or later"),
    "another C library": (
        NO_GLIBC, "its C library is no glibc; the extension is for glibc 2.34 or later"),
    "an old glibc": ("os.confstr = lambda name: 'glibc 2.31'",
                     "its C library is glibc 2.31; the extension is for glibc 2.34 or later"),
    "no /proc": (NO_GLIBC +
                 "def no_file(*a, **k): raise OSError\n"
                 "builtins.open = no_file",
                 "its C library is no glibc; the extension is for glibc 2.34 or later"),
    "PyPy": ("sys.implementation.name = 'pypy'", "pypy is not supported, only CPython"),
    "free-threaded": ("sys.abiflags = 't'",
                      "free-threaded builds of Python are not supported"),
    "debug build": ("import _imp\n_imp.extension_suffixes = lambda: ['.cpython-311d-m68k.so']",
                    "there is no extension for this build of Python (_native.cpython-311d-m68k.so)"),
}


@pytest.mark.parametrize("version", ["2.34", "2.100", "3.0", "2.41.9000", "2.x"])
def test_a_glibc_that_is_new_enough(version):
    """Or whose version says nothing."""
    program = ("import os; os.confstr = lambda name: 'glibc %s'\n"
               "exec(compile(open(%r).read(), %r, 'exec'), "
               "{'__name__': 'sitecustomize', '__file__': %r})\n") % (
                   (version,) + 3 * (os.path.join(BOOTSTRAP, "sitecustomize.py"),))
    assert outcome(run("-c", program + ASK, bootstrap="")) == (0, "True\n", "")


@pytest.mark.parametrize("minor", MINORS)
def test_the_oldest_glibc_is_the_one_that_the_extension_needs(minor):
    (extension,) = glob.glob("%s/diagnose/_native.cpython-%s-*" % (PACKAGE, minor.replace(".", "")))
    output = subprocess.run(["readelf", "--version-info", "--wide", extension], check=True,
                            capture_output=True, text=True).stdout
    needed = max(tuple(map(int, text.split(".")))
                 for text in re.findall(r"Name: GLIBC_([\d.]+)", output))
    with open(os.path.join(BOOTSTRAP, "sitecustomize.py")) as file:
        assert "_GLIBC = (%d, %d)\n" % needed[:2] in file.read()


@pytest.mark.parametrize("name", PRETENDED)
def test_interpreters_that_cannot_be_instrumented(name):
    change, reason = PRETENDED[name]
    program = (
        "import builtins, io, os, sys\n"
        "path = %r\n"
        "code = compile(open(path).read(), path, 'exec')\n"
        "%s\n"
        "exec(code, {'__name__': 'sitecustomize', '__file__': path})\n"
        "print('diagnose' in sys.modules)\n"
    ) % (os.path.join(BOOTSTRAP, "sitecustomize.py"), change)
    result = run("-c", program, bootstrap="")
    assert outcome(result) == (0, "False\n", "diagnose: not instrumented: %s\n" % reason)


def broken_package(folder, **files):
    """The bootstrap, with other files beside it than there should be."""
    package = folder / "diagnose"
    (package / "_bootstrap").mkdir(parents=True)
    with open(os.path.join(BOOTSTRAP, "sitecustomize.py")) as file:
        (package / "_bootstrap" / "sitecustomize.py").write_text(file.read())
    for name, text in files.items():
        (package / name).write_text(text)
    return str(package / "_bootstrap")


def test_a_package_without_extensions(tmp_path):
    bootstrap = broken_package(tmp_path, **{"__init__.py": ""})
    result = run("-c", ASK, bootstrap=bootstrap)
    assert (result.returncode, result.stdout) == (0, "False\n")
    assert result.stderr == ("diagnose: not instrumented: there is no extension for Python %d.%d, "
                             "but for: none\n" % sys.version_info[:2])


def test_an_extension_that_cannot_be_loaded(tmp_path):
    import _imp

    with open(os.path.join(PACKAGE, "diagnose", "__init__.py")) as file:
        bootstrap = broken_package(tmp_path, **{
            "__init__.py": file.read(), "_native" + _imp.extension_suffixes()[0]: "no ELF"})
    result = run("-c", ASK, bootstrap=bootstrap)
    assert (result.returncode, result.stdout) == (0, "False\n")
    assert result.stderr.startswith("diagnose: not instrumented: NotImplementedError: ")
    assert result.stderr.count("\n") == 1


def test_a_package_that_raises(tmp_path):
    import _imp

    bootstrap = broken_package(tmp_path, **{
        "__init__.py": "raise ValueError('oh')", "_native" + _imp.extension_suffixes()[0]: ""})
    result = run("-c", "import sys; print([f for f in sys.meta_path if 'sitecustom' in repr(f)])",
                 bootstrap=bootstrap)
    assert outcome(result) == (0, "[]\n", "diagnose: not instrumented: ValueError: oh\n")


def test_a_folder_that_is_not_there():
    assert outcome(run("-c", ASK, bootstrap="/opt/nowhere/_bootstrap")) == (0, "False\n", "")


def test_the_reason_is_told_once_for_a_process_and_those_that_it_starts(tmp_path):
    bootstrap = broken_package(tmp_path)
    program = ("import subprocess, sys\n"
               "for _ in range(2): subprocess.run([sys.executable, '-c', 'print(1)'])")
    result = run("-c", program, bootstrap=bootstrap)
    assert (result.returncode, result.stdout) == (0, "1\n1\n")
    assert result.stderr.count("not instrumented") == 1


def test_without_a_standard_error(tmp_path):
    bootstrap = broken_package(tmp_path)
    command = "exec %s -c 'print(1)' 2>&-" % PYTHON
    result = subprocess.run(["/bin/sh", "-c", command], env=environment(bootstrap),
                            capture_output=True, text=True, timeout=60)
    assert outcome(result) == (0, "1\n", "")


# Command line (the script is made) -> what is excluded by that name, or None.
COMMANDS = [
    (["-m", "pip", "--version"], "pip"),
    (["-mpip", "--version"], "pip"),
    (["-um", "pip", "--version"], "pip"),
    (["-W", "ignore", "-m", "pip._internal", "--version"], "pip._internal"),
    (["-Wignore", "-X", "utf8", "-m", "venv", "--help"], "venv"),
    (["--check-hash-based-pycs", "always", "-m", "venv", "--help"], "venv"),
    (["-B", "pip"], "pip"),
    (["pip3.11"], "pip3.11"),
    (["easy_install-3.11"], "easy_install-3.11"),
    (["setup.py", "build"], "setup.py"),
    (["-X", "utf8", "apt-listchanges"], "apt-listchanges"),
    (["-c", "pass", "-m", "pip"], None),
    (["-Bc", "pass"], None),
    (["app.py", "-m", "pip"], None),
    (["-m", "this"], None),
    (["-"], None),
    (["pipeline.py"], None),
    (["setups"], None),
]


@pytest.mark.parametrize("arguments, excluded", COMMANDS)
def test_tools_are_left_alone(arguments, excluded, tmp_path):
    for name in arguments:
        if not name.startswith("-") and "always" != name:
            (tmp_path / name).write_text("")
    result = run(*arguments, cwd=tmp_path, stdin=subprocess.DEVNULL,
                 env={"DIAGNOSE_VERBOSE": "1"})
    if excluded is None:
        assert result.stderr.startswith("diagnose: instrumented")
    else:
        assert result.stderr.startswith("diagnose: not instrumented: %s is excluded\n" % excluded)
    silent = run(*arguments, cwd=tmp_path, stdin=subprocess.DEVNULL)
    assert "diagnose:" not in silent.stderr


@pytest.mark.parametrize("value, name, is_excluded", [
    ("manage.py", "manage.py", True),
    ("manage", "manage.py", True),
    (" worker , manage.py ", "manage.py", True),
    ("worker", "manage.py", False),
    ("", "manage.py", False),
    (",", "manage.py", False),
    ("*", "manage.py", True),
    ("-pip", "pip", False),
    ("-pip,pip3", "pip", False),
    ("-pip,pip3", "pip3", True),
    ("-nothing", "pip", True),
])
def test_what_is_excluded_can_be_configured(value, name, is_excluded, tmp_path):
    (tmp_path / name).write_text(ASK)
    result = run(name, cwd=tmp_path, env={"DIAGNOSE_EXCLUDE": value})
    assert outcome(result) == (0, "%s\n" % (not is_excluded), "")


@pytest.mark.parametrize("exclude", ["", "*"])
def test_a_hidden_sitecustomize_has_its_turn(exclude, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.hidden = __file__\n")
    result = run("-c", "import sys, sitecustomize; print(sys.hidden == sitecustomize.__file__)",
                 bootstrap="%s:%s" % (BOOTSTRAP, tmp_path), env={"DIAGNOSE_EXCLUDE": exclude})
    assert outcome(result) == (0, "True\n", "")


def test_another_module_called_diagnose_is_neither_taken_nor_run(tmp_path):
    (tmp_path / "diagnose.py").write_text("raise SystemExit('not mine')\n")
    result = run("-c", ASK, bootstrap="%s:%s" % (tmp_path, BOOTSTRAP))
    assert outcome(result) == (0, "True\n", "")
