"""The solvers 'sgd' and 'adam': epochs of mini-batches on the engine."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from itertools import count
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.engine.plan import TrainerState, TrainingData, TrainingPlan
from pellucid.models.default_engine import engine_of
from pellucid.models.inputs import normalized_weights
from pellucid.models.perceptron.checkpoint import MlpCheckpoints, go_on_drawing
from pellucid.models.perceptron.task import Task
from pellucid.models.perceptron.validation_set import ValidationSet
from pellucid.models.training_checkpoints import SavedTraining
from pellucid.nn import SCHEDULES, SGD, Adam, AdamW, ClipByGlobalNorm, Optimizer
from pellucid.training import (
    BestWeights,
    BlockEpochs,
    Callbacks,
    EpochLoop,
    FixedOrder,
    History,
    NoImprovement,
    Outcome,
    Schedule,
    ShuffledOrder,
    Validation,
    get_schedule,
    go_on_from,
    hold_out,
)


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
    callbacks : Callbacks, optional
    checkpoints : MlpCheckpoints, optional
        Where the state is kept, and the state to go on from.

    Attributes
    ----------
    loop : EpochLoop
        What `run` runs; who runs it otherwise sets `outcome`.
    outcome : Outcome or None
        How it ended; None before that, and after an error.
    """

    task: Task
    history: History
    best: float
    n_without_improvement: int
    state: SolverState | None = None
    callbacks: Callbacks | None = None
    checkpoints: MlpCheckpoints | None = None
    outcome: Outcome | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        task, options = self.task, self.task.options
        rows, held_out = self._split()
        plan = self._plan(self._n_train(rows))
        saved = self.checkpoints.checked(task, plan.optimizer) if self.checkpoints else None
        state = self._state_to_go_on_with(saved)
        order = self._make_trainer(rows, plan, state.trainer)
        validation = self._validation(held_out)
        self.loop = EpochLoop(
            trainer=self._trainer,
            next_order=order,
            schedule=_learning_rate(options),
            learning_rate=state.learning_rate,
            stopping=NoImprovement(
                tol=options["tol"],
                patience=options["n_iter_no_change"],
                sign=-1 if validation is None else 1,
                best=self._best(validation),
                count=self.n_without_improvement,
            ),
            history=self.history,
            validation=validation,
            callbacks=self.callbacks,
            say=print if options["verbose"] else None,
            checkpoints=self.checkpoints.keeper(task, order) if self.checkpoints else None,
        )
        if saved is not None:
            go_on_drawing(saved, task, order)
            go_on_from(self.loop, saved.run)

    def _n_train(self, rows: NDArray[np.int64] | None) -> int:
        if self.task.stream is not None:
            return int(self.task.stream.n_rows)
        return int(self.task.training.X.shape[0]) if rows is None else len(rows)

    def _make_trainer(
        self, rows: NDArray[np.int64] | None, plan: TrainingPlan, state: TrainerState | None
    ) -> Any:
        """Make the trainer, of the rows given or all, and return what orders its epochs."""
        task, training, make = self.task, self.task.training, engine_of(self.task.chain).trainer
        if task.stream is not None:
            epochs = replace(task.stream, batch_size=plan.batch_size)
            trainer = make(task.chain, task.parameters, epochs.start(), plan, state=state)
            self._trainer: Any = BlockEpochs(trainer, epochs.epoch)
            first = 0 if state is None else state.epoch
            return map(self._trainer.row_order, count(first)).__next__
        weights = normalized_weights(training.sample_weight, rows)
        data = TrainingData(training.X, training.targets, weights.values, weights.scale)
        self._trainer = make(task.chain, task.parameters, data, plan, state=state)
        n_train = self._n_train(rows)
        return _row_order(np.arange(n_train, dtype=np.int64) if rows is None else rows, task)

    def run(self, max_epochs: int) -> Outcome:
        """Train; see `EpochLoop.run`."""
        self.outcome = self.loop.run(max_epochs)
        return self.outcome

    def final_state(self) -> SolverState:
        """Return what a later `partial_fit` needs; moments that are not finite are not kept."""
        is_finite = self.outcome not in (None, Outcome.DIVERGED)
        return SolverState(
            self.task.options["solver"],
            self.loop.learning_rate,
            self._trainer.state if is_finite else None,
        )

    def _state_to_go_on_with(self, saved: SavedTraining | None) -> SolverState:
        options = self.task.options
        if saved is not None:
            return SolverState(options["solver"], saved.run.learning_rate, saved.run.trainer)
        if self.state is None or self.state.solver != options["solver"]:
            return SolverState(options["solver"], float(options["learning_rate_init"]))
        return self.state

    def _split(self) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]:
        """Return the rows to train on (None: all) and those held out, if any."""
        task, options = self.task, self.task.options
        if not options["early_stopping"] or task.validation is not None:
            return None, None
        return hold_out(
            task.training.X.shape[0],
            options["validation_fraction"],
            task.random_state,
            task.stratify,
        )

    def _plan(self, n_train: int) -> TrainingPlan:
        options = self.task.options
        clipping, schedule = options["clipping"], options["schedule"]
        return TrainingPlan(
            optimizer=make_optimizer(options),
            batch_size=batch_size_of(options["batch_size"], n_train),
            l2_penalty=float(options["alpha"]),
            seed=self.task.seed,
            n_threads=options["n_threads"],
            n_epochs=None if schedule is None else int(options["max_iter"]),
            epoch_rows=n_train,
            schedule=SCHEDULES[schedule] if isinstance(schedule, str) else schedule,
            clipping=ClipByGlobalNorm(float(clipping)) if isinstance(clipping, Real) else clipping,
            dtype="bfloat16" if options["dtype"] == "bfloat16" else None,
        )

    def _best(self, validation: Validation | None) -> float:
        """Return the best loss or score so far.

        Scores of other rows or by another measure do not compare, so that where the user gave one
        of these the weights to go on from are scored anew. Otherwise scikit-learn's rule holds.
        """
        task = self.task
        is_own = task.validation is not None or task.options["scoring"] is not None
        if validation is not None and is_own and np.isfinite(self.best):
            return validation.measure().score
        return self.best

    def _validation(self, held_out: NDArray[np.int64] | None) -> Validation | None:
        """Return what measures the rows that the user gave, or those held out."""
        task, rows = self.task, self.task.validation
        if held_out is not None:
            rows = task.training.part(held_out)
        if rows is None:
            return None
        if rows.sample_weight is not None:
            _check_sum(rows.sample_weight, held_out is not None)
        predictor = engine_of(task.chain).predictor(
            task.chain, task.parameters, rows.X.shape[1], task.options["n_threads"]
        )
        measure = ValidationSet(task.chain, predictor, rows, task.score(rows))
        return Validation(measure, BestWeights(task.parameters.flat))


