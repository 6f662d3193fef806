"""What a fitted MLPClassifier or MLPRegressor is made of, for model files."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.preprocessing import LabelBinarizer

from pellucid.models.labels import out_activation_of
from pellucid.models.saving import Arrays, labels_from_state, labels_to_state

_NUMBERS = ("n_iter_", "t_", "loss_", "best_loss_", "best_validation_score_")
_CURVES = ("loss_curve_", "validation_scores_")
_OUT_ACTIVATIONS = ("identity", "exp", "logistic", "softmax")
_TARGET_TYPES = ("binary", "multiclass", "multilabel-indicator")


def mlp_to_state(estimator: Any) -> tuple[dict[str, Any], Arrays]:
    """Take a fitted estimator apart: what JSON can hold, and the weights.

    The weights are named "0.W", "0.b", "1.W" and so on. The optimizer's moments are not kept:
    after loading, `partial_fit` and `warm_start` go on from the weights with fresh moments.
    """
    known = vars(estimator)
    arrays: Arrays = {}
    for i, (W, b) in enumerate(zip(estimator.coefs_, estimator.intercepts_, strict=True)):
        arrays[f"{i}.W"], arrays[f"{i}.b"] = np.asarray(W), np.asarray(b)
    state: dict[str, Any] = {
        "n_layers": len(estimator.coefs_),
        "n_features_in": int(estimator.n_features_in_),
        "n_outputs": int(estimator.n_outputs_),
        "out_activation": str(estimator.out_activation_),
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
    if is_classifier(estimator):
        _restore_classes(estimator, state)
    elif state["out_activation"] not in ("identity", "exp"):
        raise ValueError(f"{state['out_activation']!r} does not fit a regressor")
    W, b = _checked_layers(state, arrays)
    estimator.n_features_in_ = int(state["n_features_in"])
    estimator.n_outputs_ = int(state["n_outputs"])
    estimator.out_activation_ = state["out_activation"]
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
    estimator.coefs_, estimator.intercepts_ = W, b
    estimator.__setstate__(vars(estimator).copy())
    return estimator


def _restore_classes(estimator: Any, state: dict[str, Any]) -> None:
    classes = labels_from_state(state["classes"])
    n_outputs, target_type = int(state["n_outputs"]), state["target_type"]
    if target_type not in _TARGET_TYPES:
        raise ValueError(f"unknown type of target {target_type!r}")
    expected = 1 if target_type == "binary" else len(classes)
    if n_outputs != expected or len(np.unique(classes)) != len(classes):
        raise ValueError(f"{n_outputs} outputs do not fit {len(classes)} classes")
    if state["sparse_target"] and target_type != "multilabel-indicator":
        raise ValueError("only targets of several labels a row can be sparse")
    binarizer = LabelBinarizer().fit(classes)
    binarizer.classes_ = classes
    binarizer.y_type_ = target_type
    binarizer.sparse_input_ = bool(state["sparse_target"])
    if state["out_activation"] != out_activation_of(binarizer):
        raise ValueError(f"{state['out_activation']!r} does not fit a {target_type} target")
    estimator._label_binarizer, estimator.classes_ = binarizer, classes


def _checked_layers(state: dict[str, Any], arrays: Arrays) -> tuple[list[Any], list[Any]]:
    n_layers = int(state["n_layers"])
    if n_layers < 1 or 2 * n_layers != len(arrays):
        raise ValueError(f"{len(arrays)} arrays do not make {n_layers} layers")
    W = [arrays[f"{i}.W"] for i in range(n_layers)]
    b = [arrays[f"{i}.b"] for i in range(n_layers)]
    if {array.dtype for array in (*W, *b)} not in ({np.dtype("f4")}, {np.dtype("f8")}):
        raise ValueError("the weights must all be float32 or all float64")
    if any(w.ndim != 2 or 0 in w.shape for w in W):
        raise ValueError("each layer's weights must be a matrix")
    if any(bias.shape != (w.shape[1],) for w, bias in zip(W, b, strict=True)):
        raise ValueError("a layer's biases do not fit its weights")
    if any(one.shape[1] != other.shape[0] for one, other in pairwise(W)):
        raise ValueError("the shapes of consecutive layers do not fit")
    if (W[0].shape[0], W[-1].shape[1]) != (state["n_features_in"], state["n_outputs"]):
        raise ValueError("the layers do not fit the number of inputs and outputs")
    if state["out_activation"] not in _OUT_ACTIVATIONS:
        raise ValueError(f"unknown output activation {state['out_activation']!r}")
    return W, b


def _as_number(value: Any) -> Any:
    """Return an int or float of Python's own types; None stays None."""
    if value is None or type(value) is int:
        return value
    return int(value) if isinstance(value, np.integer) else float(value)


def _as_numbers(values: Any) -> list[float] | None:
    return None if values is None else [float(value) for value in values]
