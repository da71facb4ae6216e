# SPDX-License-Identifier: MIT
"""All kustomizations of deploy/kubernetes, and overlays of our own, so that each component is seen."""
import functools
import glob
import os
import re
import tempfile

import manifests as m

SHOP = ["examples/shop/app"]
PYTHONPATH_PATCH = """\
- op: add
  path: /spec/template/spec/containers/0/env
  value:
  - {name: REGION, value: uk}
  - {name: PYTHONPATH, value: "/app/lib:/app"}
"""

# Resources and components.
OVERLAYS = {
    "cert-manager": (["base"], ["cert-manager"]),
    "webhook": (["base"], ["webhook"]),
    "webhook-cert-manager": (["base"], ["cert-manager", "webhook", "webhook-cert-manager"]),
    "inject": (SHOP, ["inject", "sidecar-cert-manager"]),
    "inject-pythonpath": (SHOP, ["inject-pythonpath"]),
    "sidecar-classic": (SHOP, ["inject", "sidecar-classic"]),
}
FOLDERS = sorted(
    os.path.relpath(os.path.dirname(path), m.KUBERNETES)
    for path in glob.glob(os.path.join(m.KUBERNETES, "**", "kustomization.yaml"), recursive=True)
)
KUSTOMIZATIONS = [name for name in FOLDERS if not name.startswith("components")]
COMPONENTS = [
    name.partition("/")[2] for name in FOLDERS if re.fullmatch("components/[^/]+", name)
]
ALL = KUSTOMIZATIONS + sorted(OVERLAYS)

_folder = tempfile.TemporaryDirectory(prefix="diag-overlays.")


@functools.cache
def rendered(name):
    """The manifests of a folder below deploy/kubernetes, or of one of OVERLAYS. Not to be changed."""
    if name not in OVERLAYS:
        return m.render(os.path.join(m.KUBERNETES, name))
    resources, components = OVERLAYS[name]
    folder = os.path.join(_folder.name, name)
    if name == "inject-pythonpath":  # the application has a PYTHONPATH before it meets the component
        patch = {"target": {"kind": "Deployment"}, "patch": PYTHONPATH_PATCH}
        resources = [m.write_overlay(os.path.join(folder, "app"), resources, patches=[patch])]
    fields = {"namespace": "shop"} if "base" not in resources else {}
    return m.render(m.write_overlay(folder, resources, components, **fields))
