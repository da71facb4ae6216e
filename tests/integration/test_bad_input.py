# SPDX-License-Identifier: MIT
"""Bad input gets a clear error that names the field or the cause, and loses nothing."""
import json
import os
import socket
import struct
import subprocess

import grpc
import pytest

from testing.fleet import BIN, Api, eventually, events_of, spec

GOOD = spec("good", "app.f", "n")


def changed(**changes):
    manifest = json.loads(json.dumps(GOOD))
    for path, value in changes.items():
        at = manifest
        *folders, name = path.split("__")
        for folder in folders:
            at = at[folder]
        at[name] = value
    return manifest


# manifest, exit code, what the error must name
MANIFESTS = [
    ("unknown field", changed(targt="x"), 2, ["targt", "target"]),
    ("unknown field inside", changed(instrument__evnt="call"), 2, ["instrument.evnt"]),
    ("wrong type", changed(instrument__value=5), 2, ["instrument.value"]),
    ("wrong type of lifespan", changed(lifespan="soon"), 2, ["lifespan"]),
    ("negative lifespan", changed(lifespan=-1), 2, ["lifespan"]),
    ("endless lifespan", changed(lifespan=1e9), None, ["lifespan"]),
    ("not a map", [1, 2], 2, []),
    ("slash in the id", changed(id="a/b"), 1, ["id", "a/b"]),
    ("empty id", changed(id=""), None, ["id"]),
    ("no such event", changed(instrument__event="retrun"), 1, ["instrument.event", "retrun"]),
    ("a name, not an event", changed(instrument__event="hotspots"), 1,
     ["instrument.event", "hotspots", "instrument.value"]),
    ("event without its line", changed(instrument__event="line"), 1, ["instrument.event", "line:42"]),
    ("line 0", changed(instrument__event="line:0"), 1, ["instrument.event", "line:0", "1 to"]),
    ("line with a sign", changed(instrument__event="line:+7"), 1, ["instrument.event", "sign"]),
    ("line that is too large", changed(instrument__event="line:2147483648"), 1,
     ["instrument.event", "2147483647"]),
    ("no such type", changed(instrument__type="gauge"), 1, ["instrument.type", "gauge"]),
    ("no module in the target", changed(target="f"), 1, ["target"]),
    ("no identifier in the target", changed(target="app.f()"), 1, ["target", "f()", "identifier"]),
    ("module:function", changed(target="app:f"), 1, ["target", "module.function"]),
    ("locals of no function", changed(target="app.<locals>.f"), 1, ["target", "<locals>"]),
    ("nothing in locals", changed(target="app.f.<locals>"), 1, ["target", "<locals>"]),
    ("misspelt marker", changed(target="app.<lamda>"), 1, ["target", "<lamda>", "<lambda>"]),
    ("file without a line", changed(target="shop/app.py"), 1, ["target", "path/file.py:LINE"]),
    ("file with line 0", changed(target="shop/app.py:0"), 1, ["target", "app.py:0", "1 to"]),
    ("folder with a line", changed(target="shop/:7"), 1, ["target", "folder"]),
    ("control character in the target", changed(target="shop/a\tb.py:7"), 1,
     ["target", "control character", "7"]),
    ("long target", changed(target="shop/" + "x" * 508 + ".py:7"), 1, ["target", "512"]),
    ("a large expression", changed(instrument__value="1" + " " * 9000), 1,
     ["instrument.value", "8192"]),
    ("tags are no expression", changed(instrument__custom={"tags": 1}), 1,
     ["instrument.custom.tags"]),
]


@pytest.mark.parametrize("manifest, code, names", [c[1:] for c in MANIFESTS],
                         ids=[c[0] for c in MANIFESTS])
def test_manifest(fleet_of_module, manifest, code, names):
    fleet = fleet_of_module
    result = fleet.ctl("apply", "-f", "-", input=json.dumps(manifest))
    assert result.returncode == code if code else result.returncode in (1, 2)
    assert result.stdout == ""
    for name in names:
        assert name in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert fleet.ctl_json("get", "specs") == []


