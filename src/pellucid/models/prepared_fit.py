"""A fit that is ready to run, alone or with others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from sklearn.exceptions import ConvergenceWarning

from pellucid.engine.contract import Engine
from pellucid.models.targets import Targets
from pellucid.nn import Chain, Parameters
from pellucid.outside_warning import warn_outside
from pellucid.persistence.training_checkpoints import SavedTraining
from pellucid.training import EpochRun, FitResult, LbfgsRun, Outcome, TrainingJob


@dataclass(frozen=True)
class Learned:
    """What an estimator is once it is fitted, beside its history.

    Parameters
    ----------
    chain : Chain
    parameters : Parameters
    fan_in : int
        Columns of the network's input.
    targets : Targets
    attributes : mapping
        What else it gets: an encoder, for example.
    """

    chain: Chain
    parameters: Parameters
    fan_in: int
    targets: Targets
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PreparedFit:
    """A job, what carries it out, and who takes over what it learns.

    Parameters
    ----------
    job : TrainingJob
    engine : Engine
    learned : Learned
        Holds the parameters that the job trains.
    take_over : callable
        `(Learned, FitResult) -> None`; makes the estimator a fitted one.
    undo : callable
        `() -> None`; makes it what it was before.
    saved : SavedTraining, optional
        The checkpoint that the job goes on from.
    """

    job: TrainingJob
    engine: Engine
    learned: Learned
    take_over: Callable[[Learned, FitResult], None]
    undo: Callable[[], None]
    saved: SavedTraining | None = None

    def begin(self) -> EpochRun | LbfgsRun:
        """Make the job ready to run."""
        with nullcontext() if self.saved is None else self.saved.resuming():
            return self.job.begin(self.engine)

    def finish(self, result: FitResult) -> None:
        """Hand over what was learned, if anything was."""
        if result.learned_something:
            self.take_over(self.learned, result)
        else:
            self.undo()


def undo_of(estimator: Any) -> Callable[[], None]:
    """Return what makes an estimator again what it is now."""
    before = vars(estimator).copy()

    def undo() -> None:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)

    return undo


def warn_of(result: FitResult, *, warns_of_length: bool) -> None:
    """Warn of an end of training that the user may want to do something about."""
    history = result.state.history
    if history.validation_scores and not any(map(_is_number, history.validation_scores)):
        warn_outside(
            "No validation score was a finite number, so that no weights were the best; those of "
            "the last epoch are kept. Look at scoring and X_val."
        )
    if result.outcome is Outcome.INTERRUPTED:
        warn_outside("Training interrupted by user.")
    elif result.outcome is Outcome.DIVERGED:
        warn_outside(
            f"Training diverged in iteration {result.n_iter}; the weights with the best validation "
            "score are kept. Scale the columns of X and y, or lower learning_rate_init.",
            ConvergenceWarning,
        )
    elif result.complaint is not None:
        warn_outside(result.complaint, ConvergenceWarning)
    elif result.outcome is Outcome.MAX_EPOCHS and warns_of_length:
        warn_outside(
            f"Stochastic Optimizer: Maximum iterations ({result.n_iter}) reached and the "
            "optimization hasn't converged yet.",
            ConvergenceWarning,
        )


def _is_number(score: float) -> bool:
    return score - score == 0.0
