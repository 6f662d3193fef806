"""What a training gives back."""

from __future__ import annotations

from dataclasses import dataclass

from pellucid.engine.statistics import StepStatistics
from pellucid.training.checkpoint import TrainingState
from pellucid.training.outcome import Outcome
from pellucid.training.replay import Recording


@dataclass(frozen=True)
class FitResult:
    """How a training ended; what it learned is in the parameters that the job was given.

    Parameters
    ----------
    outcome : Outcome or None
        None after an error.
    n_iter : int
        Epochs of mini-batches, or iterations of L-BFGS.
    loss : float
        Objective of the last one, penalty included; NaN where there was none.
    state : TrainingState
        What another training needs to go on, with the history of this one.
    validated : bool
        Whether rows were scored after each epoch.
    statistics : tuple of StepStatistics
        Of the steps that were measured, where that was asked for.
    recording : Recording or None
        Replays any step, where that was asked for.
    complaint : str or None
        Why the solver stopped without having converged, where it says so.
    has_begun : bool
        Whether any step was taken; a job that others' interruption kept waiting has taken none.
    error : BaseException or None
        What ended training. If it finished no epoch, the parameters are those it began with.
    """

    outcome: Outcome | None
    n_iter: int
    loss: float
    state: TrainingState
    validated: bool = False
    statistics: tuple[StepStatistics, ...] = ()
    recording: Recording | None = None
    complaint: str | None = None
    has_begun: bool = True
    error: BaseException | None = None

    @property
    def learned_something(self) -> bool:
        """Whether there is anything to keep: a finished epoch, or an end without error."""
        return self.n_iter > 0 or (self.error is None and self.has_begun)

    @property
    def was_cut_short(self) -> bool:
        """Whether Ctrl-C came before the first epoch was finished."""
        return self.outcome is Outcome.INTERRUPTED and self.n_iter == 0
