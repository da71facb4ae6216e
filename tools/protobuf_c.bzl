"""C from protos, by Debian's protoc-c."""

def protobuf_c_library(name, srcs, visibility = None):
    """cc_library of the .pb-c.{c,h} of all `srcs`, which import each other relative to here."""
    bases = [src[:-len(".proto")] for src in srcs]
    sources = [base + ".pb-c.c" for base in bases]
    headers = [base + ".pb-c.h" for base in bases]
    package = native.package_name()
    native.genrule(
        name = name + "_gen",
        srcs = srcs,
        outs = sources + headers,
        cmd = "/usr/bin/protoc-c -I%s --c_out=$(GENDIR)/%s $(SRCS)" % (package, package),
        message = "protoc-c",
    )
    native.cc_library(
        name = name,
        srcs = sources,
        hdrs = headers,
        copts = ["-fPIC", "-fvisibility=hidden"],
        includes = ["."],
        linkstatic = True,
        visibility = visibility,
        deps = ["@sys_protobuf_c//:protobuf_c"],
    )
