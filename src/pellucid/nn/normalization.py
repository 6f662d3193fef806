"""Normalization of each row by its own size, each form next to its gradient.

Each row is normalized separately: its output never depends on other rows, in training or in
prediction. The scale γ (role "scale") and the shift β (role "bias") are neither penalized nor
decayed: shrinking γ towards 0 would switch a column off rather than simplify the function.
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

    B. Zhang and R. Sennrich, "Root mean square layer normalization", 2019. For γ = 1 and ε = 0,
    y = √d·h/‖h‖: every row has the norm √d, its original scale has no effect, and the inner
    product of two rows is d times the cosine of the angle between them.
    """
    n = h * _reciprocal_root(h, epsilon)
    return n if gamma is None else n * gamma


def rms_norm_backward(
    dy: Array, h: Array, gamma: Array | None, epsilon: float
) -> tuple[Array, Array]:
    """Return dh = (dn - n·Σ_j dn_j n_j/d)/r (m, d), and dγ = Σ_rows dy ⊙ n (d,).

    n = h/r and dn = γ ⊙ dy. The Jacobian removes the component along n and divides by r. It scales
    a gradient by at most max |γ|/r, so gradients do not explode here.
    """
    reciprocal = _reciprocal_root(h, epsilon)
    n = h * reciprocal
    dn = dy if gamma is None else dy * gamma
    dh = reciprocal * (dn - n * _row_mean(dn * n))
    return dh, namespace(h).sum(dy * n, axis=0)


def layer_norm(h: Array, gamma: Array, beta: Array | None, epsilon: float) -> Array:
    """Return y = γ ⊙ (h - μ)/√(v + ε) + β, where μ and v are the mean and variance of each row.

    v = Σ_j (h_j - μ)²/d; h and y (m, d), γ and β (d,). J. L. Ba, J. R. Kiros and G. E. Hinton,
    "Layer normalization", 2016. It is `rms_norm` of h - μ, plus β.
    """
    y = rms_norm(h - _row_mean(h), gamma, epsilon)
    return y if beta is None else y + beta


def layer_norm_backward(
    dy: Array, h: Array, gamma: Array, epsilon: float
) -> tuple[Array, Array, Array]:
    """Return dh = dc - mean_j dc_j (m, d), dγ = Σ_rows dy ⊙ n (d,), dβ = Σ_rows dy (d,).

    dc is the gradient of the centred row h - μ, computed by `rms_norm_backward`.
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
    """Raise if ε is not a finite number of at least 0."""
    if not (epsilon >= 0.0 and math.isfinite(epsilon)):
        raise ValueError(f"epsilon must be a number of at least 0, got {epsilon!r}")


@dataclass(frozen=True)
class RMSNorm(Layer):
    """Layer that divides each row by its root mean square: y = γ ⊙ h/√(mean h² + ε).

    Parameters
    ----------
    epsilon : float
        ε, at least 0. With ε above 0, a row of zeros stays zero; with ε = 0, it becomes NaN. For
        rows of size 1 and above, the default of 1e-6 is smaller than float32 precision.
    scale : bool
        Whether to learn a scale γ for each column; it starts at 1.

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
    """Layer that standardizes each row: y = γ ⊙ (h - μ)/√(v + ε) + β.

    Parameters
    ----------
    epsilon : float
        ε, at least 0. With ε above 0, a row of equal numbers becomes β.
    bias : bool
        Whether to learn a shift β for each column, starting at 0. The scale γ, which starts at 1,
        is always learned.
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
