# SPDX-License-Identifier: MIT
"""diagnose-webhook as a server: sizes, slow clients, certificates, its beginning and its end."""
import json
import os
import re
import signal
import socket
import ssl
import threading
import time

import pytest

from webhook_pods import POD_TEMPLATE, check_pod, container, pod
from webhook_testing import TEMPLATES, WEBHOOK, Program, Webhook, eventually, review, wait_for_log

# ---- sizes ----


def test_an_object_of_3_mb(webhook):
    large = pod({"large": "x" * (3 << 20)})
    after, warnings = webhook.inject(large)
    assert warnings == []
    check_pod(large, after, ["web"])
    many = pod(containers=[container("web", env=[
        {"name": "VARIABLE_%d" % i, "value": "value-%d" % i} for i in range(60000)])])
    assert 2 << 20 < len(json.dumps(review(many))) < 4 << 20
    after, warnings = webhook.inject(many)
    assert len(after["spec"]["containers"][0]["env"]) > 60000


def memory_kib(webhook, key):
    with open("/proc/%d/status" % webhook.program.pid) as file:
        return int(re.search(key + r":\s+(\d+) kB", file.read()).group(1))


def is_sanitized(webhook):
    """What sanitizers keep counts as memory, too."""
    with open("/proc/%d/maps" % webhook.program.pid) as file:
        return "san.so" in file.read()


def test_too_large(webhook):
    before = memory_kib(webhook, "VmHWM")
    for size in ((4 << 20) + 1, 8 << 20, 20 << 20):
        status, headers, text = webhook.post(b" " * size)
        assert status == 413 and b"over 4 MiB" in text
    # small as text, large as JSON
    status, headers, text = webhook.post(b"[" + b"[]," * 1000000 + b"[]]")
    assert status == 413 and b"memory" in text
    if not is_sanitized(webhook):
        assert memory_kib(webhook, "VmHWM") - before < 20 << 10
    webhook.inject(pod())


def test_too_large_in_chunks(webhook):
    connection = webhook.connect()
    connection.request("POST", "/mutate", (b" " * 65536 for _ in range(100)),
                       {"Content-Type": "application/json"}, encode_chunked=True)
    response = connection.getresponse()
    assert response.status == 413 and b"over 4 MiB" in response.read()
    connection.close()


def test_too_large_is_said_before_the_body_is_sent(webhook):
    with webhook.context().wrap_socket(socket.create_connection(("localhost", webhook.port)),
                                       server_hostname="localhost") as client:
        client.sendall(b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                       b"Content-Length: 5000000\r\nExpect: 100-continue\r\n\r\n")
        client.settimeout(10)
        assert client.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_bodies_have_a_limit_together(webhook):
    """Of all connections; what has come of those that are refused is given back."""
    size = 4 << 20
    connections = [webhook.connect() for _ in range(12)]
    for connection in connections:
        connection.putrequest("POST", "/mutate")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        connection.send(b" " * (size - 1))
    # those that have no room are refused as their bodies come out of the sockets
    small = json.dumps(review(pod({"large": "x" * 100000})))
    eventually(lambda: webhook.post(small)[0] == 200, what="room, when some are refused")
    statuses = []
    for connection in connections:
        connection.send(b" ")
        response = connection.getresponse()
        statuses.append(response.status)
        response.read()
        connection.close()
    assert set(statuses) == {400, 503} and statuses.count(400) >= 7


# ---- HTTP ----


def test_other_requests(webhook):
    for method, path, headers, status in (
            ("GET", "/healthz", {}, 200), ("HEAD", "/readyz", {}, 200), ("GET", "/readyz", {}, 200),
            ("GET", "/", {}, 404), ("POST", "/mutate/", {}, 404), ("GET", "/mutate", {}, 405),
            ("POST", "/healthz", {}, 405), ("PUT", "/mutate", {}, 405), ("POST", "/mutate", {}, 415),
            ("POST", "/mutate", {"Content-Type": "text/plain"}, 415),
            ("POST", "/mutate", {"Content-Type": "application/jsonp"}, 415)):
        got = webhook.request(method, path, b"{}" if method in ("POST", "PUT") else None, headers)
        assert got[0] == status, (method, path, got)
        assert (got[1]["Allow"] is not None) == (status == 405)
    body = json.dumps(review(pod()))
    for kind in ("application/json; charset=utf-8", "Application/JSON"):
        assert webhook.request("POST", "/mutate", body, {"Content-Type": kind})[0] == 200
    # API servers tell how long they will wait
    status, _, text = webhook.request("POST", "/mutate?timeout=3s", body,
                                      {"Content-Type": "application/json"})
    assert status == 200 and b"JSONPatch" in text


