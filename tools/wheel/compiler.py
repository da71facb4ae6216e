# SPDX-License-Identifier: MIT
"""Compiles and links an extension module for the interpreter that runs this."""
import concurrent.futures
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig

# .bazelrc has the standard; the others are what Bazel's -c opt comes to.
CFLAGS = ["-std=gnu11", "-O2", "-DNDEBUG", "-ffunction-sections", "-fdata-sections"]
LDFLAGS = ["-shared", "-Wl,--gc-sections", "-Wl,--as-needed", "-Wl,-z,relro", "-Wl,-z,now"]


def find_compiler():
    """The C compiler, as a list of words."""
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    for words in (shlex.split(command), ["cc"], ["gcc"]):
        if words and shutil.which(words[0]):
            return words
        if os.environ.get("CC"):
            sys.exit("diagnose: $CC is %s, and there is no such program" % command)
    sys.exit("diagnose: a C compiler is needed: apt-get install gcc libc6-dev")


def check(compiler, includes):
    """Says in one line what of the usual suspects is missing."""
    missing = [path for path in includes if os.path.isfile(os.path.join(path, "Python.h"))] == []
    if missing:
        sys.exit("diagnose: the headers of Python %d.%d are needed, there is no %s: apt-get install "
                 "python3-dev, for Debian's own python3"
                 % (sys.version_info[:2] + (os.path.join(includes[0], "Python.h"),)))
    result = subprocess.run(compiler + ["-fsyntax-only", "-x", "c", "-"], input="#include <stdio.h>\n",
                            capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit("diagnose: %s cannot compile, the headers of libc may be missing: apt-get install "
                 "libc6-dev\n%s" % (compiler[0], result.stderr))


def run(command, root):
    result = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit("diagnose: %s\n%s%s" % (shlex.join(command), result.stdout, result.stderr))


def build_extension(files, label, folder):
    """Builds the extension that the Bazel target `label` is, below `folder`; returns its path."""
    compiler = find_compiler()
    paths = sysconfig.get_paths()
    includes = list(dict.fromkeys([paths["include"], paths["platinclude"]]))
    check(compiler, includes)
    sources, defines = files.link(label)
    flags = CFLAGS + files.copts() + ["-I."] + ["-D" + define for define in defines]
    for path in includes:
        flags += ["-isystem", path]
    objects = [os.path.join(folder, "%d.o" % number) for number in range(len(sources))]
    commands = [compiler + flags + ["-c", source, "-o", target]
                for source, target in zip(sources, objects)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda command: run(command, files.root), commands))
    name = label.rsplit(":", maxsplit=1)[-1] + sysconfig.get_config_var("EXT_SUFFIX")
    extension = os.path.join(folder, name)
    run(compiler + LDFLAGS + objects + ["-o", extension, "-lm"], files.root)
    return extension
