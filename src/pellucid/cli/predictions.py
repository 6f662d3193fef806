"""Predictions as named columns, one name for each value of a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.cli.data import target_names_of
from pellucid.tables import Column, TableError

Columns = dict[str, npt.NDArray[Any]]


def predicted_columns(model: Any, X: Any, probabilities: bool) -> Columns:
    """Predict rows; return columns named after the target or targets and the labels.

    Parameters
    ----------
    model : fitted estimator
    X : input of `model.predict`
    probabilities : bool
        Whether to add the probability of each class, or of each of several labels a row.

    Returns
    -------
    dict of str to ndarray of shape (n_rows,)
        ``predicted_price``, or ``prediction`` if the name of the target is not known;
        ``probability_yes`` for the class "yes"; ``predicted_price_quantile_0.9`` for a quantile.
    """
    if probabilities and not hasattr(model, "predict_proba"):
        raise TableError(
            "--probabilities needs a classifier, but this model predicts numbers. Leave it out."
        )
    targets = model._known_targets()
    outputs = model._predictions(X)
    values = targets.decode(outputs)
    values = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
    several = targets.kind == "indicators"
    n_columns = values.shape[1] if values.ndim > 1 else 1
    heads = _heads(_target_names(model, n_columns), _quantile(model))
    columns = list(zip(heads, values.reshape(len(values), -1).T, strict=True))
    if probabilities:
        numbered = enumerate(_target_names(model, targets.n_outputs), 1)
        classes = [name or i for i, name in numbered] if several else model.classes_
        P = targets.probabilities(outputs)
        columns += [(f"probability_{label}", p) for label, p in zip(classes, P.T, strict=True)]
    return uniquely_named(columns)


def _target_names(model: Any, n: int) -> Sequence[str | None]:
    names = target_names_of(model)
    return names if len(names) == n else [None] * n


def _heads(names: Sequence[str | None], suffix: str) -> list[str]:
    if len(names) == 1 and names[0] is None:
        return [f"prediction{suffix}"]
    return [
        f"prediction_{i}{suffix}" if name is None else f"predicted_{name}{suffix}"
        for i, name in enumerate(names, 1)
    ]


def _quantile(model: Any) -> str:
    loss = getattr(model, "estimators_", [model])[0].chain_.loss
    return f"_quantile_{loss.parameter_value:g}" if loss.name == "quantile" else ""


def uniquely_named(columns: Sequence[tuple[str, npt.NDArray[Any]]]) -> Columns:
    """Return the columns by name; number the names that occur again, such as those of 1 and "1"."""
    named: Columns = {}
    for name, values in columns:
        unique, n = name, 1
        while unique in named:
            n += 1
            unique = f"{name}_{n}"
        named[unique] = values
    return named


def kept_columns(columns: Iterable[Column]) -> Columns:
    """Return columns of a table as they can be written again, None where a value is missing."""
    return {column.name: _kept(column) for column in columns}


def _kept(column: Column) -> npt.NDArray[Any]:
    values = column.values
    if column.storage == "datetime":
        microseconds = np.round(column.as_float() * 1e6)
        known = np.where(np.isnan(microseconds), 0, microseconds).astype("datetime64[us]")
        return np.where(column.missing(), np.datetime64("NaT"), known)
    if values.dtype.kind != "f":
        return values
    missing = np.isnan(values)
    known = values[~missing]
    if column.storage == "boolean":
        kind: Any = bool
    elif missing.any() and np.array_equal(known, np.round(known)) and np.isfinite(known).all():
        kind = int  # Whole numbers, read as floating point because some are missing.
    else:
        return values
    kept = np.full(len(values), None, dtype=object)
    kept[~missing] = [kind(value) for value in known.tolist()]
    return kept


def together(kept: Mapping[str, Any], predicted: Mapping[str, Any]) -> Columns:
    """Return the kept columns and then the predictions; raise if a name is in both."""
    twice = [name for name in kept if name in predicted]
    if twice:
        raise TableError(
            f"The column {twice[0]!r} of --keep has the name of a prediction. Rename it in the "
            "table, or leave it out."
        )
    return {**kept, **predicted}
