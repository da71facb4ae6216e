# SPDX-License-Identifier: MIT
"""The images as files: what is in them, who owns it, and whether the bill of materials is right."""
import hashlib
import io
import json
import os
import subprocess
import tarfile

import pytest

from testing.fleet import ROOT

BUILD = os.path.join(ROOT, "deploy", "images", "build")
PROGRAMS = {
    "controller": ("65532:65532", "/var/lib/diagnose"),
    "sidecar": ("65533:65533", "/run/diagnose"),
    "webhook": ("65534:65534", None),
    "inject": ("65533:65533", "/opt/diagnose"),
}
NATIVE = "usr/share/diagnose/diagnose/_native."


class Image:
    def __init__(self, path):
        with tarfile.open(path) as archive:
            self.blobs = {member.name: archive.extractfile(member).read() for member in archive}
        [self.docker] = json.loads(self.blobs["manifest.json"])
        [self.descriptor] = json.loads(self.blobs["index.json"])["manifests"]
        self.manifest = json.loads(self.blob(self.descriptor))
        self.config = json.loads(self.blob(self.manifest["config"]))
        self.members, self.files = {}, {}
        for layer in self.manifest["layers"]:
            with tarfile.open(fileobj=io.BytesIO(self.blob(layer))) as tar:
                for member in tar:
                    self.members[member.name] = member
                    if member.isreg():
                        self.files[member.name] = tar.extractfile(member).read()

    @staticmethod
    def place(descriptor):
        return "blobs/" + descriptor["digest"].replace(":", "/")

    def blob(self, descriptor):
        data = self.blobs[self.place(descriptor)]
        assert hashlib.sha256(data).hexdigest() == descriptor["digest"].partition(":")[2]
        assert len(data) == descriptor["size"]
        return data

    def names(self, folder):
        return sorted(os.path.basename(name) for name in self.members
                      if os.path.dirname(name) == folder)


@pytest.fixture(scope="module", params=sorted(PROGRAMS))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def image(images, name):
    return Image(os.path.join(images, name + ".tar"))


@pytest.fixture(scope="module")
def bill(images, name):
    with open(os.path.join(images, name + ".spdx.json")) as file:
        return json.load(file)


def test_both_formats_of_the_archive_name_the_same(image):
    assert image.docker["Config"] == image.place(image.manifest["config"])
    assert image.docker["Layers"] == [image.place(layer) for layer in image.manifest["layers"]]
    assert image.config["rootfs"]["diff_ids"] == [
        layer["digest"] for layer in image.manifest["layers"]]
    assert image.docker["RepoTags"] == [
        image.descriptor["annotations"]["io.containerd.image.name"]]


def test_one_program_and_no_shell(image, name):
    assert image.names("usr/bin") == ["diagnose-" + name]
    assert image.config["config"]["Entrypoint"] == ["/usr/bin/diagnose-" + name]
    executable = {os.path.basename(path) for path, member in image.members.items()
                  if member.isreg() and member.mode & 0o111}
    assert {path for path in executable if ".so" not in path} == {"diagnose-" + name}


def test_nobody_may_change_what_is_in_it(image, name):
    user, writable = PROGRAMS[name]
    assert image.config["config"]["User"] == user
    for path, member in image.members.items():
        if "/" + path == writable:
            assert (member.uid, member.mode) == (int(user.partition(":")[0]), 0o755)
            continue
        assert (member.uid, member.gid) == (0, 0), path
        assert member.issym() or member.mode & 0o7022 == 0, path


def test_the_package_has_an_extension_for_each_python(images):
    files = Image(os.path.join(images, "inject.tar")).files
    versions = {path[len(NATIVE):].split("-")[1] for path in files if path.startswith(NATIVE)}
    assert "%d%d" % os.sys.version_info[:2] in versions
    folder = "usr/share/diagnose/diagnose/_bootstrap/"
    assert folder + "sitecustomize.py" in files
    compiled = {path for path in files if path.startswith(folder + "__pycache__/")}
    assert compiled == {"%s__pycache__/sitecustomize.cpython-%s.pyc" % (folder, version)
                        for version in versions}
    # 1: by hash, and not to be checked, as files in a volume have the time of their copy
    assert {files[path][4:8] for path in compiled} == {b"\1\0\0\0"}


def test_the_demo_knows_nothing_of_diagnose(images):
    demo = Image(os.path.join(images, "demo.tar"))
    ours = [path for path in demo.files
            if "diagnose" in path or b"import diagnose" in demo.files[path]]
    assert ours == []
    assert not {"sh", "bash", "dash"} & set(demo.names("usr/bin"))


