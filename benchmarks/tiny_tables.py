"""How many epochs per second run on a tiny table, compared with scikit-learn?

    python benchmarks/tiny_tables.py [--runs 9]

`MLPClassifier` of both libraries with the same parameters fits the iris table (150 x 4) with one
batch of 150 rows per epoch. Runs alternate. The time of a whole `fit` with a fixed number of epochs
is divided by that number. Medians are printed and saved as JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris

EPOCHS = {"scikit-learn": 400, "pellucid": 4000}


def make_model(library, hidden):
    if library == "pellucid":
        from pellucid import MLPClassifier
    else:
        from sklearn.neural_network import MLPClassifier
    return MLPClassifier(
        hidden,
        batch_size=150,
        max_iter=EPOCHS[library],
        n_iter_no_change=10**9,
        random_state=0,
    )


def seconds_per_epoch(library, hidden, dtype):
    X, y = load_iris(return_X_y=True)
    model, X = make_model(library, hidden), X.astype(dtype)
    start = time.perf_counter()
    model.fit(X, y)
    return (time.perf_counter() - start) / model.n_iter_


def measure(hidden, dtype, runs):
    """Return the median epochs per second of both libraries, whose runs alternate."""
    seconds = {library: [] for library in EPOCHS}
    for run in range(runs + 1):
        for library, all_seconds in seconds.items():
            taken = seconds_per_epoch(library, hidden, dtype)
            if run > 0:  # the first run is a warm-up
                all_seconds.append(taken)
    rates = {library: 1.0 / statistics.median(s) for library, s in seconds.items()}
    return {**rates, "ratio": rates["pellucid"] / rates["scikit-learn"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--out", default="benchmarks/results/tiny_tables.json")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    results = {}
    print(f"{'':24}{'scikit-learn':>14}{'pellucid':>12}{'ratio':>8}   epochs a second")
    for hidden in [(100,), (10,)]:
        for dtype in [np.float64, np.float32]:
            name = f"4-{hidden[0]}-3, {np.dtype(dtype).name}"
            row = results[name] = measure(hidden, dtype, arguments.runs)
            print(f"{name:24}{row['scikit-learn']:14.0f}{row['pellucid']:12.0f}{row['ratio']:8.1f}")
    path = Path(arguments.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"runs": arguments.runs, "epochs a second": results}, indent=2) + "\n"
    )
    print(f"\nsaved {path}")


if __name__ == "__main__":
    main()
