"""How scikit-learn's `sgd` solver changes the learning rate from epoch to epoch.

A rule answers two questions: which rate follows an epoch, and which follows a plateau, that is,
more than `n_iter_no_change` epochs without improvement. (`nn.Schedule` in contrast multiplies the
rate from step to step.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

SMALLEST_ADAPTIVE_RATE = 1e-6
ADAPTIVE_DIVISOR = 5.0


@dataclass(frozen=True)
class EpochRate:
    """How the learning rate changes between epochs.

    Parameters
    ----------
    initial : float
        Rate of the first epoch.
    after_epoch : callable
        `(learning_rate, examples_seen) -> learning_rate`.
    after_plateau : callable
        `(learning_rate) -> learning_rate`, or None to stop training.
    lowers_at_plateau : bool
        Whether a plateau may lower the rate before it stops training.
    changes_every_epoch : bool
        Whether `after_epoch` returns another rate than it is given.
    """

    initial: float
    after_epoch: Callable[[float, int], float]
    after_plateau: Callable[[float], float | None]
    lowers_at_plateau: bool = False
    changes_every_epoch: bool = False


def constant(initial: float) -> EpochRate:
    """Keep the rate and stop at the first plateau."""
    return EpochRate(initial, after_epoch=_keep, after_plateau=_stop)


def inverse_scaling(initial: float, power: float) -> EpochRate:
    """Let the rate fall as initial / (t + 1)^power, where t is the number of examples seen."""

    def after_epoch(_: float, examples_seen: int) -> float:
        try:
            return float(initial / (examples_seen + 1) ** power)
        except OverflowError:
            return 0.0

    return EpochRate(initial, after_epoch, after_plateau=_stop, changes_every_epoch=True)


def adaptive(initial: float) -> EpochRate:
    """Divide the rate by 5 at each plateau; stop at a plateau reached with a rate <= 1e-6."""
    return EpochRate(initial, after_epoch=_keep, after_plateau=_divide, lowers_at_plateau=True)


def get_epoch_rate(name: str, initial: float, power: float = 0.5) -> EpochRate:
    """Return the rule that scikit-learn calls 'constant', 'invscaling' or 'adaptive'.

    Parameters
    ----------
    name : str
    initial : float
        Rate of the first epoch.
    power : float
        Exponent of 'invscaling'; the others ignore it.
    """
    makers: dict[str, Callable[[], EpochRate]] = {
        "constant": lambda: constant(initial),
        "invscaling": lambda: inverse_scaling(initial, power),
        "adaptive": lambda: adaptive(initial),
    }
    if name not in makers:
        raise ValueError(f"learning_rate must be one of {sorted(makers)}, got {name!r}")
    return makers[name]()


def _keep(learning_rate: float, _: int) -> float:
    return learning_rate


def _stop(_: float) -> None:
    return None


def _divide(learning_rate: float) -> float | None:
    if learning_rate <= SMALLEST_ADAPTIVE_RATE:
        return None
    return learning_rate / ADAPTIVE_DIVISOR
