"""Where memory runs out, the engine raises MemoryError, and the next call works."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
COMPILER = next(
    (found for name in ("c++", "g++", "clang++") if (found := shutil.which(name))), None
)


@pytest.fixture
def library(tmp_path):
    """Replaces the allocation of a process that loads it first."""
    if not sys.platform.startswith("linux") or COMPILER is None:
        pytest.skip("needs Linux and a C++ compiler to replace the process's allocation")
    path = tmp_path / "failing_allocations.so"
    source = HERE / "failing_allocations.cpp"
    options = ["-std=c++20", "-O1", "-shared", "-fPIC", "-o", path]
    subprocess.run([COMPILER, *options, source], check=True)
    return path


@pytest.mark.skipif("PELLUCID_SANITIZER" in os.environ, reason="sanitizers allocate themselves")
def test_each_allocation_may_fail(library):
    done = subprocess.run(
        [sys.executable, HERE / "failing_allocations.py"],
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    counts = dict(line.split(": ") for line in done.stdout.splitlines())
    assert len(counts) == 10
    assert all(int(count) > 20 for count in counts.values())
