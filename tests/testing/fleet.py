# SPDX-License-Identifier: MIT
"""A fleet of real programs in a short temporary folder, for integration tests and benchmarks.

    with Fleet() as fleet:
        fleet.start_controller()
        fleet.start_sidecar()
        app = fleet.start_app("app.py", SOURCE)
        fleet.apply(spec("x", "app.f", "elapsed"))
"""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("DIAGNOSE_BIN", os.path.join(ROOT, "bazel-bin"))
PACKAGE = os.path.join(BIN, "inproc", "diagnose", "package")
PYTHON = "/usr/bin/python3"


def eventually(check, timeout=10.0, what="it"):
    """Polls `check` until it gives something true, and returns that."""
    deadline = time.monotonic() + timeout
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError("%s did not happen within %g s" % (what, timeout))
        time.sleep(0.01)


def spec(id, target, value, event="return", lifespan=10, **instrument):
    """A manifest as a dict."""
    body = {"type": "log", "name": id, "value": value, "event": event}
    body.update(instrument)
    return {"id": id, "target": target, "instrument": body, "lifespan": lifespan}


class Program:
    """A process with its output in a file."""

    def __init__(self, name, argv, log, env=None, stdin=None):
        self.name = name
        self.log_path = log
        with open(log, "ab") as file:
            self.process = subprocess.Popen(
                argv,
                stdout=file,
                stderr=file,
                stdin=stdin or subprocess.DEVNULL,
                env=env,
                start_new_session=True,
            )
        self.pid = self.process.pid

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def is_running(self):
        return self.process.poll() is None

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        return self.process.wait(20)

    def stop(self, timeout=10.0):
        """TERM, and the exit code; KILL when it does not listen."""
        if self.is_running():
            self.process.terminate()
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError("%s did not end on SIGTERM:\n%s" % (self.name, self.log()))


