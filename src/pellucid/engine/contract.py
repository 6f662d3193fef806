"""All that anything above an engine knows of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from pellucid.engine.plan import EpochResult, TrainerState, TrainingData, TrainingPlan
from pellucid.engine.sampling import Link, Spread
from pellucid.nn.chain import Chain
from pellucid.nn.parameters import Parameters
from pellucid.nn.random import Ints

Block = tuple[TrainingData, Ints]
"""Some rows of an epoch, and the order to take them in."""


@dataclass(frozen=True)
class ValidationRows:
    """Rows to measure the weights on during training.

    Parameters
    ----------
    X : array of shape (n, fan_in), or CSR matrix of that shape
    targets : array of shape (m,) or (m, K)
        As the loss takes them, for the rows measured.
    sample_weight : array of float64 of shape (m,), optional
        With mean 1.
    rows : array of int64 of shape (m,), optional
        Which rows of `X` to measure; by default all. They are read where they lie.
    """

    X: Any
    targets: np.ndarray[Any, Any]
    sample_weight: np.ndarray[Any, np.dtype[np.float64]] | None = None
    rows: Ints | None = None


class Measurement(NamedTuple):
    """How the weights of the moment do on some rows."""

    loss: float
    """Weighted mean of the loss, without the penalty; NaN where a score is not finite."""
    scores: np.ndarray[Any, Any]
    """The output of the last layer, (m, K)."""


def measured(chain: Chain, scores: np.ndarray[Any, Any], rows: ValidationRows) -> Measurement:
    """Return the measurement that belongs to these scores."""
    if not np.isfinite(scores).all():
        return Measurement(float("nan"), scores)
    # Scores become huge before they become infinite.
    with np.errstate(over="ignore", invalid="ignore"):
        loss = float(chain.loss_value(scores, rows.targets, rows.sample_weight))
    return Measurement(loss, scores)


class Trainer(Protocol):
    """Trains the parameters it was made with; the caller's buffer is current after `pull`."""

    chain: Chain
    plan: TrainingPlan
    n_threads: int | None
    """Of the next epoch; the results do not depend on it."""
    data: TrainingData
    """The rows to learn from; others of the same form may take their place between epochs."""
    epoch: int
    """Epochs done."""

    @property
    def step(self) -> int:
        """Optimizer steps done."""

    @property
    def state(self) -> TrainerState:
        """What another trainer needs to go on from here, beside the parameters."""

    def row_order(self, epoch: int | None = None) -> Ints:
        """Return the rows in the plan's order for an epoch, by default the next."""

    def run_epoch(
        self, order: Ints | None = None, learning_rate: float | None = None
    ) -> EpochResult:
        """Train on the rows in this order, by default that of the plan."""

    def run_epochs(
        self, orders: np.ndarray[Any, np.dtype[np.int64]], learning_rate: float | None = None
    ) -> Iterator[EpochResult]:
        """Train an epoch for each row of `orders` (k, n), which holds row numbers of X."""

    def run_blocks(
        self, blocks: Iterable[Block], learning_rate: float | None = None
    ) -> EpochResult:
        """Train one epoch whose rows come in blocks."""

    def pull(self) -> Parameters:
        """Bring the caller's parameters up to date and return them."""

    def measure(self, rows: ValidationRows) -> Measurement:
        """Return loss and scores of rows at the parameters reached."""

    def stop(self) -> None:
        """Make the epoch that another thread runs, or the next, end with `KeyboardInterrupt`."""


class Predictor(Protocol):
    """Scores rows; each call reads the parameters as they are at that moment."""

    def __call__(
        self, X: Any, rows: Ints | None = None, out: np.ndarray[Any, Any] | None = None
    ) -> np.ndarray[Any, Any]:
        """Return the scores (n, K) of the rows of X, before the link."""

    def sample(
        self,
        X: Any,
        n_samples: int,
        seed: int = 0,
        rows: Ints | None = None,
        link: Link | None = None,
    ) -> Spread:
        """Return how the scores of random sub-networks spread."""


class Objective(Protocol):
    """The loss over all rows, with its penalty, as a function of flat parameters."""

    def __call__(self, flat: np.ndarray[Any, Any]) -> tuple[float, Parameters]:
        """Return the objective at `flat` and its gradient."""


class MakeTrainer(Protocol):
    """How a trainer is made."""

    def __call__(
        self,
        chain: Chain,
        parameters: Parameters,
        data: TrainingData,
        plan: TrainingPlan,
        state: TrainerState | None = None,
    ) -> Trainer:
        """Return a trainer of `parameters`; with `state` it goes on from there."""


class MakePredictor(Protocol):
    """How a predictor is made."""

    def __call__(
        self, chain: Chain, parameters: Parameters, fan_in: int, n_threads: int | None = None
    ) -> Predictor:
        """Return a predictor for tables of `fan_in` columns."""


class MakeObjective(Protocol):
    """How an objective is made."""

    def __call__(
        self,
        chain: Chain,
        parameters: Parameters,
        data: TrainingData,
        l2_penalty: float = 0.0,
        n_threads: int | None = None,
    ) -> Objective:
        """Return the objective over all rows of `data`, for parameters of this layout."""


@dataclass(frozen=True)
class Engine:
    """What carries out a plan, computes a full gradient and predicts.

    Parameters
    ----------
    name : str
    trainer, predictor, objective : callable
        Make what their protocols describe.
    """

    name: str
    trainer: MakeTrainer
    predictor: MakePredictor
    objective: MakeObjective
