"""Losses, each next to its gradient, as functions of a network's scores.

For scores S (m, K), every loss has `values` (m,), the loss of each example summed over its K
outputs, and `gradient` (m, K), the derivative of these values with respect to S. `mean_loss` takes
the mean over examples. The reported loss is always the function whose gradient is used. `link`
maps scores to predictions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from pellucid.nn.activations import identity, logistic
from pellucid.nn.array import Array, namespace
from pellucid.nn.custom_loss import CustomLoss, LossCallable

EXPONENT_CAP = 60.0
"""Maximum score of which `poisson` computes the exponential."""


def softmax(scores: Array) -> Array:
    """Return p_c = e^(s_c - max s)/Σ_j e^(s_j - max s), row by row; (m, K) to (m, K)."""
    xp = namespace(scores)
    exponentials = xp.exp(scores - xp.max(scores, axis=1, keepdims=True))
    return exponentials / xp.sum(exponentials, axis=1, keepdims=True)


def log_softmax(scores: Array) -> Array:
    """Return log p_c = (s_c - max s) - log Σ_j e^(s_j - max s), row by row; (m, K) to (m, K)."""
    xp = namespace(scores)
    shifted = scores - xp.max(scores, axis=1, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=1, keepdims=True))


def softmax_cross_entropy(scores: Array, targets: Array, smoothing: float = 0.0) -> Array:
    """Return l = -Σ_c y'_c log p_c; targets are labels (m,), or rows y (m, K), one-hot or soft.

    Label smoothing, y' = (1 - ε)y + ε·(Σ_j y_j)/K, distributes the fraction ε of the target
    uniformly over all classes (C. Szegedy et al., "Rethinking the Inception architecture", 2016).
    """
    xp = namespace(scores)
    log_p = log_softmax(scores)
    if targets.ndim == 1:
        hard = -xp.take_along_axis(log_p, targets[:, None], axis=1)[:, 0]
    else:
        hard = -xp.sum(targets * log_p, axis=1)
    if smoothing == 0.0:
        return hard
    total = 1.0 if targets.ndim == 1 else xp.sum(targets, axis=1)
    even = -xp.sum(log_p, axis=1) / scores.shape[1]
    return (1.0 - smoothing) * hard + smoothing * total * even


def softmax_cross_entropy_gradient(scores: Array, targets: Array, smoothing: float = 0.0) -> Array:
    """Return ds = (Σ_j y_j) p - y'; this is p - y if the targets of a row sum to 1 and ε = 0."""
    xp = namespace(scores)
    if targets.ndim == 1:
        one_hot = xp.arange(scores.shape[1])[None, :] == targets[:, None]
        total, smoothed = 1.0, xp.astype(one_hot, scores.dtype)
    else:
        total, smoothed = xp.sum(targets, axis=1, keepdims=True), targets
    if smoothing != 0.0:
        smoothed = (1.0 - smoothing) * smoothed + smoothing * total / scores.shape[1]
    return total * softmax(scores) - smoothed


def logistic_cross_entropy(scores: Array, targets: Array) -> Array:
    """Return l = -Σ_k y_k log σ(s_k) + (1 - y_k) log(1 - σ(s_k)) = Σ_k softplus(s_k) - y_k s_k.

    One output is binary classification, K outputs are multilabel; targets are (m, K) in [0, 1].
    """
    xp = namespace(scores)
    # max(s, 0) - y s is s(1 - y) or -s y. In this form, no large terms cancel.
    linear = xp.where(scores > 0, scores * (1.0 - targets), -scores * targets)
    return xp.sum(linear + xp.log1p(xp.exp(-xp.abs(scores))), axis=1)


def logistic_cross_entropy_gradient(scores: Array, targets: Array) -> Array:
    """Return ds = σ(s) - y."""
    return logistic(scores) - targets


def half_squared_error(scores: Array, targets: Array) -> Array:
    """Return l = ½ Σ_k (s_k - y_k)²; its mean over examples is 1/(2m) ‖S - Y‖²_F."""
    residual = scores - targets
    return 0.5 * namespace(scores).sum(residual * residual, axis=1)


def half_squared_error_gradient(scores: Array, targets: Array) -> Array:
    """Return ds = s - y."""
    return scores - targets


def squared_error(scores: Array, targets: Array) -> Array:
    """Return l = Σ_k (s_k - y_k)²."""
    residual = scores - targets
    return namespace(scores).sum(residual * residual, axis=1)


def squared_error_gradient(scores: Array, targets: Array) -> Array:
    """Return ds = 2(s - y)."""
    return 2.0 * (scores - targets)


def absolute_error(scores: Array, targets: Array) -> Array:
    """Return l = Σ_k |s_k - y_k|."""
    xp = namespace(scores)
    return xp.sum(xp.abs(scores - targets), axis=1)


def absolute_error_gradient(scores: Array, targets: Array) -> Array:
    """Return ds = sign(s - y), 0 at s = y."""
    return namespace(scores).sign(scores - targets)


