# SPDX-License-Identifier: MIT
"""write_skipped.py FILE NAME REASON: a report (JUnit XML) of one test that was skipped."""
import sys
import xml.etree.ElementTree as ElementTree


def main(path, name, reason):
    suite = ElementTree.Element("testsuite")
    case = ElementTree.SubElement(suite, "testcase", name=name)
    ElementTree.SubElement(case, "skipped", message=reason)
    ElementTree.ElementTree(suite).write(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
