# SPDX-License-Identifier: MIT
"""Whether what manifests refer to is there."""
import re

import manifests as m
import restricted

# What the Secrets are called that come from cert-manager or the script.
SECRETS = {"diagnose-controller-tls", "diagnose-webhook-tls", "diagnose-sidecar-tls"}


def dangling(manifests):
    """References within the manifests that lead nowhere, as texts."""
    names = {(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"])
             for one in manifests}
    assert len(names) == len(manifests)
    templates = [(one, m.pod_template(one)) for one in manifests if m.pod_template(one)]
    for manifest, template in templates:
        spec = template["spec"]
        namespace = manifest["metadata"].get("namespace")
        where = m.name_of(manifest)
        labels = template["metadata"]["labels"]
        if not _matches(manifest["spec"]["selector"]["matchLabels"], labels):
            yield "%s: its selector is not for its pods" % where
        account = spec.get("serviceAccountName")
        if account and ("ServiceAccount", namespace, account) not in names:
            yield "%s: no ServiceAccount %s" % (where, account)
        for text in _of_pod(spec, manifest, namespace, names):
            yield "%s: %s" % (where, text)
    for one in manifests:
        yield from _of_other(one, templates, names)


def _of_pod(spec, manifest, namespace, names):
    claims = [c["metadata"]["name"] for c in manifest["spec"].get("volumeClaimTemplates", [])]
    volumes = [volume["name"] for volume in spec.get("volumes", [])] + claims
    containers = list(restricted.containers_of(spec))
    for things in (volumes, [c["name"] for c in containers]):
        for twice in {one for one in things if things.count(one) > 1}:
            yield "%s is there twice" % twice
    for volume in spec.get("volumes", []):
        secret = volume.get("secret", {}).get("secretName")
        if secret and secret not in SECRETS:
            yield "no Secret %s" % secret
        config = volume.get("configMap", {}).get("name")
        if config and ("ConfigMap", namespace, config) not in names:
            yield "no ConfigMap %s" % config
    for container in containers:
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                yield "%s mounts no volume %s" % (container["name"], mount["name"])
        variables = [one["name"] for one in container.get("env", [])]
        for twice in {one for one in variables if variables.count(one) > 1}:
            yield "%s has %s twice" % (container["name"], twice)
        for argument in container.get("args", []):
            for variable in re.findall(r"\$\((\w+)\)", argument):
                if variable not in variables:
                    yield "%s has no variable %s for %s" % (container["name"], variable, argument)


def _of_other(manifest, templates, names):
    kind, namespace = manifest["kind"], manifest["metadata"].get("namespace")
    where = m.name_of(manifest)
    selector = manifest.get("spec", {}).get("selector")
    if kind == "Service":
        pods = _selected(selector, namespace, templates)
        ports = [port["targetPort"] for port in manifest["spec"]["ports"]]
    elif kind == "NetworkPolicy":
        pods = _selected(manifest["spec"]["podSelector"]["matchLabels"], namespace, templates)
        ports = [p["port"] for rule in manifest["spec"]["ingress"] for p in rule["ports"]]
    elif kind == "PodDisruptionBudget":
        pods, ports = _selected(selector["matchLabels"], namespace, templates), []
    elif kind == "ClusterRoleBinding":
        for subject in manifest["subjects"]:
            if (subject["kind"], subject["namespace"], subject["name"]) not in names:
                yield "%s: no %s %s" % (where, subject["kind"], subject["name"])
        if (manifest["roleRef"]["kind"], None, manifest["roleRef"]["name"]) not in names:
            yield "%s: no role" % where
        return
    elif kind == "MutatingWebhookConfiguration":
        for webhook in manifest["webhooks"]:
            service = webhook["clientConfig"]["service"]
            if ("Service", service["namespace"], service["name"]) not in names:
                yield "%s: no Service" % where
        return
    elif kind == "StatefulSet":
        if ("Service", namespace, manifest["spec"]["serviceName"]) not in names:
            yield "%s: no Service" % where
        return
    else:
        return
    if not pods:
        yield "%s: no pods" % where
    for pod in pods:
        own = {port["name"] for container in pod["spec"]["containers"]
               for port in container.get("ports", [])}
        for port in set(ports) - own:
            yield "%s: no port %s" % (where, port)


def _matches(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())


def _selected(selector, namespace, templates):
    return [template for manifest, template in templates
            if manifest["metadata"].get("namespace") == namespace
            and _matches(selector, template["metadata"]["labels"])]
