# SPDX-License-Identifier: MIT
"""Builds the Python package for pip, by PEP 517: `pip install .` in a checkout.

Why not setuptools: pip would download it, or ask for --no-build-isolation; and what is compiled would
have to be listed a second time. Here the sources are those that Bazel's files name, the compiler is
called as Bazel calls it, and the wheel is written by the same code that writes Bazel's wheels.
"""
import os
import sys
import sysconfig
import tarfile
import tempfile

sys.dont_write_bytecode = True  # of the modules that follow, into somebody's checkout

import archive  # noqa: E402
import bazel_files  # noqa: E402
import compiler  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WHEELS = "//inproc/diagnose:wheels"
SDIST = ("BUILD.bazel", "LICENSE", "README.md", "pyproject.toml", "inproc", "lib", "tools")


def check_interpreter():
    if not sys.platform.startswith("linux"):
        sys.exit("diagnose: Linux is needed, this is %s" % sys.platform)
    if sys.implementation.name != "cpython" or not (3, 11) <= sys.version_info < (3, 14):
        sys.exit("diagnose: CPython 3.11, 3.12 or 3.13 is needed, this is %s %d.%d"
                 % ((sys.implementation.name,) + sys.version_info[:2]))
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        sys.exit("diagnose: free-threaded builds of Python are not supported")


def tag():
    """As in cp311-cp311-linux_x86_64: compiled here, for here."""
    python = "cp%d%d" % sys.version_info[:2]
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return "%s-%s-%s" % (python, python, platform)


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    del config_settings
    check_interpreter()
    return archive.Project(ROOT).write_dist_info(metadata_directory, tag())


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    del config_settings, metadata_directory
    check_interpreter()
    files = bazel_files.BazelFiles(ROOT)
    wheels = files.target(WHEELS)
    contents = {}
    for path in wheels.srcs:
        with open(os.path.join(ROOT, path), "rb") as file:
            contents[os.path.relpath(path, "inproc").replace(os.sep, "/")] = file.read()
    with tempfile.TemporaryDirectory() as folder:
        extension = compiler.build_extension(files, wheels.extension, folder)
        with open(extension, "rb") as file:
            contents["diagnose/" + os.path.basename(extension)] = file.read()
    return archive.Project(ROOT).write_wheel(wheel_directory, tag(), contents)


def build_sdist(sdist_directory, config_settings=None):
    """What build_wheel needs, and Bazel's files of the same folders."""
    del config_settings
    project = archive.Project(ROOT)
    top = "%s-%s" % (project.name, project.version)

    def select(member):
        name = os.path.basename(member.name)
        is_wanted = name != "__pycache__" and not name.startswith("bazel-")
        return member if is_wanted and (member.isfile() or member.isdir()) else None

    path = os.path.join(sdist_directory, top + ".tar.gz")
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        for name in SDIST:
            tar.add(os.path.join(ROOT, name), top + "/" + name, filter=select)
        archive.add_text(tar, top + "/PKG-INFO", project.metadata())
    return os.path.basename(path)
