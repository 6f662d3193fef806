"""Metrics of a model and of a constant baseline."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from rich.table import Table as ScreenTable
from sklearn import metrics

from pellucid.tables import TableError


@dataclass(frozen=True)
class Metric:
    """One row of the table of metrics.

    Attributes
    ----------
    name : str
    model, baseline : float
    unit : {"percent", "plain", "target"}
        How the value is printed; "target" is in the unit of the target.
    """

    name: str
    model: float
    baseline: float
    unit: Literal["percent", "plain", "target"] = "plain"


def classification_metrics(
    labels: npt.NDArray[Any],
    probabilities: npt.NDArray[np.float64],
    classes: npt.NDArray[Any],
    shares: npt.NDArray[np.float64],
) -> list[Metric]:
    """Compare a model with always predicting the class that is most frequent in training.

    Parameters
    ----------
    labels : ndarray of shape (n_rows,)
        True labels, all of them in `classes`.
    probabilities : ndarray of shape (n_rows, n_classes)
    classes, shares : ndarray of shape (n_classes,)
        Classes, and their frequencies in training, which are the baseline's probabilities.
    """
    constant = np.broadcast_to(shares, probabilities.shape)
    codes = np.searchsorted(classes, labels)
    every_class = np.arange(len(classes))

    def accuracy(p: npt.NDArray[Any]) -> float:
        return float(np.mean(p.argmax(axis=1) == codes))

    def balanced(p: npt.NDArray[Any]) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Classes that do not occur in the test rows.
            return float(metrics.balanced_accuracy_score(codes, p.argmax(axis=1)))

    def log_loss(p: npt.NDArray[Any]) -> float:
        tiny = np.finfo(np.float64).eps
        told = np.clip(p[np.arange(len(codes)), codes], tiny, 1.0)
        return float(np.mean(-np.log(told)))

    found = [
        Metric("accuracy", accuracy(probabilities), accuracy(constant), "percent"),
        Metric("balanced accuracy", balanced(probabilities), balanced(constant), "percent"),
    ]
    found.append(Metric("log loss", log_loss(probabilities), log_loss(constant)))
    if len(every_class) == 2 and len(np.unique(codes)) == 2:
        auc = float(metrics.roc_auc_score(codes, probabilities[:, 1]))
        found.append(Metric("ROC AUC", auc, 0.5))
    return found


def regression_metrics(
    targets: npt.NDArray[np.float64], predictions: npt.NDArray[np.float64], mean: float
) -> list[Metric]:
    """Compare a model with always predicting the mean of the training targets."""
    constant = np.full_like(predictions, mean)
    rmse, mae, r2 = (
        metrics.root_mean_squared_error,
        metrics.mean_absolute_error,
        metrics.r2_score,
    )
    found = [
        Metric("RMSE", rmse(targets, predictions), rmse(targets, constant), "target"),
        Metric("MAE", mae(targets, predictions), mae(targets, constant), "target"),
    ]
    if len(targets) > 1:
        found.append(Metric("R²", r2(targets, predictions), r2(targets, constant)))
    return found


def metrics_table(found: list[Metric], title: str, baseline: str) -> ScreenTable:
    """Return the metrics as a table for the screen."""
    table = ScreenTable(title=title, title_justify="left", title_style="bold")
    table.add_column("")
    table.add_column("model", justify="right")
    table.add_column(baseline, justify="right")
    for metric in found:
        shown = [_shown(value, metric.unit) for value in (metric.model, metric.baseline)]
        table.add_row(metric.name, *shown)
    return table


def metrics_facts(found: list[Metric], baseline: str) -> dict[str, Any]:
    """Return the metrics for JSON; a share is between 0 and 1."""
    return {
        "metrics": {metric.name: metric.model for metric in found},
        "baseline": {
            "always": baseline,
            "metrics": {metric.name: metric.baseline for metric in found},
        },
    }


def _shown(value: float, unit: str) -> str:
    if unit == "percent":
        return f"{100 * value:.2f} %"
    if unit == "plain":
        return f"{value + 0.0:.4f}"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else f"{value:,.4g}"


def match_labels(
    labels: npt.NDArray[Any], classes: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], str | None]:
    """Match each label with a class of a model.

    Labels that differ from the classes only in a final period, whitespace or case are matched, too,
    with a remark.

    Returns
    -------
    labels : ndarray
        Elements of `classes`.
    remark : str or None
        Message about labels that did not match exactly.

    Raises
    ------
    TableError
        If some labels match no class.
    """
    texts = np.array([_label_text(label) for label in labels.tolist()])
    known = {_label_text(label): i for i, label in enumerate(classes.tolist())}
    distinct = sorted(set(texts.tolist()))
    bent = {text.rstrip(".").strip().casefold(): i for text, i in known.items()}
    remark = None
    if not set(distinct) <= set(known) and len(bent) == len(known):
        candidates = {text: text.rstrip(".").strip().casefold() for text in distinct}
        if all(candidate in bent for candidate in candidates.values()):
            remark = f"Labels such as {distinct[0]!r} are treated as {_first(classes)!r}."
            known = {text: bent[candidate] for text, candidate in candidates.items()}
    unknown = [text for text in distinct if text not in known]
    if unknown:
        shown = ", ".join(repr(_label_text(c)) for c in classes.tolist()[:10])
        raise TableError(
            f"The target has labels that the model does not know: "
            f"{', '.join(map(repr, unknown[:5]))}. It knows: {shown}."
        )
    return classes[np.array([known[text] for text in texts.tolist()], dtype=np.intp)], remark


def _first(classes: npt.NDArray[Any]) -> str:
    return _label_text(classes.tolist()[0])


def _label_text(label: Any) -> str:
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return str(label)
