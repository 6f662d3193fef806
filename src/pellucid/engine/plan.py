"""What an engine is given and what it gives back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

from pellucid.nn.optimizers import Optimizer, OptimizerState
from pellucid.nn.random import check_seed


@dataclass(frozen=True)
class TrainingPlan:
    """How to train. The same plan and seed give the same batches in every engine.

    Parameters
    ----------
    optimizer : Optimizer
        `SGD`, `Adam` or `AdamW`.
    batch_size : int
        Rows in a step; the last step of an epoch may have fewer.
    l2_penalty : float
        α ≥ 0: a step of r rows minimizes mean loss + α/(2·r·w)·Σ‖W‖², over weights and not biases,
        where w is `TrainingData.weight_scale`. This is scikit-learn's `alpha`.
    shuffle : bool
        Whether each epoch takes the rows in a new order.
    seed : int
        Of the row orders; at least 0 and below 2**64.
    n_threads : int, optional
        See `resolve_n_threads`.
    """

    optimizer: Optimizer
    batch_size: int
    l2_penalty: float = 0.0
    shuffle: bool = True
    seed: int = 0
    n_threads: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.batch_size, int | np.integer) or self.batch_size < 1:
            raise ValueError(f"batch_size must be a positive integer, got {self.batch_size!r}")
        if not (self.l2_penalty >= 0.0 and math.isfinite(self.l2_penalty)):
            raise ValueError(f"l2_penalty must be at least 0, got {self.l2_penalty!r}")
        check_seed(self.seed)


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
    """

    X: Any
    targets: np.ndarray[Any, Any]
    sample_weight: np.ndarray[Any, np.dtype[np.float64]] | None = None
    weight_scale: float = 1.0

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

    @property
    def n_examples(self) -> int:
        """Number of rows."""
        return int(self.X.shape[0])


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
