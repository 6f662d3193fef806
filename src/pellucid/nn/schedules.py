"""Schedules: factors by which the learning rate is multiplied during training.

Each schedule is a frozen dataclass with one pure function, `factor(step, n_steps)`. `step` is
counted from 1, and `n_steps` is the number of steps of the whole training. In the equations,
t = (step - 1)/n_steps increases from 0 to almost 1. If training continues beyond `n_steps`, t stays
at 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol


class Schedule(Protocol):
    """Interface of all schedules."""

    def factor(self, step: int, n_steps: int) -> float:
        """Return the factor for step `step`, counted from 1, out of `n_steps`."""
        ...


def progress(step: int, n_steps: int) -> float:
    """Return t = (step - 1)/n_steps, at most 1."""
    return min(1.0, (step - 1) / n_steps)


def _falling_cosine(t: float) -> float:
    """Return ½(1 + cos πt), which falls from 1 at t = 0 to 0 at t = 1."""
    return 0.5 * (1.0 + math.cos(math.pi * t))


def _check(
    name: str, value: float, above: float, at_least: float = -math.inf, at_most: float = math.inf
) -> None:
    if above < value <= at_most and at_least <= value and math.isfinite(value):
        return
    limits = [f"above {above:g}" if at_least == -math.inf else f"of at least {at_least:g}"]
    if at_most < math.inf:
        limits.append(f"at most {at_most:g}")
    raise ValueError(f"{name} must be a number {' and '.join(limits)}, got {value!r}")


@dataclass(frozen=True)
class Constant:
    """Constant factor of 1."""

    def factor(self, step: int, n_steps: int) -> float:
        """Return 1."""
        return 1.0


@dataclass(frozen=True)
class StepDecay:
    """Step decay: decay^k, where k is the number of elements of `at` that are <= t."""

    decay: float = 0.1
    at: tuple[float, ...] = (0.5, 0.75)

    def __post_init__(self) -> None:
        _check("decay", self.decay, above=0.0, at_most=1.0)
        object.__setattr__(self, "at", tuple(self.at))
        for place in self.at:
            _check("at", place, above=-math.inf, at_most=1.0)

    def factor(self, step: int, n_steps: int) -> float:
        """Return decay^k."""
        t = progress(step, n_steps)
        return float(self.decay ** sum(place <= t for place in self.at))


@dataclass(frozen=True)
class Exponential:
    """Exponential decay: final^t. Each step multiplies the rate by final^(1/n_steps)."""

    final: float = 0.01

    def __post_init__(self) -> None:
        _check("final", self.final, above=0.0)

    def factor(self, step: int, n_steps: int) -> float:
        """Return final^t."""
        return float(self.final ** progress(step, n_steps))


@dataclass(frozen=True)
class InverseScaling:
    """Inverse scaling: 1/step^power, independent of the length of training."""

    power: float = 0.5

    def __post_init__(self) -> None:
        _check("power", self.power, above=0.0)

    def factor(self, step: int, n_steps: int) -> float:
        """Return 1/step^power."""
        return float(step**-self.power)


@dataclass(frozen=True)
class Cosine:
    """Cosine decay: final + (1 - final)·½(1 + cos πt).

    I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.
    """

    final: float = 0.0

    def __post_init__(self) -> None:
        _check("final", self.final, above=-math.inf, at_least=0.0)

    def factor(self, step: int, n_steps: int) -> float:
        """Return final + (1 - final)·½(1 + cos πt)."""
        return self.final + (1.0 - self.final) * _falling_cosine(progress(step, n_steps))


@dataclass(frozen=True)
class FlatCosine:
    """1 until t = flat, then cosine decay ½(1 + cos πu) with u from 0 to 1.

    For example, u = 2t - 1 for flat = ½.
    """

    flat: float = 0.5

    def __post_init__(self) -> None:
        _check("flat", self.flat, above=-math.inf, at_least=0.0, at_most=1.0)

    def factor(self, step: int, n_steps: int) -> float:
        """Return 1 while t <= flat, then ½(1 + cos πu)."""
        t = progress(step, n_steps)
        return 1.0 if t <= self.flat else _falling_cosine((t - self.flat) / (1.0 - self.flat))


@dataclass(frozen=True)
class LogCosine:
    """n cosine cycles, each twice as long as the previous: ½(1 - cos(2π·log2(1 + (2^n - 1)t))).

    With n = 4, this is "coslog4" of RealMLP (D. Holzmüller, L. Grinsztajn and I. Steinwart,
    "Better by default", 2024). It starts and ends at 0.
    """

    n_cycles: int = 4

    def __post_init__(self) -> None:
        _check("n_cycles", self.n_cycles, above=0.0)

    def factor(self, step: int, n_steps: int) -> float:
        """Return ½(1 - cos(2π·log2(1 + (2^n - 1)t)))."""
        stretch = 2.0**self.n_cycles - 1.0
        phase = math.log2(1.0 + stretch * progress(step, n_steps))
        return 0.5 * (1.0 - math.cos(2.0 * math.pi * phase))


@dataclass(frozen=True)
class OneCycle:
    """Rise from `start` to 1, then fall to `final`, along half cosines (L. N. Smith, 2018).

    With k = step - 1, the factor rises while k <= peak_at·n_steps - 1 and falls until
    k = n_steps - 1, as in PyTorch's OneCycleLR.
    """

    peak_at: float = 0.3
    start: float = 1.0 / 25.0
    final: float = 1.0 / 250_000.0

    def __post_init__(self) -> None:
        _check("peak_at", self.peak_at, above=0.0, at_most=1.0)
        _check("start", self.start, above=-math.inf, at_least=0.0, at_most=1.0)
        _check("final", self.final, above=-math.inf, at_least=0.0, at_most=1.0)

    def factor(self, step: int, n_steps: int) -> float:
        """Return start + (1 - start)·½(1 - cos πu), then final + (1 - final)·½(1 + cos πu)."""
        k, peak, end = step - 1, self.peak_at * n_steps - 1.0, n_steps - 1.0
        if k < peak:
            return 1.0 + (self.start - 1.0) * _falling_cosine(k / peak)
        u = min(1.0, (k - peak) / (end - peak)) if end > peak else 1.0
        return self.final + (1.0 - self.final) * _falling_cosine(u)


@dataclass(frozen=True)
class WarmUp:
    """Linear warm-up over the first w = round(share·n_steps) steps, followed by `then`.

    The factor is start + (1 - start)·(step - 1)/w, then that of `then` over the remaining
    n_steps - w steps.
    """

    then: Schedule = Constant()
    share: float = 0.05
    start: float = 0.01

    def __post_init__(self) -> None:
        _check("share", self.share, above=-math.inf, at_least=0.0, at_most=1.0)
        _check("start", self.start, above=-math.inf, at_least=0.0, at_most=1.0)

    def factor(self, step: int, n_steps: int) -> float:
        """Return the warm-up factor, then the factor of `then`."""
        w = round(self.share * n_steps)
        if step <= w:
            return self.start + (1.0 - self.start) * (step - 1) / w
        return self.then.factor(step - w, max(1, n_steps - w))


SCHEDULES: dict[str, Schedule] = {
    "constant": Constant(),
    "step": StepDecay(),
    "exponential": Exponential(),
    "inverse_scaling": InverseScaling(),
    "cosine": Cosine(),
    "warm_up": WarmUp(),
    "one_cycle": OneCycle(),
    "flat_cosine": FlatCosine(),
    "log_cosine": LogCosine(),
}
"""The schedules by name, with their default settings."""
