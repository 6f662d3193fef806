"""The checked parameters of a `Network`, and the plan that follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, get_args

import numpy as np

from pellucid.engine.contract import ValidationRows
from pellucid.engine.plan import Precision, TrainingData, TrainingPlan
from pellucid.models.inputs import normalized_weights, renaming
from pellucid.models.prepared_fit import Learned
from pellucid.models.reading import Reading, Rows
from pellucid.models.schedules import get_schedules
from pellucid.models.streams import StreamRows
from pellucid.models.targets import Targets
from pellucid.nn import Adam, Chain, ClipByGlobalNorm, Clipping, Optimizer
from pellucid.nn.random import check_seed
from pellucid.training import (
    CounterOrder,
    FixedOrder,
    MiniBatches,
    RowOrder,
    RowSource,
    TableRows,
    get_epoch_rate,
)


@dataclass(frozen=True, kw_only=True)
class NetworkRecipe:
    """What a `Network` is made of and how it is trained, without the data.

    Parameters
    ----------
    chain : Chain
    precision : {"float32", "float64", "bfloat16"}
    seed : int
        Of fresh parameters, row orders and dropout.
    optimizer, max_iter, …
        The constructor parameters of `Network`.
    """

    chain: Chain
    precision: Precision
    seed: int
    optimizer: Optimizer | None
    learning_rate_init: float
    max_iter: int
    batch_size: int
    schedule: Any
    clipping: Clipping | float | None
    scoring: Any
    alpha: float
    learning_rate_factors: Mapping[str, float]
    tol: float
    n_iter_no_change: float | None
    shuffle: bool
    n_threads: int | None
    statistics_every: int | None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the parameters."""
        return dtype_of(self.precision)

    solver = "adam"
    """What `FitData.check` is told: epochs of mini-batches, whatever the optimizer."""

    def check(self, *, partial: bool, validates: bool, keeps_checkpoints: bool) -> None:
        """Raise ValueError where `scoring` has no rows to score."""
        if self.scoring is not None and not validates:
            raise ValueError(
                f"scoring={self.scoring!r} needs rows to score: pass X_val and y_val, or rows_val, "
                "to fit"
            )

    def chain_for(self, targets: Targets) -> Chain:
        """Return the layers and the loss, which the user has described."""
        return self.chain

    def rows(self, reading: Reading, learned: Learned, draws: Any) -> tuple[Rows, int]:
        """Return the rows as the engine takes them, and the seed of dropout."""
        targets, training, given = learned.targets, reading.training, reading.validation
        validation = None
        if given is not None:
            encoded = targets.encode(given.y, self.dtype, "y_val")
            validation = ValidationRows(given.X, encoded, given.sample_weight)
        if reading.stream is not None:
            source = StreamRows(
                reading.stream,
                lambda y: targets.encode(y, self.dtype, "the target"),
                batch_size=self.batch_size,
                shuffle=self.shuffle,
                seed=self.seed,
                class_factors=reading.class_factors,
            )
            return Rows(source, validation, given), self.seed
        encoded, weight = targets.encode(training.y, self.dtype), training.sample_weight
        if reading.rows_val is not None:
            given, held_out = training, reading.rows_val
            part = None if weight is None else weight[held_out]
            validation = ValidationRows(training.X, encoded[held_out], part, held_out)
        weights = normalized_weights(weight, reading.rows)
        data = TrainingData(training.X, encoded, weights.values, weights.scale, reading.rows)
        order: RowOrder = CounterOrder(data, self.seed)
        if not self.shuffle:
            order = FixedOrder(data.in_order(np.arange(data.n_examples, dtype=np.int64)))
        return Rows(TableRows(data, order), validation, given), self.seed

    @property
    def free_settings(self) -> frozenset[str]:
        """Parameters that decide only when training ends, or what is recorded of it."""
        free = {"n_iter_no_change", "record", "statistics_every", "tol"}
        return frozenset(free if self.schedule is not None else {"max_iter", *free})

    def solver_for(self, source: RowSource, seed: int, max_epochs: int) -> MiniBatches:
        """Return how to train on these rows, for so many epochs at the most."""
        schedules = get_schedules(self.schedule)
        optimizer = Adam(self.learning_rate_init) if self.optimizer is None else self.optimizer
        if schedules.weight_decay is not None and not hasattr(optimizer, "weight_decay"):
            raise ValueError(
                'schedule["weight_decay"] needs an optimizer with weight decay, such as '
                f"nn.AdamW(1e-3); got optimizer={self.optimizer!r}"
            )
        clipping: Any = self.clipping
        if isinstance(clipping, Real):
            clipping = ClipByGlobalNorm(float(clipping))
        plan = TrainingPlan(
            optimizer=optimizer,
            batch_size=int(self.batch_size),
            l2_penalty=self.alpha,
            shuffle=self.shuffle,
            seed=seed,
            n_threads=self.n_threads,
            n_epochs=max_epochs if self.schedule is None else int(self.max_iter),
            epoch_rows=source.n_rows,
            schedule=schedules.learning_rate,
            weight_decay_schedule=schedules.weight_decay,
            dropout_schedule=schedules.dropout,
            clipping=clipping,
            learning_rate_factors=self.learning_rate_factors,
            dtype=self.precision,
            statistics_every=self.statistics_every,
        )
        patience = np.inf if self.n_iter_no_change is None else float(self.n_iter_no_change)
        rate = get_epoch_rate("constant", optimizer.learning_rate)
        return MiniBatches(plan, rate, max_epochs, float(self.tol), patience)


def precision_of(dtype: Any) -> Precision:
    """Return the precision that the parameter `dtype` names.

    Raises
    ------
    ValueError
        It names none.
    """
    is_numpy = isinstance(dtype, np.dtype) or (
        isinstance(dtype, type) and issubclass(dtype, np.floating)
    )
    precision: Any = np.dtype(dtype).name if is_numpy else dtype
    if precision not in get_args(Precision):
        names = ", ".join(get_args(Precision))
        raise ValueError(f"dtype must be one of {names}, got {dtype!r}")
    found: Precision = precision
    return found


def dtype_of(precision: Precision) -> np.dtype[Any]:
    """Return the dtype of the parameters: float32 for "bfloat16"."""
    return np.dtype("float32" if precision == "bfloat16" else precision)


def seed_of(random_state: Any) -> int:
    """Return the seed that a random_state stands for: an integer is its own.

    Raises
    ------
    ValueError, TypeError
        It is no integer from 0 to 2**64 - 1, no generator and not None.
    """
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if random_state is None:
        return int(np.random.SeedSequence().entropy % 2**63)  # type: ignore[operator]
    with renaming(seed="random_state"):
        return check_seed(random_state)
