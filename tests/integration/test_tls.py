# SPDX-License-Identifier: MIT
"""TLS and mutual TLS by flags, on every program."""
import os
import shutil
import subprocess
import time

import grpc
import pytest

from testing.fleet import ROOT, Api, eventually, events_of, plain_value, spec

APP = """
import sys, time
def f():
    return 7
sys.modules["app"] = sys.modules["__main__"]
while True:
    f()
    time.sleep(0.005)
"""


@pytest.fixture
def certificates(bare_fleet):
    folder = bare_fleet.path("tls")
    subprocess.run([os.path.join(ROOT, "deploy", "certificates"), folder], check=True,
                   capture_output=True)
    other = bare_fleet.path("other")
    subprocess.run([os.path.join(ROOT, "deploy", "certificates"), other], check=True,
                   capture_output=True)
    return lambda name, wrong=False: os.path.join(other if wrong else folder, name)


def server_flags(certificates, is_mutual):
    flags = ["--tls-cert", certificates("server.pem"), "--tls-key", certificates("server.key")]
    return flags + (["--tls-ca", certificates("ca.pem")] if is_mutual else [])


def client_flags(certificates, is_mutual, wrong=False):
    flags = ["--tls-ca", certificates("ca.pem")]
    if is_mutual:
        flags += ["--tls-cert", certificates("client.pem", wrong)]
        flags += ["--tls-key", certificates("client.key", wrong)]
    return flags


@pytest.mark.parametrize("is_mutual", [False, True], ids=["tls", "mutual"])
def test_main_job(bare_fleet, certificates, is_mutual):
    fleet = bare_fleet
    fleet.controller_flags = server_flags(certificates, is_mutual)
    fleet.ctl_flags = client_flags(certificates, is_mutual)
    fleet.start_controller()
    fleet.start_sidecar(*client_flags(certificates, is_mutual))
    fleet.start_app("app.py", APP)
    fleet.apply(spec("a", "app.f", "result"))
    result = fleet.ctl("events", "--count", "1", "--seconds", "10")
    assert result.returncode == 0 and " 7" in result.stdout, result.stderr

    def read(name):
        with open(certificates(name), "rb") as file:
            return file.read()

    credentials = grpc.ssl_channel_credentials(
        read("ca.pem"),
        read("client.key") if is_mutual else None,
        read("client.pem") if is_mutual else None,
    )
    api = Api(grpc.secure_channel(fleet.server, credentials))
    _, event = next(events_of(api.subscribe("a")))
    assert plain_value(event.value) == 7
    api.close()


def test_strangers_are_refused(bare_fleet, certificates):
    fleet = bare_fleet
    fleet.controller_flags = server_flags(certificates, True)
    fleet.start_controller()
    cases = [
        ("no certificate", client_flags(certificates, False)),
        ("another CA's certificate", client_flags(certificates, True, wrong=True)),
        ("another CA trusted", ["--tls-ca", certificates("ca.pem", True)]),
        ("plaintext", []),
    ]
    for name, flags in cases:
        fleet.ctl_flags = flags
        result = fleet.ctl("get", "specs", "--timeout", "2")
        assert result.returncode == 4, (name, result.stdout, result.stderr)
    fleet.ctl_flags = client_flags(certificates, True)
    assert fleet.ctl("get", "specs").returncode == 0


def test_missing_files_are_named(bare_fleet):
    result = bare_fleet.ctl("get", "specs", "--tls-ca", "/nonexistent/ca.pem", server="h:1")
    assert result.returncode == 2
    assert "--tls-ca" in result.stderr and "/nonexistent/ca.pem" in result.stderr
    result = bare_fleet.ctl("get", "specs", "--tls-cert", "/nonexistent/c.pem", server="h:1")
    assert result.returncode == 2
    assert "--tls-key" in result.stderr


def test_a_sidecar_says_each_reason_once(bare_fleet, certificates):
    """The first one, that nobody listens yet, is seldom the one that matters."""
    fleet = bare_fleet
    fleet.controller_flags = server_flags(certificates, True)
    fleet.start_controller().stop()  # its port stays the fleet's
    sidecar = fleet.start_sidecar("--tls-ca", certificates("ca.pem", True))
    reasons = {"Connection refused": 0, "certificate verify failed": 0}

    def said():
        lines = [line for line in sidecar.log().splitlines() if "no connection to" in line]
        return {reason: sum(reason in line for line in lines) for reason in reasons} | {
            "lines": len(lines)}

    eventually(lambda: said()["Connection refused"], 20, "the first reason")
    fleet.start_controller()
    eventually(lambda: said()["certificate verify failed"], 20, "the second reason")
    time.sleep(5)  # several attempts
    assert said() == {"Connection refused": 1, "certificate verify failed": 1, "lines": 2}


def test_a_sidecar_waits_for_its_certificate(bare_fleet, certificates):
    """As in a pod whose Secret comes late: it serves processes, and must not keep them waiting."""
    fleet = bare_fleet
    fleet.controller_flags = server_flags(certificates, True)
    fleet.ctl_flags = client_flags(certificates, True)
    fleet.start_controller()
    late = {flag: fleet.path("late-" + name) for flag, name in
            (("--tls-ca", "ca.pem"), ("--tls-cert", "client.pem"), ("--tls-key", "client.key"))}
    flags = [part for pair in late.items() for part in pair]
    health = "unix:" + fleet.path("health.sock")

    refused = fleet.start_sidecar(*flags, wait=False)
    assert refused.process.wait(10) == 1 and "cannot open" in refused.log()

    sidecar = fleet.start_sidecar(*flags, "--tls-reload", "1", "--health", health)
    with grpc.insecure_channel(health) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"", timeout=10, wait_for_ready=True) == b"\x08\x01"  # SERVING
    assert "--tls-cert: cannot open %s" % late["--tls-cert"] in sidecar.log()
    fleet.start_app("app.py", APP)
    for path in late.values():
        shutil.copy(certificates(os.path.basename(path).removeprefix("late-")), path)
    eventually(lambda: fleet.ctl_json("get", "processes"), 20, "the process at the controller")
    assert sidecar.is_running()