@pytest.fixture(scope="module")
def fleet_of_module():
    from testing.fleet import Fleet

    with Fleet() as fleet:
        fleet.start_controller()
        yield fleet


def test_manifest_of_10_mb(fleet_of_module):
    fleet = fleet_of_module
    path = fleet.write("big.yaml", "id: x\ntarget: " + "a" * (10 << 20))
    result = fleet.ctl("apply", "-f", path)
    assert result.returncode == 2
    assert "big.yaml" in result.stderr and "1 MiB" in result.stderr


def test_yaml_error_has_its_line(fleet_of_module):
    result = fleet_of_module.ctl("apply", "-f", "-", input="id: x\ntarget: [a\nfoo: b\n")
    assert result.returncode == 2
    assert ":3" in result.stderr or ":2" in result.stderr


def test_nobody_listens(fleet_of_module):
    result = fleet_of_module.ctl("get", "specs", "--timeout", "1", server="127.0.0.1:1")
    assert result.returncode == 4
    assert "127.0.0.1:1" in result.stderr


def test_raw_requests_are_refused_naming_the_field(fleet_of_module):
    """What no generated client would send."""
    api = Api(fleet_of_module.channel())
    call = fleet_of_module.channel().unary_unary(
        "/diagnose.v1.Specs/Apply", lambda data: data, lambda data: data
    )
    good = api.types["Spec"](id="x", target="a.f", lifespan_ms=1000)
    good.instrument.type, good.instrument.value = "log", "1"
    encoded = good.SerializeToString()
    cases = [
        (b"", "spec"),
        (b"\xff", "malformed"),
        (b"\x0a\x05abc", "malformed"),
        (encoded + b"\xf8\x3f\x01", "1023"),
        (encoded.replace(b"a.f", b"\xff.f"), "target"),
        (encoded.replace(b"a.f", b"a\x00f"), "target"),
    ]
    for body, name in cases:
        request = body if body[:1] in (b"", b"\xff") or body == cases[2][0] else (
            b"\x0a" + bytes([len(body)]) + body
        )
        with pytest.raises(grpc.RpcError) as error:
            call(request, timeout=10, wait_for_ready=True)
        assert error.value.code() in (
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.UNIMPLEMENTED,
        ), request
        assert name in error.value.details(), (request, error.value.details())
    with pytest.raises(grpc.RpcError) as error:
        call(b"\x0a" + b"x" * (3 << 20), timeout=10)
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    with pytest.raises(grpc.RpcError) as error:
        fleet_of_module.channel().unary_unary("/diagnose.v1.Specs/Bogus")(b"", timeout=10)
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED
    api.close()


def test_second_controller_on_the_same_database(fleet_of_module):
    fleet = fleet_of_module
    result = subprocess.run(
        [os.path.join(BIN, "controller", "diagnose-controller"), "--listen", "127.0.0.1:0",
         "--database", fleet.path("d.db")],
        capture_output=True, text=True, timeout=20,
    )
    assert result.returncode == 1
    assert fleet.path("d.db") in result.stderr and "in use" in result.stderr
    assert fleet.ctl("get", "specs").returncode == 0


def test_database_that_is_none(bare_fleet):
    bare_fleet.write("d.db", "this is a letter, not a database" * 100)
    controller = bare_fleet.start_controller(wait=False)
    assert controller.process.wait(10) == 1
    assert "d.db" in controller.log()


COUNTER = """
import sys, time
def f(n):
    return n
sys.modules["app"] = sys.modules["__main__"]
n = 0
while True:
    for _ in range(200):
        f(n)
        n += 1
    time.sleep(0.001)
"""


