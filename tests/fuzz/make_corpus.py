# SPDX-License-Identifier: MIT
"""Writes the seeds of tests/fuzz/corpus: well-formed inputs of each kind, from which libFuzzer goes
on. What it has found besides lies beside them under other names."""
import json
import os
import struct

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
UID = b"0123456789abcdef0123456789abcdef"
RING = 1 << 16


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def fixed64(field, value):
    return varint(field << 3 | 1) + struct.pack("<Q", value)


def fixed32(field, value):
    return varint(field << 3 | 5) + struct.pack("<I", value)


def data(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


# ---- events ----

def event(*values, error=None):
    out = data(1, "spec-1") + number(2, 3) + number(3, 1) + fixed64(4, 10**18) + number(5, 77)
    for value in values:
        out += data(6, value)
    out += data(7, data(1, "region") + data(2, "eu"))
    return out + (data(8, error) if error else b"")


NONE, BOOL, INT = number(1, 1), number(2, 1), number(3, 9)
FLOAT, TEXT, BYTES = fixed64(4, 0), data(5, "t\u00e9xt"), data(6, b"\xff\x00") + number(15, 99)
LIST = data(7, data(1, INT) + data(1, TEXT))
DICT = data(8, data(1, data(1, TEXT) + data(2, LIST)))
REPR = data(9, data(1, "Cart") + data(2, "<Cart>"))
DEEP = INT
for _ in range(17):
    DEEP = data(7, data(1, DEEP))
EVENTS = {
    "values": event(NONE, BOOL, INT, FLOAT, TEXT, BYTES, LIST, DICT, REPR),
    "error": event(error="NameError: nope"),
    "deep": event(DEEP),
    "unknown-field": event(INT) + number(100, 1) + fixed32(101, 5),
    "wrong-type": data(1, "s") + fixed64(2, 1),
    "no-utf8": data(1, b"\xff"),
    "no-id": number(2, 3),
    "overlong": data(1, b"\xc0\x80"),
    "surrogate": data(1, b"\xed\xa0\x80"),
    "too-large": data(1, "s") + data(8, "x" * 16400),
    "value-twice": data(1, "s") + data(6, b"") + data(6, b""),
    "empty": b"",
}
WIRE = {
    "all-types": number(1, 2**64 - 1) + fixed64(2, 5) + data(3, "abc") + fixed32(4, 7),
    "group": bytes([0x0B, 0x0C]),
    "number-0": bytes([0, 0]),
    "number-too-large": bytes([0xF8] + [0xFF] * 4 + [0x7F]),
    "varint-too-long": bytes([8] + [0xFF] * 11),
    "varint-over-64-bits": bytes([8] + [0xFF] * 9 + [2]),
    "cut": bytes([0x1A, 9, 1]),
    "cut-length": bytes([0x1A, 0x80]),
    "cut-fixed": bytes([0x11, 1]),
    "wide": b"\xff" + data(1, "x" * 200),
    "wide-nested": b"".join(data(1, "x" * 100) for _ in range(4)),
}

# ---- rings ----

EVENT, LOST = 1, 2
BUSY, READY, PAD = 1 << 24, 2 << 24, 3 << 24


def record(position, payload, kind=EVENT, state=READY, size=None):
    size = len(payload) if size is None else size
    out = struct.pack("<IIHHI", size | state, position // 16 & 0xFFFFFFFF, kind, 0, 0) + payload
    return out + bytes(-len(out) % 16)


def ring(*parts, head=0, dropped=0, extra=0):
    """Each part a function of its position."""
    out = b""
    for part in parts:
        out += part(head + len(out))
    return struct.pack("<QIIIB", head, len(out) + extra, dropped, 0, 1) + out


def ev(payload=EVENTS["values"], **options):
    return lambda position: record(position, payload, **options)


def lost(total):
    return ev(struct.pack("<Q", total), kind=LOST)


def gap(size):
    return lambda position: bytes(size)


def pad(head):
    return lambda position: (record(position, b"", state=PAD, size=0) +
                             bytes(RING - head % RING - 16))


RINGS = {
    "events": ring(ev(), ev(EVENTS["error"]), ev(b"no event")),
    "lost": ring(ev(), lost(3), ev(), lost(3), ev(), lost(9), ev(), dropped=5),
    "busy": ring(ev(), ev(state=BUSY), ev()),
    "gap": ring(ev(), gap(64), ev(), gap(32)),
    "later-lap": ring(ev(), ev(), head=5 * RING + 160),
    "pad": ring(pad(RING - 48), ev(), head=RING - 48),
    "crosses-the-end": ring(ev(), head=RING - 32),
    "unknown-type": ring(ev(), ev(kind=7), ev(b"xyz", kind=LOST), ev()),
    "too-long": ring(ev(size=20000), ev()),
    "unknown-state": ring(ev(), ev(state=9 << 24), ev()),
    "beyond-the-tail": ring(ev(), ev(size=9000)),
    "tail-too-far": ring(ev(), extra=1 << 20),
    "odd-tail": ring(ev(), extra=7),
    "absent": ring(ev(), gap(16), ev(state=BUSY, size=0)),
    "untouched": ring(gap(32)),
}


def header(**changes):
    fields = {"magic": b"DIASHM01", "major": 1, "minor": 0, "header_size": 4096,
              "ring_offset": 4096, "ring_size": RING, "uid": UID,
              "aggregate_offset": 4096 + RING, "aggregate_size": 413696}
    fields.update(changes)
    out = fields["magic"] + struct.pack(
        "<HHIQQ40sQQ", fields["major"], fields["minor"], fields["header_size"],
        fields["ring_offset"], fields["ring_size"], fields["uid"], fields["aggregate_offset"],
        fields["aggregate_size"])
    return out + bytes(320 - len(out))


HEADERS = {
    "good": header(),
    "magic": header(magic=b"DIASHM02"),
    "major": header(major=2),
    "header-size": header(header_size=64),
    "ring-offset": header(ring_offset=8192),
    "ring-size": header(ring_size=RING + 1),
    "ring-size-of-another-file": header(ring_size=RING * 2, aggregate_offset=4096 + RING * 2),
    "aggregate-offset": header(aggregate_offset=0),
    "aggregate-size": header(aggregate_size=1),
    "uid": header(uid=b"x" * 40),
    "odd-positions": header()[:128] + struct.pack("<Q56xQ", RING - 1, RING - 1) + bytes(120),
    "positions": header()[:128] + struct.pack("<Q56xQ", 64, 1 << 40) + bytes(120),
}

# ---- specs ----


def custom(key, value):
    return data(5, data(1, data(1, key) + data(2, value)))


def spec(identifier="spec-1", *more, instrument=None, target="shop.cart.Cart.total",
         event="return"):
    parts = data(1, "log") + data(2, "name") + data(3, "elapsed") + data(4, event)
    tags = custom(data(5, "tags"), data(5, "{'a': 'b'}"))
    selector = data(1, data(1, "app") + data(2, "shop"))
    return (data(1, identifier) + data(2, target) +
            data(3, parts + tags if instrument is None else instrument) + number(4, 60000) +
            data(5, selector) + number(16, 4) + fixed64(17, 1) + fixed64(18, 2) +
            fixed64(19, 2**62) + b"".join(more))


SPECS = {
    "whole": spec(),
    "nested-function": spec(target="shop.make.<locals>.inner.<locals>.<lambda>", event="end"),
    "file-and-line": spec(target="/srv/caf\u00e9/cart.py:42", event="line:2147483647"),
    "line-0": spec(target="cart.py:0"),
    "locals-of-nothing": spec(target="shop.<locals>.f"),
    "control-character": spec(target="shop/a\tb.py:7"),
    "long-target": spec(target="shop." + "\u00e9" * 254 + "+"),
    **{"target-" + name: spec(target=target) for name, target in {
        "without-module": "f", "empty-part": "a..b", "digit": "a.1b", "no-marker": "a.<local>.c",
        "marker-first": "<lambda>.a", "ends-in-locals": "a.b.<locals>", "lambda-dot": "a.<lambda>.b",
        "folder": "shop/:3", "neither": "a.b:c", "no-line": "shop/a.py"}.items()},
    "event-hotspots": spec(event="hotspots"),
    "event-line-0": spec(event="line:0"),
    "event-long": spec(event="\u00e9" * 100),
    "unknown-field": spec("spec-1", number(99, 1)),
    "nothing": b"",
    "no-utf8": spec(b"\xff"),
    "nul": spec(b"a\0b"),
    "long-id": spec("x" * 300),
    "wrong-id": fixed64(1, 1),
    "wrong-instrument": number(3, 3),
    "wrong-lifespan": fixed64(4, 4),
    "wrong-selector": number(5, 5),
    "wrong-time": number(17, 5),
    "instrument-empty": spec(instrument=b""),
    "instrument-unknown": spec(instrument=number(77, 1)),
    "instrument-cut": spec(instrument=b"\x0a"),
    "instrument-wrong-custom": spec(instrument=number(5, 1)),
    "tags-a-number": spec(instrument=custom(data(5, "tags"), number(3, 9))),
    "tags-cut": spec(instrument=custom(data(5, "tags"), b"\x2a\x09")),
    "tags-twice": spec(instrument=custom(data(5, "tags"), data(5, "a")) +
                       custom(data(5, "tags"), data(5, "b"))),
    "custom-unknown": spec(instrument=custom(data(5, "nope"), data(5, "a"))),
    "custom-key-a-number": spec(instrument=custom(number(3, 9), data(5, "a"))),
    "custom-nonsense": spec(instrument=data(5, b"\xff")),
    "custom-empty": spec(instrument=data(5, b"") + data(5, data(1, b""))),
    "custom-unknown-field": spec(instrument=data(5, number(9, 9) + data(1, number(9, 9)))),
    "selector-unknown": spec("spec-1", data(5, number(9, 1))),
    "selector-nonsense": spec("spec-1", data(5, b"\xff")),
    "selector-wrong": spec("spec-1", data(5, number(1, 1))),
    "selector-entry": spec("spec-1", data(5, data(1, number(9, 1)))),
    "selector-entry-empty": spec("spec-1", data(5, data(1, b""))),
    "selector-entry-wrong": spec("spec-1", data(5, data(1, number(1, 1) + number(2, 1)))),
    "selector-entry-cut": spec("spec-1", data(5, data(1, b"\x0a\x05"))),
    "selector-many": spec("spec-1", data(5, b"".join(
        data(1, data(1, "k%d" % n) + data(2, "v")) for n in range(40)))),
    "cut": spec()[:-3],
}


# ---- messages ----


def message(kind, payload, fds=0, magic=b"DIAS", major=1, size=None):
    raw = magic + struct.pack("<HHII", major, 0, kind, len(payload) if size is None else size)
    raw += payload
    return bytes([fds]) + struct.pack("<H", len(raw)) + raw


INFO = data(1, UID) + number(2, 42) + data(3, "python3 app.py") + data(4, "3.11.2") + data(5, "0.1")
REPORT = number(1, 1) + data(2, data(1, "spec-1") + number(2, 3) + number(3, 2) + data(4, "shop"))
def status(*fields, spec_id="spec-1"):
    return number(1, 1) + data(2, data(1, spec_id) + b"".join(fields))


# Of each kind one that is fine, one that is newer, one that is wrong.
STATUSES = {
    "all": status(number(2, 3), number(3, 2), data(4, "shop"), data(5, "type-swap"), number(6, 2),
                  number(7, 300), number(8, 1), number(9, 5), data(10, "calls from C"),
                  number(11, 1), number(12, 1), data(13, number(1, 1) + number(2, 6)),
                  data(13, number(1, 3) + number(2, 700))),
    "newer": status(number(3, 99), data(13, number(1, 99) + number(2, 1) + number(3, 1)),
                    data(13, b""), number(100, 7), fixed32(101, 5)),
    "excluded-long": status(data(10, "x" * 513)),
    "excluded-not-utf8": status(data(10, b"\xc3(")),
    "message-nul": status(data(4, b"a\0b")),
    "skips-wrong-type": status(number(13, 1)),
    "skip-wrong-type": status(data(13, data(1, "x"))),
    "skip-nonsense": status(data(13, b"\xff")),
    "number-wrong-type": status(data(11, "x")),
    "largest": status(data(100, "x" * 1938)),
    "too-large": status(data(100, "x" * 1940)),
    "no-id": status(spec_id=""),
    "text-wrong-type": status(number(4, 1)),
    "count-wrong-type": status(fixed64(7, 1)),
    "skip-cut": status(data(13, number(1, 1) + b"\x10")),
    "nonsense": number(1, 1) + data(2, b"\xff"),
    "removed": status(number(3, 5)),
    "wrong-type": number(2, 1),
}
TO_SIDECAR, TO_PROCESS = b"\0", b"\1"
MESSAGES = {
    "hello-and-report": TO_SIDECAR + message(1, INFO) + message(5, REPORT) + message(5, REPORT),
    "hello-with-a-segment": TO_SIDECAR + message(1, INFO, fds=1),
    "hello-twice": TO_SIDECAR + message(1, INFO) + message(1, INFO),
    "hello-bad-uid": TO_SIDECAR + message(1, data(1, "x") + number(2, 1)),
    "hello-no-pid": TO_SIDECAR + message(1, data(1, UID)),
    "hello-long": TO_SIDECAR + message(1, INFO + data(3, "x" * 600)),
    "hello-long-version": TO_SIDECAR + message(1, INFO + data(4, "x" * 100)),
    "hello-nonsense": TO_SIDECAR + message(1, b"\xff\xff"),
    "report-nonsense": TO_SIDECAR + message(5, b"\xff\xff"),
    "short": TO_SIDECAR + b"\0\4\0DIAS",
    "no-bytes": TO_SIDECAR + b"\0\0\0",
    "magic": TO_SIDECAR + message(1, INFO, magic=b"DIAT"),
    "version": TO_SIDECAR + message(1, INFO, major=2),
    "size": TO_SIDECAR + message(1, INFO, size=3),
    "type": TO_SIDECAR + message(77, INFO),
    "descriptors": TO_SIDECAR + message(5, REPORT, fds=2) + message(5, REPORT, fds=4),
    "welcome": TO_PROCESS + message(2, b"", fds=2),
    "welcome-without": TO_PROCESS + message(2, b""),
    "snapshot": TO_PROCESS + message(4, b"", fds=1),
    "snapshot-without": TO_PROCESS + message(4, b""),
    "refused": TO_PROCESS + message(3, b"no room"),
    "not-for-processes": TO_PROCESS + message(1, INFO),
    "nothing": TO_PROCESS,
}


# ---- aggregates ----

TAG = data(7, data(1, "region") + data(2, "eu"))
KEY = data(1, "spec-1") + number(2, 3) + data(3, "name") + TAG


def slot(key=KEY, sequence=2, state=1, generation=1, total=1.5, count=3, scale=0, rescaling=0):
    head = struct.pack("<IIIIQdQddiI", sequence, state, generation, len(key), 10**18, total, count,
                       0.5, 9.0, scale, rescaling)
    return head.ljust(128, b"\0") + key.ljust(640, b"\0")


def histogram(start=-2, end=3, **options):
    head = slot(**options)
    ranges = struct.pack("<iiii", start, end, 0, -1).ljust(64, b"\0")
    return head + ranges + struct.pack("<160Q", *range(160)) + struct.pack("<160Q", *[0] * 160)


def slots(counter=b"", rest=b""):
    return struct.pack("<H", len(counter)) + counter + rest


def times(value):
    return fixed64(4, 10**18) + fixed64(5, 10**18 + 1) + value


BUCKETS = number(1, 3) + data(2, varint(1) + varint(300))
OTLP = number(1, 301) + fixed64(2, 5) + number(3, 4) + number(4, 0) + data(5, BUCKETS)
AGGREGATES = {
    "counter": KEY + times(data(8, fixed64(1, 9) + number(2, 5))),
    "histogram": KEY + times(data(9, OTLP + data(6, BUCKETS) + fixed64(7, 1) + fixed64(8, 2))),
    "overflow": KEY + number(6, 1) + times(data(8, b"")),
    "neither": KEY + times(b""),
    "both": KEY + times(data(8, b"") + data(9, OTLP)),
    "no-key": times(data(8, b"")),
    "not-utf8": data(1, b"\xff") + times(data(8, b"")),
    "many-buckets": KEY + times(data(9, data(5, data(2, b"\1" * 161)))),
    "unpacked-buckets": KEY + times(data(9, data(5, number(2, 1) + number(2, 2)))),
    "bad-scale": KEY + times(data(9, number(3, 99))),
    "wrong-type": KEY + times(number(8, 1)),
    "cut": KEY[:-2],
}
SLOTS = {
    "nothing": slots(),
    "counter": slots(slot()),
    "retired": slots(slot(state=2)),
    "no-such-state": slots(slot(state=9)),
    "odd-sequence": slots(slot(sequence=3)),
    "no-key": slots(slot(key=b"")),
    "key-that-is-none": slots(slot(key=b"\xff" * 100)),
    "key-not-utf8": slots(slot(key=data(1, b"\xff") + TAG)),
    "long-key": slots(slot(key=KEY + TAG * 20)),
    "histogram": slots(slot(), histogram()),
    "empty-histogram": slots(b"", histogram(start=0, end=-1)),
    "wide": slots(b"", histogram(start=-(2**31), end=2**31 - 1)),
    "bad-scale": slots(b"", histogram(scale=21)),
    "rescaling": slots(b"", histogram(sequence=5, rescaling=1)),
}


# ---- AdmissionReviews ----

def pod(annotations=(), **spec):
    spec = dict({"containers": [{"name": "app"}]}, **spec)
    return {"metadata": {"name": "p", "annotations": dict({"diagnose.dev/inject": "true"}, **dict(
        annotations))}, "spec": spec}


def review(object, version="admission.k8s.io/v1", **request):
    request = dict({"uid": "u-1", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "object":
                    object, "operation": "CREATE", "namespace": "shop", "dryRun": True}, **request)
    return {"apiVersion": version, "kind": "AdmissionReview", "request": request}


def app(**more):
    return pod(containers=[dict({"name": "app"}, **more)])


OWNER = {"controller": True, "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "shop-5f6"}
OWNED = pod()
OWNED["metadata"] = {"generateName": "shop-5f6-", "ownerReferences": [{"kind": "X"}, OWNER],
                     "annotations": OWNED["metadata"]["annotations"],
                     "labels": {"pod-template-hash": "5f6"}}
PODS = {
    "plain": pod(),
    "owned": OWNED,
    "annotated-otherwise": pod({"diagnose.dev/inject": "perhaps"}),
    "not-annotated": {"metadata": {}, "spec": {}},
    "no-containers": {"metadata": pod()["metadata"]},
    "chosen": pod({"diagnose.dev/containers": "b, a,a", "diagnose.dev/python": "3.12"},
                  containers=[{"name": "a"}, {"name": "b"}, {"name": "c"}]),
    "chosen-wrong": pod({"diagnose.dev/containers": "x"}, containers=[{"name": "a" * 99}] * 5),
    "chosen-none": pod({"diagnose.dev/containers": ","}),
    "chosen-number": pod({"diagnose.dev/containers": 7}),
    "python-wrong": pod({"diagnose.dev/python": "2"}),
    "windows": pod(nodeSelector={"kubernetes.io/os": "windows"}),
    "unnamed": pod(containers=[{"name": "a"}, {}]),
    "lists": pod(volumes=[{"name": "x"}], initContainers=[{"name": "y"}]),
    "no-lists": pod(volumes="x"),
    "taken": pod(volumes=[{"name": "v"}]),
    "env": app(env=[{"name": "A", "value": "1"}, {"name": "PYTHONPATH", "value": "/a:/b"}],
               volumeMounts=[{"name": "x", "mountPath": "/x"}]),
    "env-empty": app(env=[{"name": "PYTHONPATH", "value": ""}], envFrom=[{"secretRef": {}}]),
    "env-from": app(envFrom=[{"prefix": "X_"}, {"configMapRef": {}}]),
    "value-from": app(env=[{"name": "PYTHONPATH", "valueFrom": {}}]),
    "mounted": app(volumeMounts=[{"name": "other", "mountPath": "/d"}]),
    "injected": pod({"diagnose.dev/injected": "x"}, initContainers=[{"name": "m"}, {"name": "i"}],
                    volumes=[{"name": "v"}],
                    containers=[{"name": "mesh"}, {"name": "app", "volumeMounts": [
                        {"name": "v", "mountPath": "/d"}]}, {"name": "s"}]),
}
REVIEWS = {
    "review": review(pod()),
    "review-beta": review(pod(), version="admission.k8s.io/v1beta1"),
    "review-update": review(pod(), operation="UPDATE"),
    "review-no-uid": review(pod(), uid=7),
    "review-text": "text",
}


def seeds():
    for name, content in list(PODS.items()) + list(REVIEWS.items()):
        yield "fuzz_admission_review", name, json.dumps(content).encode()
    yield "fuzz_admission_review", "review-duplicate", json.dumps(review(pod())).replace(
        '"uid"', '"uid": 1, "uid"').encode()
    for name, content in AGGREGATES.items():
        yield "fuzz_aggregates", "encoded-" + name, b"\1" + content
    for name, content in SLOTS.items():
        yield "fuzz_aggregates", "slots-" + name, b"\0" + content
        yield "fuzz_aggregates", "slots-" + name + "-dead", b"\2" + content
    yield "fuzz_aggregates", "slots-discarded", b"\4" + SLOTS["histogram"]
    yield from (("fuzz_wire", n, c) for n, c in WIRE.items())
    yield from (("fuzz_event_check", n, c) for n, c in EVENTS.items())
    for name, content in RINGS.items():
        yield "fuzz_ring_reader", name, b"\0" + content
        yield "fuzz_ring_reader", name + "-dead", b"\2" + content
        yield "fuzz_ring_reader", name + "-drained", b"\4" + content
        yield "fuzz_ring_reader", name + "-drained-dead", b"\6" + content
    yield "fuzz_ring_reader", "discarded", bytes([64]) + RINGS["events"]
    for flags, name in ((8, "unsealed"), (16, "short"), (32, "pipe")):
        yield "fuzz_ring_reader", name, bytes([flags])
    for name, content in HEADERS.items():
        yield "fuzz_ring_reader", "header-" + name, b"\1" + content
        yield "fuzz_snapshot", "segment-" + name, b"\2" + content
    for name, content in SPECS.items():
        yield "fuzz_snapshot", "spec-" + name, b"\1" + content
        yield "fuzz_snapshot", "snapshot-" + name, (
            b"\0" + number(1, 7) + data(2, content) + data(2, spec("spec-2")) + number(3, 600000))
    yield "fuzz_snapshot", "snapshot-nonsense", b"\0\xff\xff"
    yield "fuzz_snapshot", "snapshot-empty", b"\0"
    yield "fuzz_snapshot", "snapshot-unknown", b"\0" + number(9, 9)
    yield "fuzz_snapshot", "snapshot-wrong-types", b"\0" + fixed64(1, 9)
    yield "fuzz_snapshot", "snapshot-wrong-spec", b"\0" + number(2, 9)
    yield "fuzz_snapshot", "snapshot-wrong-ttl", b"\0" + data(3, "x")
    yield "fuzz_snapshot", "unsealed", b"\3" + number(1, 7)
    yield from (("fuzz_local_socket", n, c) for n, c in MESSAGES.items())
    for name, content in STATUSES.items():
        yield "fuzz_local_socket", "status-" + name, (
            TO_SIDECAR + message(1, INFO) + message(5, content) + message(5, REPORT))


def main():
    for target, name, content in seeds():
        folder = os.path.join(CORPUS, target)
        os.makedirs(folder, exist_ok=True)
        # a PAD drags the rest of the ring along: seeds stay small without it
        if len(content) < 20000:
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content)


if __name__ == "__main__":
    main()
