"""What a solver works on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.nn.network import Network
from pellucid.nn.parameters import Parameters


@dataclass(frozen=True)
class Task:
    """A checked table, its targets, and the network to train on them.

    Parameters
    ----------
    network : Network
        Layers and loss.
    parameters : Parameters
        Where training starts; it changes them in place.
    X : ndarray or CSR matrix of shape (n_rows, n_features)
        As the user gave it.
    targets : ndarray
        As the loss takes them, one row for each row of `X`.
    sample_weight : array-like of shape (n_rows,), or None
        As the user gave them.
    random_state : numpy.random.RandomState
        For the split and the row orders.
    options : mapping
        The constructor parameters of the estimator.
    stratify : ndarray of bool of shape (n_rows,), or None
        Keep its share of True where rows are held out.
    score : callable
        `(predictions, targets, sample_weight) -> float` on held-out rows, higher being better.
    """

    network: Network
    parameters: Parameters
    X: Any
    targets: NDArray[Any]
    sample_weight: Any
    random_state: np.random.RandomState
    options: Mapping[str, Any]
    stratify: NDArray[np.bool_] | None
    score: Callable[[NDArray[Any], NDArray[Any], NDArray[np.float64] | None], float]

    @property
    def n_rows(self) -> int:
        """Number of rows of the table."""
        return int(self.X.shape[0])
