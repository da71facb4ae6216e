# SPDX-License-Identifier: MIT
"""The Events by which diagnose-webhook says why a pod was left as it is."""
import re
import socket
import time

import pytest

import manifests
from webhook_pods import owned, pod, unannotated
from webhook_testing import EventServer, Webhook, wait_for_log


@pytest.fixture
def events(tmp_path):
    server = EventServer(str(tmp_path))
    yield server
    server.close()


def test_events(events):
    with Webhook(*events.flags(), env=events.env()) as webhook:
        _, warnings = webhook.inject(owned({"diagnose.dev/containers": "x"}))
        path, headers, event = events.requests.get(timeout=10)
        assert path == "/apis/events.k8s.io/v1/namespaces/shop/events"
        assert headers["Authorization"] == "Bearer token-1"
        assert headers["Content-Type"] == "application/json"
        assert event["apiVersion"] == "events.k8s.io/v1" and event["kind"] == "Event"
        assert event["metadata"]["namespace"] == "shop" and event["metadata"]["generateName"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event["eventTime"])
        assert event["type"] == "Warning" and event["reason"] == "NotInstrumented"
        assert event["action"] and event["reportingController"]
        assert event["reportingInstance"] == socket.gethostname()[:128]
        assert "diagnose: not instrumented: " + event["note"] == warnings[0]
        assert event["regarding"] == {"apiVersion": "apps/v1", "kind": "ReplicaSet", "uid": "8f6d",
                                      "name": "shop-6c5f8b7d9", "namespace": "shop"}
        # the kubelet has renewed the token; the pod has a name; the same again is not told
        events.write_token("token-2")
        webhook.inject(owned({"diagnose.dev/containers": "x"}))
        webhook.inject(pod({"diagnose.dev/containers": "x"}), dryRun=True)
        webhook.inject(pod())
        webhook.inject(unannotated())
        webhook.inject(pod({"diagnose.dev/containers": "y"}))
        _, headers, event = events.requests.get(timeout=10)
        assert headers["Authorization"] == "Bearer token-2"
        assert event["regarding"]["kind"] == "Pod" and event["regarding"]["name"] == "shop"
        assert '"y"' in event["note"]
        assert events.requests.empty()


def test_events_hold_the_schema(events):
    with Webhook(*events.flags(), env=events.env()) as webhook:
        posted = []
        for made in (pod({"diagnose.dev/containers": "x"}), owned({"diagnose.dev/containers": "x"}),
                     pod({"diagnose.dev/containers": "x"}, name=None)):
            webhook.inject(made)
            posted.append(events.requests.get(timeout=10)[2])
    assert manifests.schema_errors(posted) == [[], [], []]


def test_events_are_tried_again(events):
    events.answers[:] = [503, 429, 201]
    with Webhook(*events.flags(), "--log-level=debug", env=events.env()) as webhook:
        webhook.inject(pod({"diagnose.dev/containers": "x"}))
        for _ in range(3):
            events.requests.get(timeout=10)
        wait_for_log(webhook, " posted: event about Pod shop/shop")
        events.answers[:] = [403]
        webhook.inject(pod({"diagnose.dev/containers": "y"}))
        wait_for_log(webhook, 'not posted: event about Pod shop/shop')
        assert 'HTTP 403: {"kind":"Status","message":"answer"}' in webhook.program.log()


def test_events_never_delay_an_answer(tmp_path):
    stalled = EventServer(str(tmp_path), stalls=True)
    try:
        with Webhook(*stalled.flags(), env=stalled.env()) as webhook:
            webhook.inject(pod({"diagnose.dev/containers": "first"}))
            stalled.requests.get(timeout=10)  # it is being posted, and that takes long
            started = time.monotonic()
            for i in range(100):
                webhook.inject(pod({"diagnose.dev/containers": "x%d" % i}))
            assert time.monotonic() - started < 5 < 100 * 5  # a post takes 5 s to give up
            wait_for_log(webhook, "too many are waiting")
            stalled.requests.get(timeout=20)  # the second attempt has just begun
            started = time.monotonic()
            assert webhook.program.stop(20) == 0
            assert time.monotonic() - started < 4
            assert webhook.program.log().count("stopping\n") > 50
    finally:
        stalled.close()


def test_events_only_to_the_clusters_api_server(events, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    other = EventServer(str(folder))
    try:
        # a server whose certificate another authority has signed
        with Webhook(*events.flags(), env=other.env()) as webhook:
            webhook.inject(pod({"diagnose.dev/containers": "x"}))
            wait_for_log(webhook, "not posted: ", timeout=20)
            assert other.requests.empty()
    finally:
        other.close()


def test_without_a_cluster_there_are_no_events(events):
    with Webhook() as webhook:
        assert "no events: not in a cluster" in webhook.program.log()
        assert webhook.inject(pod({"diagnose.dev/containers": "x"}))[1]
    with Webhook("--no-events", *events.flags(), env=events.env()) as webhook:
        assert webhook.inject(pod({"diagnose.dev/containers": "x"}))[1]
    assert events.requests.empty()
