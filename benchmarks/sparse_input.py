"""How long do training and prediction take on sparse tables, compared with scikit-learn?

    python benchmarks/sparse_input.py [--epochs 10] [--runs 5]

The table is the TF-IDF matrix (scikit-learn's defaults) of the SMS spam collection, which is read
from $PELLUCID_DATA. `MLPClassifier(hidden_layer_sizes=(100,))` of both libraries uses the same
parameters and the same split: Adam, batches of 200. Runs alternate in one process. The benchmark
prints the seconds per epoch (after a warm-up epoch), the accuracy on the test rows, and the times
to predict all test rows and one row. It also measures predictions of a random table of
2,000 x 100,000 with 100 entries per row. Everything is saved as JSON.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import platform
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse
import sklearn.neural_network
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split

import pellucid

PROJECT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("PELLUCID_DATA", PROJECT.parent / "shared" / "data"))
LIBRARIES = {
    "pellucid": pellucid.MLPClassifier,
    "scikit-learn": sklearn.neural_network.MLPClassifier,
}


def read_messages(dtype):
    """Return the TF-IDF rows for training and testing, and their labels."""
    with gzip.open(DATA / "sms_spam" / "sms_spam.csv.gz", "rt", encoding="utf-8") as file:
        labels, texts = zip(*list(csv.reader(file))[1:], strict=True)
    train, test, y_train, y_test = train_test_split(
        texts, np.array(labels), random_state=0, stratify=labels
    )
    vectorizer = TfidfVectorizer(dtype=dtype)
    return vectorizer.fit_transform(train), vectorizer.transform(test), y_train, y_test


def make_model(library, epochs):
    return LIBRARIES[library](hidden_layer_sizes=(100,), max_iter=epochs, tol=0.0, random_state=0)


def seconds_of(action):
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def alternate(actions, runs):
    """Return the times of each action; the actions alternate after a warm-up run."""
    times = {name: [] for name in actions}
    for run in range(runs + 1):
        for name, action in actions.items():
            seconds = seconds_of(action)
            if run > 0:
                times[name].append(seconds)
    return times


def epoch_seconds(X, y, epochs, runs):
    """Return the seconds per epoch: the difference between fits of many epochs and of one."""
    fits = {
        (library, n): lambda library=library, n=n: make_model(library, n).fit(X, y)
        for library in LIBRARIES
        for n in (1, 1 + epochs)
    }
    times = alternate(fits, runs)
    return {
        library: [
            (long - short) / epochs
            for long, short in zip(times[library, 1 + epochs], times[library, 1], strict=True)
        ]
        for library in LIBRARIES
    }


def prediction_seconds(models, X, runs):
    return alternate({name: lambda m=model: m.predict(X) for name, model in models.items()}, runs)


def report_line(what, times, unit, scale):
    """Print and return the medians and the speedup of Pellucid."""
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratio = medians["scikit-learn"] / medians["pellucid"]
    shown = "".join(f"{name} {scale * medians[name]:10.3f} {unit}   " for name in LIBRARIES)
    print(f"{what:34}{shown}ratio {ratio:6.2f}", flush=True)
    return {**medians, "ratio": ratio}


def measure_messages(dtype, arguments):
    X, X_test, y, y_test = read_messages(dtype)
    name = np.dtype(dtype).name
    seconds = epoch_seconds(X, y, arguments.epochs, arguments.runs)
    result = {
        "shape": X.shape,
        "entries": X.nnz,
        "epoch": report_line(f"epoch, {name}", seconds, "ms", 1e3),
    }
    models = {library: make_model(library, arguments.accuracy_epochs) for library in LIBRARIES}
    for model in models.values():
        model.fit(X, y)
    result["accuracy"] = {name: model.score(X_test, y_test) for name, model in models.items()}
    print(f"  test accuracy after {arguments.accuracy_epochs} epochs: {result['accuracy']}")
    for what, rows in (
        (f"predict {X_test.shape[0]} rows", X_test),
        ("predict one row", X_test[:1]),
    ):
        times = prediction_seconds(models, rows, 20 * arguments.runs)
        result[what] = report_line(f"{what}, {name}", times, "ms", 1e3)
    return result


def measure_wide(dtype, arguments):
    X = scipy.sparse.random(2000, 100_000, density=1e-3, format="csr", random_state=0, dtype=dtype)
    name = np.dtype(dtype).name
    models = {library: make_model(library, 1) for library in LIBRARIES}
    for model in models.values():
        model.fit(X[:400], np.arange(400) % 2)
    result = {}
    for what, rows in (("predict 2000 x 100000", X), ("predict one row of it", X[:1])):
        times = prediction_seconds(models, rows, 5 * arguments.runs)
        result[what] = report_line(f"{what}, {name}", times, "ms", 1e3)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--accuracy-epochs", type=int, default=20)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", default="benchmarks/results/sparse_input.json")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # warnings that fits have not converged
    report = {"machine": platform.platform(), "processors": os.cpu_count()}
    for dtype in (np.float64, np.float32):
        name = np.dtype(dtype).name
        report[f"messages {name}"] = measure_messages(dtype, arguments)
        report[f"wide {name}"] = measure_wide(dtype, arguments)
    path = Path(arguments.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
