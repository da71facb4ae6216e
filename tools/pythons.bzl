"""@pythons: the interpreters that Diagnose is built and tested for, one of each minor version.

They are looked for in $DIAGNOSE_PYTHONS (paths of executables, with colons between them), as
/usr/bin/python3, as python3.X on PATH, and in pyenv's folders; the first of a minor version that
serves is taken. Free-threaded and debug builds do not, nor do those without Python.h.

  @pythons//:headers_3_12       Python.h
  @pythons//:pythons.bzl        PYTHONS: list of structs: tag ("3_12"), version, executable,
                                ext_suffix; DEFAULT_TAG: of the system's own minor version
  @pythons//:pythons.tsv        for scripts: lines of tag, version, executable, ext_suffix; or of
                                tag, "missing", reason
"""

_MINORS = ["3.11", "3.12", "3.13"]
_SYSTEM = "/usr/bin/python3"

_HEADERS = """
cc_library(
    name = "headers_{tag}",
    hdrs = glob(["include_{tag}/**/*.h"]),
    includes = ["include_{tag}"],
    visibility = ["//visibility:public"],
)
"""

def _tag(minor):
    return minor.replace(".", "_")

def _version_key(path):
    """So that 3.12.10 comes after 3.12.9."""
    numbers = [int(part) if part.isdigit() else 0 for part in path.basename.split(".")]
    return (numbers + [0, 0, 0])[:3]

def _candidates(ctx):
    environ = ctx.os.environ
    candidates = [path for path in environ.get("DIAGNOSE_PYTHONS", "").split(":") if path]
    candidates.append(_SYSTEM)
    for folder in environ.get("PATH", "").split(":"):
        if folder.startswith("/"):
            candidates += ["%s/python%s" % (folder, minor) for minor in _MINORS]
    pyenv = environ.get("PYENV_ROOT") or environ.get("HOME", "") + "/.pyenv"
    versions = ctx.path(pyenv + "/versions") if pyenv.startswith("/") else None
    if versions and versions.exists:
        folders = sorted(versions.readdir(), key = _version_key, reverse = True)
        candidates += ["%s/bin/python3" % folder for folder in folders]
    return candidates

def _describe(ctx, executable):
    """None: there is no such program. Else what tools/describe_python.py says."""
    if not executable.startswith("/"):
        return ["no", "", "is no absolute path"]
    if not ctx.path(executable).exists:
        return None
    result = ctx.execute([executable, "-I", ctx.path(ctx.attr._describe)], timeout = 30)
    lines = result.stdout.strip().split("\n")
    if result.return_code or len(lines) != (6 if lines[0] == "ok" else 3):
        return ["no", "", "does not answer as Python does (exit code %d)" % result.return_code]
    if lines[1] not in _MINORS:
        return ["no", lines[1], "is version %s, not one of %s" % (lines[1], ", ".join(_MINORS))]
    return lines

def _pythons_impl(ctx):
    found = {}
    reasons = {minor: [] for minor in _MINORS}
    system_minor = None
    asked_for = ctx.os.environ.get("DIAGNOSE_PYTHONS", "").split(":")
    for executable in _candidates(ctx):
        if len(found) == len(_MINORS) and executable not in asked_for + [_SYSTEM]:
            break
        lines = _describe(ctx, executable)
        if not lines:
            lines = ["no", "", "does not exist"]
            if executable not in asked_for:
                continue
        minor = lines[1]
        if executable == _SYSTEM:
            system_minor = minor
        if lines[0] == "no":
            if minor in _MINORS:
                reasons[minor].append("%s %s" % (executable, lines[2]))
            if executable in asked_for:
                print("DIAGNOSE_PYTHONS: %s %s" % (executable, lines[2]))  # buildifier: disable=print
        elif minor not in found:
            found[minor] = lines
    if not found:
        fail("no CPython %s with headers was found: apt-get install python3-dev" %
             ", ".join(_MINORS))
    _write(ctx, found, reasons, system_minor if system_minor in found else sorted(found)[0])

def _write(ctx, found, reasons, default):
    build = "exports_files([\"pythons.tsv\"])\n"
    table = []
    structs = []
    for minor in _MINORS:
        tag = _tag(minor)
        if minor not in found:
            reason = "; ".join(reasons[minor]) or "not found"
            table.append("\t".join([tag, "missing", reason]))
            continue
        _, _, version, executable, ext_suffix, include = found[minor]
        ctx.symlink(include, "include_" + tag)
        build += _HEADERS.format(tag = tag)
        table.append("\t".join([tag, version, executable, ext_suffix]))
        structs.append(repr(struct(
            executable = executable,
            ext_suffix = ext_suffix,
            tag = tag,
            version = version,
        )))
    ctx.file("BUILD.bazel", build)
    ctx.file("pythons.tsv", "\n".join(table) + "\n")
    ctx.file("pythons.bzl", "DEFAULT_TAG = %r\nPYTHONS = [%s]\n" % (
        _tag(default),
        ", ".join(structs),
    ))

pythons = repository_rule(
    implementation = _pythons_impl,
    attrs = {"_describe": attr.label(default = "//tools:describe_python.py", allow_single_file = True)},
    environ = ["DIAGNOSE_PYTHONS", "HOME", "PATH", "PYENV_ROOT"],
    local = True,
)
