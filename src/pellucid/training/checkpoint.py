"""What a run needs to go on from the end of an epoch as if it had never stopped."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.engine.plan import TrainerState
from pellucid.training.history import History

if TYPE_CHECKING:
    from pellucid.training.fit import EpochLoop


@dataclass(frozen=True)
class RunState:
    """An `EpochLoop` between two epochs; the row order is not in it, which its maker knows.

    Parameters
    ----------
    parameters : ndarray of shape (n_parameters,)
        Those reached, not the best.
    best_parameters : ndarray of shape (n_parameters,), or None
        Those of the best validation score; None where no rows are held out.
    trainer : TrainerState
        Moments of the optimizer, steps and epochs done.
    learning_rate : float
        Of the next epoch.
    best : float
        Best loss or validation score so far.
    n_without_improvement : int
        Epochs in a row.
    has_converged : bool
        Whether training ended by itself.
    n_epochs : int
        Epochs of the run so far.
    history : History
    """

    parameters: np.ndarray[Any, Any]
    best_parameters: np.ndarray[Any, Any] | None
    trainer: TrainerState
    learning_rate: float
    best: float
    n_without_improvement: int
    has_converged: bool
    n_epochs: int
    history: History


@dataclass(frozen=True)
class Checkpoints:
    """When the state of a run is kept, and what keeps it.

    Parameters
    ----------
    save : callable
        `(RunState) -> None`; the arrays are its own. The first call is before the first epoch.
    every : int
        Save after every so many epochs, and after the last one.
    """

    save: Callable[[RunState], None]
    every: int = 1

    def epochs_until_next(self, n_epochs: int) -> int:
        """Return how many epochs after epoch `n_epochs` the next state is kept."""
        return self.every - n_epochs % self.every


def state_of(loop: EpochLoop) -> RunState:
    """Return the state of a loop between two epochs; nothing in it changes later."""
    trainer, validation = loop.trainer, loop.validation
    return RunState(
        parameters=trainer.parameters.flat.copy(),
        best_parameters=None if validation is None else validation.best_weights.kept.copy(),
        trainer=trainer.state,
        learning_rate=loop.learning_rate,
        best=loop.stopping.best,
        n_without_improvement=loop.stopping.count,
        has_converged=loop.has_converged,
        n_epochs=loop.n_epochs,
        history=_copy(loop.history),
    )


def go_on_from(loop: EpochLoop, state: RunState) -> None:
    """Put a loop that has not begun where `state` was taken.

    Its trainer must have been made with `state.trainer`. Of the stopping rule only what was
    counted comes from the state: with more patience, training that had ended goes on.
    """
    loop.trainer.parameters.flat[:] = state.parameters
    if loop.validation is not None and state.best_parameters is not None:
        loop.validation.best_weights.kept[:] = state.best_parameters
    loop.learning_rate, loop.n_epochs = state.learning_rate, state.n_epochs
    loop.stopping.best, loop.stopping.count = state.best, state.n_without_improvement
    loop.has_converged = state.has_converged and loop.stopping.exhausted
    for name, value in vars(state.history).items():
        if isinstance(value, list):
            getattr(loop.history, name)[:] = value
        else:
            setattr(loop.history, name, value)


def _copy(history: History) -> History:
    copied = copy(history)
    for name, value in vars(history).items():
        setattr(copied, name, copy(value))
    return copied
