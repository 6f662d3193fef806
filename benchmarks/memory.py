"""How much memory does a fit need in addition to the table and the parameters?

    python benchmarks/memory.py [--rows 1000000] [--columns 100]

Each library fits one epoch on the same float64 table in a separate process. The increase of the
peak resident memory during the fit is printed and saved as JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path


def resident_bytes():
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def make_model(library, task):
    if library == "pellucid":
        import pellucid as source
    else:
        import sklearn.neural_network as source
    kind = source.MLPClassifier if task == "classification" else source.MLPRegressor
    return kind(hidden_layer_sizes=(64,), max_iter=1, random_state=0)


def measure(library, task, rows, columns):
    """Print the increase of peak memory during the fit, in MiB."""
    import numpy as np

    rng = np.random.default_rng(0)
    X = np.empty((rows, columns))
    for start in range(0, rows, 10_000):
        X[start : start + 10_000] = rng.standard_normal(X[start : start + 10_000].shape)
    y = (X[:, 0] > 0).astype(int) if task == "classification" else X[:, 0].copy()
    model = make_model(library, task)
    warnings.simplefilter("ignore")
    model.fit(X[:1000], y[:1000])  # load everything that is loaded only once
    before, peak, done = resident_bytes(), [0], threading.Event()

    def watch():
        while not done.is_set():
            peak[0] = max(peak[0], resident_bytes())
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    model.fit(X, y)
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    print(json.dumps({"rise_mib": (peak[0] - before) / 2**20, "seconds": seconds}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--out", default="benchmarks/results/memory.json")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(*arguments.measure, arguments.rows, arguments.columns)
        return
    report = {"rows": arguments.rows, "columns": arguments.columns, "fits": {}}
    for library in ("pellucid", "scikit-learn"):
        for task in ("classification", "regression"):
            command = [sys.executable, __file__, "--measure", library, task]
            command += ["--rows", str(arguments.rows), "--columns", str(arguments.columns)]
            result = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
            report["fits"][f"{library} {task}"] = result
            print(f"{library:14}{task:16}{result['rise_mib']:10.1f} MiB{result['seconds']:10.1f} s")
    path = Path(arguments.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
