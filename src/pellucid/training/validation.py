"""Rows held out of training, and their score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

SMALLEST_VALIDATION_SET = 2
CHUNK_BYTES = 4 * 2**20


def hold_out(
    n_rows: int,
    fraction: float,
    random_state: np.random.RandomState,
    stratify: NDArray[Any] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the row numbers to train on and those held out.

    The draw is that of scikit-learn's `train_test_split` on the table itself; only the row numbers
    are split, so the table is not copied.

    Parameters
    ----------
    n_rows : int
        Rows of the table.
    fraction : float
        Share of the rows to hold out.
    random_state : numpy.random.RandomState
        Where the draw comes from.
    stratify : ndarray of shape (n_rows,), optional
        Keep the shares of its values equal in both parts.

    Raises
    ------
    ValueError
        Fewer than two rows would be held out, or a stratum is too small to be in both parts.
    """
    train, held_out = train_test_split(
        np.arange(n_rows), test_size=fraction, random_state=random_state, stratify=stratify
    )
    if len(held_out) < SMALLEST_VALIDATION_SET:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            f"dataset: validation_fraction={fraction} of {n_rows} rows holds out {len(held_out)}, "
            f"and at least {SMALLEST_VALIDATION_SET} are needed."
        )
    return train, held_out


@dataclass(frozen=True)
class HeldOut:
    """Held-out rows and the score of a model on them.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_rows, n_features)
        The whole table; its held-out rows are read a few at a time.
    rows : ndarray of int64 of shape (n_held_out,)
        Which rows are held out.
    predict : callable
        `(X of some rows) -> predictions`, an array with one row for each.
    score : callable
        `(predictions of all the held-out rows) -> float`, higher being better.
    """

    X: Any
    rows: NDArray[np.int64]
    predict: Callable[[Any], NDArray[Any]]
    score: Callable[[NDArray[Any]], float]

    def __call__(self) -> float:
        """Return the score of the model as it is now; NaN where its predictions are not finite."""
        predictions = np.concatenate([self.predict(self.X[rows]) for rows in self._chunks()])
        if not np.isfinite(predictions).all():
            return float("nan")
        return float(self.score(predictions))

    def _chunks(self) -> list[NDArray[np.int64]]:
        n_chunk = max(1, CHUNK_BYTES // (self.X.dtype.itemsize * self.X.shape[1]))
        return [self.rows[i : i + n_chunk] for i in range(0, len(self.rows), n_chunk)]
