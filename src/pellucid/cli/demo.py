"""Demo: train a network on the handwritten digits of scikit-learn."""

from __future__ import annotations

import numpy as np
import typer
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from pellucid.cli.data import Examples
from pellucid.cli.describe import network_table
from pellucid.cli.interrupt import INTERRUPTED
from pellucid.cli.measurement import measure
from pellucid.cli.metrics import metrics_table
from pellucid.cli.screen import Output
from pellucid.cli.training import train
from pellucid.models.perceptron.mlp_classifier import MLPClassifier


def run_demo(seed: int, out: Output) -> None:
    """Train on 1,347 handwritten digits of 8 × 8 pixels and test on 450 others."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16.0).astype(np.float32)
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=seed)
    out.say(
        f"{len(X):,} handwritten digits of 8 × 8 pixels: {len(X_train):,} for training, "
        f"{len(X_test):,} for testing."
    )
    out.say(f"{_drawing(X_test[0])} \nThis digit is a {y_test[0]}.\n")
    model = MLPClassifier((128, 64), batch_size=16, random_state=seed)
    training = train(model, Examples(X_train, y_train), None, out)
    out.say("")
    out.table(network_table(model.describe().network))
    out.say("")
    [report] = measure(model, X_test, y_test)
    title = f"{len(y_test):,} test digits; training took {training.seconds:.2f} s"
    out.table(metrics_table(report, title))
    out.add(seconds=training.seconds, **report.facts())
    told = model.predict(X_test[:1])[0]
    out.say(f"\nPrediction for the digit above: {told}.")
    if training.interrupted:
        raise typer.Exit(INTERRUPTED)


def _drawing(pixels: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> str:
    shades = " ░▒▓█"
    rows = pixels.reshape(8, 8)
    return "\n".join("".join(shades[int(v * 4.999)] * 2 for v in row) for row in rows)