LARGEST_AUTO_BATCH = 200

_NO_WEIGHT_VAL = "sample_weight_val must contain at least one number above zero"
_NO_WEIGHT_HELD_OUT = (
    "sample_weight is zero for all the rows held out by early_stopping=True; increase "
    "'validation_fraction'"
)


def _check_sum(weights: NDArray[np.float64], is_held_out: bool) -> None:
    """Raise ValueError where weights of validation rows make no mean of scores."""
    with np.errstate(over="ignore"):
        total = weights.sum()
    if total == 0.0:
        raise ValueError(_NO_WEIGHT_HELD_OUT if is_held_out else _NO_WEIGHT_VAL)
    if not np.isfinite(total):
        name = "sample_weight" if is_held_out else "sample_weight_val"
        raise ValueError(
            f"the sum of {name} over the rows to validate on is beyond float64, got weights up to "
            f"{weights.max():.3g}; divide all weights by the largest"
        )


def make_optimizer(options: Any) -> Optimizer:
    """Return the optimizer that the constructor parameters name, in scikit-learn's form."""
    rate, decay = float(options["learning_rate_init"]), float(options["weight_decay"])
    if options["solver"] == "sgd":
        return SGD(rate, float(options["momentum"]), bool(options["nesterovs_momentum"]))
    moments = float(options["beta_1"]), float(options["beta_2"]), float(options["epsilon"])
    if decay > 0.0:
        return AdamW(rate, *moments, decay)
    return Adam(rate, *moments, form="scikit-learn")


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


def _learning_rate(options: Any) -> Schedule:
    name = options["learning_rate"] if options["solver"] == "sgd" else "constant"
    return get_schedule(name, float(options["learning_rate_init"]), float(options["power_t"]))
