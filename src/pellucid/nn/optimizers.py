"""Optimizers: compute new parameters from a gradient.

Each optimizer is a frozen dataclass with two pure functions on flat arrays of equal length,

    init(theta) -> state
    update(gradient, state, theta, step, learning_rate) -> (theta, state)

where `step` is counted from 1. In all equations, g is the gradient, θ the parameters, η the
learning rate and t the step.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, get_args

from pellucid.nn.array import Array, namespace

AdamForm = Literal["standard", "scikit-learn", "accumulator"]


class OptimizerState(NamedTuple):
    """State of an optimizer between steps, in the layout of the parameters."""

    first: Array
    """m: velocity of `SGD`, running mean of the gradients of `Adam`; (size,)."""
    second: Array
    """v: running mean or sum of the squared gradients, (size,); empty, (0,), for `SGD`."""


class Optimizer(Protocol):
    """Interface of all optimizers."""

    @property
    def learning_rate(self) -> float:
        """Learning rate η of steps for which none is given."""
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
        factors: Array | None = None,
    ) -> tuple[Array, OptimizerState]:
        """Return the parameters and the state after one step.

        Parameters
        ----------
        gradient, theta : array of shape (size,)
        state : OptimizerState
        step : int
            Counted from 1.
        learning_rate : float, optional
            Learning rate of this step; the optimizer's own if None.
        weight_mask : array of bool of shape (size,), optional
            Elements of θ that decay (`Layout.weight_mask`); all elements if None.
        factors : array of shape (size,), optional
            Factor of the learning rate of each element, in the precision of θ
            (`Layout.learning_rate_factors`). It scales the whole update, including decay.
        """
        ...


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with optional momentum.

    v ← μv - ηg;  θ ← θ + v,  or with Nesterov momentum  θ ← θ + μv - ηg,  where v is already
    updated.

    Parameters
    ----------
    learning_rate : float
        η, above 0.
    momentum : float
        μ, in [0, 1].
    nesterov : bool
        Whether to use Nesterov momentum; without momentum it has no effect.
    """

    learning_rate: float = 1e-3
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        _check_learning_rate(self.learning_rate)
        if not 0.0 <= self.momentum <= 1.0:
            raise ValueError(f"momentum must be in [0, 1], got {self.momentum!r}")

    def init(self, theta: Array) -> OptimizerState:
        """Return a state with zero velocity."""
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
        factors: Array | None = None,
    ) -> tuple[Array, OptimizerState]:
        """Return the parameters and the state after step `step`; see `Optimizer.update`."""
        eta = self.learning_rate if learning_rate is None else learning_rate
        velocity = self.momentum * state.first - eta * gradient
        move = self.momentum * velocity - eta * gradient if self.nesterov else velocity
        move = move if factors is None else factors * move
        return theta + move, OptimizerState(velocity, state.second)


class StepCoefficients(NamedTuple):
    """Coefficients of one step of an adaptive optimizer.

    m ← b1·m + c1·g;  v ← b2·v + c2·g²;  θ ← (1 - f·decay)θ - f·s·m/(√(v + eps_in) + eps_out)

    f is the learning-rate factor of each element, 1 by default.
    """

    b1: float
    c1: float
    b2: float
    c2: float
    decay: float
    """Applies to weights only; 0 without decoupled weight decay."""
    s: float
    eps_in: float
    eps_out: float


