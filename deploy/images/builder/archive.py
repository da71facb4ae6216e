# SPDX-License-Identifier: MIT
"""An image as one archive that is two formats at once, with the same files: an OCI layout (index.json,
https://github.com/opencontainers/image-spec) and what `docker save` writes (manifest.json). So podman,
docker, containerd, kind, minikube and skopeo load it, whatever their age. Layers are not compressed:
loaders of the second format need not know how, and registries compress on push."""
import hashlib
import io
import json
import tarfile
import time

_OCI = "application/vnd.oci.image."


def _json(value):
    return json.dumps(value, indent=1, sort_keys=True).encode() + b"\n"


def write(path, reference, layers, config, architecture, timestamp):
    """reference: NAME:TAG; layers: list of (bytes of a tar file, what made it); config: the image's
    "config" object (User, Entrypoint, ...). Returns the digest of the manifest."""
    blobs = {}

    def add_blob(data, kind):
        digest = hashlib.sha256(data).hexdigest()
        blobs["blobs/sha256/" + digest] = data
        return {"mediaType": _OCI + kind, "digest": "sha256:" + digest, "size": len(data)}

    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(timestamp))
    descriptors = [add_blob(data, "layer.v1.tar") for data, _ in layers]
    image = add_blob(_json({
        "architecture": architecture,
        "os": "linux",
        "created": created,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in descriptors]},
        "history": [{"created": created, "created_by": made_by} for _, made_by in layers],
    }), "config.v1+json")
    manifest = add_blob(_json({
        "schemaVersion": 2,
        "mediaType": _OCI + "manifest.v1+json",
        "config": image,
        "layers": descriptors,
        "annotations": config["Labels"],
    }), "manifest.v1+json")

    def blob_path(descriptor):
        return "blobs/" + descriptor["digest"].replace(":", "/")

    # containerd reads the whole name from its own annotation, the specification's is the tag
    names = {"io.containerd.image.name": reference,
             "org.opencontainers.image.ref.name": reference.rpartition(":")[2]}
    files = dict(blobs)
    files["oci-layout"] = _json({"imageLayoutVersion": "1.0.0"})
    files["index.json"] = _json({
        "schemaVersion": 2,
        "mediaType": _OCI + "index.v1+json",
        "manifests": [dict(manifest, annotations=names)],
    })
    files["manifest.json"] = _json([{
        "Config": blob_path(image),
        "RepoTags": [reference],
        "Layers": [blob_path(layer) for layer in descriptors],
    }])
    _write_tar(path, files, timestamp)
    return manifest["digest"]


def _write_tar(path, files, timestamp):
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mtime = timestamp
            archive.addfile(info, io.BytesIO(data))
