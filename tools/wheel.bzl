"""Wheels of the Python package, for pip."""

def _python_wheels_impl(ctx):
    folder = ctx.actions.declare_directory(ctx.label.name)
    arguments = ctx.actions.args()
    arguments.add("--out", folder.path)
    room = ctx.label.package.rsplit("/", 1)[0] + "/"
    for file in ctx.files.srcs:
        arguments.add("--file", "%s=%s" % (file.short_path[len(room):], file.path))
    arguments.add_all(ctx.files.extension, before_each = "--extension")
    ctx.actions.run_shell(
        outputs = [folder],
        inputs = ctx.files.srcs + ctx.files.extension + ctx.files._metadata + ctx.files._program,
        command = "exec python3 -I tools/wheel/bazel_wheels.py \"$@\"",
        arguments = [arguments],
        mnemonic = "PythonWheels",
        use_default_shell_env = True,
    )
    return DefaultInfo(files = depset([folder]))

# A folder NAME with a wheel for each of @pythons. tools/wheel/bazel_files.py reads this, too.
python_wheels = rule(
    implementation = _python_wheels_impl,
    attrs = {
        "extension": attr.label(mandatory = True, doc = "of python_extension"),
        "srcs": attr.label_list(allow_files = True, doc = "what is in the folder of the package"),
        "_metadata": attr.label_list(allow_files = True, default = [
            "//:LICENSE",
            "//:README.md",
            "//:pyproject.toml",
            "//lib/base:version.h",
        ]),
        "_program": attr.label_list(allow_files = True, default = [
            "//tools/wheel:archive.py",
            "//tools/wheel:bazel_wheels.py",
        ]),
    },
)