class AdaptiveOptimizer(ABC):
    """Base class of Adagrad, RMSProp, Adam and AdamW: one update with different coefficients."""

    learning_rate: float

    @abstractmethod
    def coefficients(self, step: int, learning_rate: float | None = None) -> StepCoefficients:
        """Return the coefficients of step `step`, counted from 1."""

    def init(self, theta: Array) -> OptimizerState:
        """Return a state with zero moments."""
        xp = namespace(theta)
        return OptimizerState(xp.zeros_like(theta), xp.zeros_like(theta))

    def update(
        self,
        gradient: Array,
        state: OptimizerState,
        theta: Array,
        step: int,
        learning_rate: float | None = None,
        weight_mask: Array | None = None,
        factors: Array | None = None,
    ) -> tuple[Array, OptimizerState]:
        """Return the parameters and the state after step `step`; see `Optimizer.update`."""
        xp, c = namespace(theta), self.coefficients(step, learning_rate)
        m = c.b1 * state.first + c.c1 * gradient
        v = c.b2 * state.second + c.c2 * (gradient * gradient)
        # With ε = 0, a parameter that has never had a gradient would give 0/0.
        eps_out = c.eps_out if c.eps_in + c.eps_out > 0.0 else _smallest(theta)
        move = c.s * m / (xp.sqrt(v + c.eps_in) + eps_out)
        if c.decay != 0.0:
            kept = (1.0 - (c.decay if factors is None else c.decay * factors)) * theta
            theta = kept if weight_mask is None else xp.where(weight_mask, kept, theta)
        return theta - (move if factors is None else factors * move), OptimizerState(m, v)


@dataclass(frozen=True)
class Adagrad(AdaptiveOptimizer):
    """Adagrad (J. Duchi, E. Hazan and Y. Singer, 2011): v ← v + g²;  θ ← θ - η·g/(√v + ε).

    v never decreases, so the steps of a parameter get shorter with every gradient it receives.
    Parameters of columns that are rarely nonzero keep long steps.

    Parameters
    ----------
    learning_rate : float
        η, above 0.
    epsilon : float
        ε, at least 0.
    initial_accumulator : float
        Initial value of every element of v, at least 0.
    """

    learning_rate: float = 1e-2
    epsilon: float = 1e-10
    initial_accumulator: float = 0.0

    def __post_init__(self) -> None:
        _check_learning_rate(self.learning_rate)
        _check_not_negative("epsilon", self.epsilon)
        _check_not_negative("initial_accumulator", self.initial_accumulator)

    def init(self, theta: Array) -> OptimizerState:
        """Return a state with the initial v; `first` holds the last gradient."""
        xp = namespace(theta)
        return OptimizerState(xp.zeros_like(theta), xp.full_like(theta, self.initial_accumulator))

    def coefficients(self, step: int, learning_rate: float | None = None) -> StepCoefficients:
        """Return the coefficients of step `step`, which are the same for all steps."""
        eta = self.learning_rate if learning_rate is None else learning_rate
        return StepCoefficients(0.0, 1.0, 1.0, 1.0, 0.0, eta, 0.0, self.epsilon)


@dataclass(frozen=True)
class RMSProp(AdaptiveOptimizer):
    """RMSProp (T. Tieleman and G. Hinton, 2012): v ← ρv + (1 - ρ)g²;  θ ← θ - η·g/(√v + ε).

    Parameters
    ----------
    learning_rate : float
        η, above 0.
    rho : float
        Decay rate ρ of v, in [0, 1).
    epsilon : float
        ε, at least 0.
    """

    learning_rate: float = 1e-3
    rho: float = 0.99
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        _check_learning_rate(self.learning_rate)
        _check_share("rho", self.rho)
        _check_not_negative("epsilon", self.epsilon)

    def coefficients(self, step: int, learning_rate: float | None = None) -> StepCoefficients:
        """Return the coefficients of step `step`, which are the same for all steps."""
        eta = self.learning_rate if learning_rate is None else learning_rate
        return StepCoefficients(0.0, 1.0, self.rho, 1.0 - self.rho, 0.0, eta, 0.0, self.epsilon)


