"""Normalization of each example by its own size, each form beside its gradient.

What is normalized is a row: an output depends on no other example, in training as in prediction.
The scale γ (role "scale") and the shift β (role "bias") are neither penalized nor decayed: the
layers before are blind to their size, and γ towards 0 switches a column off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pellucid.nn.array import Array, namespace
from pellucid.nn.context import PREDICTION, Context
from pellucid.nn.layer import Layer, Shapes


def rms_norm(h: Array, gamma: Array | None, epsilon: float) -> Array:
    """Return y = γ ⊙ h/r, r = √(Σ_j h_j²/d + ε), row by row; h and y (m, d), γ (d,) or 1.

    B. Zhang and R. Sennrich, "Root mean square layer normalization", 2019. For γ = 1 and ε = 0 it
    is √d·h/‖h‖: every row has the norm √d, the scale of a row does not matter, and the inner
    product of two rows is d times the cosine of the angle between them.
    """
    n = h * _reciprocal_root(h, epsilon)
    return n if gamma is None else n * gamma


def rms_norm_backward(
    dy: Array, h: Array, gamma: Array | None, epsilon: float
) -> tuple[Array, Array]:
    """Return dh = (dn - n·Σ_j dn_j n_j/d)/r (m, d), and dγ = Σ_rows dy ⊙ n (d,).

    n = h/r and dn = γ ⊙ dy. The Jacobian removes the part along n and divides by r, so its largest
    stretch is max γ/r: a gradient cannot explode here.
    """
    reciprocal = _reciprocal_root(h, epsilon)
    n = h * reciprocal
    dn = dy if gamma is None else dy * gamma
    dh = reciprocal * (dn - n * _row_mean(dn * n))
    return dh, namespace(h).sum(dy * n, axis=0)


def layer_norm(h: Array, gamma: Array, beta: Array | None, epsilon: float) -> Array:
    """Return y = γ ⊙ (h - μ)/√(v + ε) + β, with the mean μ and the variance v of each row.

    v = Σ_j (h_j - μ)²/d; h and y (m, d), γ and β (d,). J. L. Ba, J. R. Kiros and G. E. Hinton,
    "Layer normalization", 2016. It is `rms_norm` of h - μ, plus β.
    """
    y = rms_norm(h - _row_mean(h), gamma, epsilon)
    return y if beta is None else y + beta


def layer_norm_backward(
    dy: Array, h: Array, gamma: Array, epsilon: float
) -> tuple[Array, Array, Array]:
    """Return dh = dc - mean_j dc_j (m, d), dγ = Σ_rows dy ⊙ n (d,), dβ = Σ_rows dy (d,).

    dc is the gradient by the centred row h - μ, as `rms_norm_backward` gives it.
    """
    dc, dgamma = rms_norm_backward(dy, h - _row_mean(h), gamma, epsilon)
    return dc - _row_mean(dc), dgamma, namespace(h).sum(dy, axis=0)


def _row_mean(a: Array) -> Array:
    """Return the mean of each row of a (m, d); (m, 1)."""
    return namespace(a).sum(a, axis=1, keepdims=True) / a.shape[1]


def _reciprocal_root(h: Array, epsilon: float) -> Array:
    """Return 1/√(Σ_j h_j²/d + ε) for each row of h (m, d); (m, 1)."""
    return 1.0 / namespace(h).sqrt(_row_mean(h * h) + epsilon)


def check_epsilon(epsilon: float) -> None:
    """Raise if ε is not a number of at least 0."""
    if not (epsilon >= 0.0 and math.isfinite(epsilon)):
        raise ValueError(f"epsilon must be a number of at least 0, got {epsilon!r}")


@dataclass(frozen=True)
class RMSNorm(Layer):
    """A layer that divides each row by its root mean square: y = γ ⊙ h/√(mean h² + ε).

    Parameters
    ----------
    epsilon : float
        ε, at least 0. It keeps a row of zeros at zero. The default of 1e-6 is below the precision
        of float32 for rows of size 1 and above; at 0 a row of zeros gives NaN.
    scale : bool
        Whether to learn a scale γ for each column, from 1.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.nn import RMSNorm
    >>> RMSNorm(epsilon=0.0, scale=False).forward({}, np.array([[3.0, -3.0], [0.1, 0.1]]))
    array([[ 1., -1.],
           [ 1.,  1.]])
    """

    epsilon: float = 1e-6
    scale: bool = True

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)

    def parameter_shapes(self, fan_in: int) -> Shapes:
        """Return the shape and role of γ, if it is learned."""
        return {"gamma": ((fan_in,), "scale")} if self.scale else {}

    def forward(
        self, parameters: Mapping[str, Array], h: Array, context: Context = PREDICTION
    ) -> Array:
        """Return y (m, d) for h (m, d)."""
        return rms_norm(h, parameters.get("gamma"), self.epsilon)

    def backward(
        self,
        parameters: Mapping[str, Array],
        dy: Array,
        h: Array,
        y: Array,
        context: Context = PREDICTION,
    ) -> tuple[Array, dict[str, Array]]:
        """Return dh (m, d), and dγ under its name."""
        dh, dgamma = rms_norm_backward(dy, h, parameters.get("gamma"), self.epsilon)
        return dh, {"gamma": dgamma} if self.scale else {}


@dataclass(frozen=True)
class LayerNorm(Layer):
    """A layer that standardizes each row: y = γ ⊙ (h - μ)/√(v + ε) + β.

    Parameters
    ----------
    epsilon : float
        ε, at least 0; it keeps a row of equal numbers at zero.
    bias : bool
        Whether to learn a shift β for each column, from 0, beside the scale γ, from 1.
    """

    epsilon: float = 1e-5
    bias: bool = True

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)

    def parameter_shapes(self, fan_in: int) -> Shapes:
        """Return the shape and role of γ, and of β if there is one."""
        shapes: Shapes = {"gamma": ((fan_in,), "scale")}
        if self.bias:
            shapes["beta"] = ((fan_in,), "bias")
        return shapes

    def forward(
        self, parameters: Mapping[str, Array], h: Array, context: Context = PREDICTION
    ) -> Array:
        """Return y (m, d) for h (m, d)."""
        return layer_norm(h, parameters["gamma"], parameters.get("beta"), self.epsilon)

    def backward(
        self,
        parameters: Mapping[str, Array],
        dy: Array,
        h: Array,
        y: Array,
        context: Context = PREDICTION,
    ) -> tuple[Array, dict[str, Array]]:
        """Return dh (m, d), and dγ and dβ under their names."""
        dh, dgamma, dbeta = layer_norm_backward(dy, h, parameters["gamma"], self.epsilon)
        return dh, {"gamma": dgamma, "beta": dbeta} if self.bias else {"gamma": dgamma}
