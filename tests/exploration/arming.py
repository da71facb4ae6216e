# SPDX-License-Identifier: MIT
"""Arms every function of the given modules as they are imported, and at exit reports what became of
it. Runs in the command's process, in one namespace with functions.py (see sitecustomize.py).

Each import of a module is armed by itself, as tests like to import a module afresh and put the
former one back: the module is in sys.modules under a name of ours while its targets are looked up.
The engine gets each spec with a value that is looked up in another way, so that all of them are
tried; hits are counted by the driver, and values not asked for their repr()."""
import _imp
import _thread
import atexit
import marshal
import os
import sys

_bootstrap = sys.modules["_frozen_importlib"]
_external = sys.modules["_frozen_importlib_external"]

# The file's name is why Python leaves this frame out of the tracebacks of imports.
_EXEC_MODULE = """
def exec_module(self, module):
    original(self, module)
    imported(module)
"""


def _load_driver(folder):
    path = os.path.join(folder, "engine_testing" + _imp.extension_suffixes()[0])
    loader = _external.ExtensionFileLoader("engine_testing", path)
    spec = _external.spec_from_file_location("engine_testing", path, loader=loader)
    driver = _bootstrap.module_from_spec(spec)
    loader.exec_module(driver)
    return driver


def _arguments(code):
    """Names of parameters, *args and **kwargs included."""
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & 4) + bool(code.co_flags & 8)  # inspect.CO_VARARGS, _VARKEYWORDS
    return code.co_varnames[:count]


def _call_value(found, number):
    names = () if found.outer is None or found.has_namesakes else _arguments(found.outer)
    return names[number % len(names)] if names else "None"


def _inside_value(found, number):
    names = [name for name in found.code.co_varnames if name.isidentifier()]
    if number % 5 == 0 and "locals" not in names:
        return "locals()"
    if number % 2 == 0 or not names or found.has_namesakes:
        return "None"
    return names[number % len(names)]


class _Sweep:
    def __init__(self, config):
        self.config = config
        self.pid = os.getpid()
        self.driver = _load_driver(config["drivers"])
        self.lock = _thread.RLock()
        self.specs = []  # those that are armed
        self.records = {}  # id: what the report says of the spec
        self.unnamed = []
        self.functions = {}  # module: {name and line of each function}
        self.aliases = 0

    def is_covered(self, name):
        return any(name == module or name.startswith(module + ".")
                   for module in self.config["modules"])

    def values_of(self, found):
        """(event, value) of each spec of a function."""
        events, number = self.config["events"], len(self.records)
        if "call" in events:
            yield "call", _call_value(found, number)
        if "return" in events:
            yield "return", "result"
        if "end" in events:
            yield "end", _inside_value(found, number + 1)
        if "line" in events:
            for line in own_lines(found.code):  # noqa: F821  functions.py
                yield "line:%d" % line, _inside_value(found, number + line)

    def specs_of(self, module, code, alias):
        name = module.__spec__.name
        for found in functions_of(module, code):  # noqa: F821  functions.py
            where = "%s:%d" % (found.name, found.code.co_firstlineno)
            self.functions.setdefault(name, set()).add(where)
            if found.target is None:
                self.unnamed.append((name, where, "has no name and no line of its own"))
                continue
            target = found.target
            if target.startswith("*."):
                target = alias + target[1:]
            for event, value in self.values_of(found):
                spec_id = "%d" % len(self.records)
                self.records[spec_id] = {
                    "module": name, "function": where, "event": event,
                    "target": found.target, "value": value, "state": "NEW", "message": "",
                    "hits": 0, "skips": 0,
                }
                yield {"id": spec_id, "target": target, "event": event, "value": value,
                       "revision": 1}

    def arm(self, module):
        loader = getattr(module.__spec__, "loader", None)
        if not hasattr(loader, "get_code"):
            return
        code = loader.get_code(module.__spec__.name)
        if code is None:  # an extension
            return
        with self.lock:
            self.aliases += 1
            alias = "_swept_%d" % self.aliases
            sys.modules[alias] = module
            try:
                specs = list(self.specs_of(module, code, alias))
                self.driver.apply(self.specs + specs)
            finally:
                del sys.modules[alias]
            self.keep_armed(specs)

    def keep_armed(self, specs):
        statuses = self.driver.statuses()
        has_refused = False
        for spec in specs:
            status = statuses[spec["id"]]
            record = self.records[spec["id"]]
            # `file.py:LINE` waits for the end of the import
            record["is_coming"] = status["state"] == "PENDING" and \
                spec["target"] == record["target"]
            if status["state"] == "ARMED" or record["is_coming"]:
                record["mechanism"] = status["mechanism"]
                record["excluded"] = status["excluded"]
                self.specs.append(spec)
            else:
                has_refused = True
                record["state"] = "REFUSED"
                record["message"] = status["message"]
        if has_refused:  # nothing need be done about them at further imports
            self.driver.apply(self.specs)

    def imported(self, module):
        # not __name__: _pydecimal says that it is decimal
        name = getattr(getattr(module, "__spec__", None), "name", None)
        if isinstance(name, str) and self.is_covered(name):
            self.arm(module)

    def watch_imports(self):
        namespace = {"original": _external._LoaderBasics.exec_module, "imported": self.imported}
        exec(compile(_EXEC_MODULE, "<frozen importlib._bootstrap_external>", "exec"), namespace)
        _external._LoaderBasics.exec_module = namespace["exec_module"]

    def report(self):
        if os.getpid() != self.pid:
            return
        for spec_id, status in self.driver.statuses().items():
            record = self.records[spec_id]
            if record["state"] != "REFUSED":
                is_refused = record["is_coming"] and status["state"] != "ARMED" and \
                    not status["errors"]
                record["state"] = "REFUSED" if is_refused else status["state"]
                record["message"] = status["message"]
                record["hits"] = status["hits"]
                record["skips"] = sum(status["skips"].values())
        self.write({"records": list(self.records.values()), "unnamed": self.unnamed,
                    "functions": {name: sorted(there) for name, there in self.functions.items()},
                    "hits": self.driver.hits()})

    def write(self, report):
        path = os.path.join(self.config["reports"], "%d" % self.pid)
        with open(path + ".part", "wb") as file:
            marshal.dump(report, file, 2)
        os.rename(path + ".part", path + ".report")


def begin(config):
    sweep = _Sweep(config)
    atexit.register(sweep.report)  # the first to be registered is called last
    sweep.driver.start(False)
    os.register_at_fork(after_in_child=sweep.driver.after_fork)
    for module in list(sys.modules.values()):
        sweep.imported(module)
    sweep.watch_imports()
