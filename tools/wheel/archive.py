# SPDX-License-Identifier: MIT
"""The project's metadata, and wheels: https://packaging.python.org/specifications"""
import base64
import hashlib
import io
import os
import re
import tarfile
import tomllib
import zipfile

TIME = (2020, 1, 1, 0, 0, 0)  # the same contents make the same bytes


class Project:
    """What pyproject.toml, README.md, LICENSE and lib/base/version.h below `root` say."""

    def __init__(self, root):
        self.root = root
        with open(os.path.join(root, "pyproject.toml"), "rb") as file:
            self.table = tomllib.load(file)["project"]
        self.name = self.table["name"]
        header = self.read(os.path.join("lib", "base", "version.h"))
        self.version = re.search(r'#define DIAG_VERSION "([^"]+)"', header)[1]
        self.dist_info = "%s-%s.dist-info" % (self.name, self.version)

    def read(self, name):
        with open(os.path.join(self.root, name), encoding="utf-8") as file:
            return file.read()

    def metadata(self):
        lines = [
            "Metadata-Version: 2.1",
            "Name: " + self.name,
            "Version: " + self.version,
            "Summary: " + self.table["description"],
            "License: MIT",
            "License-File: " + self.table["license"]["file"],
            "Requires-Python: " + self.table["requires-python"],
        ]
        lines += ["Classifier: " + classifier for classifier in self.table["classifiers"]]
        lines += ["Description-Content-Type: text/markdown; charset=UTF-8", ""]
        return "\n".join(lines) + "\n" + self.read(self.table["readme"])

    def dist_info_files(self, tag):
        """{path in the wheel: contents}, but for RECORD."""
        wheel = ["Wheel-Version: 1.0", "Generator: diagnose (%s)" % self.version,
                 "Root-Is-Purelib: false", "Tag: " + tag, ""]
        licence = self.table["license"]["file"]
        return {
            self.dist_info + "/METADATA": self.metadata().encode(),
            self.dist_info + "/WHEEL": "\n".join(wheel).encode(),
            self.dist_info + "/" + licence: self.read(licence).encode(),
        }

    def write_dist_info(self, folder, tag):
        """As a folder, without RECORD. Returns its name."""
        for name, contents in self.dist_info_files(tag).items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(contents)
        return self.dist_info

    def write_wheel(self, folder, tag, contents):
        """`contents`: {path in the wheel: bytes}. Returns the wheel's name."""
        files = dict(sorted(contents.items()))
        files.update(self.dist_info_files(tag))
        record = "".join("%s,sha256=%s,%d\n" % (name, digest(data), len(data))
                         for name, data in files.items())
        record_name = self.dist_info + "/RECORD"
        files[record_name] = (record + record_name + ",,\n").encode()
        wheel_name = "%s-%s-%s.whl" % (self.name, self.version, tag)
        with zipfile.ZipFile(os.path.join(folder, wheel_name), "w") as wheel:
            for name, data in files.items():
                info = zipfile.ZipInfo(name, TIME)
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = (0o100755 if name.endswith(".so") else 0o100644) << 16
                wheel.writestr(info, data)
        return wheel_name


def digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def add_text(tar, name, text):
    data = text.encode()
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