class Fleet:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="diag.", dir="/tmp")
        self.programs = []
        self.port = 0
        self.controller_flags = []
        self.ctl_flags = []

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        try:
            if kind is not None:
                self.print_logs()
            errors = []
            for program in reversed(self.programs):
                try:
                    program.stop()
                except AssertionError as error:
                    errors.append(str(error))
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(program.pid, signal.SIGKILL)
            if errors and kind is None:
                raise AssertionError("\n".join(errors))
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def print_logs(self):
        for program in self.programs:
            print("--- %s (pid %d)\n%s" % (program.name, program.pid, program.log()[-4000:]))

    def path(self, name):
        return os.path.join(self.folder, name)

    @property
    def socket(self):
        return self.path("d.sock")

    @property
    def server(self):
        return "127.0.0.1:%d" % self.port

    def start(self, name, argv, env=None):
        log = self.path("%s-%d.log" % (name, len(self.programs)))
        program = Program(name, argv, log, env)
        self.programs.append(program)
        return program

    def start_controller(self, *flags, wait=True):
        """Restarts keep the port and the database."""
        port_file = self.path("port")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(port_file)
        argv = [os.path.join(BIN, "controller", "diagnose-controller")]
        argv += ["--listen", "127.0.0.1:%d" % self.port, "--database", self.path("d.db")]
        argv += ["--port-file", port_file] + list(flags) + self.controller_flags
        controller = self.start("controller", argv)
        if wait:
            eventually(
                lambda: os.path.exists(port_file) or not controller.is_running(),
                what="the controller's start",
            )
            assert controller.is_running(), controller.log()
            with open(port_file) as file:
                self.port = int(file.read())
        return controller

    def start_sidecar(self, *flags, wait=True):
        argv = [os.path.join(BIN, "sidecar", "diagnose-sidecar")]
        argv += ["--controller", self.server, "--socket", self.socket] + list(flags)
        sidecar = self.start("sidecar", argv)
        if wait:
            eventually(
                lambda: os.path.exists(self.socket) or not sidecar.is_running(),
                what="the sidecar's socket",
            )
            assert sidecar.is_running(), sidecar.log()
        return sidecar

    def app_environment(self, **extra):
        env = {key: value for key, value in os.environ.items() if not key.startswith("DIAGNOSE_")}
        env["PYTHONPATH"] = PACKAGE
        env["DIAGNOSE_SOCKET"] = self.socket
        env["PYTHONUNBUFFERED"] = "1"
        env.update(extra)
        return env

    def run_argv(self, *argv, python=PYTHON):
        return [python, "-m", "diagnose", "run", "--"] + list(argv)

    def write(self, name, text):
        path = self.path(name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def start_app(self, name, source, *argv, env=None, python=PYTHON):
        """Runs Python source, instrumented, its folder first on sys.path."""
        path = self.write(name, source)
        return self.start(
            name,
            self.run_argv(python, path, *argv, python=python),
            env or self.app_environment(),
        )

    # diagnosectl

    def ctl(self, *arguments, input=None, timeout=30, server=None):
        return subprocess.run(
            [os.path.join(BIN, "ctl", "diagnosectl"), "--server", server or self.server]
            + self.ctl_flags
            + list(arguments),
            input=input,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def ctl_json(self, *arguments):
        result = self.ctl(*arguments, "-o", "json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def apply(self, *specs):
        for one in specs:
            result = self.ctl("apply", "-f", "-", input=json.dumps(one))
            assert result.returncode == 0, result.stderr

    def start_events(self, *arguments):
        """A running `diagnosectl events -o json`; its lines appear in events()."""
        program = self.start(
            "events",
            [os.path.join(BIN, "ctl", "diagnosectl"), "--server", self.server]
            + self.ctl_flags
            + ["events", "-o", "json"]
            + list(arguments),
        )
        return program

    # the API, by a client generated from proto/

    def channel(self):
        import grpc

        # a pool of its own: no connection, and no backoff, of an earlier controller's
        return grpc.insecure_channel(self.server, [("grpc.use_local_subchannel_pool", 1)])

    def wait_armed(self, id, count, timeout=10.0):
        """Waits until exactly `count` processes have the spec ARMED; returns the description."""
        api = Api(self.channel())
        try:

            def check():
                reply = api.get(id)
                armed = [p for p in reply.processes if p.status.state == 2]
                return reply if len(armed) == count else None

            return eventually(check, timeout, "%s armed in %d processes" % (id, count))
        finally:
            api.close()

    def wait_state(self, id, state, count=1, timeout=10.0):
        api = Api(self.channel())
        try:

            def check():
                reply = api.get(id)
                found = [p.status for p in reply.processes if p.status.state == state]
                return found if len(found) == count else None

            return eventually(check, timeout, "%s in state %d" % (id, state))
        finally:
            api.close()


class Api:
    """The public services by python3-grpcio, with messages generated from proto/."""

    _generated = None

    @classmethod
    def messages(cls):
        """The generated modules; generates them once per process."""
        if cls._generated is None:
            folder = tempfile.mkdtemp(prefix="diag-proto.")
            proto = os.path.join(ROOT, "proto")
            names = sorted(os.listdir(os.path.join(proto, "diagnose", "v1")))
            files = ["diagnose/v1/" + name for name in names if name.endswith(".proto")]
            subprocess.run(
                ["protoc", "-I" + proto, "--python_out=" + folder]
                + files
                + ["grpc/health/v1/health.proto"],
                check=True,
            )
            sys.path.insert(0, folder)
            try:
                import importlib

                cls._generated = {}
                for name in files:
                    module = importlib.import_module(name[: -len(".proto")].replace("/", ".") + "_pb2")
                    cls._generated.update(vars(module))
            finally:
                sys.path.remove(folder)
                shutil.rmtree(folder, ignore_errors=True)
        return cls._generated

    def __init__(self, channel):
        self._channel = channel
        self.types = self.messages()

    def close(self):
        self._channel.close()

    def unary(self, service, method, request, timeout=10):
        call = self._channel.unary_unary(
            "/diagnose.v1.%s/%s" % (service, method),
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=self.types[method + "Response"].FromString,
        )
        return call(request, timeout=timeout, wait_for_ready=True)

    def get(self, id):
        return self.unary("Specs", "Get", self.types["GetRequest"](id=id))

    def list(self):
        return self.unary("Specs", "List", self.types["ListRequest"]())

    def apply(self, **fields):
        request = self.types["ApplyRequest"]()
        instrument = fields.pop("instrument")
        for name, value in fields.items():
            setattr(request.spec, name, value)
        for name, value in instrument.items():
            setattr(request.spec.instrument, name, value)
        return self.unary("Specs", "Apply", request)

    def delete(self, id):
        return self.unary("Specs", "Delete", self.types["DeleteRequest"](id=id))

    def processes(self):
        return self.unary("Fleet", "ListProcesses", self.types["ListProcessesRequest"]())

    def subscribe(self, *ids):
        """A stream of SubscribeResponse; the first one has `started`."""
        call = self._channel.unary_stream(
            "/diagnose.v1.Events/Subscribe",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=self.types["SubscribeResponse"].FromString,
        )
        return call(self.types["SubscribeRequest"](spec_ids=ids), wait_for_ready=True)


def plain_value(value):
    """A diagnose.v1.Value as a Python object; reprs as their text."""
    kind = value.WhichOneof("kind")
    if kind == "none":
        return None
    if kind == "list":
        return [plain_value(item) for item in value.list.items]
    if kind == "dict":
        return {
            plain_value(entry.key): plain_value(entry.value) for entry in value.dict.entries
        }
    if kind == "repr":
        return value.repr.text
    return getattr(value, kind)


def events_of(stream):
    """Flattens a subscription into (batch, event) pairs, from after `started` on."""
    for response in stream:
        for batch in response.batches:
            for event in batch.events:
                yield batch, event
