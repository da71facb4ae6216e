# SPDX-License-Identifier: MIT
"""The Pod Security Standards' profile `restricted`, with all of `baseline`, as it is published
(https://kubernetes.io/docs/concepts/security/pod-security-standards/, Kubernetes 1.35), for Linux pods."""

_VOLUME_TYPES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected",
    "secret",
}
_SELINUX_TYPES = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
_SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
}
_APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"
_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def containers_of(spec):
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(kind) or []


def violations(template):
    """What of a pod, or of a pod template (metadata and spec), the profile forbids: a list of texts
    that begin with the field; empty if it is fine."""
    spec = template["spec"]
    found = list(_of_annotations(template.get("metadata", {}).get("annotations") or {}))
    found += _of_pod(spec)
    for container in containers_of(spec):
        name = "containers[%s]" % container.get("name")
        found += ["%s.%s" % (name, text) for text in _of_container(container, spec)]
    return found


def _of_annotations(annotations):
    for key, value in annotations.items():
        if key.startswith(_APPARMOR_ANNOTATION) and value != "runtime/default" \
                and not value.startswith("localhost/"):
            yield "metadata.annotations[%s]: %s" % (key, value)


def _of_pod(spec):
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield "spec.%s: true" % field
    for volume in spec.get("volumes") or []:
        for kind in set(volume) - {"name"} - _VOLUME_TYPES:
            yield "spec.volumes[%s]: %s" % (volume["name"], kind)
    context = spec.get("securityContext") or {}
    for sysctl in context.get("sysctls") or []:
        if sysctl["name"] not in _SYSCTLS:
            yield "spec.securityContext.sysctls: %s" % sysctl["name"]
    yield from ("spec." + text for text in _of_context(context))


def _of_context(context):
    """What is forbidden wherever it stands: in a pod's security context or a container's."""
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield "securityContext.windowsOptions.hostProcess: true"
    if (context.get("appArmorProfile") or {}).get("type", "RuntimeDefault") \
            not in ("RuntimeDefault", "Localhost"):
        yield "securityContext.appArmorProfile.type: %s" % context["appArmorProfile"]["type"]
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type", "") not in _SELINUX_TYPES:
        yield "securityContext.seLinuxOptions.type: %s" % selinux["type"]
    for field in ("user", "role"):
        if selinux.get(field):
            yield "securityContext.seLinuxOptions.%s: %s" % (field, selinux[field])
    if (context.get("seccompProfile") or {}).get("type") not in (None, "RuntimeDefault", "Localhost"):
        yield "securityContext.seccompProfile.type: %s" % context["seccompProfile"]["type"]
    if context.get("runAsNonRoot") is False:
        yield "securityContext.runAsNonRoot: false"
    if context.get("runAsUser") == 0:
        yield "securityContext.runAsUser: 0"


def _of_container(container, spec):
    context = container.get("securityContext") or {}
    pod = spec.get("securityContext") or {}
    capabilities = context.get("capabilities") or {}
    yield from _of_context(context)
    if context.get("privileged"):
        yield "securityContext.privileged: true"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "securityContext.allowPrivilegeEscalation: is not false"
    if context.get("procMount", "Default") != "Default":
        yield "securityContext.procMount: %s" % context["procMount"]
    if "ALL" not in (capabilities.get("drop") or []):
        yield "securityContext.capabilities.drop: has no ALL"
    for name in capabilities.get("add") or []:
        if name != "NET_BIND_SERVICE":
            yield "securityContext.capabilities.add: %s" % name
    if context.get("runAsNonRoot") is None and not pod.get("runAsNonRoot"):
        yield "securityContext.runAsNonRoot: is not true, nor is the pod's"
    if not context.get("seccompProfile") and not pod.get("seccompProfile"):
        yield "securityContext.seccompProfile: is not set, nor is the pod's"
    for port in container.get("ports") or []:
        if port.get("hostPort"):
            yield "ports: hostPort %d" % port["hostPort"]
    yield from _of_handlers(container)


def _of_handlers(container):
    handlers = {name: container.get(name) for name in _PROBES}
    for name, handler in (container.get("lifecycle") or {}).items():
        handlers["lifecycle." + name] = handler
    for name, handler in handlers.items():
        for action in ("httpGet", "tcpSocket"):
            if ((handler or {}).get(action) or {}).get("host"):
                yield "%s.%s.host: %s" % (name, action, handler[action]["host"])
