"""Are 100,000 damaged model files loaded safely or rejected?

    python benchmarks/fuzz_model_files.py [--cases 100000] [--processes 2]

Bits are flipped, bytes are changed, and files are truncated and spliced. Header values, shapes,
types and arrays are changed, and the checksum is recomputed. Each file must raise a
`ModelFileError` or load as a bit-identical model; if its checksum is valid, it can also load as a
different model that works. `tests/fuzzing/fuzz.py` loads the files in separate processes with a
memory limit (twice the file size plus 64 MiB) and an audit hook that detects executed code and
written files. Counts by kind of damage and by outcome are printed and saved as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))

from fuzzing.fuzz import OUTCOMES, SECONDS, kind_of  # noqa: E402

RUNNING = OUTCOMES.index("running")


def run_range(results, first, last):
    """Run the cases from `first` up to `last`; return a line for each case that went wrong."""
    wrong = []
    while first < last:
        command = [sys.executable, str(TESTS / "fuzzing/fuzz.py"), results, str(first), str(last)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        wrong += done.stdout.splitlines()
        if done.returncode == 0:
            break
        at = Path(results).read_bytes().find(RUNNING, first, last)
        if at < 0:
            raise RuntimeError(f"the fuzzer itself failed: {done.stderr}")
        ended = f"takes over {SECONDS} s" if done.returncode == -14 else "crashes"
        wrong.append(f"case {at}: {kind_of(at)}: {ended}, {done.returncode}: {done.stderr[-500:]}")
        first = at + 1
    return wrong


def run(n_cases, n_processes):
    """Return counts by kind and outcome, and a line for each case that went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        results.write_bytes(bytes(n_cases))
        bounds = [n_cases * i // n_processes for i in range(n_processes + 1)]
        with ThreadPoolExecutor(n_processes) as pool:
            lines = list(pool.map(run_range, [str(results)] * n_processes, bounds[:-1], bounds[1:]))
        outcomes = results.read_bytes()
    counts = {}
    for case, code in enumerate(outcomes):
        outcome = "a crash" if code == RUNNING else OUTCOMES[code]
        counts.setdefault(kind_of(case), Counter())[outcome] += 1
    return counts, [line for some in lines for line in some]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    start = time.perf_counter()
    counts, wrong = run(arguments.cases, arguments.processes)
    total = sum(counts.values(), Counter())
    shown = [
        "refused",
        "the same model",
        "another model",
        *sorted(set(total) & {"WRONG", "a crash"}),
    ]
    print(f"{'':24}" + "".join(f"{name:>16}" for name in shown))
    for kind, count in [*counts.items(), ("all", total)]:
        print(f"{kind:24}" + "".join(f"{count[name]:16,}" for name in shown))
    print(*wrong, sep="\n")
    report = {
        "cases": arguments.cases,
        "seconds": round(time.perf_counter() - start, 1),
        "python": platform.python_version(),
        "counts": {"all": total, **counts},
        "wrong": wrong,
    }
    path = Path(__file__).parent / "results/fuzz_model_files.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
