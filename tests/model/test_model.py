# SPDX-License-Identifier: MIT
"""The ring's protocol, exhaustively: spin finds no fault in tests/model/ring.pml, and finds each of
the defects that are seeded in it."""
import os
import re
import subprocess

import pytest

MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ring.pml")
MUTANTS = {
    1: "READY before the copy",
    2: "the stamp before the state",
    3: "the stamp is not looked at",
    4: "no look whether the ring is full",
    5: "room is reserved by a load and a store",
    6: "LOST is stamped before it is complete",
    7: "a BUSY record is skipped though its process lives",
    8: "LOST is taken for a difference",
}


def verify(folder, mutant=None):
    """What the verifier says of the model, or of one mutant of it."""
    flags = [] if mutant is None else ["-DMUTANT_%d" % mutant]
    subprocess.run(["spin", "-a"] + flags + [MODEL], cwd=folder, check=True, capture_output=True)
    subprocess.run(["gcc", "-O2", "-w", "-DSAFETY", "-DVECTORSZ=2048", "-DCOLLAPSE",
                    "-DMEMLIM=2000", "-o", "pan", "pan.c"], cwd=folder, check=True)
    return subprocess.run(["./pan", "-m100000"], cwd=folder, check=True, capture_output=True,
                          text=True).stdout


def errors(output):
    return int(re.search(r"errors: (\d+)", output).group(1))


def test_the_protocol_has_no_fault(tmp_path):
    output = verify(tmp_path)
    assert errors(output) == 0, output
    # all of it: no limit was hit, and every step of the model was taken
    assert "Search not completed" not in output and "max search depth too small" not in output
    assert "assertion violations\t+" in output and "invalid end states\t+" in output
    unreached = re.findall(r"\((\d+) of \d+ states\)", output)
    assert unreached and set(unreached) == {"0"}, output


@pytest.mark.parametrize("mutant", sorted(MUTANTS), ids=lambda n: MUTANTS[n].replace(" ", "-"))
def test_a_defect_is_found(mutant, tmp_path):
    output = verify(tmp_path, mutant)
    assert errors(output) == 1, "%s was not found:\n%s" % (MUTANTS[mutant], output)
    assert "assertion violated" in output or "invalid end state" in output


def test_every_mutant_of_the_model_is_tried():
    with open(MODEL, encoding="utf-8") as file:
        text = file.read()
    assert {int(n) for n in re.findall(r"#ifn?def MUTANT_(\d+)", text)} == set(MUTANTS)