def huber(scores: Array, targets: Array, delta: float = 1.0) -> Array:
    """Return l = Σ_k ½r² if |r| <= δ, else δ(|r| - δ/2), with r = s_k - y_k (P. J. Huber, 1964)."""
    xp = namespace(scores)
    size = xp.abs(scores - targets)
    inside = xp.clip(size, 0.0, delta)
    return xp.sum(inside * (size - 0.5 * inside), axis=1)


def huber_gradient(scores: Array, targets: Array, delta: float = 1.0) -> Array:
    """Return ds = r clipped to [-δ, δ]."""
    return namespace(scores).clip(scores - targets, -delta, delta)


def quantile(scores: Array, targets: Array, level: float = 0.5) -> Array:
    """Return l = Σ_k q(y - s) if y > s, else (1 - q)(s - y), for level q: the pinball loss.

    R. Koenker and G. Bassett, "Regression quantiles", 1978.
    """
    xp = namespace(scores)
    residual = scores - targets
    return xp.sum(xp.where(residual < 0, -level * residual, (1.0 - level) * residual), axis=1)


def quantile_gradient(scores: Array, targets: Array, level: float = 0.5) -> Array:
    """Return ds = -q where y > s, 1 - q where y < s, 0 at s = y."""
    xp = namespace(scores)
    residual = scores - targets
    above = xp.where(residual > 0, xp.full_like(residual, 1.0 - level), 0.0)
    return xp.where(residual < 0, -level, above)


def poisson(scores: Array, targets: Array) -> Array:
    """Return l = Σ_k e^s - y s + y log y - y: half the Poisson deviance of y from the mean e^s.

    The terms that contain only y make the minimum 0. Above s = 60 (a mean of 1e26), the tangent
    replaces the exponential, so a diverging score has a steep but finite gradient.
    """
    xp = namespace(scores)
    excess = xp.maximum(scores - EXPONENT_CAP, xp.zeros_like(scores))
    mean = capped_exponential(scores)
    constant = targets * xp.log(xp.where(targets > 0, targets, 1.0)) - targets
    return xp.sum(mean * (1.0 + excess) - targets * scores + constant, axis=1)


def poisson_gradient(scores: Array, targets: Array) -> Array:
    """Return ds = e^s - y."""
    return capped_exponential(scores) - targets


def capped_exponential(scores: Array) -> Array:
    """Return e^min(s, 60)."""
    xp = namespace(scores)
    return xp.exp(xp.minimum(scores, xp.full_like(scores, EXPONENT_CAP)))


@dataclass(frozen=True)
class LossFunction:
    """One row of `LOSSES`: a loss, its gradient, its link and their properties."""

    name: str
    values: Callable[..., Array]
    """`values(scores, targets)`, or `values(scores, targets, parameter)`; returns (m,)."""
    gradient: Callable[..., Array]
    """Takes the same arguments; returns (m, K)."""
    link: Callable[[Array], Array]
    equation: str
    parameter: float | None = None
    """Default value of the parameter; None if the loss has no parameter."""
    parameter_limit: float = math.inf
    """The parameter must be above 0 and below this limit; 0 is allowed if it is the default."""
    accepts_labels: bool = False
    kinked: bool = False
    """Whether the derivative jumps when a score equals its target."""


LOSSES: dict[str, LossFunction] = {
    function.name: function
    for function in (
        LossFunction(
            "softmax_cross_entropy",
            softmax_cross_entropy,
            softmax_cross_entropy_gradient,
            softmax,
            "-Σ y' log softmax(s), y' = (1 - p)y + p/K",
            parameter=0.0,
            parameter_limit=1.0,
            accepts_labels=True,
        ),
        LossFunction(
            "logistic_cross_entropy",
            logistic_cross_entropy,
            logistic_cross_entropy_gradient,
            logistic,
            "Σ softplus(s) - y s",
        ),
        LossFunction(
            "half_squared_error",
            half_squared_error,
            half_squared_error_gradient,
            identity,
            "½ Σ (s - y)²",
        ),
        LossFunction(
            "squared_error", squared_error, squared_error_gradient, identity, "Σ (s - y)²"
        ),
        LossFunction(
            "absolute_error",
            absolute_error,
            absolute_error_gradient,
            identity,
            "Σ |s - y|",
            kinked=True,
        ),
        LossFunction(
            "huber",
            huber,
            huber_gradient,
            identity,
            "Σ ½r² if |r| <= p else p(|r| - p/2), r = s - y",
            parameter=1.0,
        ),
        LossFunction(
            "quantile",
            quantile,
            quantile_gradient,
            identity,
            "Σ p(y - s) if y > s else (1 - p)(s - y)",
            parameter=0.5,
            parameter_limit=1.0,
            kinked=True,
        ),
        LossFunction(
            "poisson",
            poisson,
            poisson_gradient,
            capped_exponential,
            "Σ e^s - y s + y log y - y",
        ),
    )
}


