"""Fitted estimators as `ModelDescription`s."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from pellucid.inspection.description import describe_network
from pellucid.inspection.model_card import ColumnDescription, ModelDescription

_MOST_NAMES = 10


def describe_mlp(estimator: Any) -> ModelDescription:
    """Describe a fitted `MLPClassifier` or `MLPRegressor`."""
    check_is_fitted(estimator)
    chain, parameters = estimator.network_, estimator.parameters_
    names = getattr(estimator, "feature_names_in_", ())
    facts = {
        "predicts": _answer(estimator, estimator),
        "from": _counted(estimator.n_features_in_, "column", names),
        "training": _training(estimator),
        "parameters": _changed(estimator),
    }
    description = describe_network(chain, estimator.n_features_in_, parameters.flat.dtype)
    return ModelDescription(type(estimator).__name__, facts, description)


def describe_tabular(estimator: Any) -> ModelDescription:
    """Describe a fitted `TabularClassifier` or `TabularRegressor`."""
    check_is_fitted(estimator)
    mlp, encoder = estimator.mlp_, estimator.encoder_
    widths = {name: len(encoding.suffixes) for name, encoding in encoder.encodings_.items()}
    columns = tuple(
        ColumnDescription(c.name, c.kind, widths.get(c.name, 0), c.reason)
        for c in encoder.recognized_
    )
    facts = {
        "predicts": _answer(estimator, mlp),
        "from": f"{len(columns):,} columns, {len(widths):,} of them used",
        "training": _training(mlp),
        "parameters": _changed(estimator),
    }
    description = describe_network(mlp.network_, mlp.n_features_in_, mlp.parameters_.flat.dtype)
    return ModelDescription(type(estimator).__name__, facts, description, columns)


def _answer(estimator: Any, mlp: Any) -> str:
    """Say what a prediction is, and of which target."""
    target = getattr(estimator, "target_name_", None)
    of = "" if target is None else f" of {target!r}"
    n = mlp.n_outputs_
    if not is_classifier(estimator):
        return f"a number{of}" if n == 1 else f"{n:,} numbers{of}"
    if mlp._label_binarizer.y_type_.startswith("multilabel"):
        return f"any of {n:,} labels{of}"
    return "one of " + _counted(len(mlp.classes_), "class", mlp.classes_, of)


def _counted(n: int, what: str, names: Any, of: str = "") -> str:
    """Return "3 columns: a, b, c"."""
    plural = what if n == 1 else what + ("es" if what.endswith("s") else "s")
    shown = ", ".join(map(str, names[:_MOST_NAMES])) + (", …" if len(names) > _MOST_NAMES else "")
    return f"{n:,} {plural}{of}" + (f": {shown}" if shown else "")


def _training(mlp: Any) -> str:
    """Say how training went."""
    steps = "iterations" if mlp.solver == "lbfgs" else "epochs"
    told = [f"{mlp.n_iter_:,} {steps} of {mlp.solver!r}"]
    loss, score = getattr(mlp, "loss_", np.nan), getattr(mlp, "best_validation_score_", None)
    if np.isfinite(loss):
        told.append(f"loss {loss:.4g}")
    if score is not None and np.isfinite(score):
        told.append(f"best validation score {score:.4g}")
    return ", ".join(told)


def _changed(estimator: Any) -> str:
    """Return the constructor parameters that are no defaults."""
    defaults = type(estimator)().get_params(deep=False)
    changed = [
        f"{name}={value!r}"
        for name, value in estimator.get_params(deep=False).items()
        if repr(value) != repr(defaults[name])
    ]
    return ", ".join(changed) or "all defaults"