@dataclass(frozen=True)
class Adam(AdaptiveOptimizer):
    """Adam (D. P. Kingma and J. Ba, 2015), in three forms.

    All forms use m ← b1·m + c1·g and v ← b2·v + c2·g². With m̂ = m/(1 - β1^t) and v̂ = v/(1 - β2^t):

    - "standard", c1 = 1 - β1, c2 = 1 - β2:  θ ← θ - η·m̂/(√v̂ + ε).
    - "scikit-learn", the same averages:  θ ← θ - η·√(1 - β2^t)/(1 - β1^t)·m/(√v + ε). This is the
      last form of the paper's section 2; ε is not corrected for bias.
    - "accumulator", c1 = c2 = 1:  θ ← θ - η·m/√(v + ε). It uses decaying sums instead of averages
      and no bias correction. Apart from ε, it equals Adam without bias correction and with the
      learning rate η·√(1 - β2)/(1 - β1).

    Parameters
    ----------
    learning_rate : float
        η, above 0.
    beta_1, beta_2 : float
        Decay rates of m and v, in [0, 1).
    epsilon : float
        ε, at least 0.
    form : {"standard", "scikit-learn", "accumulator"}
        Which of the forms above to use.
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

    def coefficients(self, step: int, learning_rate: float | None = None) -> StepCoefficients:
        """Return the coefficients of step `step`, counted from 1."""
        eta = self.learning_rate if learning_rate is None else learning_rate
        b1, b2 = self.beta_1, self.beta_2
        if self.form == "accumulator":
            return StepCoefficients(b1, 1.0, b2, 1.0, 0.0, eta, self.epsilon, 0.0)
        correction = math.sqrt(1.0 - b2**step)
        # m̂/(√v̂ + ε) = √(1 - β2^t)/(1 - β1^t) · m/(√v + ε√(1 - β2^t)): the forms differ in ε only.
        epsilon = self.epsilon * correction if self.form == "standard" else self.epsilon
        s = eta * correction / (1.0 - b1**step)
        return StepCoefficients(b1, 1.0 - b1, b2, 1.0 - b2, 0.0, s, 0.0, epsilon)


@dataclass(frozen=True)
class AdamW(AdaptiveOptimizer):
    """Adam in its standard form with decoupled weight decay (Loshchilov and Hutter, 2019).

    θ ← (1 - ηλ)θ - η·m̂/(√v̂ + ε) for weights; biases do not decay. The decay is the same for every
    weight. The gradient λθ of an L2 penalty, in contrast, would be divided by √v̂.

    Parameters
    ----------
    learning_rate : float
        η, above 0.
    beta_1, beta_2 : float
        Decay rates of m and v, in [0, 1).
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
        _check_not_negative("weight_decay", self.weight_decay)

    def coefficients(self, step: int, learning_rate: float | None = None) -> StepCoefficients:
        """Return the coefficients of step `step`, counted from 1."""
        eta = self.learning_rate if learning_rate is None else learning_rate
        adam = Adam(self.learning_rate, self.beta_1, self.beta_2, self.epsilon)
        return adam.coefficients(step, eta)._replace(decay=eta * self.weight_decay)


def _smallest(theta: Array) -> float:
    return float(namespace(theta).finfo(theta.dtype).smallest_normal)


def _check_learning_rate(learning_rate: float) -> None:
    if not (learning_rate > 0.0 and math.isfinite(learning_rate)):
        raise ValueError(f"learning_rate must be a number above 0, got {learning_rate!r}")


def _check_adam(learning_rate: float, beta_1: float, beta_2: float, epsilon: float) -> None:
    _check_learning_rate(learning_rate)
    _check_share("beta_1", beta_1)
    _check_share("beta_2", beta_2)
    _check_not_negative("epsilon", epsilon)


def _check_share(name: str, value: float) -> None:
    if not 0.0 <= value < 1.0:
        raise ValueError(f"{name} must be at least 0 and below 1, got {value!r}")


def _check_not_negative(name: str, value: float) -> None:
    if not (value >= 0.0 and math.isfinite(value)):
        raise ValueError(f"{name} must be at least 0, got {value!r}")
