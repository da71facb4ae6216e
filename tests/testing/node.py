# SPDX-License-Identifier: MIT
"""A node of a cluster: plays pods by podman, each in a network namespace with an address of its own.

    with Node() as node:
        node.load("/tmp/images/demo.tar")
        pod = node.play(manifest, secrets={}, hosts={})
        pod.address, pod.pid("web"), pod.logs("web")

Nothing of the machine's own containers is touched: images, containers and their state are in a
temporary folder, and the network is one that only this thread and what it starts sees. Needs root.
"""
import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile

import yaml

from testing import pods
from testing.fleet import eventually

CNI_PLUGINS = "/usr/lib/cni"
_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1

# runc as crun refuses some layouts of cgroups; no systemd; limits that may be given where ours are
# lower than podman's.
_CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "cni"
network_config_dir = "%s"
cni_plugin_dirs = ["%s"]
default_network = "pods"
"""


class Unavailable(Exception):
    """Pods cannot be played on this machine; the text says why."""


def check():
    """Raises Unavailable if something is missing that every pod needs."""
    if os.geteuid() != 0:
        raise Unavailable("only root can play pods")
    for program in ("podman", "runc", "catatonit"):
        if not (shutil.which(program) or os.path.exists("/usr/libexec/podman/" + program)):
            raise Unavailable(program + " is not installed")
    if not os.path.exists(CNI_PLUGINS + "/bridge"):
        raise Unavailable(CNI_PLUGINS + "/bridge is not installed")


class _Network:
    """Moves this thread into a network of its own, and back."""

    def __init__(self):
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._former = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        if self._libc.unshare(_CLONE_NEWNET) != 0:
            os.close(self._former)
            raise Unavailable("no new network: " + os.strerror(ctypes.get_errno()))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            request = struct.pack("16sH14x", b"lo", 0)
            flags = struct.unpack("16sH14x", fcntl.ioctl(control, _SIOCGIFFLAGS, request))[1]
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))

    def leave(self):
        if self._libc.setns(self._former, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        os.close(self._former)


class Node:
    def __init__(self):
        check()
        self.folder = tempfile.mkdtemp(prefix="diag.", dir="/tmp")
        self.pods = []
        self._network = None
        self._environment = dict(os.environ, CONTAINERS_CONF=self._write_configuration())

    def __enter__(self):
        try:
            self._network = _Network()
        except BaseException:
            shutil.rmtree(self.folder)
            raise
        return self

    def __exit__(self, kind, value, traceback):
        try:
            self.podman("pod", "rm", "--all", "--force", "--time=1", must_succeed=False)
            self.podman("rm", "--all", "--force", "--time=1", must_succeed=False)
        finally:
            self._network.leave()
            self._unmount()
            shutil.rmtree(self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def _write_configuration(self):
        os.mkdir(self.path("networks"))
        with open(self.path("networks/pods.conflist"), "w") as file:
            json.dump({"cniVersion": "0.4.0", "name": "pods", "plugins": [{
                "type": "bridge", "bridge": "pods", "isGateway": True,
                "ipam": {"type": "host-local", "dataDir": self.path("addresses"),
                         "ranges": [[{"subnet": "10.244.0.0/24"}]]},
            }]}, file)
        with open(self.path("containers.conf"), "w") as file:
            file.write(_CONTAINERS_CONF % (self.path("networks"), CNI_PLUGINS))
        return self.path("containers.conf")

    def _unmount(self):
        with open("/proc/self/mountinfo") as file:
            points = [line.split()[4] for line in file]
        for point in sorted(points, reverse=True):
            if point.startswith(self.folder + "/"):
                subprocess.run(["umount", "--lazy", point], check=False)

    def podman(self, *arguments, must_succeed=True, timeout=120):
        result = subprocess.run(
            ["podman", "--root", self.path("root"), "--runroot", self.path("run"),
             "--tmpdir", self.path("tmp")] + list(arguments),
            env=self._environment, capture_output=True, text=True, timeout=timeout)
        if must_succeed and result.returncode != 0:
            raise AssertionError("podman %s: %s" % (" ".join(arguments), result.stderr.strip()))
        return result

    def load(self, archive):
        self.podman("load", "--quiet", "--input", archive)

    def play(self, pod, secrets=(), hosts=()):
        """Plays a Pod of a cluster (see pods.py), and returns when its init containers have ended and
        its containers are started."""
        name = pod["metadata"]["name"]
        folder = self.path(pod["metadata"]["uid"])
        os.makedirs(folder)
        manifest = pods.prepare(pod, os.path.join(folder, "volumes"), dict(secrets), dict(hosts))
        with open(os.path.join(folder, "pod.yaml"), "w") as file:
            yaml.safe_dump(manifest, file)
        played = PlayedPod(self, name, pod, folder)
        self.pods.append(played)
        self.podman("kube", "play", "--network=pods", file.name)
        return played


class PlayedPod:
    def __init__(self, node, name, manifest, folder):
        self.node = node
        self.name = name
        self.manifest = manifest
        self.folder = folder

    def _inspect(self, container, template):
        return self.node.podman("inspect", "--format", template,
                                "%s-%s" % (self.name, container)).stdout.strip()

    @property
    def address(self):
        infra = self.node.podman("pod", "inspect", "--format", "{{.InfraContainerID}}",
                                 self.name).stdout.strip()
        networks = json.loads(self.node.podman(
            "inspect", "--format", "{{json .NetworkSettings.Networks}}", infra).stdout)
        return networks["pods"]["IPAddress"]

    def volume(self, name):
        return os.path.join(self.folder, "volumes", name)

    def pid(self, container):
        """Of the container's first process, as this machine sees it; 0: it does not run."""
        return int(self._inspect(container, "{{.State.Pid}}"))

    def exit_code(self, container):
        return int(self._inspect(container, "{{.State.ExitCode}}"))

    def restart_count(self, container):
        return int(self._inspect(container, "{{.RestartCount}}"))

    def logs(self, container):
        result = self.node.podman("logs", "%s-%s" % (self.name, container))
        return result.stdout + result.stderr

    def kill(self, container):
        """kill -9 of the container's first process, and so of all; waits until it runs again."""
        former = self.pid(container)
        os.kill(former, signal.SIGKILL)
        eventually(lambda: self.pid(container) not in (0, former), 20,
                   "the restart of %s in %s" % (container, self.name))

    def stop(self):
        with contextlib.suppress(ValueError):
            self.node.pods.remove(self)
        self.node.podman("pod", "rm", "--force", "--time=5", self.name)

    def print_logs(self):
        for container in pods.all_containers(self.manifest):
            print("--- %s in %s\n%s" % (container["name"], self.name,
                                        self.logs(container["name"])[-4000:]))
