"""How long does a grid search take: sequentially, in threads and in processes?

    python benchmarks/search.py [--runs 5]

Runs `GridSearchCV` with four candidates and five folds, without the final fit, for three sizes of
table and network: with one job, two jobs in joblib's threads, and two jobs in its processes, which
are started in advance. The runs alternate, and the scores of all three must be bit-identical.
Median, minimum and maximum times are printed and saved as JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV

from pellucid import MLPClassifier

N_JOBS = 2
WAYS = {"one job": "sequential", "two threads": "threading", "two processes": "loky"}
SIZES = {
    "500 x 10, one layer of 16": (500, 10, (16,)),
    "2,000 x 20, layers of 64 and 64": (2000, 20, (64, 64)),
    "10,000 x 50, layers of 256 and 128": (10_000, 50, (256, 128)),
}
GRID = {"alpha": [1e-4, 1e-2], "learning_rate_init": [1e-3, 1e-2]}


def make_search(hidden):
    model = MLPClassifier(hidden, max_iter=20, n_iter_no_change=20, random_state=0)
    return GridSearchCV(model, GRID, cv=5, refit=False)


def measure(n_rows, n_columns, hidden, runs):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, n_columns), dtype=np.float32)
    y = (np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] > 0).astype(int)
    seconds, scores = {way: [] for way in WAYS}, {}
    for run in range(runs + 1):
        for way, backend in WAYS.items():
            search = make_search(hidden)
            start = time.perf_counter()
            with parallel_config(backend=backend, n_jobs=N_JOBS):
                search.fit(X, y)
            if run > 0:  # the first run is a warm-up
                seconds[way].append(time.perf_counter() - start)
            scores[way] = search.cv_results_["mean_test_score"]
    for found in scores.values():
        np.testing.assert_array_equal(found, scores["one job"])
    return {
        way: {"median": statistics.median(s), "smallest": min(s), "largest": max(s)}
        for way, s in seconds.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", default="benchmarks/results/search.json")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    results = {}
    print(f"{'seconds':38}" + "".join(f"{way:>24}" for way in WAYS))
    for name, size in SIZES.items():
        rows = results[name] = measure(*size, arguments.runs)
        columns = (
            f"{row['median']:10.2f} ({row['smallest']:.2f} to {row['largest']:.2f})".rjust(24)
            for row in rows.values()
        )
        print(f"{name:38}" + "".join(columns))
    path = Path(arguments.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"runs": arguments.runs, "seconds": results}, indent=2) + "\n")
    print(f"\nsaved {path}")


if __name__ == "__main__":
    main()
