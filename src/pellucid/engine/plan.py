"""What an engine is given and what it gives back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import scipy.sparse

from pellucid.engine.statistics import StepStatistics
from pellucid.nn.clipping import Clipping
from pellucid.nn.context import Context
from pellucid.nn.optimizers import Optimizer, OptimizerState
from pellucid.nn.random import Ints, check_seed
from pellucid.nn.schedules import Schedule

Precision = Literal["float32", "float64", "bfloat16"]

_KINDS = {
    "optimizer": ("update", "Adam(1e-3)"),
    "schedule": ("factor", "OneCycle()"),
    "weight_decay_schedule": ("factor", "OneCycle()"),
    "dropout_schedule": ("factor", "OneCycle()"),
    "clipping": ("apply", "ClipByGlobalNorm(1.0)"),
}
"""For each parameter that holds an object: a method it must have, and an example."""


class StepFactors(NamedTuple):
    """What the schedules of a plan multiply at one step."""

    learning_rate: float
    weight_decay: float
    dropout: float


@dataclass(frozen=True)
class TrainingPlan:
    """How to train. The same plan and seed give the same batches in every engine.

    Parameters
    ----------
    optimizer : Optimizer
        `SGD`, `Adagrad`, `RMSProp`, `Adam` or `AdamW`.
    batch_size : int
        Rows in a step; the last step of an epoch may have fewer.
    l2_penalty : float
        α ≥ 0: a step of r rows minimizes mean loss + α/(2·r·w)·Σ‖W‖², over weights and not biases,
        where w is `TrainingData.weight_scale`. This is scikit-learn's `alpha`.
    shuffle : bool
        Whether each epoch takes the rows in a new order.
    seed : int
        Of the row orders and of dropout; at least 0 and below 2**64.
    n_threads : int, optional
        See `resolve_n_threads`.
    n_epochs : int, optional
        The length of the whole training, which a schedule needs.
    epoch_rows : int, optional
        Rows of an epoch, where they come in several blocks (`run_blocks`); by default those of the
        trainer's data.
    schedule : Schedule, optional
        What the learning rate of each step is multiplied by.
    weight_decay_schedule : Schedule, optional
        What the weight decay λ of `AdamW` is multiplied by, beside the learning rate.
    dropout_schedule : Schedule, optional
        What the share p of every `Dropout` is multiplied by.
    clipping : Clipping, optional
        Applied to the gradient of the objective, penalty included.
    learning_rate_factors : mapping of str to float
        What the learning rate of some parameters is multiplied by, by name or by role; see
        `Layout.learning_rate_factors`. `{"bias": 0.1}` lets biases learn ten times more slowly.
    dtype : {"float32", "float64", "bfloat16"}, optional
        The precision to train in. The first two are that of the parameters, which it is by default.
        "bfloat16" trains float32 parameters and rounds the operands of the linear layers' products,
        and nothing else, to bfloat16: see `affine_bfloat16`.
    statistics_every : int, optional
        Every so many steps, counted over the whole training, the step is measured: see
        `StepStatistics` in `EpochResult.statistics`. None measures nothing and costs nothing.
    """

    optimizer: Optimizer
    batch_size: int
    l2_penalty: float = 0.0
    shuffle: bool = True
    seed: int = 0
    n_threads: int | None = None
    n_epochs: int | None = None
    epoch_rows: int | None = None
    schedule: Schedule | None = None
    weight_decay_schedule: Schedule | None = None
    dropout_schedule: Schedule | None = None
    clipping: Clipping | None = None
    learning_rate_factors: Mapping[str, float] = field(default_factory=dict, hash=False)
    dtype: Precision | None = None
    statistics_every: int | None = None

    def __post_init__(self) -> None:
        self._check_kinds()
        if not isinstance(self.batch_size, int | np.integer) or self.batch_size < 1:
            raise ValueError(f"batch_size must be a positive integer, got {self.batch_size!r}")
        if not (self.l2_penalty >= 0.0 and math.isfinite(self.l2_penalty)):
            raise ValueError(f"l2_penalty must be at least 0, got {self.l2_penalty!r}")
        check_seed(self.seed)
        if self.n_epochs is not None and self.n_epochs < 1:
            raise ValueError(f"n_epochs must be at least 1, got {self.n_epochs!r}")
        if self.dtype is not None and self.dtype not in get_args(Precision):
            names = ", ".join(get_args(Precision))
            raise ValueError(f"dtype must be one of {names}, or None; got {self.dtype!r}")
        if self.statistics_every is not None and self.statistics_every < 1:
            raise ValueError(
                f"statistics_every must be at least 1 or None, got {self.statistics_every!r}"
            )
        self._check_schedules()

    def check_precision(self, parameters: np.dtype[Any]) -> None:
        """Raise ValueError if parameters of that dtype cannot be trained in the plan's."""
        needed = "float32" if self.dtype == "bfloat16" else self.dtype
        if needed is not None and parameters != np.dtype(needed):
            raise ValueError(
                f"dtype={self.dtype!r} trains parameters of {needed}, got {parameters}; "
                f'initialize the network with dtype="{needed}"'
            )

    def n_steps(self, n_examples: int) -> int | None:
        """Return the number of steps of the whole training; None if `n_epochs` is not given."""
        if self.n_epochs is None:
            return None
        n_rows = n_examples if self.epoch_rows is None else self.epoch_rows
        return max(1, self.n_epochs * -(-n_rows // self.batch_size))

    def measures(self, step: int) -> bool:
        """Return whether the statistics of this step are asked for."""
        return self.statistics_every is not None and step % self.statistics_every == 0

    def factors_at(self, step: int, n_examples: int) -> StepFactors:
        """Return what the schedules say at a step, counted from 1 over the whole training."""
        n_steps = self.n_steps(n_examples)
        schedules = (self.schedule, self.weight_decay_schedule, self.dropout_schedule)
        return StepFactors(
            *(1.0 if s is None or n_steps is None else s.factor(step, n_steps) for s in schedules)
        )

    def context_at(self, epoch: int, step: int, n_examples: int) -> Context:
        """Return the context of a training step: epochs from 0, steps from 1 over all epochs."""
        factor = self.factors_at(step, n_examples).dropout
        return Context(
            training=True,
            seed=self.seed,
            epoch=epoch,
            step=step,
            dropout_factor=factor,
            bfloat16=self.dtype == "bfloat16",
        )

    def _check_kinds(self) -> None:
        for name, (method, example) in _KINDS.items():
            value = getattr(self, name)
            if value is None and name != "optimizer":
                continue
            if isinstance(value, type) or not callable(getattr(value, method, None)):
                raise TypeError(f"{name} must be an object such as nn.{example}, got {value!r}")
        penalty: Any = self.l2_penalty
        if not isinstance(penalty, Real):
            raise TypeError(f"l2_penalty must be a number of at least 0, got {penalty!r}")
        every: Any = self.statistics_every
        if every is not None and not isinstance(every, int | np.integer):
            raise TypeError(f"statistics_every must be an integer or None, got {every!r}")
        if not isinstance(self.learning_rate_factors, Mapping):
            raise TypeError(
                'learning_rate_factors must be a mapping such as {"bias": 0.1}, got '
                f"{self.learning_rate_factors!r}"
            )

    def _check_schedules(self) -> None:
        for name in ("schedule", "weight_decay_schedule", "dropout_schedule"):
            if getattr(self, name) is not None and self.n_epochs is None:
                raise ValueError(f"{name} needs n_epochs, the length of the training; got None")
        if self.weight_decay_schedule is not None and not hasattr(self.optimizer, "weight_decay"):
            raise ValueError(
                f"weight_decay_schedule needs an optimizer with weight decay, AdamW; got "
                f"{self.optimizer!r}"
            )


@dataclass(frozen=True)
class TrainingData:
    """The rows to learn from. Nothing is copied.

    Parameters
    ----------
    X : array of shape (n, fan_in), or scipy.sparse CSR of that shape
        Any numeric dtype, any strides.
    targets : array
        int64 labels of shape (n,), or numbers of shape (n, K).
    sample_weight : array of shape (n,), float64, optional
        With mean 1.
    weight_scale : float
        The mean of the weights before they were divided by it.
    rows : array of shape (m,), int64, optional
        The rows to learn from, such as those of a fold, in the order that an epoch without
        shuffling takes them; all n by default. They are read where they lie.
    """

    X: Any
    targets: np.ndarray[Any, Any]
    sample_weight: np.ndarray[Any, np.dtype[np.float64]] | None = None
    weight_scale: float = 1.0
    rows: Ints | None = None

    def __post_init__(self) -> None:
        storage = getattr(self.X, "format", "csr") if scipy.sparse.issparse(self.X) else "csr"
        if storage != "csr":
            raise TypeError(
                f"X must be an array or a CSR matrix, got a sparse matrix of format "
                f"{storage!r}; call X.tocsr() first"
            )
        if self.X.ndim != 2:
            raise ValueError(f"X must have shape (n, fan_in), got {self.X.shape}")
        n = self.X.shape[0]
        if self.targets.ndim not in (1, 2) or self.targets.shape[0] != n:
            raise ValueError(f"targets must have {n} rows like X, got shape {self.targets.shape}")
        if self.sample_weight is not None and self.sample_weight.shape != (n,):
            raise ValueError(
                f"sample_weight must have shape ({n},), got {self.sample_weight.shape}"
            )
        if not (self.weight_scale > 0.0 and math.isfinite(self.weight_scale)):
            raise ValueError(f"weight_scale must be above 0, got {self.weight_scale!r}")
        if self.rows is not None:
            _check_rows(self.rows, n)

    @property
    def n_examples(self) -> int:
        """Number of rows to learn from."""
        return int(self.X.shape[0] if self.rows is None else len(self.rows))

    def in_order(self, order: Ints) -> Ints:
        """Return which rows of X are the examples `order`, numbers below `n_examples`."""
        return order if self.rows is None else self.rows[order]

    def check_next(self, data: TrainingData) -> None:
        """Raise ValueError if `data` cannot be the block of an epoch that follows these rows."""
        pairs = [
            ("columns", self.X.shape[1], data.X.shape[1]),
            ("columns of targets", self.targets.shape[1:], data.targets.shape[1:]),
            ("weight_scale", self.weight_scale, data.weight_scale),
            ("storage", _storage(self.X), _storage(data.X)),
        ]
        for name, before, now in pairs:
            if before != now:
                raise ValueError(
                    f"the blocks of an epoch must agree in {name}: the first had {before!r}, the "
                    f"next has {now!r}"
                )

    def gathered(self) -> TrainingData:
        """Return the same examples as a table of their own: a copy where `rows` chooses some."""
        if self.rows is None:
            return self
        weight = None if self.sample_weight is None else self.sample_weight[self.rows]
        return replace(
            self,
            X=self.X[self.rows],
            targets=self.targets[self.rows],
            sample_weight=weight,
            rows=None,
        )


def _storage(X: Any) -> str:
    return "sparse" if scipy.sparse.issparse(X) else "dense"


def _check_rows(rows: Ints, n: int) -> None:
    if rows.ndim != 1 or rows.dtype != np.int64 or len(rows) == 0:
        raise ValueError(
            f"rows must be a vector of int64 row numbers, at least one, got shape {rows.shape} "
            f"and dtype {rows.dtype}"
        )
    if not 0 <= rows.min() <= rows.max() < n:
        raise ValueError(f"rows must name rows 0 to {n - 1} of X, got {rows.min()} to {rows.max()}")


@dataclass(frozen=True)
class TrainerState:
    """What a trainer needs, beside the parameters, to go on as if it had never stopped."""

    optimizer: OptimizerState
    step: int = 0
    """Optimizer steps done."""
    epoch: int = 0
    """Epochs done; the next epoch's row order is that of this number."""


@dataclass(frozen=True)
class EpochResult:
    """What one epoch did."""

    epoch: int
    """Counted from 0."""
    loss: float
    """Mean over the examples seen of the objective, penalty included, before each update."""
    n_examples: int
    n_steps: int
    seconds: float
    statistics: tuple[StepStatistics, ...] = ()
    """Of the steps that `TrainingPlan.statistics_every` asks for."""
