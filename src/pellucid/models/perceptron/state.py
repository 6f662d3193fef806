"""What a fitted MLPClassifier or MLPRegressor is made of, for model files."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier

from pellucid.models.perceptron import labels
from pellucid.models.perceptron import loss as mlp_loss
from pellucid.models.saving import Arrays, labels_from_state, labels_to_state
from pellucid.nn import (
    Activation,
    Add,
    BatchNorm,
    Chain,
    Dropout,
    LayerNorm,
    Linear,
    Parameters,
    RMSNorm,
)
from pellucid.persistence.layers import chain_from_json, chain_to_json

_NUMBERS = ("n_iter_", "t_", "loss_", "best_loss_", "best_validation_score_")
_CURVES = ("loss_curve_", "validation_scores_", "validation_loss_curve_")
_LAYERS = {Activation, Add, BatchNorm, Dropout, LayerNorm, Linear, RMSNorm}
_FEWEST_CLASSES = {"binary": 1, "multiclass": 3, "multilabel-indicator": 2}
"""By type of target, in scikit-learn's words."""


def mlp_to_state(estimator: Any) -> tuple[dict[str, Any], Arrays]:
    """Take a fitted estimator apart: what JSON can hold, and the weights.

    The parameters have their names in the network: "0.W", "0.b", "2.W" and so on. The optimizer's
    moments are not kept: after loading, `partial_fit` and `warm_start` go on from the weights with
    fresh moments.

    Raises
    ------
    TypeError
        An activation or the loss is the user's own.
    """
    known = vars(estimator)
    parameters = estimator.parameters_
    arrays: Arrays = {name: np.asarray(parameters[name]) for name in parameters.names()}
    state: dict[str, Any] = {
        "network": chain_to_json(estimator.network_),
        "n_features_in": int(estimator.n_features_in_),
        "n_partial_fits": int(known.get("_n_partial_fits", 0)),
        "no_improvement_count": int(known.get("_no_improvement_count", 0)),
        "numbers": {n: _as_number(known[n]) for n in _NUMBERS if n in known},
        "curves": {n: _as_numbers(known[n]) for n in _CURVES if n in known},
    }
    if "feature_names_in_" in known:
        state["feature_names_in"] = [str(name) for name in estimator.feature_names_in_]
    if "_label_binarizer" in known:
        binarizer = estimator._label_binarizer
        state["classes"] = labels_to_state(estimator.classes_)
        state["target_type"] = str(binarizer.y_type_)
        state["sparse_target"] = bool(binarizer.sparse_input_)
    return state, arrays


def mlp_from_state(estimator_class: Any, state: dict[str, Any], arrays: Arrays) -> Any:
    """Put a fitted estimator together again; its constructor parameters are the defaults.

    Raises
    ------
    ValueError, TypeError, KeyError
        When the parts do not fit together.
    """
    estimator = estimator_class()
    chain = chain_from_json(state["network"])
    parameters = _parameters(chain, int(state["n_features_in"]), arrays)
    estimator.n_features_in_ = int(state["n_features_in"])
    estimator.n_outputs_ = chain.fan_out(estimator.n_features_in_)
    estimator.out_activation_ = mlp_loss.out_activation_of(chain.loss)
    if is_classifier(estimator):
        _restore_classes(estimator, state)
    elif estimator.out_activation_ not in ("identity", "exp"):
        raise ValueError(f"the loss {chain.loss.name} does not fit a regressor")
    estimator._n_partial_fits = int(state["n_partial_fits"])
    estimator._no_improvement_count = int(state["no_improvement_count"])
    estimator._optimizer = None
    for name in _NUMBERS:
        if name in state["numbers"]:
            setattr(estimator, name, _as_number(state["numbers"][name]))
    for name in _CURVES:
        if name in state["curves"]:
            setattr(estimator, name, _as_numbers(state["curves"][name]))
    if "feature_names_in" in state:
        names = state["feature_names_in"]
        if len(names) != estimator.n_features_in_ or not all(isinstance(n, str) for n in names):
            raise ValueError("the feature names do not fit the network")
        estimator.feature_names_in_ = np.array(names, dtype=object)
    estimator._attach(chain, parameters)
    return estimator


def _restore_classes(estimator: Any, state: dict[str, Any]) -> None:
    classes = labels_from_state(state["classes"])
    n_outputs, target_type = estimator.n_outputs_, state["target_type"]
    if target_type not in _FEWEST_CLASSES:
        raise ValueError(f"unknown type of target {target_type!r}")
    expected = 1 if target_type == "binary" else len(classes)
    n_classes = len(np.unique(classes))
    if n_classes < _FEWEST_CLASSES[target_type] or (target_type == "binary" and n_classes > 2):
        raise ValueError(f"{n_classes} classes do not make a {target_type} target")
    if n_outputs != expected or n_classes != len(classes):
        raise ValueError(f"{n_outputs} outputs do not fit {len(classes)} classes")
    if state["sparse_target"] and target_type != "multilabel-indicator":
        raise ValueError("only targets of several labels a row can be sparse")
    binarizer = labels.binarizer_of(classes, target_type, bool(state["sparse_target"]))
    if estimator.out_activation_ != labels.out_activation_of(binarizer):
        raise ValueError(f"the loss does not fit a {target_type} target")
    estimator._label_binarizer, estimator.classes_ = binarizer, classes


def _parameters(chain: Chain, n_features: int, arrays: Arrays) -> Parameters:
    layers = chain.layers
    if not (layers and isinstance(layers[-1], Linear)) or {*map(type, layers)} - _LAYERS:
        raise ValueError("these layers are not those of a perceptron")
    layout = chain.layout(n_features)
    if {e.name: e.shape for e in layout.entries} != {n: a.shape for n, a in arrays.items()}:
        raise ValueError("the arrays do not fit the layers")
    dtypes = {array.dtype for array in arrays.values()}
    if dtypes not in ({np.dtype("f4")}, {np.dtype("f8")}):
        raise ValueError("the weights must all be float32 or all float64")
    parameters = Parameters.zeros(layout, *dtypes)
    for name, array in arrays.items():
        parameters[name][...] = array
    return parameters


def _as_number(value: Any) -> Any:
    """Return an int or float of Python's own types; None stays None."""
    if value is None or type(value) is int:
        return value
    return int(value) if isinstance(value, np.integer) else float(value)


def _as_numbers(values: Any) -> list[float] | None:
    return None if values is None else [float(value) for value in values]
