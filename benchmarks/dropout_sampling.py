"""How long does Monte-Carlo dropout take, compared with NumPy and with plain predictions?

    python benchmarks/dropout_sampling.py

Each case computes the scores of float32 rows with `n_samples` sub-networks: with
`NativePredictor.sample`, and with the NumPy formulas of `pellucid.nn` (`Chain.sample_scores`). For
comparison, it also makes `n_samples` predictions without dropout, in NumPy and the native engine.
The runs alternate, and the table shows medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np

from pellucid.engine.native import instruction_set
from pellucid.engine.native_predictor import NativePredictor
from pellucid.nn import Activation, Chain, Dropout, Linear

CASES = [
    # inputs, hidden widths, outputs, rows, samples
    (20, (64, 64), 1, 1_000, 100),
    (54, (100,), 7, 10_000, 50),
    (784, (256, 128), 10, 1_000, 50),
    (784, (256, 128), 10, 1, 100),
    (784, (1024, 1024), 10, 1_000, 20),
]


def make(fan_in, widths, n_outputs):
    layers = [
        part for width in widths for part in (Linear(width), Activation("relu"), Dropout(0.2))
    ]
    chain = Chain([*layers, Linear(n_outputs)], "squared_error")
    return chain, chain.initialize(fan_in, seed=0, dtype=np.float32)


def time_case(fan_in, widths, n_outputs, n_rows, n_samples, n_threads, rounds):
    chain, parameters = make(fan_in, widths, n_outputs)
    X = np.random.default_rng(0).standard_normal((n_rows, fan_in)).astype(np.float32)
    predict = NativePredictor(chain, parameters, fan_in, n_threads)

    def plain():
        for _ in range(n_samples):
            predict(X)

    calls = {
        "native samples": lambda: predict.sample(X, n_samples),
        "NumPy samples": lambda: chain.sample_scores(parameters, X, n_samples),
        "native predictions": plain,
        "NumPy passes": lambda: [chain.forward(parameters, X) for _ in range(n_samples)],
    }
    taken = {name: [] for name in calls}
    for _ in range(rounds + 1):  # the first warms up
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", default="benchmarks/results/dropout_sampling.json")
    arguments = parser.parse_args()
    report = {
        "instruction_set": instruction_set(),
        "numpy": np.__version__,
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "cases": [],
    }
    heads = ("rows", "samples", "native ms", "NumPy ms", "times", "passes")
    print("{:24}{:>8}{:>9}{:>11}{:>11}{:>7}{:>8}".format("network", *heads))
    for case in CASES:
        seconds = time_case(*case, arguments.threads, arguments.rounds)
        fan_in, widths, n_outputs, n_rows, n_samples = case
        name = "–".join(map(str, (fan_in, *widths, n_outputs)))
        report["cases"].append(
            {"network": name, "rows": n_rows, "samples": n_samples, "seconds": seconds}
        )
        native, formulas = seconds["native samples"], seconds["NumPy samples"]
        passes = seconds["NumPy passes"]
        print(
            f"{name:24}{n_rows:8}{n_samples:9}{1e3 * native:11.2f}{1e3 * formulas:11.1f}"
            f"{formulas / native:7.1f}{passes / native:8.1f}"
        )
    path = Path(arguments.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
