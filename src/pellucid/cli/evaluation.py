"""Evaluate a model on a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pellucid.cli.data import (
    columns_matched_by_name,
    inputs_for,
    read_model_table,
    target_in,
    target_values,
)
from pellucid.cli.metrics import (
    Metric,
    classification_metrics,
    match_labels,
    metrics_facts,
    metrics_table,
    regression_metrics,
)
from pellucid.cli.options import ReadingOptions
from pellucid.cli.screen import Output
from pellucid.models.loading import load
from pellucid.tables import TableError


def evaluate_file(
    path: Path, table: Path, target: str | None, reading: ReadingOptions, out: Output
) -> None:
    """Run `pellucid evaluate`: compare the predictions of a saved model with the true values."""
    model = load(path)
    rows = read_model_table(table, model, reading, out)
    name = target or getattr(model, "target_name_", None)
    if name is None:
        raise TableError("The model has no target name: give it with --target.")
    truth = target_in(rows, name)
    task = "classification" if hasattr(model, "predict_proba") else "regression"
    X, y = inputs_for(model, rows, truth.name), target_values(truth, task)
    out.add(model=path, table=table, rows=len(rows), target=truth.name)
    with columns_matched_by_name():
        show_metrics(model, X, y, f"{table.name}: {len(rows):,} rows", out)


def show_metrics(model: Any, X: Any, y: Any, title: str, out: Output) -> None:
    """Evaluate a model on a table and print the result."""
    found, baseline, remark = measure(model, X, y)
    if remark is not None:
        out.note(remark)
    out.add(**metrics_facts(found, baseline))
    out.table(metrics_table(found, title, baseline))


def measure(model: Any, X: Any, y: Any) -> tuple[list[Metric], str, str | None]:
    """Evaluate a model on a table; return the metrics, the baseline's name and a remark.

    The baseline always predicts the most frequent class or the mean of the training rows.
    """
    if hasattr(model, "predict_proba"):
        labels, remark = match_labels(y, model.classes_)
        shares = getattr(model, "class_shares_", None)
        if shares is None:  # An MLPClassifier does not store them; use those of these rows.
            shares = np.array([(labels == label).mean() for label in model.classes_])
        probabilities = model.predict_proba(X)
        found = classification_metrics(labels, probabilities, model.classes_, shares)
        return found, "most frequent class", remark
    predictions = model.predict(X)
    if predictions.ndim > 1:
        raise TableError(
            f"The model predicts {predictions.shape[1]} numbers for each row, but only one can be "
            "compared with the target. Evaluate it in Python with model.score(X, y)."
        )
    mean = float(getattr(model, "target_mean_", y.mean()))
    return regression_metrics(y, predictions, mean), "mean", None
