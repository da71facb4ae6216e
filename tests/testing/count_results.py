# SPDX-License-Identifier: MIT
"""count_results.py FOLDER [LOG...]: sums up the runners' reports (JUnit XML); LOG is what a failed
step printed.

A test target that left no report counts as one failure; so does a step that failed without a
failure in any report. What was skipped is named with its reason, and a failed step with the end of
its log. The last line is "N passed, N failed, N skipped"."""
import os
import sys
import xml.etree.ElementTree as ElementTree

LINES_OF_A_LOG = 30


def outcome(case):
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    if case.find("skipped") is not None or case.get("status") == "notrun":
        return "skipped"
    return "passed"


def title(case):
    return ".".join(filter(None, [case.get("classname"), case.get("name")]))


def reason(case):
    skipped = case.find("skipped")
    message = None if skipped is None else skipped.get("message")
    return ": " + message if message else ""


def print_end(log):
    print("FAILED step %s, which ended with:" % os.path.splitext(os.path.basename(log))[0])
    with open(log, errors="replace") as file:
        for line in file.readlines()[-LINES_OF_A_LOG:]:
            print("    " + line.rstrip())


def main(folder, logs):
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    failures = []
    for path, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            full = os.path.join(path, name)
            if name == "not-run.txt":
                with open(full) as file:
                    missing = file.read().split()
                counts["failed"] += len(missing)
                failures += ["%s: did not run (%s)" % (m, os.path.basename(path)) for m in missing]
            if not name.endswith(".xml"):
                continue
            for case in ElementTree.parse(full).iter("testcase"):
                result = outcome(case)
                counts[result] += 1
                where = os.path.relpath(full, folder)
                if result == "failed":
                    failures.append("%s: %s" % (where, title(case)))
                elif result == "skipped":
                    print("SKIPPED %s: %s%s" % (where, title(case), reason(case)))
    if logs and not failures:
        counts["failed"] += len(logs)
        failures.append("%d steps failed without a report" % len(logs))
    for log in logs:
        print_end(log)
    for failure in failures:
        print("FAILED", failure)
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % counts)
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
