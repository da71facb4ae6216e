# SPDX-License-Identifier: MIT
"""Targets that name a line of a file, and lines that have code."""
import argparse
import ast
import asyncio.base_events
import dis
import importlib
import inspect
import os
import pathlib
import shutil
import sys
import tempfile
import types
import typing
import unittest
from inspect import unwrap

import target_samples as samples
from target_support import SOURCE, TargetTest, codes_in, codes_of, line_at
from target_testing import check_line, resolve


class TargetLineTest(TargetTest):
    def test_lines_of_files(self):
        path = samples.__file__
        written = unwrap(samples.long_signature)
        inner = codes_of(written, "inner")
        genexpr = codes_of(samples.nest, "<genexpr>")
        comprehension = samples.uses_comprehension.__code__
        comprehensions = list(codes_in(comprehension)) or [comprehension]
        default = samples.default.__defaults__[0].__code__
        for marker, codes in [
            ("first", [written.__code__]),
            ("second", [written.__code__]),
            ("def", [written.__code__]),
            ("comment", [written.__code__]),
            ("last", [written.__code__]),
            ("inner", inner),
            ("one line", [samples.one_line.__code__]),
            ("two lambdas", [each.__code__ for each in samples.table.values()]),
            ("lambda of a class", [samples.WithLambda.items[0].__code__]),
            ("only genexpr", genexpr),
            ("only listcomp", comprehensions),
            ("lambda in function", list(codes_in(samples.uses_lambda.__code__))),
            ("a lambda in a default", [samples.default.__code__, default]),
        ]:
            for file in ("target_samples.py", path, "./target_samples.py",
                         "/".join(path.split("/")[-2:])):
                with self.subTest(marker=marker, file=file):
                    result = self.assert_codes(f"{file}:{line_at(marker)}", codes)
                    self.assertIs(result["globals"], vars(samples))

    def test_lines_outside_of_functions(self):
        last = len(SOURCE.splitlines())
        one_line = line_at("one line")
        around = samples.around.__code__.co_firstlineno
        for line, message in [
            (1, f"the nearest is around (lines {around} to {around + 5})"),
            (one_line - 1, f"dispatched (lines {one_line - 5} to {one_line - 3}) and one_line "
                           f"(line {one_line})"),
            (line_at("module level"), "the nearest are long_signature (lines"),
            (line_at("class body"), "and Body.method (lines"),
            (last + 5, "the nearest is __getattr__ (lines"),
        ]:
            with self.subTest(line=line):
                result = resolve(f"target_samples.py:{line}", "call", False)
                self.assertEqual(result["outcome"], "REFUSED")
                self.assertIn(f"target: line {line} is outside of any function; ",
                              result["message"])
                self.assertIn(message, result["message"])

    def test_a_file_without_functions(self):
        self.make_module("number = 1\n")
        result = resolve("target_made.py:1", "call", False)
        self.assertEqual((result["outcome"], result["message"]), (
            "REFUSED", "target: line 1 is outside of any function; the file has none"))

    def test_several_files_of_one_name(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        source = "def f():\n    return 1\n"
        paths = []
        for name in "abcd":
            path = pathlib.Path(folder, name, "target_same.py")
            path.parent.mkdir()
            module = types.ModuleType("target_same_" + name)
            module.__file__ = str(path)
            sys.modules[module.__name__] = module
            self.addCleanup(sys.modules.pop, module.__name__)
            exec(compile(source, str(path), "exec"), vars(module))
            paths.append(str(path))
        result = resolve("target_same.py:2", "call", False)
        self.assertEqual((result["outcome"], result["message"]), (
            "REFUSED", "target: several files have this name: " + ", ".join(paths[:3])))
        self.assert_codes("c/target_same.py:2", [sys.modules["target_same_c"].f.__code__])
        self.assert_codes(paths[1] + ":2", [sys.modules["target_same_b"].f.__code__])

    def test_a_file_that_is_loaded_twice(self):
        module = self.make_module("def f():\n    return 1\n")
        other = types.ModuleType("target_other")
        other.__file__ = module.__file__
        sys.modules["target_other"] = other
        self.addCleanup(sys.modules.pop, "target_other")
        exec(compile("def f():\n    return 1\n", module.__file__, "exec"), vars(other))
        message = resolve("target_made.py:2", "call", False)["message"]
        self.assertIn("target: is loaded more than once, as the modules", message)
        self.assertIn("target_made", message)
        self.assertIn("target_other", message)

    def test_a_module_that_was_replaced(self):
        old = self.make_module("def f():\n    return 1\n")
        del sys.modules["target_made"]
        new = importlib.import_module("target_made")
        self.assertIsNot(old.f.__code__, new.f.__code__)
        self.assert_codes("target_made.py:2", [new.f.__code__])
        self.assertIs(self.found("target_made.f")["function"], new.f)

    def test_a_module_that_is_reloaded(self):
        module = self.make_module("def f():\n    def g():\n        return 1\n    return g\n")
        pathlib.Path(module.__file__).write_text("\ndef f():\n    def g():\n        return 22\n"
                                                 "    return g\n")
        old = module.f
        importlib.reload(module)
        self.assertIsNot(module.f, old)
        self.assertIs(self.found("target_made.f")["function"], module.f)
        self.assert_codes("target_made.f.<locals>.g", codes_in(module.f.__code__))

    def test_a_file_that_was_compiled_under_a_relative_name(self):
        module = types.ModuleType("target_relative")
        module.__file__ = "/somewhere/folder/target_relative.py"
        sys.modules[module.__name__] = module
        self.addCleanup(sys.modules.pop, module.__name__)
        exec(compile("def f():\n    return 1\n", "folder/target_relative.py", "exec"),
             vars(module))
        for file in ("target_relative.py", "folder/target_relative.py", module.__file__):
            self.assert_codes(file + ":2", [module.f.__code__])
        self.assertEqual(resolve("/else/target_relative.py:2", "call", False)["outcome"],
                         "PENDING")

    def test_modules_that_are_being_imported(self):
        source = """
            def f():
                def g():
                    return 1
                return g
            from target_testing import resolve
            results = [(text, is_importing, resolve("target_made." + text, "call", is_importing))
                       for is_importing in (True, False)
                       for text in ("f", "f.<locals>.g", "<lambda>", "py:4", "py:20")]
            """
        importing = ("PENDING", "module target_made is being imported")
        file_importing = ("PENDING", "file target_made.py is being imported")
        expected = {
            ("f", True): importing, ("f.<locals>.g", True): importing,
            ("<lambda>", True): importing, ("py:4", True): file_importing,
            ("py:20", True): file_importing, ("f", False): ("FOUND", ""),
            ("f.<locals>.g", False): ("FOUND", ""),
            ("<lambda>", False): ("PENDING", "module target_made has no function <lambda> yet"),
            ("py:4", False): ("FOUND", ""), ("py:20", False): file_importing,
        }
        module = self.make_module(source)
        for text, is_importing, result in module.results:
            with self.subTest(text=text, is_importing=is_importing):
                self.assertEqual((result["outcome"], result["message"]),
                                 expected[text, is_importing])
        self.assertEqual(resolve("target_made.f", "call", True)["outcome"], "FOUND")
        self.assertEqual(resolve("target_made.py:20", "call", True)["outcome"], "REFUSED")

    def test_lines_are_those_that_begin_instructions_of_the_body(self):
        modules = (argparse, ast, asyncio.base_events, dis, inspect, typing, samples, os)
        checked = 0
        for module in modules:
            for code in codes_in(compile(pathlib.Path(module.__file__).read_text(),
                                         module.__file__, "exec")):
                start = next(each.offset for each in dis.get_instructions(code)
                             if each.opname.startswith("RESUME"))
                lines = {line for _, end, line in code.co_lines() if line and end > start + 2}
                with self.subTest(code=code):
                    last = max(lines)
                    accepted = {line for line in range(code.co_firstlineno, last + 2)
                                if check_line([code], line) == ""}
                    self.assertEqual(accepted, lines)
                    checked += 1
        self.assertGreater(checked, 1000)

    def test_messages_about_lines(self):
        written = unwrap(samples.long_signature).__code__
        first, second = line_at("first"), line_at("second")
        inner, last = line_at("inner"), line_at("last")
        name = "line {} is outside of long_signature, which is lines {} to {}"
        span = (written.co_firstlineno, last)
        one_line = samples.one_line.__code__
        lambdas = [each.__code__ for each in samples.table.values()]
        for codes, line, message in [
            ([written], first, ""),
            ([written], second, ""),
            ([written], inner - 1, ""),  # its def is made by the outer one
            ([written], last, ""),
            ([written], inner, f"line {inner} is in long_signature.<locals>.inner, inside of "
             f"long_signature; the nearest lines with code are {inner - 1} and {last}"),
            ([written], second - 1, f"line {second - 1} has no code; the nearest lines with code "
             f"are {first} and {second}"),
            ([written], line_at("def"), f"line {line_at('def')} has no code; the nearest line "
             f"with code is {first}"),
            ([written], last + 1, name.format(last + 1, *span)),
            ([written], 1, name.format(1, *span)),
            ([one_line], line_at("one line"), ""),
            (lambdas, line_at("two lambdas"), ""),
            ([one_line, written], line_at("one line") + 1, f"line {line_at('one line') + 1} has no "
             f"code; the nearest lines with code are {line_at('one line')} and {first}"),
        ]:
            with self.subTest(line=line):
                self.assertEqual(check_line(codes, line), message)

    def test_lines_of_generators_and_handlers(self):
        module = self.make_module("""
            async def f(a,
                        b):
                try:
                    await a
                    yield lambda: b
                except ValueError:
                    pass
                finally:
                    b = None
            """)
        code = module.f.__code__
        lines = [line for line in range(1, 12) if check_line([code], line) == ""]
        self.assertEqual(lines, [4, 5, 6, 7, 8, 10])

    def test_code_without_lines(self):
        code = samples.endless.__code__.replace(co_linetable=b"")
        self.assertEqual(check_line([code], code.co_firstlineno), f"line {code.co_firstlineno} "
                         "has no code; no line is known to have any")
        torn = samples.endless.__code__.replace(co_linetable=b"\xff\x7f\x7f\x00\xf0")
        self.assertIn("line 1 is outside of endless", check_line([torn], 1))


if __name__ == "__main__":
    unittest.main()