def related(bill, kind):
    names = {package["SPDXID"]: package["name"] for package in bill["packages"]}
    return {names[relation["relatedSpdxElement"]] for relation in bill["relationships"]
            if relation["relationshipType"] == kind}


def test_the_bill_is_complete(bill):
    assert bill["spdxVersion"] == "SPDX-2.3"
    assert bill["dataLicense"] == "CC0-1.0"
    ids = [package["SPDXID"] for package in bill["packages"]]
    assert len(ids) == len(set(ids))
    for relation in bill["relationships"]:
        assert {relation["spdxElementId"], relation["relatedSpdxElement"]} <= set(
            ids + ["SPDXRef-DOCUMENT"])
    known = {licence["licenseId"] for licence in bill["hasExtractedLicensingInfos"]}
    for package in bill["packages"]:
        assert package["versionInfo"] and package["downloadLocation"]
        used = [term for term in package["licenseDeclared"].split(" AND ")
                if term.startswith("LicenseRef-")]
        assert set(used) <= known


def test_the_bill_has_every_package_whose_files_are_in_the_image(image, bill):
    inside = set(image.names("var/lib/dpkg/status.d"))
    contained = related(bill, "CONTAINS")
    assert inside <= contained
    assert ("libc6" in inside) == ("usr/lib" in image.members)
    for package in bill["packages"]:
        if package["name"] in inside:
            version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}\n", package["name"]],
                                     check=True, capture_output=True, text=True).stdout
            assert package["versionInfo"] in version.split("\n")


def test_the_bill_has_what_is_linked_statically(bill, name):
    linked = related(bill, "STATIC_LINK")
    assert ("libc6-dev" in linked) == (name != "webhook")
    assert ({"libgrpc-dev", "libssl-dev"} <= linked) == (name in ("controller", "sidecar"))


def test_the_bills_checksums_are_those_of_the_programs(image, bill):
    programs = [package for package in bill["packages"] if "packageFileName" in package]
    assert programs
    for program in programs:
        data = image.files[program["packageFileName"].strip("/")]
        assert program["checksums"] == [
            {"algorithm": "SHA256", "checksumValue": hashlib.sha256(data).hexdigest()}]


def build(folder, *arguments, **environment):
    return subprocess.run([BUILD, str(folder), "--image=inject", *arguments], capture_output=True,
                          text=True, env=dict(os.environ, **environment))


def digests(folder):
    found = {}
    for entry in sorted(os.listdir(folder)):
        with open(os.path.join(folder, entry), "rb") as file:
            found[entry] = hashlib.sha256(file.read()).hexdigest()
    return found


def test_the_same_sources_give_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        result = build(tmp_path / folder)
        assert result.returncode == 0, result.stderr
        assert "localhost/diagnose/inject:" in result.stdout
    assert sorted(digests(tmp_path / "a")) == ["inject.spdx.json", "inject.tar"]
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_names_tags_and_times_can_be_given(tmp_path):
    result = build(tmp_path, "--registry=registry.example.com:5000/tools", "--tag=next",
                   SOURCE_DATE_EPOCH="1700000000")
    assert result.returncode == 0, result.stderr
    image = Image(str(tmp_path / "inject.tar"))
    assert image.docker["RepoTags"] == ["registry.example.com:5000/tools/inject:next"]
    assert image.config["created"] == "2023-11-14T22:13:20Z"
    assert {member.mtime for member in image.members.values()} == {1700000000}


@pytest.mark.parametrize("arguments, environment, message", [
    (["--tag=a b"], {}, "--tag: \"a b\" is no tag of an image"),
    (["--registry=UPPER"], {}, "--registry: \"UPPER\" cannot begin the name of an image"),
    (["--image=agent"], {}, "argument --image: invalid choice: 'agent'"),
    ([], {"SOURCE_DATE_EPOCH": "today"}, "SOURCE_DATE_EPOCH: \"today\" is not a number of seconds"),
])
def test_what_cannot_be_built_is_named(arguments, environment, message, tmp_path):
    result = build(tmp_path / "out", *arguments, **environment)
    assert result.returncode != 0
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_as_its_package_delivered_it_is_refused(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(os.path.dirname(BUILD))
    from builder import debian

    changed = tmp_path / "libc.so.6"
    changed.write_text("changed")
    package = debian.packages()["libc6"]
    monkeypatch.setattr(package, "checksums", {str(changed): "0" * 32}, raising=False)
    with pytest.raises(ValueError, match="is not as libc6_.* delivered it"):
        debian.check(package, str(changed))
    with pytest.raises(LookupError, match="no package of Debian has this file"):
        debian.owner(str(changed))
