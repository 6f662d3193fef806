"""Fitted estimators as `ModelDescription`s."""

from __future__ import annotations

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
    names = getattr(estimator, "feature_names_in_", ())
    source = _counted(estimator.n_features_in_, "column", names)
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
        "training": _training(estimator),
        "parameters": _changed(estimator),
    }
    chain, dtype = estimator.chain_, estimator.parameters_.flat.dtype
    network = describe_network(chain, estimator._n_inputs(), dtype)
    return ModelDescription(type(estimator).__name__, facts, network, columns)


def describe_ensemble(ensemble: Any) -> ModelDescription:
    """Describe a fitted ensemble: what it predicts, and one of its members' networks."""
    check_is_fitted(ensemble)
    first = describe_estimator(ensemble.estimators_[0])
    facts = {
        **first.facts,
        "members": f"{len(ensemble.estimators_)} like this one, which differ in their seeds",
        "parameters": _changed(ensemble),
    }
    return ModelDescription(type(ensemble).__name__, facts, first.network, first.columns)


def _answer(estimator: Any) -> str:
    """Say what a prediction is, and of which target."""
    target = getattr(estimator, "target_name_", None)
    of = "" if target is None else f" of {target!r}"
    targets = estimator._known_targets()
    n = targets.n_outputs
    if targets.classes is None:
        return f"a number{of}" if n == 1 else f"{n:,} numbers{of}"
    if targets.kind == "indicators":
        return f"any of {n:,} labels{of}"
    return "one of " + _counted(len(targets.classes), "class", targets.classes, of)


def _counted(n: int, what: str, names: Any, of: str = "") -> str:
    """Return "3 columns: a, b, c"."""
    plural = what if n == 1 else what + ("es" if what.endswith("s") else "s")
    shown = ", ".join(map(str, names[:_MOST_NAMES])) + (", …" if len(names) > _MOST_NAMES else "")
    return f"{n:,} {plural}{of}" + (f": {shown}" if shown else "")


def _training(estimator: Any) -> str:
    """Say how training went."""
    solver = getattr(estimator, "solver", None)
    steps = "iterations" if solver == "lbfgs" else "epochs"
    told = [f"{estimator.n_iter_:,} {steps}" + ("" if solver is None else f" of {solver!r}")]
    loss, score = estimator.loss_, getattr(estimator, "best_validation_score_", None)
    if np.isfinite(loss):
        told.append(f"loss {loss:.4g}")
    if score is not None and np.isfinite(score):
        told.append(f"best validation score {score:.4g}")
    return ", ".join(told)


def _changed(estimator: Any) -> str:
    """Return the constructor parameters that are no defaults."""
    parameters = signature(type(estimator)).parameters
    changed = [
        f"{name}={value!r}"
        for name, value in estimator.get_params(deep=False).items()
        if repr(value) != repr(parameters[name].default)
    ]
    return ", ".join(changed) or "all defaults"
