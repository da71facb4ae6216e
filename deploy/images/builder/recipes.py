# SPDX-License-Identifier: MIT
"""What goes into which image."""
import functools
import os
import py_compile
import shutil
import subprocess
import sys
import tempfile

from . import debian
from .programs import PACKAGE, ROOT, loaded_libraries
from .tree import Tree

DESCRIPTIONS = {
    "controller": "Diagnose's controller: keeps the specs of a fleet and fans its events out",
    "sidecar": "Diagnose's sidecar: serves the Python processes of a pod",
    "webhook": "Diagnose's admission webhook: instruments the pods that ask for it",
    "inject": "Diagnose's Python package, and the program that copies it into a volume",
    "demo": "a small web shop that knows nothing of Diagnose, for its tests",
}
PROGRAMS = {
    "controller": "//controller:diagnose-controller",
    "sidecar": "//sidecar:diagnose-sidecar",
    "webhook": "//deploy/webhook:diagnose-webhook",
    "inject": "//deploy/images/inject:diagnose-inject",
}
# The folders that its user may write, which are where volumes are mounted.
_USERS = {"controller": 65532, "sidecar": 65533, "webhook": 65534, "inject": 65533, "demo": 1000}
_FOLDERS = {
    "controller": ["/var/lib/diagnose"],
    "sidecar": ["/run/diagnose"],
    "inject": ["/opt/diagnose"],
}
_DOCUMENTATION = ("/usr/share/doc/", "/usr/share/man/", "/usr/share/lintian/")
_DEMO_COMMAND = ["/usr/bin/gunicorn", "--workers", "2", "--bind", "0.0.0.0:8000",
                 "--worker-tmp-dir", "/dev/shm", "shop.app:create_app()"]


class Image:
    """name; layers: list of (Tree, what made it); config: the image's "config" object; packages: of
    Debian, with files in it; linked: {label or extension: packages linked into it}; programs: {label:
    path in the image}."""

    def __init__(self, name, version, timestamp):
        self.name = name
        self.system = Tree(timestamp)
        self.own = Tree(timestamp)
        self.layers = [(self.system, "files of Debian's packages"), (self.own, "files of Diagnose")]
        self.packages = set()
        self.linked = {}
        self.programs = {}
        user = _USERS[name]
        self.config = {
            "User": "%d:%d" % (user, user),
            "WorkingDir": "/",
            "Labels": {
                "org.opencontainers.image.title": "diagnose-" + name,
                "org.opencontainers.image.description": DESCRIPTIONS[name],
                "org.opencontainers.image.licenses": "MIT",
                "org.opencontainers.image.version": version,
            },
        }
        for folder in _FOLDERS.get(name, []):
            self.own.add_folder(folder, 0o755, user)
        self._add_identity(user)

    def _add_identity(self, user):
        self.system.add_text("/etc/passwd", "root:x:0:0:root:/:/nonexistent\n"
                             "diagnose:x:%d:%d::/:/nonexistent\n" % (user, user))
        self.system.add_text("/etc/group", "root:x:0:\ndiagnose:x:%d:\n" % user)

    def add_system_file(self, path):
        """A file or link of Debian's, with what the link leads to, as the package delivered it."""
        while True:
            place = debian.merged(path)
            package = debian.owner(path)
            debian.check(package, path)
            self.system.add_copy(place, path)
            self.packages.add(package)
            if not os.path.islink(path):
                return
            path = os.path.join(os.path.dirname(place), os.readlink(path))

    def add_program(self, built, label):
        source = built.path(label)
        path = "/usr/bin/" + os.path.basename(source)
        self.own.add_copy(path, source)
        self.programs[label] = path
        self.linked[label] = built.linked_packages(label)
        libraries = loaded_libraries(source)
        for library in libraries:
            self.add_system_file(library)
        if libraries:
            self._add_usr_links()
            self.system.add_text("/etc/nsswitch.conf", "hosts: files dns\n")

    def _add_usr_links(self):
        for name in ("bin", "lib", "lib64", "sbin"):
            self.system.add_link("/" + name, "usr/" + name)

    def finish(self):
        """Adds what scanners and lawyers look for: status and copyright of each package."""
        linked = {package for packages in self.linked.values() for package in packages}
        for package in sorted(self.packages | linked, key=lambda package: package.name):
            if os.path.exists(package.copyright_path):
                self.system.add_bytes(package.copyright_path, _read(package.copyright_path))
        for package in sorted(self.packages, key=lambda package: package.name):
            self.system.add_bytes("/var/lib/dpkg/status.d/" + package.name, package.status())
        if self.packages:
            self.system.add_bytes("/etc/os-release", _read("/etc/os-release"))
        if self.programs:
            self.own.add_bytes("/usr/share/doc/diagnose/copyright",
                               _read(os.path.join(ROOT, "LICENSE")))
        self.layers = [layer for layer in self.layers if layer[0].paths()]


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def _make_program_image(name, built, version, timestamp):
    image = Image(name, version, timestamp)
    image.add_program(built, PROGRAMS[name])
    image.config["Entrypoint"] = [image.programs[PROGRAMS[name]]]
    return image


