# SPDX-License-Identifier: MIT
"""Which functions a module has, and the targets by which the engine finds them.

Runs in the command's process, as part of an import: imports nothing."""

_Function = type(lambda: None)
_Code = type((lambda: None).__code__)
_IS_FUNCTION = 1  # inspect.CO_OPTIMIZED: not the body of a class or module
_PARTS_OF_FUNCTIONS = ("<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>")


class Found:
    """`target`: what names it, `*.` for the module; None: nothing does. `code`: as it was written.
    `outer`: what a caller calls, which may be a decorator's; None: it is implemented in C.
    `has_namesakes`: the target names other functions as well."""

    def __init__(self, name, code, target, outer, has_namesakes=False):
        self.name, self.code, self.target, self.outer = name, code, target, outer
        self.has_namesakes = has_namesakes


def _key(code):
    # each import of a module has its own code objects
    return code.co_qualname, code.co_firstlineno, code.co_filename


def own_lines(code):
    """Those that begin code of the function: not that of its `def`."""
    lines = {line for _, _, line in code.co_lines() if line}
    return sorted(lines if len(lines) == 1 else lines - {code.co_firstlineno})


def _inner_codes(code):
    return [constant for constant in code.co_consts if isinstance(constant, _Code)]


def _written(value):
    """The code of the function at the end of a chain of wrappers, or None."""
    for _ in range(100):
        try:
            value = object.__getattribute__(value, "__dict__")["__wrapped__"]
        except (AttributeError, KeyError, TypeError):
            break
    return value.__code__ if isinstance(value, _Function) else None


def _accessors(path, value):
    """(path, function or wrapper) of what an attribute is made of."""
    if isinstance(value, (staticmethod, classmethod)):
        yield path, value.__func__
    elif isinstance(value, property):
        yield path, value.fget
        yield path + ".fset", value.fset
        yield path + ".fdel", value.fdel
    elif type(value).__name__ == "cached_property" and hasattr(value, "func"):
        yield path, value.func
    else:
        yield path, value


class _Search:
    def __init__(self, module, code):
        self.module, self.code = module, code
        # of functions that the module or one of its classes has as attributes: path, outer code
        self.paths = {}
        self.generated = {}  # path: code; functions that are not in the module's text
        self.seen_types = set()
        self.owners = {}  # line: codes that have it
        self.found = []

    def attributes(self, namespace, prefix, owner_name):
        for name, value in list(namespace.items()):
            if not isinstance(name, str) or not name.isidentifier():
                continue
            if isinstance(value, type):
                self.type(prefix + name, value)
                continue
            for path, inner in _accessors(prefix + name, value):
                code = _written(inner)
                if code is None:
                    continue
                if code.co_filename == self.code.co_filename:
                    outer = inner.__code__ if isinstance(inner, _Function) else None
                    self.paths.setdefault(_key(code), (path, outer))
                elif owner_name and getattr(inner, "__qualname__", None) == owner_name + name:
                    self.generated[path] = code

    def type(self, path, value):
        if id(value) in self.seen_types or value.__module__ != self.module.__name__:
            return
        if value.__qualname__ != path.removeprefix("*."):
            return
        self.seen_types.add(id(value))
        self.attributes(type.__dict__["__dict__"].__get__(value), path + ".",
                        value.__qualname__ + ".")

    def codes(self, code, ancestors):
        """Who has which line."""
        for line in own_lines(code):
            self.owners.setdefault(line, []).append(code)
        for inner in _inner_codes(code):
            self.codes(inner, ancestors + [code])

    def line_target(self, code, ancestors):
        """`file.py:LINE`: the line's innermost function."""
        inner_lines = set()
        pending = _inner_codes(code)
        while pending:
            inner = pending.pop()
            inner_lines.update(own_lines(inner))
            pending += _inner_codes(inner)
        lines = [line for line in own_lines(code) if line not in inner_lines]
        alone = [line for line in lines
                 if all(owner is code or owner in ancestors for owner in self.owners[line])]
        if not lines:
            return None
        return "%s:%d" % (code.co_filename, (alone or lines)[-1])

    def visit(self, code, target, ancestors):
        """`target`: of the function or class that `code` belongs to; None: it has no name."""
        is_function = code.co_flags & _IS_FUNCTION
        between = ".<locals>." if is_function else "."
        inners = _inner_codes(code)
        names = [inner.co_name for inner in inners]
        for inner in inners:
            name = inner.co_name
            inner_target, outer = self.paths.get(_key(inner), (None, inner))
            if inner_target is None and target is not None and name.isidentifier():
                if is_function or ".<locals>." in target:
                    inner_target = target + between + name
            if inner.co_flags & _IS_FUNCTION and name not in _PARTS_OF_FUNCTIONS:
                shown = inner_target or self.line_target(inner, ancestors + [code])
                self.found.append(Found(inner.co_qualname, inner, shown, outer,
                                        _key(inner) not in self.paths and names.count(name) > 1))
            self.visit(inner, inner_target, ancestors + [code])

    def run(self):
        self.attributes(vars(self.module), "*.", "")
        self.codes(self.code, [])
        self.visit(self.code, "*", [])
        for path, code in self.generated.items():
            self.found.append(Found(path.removeprefix("*."), code, path, code))
        return self.found


def functions_of(module, code):
    """Of a module that was just imported; `code` is its own."""
    return _Search(module, code).run()
