"""What a fitted `Network` is made of, for model files."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid import nn
from pellucid.models.network_targets import Targets
from pellucid.models.saving import Arrays, labels_from_state, labels_to_state
from pellucid.persistence.layers import chain_from_json, chain_to_json

_KINDS = {
    "softmax_cross_entropy": ("label", "shares"),
    "logistic_cross_entropy": ("two labels", "indicators"),
    "poisson": ("counts",),
}
"""What y can be to a loss; to all others it is numbers."""


def network_to_state(network: Any) -> tuple[dict[str, Any], Arrays]:
    """Take a fitted network apart: what JSON can hold, and its parameters by name."""
    parameters = network.parameters
    state = {
        "chain": chain_to_json(network.chain),
        "dtype": network.precision,
        "engine": network.engine,
        "fan_in": network._fan_in,
        "history": {name: list(map(float, values)) for name, values in network.history.items()},
        "targets": targets_to_state(network._targets),
    }
    return state, {name: np.asarray(parameters[name]) for name in parameters.names()}


def network_from_state(network_class: Any, state: dict[str, Any], arrays: Arrays) -> Any:
    """Put a network together again.

    Raises
    ------
    ValueError, TypeError, KeyError
        The parts do not fit together.
    """
    chain = chain_from_json(state["chain"])
    network = network_class(chain.layers, chain.loss, dtype=state["dtype"], engine=state["engine"])
    fan_in = int(state["fan_in"])
    layout = chain.layout(fan_in)
    if {name: array.shape for name, array in arrays.items()} != {
        entry.name: entry.shape for entry in layout.entries
    }:
        raise ValueError("the arrays do not fit the layers")
    if any(array.dtype != network.dtype for array in arrays.values()):
        raise ValueError(f"the arrays must all be {network.dtype}")
    parameters = nn.Parameters.zeros(layout, network.dtype)
    for name, array in arrays.items():
        parameters[name][...] = array
    network._start_over(parameters, fan_in)
    network._targets = targets_from_state(state["targets"], chain, fan_in)
    network.history = {
        str(name): [float(value) for value in values] for name, values in state["history"].items()
    }
    return network


def targets_to_state(targets: Targets) -> dict[str, Any]:
    """Return what y means, as JSON can hold it."""
    return {
        "kind": targets.kind,
        "is_vector": targets.is_vector,
        "classes": None if targets.classes is None else labels_to_state(targets.classes),
    }


def targets_from_state(state: dict[str, Any], chain: nn.Chain, fan_in: int) -> Targets:
    """Undo `targets_to_state`, for this network.

    Raises
    ------
    ValueError, TypeError, KeyError
        The parts do not fit together.
    """
    kind, classes, n_outputs = state["kind"], state["classes"], chain.fan_out(fan_in)
    own = isinstance(chain.loss, nn.CustomLoss)
    if kind not in (("own",) if own else _KINDS.get(chain.loss.name, ("numbers",))):
        raise ValueError(f"a target of the kind {kind!r} does not fit the loss {chain.loss.name}")
    if kind == "two labels" and n_outputs != 1:
        raise ValueError(f"two labels need one output, got {n_outputs}")
    labels = None if classes is None else labels_from_state(classes)
    expected = {"label": n_outputs, "shares": n_outputs, "two labels": 2}.get(kind)
    if (None if labels is None else len(labels)) != expected:
        raise ValueError(f"the classes do not fit a network with {n_outputs} outputs")
    if labels is not None and not np.array_equal(np.unique(labels), labels):
        raise ValueError("the classes must be sorted, each once")
    return Targets(kind, n_outputs, bool(state["is_vector"]), labels)
