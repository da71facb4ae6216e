# SPDX-License-Identifier: MIT
"""`pip install .` and Bazel's wheels, for the interpreter that runs this, without a network."""
import fnmatch
import functools
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
TAG = "cp%d%d" % sys.version_info[:2]
UNTRACKED = shutil.ignore_patterns(".git", ".build", "bazel-*", "__pycache__")

sys.path.insert(0, os.path.join(ROOT, "tools", "wheel"))
import archive  # noqa: E402
import bazel_files  # noqa: E402

del sys.path[0]

# A compiler that is quick, and sees whether all headers are there.
CHECKING_COMPILER = """#!/bin/sh
for argument; do
    case $last in -o) : >"$argument" ;; esac
    last=$argument
done
case " $* " in *" -c "*) exec gcc "$@" -M -MF /dev/null ;; *" -fsyntax-only "*) exec gcc "$@" ;; esac
"""


def environment(**more):
    """Without what this process runs under, and with no way to a package index."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "PIP_", "DIAGNOSE", "LD_PRELOAD", "CC"))}
    kept.update(PIP_NO_INDEX="1", PIP_CONFIG_FILE=os.devnull, PIP_DISABLE_PIP_VERSION_CHECK="1",
                http_proxy="http://127.0.0.1:1", https_proxy="http://127.0.0.1:1")
    kept.update(more)
    return kept


def run(*command, cwd="/", **variables):
    return subprocess.run(command, cwd=cwd, env=environment(**variables), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)


def tree(folder):
    return sorted(os.path.relpath(os.path.join(path, name), folder)
                  for path, _, names in os.walk(folder) for name in names)


@functools.lru_cache(maxsize=None)
def bazel(*arguments):
    return subprocess.run(("bazel",) + arguments, cwd=ROOT, check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True).stdout.split()


def wheels():
    """The folder of Bazel's wheels: those of $DIAGNOSE_BIN, or built now."""
    place = os.environ.get("DIAGNOSE_BIN", "")
    folder = os.path.join(place, "inproc", "diagnose", "wheels")
    if place and os.path.isdir(folder):
        return folder
    bazel("build", "//inproc/diagnose:wheels")
    return os.path.join(bazel("info", "bazel-bin")[0], "inproc", "diagnose", "wheels")


