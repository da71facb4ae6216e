# SPDX-License-Identifier: MIT
"""What a command says about itself: its exit status, and what unittest, test.regrtest or pytest
print about their tests."""
import re
import signal

_RAN = re.compile(r"^Ran (\d+) tests? in ", re.M)
_SUMMARY = re.compile(r"^(OK|FAILED|NO TESTS RAN)(?: \((.*)\))?$", re.M)
_FAILURE = re.compile(r"^((?:FAIL|ERROR|UNEXPECTED SUCCESS): .*)$", re.M)
_PYTEST_FAILURE = re.compile(r"^((?:FAILED|ERROR) [^\s(]+::\S+)", re.M)
_PYTEST_SUMMARY = re.compile(r"^(?:=+ )?((?:\d+ \w+(?:, )?)+) in [\d.]+s", re.M)
_ALTERED = re.compile(r"^(?:Warning -- |\S+ was modified by |.* failed \(env changed\)).*$", re.M)
_COUNT = re.compile(r"(\w[\w ]*?)=(\d+)")
_ADDRESS = re.compile(r"0x[0-9a-f]+")


def describe_status(status):
    if status < 0:
        return "killed by " + signal.Signals(-status).name
    return "exit status %d" % status


class Outcome:
    def __init__(self, status, output, seconds):
        self.status, self.output, self.seconds = status, output, seconds
        self.counts = {}
        self._add("run", sum(map(int, _RAN.findall(output))))
        for _, details in _SUMMARY.findall(output):
            for name, count in _COUNT.findall(details):
                self._add(name, int(count))
        for line in _PYTEST_SUMMARY.findall(output):
            for part in line.split(", "):
                count, name = part.split()
                self._add("run" if name == "passed" else name, int(count))
        self.failures = {_ADDRESS.sub("0x", line) for pattern in
                         (_FAILURE, _PYTEST_FAILURE, _ALTERED) for line in pattern.findall(output)}

    def _add(self, name, count):
        if count:
            self.counts[name] = self.counts.get(name, 0) + count

    def __str__(self):
        counts = ", ".join("%s=%d" % item for item in sorted(self.counts.items()))
        return "%s; tests: %s" % (describe_status(self.status), counts or "none were seen")

    def differences(self, other):
        """What is different in the other one, as lines."""
        lines = []
        if self.status != other.status:
            lines.append("%s, with probes %s" % (describe_status(self.status),
                                                 describe_status(other.status)))
        for name in sorted(self.counts.keys() | other.counts.keys()):
            here, there = self.counts.get(name, 0), other.counts.get(name, 0)
            if here != there:
                lines.append("tests %s: %d, with probes %d" % (name, here, there))
        lines += ["only without probes: " + line for line in sorted(self.failures - other.failures)]
        lines += ["only with probes: " + line for line in sorted(other.failures - self.failures)]
        return lines
