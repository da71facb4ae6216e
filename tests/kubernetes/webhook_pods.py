# SPDX-License-Identifier: MIT
"""Pods as an API server sends them to the webhook, and what is to be true of those that come back."""
import copy
import re

import yaml

from webhook_testing import TEMPLATES

BOOTSTRAP = "/opt/diagnose/diagnose/_bootstrap"
LOCAL_VOLUMES = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"


def load(path):
    with open(path) as file:
        return yaml.safe_load(file)


POD_TEMPLATE = load(TEMPLATES[0])["spec"]["template"]
CONTAINER_TEMPLATE = load(TEMPLATES[1])["template"]["spec"]["containers"][0]


def pod(annotations=None, name="shop", **spec):
    """What an API server sends of a Deployment's pod, with the defaults that it has set."""
    full = {
        "containers": [container("web")],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "securityContext": {},
        "volumes": [{"name": "kube-api-access", "projected": {"sources": []}}],
    }
    full.update(spec)
    metadata = {"annotations": {"diagnose.dev/inject": "true"}, "labels": {"app": "shop"}}
    metadata["annotations"].update(annotations or {})
    if name:
        metadata["name"] = name
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": full, "status": {}}


def container(name, **more):
    return dict({"name": name, "image": "shop:1", "resources": {}, "volumeMounts": [
        {"name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"},
    ]}, **more)


def owned(annotations=None, **spec):
    """A pod of a Deployment, which has no name yet."""
    made = pod(annotations, name=None, **spec)
    made["metadata"].update({
        "generateName": "shop-6c5f8b7d9-",
        "labels": {"app": "shop", "pod-template-hash": "6c5f8b7d9"},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "controller": True,
                             "name": "shop-6c5f8b7d9", "uid": "8f6d"}],
    })
    return made


def of_job(name):
    made = pod(name=None)
    made["metadata"].update({
        "generateName": name + "-",
        "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "controller": True,
                             "name": name, "uid": "8f6d"}],
    })
    return made


def required_affinity(*expressions):
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchExpressions": list(expressions)}]}}}


def unannotated():
    made = pod()
    del made["metadata"]["annotations"]
    return made


def env_of(container):
    """Name to value or valueFrom; names come once."""
    env = container.get("env", [])
    assert len({variable["name"] for variable in env}) == len(env)
    return {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in env}


def check_pod(before, after, chosen, python_path=None, workload=""):
    """That `after` is `before` and the template's, and nothing else."""
    spec = after["spec"]
    names = [c["name"] for c in spec["initContainers"]]
    assert names == (["diagnose-inject", "diagnose-sidecar"]
                     + [c["name"] for c in before["spec"].get("initContainers") or []])
    all_names = names + [c["name"] for c in spec["containers"]]
    assert len(set(all_names)) == len(all_names)
    volumes = [v["name"] for v in spec["volumes"]]
    assert len(set(volumes)) == len(volumes)
    sidecar = spec["initContainers"][1]
    assert sidecar["restartPolicy"] == "Always" and "startupProbe" not in sidecar
    assert env_of(sidecar)["DIAGNOSE_CONTAINER"] == chosen[0]
    assert env_of(sidecar)["DIAGNOSE_WORKLOAD"] == workload
    for injected in spec["initContainers"][:2]:
        check_restricted(injected)
    for c in spec["initContainers"] + spec["containers"]:
        paths = [mount["mountPath"] for mount in c.get("volumeMounts", [])]
        assert len(set(paths)) == len(paths)
        assert {mount["name"] for mount in c.get("volumeMounts", [])} <= set(volumes)
        expanded = {name for text in c.get("args", []) for name in re.findall(r"\$\((\w+)\)", text)}
        if c["name"].startswith("diagnose-"):
            assert expanded <= set(env_of(c))
    check_annotations(before, after)
    for c in spec["containers"]:
        if c["name"] in chosen:
            env = env_of(c)
            assert env["PYTHONPATH"] == (python_path or BOOTSTRAP)
            assert env["DIAGNOSE_SOCKET"] == "/run/diagnose/diagnose.sock"
            assert env["DIAGNOSE_CONTAINER"] == c["name"]
            mounts = {m["mountPath"]: m for m in c["volumeMounts"]}
            assert mounts["/opt/diagnose"]["readOnly"] is True
            assert "/run/diagnose" in mounts
    assert without_ours(after, chosen, before) == without_ours(before, chosen, before)


def check_annotations(before, after):
    """That the template's are there, but for the pod's own, to whose volumes only they are added."""
    before = before["metadata"]["annotations"]
    after = after["metadata"]["annotations"]
    assert after["diagnose.dev/injected"]
    for key, value in POD_TEMPLATE["metadata"]["annotations"].items():
        if key == LOCAL_VOLUMES and key in before:
            volumes = before[key].split(",")
            volumes += [volume for volume in value.split(",") if volume not in volumes]
            assert after[key] == ",".join(volumes)
        else:
            assert after[key] == before.get(key, value)


def check_restricted(container):
    """What the restricted Pod Security Standard wants of a container."""
    context = container["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["runAsNonRoot"] is True and context["runAsUser"] > 0
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert context["readOnlyRootFilesystem"] is True
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    assert "memory" in container["resources"]["limits"]


def without_ours(pod, chosen, before):
    """The pod less what the template brings, and less the PYTHONPATH of the chosen containers."""
    pod = copy.deepcopy(pod)
    spec = pod["spec"]
    ours = {v["name"] for v in POD_TEMPLATE["spec"]["volumes"]}
    for key in POD_TEMPLATE["metadata"]["annotations"]:
        pod["metadata"]["annotations"].pop(key, None)
    spec["volumes"] = [v for v in spec.get("volumes") or [] if v["name"] not in ours]
    spec["initContainers"] = [c for c in spec.get("initContainers") or []
                              if not c["name"].startswith("diagnose-")]
    ours = {variable["name"] for variable in CONTAINER_TEMPLATE["env"]}
    for c in spec["containers"]:
        if c["name"] in chosen:
            c["env"] = [v for v in c.get("env") or [] if v["name"] not in ours]
            c["volumeMounts"] = [m for m in c.get("volumeMounts") or []
                                 if m["mountPath"] not in ("/opt/diagnose", "/run/diagnose")]
    return pod
