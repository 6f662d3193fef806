"""What a solver works on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.nn.chain import Chain
from pellucid.nn.parameters import Parameters


@dataclass(frozen=True)
class Rows:
    """Rows of a checked table, and what is known of them.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n, n_features)
        As the user gave it.
    y : ndarray
        Labels or numbers, one for each row.
    targets : ndarray
        The same as the loss takes them.
    sample_weight : ndarray of float64, or None
        Those of the user, times those of the classes; None where all are one.
    numbers : ndarray of int64, or None
        Which rows of `X` these are, read where they lie; None for all.
    """

    X: Any
    y: NDArray[Any]
    targets: NDArray[Any]
    sample_weight: NDArray[np.float64] | None
    numbers: NDArray[np.int64] | None = None

    def part(self, numbers: NDArray[np.int64]) -> Rows:
        """Return some of the rows; the table is not copied."""
        weight = None if self.sample_weight is None else self.sample_weight[numbers]
        return Rows(self.X, self.y[numbers], self.targets[numbers], weight, numbers)

    @property
    def table(self) -> Any:
        """These rows as a table of their own: a copy where they are some of `X`."""
        return self.X if self.numbers is None else self.X[self.numbers]


@dataclass(frozen=True)
class Task:
    """Rows to learn from, perhaps rows to validate on, and the network to train.

    Parameters
    ----------
    chain : Chain
        Layers and loss.
    parameters : Parameters
        Where training starts; it changes them in place.
    training : Rows
    validation : Rows or None
        What the user gave as `X_val`.
    random_state : numpy.random.RandomState
        For the split and the row orders.
    seed : int
        Of dropout.
    options : mapping
        The constructor parameters of the estimator.
    stratify : ndarray of bool of shape (n_rows,), or None
        Keep its share of True where rows are held out.
    score : callable
        What scores the weights of the moment on some rows; see `ValidationSet`.
    random_start : dict or None
        Where `random_state` stood after the first weights were drawn; for checkpoints.
    stream : StreamRows, optional
        The rows to learn from, where they are not in memory; `training` then has a few rows of
        their form.
    """

    chain: Chain
    parameters: Parameters
    training: Rows
    validation: Rows | None
    random_state: np.random.RandomState
    seed: int
    options: Mapping[str, Any]
    stratify: NDArray[np.bool_] | None
    score: Callable[[Rows], Callable[[NDArray[Any], float], float]]
    random_start: dict[str, Any] | None = None
    stream: Any = None
