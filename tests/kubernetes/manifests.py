# SPDX-License-Identifier: MIT
"""Renders and checks manifests, with tools that npm has: used by the tests of this folder."""
import copy
import functools
import json
import os
import shutil
import subprocess
import tempfile

import pytest
import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(ROOT, "tests", "kubernetes")
KUBERNETES = os.path.join(ROOT, "deploy", "kubernetes")
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "diagnose")

# Schemas of Kubernetes 1.35 and of cert-manager.
MODELS = ["kubernetes-models@5.1.0", "@kubernetes-models/cert-manager@6.0.0"]

_UNAVAILABLE = 69  # of tests/kubernetes/kubectl


@functools.cache
def kubectl_or_reason():
    """The path of kubectl, and None; or None, and why there is none."""
    path = os.path.join(HERE, "kubectl")
    result = subprocess.run([path, "version", "--client"], capture_output=True, text=True)
    if result.returncode == _UNAVAILABLE:
        return None, result.stderr.strip()
    assert result.returncode == 0, result.stderr
    return path, None


@functools.cache
def models_or_reason():
    """The node_modules folder with the schemas, and None; or None, and why there is none."""
    if not shutil.which("npm") or not shutil.which("node"):
        return None, "there is no npm, or no node"
    folder = os.path.join(CACHE, "models-" + "-".join(m.rpartition("@")[2] for m in MODELS))
    modules = os.path.join(folder, "node_modules")
    if not os.path.isdir(modules):
        os.makedirs(CACHE, exist_ok=True)
        made = tempfile.mkdtemp(dir=CACHE)
        try:
            result = subprocess.run(
                ["npm", "install", "--prefix", made, "--no-audit", "--no-fund", "--ignore-scripts"]
                + MODELS,
                capture_output=True, text=True,
            )
            if result.returncode != 0:
                return None, "npm install %s: %s" % (" ".join(MODELS), result.stderr.strip()[-300:])
            os.rename(made, folder)
        except OSError as error:
            if not os.path.isdir(modules):  # else somebody else was quicker
                return None, str(error)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return modules, None


def build(folder):
    """What `kubectl kustomize` makes of a folder: its exit code, output and errors."""
    path, reason = kubectl_or_reason()
    if path is None:
        pytest.skip(reason)
    return subprocess.run([path, "kustomize", folder], capture_output=True, text=True)


@functools.cache
def _rendered(folder):
    result = build(folder)
    assert result.returncode == 0, result.stderr
    return result.stdout


def render(folder):
    """The manifests of a kustomization, as a list of dicts."""
    return [manifest for manifest in yaml.safe_load_all(_rendered(folder)) if manifest]


def write_overlay(folder, resources=(), components=(), files=None, **fields):
    """A kustomization in `folder` of what is below deploy/kubernetes, and of files of its own."""
    os.makedirs(folder, exist_ok=True)
    for name, text in (files or {}).items():
        with open(os.path.join(folder, name), "w") as file:
            file.write(text)
    here = functools.partial(os.path.relpath, start=os.path.realpath(folder))
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [here(os.path.join(KUBERNETES, name)) for name in resources] + list(files or ()),
        "components": [here(os.path.join(KUBERNETES, "components", name)) for name in components],
        **fields,
    }
    with open(os.path.join(folder, "kustomization.yaml"), "w") as file:
        yaml.safe_dump(kustomization, file, sort_keys=False)
    return folder


def schema_errors(manifests):
    """For each manifest a list of texts: what the API's schemas say, unknown fields included."""
    modules, reason = models_or_reason()
    if modules is None:
        pytest.skip(reason)
    result = subprocess.run(
        ["node", os.path.join(HERE, "schemas.mjs"), modules],
        input=json.dumps(manifests), capture_output=True, text=True,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def name_of(manifest):
    return "%s/%s" % (manifest["kind"], manifest["metadata"]["name"])


def pod_template(manifest):
    """The pod (template) of a workload: metadata and spec; None for other kinds."""
    if manifest["kind"] == "Pod":
        return manifest
    if manifest["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet"):
        return manifest["spec"]["template"]
    return None


def find(manifests, kind, name=None):
    found = [m for m in manifests if m["kind"] == kind and name in (None, m["metadata"]["name"])]
    assert len(found) == 1, (kind, name, [name_of(m) for m in manifests])
    return found[0]


def set_field(manifest, path, value):
    """A copy with another value of the field at a path such as spec/containers/0/image."""
    manifest = copy.deepcopy(manifest)
    at = manifest
    *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    for part in parents:
        at = at.setdefault(part, {}) if isinstance(at, dict) else at[part]
    at[last] = value
    return manifest
