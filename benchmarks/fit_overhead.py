"""How much time does `fit` spend outside the arithmetic, compared with scikit-learn?

    python benchmarks/fit_overhead.py [--runs 15]

`MLPClassifier` and `MLPRegressor` of both libraries, with the same parameters (20 epochs of Adam,
batches of 200 rows, one hidden layer of 100 units), fit 1,000 rows of 20 float64 columns. The
libraries alternate after five fits. The measured time includes everything except the arithmetic of
training: checks of parameters and table, initial weights, splits, row orders and stopping. The
arithmetic of Pellucid is the time in its engine (epochs, and scores of held-out rows). That of
scikit-learn is `_backprop`, the optimizer's `update_params` and the forward pass of held-out rows.
Medians of the CPU time of the calling thread are printed and saved as JSON. On a busy machine, the
times of both libraries increase.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import sklearn
import sklearn.neural_network
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer

import pellucid
from pellucid.engine.native import NativeTrainer
from pellucid.engine.native_predictor import NativePredictor

LIBRARIES = {"scikit-learn": sklearn.neural_network, "pellucid": pellucid}
ARITHMETIC = {
    "scikit-learn": [
        (sklearn.neural_network._multilayer_perceptron.BaseMultilayerPerceptron, "_backprop"),
        (
            sklearn.neural_network._multilayer_perceptron.BaseMultilayerPerceptron,
            "_forward_pass_fast",
        ),
        (AdamOptimizer, "update_params"),
    ],
    "pellucid": [(NativeTrainer, "_run"), (NativePredictor, "__call__")],
}
CASES = {
    "binary": ("MLPClassifier", {}),
    "regression": ("MLPRegressor", {}),
    "binary, early stopping": ("MLPClassifier", {"early_stopping": True, "n_iter_no_change": 20}),
}


@contextmanager
def timed_arithmetic(library):
    """Yield a list of one number that grows by the seconds spent in the library's arithmetic."""
    spent = [0.0]

    def timed(method):
        def wrapper(*args, **kwargs):
            start = time.thread_time()
            try:
                return method(*args, **kwargs)
            finally:
                spent[0] += time.thread_time() - start

        return wrapper

    with ExitStack() as stack:
        for owner, name in ARITHMETIC[library]:
            stack.enter_context(patch.object(owner, name, timed(getattr(owner, name))))
        yield spent


def make_data(estimator):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 20))
    y = X @ rng.normal(size=20) + rng.normal(size=1000)
    return X, (y > 0).astype(int) if estimator == "MLPClassifier" else y


def one_fit(library, estimator, options, X, y):
    """Return the milliseconds of a fit outside the arithmetic, and in total."""
    model = getattr(LIBRARIES[library], estimator)(max_iter=20, random_state=0, **options)
    with timed_arithmetic(library) as arithmetic:
        start = time.thread_time()
        model.fit(X, y)
        whole = time.thread_time() - start
    assert model.n_iter_ == 20
    return 1e3 * (whole - arithmetic[0]), 1e3 * whole


def measure(estimator, options, runs):
    """Return the medians of both libraries, whose runs alternate."""
    X, y = make_data(estimator)
    taken = {library: [] for library in LIBRARIES}
    for run in range(runs + 1):
        for library, times in taken.items():
            time.sleep(0.1)  # idle threads of the other library spin for a while
            turn = [one_fit(library, estimator, options, X, y) for _ in range(5)]
            if run > 0:  # the first run is a warm-up
                times.extend(turn)
    return {
        library: {
            "outside_ms": statistics.median(outside for outside, _ in times),
            "fit_ms": statistics.median(whole for _, whole in times),
        }
        for library, times in taken.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent / "results" / "fit_overhead.json"
    )
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    results = {"scikit_learn_version": sklearn.__version__, "turns": arguments.runs}
    for case, (estimator, options) in CASES.items():
        results[case] = measure(estimator, options, arguments.runs)
        for library, times in results[case].items():
            print(
                f"{case:24s} {library:14s} {times['outside_ms']:6.2f} ms outside the arithmetic "
                f"of {times['fit_ms']:6.2f} ms",
                flush=True,
            )
    arguments.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
