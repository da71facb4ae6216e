"""Repositories made of what Debian's packages installed; nothing is downloaded."""

_LIBRARY = """
cc_library(
    name = "{name}",
    hdrs = glob(["include/**/*.h"]),
    includes = ["include"],
    linkopts = {linkopts},
    visibility = ["//visibility:public"],
)
"""

def _system_library_impl(ctx):
    for header in ctx.attr.headers:
        path = _find_header(ctx, header)
        if not path:
            fail("/usr/include/%s is missing: apt-get install %s" % (header, ctx.attr.package))
        ctx.symlink(path, "include/" + header)
    linkopts = list(ctx.attr.linkopts)
    if ctx.attr.static_pkg_config:
        linkopts += _static_linkopts(ctx, ctx.attr.static_pkg_config)
    ctx.file("BUILD.bazel", _LIBRARY.format(name = ctx.attr.library, linkopts = repr(linkopts)))

def _find_header(ctx, header):
    """Its path, in /usr/include or in the folder of this machine's architecture there; or None."""
    path = ctx.path("/usr/include/" + header)
    if path.exists:
        return path
    architecture = ctx.execute(["gcc", "-print-multiarch"]).stdout.strip()
    path = ctx.path("/usr/include/%s/%s" % (architecture, header))
    return path if path.exists else None

def _static_linkopts(ctx, package):
    """-l flags of `pkg-config --static`: Debian's archives, and what glibc brings dynamically."""
    result = ctx.execute(["pkg-config", "--static", "--libs", package])
    if result.return_code:
        fail("pkg-config %s: %s" % (package, result.stderr))
    dynamic = ["-ldl", "-lrt", "-latomic", "-pthread", "-lpthread", "-lm"]
    archives = []
    for flag in result.stdout.split(" "):
        flag = flag.strip()
        if flag.startswith("-l") and flag not in dynamic and flag not in archives:
            archives.append(flag)
    return (["-Wl,-Bstatic", "-Wl,--start-group"] + archives +
            # libstdc++ as an archive, too: it is mapped into each process whole, and used a little of
            ["-Wl,--end-group", "-l:libstdc++.a", "-Wl,-Bdynamic", "-static-libgcc",
             "-Wl,--as-needed", "-lm", "-ldl", "-lpthread"])

system_library = repository_rule(
    implementation = _system_library_impl,
    attrs = {
        "headers": attr.string_list(mandatory = True, doc = "files or folders under /usr/include"),
        "library": attr.string(mandatory = True, doc = "name of the cc_library"),
        "linkopts": attr.string_list(),
        "package": attr.string(mandatory = True, doc = "Debian's package, for the error message"),
        "static_pkg_config": attr.string(doc = "link this pkg-config package statically"),
    },
    local = True,
)

def system_libraries():
    """@sys_NAME//:NAME for each C and C++ library that we use."""
    system_library(
        name = "sys_grpc",
        headers = ["grpc"],
        library = "grpc",
        package = "libgrpc-dev",
        static_pkg_config = "grpc",
    )
    system_library(
        name = "sys_protobuf_c",
        headers = ["protobuf-c"],
        library = "protobuf_c",
        linkopts = ["-l:libprotobuf-c.a"],
        package = "libprotobuf-c-dev",
    )
    system_library(
        name = "sys_gtest",
        headers = ["gtest"],
        library = "gtest",
        linkopts = ["-lgtest_main", "-lgtest", "-lpthread"],
        package = "libgtest-dev",
    )
    system_library(
        name = "sys_sqlite3",
        headers = ["sqlite3.h"],
        library = "sqlite3",
        linkopts = ["-lsqlite3"],
        package = "libsqlite3-dev",
    )
    system_library(
        name = "sys_yaml",
        headers = ["yaml.h"],
        library = "yaml",
        linkopts = ["-lyaml"],
        package = "libyaml-dev",
    )
    system_library(
        name = "sys_jansson",
        headers = [
            "jansson.h",
            "jansson_config.h",
        ],
        library = "jansson",
        linkopts = ["-ljansson"],
        package = "libjansson-dev",
    )
    system_library(
        name = "sys_microhttpd",
        headers = ["microhttpd.h"],
        library = "microhttpd",
        linkopts = ["-lmicrohttpd"],
        package = "libmicrohttpd-dev",
    )
    system_library(
        name = "sys_gnutls",
        headers = ["gnutls"],
        library = "gnutls",
        linkopts = ["-lgnutls"],
        package = "libgnutls28-dev",
    )
    system_library(
        name = "sys_curl",
        headers = ["curl"],
        library = "curl",
        linkopts = ["-lcurl-gnutls"],  # by GnuTLS, as libmicrohttpd
        package = "libcurl4-gnutls-dev",
    )

# Bazel's own WORKSPACE suffix would fetch these from the network.
# Name -> where Debian's Bazel 7 keeps it ("": only the stub in //third_party/bazel_stubs).
_SUFFIX_REPOSITORIES = {
    "bazel_features": "tools/features",
    "bazel_skylib": "tools/skylib",
    "remote_coverage_tools": "",
    "rules_cc": "rules/cc",
    "rules_java": "rules/java",
    "rules_license": "rules/license",
    "rules_proto": "rules/proto",
    "rules_python": "rules/python",
}

def _debian_or_stub_impl(ctx):
    # native.bazel_version is empty in Debian's builds, so look at what is installed: only the
    # 7.x packages bring tools/features.
    base = ctx.path("/usr/share/bazel")
    source = None
    if base.get_child("tools").get_child("features").exists and ctx.attr.debian:
        source = ctx.path("/usr/share/bazel/" + ctx.attr.debian)
    if not source:
        stubs = ctx.path(Label("//third_party/bazel_stubs:BUILD.bazel")).dirname
        source = stubs.get_child(ctx.attr.name)
    if not source.exists:
        ctx.file("BUILD.bazel", "")  # never loaded by this Bazel
        return
    for entry in source.readdir():
        ctx.symlink(entry, entry.basename)

_debian_or_stub = repository_rule(
    implementation = _debian_or_stub_impl,
    attrs = {"debian": attr.string()},
    local = True,
)

def offline_bazel_repositories():
    for name, debian in _SUFFIX_REPOSITORIES.items():
        _debian_or_stub(name = name, debian = debian)
