# SPDX-License-Identifier: MIT
"""diagnose-webhook as a process, an HTTPS client for it, and an API server that takes Events."""
import base64
import contextlib
import http.client
import http.server
import json
import os
import queue
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading

import jsonpatch

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from testing.fleet import BIN, ROOT, Program, eventually  # noqa: E402

WEBHOOK = os.path.join(BIN, "deploy", "webhook", "diagnose-webhook")
TEMPLATE = os.path.join(ROOT, "deploy", "kubernetes", "components", "inject", "common", "template")
TEMPLATES = [os.path.join(TEMPLATE, name) for name in ("pod.yaml", "container.yaml")]


def make_certificates(folder):
    subprocess.run([os.path.join(ROOT, "deploy", "certificates"), folder], check=True,
                   capture_output=True)


class Webhook:
    """Runs the program in a temporary folder; `flags` replace or follow the usual ones."""

    def __init__(self, *flags, templates=TEMPLATES, env=None):
        self.folder = tempfile.mkdtemp(prefix="diag.", dir="/tmp")
        self.tls = os.path.join(self.folder, "tls")
        make_certificates(self.tls)
        argv = [WEBHOOK, "--listen=127.0.0.1:0", "--stop-delay=0",
                "--tls-cert=" + os.path.join(self.tls, "server.pem"),
                "--tls-key=" + os.path.join(self.tls, "server.key")]
        argv += ["--template=" + path for path in templates] + list(flags)
        clean = {k: v for k, v in os.environ.items() if not k.startswith("KUBERNETES_")}
        self.program = Program("webhook", argv, os.path.join(self.folder, "webhook.log"),
                               env=dict(clean, **(env or {})))
        self.port = int(eventually(self._address, what="listening").rsplit(":", 1)[1])

    def _address(self):
        if not self.program.is_running():
            raise AssertionError("it ended: " + self.program.log())
        lines = [line for line in self.program.log().splitlines() if " listening on " in line]
        return lines[0] if lines else None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        try:
            if kind is not None:
                print(self.program.log())
            code = self.program.stop()
            assert kind is not None or code == 0, self.program.log()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def context(self, ca="ca.pem"):
        return ssl.create_default_context(cafile=os.path.join(self.tls, ca))

    def connect(self, timeout=20):
        return http.client.HTTPSConnection("localhost", self.port, timeout=timeout,
                                           context=self.context())

    def request(self, method, path, body=None, headers=None):
        """(status, headers, body) by a connection of its own."""
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()

    def post(self, body):
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        return self.request("POST", "/mutate", body, {"Content-Type": "application/json"})

    def answer(self, review):
        """The response of the review, of which everything is checked that all have."""
        status, headers, body = self.post(review)
        assert status == 200, (status, body)
        assert headers["Content-Type"] == "application/json"
        answer = json.loads(body)
        assert set(answer) == {"apiVersion", "kind", "response"}
        assert answer["apiVersion"] in ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")
        assert answer["kind"] == "AdmissionReview"
        response = answer["response"]
        assert response["allowed"] is True
        assert set(response) <= {"uid", "allowed", "patch", "patchType", "warnings"}
        assert ("patch" in response) == ("patchType" in response)
        assert response.get("patchType") in (None, "JSONPatch")
        for warning in response.get("warnings", []):
            assert 0 < len(warning) <= 256 and warning.isprintable() and warning.isascii()
        return response

    def inject(self, pod, **request):
        """The pod as the API server would go on with it, and the warnings."""
        asked = review(pod, **request)
        response = self.answer(asked)
        assert response["uid"] == asked["request"]["uid"]
        if "patch" not in response:
            return pod, response.get("warnings", [])
        operations = json.loads(base64.b64decode(response["patch"], validate=True))
        assert operations
        return (jsonpatch.JsonPatch(operations).apply(pod, in_place=False),
                response.get("warnings", []))


def review(pod, uid="7f0b2891-916f-4ed6-b7cd-27bff1815a8c", **request):
    """An AdmissionReview such as an API server sends."""
    full = {
        "uid": uid,
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
        "requestResource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": "shop",
        "operation": "CREATE",
        "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller",
                     "uid": "a", "groups": ["system:serviceaccounts", "system:authenticated"]},
        "object": pod,
        "oldObject": None,
        "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    }
    full.update(request)
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": full}


class EventServer:
    """Takes what the webhook posts. `answers` is a list of HTTP statuses to give before 201s; with
    `stalls`, it reads requests and answers nothing."""

    def __init__(self, folder, answers=(), stalls=False):
        self.folder = folder
        self.requests = queue.Queue()
        self.answers = list(answers)
        self.released = threading.Event()
        if not stalls:
            self.released.set()
        make_certificates(os.path.join(folder, "tls"))
        self.account = os.path.join(folder, "account")
        os.mkdir(self.account)
        shutil.copy(os.path.join(folder, "tls", "ca.pem"), os.path.join(self.account, "ca.crt"))
        self.write_token("token-1")
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.put((self.path, dict(self.headers), json.loads(body)))
                outer.released.wait(30)
                status = outer.answers.pop(0) if outer.answers else 201
                text = b'{"kind":"Status","message":"answer"}'
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *arguments):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # a client that went away

        self.server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(folder, "tls", "server.pem"),
                                os.path.join(folder, "tls", "server.key"))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def write_token(self, token):
        with open(os.path.join(self.account, "token"), "w") as file:
            file.write(token)

    def env(self):
        return {"KUBERNETES_SERVICE_HOST": "127.0.0.1",
                "KUBERNETES_SERVICE_PORT": str(self.server.server_port)}

    def flags(self):
        return ["--service-account=" + self.account]

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def wait_for_log(webhook, text, timeout=10):
    return eventually(lambda: text in webhook.program.log(), timeout, "\"%s\" in the log" % text)


