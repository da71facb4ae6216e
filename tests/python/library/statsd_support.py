# SPDX-License-Identifier: MIT
"""What the tests of the type StatsD share."""
import os
import socket
import unittest

from diagnose.instruments import StatsD

PATIENCE = 10.0
VARIABLES = ("DD_AGENT_HOST", "DD_DOGSTATSD_PORT", "DD_DOGSTATSD_URL")


class Receiver:
    """A socket that takes datagrams."""

    def __init__(self, family=socket.AF_INET, address=("127.0.0.1", 0)):
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.settimeout(PATIENCE)
        self.socket.bind(address)

    @property
    def port(self):
        return self.socket.getsockname()[1]

    def datagram(self):
        return self.socket.recv(65536).decode()

    def is_empty(self):
        self.socket.setblocking(False)
        try:
            return not self.socket.recv(65536)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)

    def close(self):
        self.socket.close()


class StatsDTest(unittest.TestCase):
    def setUp(self):
        for variable in VARIABLES:
            os.environ.pop(variable, None)
        self.receiver = Receiver()
        self.addCleanup(self.receiver.close)
        self.statsd = self.make()

    def make(self, cls=StatsD, **arguments):
        return cls("127.0.0.1", self.receiver.port, **arguments)

    def counts(self, statsd=None):
        statsd = statsd or self.statsd
        return statsd.sent, statsd.dropped, statsd.failed
