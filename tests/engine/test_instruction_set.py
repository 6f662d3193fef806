"""The engine is chosen by the processor or by PELLUCID_ISA, and every choice computes the same."""

import os
import subprocess
import sys

import pytest

from pellucid.engine import _cpu
from pellucid.engine.instruction_set import INSTRUCTION_SET

pytestmark = pytest.mark.skipif(
    "PELLUCID_SANITIZER" in os.environ, reason="sanitizers build one instruction set alone"
)
# What avx512bf16 computes in float32 and float64 has the bits of avx512: see test_bfloat16.
TESTED_HERE = {INSTRUCTION_SET, "avx512" if INSTRUCTION_SET == "avx512bf16" else INSTRUCTION_SET}


def run_with(instruction_set, *arguments, **kwargs):
    environment = {**os.environ, "PELLUCID_ISA": instruction_set}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, **kwargs)


@pytest.mark.parametrize(
    ("asked", "chosen"), [("", _cpu.supported()[0]), *((name, name) for name in _cpu.supported())]
)
def test_the_instruction_set_can_be_chosen(asked, chosen):
    code = "from pellucid.engine.native import instruction_set; print(instruction_set())"
    assert run_with(asked, "-c", code).stdout.strip() == chosen


def test_an_instruction_set_that_is_not_there_is_refused():
    finished = run_with("nonsense", "-c", "import pellucid.engine.native")
    assert finished.returncode != 0
    assert "PELLUCID_ISA must be one of" in finished.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in _cpu.supported() if name not in TESTED_HERE])
def test_the_arithmetic_holds_on_every_instruction_set(name, pytestconfig):
    options = ["-q", "-p", "no:cacheprovider", "-m", "arithmetic and not slow"]
    root = pytestconfig.rootpath
    finished = run_with(name, "-m", "pytest", *options, str(root / "tests" / "engine"), cwd=root)
    assert finished.returncode == 0, finished.stdout[-3000:]
