"""`pellucid demo`."""

import re

import pytest


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_demo(run, seed):
    done = run("demo", "--seed", seed)
    accuracy = float(re.search(r"│ accuracy +│ +([\d.]+) %", done.output).group(1))
    assert accuracy >= 97
    for word in ["Linear(64)", "training took", "most frequent class", "examples/s"]:
        assert word in done.output