@dataclass(frozen=True)
class Loss:
    """A loss given by its name and parameter.

    Parameters
    ----------
    name : str
        A name in `LOSSES`.
    parameter : float, optional
        Label smoothing ε of `softmax_cross_entropy`, δ of `huber`, or level of `quantile`. If None,
        the loss's default.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.nn import get_loss
    >>> loss = get_loss("softmax_cross_entropy")
    >>> scores = np.log(np.array([[0.2, 0.7, 0.1]]))
    >>> loss.gradient(scores, np.array([1])).round(6)
    array([[ 0.2, -0.3,  0.1]])
    """

    name: str
    parameter: float | None = None

    def __post_init__(self) -> None:
        if self.name not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}; got {self.name!r}")
        if self.parameter is None:
            return
        limit = self.definition.parameter_limit
        if self.definition.parameter is None:
            raise ValueError(f"loss {self.name!r} has no parameter, got {self.parameter!r}")
        from_zero = self.definition.parameter == 0.0
        if not (0.0 < self.parameter < limit or (from_zero and self.parameter == 0.0)):
            lowest = "at least 0" if from_zero else "above 0"
            raise ValueError(
                f"the parameter of {self.name!r} must be {lowest} and below {limit}, "
                f"got {self.parameter!r}"
            )

    @property
    def definition(self) -> LossFunction:
        """Row of `LOSSES` for this loss."""
        return LOSSES[self.name]

    @property
    def parameter_value(self) -> float | None:
        """Parameter in use: the given value or the loss's default; None if it has none."""
        return self.definition.parameter if self.parameter is None else self.parameter

    def values(self, scores: Array, targets: Array) -> Array:
        """Return the loss of each example, summed over outputs; (m,) for scores (m, K)."""
        targets = self._check_targets(scores, targets)
        return self.definition.values(scores, targets, *self._arguments())

    def gradient(self, scores: Array, targets: Array) -> Array:
        """Return ∂values[i]/∂scores[i, k]; (m, K)."""
        targets = self._check_targets(scores, targets)
        return self.definition.gradient(scores, targets, *self._arguments())

    def terms(self, scores: Array, targets: Array, sample_weight: Array | None = None) -> Array:
        """Return w_i l_i of each example, (m,); their mean is the loss of the batch."""
        values = self.values(scores, targets)
        return values if sample_weight is None else values * sample_weight

    def mean(self, scores: Array, targets: Array, sample_weight: Array | None = None) -> float:
        """Return (1/m) Σ_i w_i l_i for weights w (m,); without weights, all are 1."""
        return float(mean_loss(self.values(scores, targets), sample_weight))

    def mean_gradient(
        self, scores: Array, targets: Array, sample_weight: Array | None = None
    ) -> Array:
        """Return the derivative of `mean` with respect to the scores; (m, K)."""
        gradient = self.gradient(scores, targets) / scores.shape[0]
        if sample_weight is None:
            return gradient
        weight = namespace(gradient).asarray(sample_weight, dtype=gradient.dtype)
        return gradient * weight[:, None]

    def link(self, scores: Array) -> Array:
        """Return predictions (m, K): probabilities, means, or the scores themselves."""
        return self.definition.link(scores)

    def _arguments(self) -> tuple[float, ...]:
        value = self.parameter_value
        return () if value is None else (value,)

    def _check_targets(self, scores: Array, targets: Array) -> Array:
        """Return labels, or targets in the precision of the scores; raise on other shapes."""
        xp = namespace(scores)
        targets = xp.asarray(targets)
        if self.definition.accepts_labels and targets.ndim == 1:
            if targets.shape == scores.shape[:1] and xp.isdtype(targets.dtype, "integral"):
                return targets
        elif targets.shape == scores.shape:
            return xp.asarray(targets, dtype=scores.dtype)
        labels = f", or integer labels of shape {scores.shape[:1]}"
        raise ValueError(
            f"targets of {self.name} must have the shape of the scores, {scores.shape}"
            f"{labels if self.definition.accepts_labels else ''}; "
            f"got shape {targets.shape} and dtype {targets.dtype}"
        )


def get_loss(loss: str | Loss | CustomLoss | LossCallable) -> Loss | CustomLoss:
    """Return the loss for a name, with its default parameter, a `Loss` or a custom function."""
    if isinstance(loss, Loss | CustomLoss):
        return loss
    if isinstance(loss, str):
        return Loss(loss)
    if not callable(loss) or isinstance(loss, type):
        raise TypeError(
            f"loss must be a name in LOSSES, a Loss, a CustomLoss or a function, got {loss!r}"
        )
    return CustomLoss(loss)


def mean_loss(values: Array, sample_weight: Array | None = None) -> Array:
    """Return (1/m) Σ_i w_i l_i for values l (m,) and weights w (m,); without weights, all are 1."""
    if sample_weight is not None:
        values = values * sample_weight
    return namespace(values).sum(values) / values.shape[0]
