# SPDX-License-Identifier: MIT
"""What dpkg knows of this machine's packages: owners of files, checksums, dependencies, licences."""
import functools
import hashlib
import os
import re
import subprocess

INFO = "/var/lib/dpkg/info"
_FIELDS = ("Package", "Architecture", "Version", "source:Package", "source:Version", "Essential",
           "Maintainer", "Homepage", "Pre-Depends", "Depends", "Provides", "db:Status-Status")


class Package:
    def __init__(self, fields):
        self.name = fields["Package"]
        self.architecture = fields["Architecture"]
        self.version = fields["Version"]
        self.source = fields["source:Package"]
        self.source_version = fields["source:Version"]
        self.homepage = fields["Homepage"]
        self.maintainer = fields["Maintainer"]
        self.is_essential = fields["Essential"] == "yes"
        self.dependencies = ", ".join(filter(None, [fields["Pre-Depends"], fields["Depends"]]))
        self.provides = fields["Provides"]

    def __repr__(self):
        return "%s_%s_%s" % (self.name, self.version, self.architecture)

    def _info(self, kind):
        for name in ("%s:%s" % (self.name, self.architecture), self.name):
            path = "%s/%s.%s" % (INFO, name, kind)
            if os.path.exists(path):
                with open(path) as file:
                    return file.read().splitlines()
        return []

    @functools.cached_property
    def checksums(self):
        """{path with usr merged: MD5 of the file as it was delivered}"""
        lines = (line.split(None, 1) for line in self._info("md5sums"))
        return {merged("/" + path): checksum for checksum, path in lines}

    def paths(self):
        """All paths, as delivered and with usr merged; folders, too."""
        return [merged(path) for path in self._info("list")]

    @property
    def copyright_path(self):
        return "/usr/share/doc/%s/copyright" % self.name

    def status(self):
        """The package's paragraph of dpkg's status, as scanners read it."""
        return subprocess.run(["dpkg-query", "--status", "%s:%s" % (self.name, self.architecture)],
                              check=True, capture_output=True).stdout

    def licence_names(self):
        """The short names in a machine-readable copyright file; none if it is prose."""
        try:
            with open(self.copyright_path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            return []
        if not re.match(r"\s*Format:", text):
            return []
        return sorted(set(re.findall(r"^License:[ \t]*(\S.*?)\s*$", text, re.MULTILINE)))


def merged(path):
    """The path as it is since /bin, /lib and the like are links into /usr."""
    return re.sub(r"^/(bin|sbin|lib|lib32|lib64|libx32)/", r"/usr/\1/", path)


@functools.lru_cache(maxsize=None)
def packages():
    """{name: Package}; for several architectures, that of this machine."""
    own = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True,
                         text=True).stdout.strip()
    form = "\\t".join("${%s}" % field for field in _FIELDS) + "\\n"
    output = subprocess.run(["dpkg-query", "-W", "-f", form], check=True, capture_output=True,
                            text=True).stdout
    found = {}
    for line in output.splitlines():
        fields = dict(zip(_FIELDS, line.split("\t")))
        if fields["db:Status-Status"] == "installed" and fields["Architecture"] in (own, "all"):
            found[fields["Package"]] = Package(fields)
    return found


@functools.lru_cache(maxsize=None)
def _owners():
    owners = {}
    for package in packages().values():
        for path in package.paths():
            owners.setdefault(path, package)
    return owners


def owner(path):
    """The package that a file, or the one that a link leads to, came with."""
    package = _owners().get(merged(path)) or _owners().get(merged(os.path.realpath(path)))
    if package is None:
        raise LookupError("%s: no package of Debian has this file" % path)
    return package


def check(package, path):
    """That a file is as the package delivered it; links and configuration have no checksum."""
    expected = package.checksums.get(merged(path))
    if expected is None or os.path.islink(path):
        return
    with open(path, "rb") as file:
        if hashlib.md5(file.read()).hexdigest() != expected:
            raise ValueError("%s is not as %r delivered it: reinstall the package" % (path, package))


def with_dependencies(*names):
    """These packages and those that they depend on, as they are installed here. Essential ones are
    left out: they are for maintainers' scripts, which do not run here."""
    known = packages()
    providers = {}
    for package in known.values():
        for name in _alternatives(package.provides.replace(",", "|")):
            providers.setdefault(name, package.name)
    found = {}
    wanted = list(names)
    while wanted:
        name = wanted.pop()
        if name not in known:
            raise LookupError("package %s is not installed" % name)
        package = known[name]
        if name in found or package.is_essential:
            continue
        found[name] = package
        for clause in filter(None, package.dependencies.split(",")):
            choices = [c if c in known else providers.get(c) for c in _alternatives(clause)]
            wanted += [choice for choice in choices if choice][:1]
    return sorted(found.values(), key=lambda package: package.name)


def _alternatives(clause):
    """Names of "a (>= 1) | b:any"."""
    names = (re.sub(r"\(.*?\)|:\w+", "", part).strip() for part in clause.split("|"))
    return [name for name in names if name]


@functools.lru_cache(maxsize=None)
def distribution():
    """As in "debian-12"."""
    with open("/etc/os-release") as file:
        fields = dict(line.rstrip().split("=", 1) for line in file if "=" in line)
    return "-".join(fields[key].strip('"') for key in ("ID", "VERSION_ID") if key in fields)