def test_a_subscriber_that_never_reads(fleet, api):
    """It costs the controller a bounded queue, others nothing, and it is told what it lost."""
    fleet.start_app("app.py", COUNTER)
    fleet.apply(spec("n", "app.f", "[n, 'x' * 500]"))
    lazy_api = Api(fleet.channel())
    lazy = lazy_api.subscribe("n")
    assert next(lazy).started
    diligent = events_of(api.subscribe("n"))
    controller = fleet.programs[0]

    def resident_kib():
        with open("/proc/%d/status" % controller.pid) as file:
            return int(next(line.split()[1] for line in file if line.startswith("VmRSS")))

    numbers = []
    for count, (_, event) in enumerate(diligent):
        numbers.append(event.value.list.items[0].int)
        if count == 20000:
            before = resident_kib()
        if count == 100000:
            break
    assert resident_kib() - before < 16 << 10
    # the lazy one now reads on, and hears of its loss in-band
    lost = 0
    for response in lazy:
        lost += response.lost
        if lost:
            break
    assert lost > 0
    lazy.cancel()
    lazy_api.close()


def hello(fd, uid, payload=None, magic=0x53414944, major=1, kind=1):
    if payload is None:
        payload = b"\x0a" + bytes([len(uid)]) + uid + b"\x10\x07"  # uid, pid 7
    fd.send(struct.pack("<IHHII", magic, major, 0, kind, len(payload)) + payload)


def answer(fd):
    """The reason of a refusal, "" for a bare close, None for a welcome."""
    fd.settimeout(10)
    data = fd.recv(65536)
    if not data:
        return ""
    magic, major, minor, kind, size = struct.unpack("<IHHII", data[:16])
    return None if kind == 2 else data[16:].decode()


def connect(fleet):
    fd = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    fd.connect(fleet.socket)
    return fd


def test_garbage_on_the_sidecars_socket(fleet, api):
    app = fleet.start_app("app.py", COUNTER)
    fleet.apply(GOOD)
    fleet.wait_armed("good", 1)
    uid = b"0123456789abcdef" * 2
    cases = [
        ("noise", lambda fd: fd.send(os.urandom(1000)), None),
        ("one byte", lambda fd: fd.send(b"x"), None),
        ("wrong magic", lambda fd: hello(fd, uid, magic=1), None),
        ("wrong major", lambda fd: hello(fd, uid, major=99), "version"),
        ("no hello first", lambda fd: hello(fd, uid, kind=5), None),
        ("uid that is none", lambda fd: hello(fd, b"../../etc/passwd"), "uid"),
        ("payload that is no message", lambda fd: hello(fd, uid, payload=b"\xff\xff"), None),
    ]
    for name, send, reason in cases:
        with connect(fleet) as fd:
            send(fd)
            got = answer(fd)
            assert got is not None, name
            if reason:
                assert reason in got, (name, got)
    # a good one, then garbage instead of a report
    with connect(fleet) as fd:
        hello(fd, uid)
        assert answer(fd) is None
        hello(fd, uid, payload=b"\xff" * 100, kind=5)
        while True:
            data = fd.recv(65536)
            if not data:
                break
    # connections that say nothing, and many of them
    silent = [connect(fleet) for _ in range(50)]
    assert fleet.programs[1].is_running()
    next(events_of(api.subscribe("good")))
    for fd in silent:
        fd.close()
    assert app.is_running()


def test_not_called_is_told_apart_from_not_seen(fleet):
    fleet.start_app(
        "app.py",
        "import sys, time\n"
        "def idle(n): return n\n"
        "def busy(n): return n\n"
        "class Thing: pass\n"
        "sys.modules['app'] = sys.modules['__main__']\n"
        "while True: busy(1); time.sleep(0.01)\n",
    )
    fleet.apply(spec("idle", "app.idle", "n", event="call"), spec("busy", "app.busy", "n"),
                spec("thing", "app.Thing", "1"))
    fleet.wait_armed("idle", 1)
    fleet.wait_state("thing", 3)
    eventually(lambda: fleet.ctl_json("describe", "spec", "busy")["status"]["hits"] > 0)
    assert "not called since it was armed" in fleet.ctl("describe", "spec", "idle").stdout
    assert "not called" not in fleet.ctl("describe", "spec", "busy").stdout
    assert "not called" not in fleet.ctl("describe", "spec", "thing").stdout
    status = fleet.ctl_json("describe", "spec", "thing")["status"]["processes"][0]["status"]
    assert status["state"] == "Failed" and status["message"]
    status = fleet.ctl_json("describe", "spec", "idle")["status"]["processes"][0]["status"]
    assert (status["hits"], status["skips"], status["functions"]) == (0, [], 1)


