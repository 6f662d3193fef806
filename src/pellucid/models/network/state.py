"""What a fitted `Network` is made of, for model files."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid import nn
from pellucid.models.prepared_fit import Learned
from pellucid.models.saving import (
    Arrays,
    count_from_json,
    labels_from_state,
    parameters_from_arrays,
    targets_from_json,
    targets_to_json,
)
from pellucid.models.targets import (
    IndicatorTargets,
    LabelTargets,
    NumberTargets,
    OwnTargets,
    ShareTargets,
    Targets,
    targets_from_state,
)
from pellucid.persistence.layers import chain_from_json, chain_to_json
from pellucid.training import FitResult, History, Outcome, TrainingState

_KINDS = {
    "softmax_cross_entropy": ("label", "shares"),
    "logistic_cross_entropy": ("label", "indicators"),
}
"""What y can be to a loss; to all others it is numbers."""


def network_to_state(network: Any) -> tuple[dict[str, Any], Arrays]:
    """Take a fitted network apart: what JSON can hold, and its parameters by name."""
    parameters = network.parameters_
    history = {"loss": network.loss_curve_}
    if network.validation_loss_curve_ is not None:
        history["validation_loss"] = network.validation_loss_curve_
        history["validation_score"] = network.validation_scores_
    best = network.best_validation_score_
    state = {
        "best_validation_score": None if best is None else float(best),
        "chain": chain_to_json(network.chain_),
        "dtype": str(parameters.flat.dtype),
        "fan_in": network._fan_in,
        "history": {name: [float(value) for value in curve] for name, curve in history.items()},
        "n_iter": int(network.n_iter_),
        "outcome": None if network.outcome_ is None else network.outcome_.name,
        "targets": targets_to_json(network._targets),
    }
    names = getattr(network, "feature_names_in_", None)
    state["feature_names_in"] = None if names is None else [str(name) for name in names]
    return state, {name: np.asarray(parameters[name]) for name in parameters.names()}


def network_from_state(network_class: Any, state: dict[str, Any], arrays: Arrays) -> Any:
    """Put a network together again.

    Raises
    ------
    ValueError, TypeError, KeyError
        The parts do not fit together.
    """
    chain = chain_from_json(state["chain"])
    precision = str(state["dtype"])
    engine = state.get("engine", "native")  # Files of before have their parameters here.
    network = network_class(chain.layers, chain.loss, dtype=precision, engine=engine)
    fan_in = int(state["fan_in"])
    dtype = network._parameter_dtype()
    parameters = parameters_from_arrays(chain, fan_in, arrays, dtype)
    if parameters.flat.dtype != dtype:
        raise ValueError(f"the arrays must all be {dtype}")
    targets = targets_of_chain(state["targets"], chain, fan_in)
    restore_columns(network, fan_in, state.get("feature_names_in"))
    network._become(Learned(chain, parameters, fan_in, targets))
    network._remember(_result_from(state))
    return network


def restore_columns(network: Any, fan_in: int, names: Any) -> None:
    """Know how many columns X has, and their names.

    Raises
    ------
    ValueError, TypeError
        They do not fit together.
    """
    network.n_features_in_ = fan_in
    network.__dict__.pop("feature_names_in_", None)
    if names is not None:
        if len(names) != fan_in or {*map(type, names)} != {str}:
            raise ValueError("the feature names do not fit the network")
        network.feature_names_in_ = np.array(names, dtype=object)


def _result_from(state: dict[str, Any]) -> FitResult:
    curves = {
        str(name): [float(value) for value in values] for name, values in state["history"].items()
    }
    losses, validation = curves["loss"], curves.get("validation_loss", [])
    scores = curves.get("validation_score", [-loss for loss in validation])
    outcome = state.get("outcome")
    best = state.get("best_validation_score", max(scores, default=None))
    return FitResult(
        outcome=None if outcome is None else Outcome[outcome],
        n_iter=count_from_json(state.get("n_iter", len(losses))),
        loss=losses[-1] if losses else math.nan,
        state=TrainingState(
            best=math.nan if best is None else float(best),
            history=History(losses, scores, validation),
        ),
        validated=bool(validation),
    )


def targets_of_chain(state: dict[str, Any], chain: nn.Chain, fan_in: int) -> Targets:
    """Return what y means to a chain; files of before name other kinds.

    Raises
    ------
    ValueError, TypeError, KeyError
        It does not fit the chain.
    """
    n_outputs, loss = chain.fan_out(fan_in), chain.loss
    targets = targets_from_json(state) if "n_outputs" in state else _of_before(state, n_outputs)
    expected = ("own",) if isinstance(loss, nn.CustomLoss) else _KINDS.get(loss.name, ("numbers",))
    if targets.kind not in expected or targets.n_outputs != n_outputs:
        raise ValueError(f"a target of the kind {targets.kind!r} does not fit the loss {loss.name}")
    if isinstance(targets, LabelTargets):
        is_softmax = loss.name == "softmax_cross_entropy"
        if len(targets.labels) != (n_outputs if is_softmax else 2):
            raise ValueError(f"the classes do not fit a network with {n_outputs} outputs")
    return targets


def _of_before(state: dict[str, Any], n_outputs: int) -> Targets:
    kind, is_vector = state["kind"], bool(state["is_vector"]) and n_outputs == 1
    if kind in ("label", "two labels"):
        targets: Targets = LabelTargets(n_outputs, labels_from_state(state["classes"]))
    else:
        targets = {
            "shares": ShareTargets(n_outputs),
            "indicators": IndicatorTargets(n_outputs),
            "counts": NumberTargets(n_outputs, is_vector, at_least_zero=True),
            "numbers": NumberTargets(n_outputs, is_vector),
            "own": OwnTargets(n_outputs, is_vector),
        }[kind]
    return targets_from_state(targets.state())
