# SPDX-License-Identifier: MIT
"""The sources and flags of targets, out of Bazel's own files, so that they are listed once.

BUILD.bazel files are written in Starlark, and those that matter here use no more of it than what is
Python as well: they are run with functions of ours in the place of the rules.
"""
import collections
import fnmatch
import os

Target = collections.namedtuple("Target", "srcs deps defines extension")


class BazelFiles:
    """The checkout at `root`; labels are absolute, paths relative to it."""

    def __init__(self, root):
        self.root = root
        self._packages = {}

    def target(self, label):
        package, name = label[2:].split(":")
        if package not in self._packages:
            self._packages[package] = _Package(self.root, package).targets
        try:
            return self._packages[package][name]
        except KeyError:
            raise SystemExit("diagnose: %s/BUILD.bazel has no target %s" % (package, name)) from None

    def link(self, label):
        """The .c files that go into a target, in a stable order, and the macros they are compiled
        with."""
        sources, defines, seen, pending = [], [], set(), [label]
        while pending:
            label = pending.pop(0)
            if label in seen:
                continue
            seen.add(label)
            if label.startswith("@"):
                raise SystemExit("diagnose: the extension needs %s, and should need libc alone"
                                 % label)
            target = self.target(label)
            sources += [path for path in target.srcs if path.endswith(".c")]
            defines += target.defines
            pending += target.deps
        return sorted(set(sources)), sorted(set(defines))

    def copts(self):
        """Flags that matter: warnings do not, to those who install."""
        names = self._run(os.path.join("tools", "c.bzl"), {})
        return [flag for flag in names["COPTS"] if flag not in names["WARNINGS"]]

    def _run(self, path, names):
        return _run(self.root, path, names)


def _run(root, path, names):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        code = compile(file.read(), path, "exec")
    exec(code, names)  # pylint: disable=exec-used
    return names


class _Package:
    """One BUILD.bazel file, run."""

    def __init__(self, root, package):
        self.folder = os.path.join(root, package)
        self.package = package
        self.targets = {}
        self.names = {"glob": self.glob, "load": self.load, "cc_library": self.cc_library}
        for rule in ("package", "exports_files", "genrule", "filegroup"):
            self.names[rule] = self.ignore
        _run(root, os.path.join(package, "BUILD.bazel"), self.names)

    def load(self, label, *names):
        """What BUILD files load from our .bzl files."""
        known = {
            "diag_library": self.diag_library,
            "python_library": self.cc_library,
            "python_extension": self.cc_library,
            "python_wheels": self.python_wheels,
            "PYTHONS": [],
        }
        for name in names:
            if name not in known:
                raise SystemExit("diagnose: %s/BUILD.bazel loads %s from %s, which "
                                 "tools/wheel/bazel_files.py does not know"
                                 % (self.package, name, label))
            self.names[name] = known[name]

    def ignore(self, *args, **kwargs):
        pass

    def glob(self, include, exclude=()):
        found = []
        for folder, folders, names in os.walk(self.folder):
            folders[:] = sorted(set(folders) - {"__pycache__"})
            paths = [os.path.relpath(os.path.join(folder, name), self.folder) for name in names]
            found += [path for path in paths
                      if _matches(path, include) and not _matches(path, exclude)]
        return sorted(found)

    def label(self, label):
        if label.startswith(":"):
            return "//%s%s" % (self.package, label)
        if label.startswith("//") and ":" not in label:
            return "%s:%s" % (label, label.rsplit("/", maxsplit=1)[-1])
        return label

    def diag_library(self, name, srcs=None, **rest):
        self.cc_library(name, [name + ".c"] if srcs is None else srcs, **rest)

    def cc_library(self, name, srcs=(), deps=(), python_deps=(), defines=(), **_):
        self.targets[name] = Target(
            srcs=[os.path.join(self.package, path) for path in srcs],
            deps=[self.label(label) for label in list(deps) + list(python_deps)],
            defines=list(defines),
            extension=None,
        )

    def python_wheels(self, name, srcs, extension, **_):
        self.cc_library(name, srcs)
        self.targets[name] = self.targets[name]._replace(extension=self.label(extension))


def _matches(path, patterns):
    """As Bazel's glob: * does not cross a slash, **/ does."""
    for pattern in patterns:
        if pattern.startswith("**/"):
            if fnmatch.fnmatchcase(os.path.basename(path), pattern[3:]):
                return True
        elif path.count("/") == pattern.count("/") and fnmatch.fnmatchcase(path, pattern):
            return True
    return False
