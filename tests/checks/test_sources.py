# SPDX-License-Identifier: MIT
"""What holds for every source file: each header compiles alone, the format is clang-format's, and
only the rooms that may do so include gRPC, Python, or each other."""
import glob
import os
import re
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from testing import pythons  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def tracked(*patterns):
    """Files of the checkout; also of one without git, such as an unpacked archive."""
    try:
        output = subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", ROOT, "ls-files", "--"] + list(patterns),
            capture_output=True, text=True, check=True,
        ).stdout
        return sorted(name for name in output.split("\n") if name)
    except (OSError, subprocess.CalledProcessError):
        endings = tuple(pattern.lstrip("*") for pattern in patterns)
        found = []
        for folder, folders, names in os.walk(ROOT):
            folders[:] = [f for f in folders if not f.startswith((".", "bazel-"))]
            found += [os.path.relpath(os.path.join(folder, n), ROOT) for n in names
                      if n.endswith(endings)]
        return sorted(found)


HEADERS = [h for h in tracked("*.h") if not h.startswith("tests/")]
SOURCES = tracked("*.c", "*.h", "*.cc")


def text_of(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


@pytest.fixture(scope="session")
def generated():
    """bazel-bin of the plain configuration, where the protobuf-c headers are."""
    subprocess.run(["bazel", "build", "//proto/..."], cwd=ROOT, check=True, capture_output=True)
    output = subprocess.run(["bazel", "info", "bazel-bin"], cwd=ROOT, check=True,
                            capture_output=True, text=True)
    return output.stdout.strip()


@pytest.fixture(scope="session")
def python_includes():
    """A folder of Python.h for each version that was found."""
    return sorted(glob.glob(os.path.join(pythons.external(), "include_*")))


@pytest.mark.parametrize("header", HEADERS)
def test_header_compiles_alone(header, generated, python_includes):
    include = ["-I" + ROOT, "-I" + generated, "-I%s/proto" % generated]
    program = '#include "%s"\n#include "%s"\n' % (header, header)
    languages = [["gcc", "-x", "c", "-std=gnu11"]]
    if header.startswith("lib/"):
        languages.append(["g++", "-x", "c++", "-std=c++17"])
    if header.startswith("inproc/"):
        languages = [languages[0] + ["-isystem", folder] for folder in python_includes]
    assert languages
    for language in languages:
        result = subprocess.run(
            language + ["-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE"]
            + include + ["-"],
            input=program, capture_output=True, text=True,
        )
        assert result.returncode == 0, result.stderr


def test_format():
    result = subprocess.run(
        ["clang-format", "--dry-run", "-Werror"] + SOURCES, cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[:4000]


def included(name):
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', text_of(name), re.MULTILINE)


def test_only_lib_rpc_includes_grpc():
    found = [(s, i) for s in SOURCES for i in included(s)
             if i.startswith(("grpc/", "grpcpp/")) and not i.startswith("grpc/health/")
             and not s.startswith("lib/rpc/")]
    assert found == []


def test_only_inproc_includes_python():
    found = [s for s in SOURCES if not s.startswith(("inproc/", "tests/"))
             and ("Python.h" in included(s) or "datetime.h" in included(s))]
    assert found == []


# Room -> rooms whose headers it may include, besides its own. ARCHITECTURE.md has the same table.
ROOMS = {
    "lib/base": [],
    "lib/spec": ["lib/base"],
    "lib/event": ["lib/base"],
    "lib/shm": ["lib/base"],
    "lib/statsd": ["lib/base"],
    "lib/rpc": ["lib/base", "grpc"],
    "inproc/engine": ["lib/base", "lib/spec", "lib/event"],
    "inproc/agent": ["lib/base", "lib/spec", "lib/event", "lib/shm", "inproc/engine"],
    "inproc/library": ["lib/base", "lib/spec", "lib/statsd", "inproc/engine"],
    "inproc/python": ["lib/base", "inproc/engine", "inproc/agent", "inproc/library"],
    "sidecar": ["lib/base", "lib/spec", "lib/event", "lib/shm", "lib/rpc", "diagnose", "grpc"],
    "controller": ["lib/base", "lib/spec", "lib/event", "lib/rpc", "diagnose", "grpc"],
    "ctl": ["lib/base", "lib/spec", "lib/event", "lib/rpc", "diagnose"],
    "deploy/images/inject": ["lib/base"],
    "deploy/webhook": ["lib/base"],
}
KNOWN = tuple(ROOMS) + ("diagnose", "grpc", "tests")


def room_of(name):
    return next((room for room in KNOWN if name.startswith(room + "/")), None)


def test_rooms_include_only_what_they_may():
    found = []
    for source in SOURCES:
        room = room_of(source)
        if room is None or room == "tests":
            continue
        for header in included(source):
            other = room_of(header)
            if other not in (None, room) and other not in ROOMS[room]:
                found.append((source, header))
    assert found == []


def test_files_have_a_licence_line():
    names = tracked("*.c", "*.h", "*.cc", "*.py", "*.sh")
    found = [n for n in names if not n.startswith("third_party/")
             and "SPDX-License-Identifier: MIT" not in text_of(n)[:200]]
    assert found == []


def test_files_are_short_enough_to_read():
    found = [(n, len(text_of(n).splitlines())) for n in SOURCES
             if not n.startswith("tests/") and len(text_of(n).splitlines()) > 600]
    assert found == []


def test_links_in_the_documents_lead_somewhere():
    found = []
    for name in tracked("*.md"):
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text_of(name)):
            target = os.path.normpath(os.path.join(ROOT, os.path.dirname(name), link))
            if not os.path.exists(target):
                found.append((name, link))
    assert found == []
