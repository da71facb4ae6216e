"""Rules for our C: one library per module, warnings on, one Google Test per module."""

WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wshadow",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    "-Wwrite-strings",
    "-Wvla",
    # texts are cut to fit their buffers on purpose
    "-Wno-format-truncation",
    "-Werror",
]

# _GNU_SOURCE: accept4, memfd_create, pidfd; fPIC: the same objects go into programs and into
# the Python extension.
COPTS = WARNINGS + ["-D_GNU_SOURCE", "-fPIC", "-fvisibility=hidden"]

def diag_library(
        name,
        deps = [],
        srcs = None,
        hdrs = None,
        visibility = None,
        defines = [],
        testonly = False):
    """cc_library of NAME.c and NAME.h."""
    native.cc_library(
        name = name,
        srcs = [name + ".c"] if srcs == None else srcs,
        hdrs = [name + ".h"] if hdrs == None else hdrs,
        copts = COPTS,
        defines = defines,
        linkstatic = True,
        testonly = testonly,
        visibility = visibility,
        deps = deps,
    )

def diag_program(name, srcs, deps = [], visibility = None):
    native.cc_binary(
        name = name,
        srcs = srcs,
        copts = COPTS,
        visibility = visibility,
        deps = deps,
    )

def diag_test(name, deps, srcs = None, size = "small", data = [], args = []):
    """Google Test of NAME.cc."""
    native.cc_test(
        name = name,
        size = size,
        srcs = [name + ".cc"] if srcs == None else srcs,
        args = args,
        copts = ["-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers", "-D_GNU_SOURCE"],
        data = data,
        linkstatic = True,
        deps = deps + ["@sys_gtest//:gtest"],
    )