# Where the package is in a pod, and who compiles it: where it is read-only, each process would
# otherwise compile it anew, which costs time and half a megabyte.
_PACKAGE_PLACE = "/opt/diagnose"
_COMPILE = """
import importlib.util, os, py_compile, sys
place, *names = sys.argv[1:]
for name in names:
    target = importlib.util.cache_from_source(name)
    py_compile.compile(name, target, os.path.join(place, name), doraise=True,
                       invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
"""


def _add_compiled_package(tree, path, folder, pythons):
    names = [os.path.relpath(os.path.join(where, name), folder)
             for where, _, files in os.walk(folder) for name in files if name.endswith(".py")]
    with tempfile.TemporaryDirectory(prefix="diagnose.") as work:
        for name in names:
            os.makedirs(os.path.join(work, os.path.dirname(name)), exist_ok=True)
            shutil.copyfile(os.path.join(folder, name), os.path.join(work, name))
        for python in pythons:
            subprocess.run([python, "-I", "-c", _COMPILE, _PACKAGE_PLACE] + sorted(names), cwd=work,
                           check=True)
        for where, _, files in os.walk(work):
            for name in files:
                if name.endswith(".pyc"):
                    full = os.path.join(where, name)
                    tree.add_bytes(os.path.join(path, os.path.relpath(full, work)), _read(full))


def _make_inject(built, version, timestamp):
    image = _make_program_image("inject", built, version, timestamp)
    image.config["Cmd"] = ["--best-effort", _PACKAGE_PLACE]
    image.own.add_copies("/usr/share/diagnose", built.package_folder())
    _add_compiled_package(image.own, "/usr/share/diagnose", built.package_folder(),
                          built.pythons())
    for label in built.extensions():
        image.programs[label] = "/usr/share/diagnose/diagnose/" + label.rpartition(":")[2]
        image.linked[label] = built.linked_packages(label)
    return image


def _make_demo(built, version, timestamp):
    """An ordinary image of a Python program: nothing of Diagnose is in it."""
    del built
    image = Image("demo", version, timestamp)
    for package in debian.with_dependencies("gunicorn", "python3-flask"):
        image.packages.add(package)
        for path in package.paths():
            is_folder = os.path.isdir(path) and not os.path.islink(path)
            if is_folder or path.startswith(_DOCUMENTATION):
                continue
            debian.check(package, path)
            image.system.add_copy(path, path)
            if path.endswith(".py"):
                _add_compiled(image.system, path)
    image._add_usr_links()
    image.own.add_copies("/srv", os.path.join(ROOT, "deploy", "demo"))
    image.config.update(WorkingDir="/srv", Cmd=_DEMO_COMMAND,
                        Env=["PATH=/usr/bin", "PYTHONUNBUFFERED=1"], ExposedPorts={"8000/tcp": {}})
    return image


def _add_compiled(tree, path):
    """As Debian's maintainers' scripts do; but valid whatever the time of the source."""
    folder, name = os.path.split(path)
    with tempfile.NamedTemporaryFile(suffix=".pyc") as file:
        try:
            py_compile.compile(path, file.name, path, doraise=True,
                               invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        except (py_compile.PyCompileError, ValueError):
            return  # files for tests of compilers
        tree.add_bytes(os.path.join(
            folder, "__pycache__", "%s.%s.pyc" % (name[:-3], sys.implementation.cache_tag)), file.read())


def make(name, built, version, timestamp):
    makers = {"inject": _make_inject, "demo": _make_demo}
    maker = makers.get(name) or functools.partial(_make_program_image, name)
    image = maker(built, version, timestamp)
    image.finish()
    return image


def labels(names):
    """What Bazel is to build for these images."""
    return [PROGRAMS[name] for name in names if name in PROGRAMS] + (
        [PACKAGE] if "inject" in names else [])
