"""The epoch loop: train, validate, adapt the learning rate, stop, keep the best weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pellucid.engine.errors import NonFiniteError
from pellucid.engine.plan import EpochResult, TrainerState
from pellucid.nn.parameters import Parameters
from pellucid.training.callbacks import Callbacks
from pellucid.training.checkpoint import Checkpoints, state_of
from pellucid.training.history import EpochReport, History
from pellucid.training.outcome import Outcome
from pellucid.training.schedules import Schedule
from pellucid.training.stopping import BestWeights, NoImprovement
from pellucid.training.validation import ValidationResult

_SECONDS_AT_ONCE = 0.005
"""Epochs run without looking at signals take together about so long."""


class Trainer(Protocol):
    """What the loop needs of an engine."""

    n_threads: int | None
    """Of the next epoch; the results do not depend on it."""
    parameters: Parameters
    """What it trains, in place."""

    @property
    def state(self) -> TrainerState:
        """What another trainer needs to go on from here, beside the parameters."""

    def stop(self) -> None:
        """Make the epoch that another thread runs, or the next, end with `KeyboardInterrupt`."""

    def run_epochs(
        self, orders: NDArray[np.int64], learning_rate: float | None = None
    ) -> Iterator[EpochResult]:
        """Train on the rows in the order of each row of `orders` (k, n)."""


@dataclass(frozen=True)
class Validation:
    """How to measure the weights in training, and where to keep the best.

    Parameters
    ----------
    measure : callable
        `() -> ValidationResult`; the weights with the highest score are the best.
    best_weights : BestWeights
        Put back when the run ends, however it ends.
    """

    measure: Callable[[], ValidationResult]
    best_weights: BestWeights


@dataclass
class EpochLoop:
    """Trains epoch after epoch, by scikit-learn's rules.

    Parameters
    ----------
    trainer : Trainer
        Of any engine.
    next_order : callable
        `() -> row indices of the next epoch`.
    schedule : Schedule
        How the learning rate changes.
    learning_rate : float
        The rate of the next epoch.
    stopping : NoImprovement
        Follows the validation score where there is one, else the training loss.
    history : History
        Grows by one entry an epoch.
    validation : Validation, optional
        Turns on early stopping by the score of held-out rows.
    on_epoch : callable, optional
        `(EpochReport) -> None`, called for each epoch, but perhaps after several have been run.
    callbacks : Callbacks, optional
        Told of each epoch as it ends, and able to stop there; then epochs run one by one.
    say : callable, optional
        `(str) -> None`; gets the lines that scikit-learn prints with `verbose=True`.
    before_epoch : list of callable
        `() -> None`, each called before each epoch; then epochs run one by one.
    before_run : list of callable
        `() -> None`, each called before the trainer is given the next epochs, one or several.
    checkpoints : Checkpoints, optional
        Keeps the state between epochs.
    """

    trainer: Trainer
    next_order: Callable[[], NDArray[np.int64]]
    schedule: Schedule
    learning_rate: float
    stopping: NoImprovement
    history: History
    validation: Validation | None = None
    on_epoch: Callable[[EpochReport], None] | None = None
    callbacks: Callbacks | None = None
    say: Callable[[str], None] | None = None
    before_epoch: list[Callable[[], None]] = field(default_factory=list)
    before_run: list[Callable[[], None]] = field(default_factory=list)
    checkpoints: Checkpoints | None = None
    n_epochs: int = 0
    """Epochs of this run so far."""
    has_converged: bool = False
    """Whether training ended because there was no more improvement."""
    _epoch_seconds: float = math.inf
    _stopped: bool = False

    def run(self, max_epochs: int) -> Outcome:
        """Train until there is no more improvement, but at most `max_epochs` epochs in all.

        Raises
        ------
        NonFiniteError
            The loss became non-finite and no held-out rows say which weights to go back to; the
            weights are those of the last good epoch.
        """
        if self.callbacks is None:
            return self._run(max_epochs)
        return self.callbacks.around(self._run, max_epochs)

    def _run(self, max_epochs: int) -> Outcome:
        try:
            if not self._is_over(max_epochs):
                self._save_state()
            while not self._is_over(max_epochs):
                self._run_epochs(min(self._epochs_at_once(), max_epochs - self.n_epochs))
                self.has_converged = self.stopping.exhausted and not self._go_on_after_plateau()
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
            if self.validation is not None:
                self.validation.best_weights.restore()
        return Outcome.CONVERGED if self.has_converged else Outcome.MAX_EPOCHS

    def _is_over(self, max_epochs: int) -> bool:
        return self.has_converged or self.n_epochs >= max_epochs

    def _save_state(self) -> None:
        if self.checkpoints is not None:
            self.checkpoints.save(state_of(self))

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
        if self.validation is not None or self.callbacks is not None or self.before_epoch:
            return 1
        if self.schedule.changes_every_epoch:
            return 1
        until_decision = self.stopping.patience - self.stopping.count + 1
        within_time = _SECONDS_AT_ONCE / self._epoch_seconds
        n = max(1, int(min(until_decision, within_time)))
        if self.checkpoints is None:
            return n
        return min(n, self.checkpoints.epochs_until_next(self.n_epochs))

    def _run_epochs(self, n: int) -> None:
        for call in (*self.before_run, *self.before_epoch):
            call()
        if self.callbacks is not None:
            self.callbacks.before_epoch(self.n_epochs + 1)
        rate = self.learning_rate
        orders = self.next_order()[np.newaxis]
        if n > 1:
            orders = np.repeat(orders, n, axis=0)
            for i in range(1, n):
                orders[i] = self.next_order()
        for result in self.trainer.run_epochs(orders, learning_rate=rate):
            self._finish_epoch(result, rate)

    def _finish_epoch(self, result: EpochResult, rate: float) -> None:
        self._epoch_seconds = max(result.seconds, 1e-9)
        measured = None if self.validation is None else self.validation.measure()
        self.history.examples_seen += result.n_examples
        self._record(result.loss, measured)
        self._judge(result.loss, measured)
        self.learning_rate = self.schedule.after_epoch(rate, self.history.examples_seen)
        if self.on_epoch is None and self.callbacks is None:
            return
        report = EpochReport(
            self.n_epochs,
            result.loss,
            None if measured is None else measured.score,
            rate,
            result.n_examples,
            result.seconds,
            result.statistics,
            None if measured is None else measured.loss,
        )
        if self.on_epoch is not None:
            self.on_epoch(report)
        if self.callbacks is not None:
            self._stopped = self.callbacks.after_epoch(report)

    def _record(self, loss: float, measured: ValidationResult | None) -> None:
        self.n_epochs += 1
        self.history.losses.append(loss)
        self._say(f"Iteration {self.n_epochs}, loss = {loss:.8f}")
        if measured is not None:
            self.history.validation_scores.append(measured.score)
            self.history.validation_losses.append(measured.loss)
            self._say(f"Validation score: {measured.score:f}")

    def _judge(self, loss: float, measured: ValidationResult | None) -> None:
        is_best = self.stopping.update(loss if measured is None else measured.score)
        if is_best and self.validation is not None:
            self.validation.best_weights.keep()

    def _go_on_after_plateau(self) -> bool:
        """Lower the learning rate where the schedule knows a lower one; return whether it does."""
        subject = "Training loss" if self.validation is None else "Validation score"
        plateau = (
            f"{subject} did not improve more than tol={self.stopping.tol:f}"
            f" for {self.stopping.patience:.0f} consecutive epochs."
        )
        lower = self.schedule.after_plateau(self.learning_rate)
        if lower is None:
            why = " Learning rate too small." if self.schedule.lowers_at_plateau else ""
            self._say(f"{plateau}{why} Stopping.")
            return False
        self.learning_rate = lower
        self.stopping.count = 0
        self._say(f"{plateau} Setting learning rate to {lower:f}")
        return True

    def _has_scored_weights(self) -> bool:
        return self.validation is not None and math.isfinite(self.stopping.best)

    def _say(self, line: str) -> None:
        if self.say is not None:
            self.say(line)
