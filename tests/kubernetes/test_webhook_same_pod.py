# SPDX-License-Identifier: MIT
"""The webhook and the Kustomize component give the same pod: the same Deployment, once with the
component, and once with the annotation by way of the webhook."""
import copy
import os

import pytest
import yaml

import manifests
from webhook_testing import Webhook

HASH = "6c5f8b7d9"


def by_component(folder, deployment, component):
    """The pod template that the component makes of the Deployment's."""
    manifests.write_overlay(str(folder), components=[component],
                            files={"app.yaml": yaml.safe_dump(deployment)})
    return manifests.find(manifests.render(str(folder)), "Deployment")["spec"]["template"]


def by_webhook(webhook, deployment):
    """What becomes of the pod that the controllers of the Deployment make, less what they add."""
    template = copy.deepcopy(deployment["spec"]["template"])
    metadata = template["metadata"]
    metadata.setdefault("labels", {})["pod-template-hash"] = HASH
    metadata.setdefault("annotations", {})["diagnose.dev/inject"] = "true"
    name = "%s-%s" % (deployment["metadata"]["name"], HASH)
    metadata["generateName"] = name + "-"
    metadata["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name,
                                    "uid": "1", "controller": True, "blockOwnerDeletion": True}]
    pod, warnings = webhook.inject(dict(template, apiVersion="v1", kind="Pod"))
    assert warnings == []
    for key in ("generateName", "ownerReferences"):
        del pod["metadata"][key]
    del pod["metadata"]["labels"]["pod-template-hash"]
    del pod["metadata"]["annotations"]["diagnose.dev/inject"]
    return {"metadata": pod["metadata"], "spec": pod["spec"]}


def by_name(items, key="name"):
    assert len({item[key] for item in items}) == len(items)
    return {item[key]: item for item in items}


def comparable(template):
    """The pod without the order of what has none for Kubernetes: volumes, mounts, and variables of
    which none refers to another. The order of init containers, and of containers, counts."""
    template = copy.deepcopy(template)
    spec = template["spec"]
    spec["volumes"] = by_name(spec["volumes"])
    for container in spec["initContainers"] + spec["containers"]:
        env = container.get("env", [])
        assert not any("$(" in variable.get("value", "") for variable in env)
        container["env"] = by_name(env)
        container["volumeMounts"] = by_name(container.get("volumeMounts", []), "mountPath")
    return template


def shop():
    with open(os.path.join(manifests.KUBERNETES, "examples", "shop", "app", "shop.yaml")) as file:
        return manifests.find(list(yaml.safe_load_all(file)), "Deployment")


def changed(change):
    deployment = shop()
    change(deployment["spec"]["template"])
    return deployment


def add_init_containers(template):
    template["spec"]["initContainers"] = [
        {"name": "migrate", "image": "i", "env": [{"name": "A", "value": "1"}]},
        {"name": "proxy", "image": "i", "restartPolicy": "Always"}]


def add_container(template):
    template["spec"]["containers"].append({"name": "log", "image": "i", "env": [
        {"name": "PYTHONPATH", "value": "/other"}]})


def add_env(template):
    template["spec"]["containers"][0]["env"] = [
        {"name": "A", "value": "1"},
        {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]


def set_python_path(template):
    template["spec"]["containers"][0]["env"] = [{"name": "A", "value": "1"},
                                                {"name": "PYTHONPATH", "value": "/app:/lib"}]


def strip(template):
    template["spec"] = {"containers": [{"name": "app", "image": "i"}]}


def annotate(template):
    template["metadata"]["annotations"] = {
        "resource.opentelemetry.io/service.name": "shop", "diagnose.dev/python": "3.12"}


CASES = [
    ("the shop", shop(), "inject"),
    ("init containers", changed(add_init_containers), "inject"),
    ("two containers", changed(add_container), "inject"),
    ("env", changed(add_env), "inject"),
    ("next to nothing", changed(strip), "inject"),
    ("annotations", changed(annotate), "inject"),
    ("PYTHONPATH", changed(set_python_path), "inject-pythonpath"),
]


@pytest.mark.parametrize("deployment,component", [case[1:] for case in CASES],
                         ids=[case[0] for case in CASES])
def test_same_pod(webhook, tmp_path, deployment, component):
    one = by_component(tmp_path, deployment, component)
    other = by_webhook(webhook, deployment)
    assert comparable(one) == comparable(other)
    # and a pod that the component has made is complete for the webhook
    made = copy.deepcopy(one)
    made["metadata"].setdefault("annotations", {})["diagnose.dev/inject"] = "true"
    again, warnings = webhook.inject(made)
    assert again is made and warnings == []


def test_the_classic_sidecar_is_enough(webhook):
    folder = os.path.join(manifests.KUBERNETES, "examples", "shop-classic")
    pod = manifests.find(manifests.render(folder), "Deployment")["spec"]["template"]
    assert "diagnose-sidecar" in [c["name"] for c in pod["spec"]["containers"]]
    made = copy.deepcopy(pod)
    made["metadata"].setdefault("annotations", {})["diagnose.dev/inject"] = "true"
    again, warnings = webhook.inject(made)
    assert again is made and warnings == []


def webhook_deployment():
    folder = os.path.join(manifests.KUBERNETES, "examples", "cluster")
    return manifests.find(manifests.render(folder), "Deployment", "diagnose-webhook")


def test_images_of_the_overlay_reach_the_injected_containers():
    """By Kustomize's `images:`, the webhook's annotations, its variables and --image."""
    template = webhook_deployment()["spec"]["template"]
    (container,) = template["spec"]["containers"]
    flags = [flag for flag in container["args"] if flag.startswith("--image")]
    for variable in container["env"]:
        key = variable["valueFrom"]["fieldRef"]["fieldPath"].split("'")[1]
        value = template["metadata"]["annotations"][key]
        flags = [flag.replace("$(%s)" % variable["name"], value) for flag in flags]
    with Webhook(*flags) as webhook:
        pod = by_webhook(webhook, shop())
    images = [c["image"] for c in pod["spec"]["initContainers"]]
    assert len(images) == 2
    assert all(image.startswith("registry.example.com/diagnose/") for image in images)


def test_flags_of_the_manifest():
    """The webhook starts by the very flags of its Deployment, but for its files and address."""
    (container,) = webhook_deployment()["spec"]["template"]["spec"]["containers"]
    replaced = ("--listen=", "--tls-cert=", "--tls-key=", "--template=", "--image=")
    assert all(any(flag.startswith(name) for flag in container["args"]) for name in replaced)
    rest = [flag for flag in container["args"] if not flag.startswith(replaced)]
    with Webhook(*rest) as webhook:
        for probe in ("readinessProbe", "livenessProbe"):
            get = container[probe]["httpGet"]
            assert get["scheme"] == "HTTPS" and webhook.request("GET", get["path"])[0] == 200
