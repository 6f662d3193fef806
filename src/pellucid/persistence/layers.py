"""Layers and losses as JSON can hold them: a name from a fixed table, and hyper-parameters."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from pellucid import nn

#: Of any size in a file: products of sizes stay small enough to be computed at once.
LARGEST_SIZE = 2**53

#: What a model file may name. Each class is a dataclass whose fields its constructor takes.
KNOWN: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        nn.Activation,
        nn.Add,
        nn.BatchNorm,
        nn.Columns,
        nn.Dropout,
        nn.Embedding,
        nn.InputScale,
        nn.LayerNorm,
        nn.Linear,
        nn.Loss,
        nn.ParametricActivation,
        nn.PeriodicEmbedding,
        nn.PiecewiseLinearEmbedding,
        nn.RMSNorm,
    )
}


def chain_to_json(chain: nn.Chain) -> dict[str, Any]:
    """Return the layers and the loss, for `chain_from_json`.

    Raises
    ------
    TypeError
        A layer, an initializer or the loss is the user's own, of which a file could hold only code.

    Examples
    --------
    >>> from pellucid.nn import Dropout, Linear, Chain
    >>> from pellucid.persistence.layers import chain_from_json, chain_to_json
    >>> chain = Chain([Dropout(0.2), Linear(1)], "squared_error")
    >>> state = chain_to_json(chain)
    >>> state["layers"][0]
    {'Dropout': {'p': 0.2, 'scale_at': 'training'}}
    >>> chain_from_json(state) == chain
    True
    """
    layers = [part_to_json(layer, f"layer {i}") for i, layer in enumerate(chain.layers)]
    return {"layers": layers, "loss": part_to_json(chain.loss, "the loss")}


def chain_from_json(state: dict[str, Any]) -> nn.Chain:
    """Undo `chain_to_json`.

    Raises
    ------
    ValueError, TypeError, KeyError
        The parts do not make a network.
    """
    layers = [part_from_json(layer) for layer in state["layers"]]
    loss = part_from_json(state["loss"])
    kinds = set(KNOWN.values()) - {nn.Loss}
    if not isinstance(loss, nn.Loss) or any(type(layer) not in kinds for layer in layers):
        raise ValueError("a network is made of layers and one loss")
    return nn.Chain(layers, loss)


def is_layer(value: Any) -> bool:
    """Return whether a file can name this layer: one of `pellucid.nn`."""
    kind = type(value)
    return kind is not nn.Loss and KNOWN.get(kind.__name__) is kind


def part_to_json(value: Any, place: str) -> Any:
    """Return a layer, a loss, or what one of them holds, for `part_from_json`.

    Raises
    ------
    TypeError
        It is the user's own; the message says that `place` holds it.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return [part_to_json(item, place) for item in value]
    if isinstance(value, nn.Initializer) and nn.INITIALIZERS.get(value.name) is value:
        return value.name
    name = type(value).__name__
    if KNOWN.get(name) is not type(value):
        raise TypeError(
            f"{place} holds a {name} of your own, which a model file cannot: it holds names and "
            "numbers, and no code. Keep `model.parameters_.flat` with numpy.save instead, and "
            "build the model again in your program."
        )
    return {name: {f.name: part_to_json(getattr(value, f.name), place) for f in fields(value)}}


def part_from_json(value: Any) -> Any:
    """Undo `part_to_json`.

    Raises
    ------
    ValueError, TypeError, KeyError
        It is nothing that `part_to_json` returns.
    """
    if isinstance(value, list):
        return tuple(part_from_json(item) for item in value)
    if not isinstance(value, dict):
        if isinstance(value, int) and abs(value) > LARGEST_SIZE:
            raise ValueError(f"no size can be larger than {LARGEST_SIZE}")
        return value
    [(name, hyper_parameters)] = value.items()
    return KNOWN[name](**{key: part_from_json(item) for key, item in hyper_parameters.items()})
