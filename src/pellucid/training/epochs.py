"""The solver of epochs: train, validate, adapt the learning rate, stop, keep the best weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from pellucid.engine.contract import Trainer
from pellucid.engine.errors import NonFiniteError
from pellucid.engine.plan import EpochResult, TrainingPlan
from pellucid.engine.statistics import StepStatistics
from pellucid.training.callbacks import Callbacks
from pellucid.training.checkpoint import Checkpoints, TrainingState, copied
from pellucid.training.epoch_rates import EpochRate
from pellucid.training.history import EpochReport
from pellucid.training.outcome import Outcome
from pellucid.training.replay import Recording
from pellucid.training.result import FitResult
from pellucid.training.source import RowSource, TableRows
from pellucid.training.stopping import NoImprovement
from pellucid.training.validation import Validation, ValidationResult

SECONDS_AT_ONCE = 0.005
"""Epochs run without looking at signals take together about so long."""


@dataclass(frozen=True)
class MiniBatches:
    """Train by epochs of mini-batches, by scikit-learn's rules.

    Parameters
    ----------
    plan : TrainingPlan
        What the engine does in a step.
    rate : EpochRate
        How the learning rate changes from epoch to epoch.
    max_epochs : int
        Maximum number of epochs, those before a resumed run included.
    tol, n_iter_no_change : float
        Training stops after more than `n_iter_no_change` epochs in a row that improve on the best
        validation score, or without one the best loss, by less than `tol`.
    seconds_at_once : float
        Run short epochs together for about so long before anything else is looked at.
    """

    plan: TrainingPlan
    rate: EpochRate
    max_epochs: int
    tol: float = 0.0
    n_iter_no_change: float = math.inf
    seconds_at_once: float = SECONDS_AT_ONCE


@dataclass
class EpochRun:
    """One training by epochs.

    Parameters
    ----------
    settings : MiniBatches
    trainer : Trainer
        Of any engine.
    source : RowSource
    start : TrainingState
        Where to go on from. The trainer has been made with its state, the parameters set to those
        it has.
    validation : Validation, optional
        Turns on early stopping by the score of its rows.
    callbacks : Callbacks, optional
        Told of each epoch as it ends, and able to stop there; then epochs run one by one.
    checkpoints : Checkpoints, optional
        Keeps the state between epochs.
    recording : Recording, optional
        Told of each epoch as it begins; then epochs run one by one.
    say : callable, optional
        `(str) -> None`; gets the lines that scikit-learn prints with `verbose=True`.
    """

    settings: MiniBatches
    trainer: Trainer
    source: RowSource
    start: TrainingState = field(default_factory=TrainingState)
    validation: Validation | None = None
    callbacks: Callbacks | None = None
    checkpoints: Checkpoints | None = None
    recording: Recording | None = None
    say: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        start, settings = self.start, self.settings
        self.n_epochs = start.n_epochs
        self.history = copied(start.history)
        self.statistics: list[StepStatistics] = []
        self.before_run: Callable[[], None] | None = None
        rate = start.learning_rate
        self._learning_rate = settings.rate.initial if rate is None else rate
        self._stopping = NoImprovement(
            tol=settings.tol,
            patience=settings.n_iter_no_change,
            sign=-1 if self.validation is None else 1,
            best=self._best_so_far(),
            count=start.n_without_improvement,
        )
        self._has_converged = start.has_converged and self._stopping.exhausted
        self._first_epoch = 0 if start.trainer is None else start.trainer.epoch
        # With validation rows the best parameters so far, without them the first.
        best = None if self.validation is None else start.best_parameters
        first = self.trainer.pull().flat
        self._kept_parameters: NDArray[Any] = (first if best is None else best).copy()
        self._n_done = 0
        self._epoch_seconds = math.inf
        self._stopped = self._has_begun = False

    def _best_so_far(self) -> float:
        """Return the best loss or score; the score of the first weights where none compares."""
        validation, best, is_resumed = self.validation, self.start.best, self.start.n_epochs > 0
        if validation is None or validation.compares_with_before or is_resumed:
            return best
        return validation.measure(self.trainer).score if math.isfinite(best) else best

    @property
    def n_threads(self) -> int | None:
        """Threads of the next epoch."""
        return self.trainer.n_threads

    @n_threads.setter
    def n_threads(self, n_threads: int | None) -> None:
        self.trainer.n_threads = n_threads

    def stop(self) -> None:
        """End training, from another thread, as Ctrl-C does."""
        self.trainer.stop()

    def run(self) -> FitResult:
        """Train until there is no more improvement, or the maximum number of epochs.

        Returns
        -------
        FitResult
            With the error that ended training, if one did: `NonFiniteError` where the loss became
            non-finite and no validation rows say which weights to go back to.
        """
        outcome: Outcome | None = None
        problem: BaseException | None = None
        try:
            if self.callbacks is None:
                outcome = self._run(self.settings.max_epochs)
            else:
                outcome = self.callbacks.around(self._run, self.settings.max_epochs)
        except KeyboardInterrupt:
            outcome = Outcome.INTERRUPTED
        except BaseException as error:
            problem = error
            if self.validation is None and self.n_epochs == self.start.n_epochs:
                self.trainer.pull().flat[:] = self._kept_parameters
        losses = self.history.losses
        return FitResult(
            outcome=outcome,
            n_iter=self.n_epochs,
            loss=losses[-1] if losses else math.nan,
            state=self._state_after(outcome),
            validated=self.validation is not None,
            statistics=tuple(self.statistics),
            recording=self.recording,
            has_begun=self._has_begun,
            error=problem,
        )

    def _state_after(self, outcome: Outcome | None) -> TrainingState:
        """Return what to go on from; moments that are not finite are not kept."""
        is_finite = outcome not in (None, Outcome.DIVERGED)
        return TrainingState(
            trainer=self.trainer.state if is_finite else None,
            learning_rate=self._learning_rate,
            best=self._stopping.best,
            n_without_improvement=self._stopping.count,
            history=self.history,
            n_epochs=self.n_epochs,
        )

    def _run(self, max_epochs: int) -> Outcome:
        try:
            if not self._is_over(max_epochs):
                self._save_state()
            while not self._is_over(max_epochs):
                self._run_epochs(min(self._epochs_at_once(), max_epochs - self.n_epochs))
                self._has_converged = self._stopping.exhausted and not self._go_on_after_plateau()
                self._save_state_if_due(max_epochs)
                if self._stopped:
                    return Outcome.STOPPED
        except KeyboardInterrupt:
            return Outcome.INTERRUPTED
        except NonFiniteError:
            if not self._has_scored_weights():
                raise
            self._record(math.nan, ValidationResult(math.nan, math.nan))
            return Outcome.DIVERGED
        finally:
            flat = self.trainer.pull().flat
            if self.validation is not None and (self.n_epochs == 0 or self._has_scored_weights()):
                flat[:] = self._kept_parameters
        return Outcome.CONVERGED if self._has_converged else Outcome.MAX_EPOCHS

    def _is_over(self, max_epochs: int) -> bool:
        return self._has_converged or self.n_epochs >= max_epochs

    def _save_state(self) -> None:
        if self.checkpoints is not None:
            best = None if self.validation is None else self._kept_parameters
            self.checkpoints.save(
                TrainingState(
                    trainer=self.trainer.state,
                    learning_rate=self._learning_rate,
                    best=self._stopping.best,
                    n_without_improvement=self._stopping.count,
                    history=copied(self.history),
                    n_epochs=self.n_epochs,
                    has_converged=self._has_converged,
                    parameters=self.trainer.pull().flat.copy(),
                    best_parameters=None if best is None else best.copy(),
                    order=self.source.state(),
                )
            )

    def _save_state_if_due(self, max_epochs: int) -> None:
        if self.checkpoints is not None:
            is_due = self.n_epochs % self.checkpoints.every == 0
            if is_due or self._stopped or self._is_over(max_epochs):
                self._save_state()

    def _epochs_at_once(self) -> int:
        """Return how many epochs can be run before anything must be decided.

        Each counts at most one epoch without improvement, so that training cannot end within them;
        and they are short.
        """
        is_watched = self.validation or self.callbacks or self.recording
        if is_watched is not None or self.settings.rate.changes_every_epoch:
            return 1
        until_decision = self._stopping.patience - self._stopping.count + 1
        within_time = self.settings.seconds_at_once / self._epoch_seconds
        n = max(1, int(min(until_decision, within_time)))
        if self.checkpoints is None:
            return n
        return min(n, self.checkpoints.epochs_until_next(self.n_epochs))

    def _run_epochs(self, n: int) -> None:
        if self.before_run is not None:
            self.before_run()
        self._has_begun = True
        if self.recording is not None:
            self.recording.before_epoch()
        if self.callbacks is not None:
            self.callbacks.before_epoch(self.n_epochs + 1)
        rate, first = self._learning_rate, self._first_epoch + self._n_done
        self._n_done += n
        results: Iterable[EpochResult]
        if isinstance(self.source, TableRows):
            results = self.trainer.run_epochs(self.source.orders(first, n), rate)
        else:
            epochs = range(first, first + n)
            results = (self.trainer.run_blocks(self.source.blocks(i), rate) for i in epochs)
        for result in results:
            self._finish_epoch(result, rate)

    def _finish_epoch(self, result: EpochResult, rate: float) -> None:
        self._epoch_seconds = max(result.seconds, 1e-9)
        if self.validation is not None or self.callbacks is not None:
            self.trainer.pull()
        measured = None if self.validation is None else self.validation.measure(self.trainer)
        self.history.examples_seen += result.n_examples
        self.statistics.extend(result.statistics)
        self._record(result.loss, measured)
        self._judge(result.loss, measured)
        self._learning_rate = self.settings.rate.after_epoch(rate, self.history.examples_seen)
        if self.callbacks is not None:
            self._stopped = self.callbacks.after_epoch(
                EpochReport(
                    self.n_epochs,
                    result.loss,
                    None if measured is None else measured.score,
                    rate,
                    result.n_examples,
                    result.seconds,
                    result.statistics,
                    None if measured is None else measured.loss,
                )
            )

    def _record(self, loss: float, measured: ValidationResult | None) -> None:
        self.n_epochs += 1
        self.history.losses.append(loss)
        self._say(f"Iteration {self.n_epochs}, loss = {loss:.8f}")
        if measured is not None:
            self.history.validation_scores.append(measured.score)
            self.history.validation_losses.append(measured.loss)
            self._say(self._told_score(measured.score))

    def _told_score(self, score: float) -> str:
        validation = self.validation
        if validation is not None and validation.is_error:
            return f"Validation {validation.name}: {-score:f}"
        return f"Validation score: {score:f}"

    def _judge(self, loss: float, measured: ValidationResult | None) -> None:
        is_best = self._stopping.update(loss if measured is None else measured.score)
        if is_best and self.validation is not None:
            self._kept_parameters[:] = self.trainer.pull().flat

    def _go_on_after_plateau(self) -> bool:
        """Lower the learning rate where the rule knows a lower one; return whether it does."""
        subject = "Training loss" if self.validation is None else "Validation score"
        plateau = (
            f"{subject} did not improve more than tol={self._stopping.tol:f}"
            f" for {self._stopping.patience:.0f} consecutive epochs."
        )
        lower = self.settings.rate.after_plateau(self._learning_rate)
        if lower is None:
            why = " Learning rate too small." if self.settings.rate.lowers_at_plateau else ""
            self._say(f"{plateau}{why} Stopping.")
            return False
        self._learning_rate = lower
        self._stopping.count = 0
        self._say(f"{plateau} Setting learning rate to {lower:f}")
        return True

    def _has_scored_weights(self) -> bool:
        return self.validation is not None and math.isfinite(self._stopping.best)

    def _say(self, line: str) -> None:
        if self.say is not None:
            self.say(line)
