# SPDX-License-Identifier: MIT
"""deploy/kubernetes without a cluster: rendered by kubectl, checked against the API's schemas (unknown
fields are errors), against the Pod Security Standards, and against itself; each check is seen to fail."""
import manifests as m
import pytest
import restricted
from overlays import ALL, COMPONENTS, KUSTOMIZATIONS, OVERLAYS, rendered
from references import dangling


def test_every_component_is_rendered():
    used = {component for _, components in OVERLAYS.values() for component in components}
    assert used == set(COMPONENTS)
    assert "base" in KUSTOMIZATIONS and "examples/shop" in KUSTOMIZATIONS


@pytest.mark.parametrize("name", ALL)
def test_the_schemas_hold(name):
    manifests = rendered(name)
    for manifest, errors in zip(manifests, m.schema_errors(manifests)):
        assert not errors, m.name_of(manifest)


@pytest.mark.parametrize("name", ALL)
def test_pods_are_restricted(name):
    templates = list(filter(None, map(m.pod_template, rendered(name))))
    for template in templates:
        assert restricted.violations(template) == []


@pytest.mark.parametrize("name", ALL)
def test_references_lead_somewhere(name):
    assert list(dangling(rendered(name))) == []


# ---- each check is seen to fail ----


CONTAINER = "spec/template/spec/containers/0/"
BROKEN = [
    ("Deployment", "spec/replicaCount", 3, "unknown field .spec.replicaCount"),
    ("Deployment", CONTAINER + "imagePulPolicy", "Always", "containers[0].imagePulPolicy"),
    ("Deployment", CONTAINER + "startupProbe", {"grpc": {"port": 1, "tls": True}},
     "startupProbe.grpc.tls"),
    ("Deployment", "spec/template/spec/volumes/0/emptyDir", {"medum": "Memory"}, "emptyDir.medum"),
    ("Deployment", "spec/template/metadata/annotation", {}, "unknown field"),
    ("Deployment", "spec/replicas", "2", "replicas must be integer"),
    ("Deployment", CONTAINER + "image", 7, "image must be string"),
    ("Deployment", CONTAINER + "imagePullPolicy", "Sometimes", "imagePullPolicy"),
    ("Deployment", "apiVersion", "apps/v2", "there is no Deployment in apps/v2"),
    ("Deployment", "spec/selector", None, "selector"),
    ("MutatingWebhookConfiguration", "webhooks/0/failurePolicy", "Open", "failurePolicy"),
    ("MutatingWebhookConfiguration", "webhooks/0/objectSelecter", {}, "objectSelecter"),
    ("NetworkPolicy", "spec/ingres", [], "unknown field .spec.ingres"),
    ("Certificate", "spec/privateKey/algorithm", "EC", "algorithm"),
    ("Certificate", "spec/dnsName", "a", "unknown field .spec.dnsName"),
]


@pytest.mark.parametrize("kind, path, value, message", BROKEN, ids=[one[1] for one in BROKEN])
def test_a_broken_manifest_is_seen(kind, path, value, message):
    source = "inject" if kind == "Deployment" else "webhook-cert-manager"
    good = [one for one in rendered(source) if one["kind"] == kind][0]
    (none,), (errors,) = m.schema_errors([good]), m.schema_errors([m.set_field(good, path, value)])
    assert none == []
    assert message in " ".join(errors)


