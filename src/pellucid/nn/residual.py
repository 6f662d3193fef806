"""Residual connections: y = x + layers(x).

K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", 2016.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pellucid.nn.array import Array
from pellucid.nn.context import PREDICTION, Context
from pellucid.nn.layer import Layer


def add(x: Array, earlier: Array) -> Array:
    """Return y = x + earlier; all (m, width)."""
    return x + earlier


def add_backward(dy: Array) -> tuple[Array, Array]:
    """Return dx = dy and dearlier = dy; all (m, width).

    The gradient reaches the earlier value unchanged, whatever the layers in between do.
    """
    return dy, dy


@dataclass(frozen=True)
class Add(Layer):
    """Layer that adds the value from `back` layers earlier: y = x + value.

    Parameters
    ----------
    back : int
        Number of layers between the two values, at least 1. `Residual` sets it for you.
    """

    back: int

    def __post_init__(self) -> None:
        if not isinstance(self.back, int) or isinstance(self.back, bool) or self.back < 1:
            raise ValueError(f"back must be a positive integer, got {self.back!r}")

    def forward(
        self,
        parameters: Mapping[str, Array],
        x: Array,
        context: Context = PREDICTION,
        earlier: Array | None = None,
    ) -> Array:
        """Return y (m, width) for x and the earlier value (m, width), passed by the chain."""
        if earlier is None:
            raise ValueError("Add needs the value of an earlier layer; use it inside a Network")
        return add(x, earlier)

    def backward(
        self,
        parameters: Mapping[str, Array],
        dy: Array,
        x: Array,
        y: Array,
        context: Context = PREDICTION,
    ) -> tuple[Array, dict[str, Array]]:
        """Return dx (m, width); the chain adds the second part of `add_backward` to the value."""
        return add_backward(dy)[0], {}


@dataclass(frozen=True, init=False)
class Residual:
    """Layers with a residual connection around them: y = x + layers(x).

    `Chain` expands it into the layers followed by an `Add`. Every value therefore has its own
    place in the trace, and parameter names stay flat.

    Parameters
    ----------
    layers : sequence of layers
        At least one layer. The output of the last must have the input width of the first.

    Examples
    --------
    >>> from pellucid.nn import Activation, Linear, Chain, Residual
    >>> block = Residual([Linear(8), Activation("relu")])
    >>> chain = Chain([Linear(8), block, Linear(1)], "half_squared_error")
    >>> chain.layers[3]
    Add(back=2)
    """

    layers: tuple[Layer | Residual, ...]

    def __init__(self, layers: Sequence[Layer | Residual]) -> None:
        object.__setattr__(self, "layers", tuple(layers))
        if not self.layers:
            raise ValueError("layers of Residual must hold at least one layer, got none")


def written_out(layers: Sequence[Layer | Residual]) -> tuple[Layer, ...]:
    """Return the layers with each `Residual` replaced by its layers and an `Add`."""
    if not isinstance(layers, Sequence):
        raise TypeError(f"layers must be a list of layers such as [Linear(10)], got {layers!r}")
    flat: list[Layer] = []
    for layer in layers:
        if isinstance(layer, Residual):
            inner = written_out(layer.layers)
            flat += [*inner, Add(len(inner))]
        elif isinstance(layer, type) or not hasattr(layer, "forward"):
            raise TypeError(f"layers must hold layers such as Linear(10), got {layer!r}")
        else:
            flat.append(layer)
    return tuple(flat)
