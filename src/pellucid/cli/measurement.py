"""Measure any model on a table: one report for each target or label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.cli.metrics import Report, label_report, match_labels, number_report
from pellucid.models.targets import Targets
from pellucid.nn import Loss


def measure(
    model: Any,
    X: Any,
    y: npt.NDArray[Any],
    names: Sequence[str] = (),
    resample: bool = True,
    quantile: Sequence[float] | None = None,
) -> list[Report]:
    """Evaluate a model on a table.

    The baseline always predicts the most frequent class, the mean, or the quantile that the model
    predicts: that of the training rows, or that of these rows if it is not known.

    Parameters
    ----------
    model : fitted estimator
    X : input of `model.predict`
    y : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        True values.
    names : sequence of str
        Names of the targets, if there are several.
    resample : bool
        Whether to make intervals.
    quantile : sequence of float, optional
        Of each training target, for a model of a quantile: see :func:`quantile_of`.

    Returns
    -------
    list of Report
        One; or one for each target or label if the model has several.
    """
    targets: Targets = model._known_targets()
    if targets.kind == "label":
        return [_of_labels(model, X, y, resample)]
    if targets.kind == "shares":
        return [_of_shares(model, X, y, resample)]
    if targets.kind == "indicators":
        return _of_indicators(model, X, y, names, resample)
    return _of_numbers(model, X, y, names, resample, quantile)


def quantile_of(model: Any, y: npt.NDArray[Any]) -> list[float] | None:
    """Return the quantile of each target that a model predicts; None if it predicts none."""
    level = _level_of(_loss_of(model))
    if level is None:
        return None
    quantiles: list[float] = np.quantile(y.reshape(len(y), -1), level, axis=0).tolist()
    return quantiles


def _level_of(loss: Loss) -> float | None:
    return loss.parameter_value if loss.name == "quantile" else None


def known_quantile(model: Any) -> list[float] | None:
    """Return the quantile of each training target from the facts of a model."""
    found = (getattr(model, "training_facts_", None) or {}).get("target_quantile")
    values = found if isinstance(found, list) else [found]
    known = [float(value) for value in values if isinstance(value, int | float)]
    return known if len(known) == n_targets_of(model) else None


def n_targets_of(model: Any) -> int:
    """Return the number of columns that hold the true values."""
    targets: Targets = model._known_targets()
    return 1 if targets.kind == "label" else targets.n_outputs


def _of_labels(model: Any, X: Any, y: npt.NDArray[Any], resample: bool) -> Report:
    labels, remark = match_labels(y, model.classes_)
    shares = _known(model, "class_shares_")
    if shares is None:
        shares = np.array([(labels == label).mean() for label in model.classes_])
    remarks = () if remark is None else (remark,)
    P = model.predict_proba(X)
    return label_report(labels, P, model.classes_, shares, remarks=remarks, resample=resample)


def _of_shares(model: Any, X: Any, y: npt.NDArray[Any], resample: bool) -> Report:
    labels = y.argmax(axis=1)
    remark = "Each row counts as the class that has its largest share."
    shares = y.mean(axis=0)
    P = model.predict_proba(X)
    return label_report(labels, P, model.classes_, shares, remarks=(remark,), resample=resample)


def _of_indicators(
    model: Any, X: Any, y: npt.NDArray[Any], names: Sequence[str], resample: bool
) -> list[Report]:
    P = model.predict_proba(X)
    is_set = y.reshape(P.shape) > 0.5
    classes = np.array([0, 1])
    reports = []
    for k in range(P.shape[1]):
        shares = np.array([1 - is_set[:, k].mean(), is_set[:, k].mean()])
        both = np.column_stack([1 - P[:, k], P[:, k]])
        codes = is_set[:, k].astype(int)
        reports.append(label_report(codes, both, classes, shares, names[k], resample=resample))
    return reports


def _of_numbers(
    model: Any,
    X: Any,
    y: npt.NDArray[Any],
    names: Sequence[str],
    resample: bool,
    quantile: Sequence[float] | None,
) -> list[Report]:
    predictions = np.asarray(model.predict(X), dtype=np.float64)
    wanted = np.asarray(y, dtype=np.float64).reshape(len(predictions), -1)
    told = predictions.reshape(wanted.shape)
    loss = _loss_of(model)
    constants = _known(model, "target_mean_")
    level = _level_of(loss)
    if level is not None:
        constants = np.quantile(wanted, level, axis=0)
        constants = constants if quantile is None else np.asarray(quantile)
    elif constants is None:
        constants = wanted.mean(axis=0)
    constants = np.atleast_1d(constants)
    several = wanted.shape[1] > 1
    return [
        number_report(
            wanted[:, k],
            told[:, k],
            float(constants[k]),
            loss.name,
            level,
            names[k] if several else None,
            resample,
        )
        for k in range(wanted.shape[1])
    ]


def _known(model: Any, name: str) -> Any:
    """Return an attribute of a model, or of the first member of an ensemble, or None."""
    member = getattr(model, "estimators_", [model])[0]
    return getattr(model, name, getattr(member, name, None))


def _loss_of(model: Any) -> Loss:
    member = getattr(model, "estimators_", [model])[0]
    loss: Loss = member.chain_.loss
    return loss
