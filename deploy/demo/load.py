#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Customers for the shop: a light, steady loop of requests.

Each customer looks at the products, puts two into a cart, looks at it and checks out. Ends after
--seconds, or at SIGINT or SIGTERM; prints `load: N requests, E errors` and exits with 1 if there
were errors.
"""

import argparse
import http.client
import http.cookies
import json
import random
import signal
import socket
import sys
import threading
import time

REGIONS = ["eu", "us", "uk"]
SKUS = ["tea-green", "tea-black", "pot-clay", "cup-small", "kettle"]
TIMEOUT_SECONDS = 10


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def connect(address: str) -> http.client.HTTPConnection:
    if address.startswith("unix:"):
        return UnixConnection(address[len("unix:") :], TIMEOUT_SECONDS)
    return http.client.HTTPConnection(address, timeout=TIMEOUT_SECONDS)


class Load:
    def __init__(self, address: str, rate: float, stop: threading.Event):
        self.address = address
        self.requests = 0
        self.errors = 0
        self._pause = 1 / rate
        self._stop = stop

    def _exchange(self, cookies: dict, method: str, path: str, body: dict | None) -> None:
        connection = connect(self.address)
        headers = {"Cookie": "; ".join(f"{key}={value}" for key, value in cookies.items())}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(f"{response.status} {answer[:200]!r}")
        received = http.cookies.SimpleCookie(response.getheader("Set-Cookie", ""))
        cookies.update({key: morsel.value for key, morsel in received.items()})

    def _request(self, cookies: dict, method: str, path: str, body: dict | None = None) -> None:
        """One request; anything but a 200 is an error. Where the connection breaks it is sent
        once more, as a proxy would do: the cart is in the cookie, so nothing is bought twice."""
        self.requests += 1
        for is_last in (False, True):
            try:
                self._exchange(cookies, method, path, body)
                break
            except (OSError, http.client.HTTPException) as error:
                print(f"load: {method} {path}: {error!r}", file=sys.stderr, flush=True)
                self.errors += is_last
            except ValueError as error:
                print(f"load: {method} {path}: {error}", file=sys.stderr, flush=True)
                self.errors += 1
                break
        self._stop.wait(self._pause)

    def visit(self) -> None:
        cookies: dict[str, str] = {}
        region = random.choice(REGIONS)
        self._request(cookies, "GET", "/products")
        for sku in random.sample(SKUS, 2):
            item = {"sku": sku, "quantity": random.randint(1, 3), "region": region}
            self._request(cookies, "GET", f"/products/{sku}")
            self._request(cookies, "POST", "/cart/items", item)
        self._request(cookies, "GET", "/cart")
        self._request(cookies, "POST", "/cart/checkout")

    def run(self, seconds: float | None) -> None:
        end = time.monotonic() + seconds if seconds is not None else None
        while not self._stop.is_set() and (end is None or time.monotonic() < end):
            self.visit()


def positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("must be above 0")
    return number


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("address", help="the shop: HOST:PORT or unix:PATH")
    parser.add_argument("--rate", type=positive, default=40, help="requests per second (40)")
    parser.add_argument("--seconds", type=positive, help="how long (until it is interrupted)")
    arguments = parser.parse_args()

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    load = Load(arguments.address, arguments.rate, stop)
    load.run(arguments.seconds)
    print(f"load: {load.requests} requests, {load.errors} errors", flush=True)
    return 1 if load.errors else 0


if __name__ == "__main__":
    sys.exit(main())