def test_statuses_of_a_newer_process(fleet, api):
    """Causes that nobody here knows arrive with their counts; a status over its limit does not."""
    fleet.apply(GOOD)
    revision = fleet.ctl_json("describe", "spec", "good")["status"]["revision"]
    report = api.types["LocalReport"](snapshot=1)
    status = report.statuses.add(spec_id="good", spec_revision=revision, state=2, mechanism="new",
                                 excluded="calls from C", functions=2, codes=3, pure=True, hits=4)
    status.skips.add(cause=99, count=5)
    status.skips.add(cause=1, count=6)
    uid = b"0123456789abcdef" * 2
    with connect(fleet) as fd:
        hello(fd, uid)
        assert answer(fd) is None
        hello(fd, uid, payload=report.SerializeToString(), kind=5)

        def told():
            processes = fleet.ctl_json("describe", "spec", "good")["status"]["processes"]
            return processes and processes[0]["status"]["state"] == "Armed"

        eventually(told, what="the status")
        shown = fleet.ctl_json("describe", "spec", "good")["status"]
        assert shown["skipped"] == 11
        shown = shown["processes"][0]["status"]
        assert shown["skips"] == [{"cause": "cause 99", "count": 5},
                                  {"cause": "reentrant", "count": 6}]
        assert (shown["mechanism"], shown["excluded"]) == ("new", "calls from C")
        assert (shown["functions"], shown["codes"], shown["pure"]) == (2, 3, True)
        text = fleet.ctl("describe", "spec", "good").stdout
        assert "skipped: 5 cause 99, 6 reentrant; not seen: calls from C" in text
        status.excluded = "x" * 513
        hello(fd, uid, payload=report.SerializeToString(), kind=5)
        fd.settimeout(10)
        last = b""
        while data := fd.recv(65536):
            last = data
        assert b"excluded" in last and b"512" in last


def test_more_processes_than_the_limit(bare_fleet):
    fleet = bare_fleet
    fleet.start_controller()
    fleet.start_sidecar("--max-processes", "2")
    for _ in range(2):
        fleet.start_app("app.py", COUNTER)
    api = Api(fleet.channel())
    eventually(lambda: len(api.processes().processes) == 2, what="two processes")
    refused = fleet.start_app(
        "third.py",
        "import diagnose, time\n"
        "while not diagnose.status()['error']: time.sleep(0.01)\n"
        "print(diagnose.status()['error'])\n",
    )
    assert refused.process.wait(20) == 0
    assert "2" in refused.log() and "refused" in refused.log()
    api.close()


def test_plaintext_only_where_nobody_listens_in(bare_fleet):
    for program, flag in (("controller/diagnose-controller", "--listen"),
                          ("sidecar/diagnose-sidecar", "--controller")):
        result = subprocess.run(
            [os.path.join(BIN, *program.split("/")), flag, "0.0.0.0:0", "--socket"
             if "sidecar" in program else "--database", bare_fleet.path("x")],
            capture_output=True, text=True, timeout=20,
        )
        assert result.returncode in (1, 2)
        assert "plaintext" in result.stderr and "--tls" in result.stderr
    result = bare_fleet.ctl("get", "specs", server="192.0.2.1:7400")
    assert result.returncode == 2
    assert "plaintext" in result.stderr


def test_bad_flags(bare_fleet):
    for program in ("controller/diagnose-controller", "sidecar/diagnose-sidecar",
                    "ctl/diagnosectl"):
        path = os.path.join(BIN, *program.split("/"))
        result = subprocess.run([path, "--bogus"], capture_output=True, text=True, timeout=20)
        assert result.returncode == 2
        assert "--bogus" in result.stderr
        result = subprocess.run([path, "--help"], capture_output=True, text=True, timeout=20)
        assert result.returncode == 0
        assert "example" in result.stdout.lower()
