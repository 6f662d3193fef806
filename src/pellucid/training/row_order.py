"""In which order an epoch visits the rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class FixedOrder:
    """The same order in every epoch.

    Parameters
    ----------
    rows : ndarray of int64 of shape (n_rows,)
        Indices of the rows.
    """

    def __init__(self, rows: NDArray[np.int64]) -> None:
        self._rows = rows

    def __call__(self) -> NDArray[np.int64]:
        """Return the order of the next epoch."""
        return self._rows


class ShuffledOrder:
    """A new order in every epoch: the last one, shuffled.

    The same draws and the same orders as `sklearn.utils.shuffle` applied to the previous order
    with a `RandomState`, which is how scikit-learn's perceptrons choose their batches.

    Parameters
    ----------
    rows : ndarray of int64 of shape (n_rows,)
        Indices of the rows; overwritten.
    random_state : numpy.random.RandomState
        Where the draws come from.

    Attributes
    ----------
    rows : ndarray of int64 of shape (n_rows,)
        The last order, from which the next one is made.
    """

    def __init__(self, rows: NDArray[np.int64], random_state: np.random.RandomState) -> None:
        self.rows = rows
        self._random_state = random_state

    def __call__(self) -> NDArray[np.int64]:
        """Return the order of the next epoch; it stays valid until the next call."""
        # To shuffle the last order is to apply a shuffled 0 … n-1 to it: the swaps are the same.
        self._random_state.shuffle(self.rows)
        return self.rows
