"""Is it faster to fit five networks together than one after the other?

    python benchmarks/ensemble.py [--runs 9]

Compares `DeepEnsembleClassifier` with a loop of `MLPClassifier.fit` with the same seeds. Runs
alternate, and both use all processors; the weights must be bit-identical. The medians of the
wall-clock times, their ratio, and the median ratio of adjacent runs are printed and saved as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning

from pellucid import DeepEnsembleClassifier, MLPClassifier


def cases():
    X, y = load_digits(return_X_y=True)
    yield "digits, 1797 x 64, 30 epochs", (X / 16.0).astype(np.float32), y, 30
    X, y = make_classification(20_000, 20, n_informative=10, n_classes=3, random_state=0)
    yield "table, 20,000 x 20, 10 epochs", X.astype(np.float32), y, 10


def together(ensemble, X, y):
    start = time.perf_counter()
    ensemble = clone(ensemble).fit(X, y)
    return time.perf_counter() - start, ensemble.estimators_


def one_by_one(members, X, y):
    start = time.perf_counter()
    fitted = [clone(member).fit(X, y) for member in members]
    return time.perf_counter() - start, fitted


def measure(X, y, epochs, runs):
    network = MLPClassifier((100,), max_iter=epochs, n_iter_no_change=epochs)
    ensemble = DeepEnsembleClassifier(network, n_estimators=5, random_state=0)
    _, members = together(ensemble, X, y)
    _, alone = one_by_one(members, X, y)
    for a, b in zip(members, alone, strict=True):
        np.testing.assert_array_equal(a.parameters_.flat, b.parameters_.flat)
    seconds = {"together": [], "one by one": []}
    for _ in range(runs):
        seconds["together"].append(together(ensemble, X, y)[0])
        seconds["one by one"].append(one_by_one(members, X, y)[0])
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--out", default="benchmarks/results/ensemble.json")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    results = {"processors": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0], "cases": {}}
    for name, X, y, epochs in cases():
        seconds = measure(X, y, epochs, arguments.runs)
        pairs = zip(seconds["one by one"], seconds["together"], strict=True)
        ratio = statistics.median(slow / fast for slow, fast in pairs)
        medians = {kind: statistics.median(values) for kind, values in seconds.items()}
        results["cases"][name] = {"seconds": medians, "ratio": ratio, "runs": seconds}
        print(
            f"{name:32} together {medians['together']:.3f} s, one by one "
            f"{medians['one by one']:.3f} s, {ratio:.2f} times as long"
        )
    path = Path(arguments.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
