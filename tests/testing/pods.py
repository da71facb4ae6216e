# SPDX-License-Identifier: MIT
"""From the manifests of a cluster to pods that `podman kube play` 4.3 takes.

The containers stay as they are written. What a cluster and its kubelets do, and podman does not, is
done here: pods of Deployments and StatefulSets, the downward API, $(VARIABLES), volumes (folders as
kubelet makes them: open to everybody, owned by fsGroup if there is one), names of services (as lines of
/etc/hosts). Probes are taken out: whoever plays the pod may ask them. So are ports, which a cluster
only notes, and podman binds outside of the pod. And one thing is worked around: podman 4.3 starts init containers again and again under restartPolicy Always, and waits 20 seconds for
those that it removes at their end; OnFailure, and init containers that are kept, do neither.
"""
import base64
import copy
import json
import os
import re
import uuid

NODE_NAME = "node-1"
_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


class UnknownField(Exception):
    """Something that kubelet knows and these tests do not."""


def pods_of(documents):
    """One Pod for each Deployment, StatefulSet or Pod among the documents."""
    return [_pod_of(document) for document in documents
            if document["kind"] in ("Deployment", "StatefulSet", "Pod")]


def _pod_of(document):
    if document["kind"] == "Pod":
        pod = copy.deepcopy(document)
    else:
        pod = copy.deepcopy(document["spec"]["template"])
        pod.update(apiVersion="v1", kind="Pod")
    metadata = pod.setdefault("metadata", {})
    metadata.setdefault("name", document["metadata"]["name"] + "-0")
    metadata["namespace"] = document["metadata"].get("namespace", "default")
    metadata["uid"] = str(uuid.uuid4())
    for claim in document["spec"].get("volumeClaimTemplates", []):
        pod["spec"].setdefault("volumes", []).append(
            {"name": claim["metadata"]["name"], "emptyDir": {}})
    return pod


def secrets_of(documents):
    """{name: {key: bytes}}"""
    return {
        document["metadata"]["name"]: {
            key: base64.b64decode(value) for key, value in document.get("data", {}).items()}
        for document in documents if document["kind"] == "Secret"
    }


def all_containers(pod):
    return pod["spec"].get("initContainers", []) + pod["spec"]["containers"]


def container_of(pod, name):
    return next(container for container in all_containers(pod) if container["name"] == name)


def prepare(pod, folder, secrets, hosts):
    """The manifest for podman. folder: where the pod's volumes are made; hosts: {name: address}."""
    played = copy.deepcopy(pod)
    spec = played["spec"]
    for container in all_containers(played):
        _resolve(container, pod)
        for key in _PROBES + ("ports",):
            container.pop(key, None)
    spec["restartPolicy"] = "OnFailure"
    played["metadata"].setdefault("annotations", {})[
        "io.podman.annotations.init.container.type"] = "always"
    spec["hostAliases"] = spec.get("hostAliases", []) + [
        {"ip": address, "hostnames": [name]} for name, address in sorted(hosts.items())]
    spec["volumes"] = [
        {"name": volume["name"],
         "hostPath": {"path": _make_volume(volume, pod, folder, secrets), "type": "Directory"}}
        for volume in spec.get("volumes", [])]
    return played


def field(pod, path):
    """A field of the downward API; a label or annotation that is missing is empty."""
    keyed = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
    if keyed:
        return pod["metadata"].get(keyed[1], {}).get(keyed[2], "")
    if path == "spec.nodeName":
        return NODE_NAME
    if path in ("metadata.name", "metadata.namespace", "metadata.uid"):
        return pod["metadata"][path.split(".")[1]]
    raise UnknownField("fieldPath: " + path)


def _resolve(container, pod):
    """The values of env, and $(VARIABLES) in args and command."""
    values = {}
    for variable in container.get("env", []):
        source = variable.pop("valueFrom", None)
        if source is not None:
            if list(source) != ["fieldRef"]:
                raise UnknownField("valueFrom: %s" % list(source))
            variable["value"] = field(pod, source["fieldRef"]["fieldPath"])
        variable["value"] = _expand(variable.get("value", ""), values)
        values[variable["name"]] = variable["value"]
    for key in ("command", "args"):
        if key in container:
            container[key] = [_expand(argument, values) for argument in container[key]]


def _expand(text, values):
    """$(NAME) of a known variable; $$(NAME) stands for $(NAME)."""
    def replace(match):
        if match[1] == "$$":
            return "$(" + match[2] + ")"
        return values.get(match[2], match[0])

    return re.sub(r"(\$\$?)\(([A-Za-z_.][\w.-]*)\)", replace, text)


def _labels_text(values):
    return "".join("%s=%s\n" % (key, json.dumps(value, ensure_ascii=False))
                   for key, value in sorted(values.items()))


def _make_volume(volume, pod, folder, secrets):
    """Makes the folder of a volume, and returns its path."""
    path = os.path.join(folder, volume["name"])
    group = pod["spec"].get("securityContext", {}).get("fsGroup")
    os.makedirs(path)
    if "emptyDir" in volume:
        os.chmod(path, 0o777)
        if group is not None:
            os.chown(path, 0, group)
            os.chmod(path, 0o2777)
        return path
    files, mode = _volume_files(volume, pod, secrets)
    for name, data in files.items():
        file_path = os.path.join(path, name)
        with open(file_path, "wb") as file:
            file.write(data)
        os.chown(file_path, 0, group or 0)
        os.chmod(file_path, mode)
    os.chmod(path, 0o755)
    return path


def _volume_files(volume, pod, secrets):
    if "secret" in volume:
        source = volume["secret"]
        if source["secretName"] not in secrets and not source.get("optional"):
            raise KeyError("there is no secret " + source["secretName"])
        return secrets.get(source["secretName"], {}), source.get("defaultMode", 0o644)
    if "downwardAPI" in volume:
        files = {}
        for item in volume["downwardAPI"]["items"]:
            path = item["fieldRef"]["fieldPath"]
            if path in ("metadata.labels", "metadata.annotations"):
                text = _labels_text(pod["metadata"].get(path.split(".")[1], {}))
            else:
                text = field(pod, path)
            files[item["path"]] = text.encode()
        return files, volume["downwardAPI"].get("defaultMode", 0o644)
    raise UnknownField("volume %s: %s" % (volume["name"], sorted(set(volume) - {"name"})))
