"""What a fitted perceptron is made of, for model files."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier

from pellucid.models.perceptron import loss as mlp_loss
from pellucid.models.prepared_fit import Learned
from pellucid.models.saving import (
    Arrays,
    count_from_json,
    labels_from_state,
    parameters_from_arrays,
    targets_from_json,
    targets_to_json,
)
from pellucid.models.targets import IndicatorTargets, LabelTargets, NumberTargets, Targets
from pellucid.nn import (
    Activation,
    Add,
    BatchNorm,
    Dropout,
    LayerNorm,
    Linear,
    RMSNorm,
)
from pellucid.persistence.layers import chain_from_json, chain_to_json
from pellucid.training import Outcome

_NUMBERS = ("n_iter_", "t_", "loss_", "best_loss_", "best_validation_score_")
_CURVES = ("loss_curve_", "validation_scores_", "validation_loss_curve_")
_LAYERS = {Activation, Add, BatchNorm, Dropout, LayerNorm, Linear, RMSNorm}


def mlp_to_state(estimator: Any) -> tuple[dict[str, Any], Arrays]:
    """Take a fitted estimator apart: what JSON can hold, and the weights.

    The parameters have their names in the chain: "0.W", "0.b", "2.W" and so on. The optimizer's
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
    outcome = known.get("outcome_")
    state: dict[str, Any] = {
        "network": chain_to_json(estimator.chain_),
        "n_inputs": estimator._n_inputs(),
        "n_partial_fits": int(known.get("_n_partial_fits", 0)),
        "no_improvement_count": int(known.get("_no_improvement_count", 0)),
        "numbers": {n: _as_number(known[n]) for n in _NUMBERS if n in known},
        "curves": {n: _as_numbers(known[n]) for n in _CURVES if n in known},
        "targets": targets_to_json(estimator._known_targets()),
        "outcome": None if outcome is None else outcome.name,
    }
    if "feature_names_in_" in known:
        state["feature_names_in"] = [str(name) for name in estimator.feature_names_in_]
    return state, arrays


def mlp_from_state(estimator: Any, state: dict[str, Any], arrays: Arrays) -> None:
    """Make an unfitted estimator the fitted one that it was.

    Raises
    ------
    ValueError, TypeError, KeyError
        When the parts do not fit together.
    """
    chain = chain_from_json(state["network"])
    layers = chain.layers
    if not (layers and isinstance(layers[-1], Linear)) or {*map(type, layers)} - _LAYERS:
        raise ValueError("these layers are not those of a perceptron")
    n_inputs = int(state["n_inputs"] if "n_inputs" in state else state["n_features_in"])
    parameters = parameters_from_arrays(chain, n_inputs, arrays)
    if parameters.flat.dtype not in (np.float32, np.float64):
        raise ValueError("the weights must all be float32 or all float64")
    targets = _targets_from(estimator, state, chain.fan_out(n_inputs))
    if targets.n_outputs != chain.fan_out(n_inputs):
        raise ValueError(f"the targets do not fit {chain.fan_out(n_inputs)} outputs")
    _check_link(mlp_loss.out_activation_of(chain.loss), targets)
    estimator._become(Learned(chain, parameters, n_inputs, targets))
    estimator.n_features_in_ = n_inputs
    estimator._n_partial_fits = calls_from_json(state["n_partial_fits"])
    estimator._no_improvement_count = count_from_json(state["no_improvement_count"])
    estimator._optimizer = None
    outcome = state.get("outcome")
    estimator.outcome_ = None if outcome is None else Outcome[outcome]
    numbers = state["numbers"]
    estimator.n_iter_ = count_from_json(numbers["n_iter_"])
    estimator.t_ = count_from_json(numbers.get("t_", 0))
    estimator.loss_ = float(numbers["loss_"])
    for name in ("best_loss_", "best_validation_score_"):
        if name in numbers:
            setattr(estimator, name, _as_number(numbers[name]))
    for name in _CURVES:
        if name in state["curves"]:
            setattr(estimator, name, _as_numbers(state["curves"][name]))
    if "feature_names_in" in state:
        names = state["feature_names_in"]
        if len(names) != estimator.n_features_in_ or not all(isinstance(n, str) for n in names):
            raise ValueError("the feature names do not fit the network")
        estimator.feature_names_in_ = np.array(names, dtype=object)


def calls_from_json(value: Any) -> int:
    """Return a number of calls of `partial_fit`, which a generator can be seeded with.

    Raises
    ------
    ValueError
        It is none.
    """
    return count_from_json(value, most=2**32 - 1)


def _targets_from(estimator: Any, state: dict[str, Any], n_outputs: int) -> Targets:
    """Return what y means; files of before say it in scikit-learn's words."""
    if "n_inputs" in state:
        targets = targets_from_json(state["targets"])
    elif not is_classifier(estimator):
        targets = NumberTargets(n_outputs, n_outputs == 1)
    else:
        labels, kind = labels_from_state(state["classes"]), state["target_type"]
        if kind not in ("binary", "multiclass", "multilabel-indicator"):
            raise ValueError(f"unknown type of target {kind!r}")
        if kind == "multilabel-indicator":
            if not np.array_equal(labels, np.arange(n_outputs)):
                raise ValueError("several labels a row are the numbers of their columns")
            targets = IndicatorTargets(n_outputs, bool(state["sparse_target"]))
        else:
            # What a file of today is checked for.
            targets = targets_from_json(
                {**targets_to_json(LabelTargets(n_outputs, labels)), "n_outputs": n_outputs}
            )
    if is_classifier(estimator) != (targets.classes is not None):
        raise ValueError(f"targets of the kind {targets.kind} do not fit this estimator")
    return targets


def _check_link(link: str, targets: Targets) -> None:
    expected = {
        "label": ("logistic",) if targets.n_outputs == 1 else ("softmax",),
        "indicators": ("logistic",),
        "numbers": ("identity", "exp"),
    }
    if link not in expected.get(targets.kind, ()):
        raise ValueError(f"the loss does not fit targets of the kind {targets.kind}")


def _as_number(value: Any) -> Any:
    """Return an int or float of Python's own types; None stays None."""
    if value is None or type(value) is int:
        return value
    return int(value) if isinstance(value, np.integer) else float(value)


def _as_numbers(values: Any) -> list[float] | None:
    return None if values is None else [float(value) for value in values]
