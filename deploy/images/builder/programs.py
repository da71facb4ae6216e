# SPDX-License-Identifier: MIT
"""What Bazel has built: programs, the libraries that they load, and the archives linked into them."""
import os
import re
import subprocess
import tempfile

from . import debian

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
CONFIG = "--config=release"
PACKAGE = "//inproc/diagnose:package"
_EXTENSIONS = "//inproc/python:_native"


def _bazel(*arguments, **options):
    return subprocess.run(["bazel"] + list(arguments), cwd=ROOT, check=True, text=True, **options)


class Built:
    def __init__(self, labels):
        # Bazel tells what it does on standard error
        _bazel("build", CONFIG, *labels)
        self._bin = self._info("bazel-bin")
        self._execution_root = self._info("execution_root")

    def _info(self, key):
        return _bazel("info", CONFIG, key, capture_output=True).stdout.strip()

    def path(self, label):
        return os.path.join(self._bin, label[2:].replace(":", "/"))

    def package_folder(self):
        """The folder to be on PYTHONPATH."""
        return self.path(PACKAGE)

    def extensions(self):
        """Labels of the extensions of all interpreters that were found."""
        output = _bazel("query", "labels(srcs, %s)" % _EXTENSIONS, capture_output=True).stdout
        return sorted(output.split())

    def pythons(self):
        """Paths of the interpreters that the extensions were built for."""
        table = os.path.join(self._info("output_base"), "external", "pythons", "pythons.tsv")
        with open(table) as file:
            rows = [line.rstrip("\n").split("\t") for line in file]
        return [row[2] for row in rows if row[1] != "missing"]

    def linked_packages(self, label):
        """Debian's packages with an archive of which something is linked into the program, by
        linking it once more, with a map."""
        with tempfile.NamedTemporaryFile(mode="r", prefix="diagnose.", suffix=".map") as link_map:
            subprocess.run(
                [os.environ.get("CC", "gcc"), "@%s-2.params" % self.path(label), "-o", "/dev/null",
                 "-Wl,-Map=" + link_map.name],
                cwd=self._execution_root, check=True)
            archives = set(re.findall(r"^(/\S+?\.a)\(", link_map.read(), re.MULTILINE))
        found = {debian.owner(os.path.realpath(archive)) for archive in archives}
        return sorted(found, key=lambda package: package.name)


def loaded_libraries(path):
    """Paths of the libraries, and of the loader, that a program needs at its start; none if it is
    static."""
    result = subprocess.run(["ldd", path], capture_output=True, text=True)
    if "not a dynamic executable" in result.stderr or "statically linked" in result.stdout:
        return []
    if result.returncode != 0 or "not found" in result.stdout:
        raise LookupError("%s: %s" % (path, result.stderr.strip() or result.stdout.strip()))
    return sorted(re.findall(r"(/\S+) \(0x", result.stdout))
