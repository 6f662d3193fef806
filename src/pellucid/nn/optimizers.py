"""Optimizers: how a step turns a gradient into new parameters.

Each is a frozen dataclass with two pure functions on flat arrays of one length,

    init(theta) -> state
    update(gradient, state, theta, step, learning_rate) -> (theta, state)

where `step` is counted from 1. In every equation g is the gradient, θ the parameters, η the
learning rate and t the step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, get_args

from pellucid.nn.array import Array, namespace

AdamForm = Literal["standard", "scikit-learn", "accumulator"]


class OptimizerState(NamedTuple):
    """What an optimizer remembers between steps, in the layout of the parameters."""

    first: Array
    """The velocity of `SGD`, the running mean of the gradients of `Adam`; (size,)."""
    second: Array
    """The running mean of their squares of `Adam`, (size,); empty, (0,), for `SGD`."""


class Optimizer(Protocol):
    """What every optimizer offers."""

    @property
    def learning_rate(self) -> float:
        """η, for the steps that give none."""
        ...

    def init(self, theta: Array) -> OptimizerState:
        """Return the state before the first step."""
        ...

    def update(
        self,
        gradient: Array,
        state: OptimizerState,
        theta: Array,
        step: int,
        learning_rate: float | None = None,
        weight_mask: Array | None = None,
    ) -> tuple[Array, OptimizerState]:
        """Return the parameters and the state after one step."""
        ...


@dataclass(frozen=True)
class SGD:
    """Gradient descent, with momentum if asked for.

    v ← μv - ηg;  θ ← θ + v,  or with Nesterov's look-ahead  θ ← θ + μv - ηg  (v the new one).

    Parameters
    ----------
    learning_rate : float
        η, above 0.
    momentum : float
        μ, in [0, 1].
    nesterov : bool
        Whether to look ahead; without momentum it changes nothing.
    """

    learning_rate: float = 1e-3
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        _check_learning_rate(self.learning_rate)
        if not 0.0 <= self.momentum <= 1.0:
            raise ValueError(f"momentum must be in [0, 1], got {self.momentum!r}")

    def init(self, theta: Array) -> OptimizerState:
        """Return a velocity of zero."""
        xp = namespace(theta)
        return OptimizerState(xp.zeros_like(theta), xp.zeros_like(theta[:0]))

    def update(
        self,
        gradient: Array,
        state: OptimizerState,
        theta: Array,
        step: int,
        learning_rate: float | None = None,
        weight_mask: Array | None = None,
    ) -> tuple[Array, OptimizerState]:
        """Return the parameters and the state after step `step`."""
        eta = self.learning_rate if learning_rate is None else learning_rate
        velocity = self.momentum * state.first - eta * gradient
        move = self.momentum * velocity - eta * gradient if self.nesterov else velocity
        return theta + move, OptimizerState(velocity, state.second)


class AdamCoefficients(NamedTuple):
    """The numbers of one step of any form of Adam.

    m ← b1·m + c1·g;  v ← b2·v + c2·g²;  θ ← keep·θ - s·m/(√(v + eps_in) + eps_out)
    """

    b1: float
    c1: float
    b2: float
    c2: float
    keep: float
    """Below 1 for decoupled weight decay, and applied to weights only."""
    s: float
    eps_in: float
    eps_out: float


@dataclass(frozen=True)
class Adam:
    """Adam (D. P. Kingma and J. Ba, 2015), in three forms.

    All keep m ← b1·m + c1·g and v ← b2·v + c2·g². With m̂ = m/(1 - β1^t) and v̂ = v/(1 - β2^t):

    - "standard", c1 = 1 - β1, c2 = 1 - β2:  θ ← θ - η·m̂/(√v̂ + ε).
    - "scikit-learn", the same averages:  θ ← θ - η·√(1 - β2^t)/(1 - β1^t)·m/(√v + ε), the last
      form of the paper's section 2, where ε is not corrected for bias.
    - "accumulator", c1 = c2 = 1:  θ ← θ - η·m/√(v + ε): decaying sums in place of averages and no
      correction. It equals Adam without bias correction whose learning rate is
      η·(1 - β1)/√(1 - β2) in place of η (ε aside).

    Parameters
    ----------
    learning_rate : float
        η, above 0.
    beta_1, beta_2 : float
        How much of m and v each step keeps, in [0, 1).
    epsilon : float
        ε, at least 0.
    form : {"standard", "scikit-learn", "accumulator"}
        Which of the equations above.
    """

    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    form: AdamForm = "standard"

    def __post_init__(self) -> None:
        _check_adam(self.learning_rate, self.beta_1, self.beta_2, self.epsilon)
        if self.form not in get_args(AdamForm):
            raise ValueError(
                f"form must be one of {', '.join(get_args(AdamForm))}; got {self.form!r}"
            )

    def init(self, theta: Array) -> OptimizerState:
        """Return moments of zero."""
        return _zero_moments(theta)

    def coefficients(self, step: int, learning_rate: float | None = None) -> AdamCoefficients:
        """Return the numbers of step `step`, counted from 1."""
        eta = self.learning_rate if learning_rate is None else learning_rate
        b1, b2 = self.beta_1, self.beta_2
        if self.form == "accumulator":
            return AdamCoefficients(b1, 1.0, b2, 1.0, 1.0, eta, self.epsilon, 0.0)
        correction = math.sqrt(1.0 - b2**step)
        # m̂/(√v̂ + ε) = √(1 - β2^t)/(1 - β1^t) · m/(√v + ε√(1 - β2^t)): one form, two values of ε.
        epsilon = self.epsilon * correction if self.form == "standard" else self.epsilon
        s = eta * correction / (1.0 - b1**step)
        return AdamCoefficients(b1, 1.0 - b1, b2, 1.0 - b2, 1.0, s, 0.0, epsilon)

    def update(
        self,
        gradient: Array,
        state: OptimizerState,
        theta: Array,
        step: int,
        learning_rate: float | None = None,
        weight_mask: Array | None = None,
    ) -> tuple[Array, OptimizerState]:
        """Return the parameters and the state after step `step`."""
        return _adam_update(self.coefficients(step, learning_rate), gradient, state, theta, None)


@dataclass(frozen=True)
class AdamW:
    """Adam in its standard form with decoupled weight decay (Loshchilov and Hutter, 2019).

    θ ← (1 - ηλ)θ - η·m̂/(√v̂ + ε) for weights; biases do not decay. Unlike an L2 penalty, whose
    gradient λθ would be divided by √v̂, the decay is the same for every weight.

    Parameters
    ----------
    learning_rate : float
        η, above 0.
    beta_1, beta_2 : float
        How much of m and v each step keeps, in [0, 1).
    epsilon : float
        ε, at least 0.
    weight_decay : float
        λ, at least 0.
    """

    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        _check_adam(self.learning_rate, self.beta_1, self.beta_2, self.epsilon)
        if not (self.weight_decay >= 0.0 and math.isfinite(self.weight_decay)):
            raise ValueError(f"weight_decay must be at least 0, got {self.weight_decay!r}")

    def init(self, theta: Array) -> OptimizerState:
        """Return moments of zero."""
        return _zero_moments(theta)

    def coefficients(self, step: int, learning_rate: float | None = None) -> AdamCoefficients:
        """Return the numbers of step `step`, counted from 1."""
        eta = self.learning_rate if learning_rate is None else learning_rate
        adam = Adam(eta, self.beta_1, self.beta_2, self.epsilon)
        return adam.coefficients(step)._replace(keep=1.0 - eta * self.weight_decay)

    def update(
        self,
        gradient: Array,
        state: OptimizerState,
        theta: Array,
        step: int,
        learning_rate: float | None = None,
        weight_mask: Array | None = None,
    ) -> tuple[Array, OptimizerState]:
        """Return the parameters and the state after step `step`.

        `weight_mask` (size,) is True where θ is a weight (`Layout.weight_mask`); None means
        everywhere.
        """
        coefficients = self.coefficients(step, learning_rate)
        return _adam_update(coefficients, gradient, state, theta, weight_mask)


def _adam_update(
    c: AdamCoefficients,
    gradient: Array,
    state: OptimizerState,
    theta: Array,
    weight_mask: Array | None,
) -> tuple[Array, OptimizerState]:
    """Return θ and the moments after the step that `AdamCoefficients` describes."""
    xp = namespace(theta)
    m = c.b1 * state.first + c.c1 * gradient
    v = c.b2 * state.second + c.c2 * (gradient * gradient)
    if c.keep != 1.0:
        kept = c.keep * theta
        theta = kept if weight_mask is None else xp.where(weight_mask, kept, theta)
    return theta - c.s * m / (xp.sqrt(v + c.eps_in) + c.eps_out), OptimizerState(m, v)


def _zero_moments(theta: Array) -> OptimizerState:
    xp = namespace(theta)
    return OptimizerState(xp.zeros_like(theta), xp.zeros_like(theta))


def _check_learning_rate(learning_rate: float) -> None:
    if not (learning_rate > 0.0 and math.isfinite(learning_rate)):
        raise ValueError(f"learning_rate must be a number above 0, got {learning_rate!r}")


def _check_adam(learning_rate: float, beta_1: float, beta_2: float, epsilon: float) -> None:
    _check_learning_rate(learning_rate)
    for name, beta in (("beta_1", beta_1), ("beta_2", beta_2)):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"{name} must be at least 0 and below 1, got {beta!r}")
    if not (epsilon >= 0.0 and math.isfinite(epsilon)):
        raise ValueError(f"epsilon must be at least 0, got {epsilon!r}")