@unittest.skipIf("asan" in os.environ.get("LD_PRELOAD", ""), "pip is not for sanitizers")
class PackagingTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="diag.", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def assert_runs(self, *command, **more):
        result = run(*command, **more)
        self.assertEqual(result.returncode, 0, result.stdout)
        return result.stdout

    def copy(self):
        return shutil.copytree(ROOT, self.path("checkout"), ignore=UNTRACKED, symlinks=True)

    def make_venv(self):
        """Its interpreter, and its site-packages."""
        result = run(sys.executable, "-m", "venv", self.path("venv"))
        if result.returncode != 0:
            self.skipTest("no venv for this interpreter: " + result.stdout)
        python = self.path("venv", "bin", "python")
        site = self.assert_runs(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
        return python, site.strip()

    def check_package(self, python, site):
        """What is there works, and is what is in the source tree."""
        program = ("import diagnose, sys; "
                   "print(diagnose.__version__, callable(diagnose.connect), diagnose.status()['uid'])")
        version = archive.Project(ROOT).version
        self.assertEqual(self.assert_runs(python, "-c", program), "%s True \n" % version)
        usage = self.assert_runs(python, "-m", "diagnose", "--help")
        self.assertIn("usage: python3 -m diagnose", usage)
        started = self.assert_runs(python, "-m", "diagnose", "run", "--socket", "/nonexistent", "--",
                                   python, "-c",
                                   "import diagnose; print(diagnose.status()['socket'])")
        self.assertEqual(started, "/nonexistent\n")
        installed = {name for name in tree(os.path.join(site, "diagnose")) if "__pycache__" not in name}
        extension = {name for name in installed if name.endswith(".so")}
        self.assertEqual(len(extension), 1)
        self.assertEqual(installed - extension, {
            name for name in tree(os.path.join(ROOT, "inproc", "diagnose"))
            if name.endswith((".py", ".pyi", "py.typed"))})

    def check_uninstall(self, python, site, before):
        self.assert_runs(python, "-m", "pip", "uninstall", "-y", "diagnose")
        self.assertEqual(tree(site), before)
        self.assertFalse(os.path.exists(os.path.join(site, "diagnose")))

    @unittest.skipIf(sys.base_prefix != "/usr", "compiles it all: once, by the system's Python")
    def test_install_from_a_checkout(self):
        checkout = self.copy()
        python, site = self.make_venv()
        before, files = tree(site), tree(checkout)
        self.assert_runs(python, "-m", "pip", "install", ".", cwd=checkout)
        left = [name for name in tree(checkout) if "__pycache__" not in name]
        self.assertEqual(left, files, "the build leaves something in the checkout")
        self.check_package(python, site)
        shown = self.assert_runs(python, "-m", "pip", "show", "-v", "diagnose")
        for line in ("Name: diagnose", "License: MIT", "Requires: ",
                     "  Programming Language :: Python :: Implementation :: CPython"):
            self.assertIn(line, shown.splitlines())
        self.check_uninstall(python, site, before)

    def test_wheel_of_bazel(self):
        folder = wheels()
        names = fnmatch.filter(os.listdir(folder), "*-%s-%s-*.whl" % (TAG, TAG))
        self.assertEqual(len(names), 1, os.listdir(folder))
        self.assertRegex(names[0], r"^diagnose-[\d.]+-cp\d+-cp\d+-(many)?linux_\w+\.whl$")
        python, site = self.make_venv()
        before = tree(site)
        self.assert_runs(python, "-m", "pip", "install", os.path.join(folder, names[0]))
        self.check_package(python, site)
        self.check_uninstall(python, site, before)

    def make_compiler(self):
        with open(self.path("cc"), "w") as file:
            file.write(CHECKING_COMPILER)
        os.chmod(self.path("cc"), stat.S_IRWXU)
        return self.path("cc")

    def backend(self, checkout, program, **variables):
        """Runs `program`, which may pretend that something is otherwise than it is."""
        start = "import sys; sys.path.insert(0, 'tools/wheel'); import backend\n"
        return run(sys.executable, "-c", start + program, cwd=checkout, **variables)

    def test_the_source_archive_builds_without_isolation(self):
        checkout = self.copy()
        result = self.backend(checkout, "print(backend.build_sdist('..'))")
        name = result.stdout.strip()
        self.assertEqual(name, "diagnose-%s.tar.gz" % archive.Project(ROOT).version)
        shutil.rmtree(checkout)
        with tarfile.open(self.path(name)) as tar:
            names = tar.getnames()
        self.assertIn(name[:-7] + "/PKG-INFO", names)
        self.assertEqual([n for n in names if "__pycache__" in n or "/bazel-" in n], [])
        python, _ = self.make_venv()
        self.assert_runs(python, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps",
                         "--wheel-dir", self.folder, self.path(name), CC=self.make_compiler())
        wheel = self.path("diagnose-%s-%s-%s-linux_%s.whl" % (
            archive.Project(ROOT).version, TAG, TAG, os.uname().machine))
        with zipfile.ZipFile(wheel) as file:
            self.assertIsNone(file.testzip())
            self.assertIn("diagnose/__init__.py", file.namelist())

    def test_sources_are_those_of_bazel(self):
        found = bazel("query", r'filter("\.c$", kind("source file", deps(//inproc/python:_native)))')
        expected = sorted({label[2:].replace(":", "/") for label in found})
        sources, defines = bazel_files.BazelFiles(ROOT).link("//inproc/python:_native")
        self.assertEqual(sources, expected)
        self.assertEqual(defines, [])
        self.assertEqual(bazel_files.BazelFiles(ROOT).copts(),
                         ["-D_GNU_SOURCE", "-fPIC", "-fvisibility=hidden"])

    def test_what_is_missing_is_named(self):
        os.mkdir(self.path("empty"))
        build = "backend.build_wheel('%s')" % self.folder
        cases = [
            ("no compiler", build, {"PATH": self.path("empty")},
             "diagnose: a C compiler is needed: apt-get install gcc libc6-dev\n"),
            ("$CC is wrong", build, {"CC": "/nonexistent -m64"},
             "diagnose: $CC is /nonexistent -m64, and there is no such program\n"),
            ("no Python.h",
             "import sysconfig; sysconfig.get_config_vars(); sysconfig.get_paths = lambda: "
             "{'include': '/nonexistent', 'platinclude': '/nonexistent'}\n" + build, {},
             "diagnose: the headers of Python %d.%d are needed, there is no /nonexistent/Python.h: "
             "apt-get install python3-dev, for Debian's own python3\n" % sys.version_info[:2]),
            ("no libc6-dev", build, {"CC": "gcc -nostdinc"},
             "diagnose: gcc cannot compile, the headers of libc may be missing: apt-get install "
             "libc6-dev\n"),
            ("free-threaded", "import sysconfig; sysconfig.get_config_var = lambda name: 1\n" + build,
             {}, "diagnose: free-threaded builds of Python are not supported\n"),
            ("another version", "sys.version_info = (3, 10)\n" + build, {},
             "diagnose: CPython 3.11, 3.12 or 3.13 is needed, this is cpython 3.10\n"),
            ("another system", "sys.platform = 'win32'\n" + build, {},
             "diagnose: Linux is needed, this is win32\n"),
        ]
        for name, program, variables, message in cases:
            with self.subTest(name=name):
                result = self.backend(ROOT, program, **variables)
                self.assertEqual(result.returncode, 1)
                self.assertTrue(result.stdout.startswith(message), result.stdout)
        self.assertEqual(tree(self.folder), [])

    def test_a_compiler_error_is_shown(self):
        checkout = self.copy()
        with open(os.path.join(checkout, "lib", "base", "map.c"), "w") as file:
            file.write('#include "nothing.h"\n')
        result = self.backend(checkout, "backend.build_wheel('..')",
                              CC=self.make_compiler())
        self.assertEqual(result.returncode, 1)
        self.assertIn("nothing.h: No such file or directory", result.stdout)

    def test_a_library_beside_libc_is_refused(self):
        checkout = self.copy()
        path = os.path.join(checkout, "lib", "base", "BUILD.bazel")
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(text.replace('name = "map", deps = [',
                                    'name = "map", deps = ["@sys_grpc//:grpc", '))
        result = self.backend(checkout, "backend.build_wheel('..')")
        self.assertEqual((result.returncode, result.stdout), (
            1, "diagnose: the extension needs @sys_grpc//:grpc, and should need libc alone\n"))


if __name__ == "__main__":
    unittest.main()
