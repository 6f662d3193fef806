"""Cross-validation: folds of the training rows, fitted at the same time."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table as ScreenTable

from pellucid.cli.data import Examples
from pellucid.cli.measurement import measure, quantile_of
from pellucid.cli.metrics import Metric, Unit, metrics_by_name, shown
from pellucid.models.fit_data import FitData
from pellucid.models.together import fit_all
from pellucid.tables import TableError
from pellucid.training import FitResult, Outcome

IntVector = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Folds:
    """A split of rows into folds.

    Attributes
    ----------
    splits : list of pairs of ndarray
        For each fold, the rows to train on and those to test on.
    kind : str
        How the rows were drawn.
    """

    splits: list[tuple[IntVector, IntVector]]
    kind: str

    def __str__(self) -> str:
        sizes = sorted({len(rows) for _, rows in self.splits})
        rows = " or ".join(f"{size:,}" for size in sizes)
        return f"{len(self.splits)} folds of {rows} rows, {self.kind}"


def make_folds(y: npt.NDArray[Any], n_folds: int, labels: bool, seed: int) -> Folds:
    """Draw folds of the rows, stratified by class if every class has a row for each fold.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
    n_folds : int
    labels : bool
        Whether `y` holds labels.
    seed : int
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    if len(y) < 2 * n_folds:
        raise TableError(
            f"There are {len(y)} rows for training: too few for {n_folds} folds. Add rows, or "
            "train without folds."
        )
    rarest = np.unique(y, return_counts=True)[1].min() if labels else 0
    is_stratified = rarest >= n_folds
    kind = StratifiedKFold if is_stratified else KFold
    splits = list(kind(n_folds, shuffle=True, random_state=seed).split(np.zeros(len(y)), y))
    how = "stratified by class" if is_stratified else "drawn at random"
    return Folds(splits, f"{how}, seed {seed}")


def fit_folds(
    model_class: Any, parameters: Mapping[str, Any], examples: Examples, folds: Folds
) -> list[tuple[Any, FitResult, Examples]]:
    """Fit a model for each fold, all at the same time; return it with its test rows.

    Raises
    ------
    KeyboardInterrupt
        If Ctrl-C stopped a fit.
    """
    models = [model_class(**parameters) for _ in folds.splits]
    training = [examples.take(rows) for rows, _ in folds.splits]
    with warnings.catch_warnings(action="ignore"):
        results = fit_all(
            models, [FitData(part.X, part.y) for part in training], parameters.get("n_threads")
        )
    if any(result.outcome is Outcome.INTERRUPTED for result in results):
        raise KeyboardInterrupt
    testing = [examples.take(rows) for _, rows in folds.splits]
    return list(zip(models, results, testing, strict=True))


@dataclass(frozen=True)
class FoldScore:
    """Mean and standard deviation of a metric over the folds."""

    name: str
    unit: Unit
    mean: float
    deviation: float
    baseline: float


def cross_validated(
    model_class: Any,
    parameters: Mapping[str, Any],
    examples: Examples,
    names: Sequence[str],
    folds: Folds,
) -> list[FoldScore]:
    """Return the mean and standard deviation of each metric of the named targets over the folds.

    Rows of a class that a fold was not trained on are left out of its test.
    """
    measured = []
    for model, result, testing in fit_folds(model_class, parameters, examples, folds):
        if result.error is not None:
            raise result.error
        if hasattr(model, "classes_"):
            testing = testing.take(np.flatnonzero(np.isin(testing.y, model.classes_)))
        with warnings.catch_warnings(action="ignore"):
            quantile = quantile_of(model, examples.y)
            reports = measure(model, *(testing.X, testing.y, names), False, quantile)
            measured.append(metrics_by_name(reports))
    common = [name for name in measured[0] if all(name in fold for fold in measured)]
    return [_score_of(name, [fold[name] for fold in measured]) for name in common]


def _score_of(name: str, metrics: Sequence[Metric]) -> FoldScore:
    values = np.array([metric.model for metric in metrics])
    baseline = float(np.mean([metric.baseline for metric in metrics]))
    deviation = float(values.std(ddof=1))
    return FoldScore(name, metrics[0].unit, float(values.mean()), deviation, baseline)


def folds_table(scores: Sequence[FoldScore], folds: Folds, baseline: str) -> ScreenTable:
    """Return the scores as a table for the screen."""
    table = ScreenTable(
        title=f"Cross-validation: {folds}", title_justify="left", title_style="bold"
    )
    for name in ("", "mean", "deviation", baseline):
        table.add_column(name, justify="right" if name else "left")
    for score in scores:
        values = score.mean, score.deviation, score.baseline
        table.add_row(score.name, *[shown(value, score.unit) for value in values])
    return table


def folds_facts(scores: Sequence[FoldScore], folds: Folds) -> dict[str, Any]:
    """Return the scores as JSON has them."""
    return {
        "folds": len(folds.splits),
        "kind": folds.kind,
        "metrics": {s.name: {"mean": s.mean, "deviation": s.deviation} for s in scores},
    }