def test_connections_are_kept(webhook):
    connection = webhook.connect()
    connection.connect()
    first = connection.sock
    for _ in range(20):
        connection.request("POST", "/mutate", json.dumps(review(pod())),
                           {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert response.status == 200 and response.read()
        assert connection.sock is first
    connection.close()


def test_many_at_once(webhook):
    errors = []

    def run(index):
        try:
            before = pod({"number": str(index), "large": "x" * (index % 4 << 18)})
            for _ in range(5):
                after, warnings = webhook.inject(before)
                assert warnings == [] and after["metadata"]["annotations"]["number"] == str(index)
        except Exception as error:  # noqa: B902
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1")
def test_only_https_of_today(webhook):
    with socket.create_connection(("localhost", webhook.port)) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        client.settimeout(10)
        assert not client.recv(1000).startswith(b"HTTP")
    context = webhook.context()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(socket.create_connection(("localhost", webhook.port)),
                            server_hostname="localhost")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = webhook.context()
        context.minimum_version = context.maximum_version = version
        with context.wrap_socket(socket.create_connection(("localhost", webhook.port)),
                                 server_hostname="localhost") as client:
            assert client.version() == version.name.replace("_", ".")


# ---- slow clients ----


def drip(client, data, seconds):
    """Sends a byte now and then; how long until the server ends it, or None."""
    started = time.monotonic()
    client.settimeout(0.1)
    for byte in data:
        try:
            client.send(bytes([byte]))
            if client.recv(1) == b"":
                return time.monotonic() - started
        except TimeoutError:
            pass
        except OSError:
            return time.monotonic() - started
        if time.monotonic() - started > seconds:
            return None
    return None


HEAD = b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def test_slow_requests_are_ended():
    with Webhook("--request-timeout=2", "--idle-timeout=30") as webhook:
        def open_client():
            return webhook.context().wrap_socket(
                socket.create_connection(("localhost", webhook.port)), server_hostname="localhost")

        def ask_health(client):
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"ok\n"):
                answer += client.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200")

        # the head, the body, and a second request on a connection that has waited
        with open_client() as client:
            assert 1 < drip(client, HEAD + b"X: " + b"y" * 1000, 10) < 6
        with open_client() as client:
            client.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
            assert 1 < drip(client, b" " * 1000, 10) < 6
        with open_client() as client:
            ask_health(client)
            time.sleep(3)  # longer than a request may take
            ask_health(client)
            assert 1 < drip(client, HEAD + b"X: " + b"y" * 1000, 10) < 6
        # a handshake that does not go on
        with socket.create_connection(("localhost", webhook.port)) as client:
            assert 1 < drip(client, b"\x16\x03\x01\x02\x00" + b"\x00" * 1000, 10) < 6


def test_slow_clients_do_not_keep_others_out():
    with Webhook("--request-timeout=2", "--max-connections=8") as webhook:
        clients = [socket.create_connection(("localhost", webhook.port)) for _ in range(20)]
        # they have all places until their time is over
        after, warnings = webhook.inject(pod())
        assert warnings == [] and "initContainers" in after["spec"]
        for client in clients:
            client.close()


# ---- certificates ----


def serial_of(webhook, context):
    with context.wrap_socket(socket.create_connection(("localhost", webhook.port)),
                             server_hostname="localhost") as client:
        return client.getpeercert()["serialNumber"]


def test_certificates_are_read_again():
    with Webhook() as webhook, Webhook() as other:
        first = serial_of(webhook, webhook.context())
        assert first == serial_of(webhook, webhook.context())
        kept = webhook.connect()
        kept.request("GET", "/healthz")
        assert kept.getresponse().read() == b"ok\n"
        for name in ("server.pem", "server.key"):  # the key follows a little later
            os.rename(os.path.join(other.tls, name), os.path.join(webhook.tls, name))
            if name == "server.pem":
                wait_for_log(webhook, "the certificate stays the old one")
                assert serial_of(webhook, webhook.context()) == first
        wait_for_log(webhook, "new certificate")
        assert serial_of(webhook, other.context()) != first
        with pytest.raises(ssl.SSLError):
            serial_of(webhook, webhook.context())
        kept.request("GET", "/healthz")  # what was connected before goes on
        assert kept.getresponse().read() == b"ok\n"
        kept.close()


# ---- the end ----


def test_sigterm_drains():
    with Webhook("--stop-delay=2") as webhook:
        body = json.dumps(review(pod())).encode()
        slow = webhook.connect()
        slow.putrequest("POST", "/mutate")
        slow.putheader("Content-Type", "application/json")
        slow.putheader("Content-Length", str(len(body)))
        slow.endheaders()
        slow.send(body[:10])
        idle = webhook.connect()
        idle.connect()
        webhook.program.process.send_signal(signal.SIGTERM)
        wait_for_log(webhook, "stopping in 2 s")
        # not ready, but still serving, and asking clients to connect elsewhere
        status, headers, text = webhook.request("GET", "/readyz")
        assert status == 503 and text == b"stopping\n"
        assert webhook.request("GET", "/healthz")[0] == 200
        status, headers, text = webhook.post(body)
        assert status == 200 and headers["Connection"].lower() == "close"

        def is_closed():
            try:
                socket.create_connection(("localhost", webhook.port), 1).close()
                return False
            except OSError:
                return True

        eventually(is_closed, what="no new connections")
        assert webhook.program.is_running()
        slow.send(body[10:])
        answer = json.loads(slow.getresponse().read())
        assert "patch" in answer["response"]
        assert webhook.program.process.wait(10) == 0


def test_a_second_signal_hurries():
    with Webhook("--stop-delay=60") as webhook:
        webhook.program.process.send_signal(signal.SIGTERM)
        wait_for_log(webhook, "stopping in 60 s")
        webhook.program.process.send_signal(signal.SIGINT)
        assert webhook.program.process.wait(10) == 0


# ---- starting ----


def test_bad_starts(tmp_path, webhook):
    tls = ["--tls-cert=" + os.path.join(webhook.tls, "server.pem"),
           "--tls-key=" + os.path.join(webhook.tls, "server.key")]
    template = ["--template=" + path for path in TEMPLATES]
    bad = tmp_path / "bad.yaml"
    bad.write_text("spec:\n  hostNetwork: true\n")
    for number, (flags, code, message) in enumerate((
            ([], 2, "--tls-cert and --tls-key are required"),
            (tls, 2, "--template is required"),
            (tls + ["--template=/nowhere"], 1, "--template: /nowhere: No such file"),
            (tls + ["--template=%s" % bad], 1,
             "%s: spec: the webhook cannot inject the field \"hostNetwork\"" % bad),
            (tls + template + ["--image=nobody=i"], 1, "no init container called \"nobody\""),
            (tls + template + ["--listen=localhost"], 1, "--listen: \"localhost\" is not HOST:PORT"),
            (tls + template + ["--listen=127.0.0.1:%d" % webhook.port], 1, "Address already in use"),
            (tls[:1] + ["--tls-key=" + os.path.join(webhook.tls, "client.key")] + template, 1,
             "is not the key of"),
            (["--tls-cert=/nowhere", tls[1]] + template, 1, "/nowhere: No such file"))):
        program = Program("webhook", [WEBHOOK] + flags, str(tmp_path / ("log%d" % number)))
        assert program.process.wait(10) == code, flags
        assert message in program.log()


def test_image_flag():
    with Webhook("--image=diagnose-sidecar=registry.example.com/s@sha256:00") as webhook:
        after, _ = webhook.inject(pod())
        images = [c["image"] for c in after["spec"]["initContainers"]]
        assert images == [POD_TEMPLATE["spec"]["initContainers"][0]["image"],
                          "registry.example.com/s@sha256:00"]
