"""What happened in each epoch."""

from __future__ import annotations

from dataclasses import dataclass, field

from pellucid.engine.statistics import StepStatistics


@dataclass(frozen=True)
class EpochReport:
    """What one epoch did, for progress lines and callbacks.

    Parameters
    ----------
    epoch : int
        Number of the epoch in this run, counted from 1.
    loss : float
        Mean over the examples of the objective, penalty included, as the epoch went along.
    validation_score : float or None
        Score on the held-out rows after the epoch; None where no rows are held out.
    learning_rate : float
        The rate this epoch used.
    n_examples : int
        Rows trained on.
    seconds : float
        Time in the engine, validation not included.
    statistics : tuple of StepStatistics
        Of the steps that were measured, where that is asked for.
    validation_loss : float or None
        Weighted mean of the loss on the held-out rows, without the penalty.
    """

    epoch: int
    loss: float
    validation_score: float | None
    learning_rate: float
    n_examples: int
    seconds: float
    statistics: tuple[StepStatistics, ...] = ()
    validation_loss: float | None = None


@dataclass
class History:
    """Losses and scores epoch by epoch, over every run of the same model.

    Parameters
    ----------
    losses : list of float
        One a finished epoch.
    validation_scores : list of float
        One a finished epoch where rows are held out; else empty.
    validation_losses : list of float
        Likewise.
    examples_seen : int
        Rows trained on so far, each counted once for each epoch.
    """

    losses: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    examples_seen: int = 0
