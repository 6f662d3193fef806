"""Learning-rate schedules of scikit-learn's `sgd` solver.

A schedule answers two questions: which rate comes after an epoch, and which after a plateau, that
is after more than `n_iter_no_change` epochs without improvement. None means: stop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

SMALLEST_ADAPTIVE_RATE = 1e-6
ADAPTIVE_DIVISOR = 5.0


@dataclass(frozen=True)
class Schedule:
    """How a learning rate changes.

    Parameters
    ----------
    after_epoch : callable
        `(learning_rate, examples_seen) -> learning_rate`.
    after_plateau : callable
        `(learning_rate) -> learning_rate`, or None to stop training.
    lowers_at_plateau : bool
        Whether a plateau may lower the rate before it stops training.
    changes_every_epoch : bool
        Whether `after_epoch` returns another rate than it is given.
    """

    after_epoch: Callable[[float, int], float]
    after_plateau: Callable[[float], float | None]
    lowers_at_plateau: bool = False
    changes_every_epoch: bool = False


def constant() -> Schedule:
    """Keep the rate and stop at the first plateau."""
    return Schedule(after_epoch=_keep, after_plateau=_stop)


def inverse_scaling(initial: float, power: float) -> Schedule:
    """Let the rate fall as initial / (t + 1)^power, t being the number of examples seen."""

    def after_epoch(_: float, examples_seen: int) -> float:
        try:
            return float(initial / (examples_seen + 1) ** power)
        except OverflowError:
            return 0.0

    return Schedule(after_epoch=after_epoch, after_plateau=_stop, changes_every_epoch=True)


def adaptive() -> Schedule:
    """Divide the rate by 5 at each plateau; stop at a plateau reached with a rate <= 1e-6."""
    return Schedule(after_epoch=_keep, after_plateau=_divide, lowers_at_plateau=True)


def get_schedule(name: str, initial: float, power: float) -> Schedule:
    """Return the schedule that scikit-learn calls 'constant', 'invscaling' or 'adaptive'.

    Parameters
    ----------
    name : str
        Its name.
    initial : float
        The first learning rate.
    power : float
        Exponent of 'invscaling'; the others do not use it.
    """
    makers: dict[str, Callable[[], Schedule]] = {
        "constant": constant,
        "invscaling": lambda: inverse_scaling(initial, power),
        "adaptive": adaptive,
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
