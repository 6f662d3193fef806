"""The solvers 'sgd' and 'adam': epochs of mini-batches on the engine."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.engine.plan import TrainerState, TrainingData, TrainingPlan
from pellucid.models.default_engine import EnginePredictor, EngineTrainer
from pellucid.models.inputs import Weights, checked_weights
from pellucid.models.task import Task
from pellucid.nn.optimizers import SGD, Adam, Optimizer
from pellucid.training import (
    BestWeights,
    EpochLoop,
    EpochReport,
    FixedOrder,
    HeldOut,
    History,
    NoImprovement,
    Outcome,
    Schedule,
    ShuffledOrder,
    Validation,
    get_schedule,
    hold_out,
)

LARGEST_AUTO_BATCH = 200


@dataclass(frozen=True)
class SolverState:
    """What `partial_fit` needs to go on where the last call stopped.

    Parameters
    ----------
    solver : {'sgd', 'adam'}
        Whose state it is; the other one starts afresh.
    learning_rate : float
        Of the next epoch.
    trainer : TrainerState or None
        Moments and step count; None before the first step.
    """

    solver: str
    learning_rate: float
    trainer: TrainerState | None = None


@dataclass
class StochasticRun:
    """One call of `fit` or `partial_fit` with solver 'sgd' or 'adam'.

    Parameters
    ----------
    task : Task
        What to train on.
    history : History
        Of all calls so far; grows.
    best : float
        Best loss, or best validation score, of all calls so far; NaN if there was none.
    n_without_improvement : int
        Epochs in a row, of all calls so far.
    state : SolverState, optional
        Where the last call stopped, for `partial_fit`.
    on_epoch : callable, optional
        `(EpochReport) -> None`.
    """

    task: Task
    history: History
    best: float
    n_without_improvement: int
    state: SolverState | None = None
    on_epoch: Callable[[EpochReport], None] | None = None

    def __post_init__(self) -> None:
        task, options = self.task, self.task.options
        train_rows, held_out = self._split()
        weights = checked_weights(task.sample_weight, task.X, train_rows)
        n_train = task.n_rows if train_rows is None else len(train_rows)
        state = self._state_to_go_on_with()
        data = TrainingData(task.X, task.targets, weights.values, weights.scale)
        plan = TrainingPlan(
            optimizer=make_optimizer(options),
            batch_size=batch_size_of(options["batch_size"], n_train),
            l2_penalty=float(options["alpha"]),
        )
        self._trainer = EngineTrainer(
            task.network, task.parameters, data, plan, state=state.trainer
        )
        if train_rows is None:
            train_rows = np.arange(n_train, dtype=np.int64)
        self.loop = EpochLoop(
            trainer=self._trainer,
            next_order=_row_order(train_rows, task),
            schedule=_schedule(options),
            learning_rate=state.learning_rate,
            stopping=NoImprovement(
                tol=options["tol"],
                patience=options["n_iter_no_change"],
                sign=-1 if held_out is None else 1,
                best=self.best,
                count=self.n_without_improvement,
            ),
            history=self.history,
            validation=None if held_out is None else _validation(task, held_out, weights),
            on_epoch=self.on_epoch,
            say=print if options["verbose"] else None,
        )

    def run(self, max_epochs: int) -> Outcome:
        """Train; see `EpochLoop.run`."""
        self._outcome = Outcome.DIVERGED
        self._outcome = self.loop.run(max_epochs)
        return self._outcome

    def final_state(self) -> SolverState:
        """Return what a later `partial_fit` needs; moments that are not finite are not kept."""
        diverged = self._outcome is Outcome.DIVERGED
        return SolverState(
            self.task.options["solver"],
            self.loop.learning_rate,
            None if diverged else self._trainer.state,
        )

    def _state_to_go_on_with(self) -> SolverState:
        options = self.task.options
        if self.state is None or self.state.solver != options["solver"]:
            return SolverState(options["solver"], float(options["learning_rate_init"]))
        return self.state

    def _split(self) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]:
        task, options = self.task, self.task.options
        if not options["early_stopping"]:
            return None, None
        return hold_out(
            task.n_rows, options["validation_fraction"], task.random_state, task.stratify
        )


def make_optimizer(options: Any) -> Optimizer:
    """Return the optimizer that the constructor parameters name, in scikit-learn's form."""
    rate = float(options["learning_rate_init"])
    if options["solver"] == "sgd":
        return SGD(rate, float(options["momentum"]), bool(options["nesterovs_momentum"]))
    return Adam(
        rate,
        float(options["beta_1"]),
        float(options["beta_2"]),
        float(options["epsilon"]),
        form="scikit-learn",
    )


def batch_size_of(batch_size: Any, n_train: int) -> int:
    """Return the rows of a step: at most the rows there are; 'auto' means at most 200."""
    if batch_size == "auto":
        return min(LARGEST_AUTO_BATCH, n_train)
    if batch_size > n_train:
        warnings.warn(
            f"Got `batch_size` {batch_size}, larger than the {n_train} rows trained on. It is "
            "going to be clipped; pass a smaller one, or 'auto'.",
            stacklevel=8,
        )
    return int(min(batch_size, n_train))


def _row_order(rows: NDArray[np.int64], task: Task) -> ShuffledOrder | FixedOrder:
    if task.options["shuffle"]:
        return ShuffledOrder(rows, task.random_state)
    return FixedOrder(rows)


def _schedule(options: Any) -> Schedule:
    name = options["learning_rate"] if options["solver"] == "sgd" else "constant"
    return get_schedule(name, float(options["learning_rate_init"]), float(options["power_t"]))


def _validation(task: Task, rows: NDArray[np.int64], weights: Weights) -> Validation:
    targets, sample_weight = task.targets[rows], weights.of_rows(rows)
    if sample_weight is not None and not sample_weight.any():
        raise ValueError(
            "sample_weight is zero for all the rows held out by early_stopping=True; increase "
            "'validation_fraction'"
        )

    scores_of = EnginePredictor(task.network, task.parameters, task.X.shape[1])

    def predict(rows: NDArray[np.int64]) -> NDArray[Any]:
        predictions: NDArray[Any] = task.network.loss.link(scores_of(task.X, rows))
        return predictions

    held_out = HeldOut(
        rows, predict, lambda predictions: task.score(predictions, targets, sample_weight)
    )
    return Validation(held_out, BestWeights(task.parameters.flat))
