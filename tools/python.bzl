"""Rules for C that sees Python.h: whatever they make, they make once for each of @pythons."""

load("@pythons//:pythons.bzl", "DEFAULT_TAG", "PYTHONS")
load("//tools:c.bzl", "COPTS")

def _deps(python, deps, python_deps):
    return (deps + ["%s_%s" % (label, python.tag) for label in python_deps] +
            ["@pythons//:headers_" + python.tag])

def python_library(name, srcs, hdrs, deps = [], python_deps = [], visibility = None):
    """cc_library NAME_3_11, NAME_3_12, ...; NAME is that of the system's Python.

    python_deps are labels, with their colon, of what was made by this macro."""
    for python in PYTHONS:
        native.cc_library(
            name = "%s_%s" % (name, python.tag),
            srcs = srcs,
            hdrs = hdrs,
            copts = COPTS,
            linkstatic = True,
            visibility = visibility,
            deps = _deps(python, deps, python_deps),
        )
    native.alias(name = name, actual = "%s_%s" % (name, DEFAULT_TAG), visibility = visibility)

def python_extension(name, srcs, deps = [], python_deps = [], testonly = False, visibility = None):
    """Extension module NAME<EXT_SUFFIX> of each Python; NAME is all of them, NAME.so that of the
    system's Python."""
    for python in PYTHONS:
        native.cc_binary(
            name = name + python.ext_suffix,
            testonly = testonly,
            srcs = srcs,
            copts = COPTS,
            # nothing but libc and its libm: Bazel's toolchain adds libstdc++ to every link
            linkopts = ["-Wl,--as-needed"],
            linkshared = True,
            deps = _deps(python, deps, python_deps),
        )
        if python.tag == DEFAULT_TAG:
            native.alias(
                name = name + ".so",
                testonly = testonly,
                actual = name + python.ext_suffix,
                visibility = visibility,
            )
    native.filegroup(
        name = name,
        testonly = testonly,
        srcs = [name + python.ext_suffix for python in PYTHONS],
        visibility = visibility,
    )
