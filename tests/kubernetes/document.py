# SPDX-License-Identifier: MIT
"""docs/kubernetes.md as things to run: its blocks, in order, each with its section."""
import collections
import os
import re

import manifests as m

PATH = os.path.join(m.ROOT, "docs", "kubernetes.md")

# section: the heading above; before: the line of text above; language: "" (commands) or "yaml".
Block = collections.namedtuple("Block", "section before language text")


def read():
    """All blocks but drawings, which come before the first section."""
    with open(PATH) as file:
        lines = file.read().split("\n")
    blocks, section, before, block = [], None, "", None
    for line in lines:
        if block is not None and line == "```":
            blocks.append(Block(section, before, language, "\n".join(block) + "\n"))
            block = None
        elif block is not None:
            block.append(line)
        elif line.startswith("```"):
            block, language = [], line[3:]
        elif line.startswith("#"):
            section = line.lstrip("# ")
        elif line:
            before = line
    assert block is None
    return [block for block in blocks if block.section != "Diagnose on Kubernetes"]


def commands(*sections, variant=None):
    """The commands of the sections whose headings begin so; of what is there once with cert-manager and
    once without it, only `variant` ("cert-manager" or "own")."""
    return [block.text for section in sections for block in read()
            if block.section.startswith(section) and block.language == ""
            and _variant(block) in (None, variant)]


def _variant(block):
    if re.search("[Ww]ith cert-manager:$", block.before):
        return "cert-manager"
    return "own" if block.before == "Without it:" else None


def snippets():
    """The YAML of the document, in order."""
    return [block for block in read() if block.language == "yaml"]


def kustomizations():
    """{folder: text}: the snippets that say in their first line where they belong."""
    texts = {}
    for block in snippets():
        place = re.match(r"# (\S+)/kustomization\.yaml(, continued)?\n", block.text)
        if place:
            assert bool(place[2]) == (place[1] in texts)
            texts[place[1]] = texts.get(place[1], "") + block.text
    return texts
