# SPDX-License-Identifier: MIT
"""The services are a public API: a client generated from proto/, with python3-grpcio."""
import os
import socket
import subprocess

import grpc
import pytest

from testing.fleet import ROOT, Api, eventually, events_of, plain_value

APP = """
import sys, time
class Thing:
    def __repr__(self):
        return "<thing>"
def f():
    return {"a": [1, 2.5, None, True, b"x", "y"], "t": Thing()}
sys.modules["app"] = sys.modules["__main__"]
while True:
    f()
    time.sleep(0.005)
"""


def test_apply_and_subscribe(fleet, api):
    fleet.start_app("app.py", APP)
    stream = api.subscribe("api")
    assert next(stream).started
    reply = api.apply(
        id="api",
        target="app.f",
        lifespan_ms=60000,
        instrument={"type": "log", "value": "result"},
    )
    assert reply.created
    assert reply.spec.revision > 0
    assert reply.spec.expires_unix_nanos - reply.spec.modified_unix_nanos == 60 * 10**9
    _, event = next(events_of(stream))
    assert plain_value(event.value) == {
        "a": [1, 2.5, None, True, b"x", "y"],
        "t": "<thing>",
    }
    assert api.delete("api").revision > reply.spec.revision
    with pytest.raises(grpc.RpcError) as error:
        api.get("api")
    assert error.value.code() == grpc.StatusCode.NOT_FOUND


def test_identical_apply_renews_the_lifespan(api):
    fields = dict(id="x", target="a.f", lifespan_ms=60000)
    first = api.apply(instrument={"type": "log", "value": "1"}, **fields)
    second = api.apply(instrument={"type": "log", "value": "1"}, **fields)
    assert not second.created
    assert second.spec.revision > first.spec.revision
    assert second.spec.expires_unix_nanos > first.spec.expires_unix_nanos
    assert second.spec.created_unix_nanos == first.spec.created_unix_nanos


def test_selectors_choose_sidecars(bare_fleet):
    fleet = bare_fleet
    fleet.start_controller()
    fleet.start_sidecar("--label", "app=shop", "--label", "zone=eu")
    fleet.start_app("app.py", APP)
    api = Api(fleet.channel())
    eventually(lambda: len(api.processes().processes) == 1, what="the process")
    request = api.types["ApplyRequest"]()
    request.spec.id, request.spec.target, request.spec.lifespan_ms = "s", "app.f", 60000
    request.spec.instrument.type, request.spec.instrument.value = "log", "1"
    request.spec.selector.match_labels["zone"] = "us"
    api.unary("Specs", "Apply", request)
    assert api.get("s").summary.matched == 0
    request.spec.selector.match_labels["zone"] = "eu"
    api.unary("Specs", "Apply", request)
    fleet.wait_armed("s", 1)
    # an edit that no longer matches takes it out again
    request.spec.selector.match_labels["zone"] = "us"
    api.unary("Specs", "Apply", request)
    eventually(
        lambda: not [s for p in api.processes().processes for s in p.status.statuses],
        what="the removal",
    )
    api.close()


def test_health(bare_fleet):
    fleet = bare_fleet
    own = ["unix:" + fleet.path(name) for name in ("controller.sock", "sidecar.sock")]
    fleet.start_controller("--health", own[0])
    fleet.start_sidecar("--health", own[1])
    for target in [fleet.server] + own:
        with grpc.insecure_channel(target) as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            assert check(b"", timeout=10, wait_for_ready=True) == b"\x08\x01"  # SERVING
            with pytest.raises(grpc.RpcError) as error:
                check(b"\x0a\x01x", timeout=10)
            assert error.value.code() == grpc.StatusCode.NOT_FOUND
            listing = channel.unary_unary("/diagnose.v1.Specs/List")
            if target in own:
                with pytest.raises(grpc.RpcError) as error:
                    listing(b"", timeout=10)
                assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED
            else:
                assert listing(b"", timeout=10) == b""


def test_health_of_its_own_speaks_plaintext_beside_tls(bare_fleet):
    fleet = bare_fleet
    folder = fleet.path("tls")
    subprocess.run([os.path.join(ROOT, "deploy", "certificates"), folder], check=True,
                   capture_output=True)
    health = "unix:" + fleet.path("health.sock")
    fleet.start_controller("--tls-cert", folder + "/server.pem", "--tls-key",
                           folder + "/server.key", "--tls-ca", folder + "/ca.pem",
                           "--health", health)
    with grpc.insecure_channel(health) as channel:
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")
        answers = watch(b"", timeout=10, wait_for_ready=True)
        assert next(answers) == b"\x08\x01"  # SERVING
        assert fleet.programs[0].stop() == 0
        assert next(answers) == b"\x08\x02"  # NOT_SERVING


@pytest.mark.parametrize("program", ["controller", "sidecar"])
def test_health_address_that_is_taken(bare_fleet, program):
    start = {"controller": bare_fleet.start_controller, "sidecar": bare_fleet.start_sidecar}[program]
    with socket.create_server(("127.0.0.1", 0)) as server:
        started = start("--health", "127.0.0.1:%d" % server.getsockname()[1], wait=False)
        assert started.process.wait(10) == 1
    assert "--health: " in started.log()


def test_ends_on_sigterm_with_streams_open(fleet, api):
    stream = api.subscribe()
    assert next(stream).started
    controller, sidecar = fleet.programs
    assert sidecar.stop() == 0
    assert controller.stop() == 0
    with pytest.raises(grpc.RpcError):
        for _ in stream:
            pass
    assert not os.path.exists(fleet.socket)
