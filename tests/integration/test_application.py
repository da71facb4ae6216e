# SPDX-License-Identifier: MIT
"""The application is not disturbed, whatever it does itself."""
import glob
import signal
import sys
import time

import pytest

from testing.fleet import PACKAGE, PYTHON, eventually, events_of, spec
from testing.pythons import MINORS

DAEMON = """
import os, sys, time
import diagnose
def f(n):
    return n
sys.modules["app"] = sys.modules["__main__"]
diagnose.connect(wait=10)
f(0)
os.closerange(3, 2048)
# the numbers that were ours until now
files = [os.open(os.path.join(os.environ["OUT"], "file%d" % i), os.O_RDWR | os.O_CREAT, 0o600)
         for i in range(1100 if os.environ["MANY"] == "1" else 20)]
os.write(files[0], b"mine")
n = 0
while not os.path.exists(os.path.join(os.environ["OUT"], "stop")):
    n += 1
    f(n)
    time.sleep(0.001)
sizes = [os.fstat(fd).st_size for fd in files]
assert sizes == [4] + [0] * (len(files) - 1), sizes
os.lseek(files[0], 0, 0)
assert os.read(files[0], 100) == b"mine"
cpu = time.process_time()
assert cpu < 3, cpu
print("undisturbed")
"""


@pytest.mark.parametrize("many", ["0", "1"], ids=["few files", "files at our numbers"])
def test_an_application_that_closes_all_descriptors(fleet, api, many, tmp_path):
    """As daemons do. Nothing of ours goes into its files, and it is connected again."""
    fleet.apply(spec("n", "app.f", "n"))
    program = fleet.start_app(
        "app.py", DAEMON, env=fleet.app_environment(OUT=str(tmp_path), MANY=many)
    )
    stream = events_of(api.subscribe("n"))
    for _, event in stream:
        if event.value.int > 300:
            break
    (tmp_path / "stop").write_text("")
    assert program.process.wait(20) == 0, program.log()
    assert program.log() == "undisturbed\n"


WAITS_AT_EXIT = """
import threading, time, diagnose
threading.Thread(target=diagnose.connect, kwargs={"wait": 60}, daemon=True).start()
time.sleep(0.3)
"""

WAITS_WHILE_DISCONNECTED = """
import threading, time, diagnose
waiter = threading.Thread(target=lambda: print(diagnose.connect(wait=60)))
waiter.start()
time.sleep(0.3)
diagnose.disconnect()
waiter.join()
"""


@pytest.mark.parametrize(
    "source, output", [(WAITS_AT_EXIT, ""), (WAITS_WHILE_DISCONNECTED, "False\n")],
    ids=["exit", "disconnect"],
)
def test_nobody_waits_for_a_sidecar_that_does_not_come(bare_fleet, source, output):
    begin = time.monotonic()
    program = bare_fleet.start_app("app.py", source)
    assert program.process.wait(30) == 0
    assert program.log() == output
    assert time.monotonic() - begin < 5


def test_ctrl_c_while_waiting(bare_fleet):
    program = bare_fleet.start_app(
        "app.py", "import diagnose\nprint('waiting', flush=True)\ndiagnose.connect(wait=60)\n"
    )
    eventually(lambda: "waiting" in program.log(), what="the wait")
    time.sleep(0.2)  # into the call; before or after, the signal has the same effect
    program.process.send_signal(signal.SIGINT)
    program.process.wait(10)
    assert "KeyboardInterrupt" in program.log()


def test_a_path_that_no_socket_can_have(bare_fleet):
    program = bare_fleet.start(
        "app", [PYTHON, "-c", "import diagnose; diagnose.connect('/tmp/' + 'x' * 200)"],
        bare_fleet.app_environment(),
    )
    assert program.process.wait(10) == 1
    assert "ValueError: socket: 205 bytes, a unix socket's path has at most 107" in program.log()


def test_the_compilers_warnings_are_not_the_applications(fleet, api):
    program = fleet.start_app(
        "app.py",
        "import sys, time, warnings\n"
        "warnings.simplefilter('error')\n"
        "filters = list(warnings.filters)\n"
        "def f():\n"
        "    return 1\n"
        "sys.modules['app'] = sys.modules['__main__']\n"
        "while True:\n"
        "    f()\n"
        "    assert warnings.filters == filters\n"
        "    time.sleep(0.001)\n",
    )
    fleet.apply(spec("a", "app.f", "result is 1"))
    _, event = next(events_of(api.subscribe("a")))
    assert event.value.bool is True
    assert program.log() == ""


def test_what_is_under_python_i_is_said_to_stay_uninstrumented(bare_fleet):
    program = bare_fleet.start(
        "app", bare_fleet.run_argv(PYTHON, "-I", "-c", "print('ran')"),
        bare_fleet.app_environment(),
    )
    assert program.process.wait(10) == 0
    assert "-I" in program.log() and "not be instrumented" in program.log()
    assert program.log().endswith("ran\n")


OTHERS = [
    path for path in glob.glob("/usr/bin/python3.*") + glob.glob("/usr/local/bin/python3.*")
    if path[-2:].isdigit() and not path.endswith(MINORS)
]


@pytest.mark.skipif(not OTHERS, reason="no other version of Python is installed")
def test_other_versions_of_python_run_unharmed(bare_fleet):
    program = bare_fleet.start(
        "app", bare_fleet.run_argv(OTHERS[0], "-c", "print('ran')"), bare_fleet.app_environment()
    )
    assert program.process.wait(10) == 0
    assert "not instrumented" in program.log() and "no extension" in program.log()
    assert program.log().endswith("ran\n")


def test_without_an_extension_the_reason_is_given(bare_fleet, tmp_path):
    """What another version of Python finds: the package, but no extension for it."""
    package = tmp_path / "diagnose"
    package.mkdir()
    for name in ("__init__.py", "__main__.py"):
        with open(PACKAGE + "/diagnose/" + name) as file:
            (package / name).write_text(file.read())
    program = bare_fleet.start(
        "app", [PYTHON, "-c", "import diagnose; diagnose.connect()"],
        bare_fleet.app_environment(PYTHONPATH=str(tmp_path)),
    )
    assert program.process.wait(10) == 1
    version = "%d.%d" % sys.version_info[:2]  # PYTHON's, which runs this, too
    assert ("NotImplementedError: there is no extension of diagnose for Python " + version
            in program.log())
