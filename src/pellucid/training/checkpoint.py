"""The state of a training between two epochs, and when it is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pellucid.engine.plan import TrainerState
from pellucid.nn.optimizers import Optimizer
from pellucid.training.history import History
from pellucid.training.row_order import OrderState


class StateError(ValueError):
    """A state does not belong to the training that is to go on from it."""


@dataclass(frozen=True)
class TrainingState:
    """Where a training stands; another one goes on from it as if it had never stopped.

    Parameters
    ----------
    trainer : TrainerState or None
        Moments of the optimizer, steps and epochs done; None starts the optimizer afresh.
    learning_rate : float or None
        Of the next epoch; None means the first rate.
    best : float
        Best loss or validation score so far; NaN where there is none.
    n_without_improvement : int
        Epochs in a row.
    history : History
    n_epochs : int
        Epochs of the run so far.
    has_converged : bool
        Whether training ended by itself.
    parameters : ndarray of shape (n_parameters,), or None
        Those reached, not the best; None where they are at hand elsewhere.
    best_parameters : ndarray of shape (n_parameters,), or None
        Those of the best validation score; None without validation rows.
    order : OrderState
        Of the source of the rows.
    """

    trainer: TrainerState | None = None
    learning_rate: float | None = None
    best: float = float("nan")
    n_without_improvement: int = 0
    history: History = field(default_factory=History)
    n_epochs: int = 0
    has_converged: bool = False
    parameters: NDArray[np.floating] | None = None
    best_parameters: NDArray[np.floating] | None = None
    order: OrderState = ({}, {})

    def check_fits(self, flat: NDArray[np.floating], optimizer: Optimizer) -> None:
        """Raise StateError unless the arrays have the shapes that these parameters need."""
        wanted, found = [], []
        if self.trainer is not None:
            wanted, found = [*optimizer.init(flat)], [*self.trainer.optimizer]
        for array in (self.parameters, self.best_parameters):
            if array is not None:
                wanted, found = [*wanted, flat], [*found, array]
        for array, like in zip(found, wanted, strict=True):
            if (array.shape, array.dtype) != (like.shape, like.dtype):
                raise StateError(
                    f"{array.dtype} {array.shape} in place of {like.dtype} {like.shape}"
                )


@dataclass(frozen=True)
class Checkpoints:
    """When the state of a training is kept, and what keeps it.

    Parameters
    ----------
    save : callable
        `(TrainingState) -> None`; nothing in the state changes later. The first call is before the
        first epoch.
    every : int
        Save after every so many epochs, and after the last one.
    """

    save: Callable[[TrainingState], None]
    every: int = 1

    def epochs_until_next(self, n_epochs: int) -> int:
        """Return how many epochs after epoch `n_epochs` the next state is kept."""
        return self.every - n_epochs % self.every


def copied(history: History) -> History:
    """Return a history that does not grow with this one."""
    return History(
        losses=history.losses.copy(),
        validation_scores=history.validation_scores.copy(),
        validation_losses=history.validation_losses.copy(),
        examples_seen=history.examples_seen,
    )
