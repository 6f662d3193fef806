"""Periodic embedding of numbers: learned cosine waves for each column.

Y. Gorishniy, I. Rubachev and A. Babenko, "On embeddings for numerical features in tabular deep
learning", 2022. This is the form "PBLD" of D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better
by default", 2024.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pellucid.nn.array import Array, namespace
from pellucid.nn.context import PREDICTION, Context
from pellucid.nn.layer import Layer, Shapes
from pellucid.nn.random import Floats, Stream

_TWO_PI = 2.0 * math.pi


def periodic_embedding(x: Array, frequencies: Array, phases: Array, W: Array, b: Array) -> Array:
    """Return [x_j, cos(2π f_j x_j + p_j) W_j + b_j] for each column j, concatenated.

    Shapes: x (m, d); f and p (d, n); W (d, n, e); b (d, e); result (m, d·(1 + e)).
    """
    xp, (m, d) = namespace(x), x.shape
    waves = xp.cos(_angles(x, frequencies, phases))
    linear = _swap(waves) @ W + b[:, None, :]
    return xp.concat([x[:, :, None], _swap(linear)], axis=2).reshape(m, d * (1 + b.shape[1]))


def periodic_embedding_backward(
    dy: Array, x: Array, frequencies: Array, phases: Array, W: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """Return dx (m, d), df and dp (d, n), dW (d, n, e), db (d, e).

    With u_j = 2π f_j x_j + p_j and dv_j the gradient of the wave outputs of column j:
    dW_j = cos(u_j)ᵀ dv_j, du_j = -sin(u_j) ⊙ (dv_j W_jᵀ), dp_j = Σ_rows du_j,
    df_j = 2π Σ_rows x_j du_j, and dx_j = (gradient of the copy of x_j) + 2π du_j·f_j.
    """
    xp, (m, d), e = namespace(x), x.shape, W.shape[2]
    dy = dy.reshape(m, d, 1 + e)
    angles = _angles(x, frequencies, phases)
    dv = _swap(dy[:, :, 1:])
    dW = xp.matrix_transpose(_swap(xp.cos(angles))) @ dv
    du = _swap(dv @ xp.matrix_transpose(W)) * -xp.sin(angles)
    df = _TWO_PI * xp.sum(du * x[:, :, None], axis=0)
    dx = dy[:, :, 0] + _TWO_PI * xp.sum(du * frequencies, axis=2)
    return dx, df, xp.sum(du, axis=0), dW, xp.sum(dv, axis=1)


def _angles(x: Array, frequencies: Array, phases: Array) -> Array:
    """Return 2π f_j x_j + p_j; (m, d, n)."""
    return _TWO_PI * x[:, :, None] * frequencies + phases


def _swap(a: Array) -> Array:
    """Swap the first two axes of a (m, d, n)."""
    return namespace(a).permute_dims(a, (1, 0, 2))


@dataclass(frozen=True)
class PeriodicEmbedding(Layer):
    """Layer that maps each number x to a vector [x, cos(2πfx + p) W + b], learned per column.

    Initial values: f from N(0, σ²), p from U(-π, π), W and b from U(-1/√n, 1/√n), where n is the
    number of frequencies. Scale the columns first: σ is roughly the number of waves per unit of x.

    Parameters
    ----------
    dim : int
        Length of each vector including x, at least 2.
    n_frequencies : int
        Number n of frequencies per column, at least 1.
    standard_deviation : float
        σ, above 0.
    """

    dim: int = 4
    n_frequencies: int = 16
    standard_deviation: float = 0.1

    def __post_init__(self) -> None:
        for name, smallest in (("dim", 2), ("n_frequencies", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < smallest:
                raise ValueError(f"{name} must be an integer of at least {smallest}, got {value!r}")
        if not 0.0 < self.standard_deviation < math.inf:
            raise ValueError(f"standard_deviation must be above 0, got {self.standard_deviation!r}")

    def output_width(self, fan_in: int) -> int:
        """Return dim times the number of columns."""
        return fan_in * self.dim

    def parameter_shapes(self, fan_in: int) -> Shapes:
        """Return the shape and role of f, p, W and b."""
        n, e = self.n_frequencies, self.dim - 1
        return {
            "frequencies": ((fan_in, n), "weight"),
            "phases": ((fan_in, n), "bias"),
            "W": ((fan_in, n, e), "weight"),
            "b": ((fan_in, e), "bias"),
        }

    def initial_parameters(self, fan_in: int, stream: Stream) -> dict[str, Floats]:
        """Return random frequencies, phases and weights."""
        bound = 1.0 / math.sqrt(self.n_frequencies)
        scales = {"phases": math.pi, "W": bound, "b": bound}
        drawn: dict[str, Floats] = {}
        for part, (name, (shape, _)) in enumerate(self.parameter_shapes(fan_in).items()):
            n = math.prod(shape)
            if name == "frequencies":
                values = stream.part(part).normal(n) * self.standard_deviation
            else:
                values = (2.0 * stream.part(part).uniform(n) - 1.0) * scales[name]
            drawn[name] = values.reshape(shape)
        return drawn

    def forward(
        self, parameters: Mapping[str, Array], x: Array, context: Context = PREDICTION
    ) -> Array:
        """Return the vectors (m, d·dim) of the numbers x (m, d)."""
        return periodic_embedding(x, *_arrays(parameters), parameters["b"])

    def backward(
        self,
        parameters: Mapping[str, Array],
        dy: Array,
        x: Array,
        y: Array,
        context: Context = PREDICTION,
    ) -> tuple[Array, dict[str, Array]]:
        """Return dx (m, d), and the gradients of f, p, W and b under their names."""
        dx, df, dp, dW, db = periodic_embedding_backward(dy, x, *_arrays(parameters))
        return dx, {"frequencies": df, "phases": dp, "W": dW, "b": db}


def _arrays(parameters: Mapping[str, Array]) -> tuple[Array, Array, Array]:
    return parameters["frequencies"], parameters["phases"], parameters["W"]
