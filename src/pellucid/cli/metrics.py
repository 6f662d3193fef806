"""What is measured of a model, beside a constant baseline, and how it is shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from rich.table import Table as ScreenTable

from pellucid.cli import measures
from pellucid.cli.class_report import ClassReport, class_report
from pellucid.cli.measures import Measure
from pellucid.tables import TableError

SEED = 0
"""Of the resamples behind the intervals."""
FEWEST_ROWS_TO_JUDGE = 10
"""Fewer rows do not tell that a model is worse than its baseline."""
MOST_CLASSES_FOR_AUC_INTERVAL = 50
"""The area under the curve of each class against the rest takes long to resample."""

Unit = Literal["percent", "plain", "target"]


@dataclass(frozen=True)
class Metric:
    """One row of the table of metrics.

    Attributes
    ----------
    name : str
    model, baseline : float
    unit : {"percent", "plain", "target"}
        How the value is printed; "target" is in the unit of the target.
    low, high : float
        Ends of the 95 % interval of the model's value; NaN without one.
    """

    name: str
    model: float
    baseline: float
    unit: Unit = "plain"
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Report:
    """What was measured of one target.

    Attributes
    ----------
    n_rows : int
    metrics : tuple of Metric
    baseline : str
        Name of the baseline.
    n_resamples : int
        Behind the intervals.
    target : str or None
        Named where there are several.
    by_class : ClassReport or None
    remarks : tuple of str
        What the user should know.
    worse_in : str or None
        The model's own loss, if it is above that of the baseline beyond chance.
    """

    n_rows: int
    metrics: tuple[Metric, ...]
    baseline: str
    n_resamples: int
    target: str | None = None
    by_class: ClassReport | None = None
    remarks: tuple[str, ...] = ()
    worse_in: str | None = None

    def __getitem__(self, name: str) -> Metric:
        return {metric.name: metric for metric in self.metrics}[name]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return tuple(metric.name for metric in self.metrics)

    def facts(self) -> dict[str, Any]:
        """Return everything for JSON; a share is between 0 and 1."""
        known = [metric for metric in self.metrics if not math.isnan(metric.low)]
        return {
            "metrics": {metric.name: metric.model for metric in self.metrics},
            "intervals": {metric.name: [metric.low, metric.high] for metric in known},
            "resamples": self.n_resamples,
            "worse_than_baseline": self.worse_in is not None,
            "baseline": {
                "always": self.baseline,
                "metrics": {metric.name: metric.baseline for metric in self.metrics},
            },
            **({} if self.by_class is None else self.by_class.facts()),
        }


def metrics_by_name(reports: Sequence[Report]) -> dict[str, Metric]:
    """Return the metrics of one or several targets by name: "RMSE", or "RMSE of height"."""
    return {
        metric.name if report.target is None else f"{metric.name} of {report.target}": metric
        for report in reports
        for metric in report.metrics
    }


@dataclass(frozen=True)
class _Plan:
    """A metric to compute."""

    name: str
    model: Measure
    baseline: Measure
    unit: Unit = "plain"
    has_interval: bool = True


def label_report(
    labels: npt.NDArray[Any],
    probabilities: npt.NDArray[np.float64],
    classes: npt.NDArray[Any],
    shares: npt.NDArray[np.float64],
    target: str | None = None,
    remarks: tuple[str, ...] = (),
    resample: bool = True,
) -> Report:
    """Compare a model with always predicting the class that is most frequent in training.

    Parameters
    ----------
    labels : ndarray of shape (n_rows,)
        True labels, all of them in `classes`.
    probabilities : ndarray of shape (n_rows, n_classes)
    classes, shares : ndarray of shape (n_classes,)
        Classes, and their frequencies in training, which are the baseline's probabilities.
    target : str, optional
        Name of the target, if there are several.
    remarks : tuple of str
    resample : bool
        Whether to make intervals.
    """
    P = np.asarray(probabilities, dtype=np.float64)
    constant = np.broadcast_to(shares, P.shape)
    codes = np.searchsorted(classes, labels)
    plans = [
        _Plan(name, make(P, codes), make(constant, codes), unit, has_interval)
        for name, make, unit, has_interval in _OF_LABELS
    ]
    if len(np.unique(codes)) > 1:
        is_quick = len(classes) <= MOST_CLASSES_FOR_AUC_INTERVAL
        auc = measures.roc_auc(P, codes)
        plans.append(_Plan("ROC AUC", auc, _half, has_interval=is_quick))
    n_resamples = measures.n_resamples_for(len(codes)) if resample else 0
    return Report(
        len(codes),
        _measured(plans, len(codes), n_resamples),
        "most frequent class",
        n_resamples,
        target,
        class_report(codes, P.argmax(axis=1), classes),
        remarks,
        _worse_in(plans, "log loss", len(codes), n_resamples),
    )


def _half(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.full(len(weights), 0.5)


_OF_LABELS: tuple[tuple[str, Any, Unit, bool], ...] = (
    ("accuracy", measures.accuracy, "percent", True),
    ("balanced accuracy", measures.balanced_accuracy, "percent", True),
    ("log loss", measures.log_loss, "plain", True),
    # A resample repeats rows, which makes the gaps within the bins wider than those of new rows.
    ("calibration error", measures.calibration_error, "plain", False),
)


def number_report(
    targets: npt.NDArray[np.float64],
    predictions: npt.NDArray[np.float64],
    constant: float,
    loss: str = "squared_error",
    level: float | None = None,
    target: str | None = None,
    resample: bool = True,
) -> Report:
    """Compare a model with always predicting the same number.

    Parameters
    ----------
    targets, predictions : ndarray of shape (n_rows,)
    constant : float
        Mean of the training targets, or their quantile if a quantile is predicted.
    loss : str
        Name of the loss: "quantile" and "poisson" have metrics of their own.
    level : float, optional
        Of a predicted quantile.
    target : str, optional
        Name of the target, if there are several.
    resample : bool
        Whether to make intervals.
    """
    y, told = np.asarray(targets, np.float64), np.asarray(predictions, np.float64)
    baseline = np.full_like(told, constant)
    plans: list[_Plan] = []

    def add(name: str, make: Callable[..., Measure], unit: Unit, *more: float) -> None:
        plans.append(_Plan(name, make(y, told, *more), make(y, baseline, *more), unit))

    if loss == "quantile" and level is not None:
        add(f"pinball loss at {level:g}", measures.pinball, "target", level)
        add(f"coverage at {level:g}", measures.coverage, "percent")
    if loss == "poisson" and y.min() >= 0:
        add("Poisson deviance", measures.poisson_deviance, "plain")
    add("RMSE", measures.rmse, "target")
    add("MAE", measures.mae, "target")
    if len(y) > 1:
        add("R²", measures.r2, "plain")
    n_resamples = measures.n_resamples_for(len(y)) if resample else 0
    own = plans[0].name
    if own == "RMSE" and loss in ("absolute_error", "huber"):
        own = "MAE"
    return Report(
        len(y),
        _measured(plans, len(y), n_resamples),
        "mean" if loss != "quantile" or level is None else f"quantile {level:g}",
        n_resamples,
        target,
        worse_in=_worse_in(plans, own, len(y), n_resamples),
    )


def _worse_in(plans: list[_Plan], own: str, n_rows: int, n_resamples: int) -> str | None:
    """Return the name of a model's own loss if it is above the baseline's in 97.5 % of resamples.

    Both are measured on the same resamples.
    """
    if n_rows < FEWEST_ROWS_TO_JUDGE or not n_resamples:
        return None
    [plan] = [plan for plan in plans if plan.name == own]

    def difference(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return plan.model(weights) - plan.baseline(weights)

    low, _ = measures.intervals_of([difference], n_rows, n_resamples, SEED)
    return own if low[0] > 0 else None


def _measured(plans: list[_Plan], n_rows: int, n_resamples: int) -> tuple[Metric, ...]:
    values = measures.values_of([plan.model for plan in plans], n_rows)
    baselines = measures.values_of([plan.baseline for plan in plans], n_rows)
    resampled = [
        i for i, plan in enumerate(plans) if plan.has_interval and n_rows > 1 and n_resamples
    ]
    ends = np.full((len(plans), 2), math.nan)
    if resampled:
        chosen = [plans[i].model for i in resampled]
        low, high = measures.intervals_of(chosen, n_rows, n_resamples, SEED)
        ends[resampled] = np.column_stack([low, high])
    return tuple(
        Metric(plan.name, float(value), float(baseline), plan.unit, *map(float, interval))
        for plan, value, baseline, interval in zip(plans, values, baselines, ends, strict=True)
    )


def metrics_table(report: Report, title: str) -> ScreenTable:
    """Return the metrics as a table for the screen."""
    if report.target is not None:
        title = f"{title}, target {report.target!r}"
    table = ScreenTable(title=title, title_justify="left", title_style="bold")
    table.add_column("")
    table.add_column("model", justify="right")
    table.add_column("95 % interval", justify="right")
    table.add_column(report.baseline, justify="right")
    for metric in report.metrics:
        interval = ""
        if not math.isnan(metric.low):
            low, high = (shown(value, metric.unit) for value in (metric.low, metric.high))
            interval = f"{low.removesuffix(' %')} to {high}"
        model, baseline = (shown(v, metric.unit) for v in (metric.model, metric.baseline))
        table.add_row(metric.name, model, interval, baseline)
    return table


_EXPLANATIONS: Mapping[str, str] = {
    "calibration error": "Calibration error: expected, of the most probable class, "
    f"{measures.CALIBRATION_BINS} bins.",
}


def explanation(report: Report) -> str:
    """Return how the numbers came about, in a line."""
    names = {metric.name for metric in report.metrics}
    how = f"Intervals: bootstrap of the rows, {report.n_resamples:,} resamples, seed {SEED}."
    return " ".join([how, *(text for name, text in _EXPLANATIONS.items() if name in names)])


def shown(value: float, unit: Unit) -> str:
    """Return a value of a metric as text."""
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
