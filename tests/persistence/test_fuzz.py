"""Three thousand damaged model files; `benchmarks/fuzz_model_files.py` does a hundred thousand."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

FUZZING = Path(__file__).parents[1] / "fuzzing"
N_CASES = 3000

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="memory is limited and counted in Linux's way"
)


def run(*arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_three_thousand_damaged_files(tmp_path):
    results = tmp_path / "results"
    results.write_bytes(bytes(N_CASES))
    done = run(FUZZING / "fuzz.py", results, 0, N_CASES)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    # Refused, the same and another model: each of them happens, or nothing was tested.
    outcomes = results.read_bytes()
    assert outcomes.count(2) + outcomes.count(3) + outcomes.count(4) == N_CASES
    assert outcomes.count(2) > 0.8 * N_CASES
    assert min(outcomes.count(3), outcomes.count(4)) > 20


def test_the_watch_sees_what_it_is_for(tmp_path):
    script = f"""
        import os, subprocess, sys
        sys.path.insert(0, {str(FUZZING.parent)!r})
        from fuzzing.watch import memory_limit, no_code_run
        import numpy as np
        for misdeed in (
            lambda: exec("1"),
            lambda: compile("1", "", "eval"),
            lambda: __import__("colorsys"),
            lambda: open({str(tmp_path / "written")!r}, "w").close(),
            lambda: os.open({str(tmp_path / "written")!r}, os.O_RDWR),
            lambda: subprocess.run(["true"]),
            lambda: os.system("true"),
            lambda: open(__file__).close() if "__file__" in globals() else None,
        ):
            with no_code_run() as events:
                misdeed()
            print(len(events) > 0)
        try:
            with memory_limit(8 * 2**20):
                np.zeros(2**24)
        except MemoryError:
            print("limited")
        np.zeros(2**24)
    """
    done = run("-c", textwrap.dedent(script))
    assert done.stdout.splitlines() == [*["True"] * 7, "False", "limited"], done.stderr


def test_a_large_model_takes_twice_its_size_to_load(tmp_path):
    """64 MiB of weights: once in the file's data, once in the model."""
    script = f"""
        import sys
        sys.path.insert(0, {str(FUZZING.parent)!r})
        from fuzzing.watch import memory_limit
        import numpy as np
        import pellucid
        from pellucid.nn import Linear
        row = np.zeros((1, 2**12))
        network = pellucid.Network([Linear(2**12, weights="zeros")], "squared_error", max_iter=1)
        network.fit(row, row).save({str(tmp_path / "m")!r})
        with memory_limit(2 * 2**26 + 8 * 2**20):
            pellucid.load({str(tmp_path / "m")!r})
        print("loaded")
    """
    done = run("-c", textwrap.dedent(script))
    assert done.stdout == "loaded\n", done.stderr
