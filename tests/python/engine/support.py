# SPDX-License-Identifier: MIT
"""What the tests of the engine share: an engine per test, and its events as Python values."""
import os
import sys
import unittest

import engine_testing
from google.protobuf import descriptor_pb2, message_factory


def _classes():
    files = descriptor_pb2.FileDescriptorSet()
    path = os.path.join(os.path.dirname(engine_testing.__file__), "event.desc")
    with open(path, "rb") as file:
        files.ParseFromString(file.read())
    messages = message_factory.GetMessages(files.file)
    return messages["diagnose.v1.Event"], messages["diagnose.v1.Aggregate"]


Event, Aggregate = _classes()


# Calls of plain functions are seen from inside, unless an expression names args or kwargs.
IS_INSIDE = sys.version_info >= (3, 12)


def outside(value):
    """The same value, of calls that are seen from outside."""
    return f"args is not None and ({value})"


def monitored_events(code):
    """What sys.monitoring is asked for of this code on behalf of probes."""
    if not IS_INSIDE:
        return 0
    tools = [tool for tool in range(6) if sys.monitoring.get_tool(tool) == "diagnose"]
    return sum(sys.monitoring.get_local_events(tool, code) for tool in tools)


class Repr:
    """A value that travelled as its repr()."""

    def __init__(self, type_name, text):
        self.type_name, self.text = type_name, text

    def __eq__(self, other):
        if not isinstance(other, Repr):
            return NotImplemented
        return (self.type_name, self.text) == (other.type_name, other.text)

    def __repr__(self):
        return f"Repr({self.type_name!r}, {self.text!r})"


def to_python(value):
    """A diagnose.v1.Value as what it was, as far as the wire tells."""
    kind = value.WhichOneof("kind")
    if kind == "none":
        return None
    if kind == "list":
        return [to_python(item) for item in value.list.items]
    if kind == "dict":
        return {to_python(entry.key): to_python(entry.value) for entry in value.dict.entries}
    if kind == "repr":
        return Repr(value.repr.type, value.repr.text)
    return getattr(value, kind)


class EngineTest(unittest.TestCase):
    def setUp(self):
        engine_testing.start()
        engine_testing.limit_events(0)
        engine_testing.take_events()
        self._revision = 0

    def tearDown(self):
        engine_testing.stop()

    def apply(self, *specs):
        """Each a dict; ids are numbered, revisions grow."""
        numbered = []
        for i, spec in enumerate(specs):
            self._revision += 1
            numbered.append({"id": f"spec-{i}", "revision": self._revision, **spec})
        engine_testing.apply(numbered)

    def arm(self, target, value="result", **spec):
        self.apply({"target": target, "value": value, **spec})
        self.assertEqual(self.state(), "ARMED", self.status()["message"])

    def status(self, spec_id="spec-0"):
        return engine_testing.statuses()[spec_id]

    def state(self, spec_id="spec-0"):
        return self.status(spec_id)["state"]

    def events(self):
        return [Event.FromString(data) for data in engine_testing.take_events()]

    def values(self):
        events = self.events()
        for event in events:
            self.assertEqual(event.kind, Event.KIND_HIT, event.error)
        return [to_python(event.value) for event in events]

    def aggregates(self):
        """What has changed: {(spec_id, tags): (sum, count)}, tags as "a=1,b=2"."""
        changed = {}
        for key, _, total, count, _ in engine_testing.take_aggregates():
            key = Aggregate.FromString(key)
            tags = ",".join(f"{tag.key}={tag.value}" for tag in key.tags)
            self.assertNotIn((key.spec_id, tags), changed)
            changed[key.spec_id, tags] = (total, count)
        return changed

    def assert_restored(self, *functions):
        for function in functions:
            self.assertIs(type(function), type(lambda: None))
            self.assertEqual(monitored_events(function.__code__), 0)