SECURITY = CONTAINER + "securityContext/"
POD = "spec/template/spec/"
UNRESTRICTED = [
    (POD + "hostNetwork", True, "spec.hostNetwork"),
    (POD + "hostPID", True, "spec.hostPID"),
    (POD + "hostIPC", True, "spec.hostIPC"),
    (POD + "volumes/0", {"name": "x", "hostPath": {"path": "/"}}, "spec.volumes[x]: hostPath"),
    (POD + "volumes/0", {"name": "x", "nfs": {}}, "spec.volumes[x]: nfs"),
    (POD + "securityContext/sysctls", [{"name": "kernel.msgmax", "value": "1"}], "sysctls"),
    (POD + "securityContext/runAsUser", 0, "spec.securityContext.runAsUser"),
    (POD + "securityContext/runAsNonRoot", False, "spec.securityContext.runAsNonRoot"),
    (POD + "securityContext/runAsNonRoot", None, "runAsNonRoot: is not true"),
    (POD + "securityContext/seccompProfile", {"type": "Unconfined"}, "seccompProfile.type"),
    (POD + "securityContext/seccompProfile", None, "seccompProfile: is not set"),
    (POD + "securityContext/seLinuxOptions", {"type": "spc_t"}, "seLinuxOptions.type"),
    (POD + "securityContext/appArmorProfile", {"type": "Unconfined"}, "appArmorProfile"),
    (POD + "securityContext/windowsOptions", {"hostProcess": True}, "hostProcess"),
    ("spec/template/metadata/annotations/container.apparmor.security.beta.kubernetes.io~web",
     "unconfined", "metadata.annotations"),
    (SECURITY + "privileged", True, "containers[web].securityContext.privileged"),
    (SECURITY + "allowPrivilegeEscalation", True, "allowPrivilegeEscalation"),
    (SECURITY + "allowPrivilegeEscalation", None, "allowPrivilegeEscalation"),
    (SECURITY + "capabilities", {"drop": ["NET_RAW"]}, "capabilities.drop"),
    (SECURITY + "capabilities", {"drop": ["ALL"], "add": ["SYS_PTRACE"]}, "add: SYS_PTRACE"),
    (SECURITY + "procMount", "Unmasked", "procMount"),
    (SECURITY + "runAsUser", 0, "containers[web].securityContext.runAsUser"),
    (SECURITY + "runAsNonRoot", False, "containers[web].securityContext.runAsNonRoot"),
    (SECURITY + "seccompProfile", {"type": "Unconfined"}, "seccompProfile.type"),
    (SECURITY + "seLinuxOptions", {"user": "u"}, "seLinuxOptions.user"),
    (SECURITY + "seLinuxOptions", {"role": "r"}, "seLinuxOptions.role"),
    (CONTAINER + "ports/0/hostPort", 80, "hostPort 80"),
    (CONTAINER + "readinessProbe", {"tcpSocket": {"port": 1, "host": "h"}}, "tcpSocket.host"),
    (CONTAINER + "lifecycle", {"preStop": {"httpGet": {"host": "h"}}}, "preStop.httpGet.host"),
    (POD + "initContainers/0/securityContext", None, "containers[diagnose-inject]"),
    (POD + "initContainers/1/securityContext/capabilities", None, "containers[diagnose-sidecar]"),
    (POD + "ephemeralContainers", [{"name": "debug"}], "containers[debug]"),
]


@pytest.mark.parametrize("path, value, message", UNRESTRICTED,
                         ids=["%s-%d" % (one[0].rpartition("/")[2], number)
                              for number, one in enumerate(UNRESTRICTED)])
def test_a_pod_that_is_not_restricted_is_seen(path, value, message):
    good = m.find(rendered("inject"), "Deployment")
    bad = m.set_field(good, path, value)
    annotations = bad["spec"]["template"]["metadata"]["annotations"]
    for key in [key for key in annotations if "~" in key]:
        annotations[key.replace("~", "/")] = annotations.pop(key)
    assert restricted.violations(m.pod_template(good)) == []
    found = restricted.violations(m.pod_template(bad))
    assert message in " ".join(found)
    assert len(found) == 1 or path.endswith("runAsNonRoot") or value is None or "debug" in message


DANGLING = [
    ("Deployment", "spec/template/metadata/labels", {"a": "b"}, "selector is not for its pods"),
    ("Deployment", CONTAINER + "volumeMounts/0/name", "x", "mounts no volume x"),
    ("Deployment", CONTAINER + "args/0", "--x=$(Y)", "no variable Y"),
    ("Deployment", CONTAINER + "env/1/name", "IMAGE_INJECT", "IMAGE_INJECT twice"),
    ("Deployment", POD + "serviceAccountName", "x", "no ServiceAccount x"),
    ("Deployment", POD + "volumes/0/configMap/name", "x", "no ConfigMap x"),
    ("Deployment", POD + "volumes/1/secret/secretName", "x", "no Secret x"),
    ("Service", "spec/ports/0/targetPort", "x", "no port x"),
    ("PodDisruptionBudget", "spec/selector/matchLabels", {"a": "b"}, "no pods"),
    ("NetworkPolicy", "spec/podSelector/matchLabels", {"a": "b"}, "no pods"),
    ("StatefulSet", "spec/serviceName", "x", "no Service"),
    ("ClusterRoleBinding", "roleRef/name", "x", "no role"),
    ("ClusterRoleBinding", "subjects/0/name", "x", "no ServiceAccount x"),
    ("MutatingWebhookConfiguration", "webhooks/0/clientConfig/service/name", "x", "no Service"),
]


@pytest.mark.parametrize("kind, path, value, message", DANGLING, ids=[one[1] for one in DANGLING])
def test_a_dangling_reference_is_seen(kind, path, value, message):
    manifests = rendered("webhook")
    index = [one["kind"] for one in manifests].index(kind)
    broken = list(manifests)
    broken[index] = m.set_field(manifests[index], path, value)
    assert any(message in text for text in dangling(broken))
