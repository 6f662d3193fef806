"""User-defined losses, and the check of their gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

import numpy as np

from pellucid.nn.activations import identity
from pellucid.nn.array import Array, namespace

LossCallable: TypeAlias = Callable[[Array, Array, Array], tuple[Any, Array]]
"""`(scores (m, K), targets, weights (m,)) -> (loss, gradient (m, K))`."""

_DIRECTIONS = 4
_STEPS = (1e-3, 1e-5)
"""The first step size tolerates float32 arithmetic; the second crosses fewer kinks."""
_TOLERANCE = 1e-2


@dataclass(frozen=True)
class CustomLoss:
    """A loss defined by a function that returns the loss of a batch and its gradient.

    The function weights and averages the examples itself; its results are used unchanged. Examples
    of a batch may depend on each other, as in a ranking loss. A full-batch objective (L-BFGS)
    processes the rows in chunks and weights the loss of each chunk by its fraction of the rows.
    This equals the loss of all rows only if the loss is a mean over examples.

    Parameters
    ----------
    function : callable
        `(scores, targets, weights) -> (loss, gradient)` with scores (m, K), the targets of the
        batch as they were passed in, and weights (m,) with mean 1 over the training set (all 1 if
        no weights are given). `loss` is one number and `gradient` (m, K) is its derivative with
        respect to the scores. The function is called once per step and must not modify or keep its
        arguments.
    link : callable
        Maps scores (m, K) to predictions. By default, the scores are the predictions.
    checks_gradient : bool
        Whether to run `check` on the first batch of a training.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.nn import CustomLoss
    >>> def log_cosh(scores, targets, weights):
    ...     residual = scores - targets
    ...     loss = np.mean(weights[:, None] * np.log(np.cosh(residual)))
    ...     return loss, weights[:, None] * np.tanh(residual) / residual.size
    >>> loss = CustomLoss(log_cosh)
    >>> round(loss.mean(np.array([[1.0]]), np.array([[0.0]])), 4)
    0.4338
    >>> loss.check(np.array([[1.0]]), np.array([[0.0]])) < 1e-5
    True
    """

    function: LossCallable
    link: Callable[[Array], Array] = identity
    checks_gradient: bool = True

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(f"function must be callable, got {self.function!r}")
        if not callable(self.link):
            raise TypeError(f"link must be callable, got {self.link!r}")

    @property
    def has_link(self) -> bool:
        """Whether predictions differ from the scores."""
        return self.link is not identity

    @property
    def name(self) -> str:
        """Name of the function."""
        return str(getattr(self.function, "__name__", type(self.function).__name__))

    def evaluate(
        self, scores: Array, targets: Array, sample_weight: Array | None = None
    ) -> tuple[float, Array]:
        """Return the loss of the batch and its gradient (m, K) after checking types and shapes."""
        xp = namespace(scores)
        if sample_weight is None:
            sample_weight = xp.ones(scores.shape[0], dtype=scores.dtype)
        result = self.function(scores, targets, sample_weight)
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(
                f"the loss {self.name!r} must return a pair (loss, gradient), got "
                f"{type(result).__name__}"
            )
        loss, gradient = result
        if np.ndim(loss) == 0 and not isinstance(loss, Real | np.ndarray):
            raise TypeError(f"the loss {self.name!r} must return a number, got {loss!r}")
        if np.ndim(loss) != 0:
            raise ValueError(
                f"the loss {self.name!r} must return one number for the batch, got an array of "
                f"shape {np.shape(loss)}; take its mean"
            )
        if np.shape(gradient) != tuple(scores.shape):
            raise ValueError(
                f"the gradient of the loss {self.name!r} must have the shape of the scores, "
                f"{tuple(scores.shape)}, got {np.shape(gradient)}"
            )
        return float(loss), xp.asarray(gradient, dtype=scores.dtype)

    def terms(self, scores: Array, targets: Array, sample_weight: Array | None = None) -> Array:
        """Return the loss of the batch as the only term (1,) of a mean."""
        return namespace(scores).asarray([self.evaluate(scores, targets, sample_weight)[0]])

    def mean(self, scores: Array, targets: Array, sample_weight: Array | None = None) -> float:
        """Return the loss of the batch."""
        return self.evaluate(scores, targets, sample_weight)[0]

    def mean_gradient(
        self, scores: Array, targets: Array, sample_weight: Array | None = None
    ) -> Array:
        """Return the derivative of `mean` with respect to the scores; (m, K)."""
        return self.evaluate(scores, targets, sample_weight)[1]

    def check(self, scores: Array, targets: Array, sample_weight: Array | None = None) -> float:
        """Compare the gradient G with central differences along a few random directions.

        For a direction D of standard normal numbers, (l(S + hD) - l(S - hD))/(2h) must equal
        Σ G ⊙ D. S are the scores with small random offsets, so that no score lies at a kink.

        Returns
        -------
        float
            The maximum difference, relative to ‖G‖.

        Raises
        ------
        ValueError
            If the difference is above 0.01, or if the loss or its gradient is not finite.
        """
        rng = np.random.default_rng(0)
        scores = np.asarray(scores, dtype=np.float64)
        size = max(1.0, float(np.abs(scores).mean()))
        scores = scores + 0.1 * size * rng.standard_normal(scores.shape)
        loss, gradient = self.evaluate(scores, targets, sample_weight)
        norm = float(np.linalg.norm(gradient))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise ValueError(
                f"the loss {self.name!r} is not finite on the first batch: loss {loss!r}, norm of "
                f"the gradient {norm!r}"
            )
        directions = rng.standard_normal((_DIRECTIONS, *scores.shape))

        def error(h: float) -> float:
            worst = 0.0
            for direction in directions:
                above = self.mean(scores + h * direction, targets, sample_weight)
                below = self.mean(scores - h * direction, targets, sample_weight)
                estimate = (above - below) / (2.0 * h)
                scale = max(norm, abs(estimate))
                difference = abs(estimate - float(np.sum(gradient * direction)))
                worst = max(worst, difference / scale if scale > 0.0 else 0.0)
            return worst

        errors = []
        for step in _STEPS:
            errors.append(error(step * size))
            if errors[-1] <= _TOLERANCE:
                return errors[-1]
        raise ValueError(
            f"the gradient of the loss {self.name!r} is wrong: along random directions it differs "
            f"from central differences by {min(errors):.2g} times its norm. Correct it, or pass "
            "CustomLoss(function, checks_gradient=False) if the loss is random or has kinks "
            "everywhere"
        )
