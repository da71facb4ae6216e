# SPDX-License-Identifier: MIT
"""The examples of docs/library.md, and those of the text that the library keeps to."""
import pathlib
import sys
import types

import diagnose
import markdown
import pytest

DOCS = pathlib.Path(__file__).parents[3] / "docs"

ATTACH = '''
```#python
>>> from path.to.module import myclass
>>> myclass().add13(arg=5)
18
>>> p = diagnose.probes.attach_to("path.to.module.myclass.add13")
>>> p.instruments["foo"] = diagnose.LogInstrument("foo", "arg")
>>> p.start()
>>> myclass().add13(arg=5)
Probe (foo) = 5
18
```
'''

CONFIGURE = '''
```#python
>>> diagnose.manager.instrument_classes = {
    "log": LogInstrument,
    "hist": MyHistogramInstrument,
    "incr": MyIncrementInstrument,
}
>>> diagnose.manager.global_namespace.update({"foo": foo})
```
'''

DEFINE = '''
```#python
>>> diagnose.manager.specs["instr-1"] = {
    "target": "myapp.module.file.class.method",
    "instrument": {
        "type": "log",
        "name": "myapp.method",
        "value": "result",
        "event": "return",
        "custom": {},
    },
    "lifespan": 10,
    "lastmodified": datetime.datetime.utcnow(),
    "applied": {},
}
```
'''


def run(text, folder, **names):
    return markdown.run(text, "examples", folder, **names)


def console(text):
    """The same with "... " before continued lines, as doctest wants them."""
    lines, is_open = [], False
    for line in text.splitlines():
        is_continued = is_open and not line.startswith((">>>", "```"))
        lines.append("... " + line if is_continued else line)
        if line.startswith(">>>"):
            is_open = line.endswith("{")
        elif is_continued and line.startswith("}"):
            is_open = False
    return "\n".join(lines) + "\n"


@pytest.fixture(autouse=True)
def clean():
    manager = diagnose.manager
    classes, namespace = manager.instrument_classes, dict(manager.global_namespace)
    modules = set(sys.modules)
    yield
    manager.specs.clear()
    manager.instrument_classes = classes
    manager.global_namespace.clear()
    manager.global_namespace.update(namespace)
    for probe in list(diagnose.probes.active_probes.values()):
        probe.stop()
    diagnose.probes.active_probes.clear()
    for name in set(sys.modules) - modules:
        if name.partition(".")[0] in ("path", "myapp", "shop"):
            del sys.modules[name]


def test_docs_library(tmp_path):
    text = (DOCS / "library.md").read_text(encoding="utf-8")
    assert run(text, tmp_path) > 80


def test_an_example_that_fails_is_noticed(tmp_path):
    with pytest.raises(AssertionError, match="Expected"):
        run("```python\n>>> 1 + 1\n3\n```\n", tmp_path)


def test_attach(tmp_path):
    folder = tmp_path / "path" / "to"
    folder.mkdir(parents=True)
    for package in (tmp_path / "path", folder):
        (package / "__init__.py").write_text("")
    (folder / "module.py").write_text(
        "class myclass:\n    def add13(self, arg):\n        return arg + 13\n"
    )
    assert run(ATTACH, tmp_path, diagnose=diagnose) == 6


class MyHistogramInstrument(diagnose.HistogramInstrument):
    pass


class MyIncrementInstrument(diagnose.IncrementInstrument):
    pass


def foo():
    return "from the namespace"


def test_configure_and_define(tmp_path, capsys):
    import datetime

    class Class:
        def method(self):
            return 42

    for name in ("myapp", "myapp.module", "myapp.module.file"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["myapp.module.file"].__dict__["class"] = Class
    tried = run(
        console(CONFIGURE + DEFINE),
        tmp_path,
        diagnose=diagnose,
        datetime=datetime,
        LogInstrument=diagnose.LogInstrument,
        MyHistogramInstrument=MyHistogramInstrument,
        MyIncrementInstrument=MyIncrementInstrument,
        foo=foo,
    )
    assert tried == 3
    assert diagnose.manager.instrument_classes["hist"] is MyHistogramInstrument

    diagnose.manager.apply()
    assert Class().method() == 42
    assert capsys.readouterr().out == "Probe (myapp.method) = 42\n"
    spec = diagnose.manager.specs["instr-1"]
    [applied] = spec["applied"].values()
    assert applied == {"lm": spec["lastmodified"], "err": None}

    spec["instrument"]["value"] = "foo()"
    spec["lastmodified"] = datetime.datetime.utcnow()
    diagnose.manager.apply()
    Class().method()
    assert capsys.readouterr().out == "Probe (myapp.method) = from the namespace\n"
