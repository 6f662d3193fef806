"""A learned factor for each column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pellucid.nn.array import Array, namespace
from pellucid.nn.context import PREDICTION, Context
from pellucid.nn.layer import Layer, Shapes


def scale_columns(x: Array, factor: Array) -> Array:
    """Return y = x ⊙ s for x (m, d) and factors s (d,)."""
    return x * factor


def scale_columns_backward(dy: Array, x: Array, factor: Array) -> tuple[Array, Array]:
    """Return dx = dy ⊙ s (m, d) and ds = Σ_rows dy ⊙ x (d,)."""
    return dy * factor, namespace(x).sum(dy * x, axis=0)


@dataclass(frozen=True)
class InputScale(Layer):
    """Layer that multiplies each column by a learned factor, starting at 1.

    As the first layer of a network, it learns the importance of each input faster than the weights
    of the next layer could (D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by default",
    2024). The factor has the role "scale", so it is neither penalized nor decayed.
    """

    def parameter_shapes(self, fan_in: int) -> Shapes:
        """Return the shape and role of the factors."""
        return {"factor": ((fan_in,), "scale")}

    def forward(
        self, parameters: Mapping[str, Array], x: Array, context: Context = PREDICTION
    ) -> Array:
        """Return y (m, d) for x (m, d)."""
        return scale_columns(x, parameters["factor"])

    def backward(
        self,
        parameters: Mapping[str, Array],
        dy: Array,
        x: Array,
        y: Array,
        context: Context = PREDICTION,
    ) -> tuple[Array, dict[str, Array]]:
        """Return dx (m, d), and the factors' gradient under its name."""
        dx, dfactor = scale_columns_backward(dy, x, parameters["factor"])
        return dx, {"factor": dfactor}
