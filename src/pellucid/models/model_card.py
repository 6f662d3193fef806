"""Fitted estimators as `ModelDescription`s."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from pellucid.inspection.description import describe_network
from pellucid.inspection.model_card import ColumnDescription, ModelDescription

_MOST_NAMES = 10


def describe_estimator(estimator: Any) -> ModelDescription:
    """Describe a fitted estimator."""
    check_is_fitted(estimator)
    encoder = getattr(estimator, "encoder_", None)
    source = _source(estimator)
    columns: tuple[ColumnDescription, ...] = ()
    if encoder is not None:
        widths = {name: len(encoding.suffixes) for name, encoding in encoder.encodings_.items()}
        columns = tuple(
            ColumnDescription(c.name, c.kind, widths.get(c.name, 0), c.reason)
            for c in encoder.recognized_
        )
        source = f"{len(columns):,} columns, {len(widths):,} of them used"
    facts = {
        "predicts": _answer(estimator),
        "from": source,
        "training": _training([estimator]),
        "parameters": _changed(estimator),
    }
    chain, dtype = estimator.chain_, estimator.parameters_.flat.dtype
    network = describe_network(chain, estimator._n_inputs(), dtype)
    return ModelDescription(type(estimator).__name__, facts, network, columns)


def describe_ensemble(ensemble: Any) -> ModelDescription:
    """Describe a fitted ensemble: what it predicts, and one of its members' networks."""
    check_is_fitted(ensemble)
    members = ensemble.estimators_
    first = describe_estimator(members[0])
    facts = {
        **first.facts,
        "from": first.facts["from"] if first.columns else _source(ensemble),
        "members": f"{len(members)} like this one, which differ in their seeds",
        "training": _training(members),
        "parameters": _changed(ensemble),
    }
    return ModelDescription(type(ensemble).__name__, facts, first.network, first.columns)


def _answer(estimator: Any) -> str:
    """Say what a prediction is, and of which target."""
    targets = estimator._known_targets()
    names = estimator.target_names_ or ()
    of = f" of {', '.join(map(repr, names[:_MOST_NAMES]))}" if names else ""
    of += ", …" if len(names) > _MOST_NAMES else ""
    n = targets.n_outputs
    if targets.classes is None:
        return f"a number{of}" if n == 1 else f"{n:,} numbers{of}"
    if targets.kind == "indicators":
        return f"any of {n:,} labels{of}"
    return "one of " + _counted(len(targets.classes), "class", targets.classes, of)


def _source(estimator: Any) -> str:
    """Return "3 columns: a, b, c"."""
    names = getattr(estimator, "feature_names_in_", ())
    return _counted(estimator.n_features_in_, "column", names)


def _counted(n: int, what: str, names: Any, of: str = "") -> str:
    """Return "3 columns: a, b, c"."""
    plural = what if n == 1 else what + ("es" if what.endswith("s") else "s")
    shown = ", ".join(map(str, names[:_MOST_NAMES])) + (", …" if len(names) > _MOST_NAMES else "")
    return f"{n:,} {plural}{of}" + (f": {shown}" if shown else "")


def _training(fitted: Sequence[Any]) -> str:
    """Say how training went, on average over the members of an ensemble."""
    solver = getattr(fitted[0], "solver", None)
    steps = "iterations" if solver == "lbfgs" else "epochs"
    shortest, longest = (pick(each.n_iter_ for each in fitted) for pick in (min, max))
    told = f"{shortest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
    told += f" {steps}" + ("" if solver is None else f" of {solver!r}")
    mean = "" if len(fitted) == 1 else "mean "
    for name, what in (("loss_", "loss"), ("best_validation_score_", "best validation score")):
        values = [getattr(each, name, None) for each in fitted]
        numbers = np.array([np.nan if value is None else value for value in values])
        if np.isfinite(numbers).all():
            told += f", {mean}{what} {numbers.mean():.4g}"
    return told


def _changed(estimator: Any) -> str:
    """Return the constructor parameters that are no defaults; a table shows the layers."""
    parameters = signature(type(estimator)).parameters
    changed = [
        f"{name}={value!r}"
        for name, value in estimator.get_params(deep=False).items()
        if name != "layers" and repr(value) != repr(parameters[name].default)
    ]
    return ", ".join(changed) or "all defaults"
