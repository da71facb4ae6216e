# SPDX-License-Identifier: MIT
"""The bill of materials of an image: SPDX 2.3 in JSON (https://spdx.github.io/spdx-spec/v2.3/)."""
import hashlib
import json
import re
import time
import urllib.parse

from . import debian

# Short names of Debian's copyright files that differ from SPDX's identifiers. What is neither here
# nor an identifier becomes a LicenseRef with Debian's name: nothing is guessed.
_SPDX_NAMES = {
    "Apache-2": "Apache-2.0",
    "BSD-2-clause": "BSD-2-Clause",
    "BSD-3-clause": "BSD-3-Clause",
    "CC0": "CC0-1.0",
    "Expat": "MIT",
    "GPL-1+": "GPL-1.0-or-later",
    "GPL-2": "GPL-2.0-only",
    "GPL-2+": "GPL-2.0-or-later",
    "GPL-3": "GPL-3.0-only",
    "GPL-3+": "GPL-3.0-or-later",
    "LGPL-2": "LGPL-2.0-only",
    "LGPL-2+": "LGPL-2.0-or-later",
    "LGPL-2.1": "LGPL-2.1-only",
    "LGPL-2.1+": "LGPL-2.1-or-later",
    "LGPL-3": "LGPL-3.0-only",
    "LGPL-3+": "LGPL-3.0-or-later",
    "MPL-1.1": "MPL-1.1",
    "MPL-2.0": "MPL-2.0",
    "PSF-2": "PSF-2.0",
    "Python": "Python-2.0",
    "zlib": "Zlib",
}
_IDENTIFIERS = {"0BSD", "Apache-2.0", "Artistic-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT",
                "OpenSSL", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib"}


def _element_id(*parts):
    return "SPDXRef-" + "-".join(re.sub(r"[^A-Za-z0-9.]+", "-", part) for part in parts)


class Document:
    def __init__(self, name, version, timestamp):
        self._name = name
        self._licence_refs = {}
        self._packages = []
        self._relationships = []
        self._timestamp = timestamp
        self._image = _element_id("image", name)
        self._packages.append({
            "SPDXID": self._image,
            "name": name,
            "versionInfo": version,
            "supplier": "NOASSERTION",
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": False,
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": "MIT",
            "copyrightText": "NOASSERTION",
            "primaryPackagePurpose": "CONTAINER",
        })

    def _licence(self, names):
        terms = []
        for name in names:
            term = _SPDX_NAMES.get(name, name)
            if term not in _SPDX_NAMES.values() and term not in _IDENTIFIERS:
                term = "LicenseRef-Debian-" + re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")
                self._licence_refs[term] = name
            terms.append(term)
        return " AND ".join(sorted(set(terms))) or "NOASSERTION"

    def _relate(self, one, kind, other):
        self._relationships.append(
            {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other})

    def add_program(self, name, version, path, contents):
        """A program or package of ours; returns its element."""
        element = _element_id("program", name)
        self._packages.append({
            "SPDXID": element,
            "name": name,
            "versionInfo": version,
            "packageFileName": path,
            "supplier": "NOASSERTION",
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": False,
            "checksums": [{"algorithm": "SHA256",
                           "checksumValue": hashlib.sha256(contents).hexdigest()}],
            "licenseConcluded": "MIT",
            "licenseDeclared": "MIT",
            "copyrightText": "NOASSERTION",
            "primaryPackagePurpose": "APPLICATION" if not path.endswith(".so") else "LIBRARY",
        })
        self._relate(self._image, "CONTAINS", element)
        return element

    def add_debian(self, package, linked_into=None):
        """A package whose files are in the image; or, if `linked_into` is an element, one whose
        archives are linked into it."""
        element = _element_id("deb", package.name, package.architecture)
        if element not in (known["SPDXID"] for known in self._packages):
            self._packages.append(self._debian(package, element))
        if linked_into is None:
            self._relate(self._image, "CONTAINS", element)
        else:
            self._relate(linked_into, "STATIC_LINK", element)

    def _debian(self, package, element):
        # https://github.com/package-url/purl-spec
        url = "pkg:deb/debian/%s@%s?arch=%s&distro=%s" % (
            urllib.parse.quote(package.name), urllib.parse.quote(package.version, safe="~"),
            package.architecture, debian.distribution())
        described = {
            "SPDXID": element,
            "name": package.name,
            "versionInfo": package.version,
            "supplier": "Organization: Debian",
            "originator": "NOASSERTION",
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": False,
            "sourceInfo": "built from Debian's source package %s %s for %s" % (
                package.source, package.source_version, package.architecture),
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": self._licence(package.licence_names()),
            "copyrightText": "NOASSERTION",
            "primaryPackagePurpose": "LIBRARY",
            "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                              "referenceLocator": url}],
        }
        if described["licenseDeclared"] == "NOASSERTION":
            described["licenseComments"] = "in prose: " + package.copyright_path
        if package.homepage:
            described["homepage"] = package.homepage
        return described

    def to_json(self):
        body = {
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": "SPDXRef-DOCUMENT",
            "name": self._name,
            "creationInfo": {
                "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._timestamp)),
                "creators": ["Tool: deploy/images/build"],
            },
            "packages": self._packages,
            "relationships": [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
                               "relatedSpdxElement": self._image}] + self._relationships,
            "hasExtractedLicensingInfos": [
                {"licenseId": term, "name": name,
                 "extractedText": "called \"%s\" in the package's copyright file, which is in the "
                                  "image or in the package" % name}
                for term, name in sorted(self._licence_refs.items())],
        }
        # the same contents have the same name, others another one
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        body["documentNamespace"] = "https://diagnose.dev/spdx/%s-%s" % (self._name, digest)
        return json.dumps(body, indent=1, sort_keys=True) + "\n"
