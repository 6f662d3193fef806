"""Normalization of each column by its moments over the batch, and its gradients.

S. Ioffe and C. Szegedy, "Batch normalization: accelerating deep network training by reducing
internal covariate shift", 2015.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pellucid.nn.array import Array, namespace
from pellucid.nn.context import PREDICTION, Context
from pellucid.nn.layer import Layer, Shapes
from pellucid.nn.normalization import check_epsilon
from pellucid.nn.random import Floats, Stream


def column_moments(h: Array) -> tuple[Array, Array]:
    """Return μ = Σ_i h_i/m and v = Σ_i (h_i - μ)²/m of each column of h (m, d); both (d,)."""
    xp = namespace(h)
    mean = xp.sum(h, axis=0) / h.shape[0]
    centred = h - mean
    return mean, xp.sum(centred * centred, axis=0) / h.shape[0]


def batch_norm(
    h: Array, mean: Array, variance: Array, gamma: Array, beta: Array, epsilon: float
) -> Array:
    """Return y = γ ⊙ (h - μ)/√(v + ε) + β; h and y are (m, d), all others (d,).

    Training uses the moments of the batch, prediction the running moments.
    """
    return gamma * _standardized(h, mean, variance, epsilon) + beta


def batch_norm_backward(
    dy: Array, h: Array, gamma: Array, epsilon: float
) -> tuple[Array, Array, Array]:
    """Return dh, dγ = Σ_rows dy ⊙ n, dβ = Σ_rows dy for moments computed from h itself.

    dh = (dn - mean_i dn - n ⊙ mean_i(dn ⊙ n))/√(v + ε), with n = (h - μ)/√(v + ε) and dn = γ ⊙ dy.
    The gradient also flows through the moments.
    """
    xp, m = namespace(h), h.shape[0]
    mean, variance = column_moments(h)
    n = _standardized(h, mean, variance, epsilon)
    dgamma, dbeta = xp.sum(dy * n, axis=0), xp.sum(dy, axis=0)
    dh = (gamma / xp.sqrt(variance + epsilon)) * (dy - dbeta / m - n * (dgamma / m))
    return dh, dgamma, dbeta


def running_norm_backward(
    dy: Array, h: Array, mean: Array, variance: Array, gamma: Array, epsilon: float
) -> tuple[Array, Array, Array]:
    """Return dh = γ ⊙ dy/√(v + ε), dγ = Σ_rows dy ⊙ n, dβ = Σ_rows dy for fixed moments."""
    xp = namespace(h)
    n = _standardized(h, mean, variance, epsilon)
    dh = dy * (gamma / xp.sqrt(variance + epsilon))
    return dh, xp.sum(dy * n, axis=0), xp.sum(dy, axis=0)


def _standardized(h: Array, mean: Array, variance: Array, epsilon: float) -> Array:
    return (h - mean) / namespace(h).sqrt(variance + epsilon)


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Layer that standardizes each column: y = γ ⊙ (h - μ)/√(v + ε) + β.

    In training, μ and v are the moments of the batch. Each step then updates the running moments:
    r ← (1 - momentum)·r + momentum·(moment of the batch), with the unbiased variance v·m/(m - 1).
    In prediction, μ and v are the running moments, so the output of a row does not depend on the
    other rows. The running moments are stored with the parameters in the role "statistic"; they
    have no gradient and do not decay.

    Sample weights scale the losses but not the moments: every row counts equally in μ and v.

    A batch of one row has no variance. Its output is β, and the running moments do not change.

    Parameters
    ----------
    momentum : float
        Weight of the batch in each update of the running moments, in (0, 1].
    epsilon : float
        ε, at least 0. It makes the output of a constant column β.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        if not 0.0 < self.momentum <= 1.0:
            raise ValueError(f"momentum must be above 0 and at most 1, got {self.momentum!r}")
        check_epsilon(self.epsilon)

    def parameter_shapes(self, fan_in: int) -> Shapes:
        """Return the shape and role of γ, β and the running moments."""
        return {
            "gamma": ((fan_in,), "scale"),
            "beta": ((fan_in,), "bias"),
            "running_mean": ((fan_in,), "statistic"),
            "running_variance": ((fan_in,), "statistic"),
        }

    def initial_parameters(self, fan_in: int, stream: Stream) -> dict[str, Floats]:
        """Return γ = 1, β = 0, mean 0 and variance 1."""
        return super().initial_parameters(fan_in, stream) | {"running_variance": np.ones(fan_in)}

    def forward(
        self, parameters: Mapping[str, Array], h: Array, context: Context = PREDICTION
    ) -> Array:
        """Return y (m, d) for h (m, d)."""
        mean, variance = column_moments(h) if context.training else _running(parameters)
        gamma, beta = parameters["gamma"], parameters["beta"]
        return batch_norm(h, mean, variance, gamma, beta, self.epsilon)

    def backward(
        self,
        parameters: Mapping[str, Array],
        dy: Array,
        h: Array,
        y: Array,
        context: Context = PREDICTION,
    ) -> tuple[Array, dict[str, Array]]:
        """Return dh (m, d), and dγ and dβ under their names."""
        gamma = parameters["gamma"]
        if context.training:
            dh, dgamma, dbeta = batch_norm_backward(dy, h, gamma, self.epsilon)
        else:
            mean, variance = _running(parameters)
            dh, dgamma, dbeta = running_norm_backward(dy, h, mean, variance, gamma, self.epsilon)
        return dh, {"gamma": dgamma, "beta": dbeta}

    def updated_statistics(
        self, parameters: Mapping[str, Array], h: Array, context: Context
    ) -> dict[str, Array]:
        """Return the running moments after a training step on h (m, d)."""
        m, (old_mean, old_variance) = h.shape[0], _running(parameters)
        if not context.training or m == 1:
            return {"running_mean": old_mean, "running_variance": old_variance}
        mean, variance = column_moments(h)
        unbiased = variance * (m / (m - 1))
        return {
            "running_mean": (1.0 - self.momentum) * old_mean + self.momentum * mean,
            "running_variance": (1.0 - self.momentum) * old_variance + self.momentum * unbiased,
        }


def _running(parameters: Mapping[str, Array]) -> tuple[Array, Array]:
    return parameters["running_mean"], parameters["running_variance"]
