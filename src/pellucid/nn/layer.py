"""The interface of all layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias

import numpy as np

from pellucid.nn.array import Array
from pellucid.nn.context import PREDICTION, Context
from pellucid.nn.parameters import Role
from pellucid.nn.random import Floats, Ints, Stream

Shapes: TypeAlias = dict[str, tuple[tuple[int, ...], Role]]
"""Shape and role of each parameter of a layer, by name."""


class Layer(Protocol):
    """Interface of a layer: forward and backward pass, widths and parameters.

    A layer holds hyperparameters but no arrays. Its methods are pure functions: `backward`
    recomputes what it needs from x, y, the parameters and the context. A subclass inherits the
    defaults below (same width, no parameters) and overrides only what differs.

    Examples
    --------
    >>> from pellucid.nn import Layer, Linear, Chain
    >>> class Doubling(Layer):
    ...     def forward(self, parameters, x, context):
    ...         return 2.0 * x
    ...
    ...     def backward(self, parameters, dy, x, y, context):
    ...         return 2.0 * dy, {}
    >>> chain = Chain([Doubling(), Linear(1, weights="zeros")], "squared_error")
    """

    @property
    def drops(self) -> bool:
        """Whether the output is random when `Context.drops` is true, as that of dropout is."""
        return False

    def output_width(self, fan_in: int) -> int:
        """Return the output width for inputs of width `fan_in`."""
        return fan_in

    def parameter_shapes(self, fan_in: int) -> Shapes:
        """Return the shape and role of each parameter, in the order of the flat buffer."""
        return {}

    def initial_parameters(self, fan_in: int, stream: Stream) -> dict[str, Floats]:
        """Return the initial value of each parameter: 1 for a scale, 0 for all others."""
        shapes = self.parameter_shapes(fan_in)
        return {
            name: np.ones(shape) if role == "scale" else np.zeros(shape)
            for name, (shape, role) in shapes.items()
        }

    def fitted_parameters(self, x: Floats, stream: Stream) -> dict[str, Floats]:
        """Return initial parameters adapted to the training rows x (n, fan_in)."""
        return self.initial_parameters(x.shape[1], stream)

    def kink_sides(self, x: Array) -> Array | None:
        """Return the side of a kink on which each element of x lies; None without kinks.

        A central difference between points on different sides is meaningless.
        """
        return None

    def forward(
        self, parameters: Mapping[str, Array], x: Array, context: Context = PREDICTION, /
    ) -> Array:
        """Return the output (m, output_width) for the input x (m, fan_in)."""
        ...

    def backward(
        self,
        parameters: Mapping[str, Array],
        dy: Array,
        x: Array,
        y: Array,
        context: Context = PREDICTION,
        /,
    ) -> tuple[Array, dict[str, Array]]:
        """Return dx, and the gradient of each parameter by name, given the output's gradient dy.

        Parameters of role "statistic" have no gradient and are omitted.
        """
        ...

    def updated_statistics(
        self, parameters: Mapping[str, Array], x: Array, context: Context, /
    ) -> dict[str, Array]:
        """Return the parameters of role "statistic" after a step on x (m, fan_in)."""
        return {}

    def active_rows(self, x: Array, /) -> dict[str, Ints]:
        """Return the rows of each embedding table that a step on x (m, fan_in) changes.

        Only parameters of role "embedding" are included; a step changes all other parameters.
        """
        return {}
