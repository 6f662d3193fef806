"""Where the optimizer of a perceptron stands between two calls of `partial_fit`."""

from __future__ import annotations

from dataclasses import dataclass

from pellucid.engine.plan import TrainerState


@dataclass(frozen=True)
class SolverState:
    """What `partial_fit` needs to go on where the last call stopped.

    Parameters
    ----------
    solver : {'sgd', 'adam'}
        Whose state it is; the other one starts afresh.
    learning_rate : float or None
        Of the next epoch; None for the first rate.
    trainer : TrainerState or None
        Moments and step count; None before the first step.
    """

    solver: str
    learning_rate: float | None = None
    trainer: TrainerState | None = None
