"""Check gradients with central differences, parameter by parameter; report kinks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pellucid.nn.chain import Chain, Trace
from pellucid.nn.context import PREDICTION, Context
from pellucid.nn.losses import Loss
from pellucid.nn.parameters import Parameters

Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

_EPSILON = 2.0**-52
_STEP: float = _EPSILON ** (1 / 3)
"""Balances the truncation error h²L‴/6 of the difference with its rounding error ε|L|/h."""
_LEAST_RELATIVE_STEP: float = _EPSILON ** (1 / 2)
"""Steps stay this large against θ, so that rounding of θ ± h changes the difference little."""


@dataclass(frozen=True)
class ParameterCheck:
    """The gradient of one parameter array, and its estimate by central differences.

    Attributes
    ----------
    name : str
        Name such as "2.W"; "all" for the whole network.
    gradient, estimate : array of the parameter's shape
        The checked gradient, and its estimate by central differences.
    kinks : array of bool of the parameter's shape
        True if the central difference crosses a kink of an activation or of the loss, so that the
        two need not agree. These elements are excluded from `relative_error`.
    rounding : float
        Norm of the differences that rounding errors can cause, over the compared elements.
    tolerance : float
        Maximum relative error.
    """

    name: str
    gradient: Floats
    estimate: Floats
    kinks: Flags
    rounding: float
    tolerance: float

    @property
    def n_kinks(self) -> int:
        """Number of elements at a kink."""
        return int(self.kinks.sum())

    @property
    def relative_error(self) -> float:
        """‖g - ĝ‖/(‖g‖ + ‖ĝ‖) over the elements that are not at a kink; 0 if both are 0."""
        return _relative_error(self.gradient[~self.kinks], self.estimate[~self.kinks])

    @property
    def relative_error_with_kinks(self) -> float:
        """‖g - ĝ‖/(‖g‖ + ‖ĝ‖) over all elements."""
        return _relative_error(self.gradient.ravel(), self.estimate.ravel())

    @property
    def passed(self) -> bool:
        """Whether the relative error is below the tolerance or is within rounding errors."""
        difference = (self.gradient - self.estimate)[~self.kinks]
        explained = float(np.linalg.norm(difference)) <= self.rounding
        return self.relative_error < self.tolerance or explained

    def __str__(self) -> str:
        kinks = f", {self.n_kinks} of {self.kinks.size} at a kink" if self.n_kinks else ""
        verdict = "ok" if self.passed else "WRONG"
        return f"{self.name:>8}  relative error {self.relative_error:.1e}  {verdict}{kinks}"


@dataclass(frozen=True)
class GradientCheck:
    """Gradient check of every parameter of a network; print it to see a report."""

    parameters: tuple[ParameterCheck, ...]
    """One check per parameter, in the order of the layout, except for running moments."""

    @property
    def layers(self) -> dict[int, ParameterCheck]:
        """Checks by layer: index i combines all parameters of `chain.layers[i]`."""
        indices = dict.fromkeys(int(check.name.split(".")[0]) for check in self.parameters)
        return {i: _joined(f"layer {i}", self._of_layer(i)) for i in indices}

    @property
    def whole(self) -> ParameterCheck:
        """Check of all parameters combined."""
        return _joined("all", self.parameters)

    @property
    def relative_error(self) -> float:
        """Relative error over all parameters that are not at a kink."""
        return self.whole.relative_error

    @property
    def n_kinks(self) -> int:
        """Number of elements at a kink."""
        return self.whole.n_kinks

    @property
    def passed(self) -> bool:
        """Whether every parameter passed."""
        return all(check.passed for check in self.parameters)

    def _of_layer(self, index: int) -> tuple[ParameterCheck, ...]:
        prefix = f"{index}."
        return tuple(check for check in self.parameters if check.name.startswith(prefix))

    def __str__(self) -> str:
        return "\n".join(str(check) for check in (*self.parameters, self.whole))


def check_gradient(
    chain: Chain,
    parameters: Parameters,
    X: Any,
    targets: Any,
    sample_weight: Any = None,
    tolerance: float = 1e-5,
    context: Context = PREDICTION,
    gradient: Parameters | None = None,
) -> GradientCheck:
    """Compare a gradient of the loss with central differences in float64.

    ĝ_j = (L(θ + h·e_j) - L(θ - h·e_j))/(2h), with h = ε^(1/3), which balances the truncation error
    h²L‴/6 with the rounding error ε|L|/h where L‴ and L are about as large. The check takes two
    forward passes per parameter, so use a small batch. Running moments are skipped: they are
    measured, not learned, and have no gradient.

    Parameters
    ----------
    chain : Chain
    parameters : Parameters
        Parameters in any precision; the check is done in float64.
    X : array of shape (m, fan_in)
    targets : array
        Targets in the form that the loss expects.
    sample_weight : array of shape (m,), optional
    tolerance : float
        Maximum relative error of a parameter that passes.
    context : Context
        `Context(training=True, …)` checks the pass of that training step, with its dropout masks.
    gradient : Parameters, optional
        The gradient to check, computed by an engine at `parameters` in float64 without a penalty.
        By default, the gradient of `Chain.backward`.

    Returns
    -------
    GradientCheck

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.inspection.gradient_check import check_gradient
    >>> from pellucid.nn import Activation, Linear, Chain
    >>> chain = Chain([Linear(4), Activation("tanh"), Linear(1)], "half_squared_error")
    >>> params = chain.initialize(fan_in=3, seed=0)
    >>> check = check_gradient(chain, params, np.eye(3), np.ones((3, 1)))
    >>> check.passed, check.relative_error < 1e-7
    (True, True)
    """
    X = np.asarray(X, dtype=np.float64)
    targets = np.asarray(targets)
    theta = Parameters(parameters.flat.astype(np.float64), parameters.layout)
    trace = chain.forward(theta, X, context)
    if gradient is None:
        gradient = chain.backward(theta, trace, targets, sample_weight, context).parameters
    elif gradient.layout != theta.layout:
        raise ValueError(f"gradient must be laid out as {parameters!r}, got {gradient!r}")
    terms = partial(_terms, chain, targets, sample_weight)
    estimate, kinks = np.empty(theta.flat.size), np.empty(theta.flat.size, dtype=np.bool_)
    for j, distance, above, below in _neighbours(chain, theta, X, context):
        estimate[j] = float(np.mean(terms(above) - terms(below))) / distance
        kinks[j] = _differ(_sides(chain, above, targets), _sides(chain, below, targets))
    rounding = _rounding_of_estimate(terms(trace))
    return GradientCheck(
        tuple(
            ParameterCheck(
                entry.name,
                gradient[entry.name],
                estimate[entry.span].reshape(entry.shape),
                kinks[entry.span].reshape(entry.shape),
                rounding * entry.size**0.5,
                tolerance,
            )
            for entry in theta.layout.entries
            if entry.role != "statistic"
        )
    )


def _neighbours(
    chain: Chain, theta: Parameters, X: Floats, context: Context
) -> Iterator[tuple[int, float, Trace, Trace]]:
    """Yield, for each parameter j, the traces at θ_j + h and θ_j - h and the distance of the two.

    The distance is 2h as rounded where θ_j is large.
    """
    moved = theta.copy()
    for j, value in enumerate(theta.flat.tolist()):
        h = max(_STEP, _LEAST_RELATIVE_STEP * abs(value))
        moved.flat[j] = value + h
        above = chain.forward(moved, X, context)
        moved.flat[j] = value - h
        below = chain.forward(moved, X, context)
        moved.flat[j] = value
        yield j, (value + h) - (value - h), above, below


def _terms(chain: Chain, targets: Any, sample_weight: Any, trace: Trace) -> Floats:
    terms: Floats = chain.loss.terms(trace.scores, targets, sample_weight)
    return terms


def _sides(chain: Chain, trace: Trace, targets: Any) -> list[Floats]:
    """Return the side of its kink on which each function with a kink is evaluated."""
    of_layers = (layer.kink_sides(x) for layer, x in zip(chain.layers, trace.values, strict=False))
    sides = [side for side in of_layers if side is not None]
    if isinstance(chain.loss, Loss) and chain.loss.definition.kinked:
        sides.append(np.sign(trace.scores - targets))
    return sides


def _differ(left: list[Floats], right: list[Floats]) -> bool:
    return any((a != b).any() for a, b in zip(left, right, strict=True))


def _rounding_of_estimate(terms: Floats) -> float:
    """Return 8·ε·|L|/h: how much rounding of the losses can change an estimate."""
    return 8.0 * _EPSILON * max(1.0, float(np.abs(terms).mean())) / _STEP


def _relative_error(g: Floats, estimate: Floats) -> float:
    scale = float(np.linalg.norm(g)) + float(np.linalg.norm(estimate))
    return float(np.linalg.norm(g - estimate)) / scale if scale > 0.0 else 0.0


def _joined(name: str, checks: tuple[ParameterCheck, ...]) -> ParameterCheck:
    """Combine several checks into one with a flat array of elements."""

    def flat(arrays: Iterator[Any]) -> Any:
        return np.concatenate([array.ravel() for array in arrays]) if checks else np.empty(0)

    return ParameterCheck(
        name,
        flat(check.gradient for check in checks),
        flat(check.estimate for check in checks),
        flat(check.kinks for check in checks).astype(np.bool_),
        float(np.linalg.norm([check.rounding for check in checks])),
        checks[0].tolerance if checks else 0.0,
    )
