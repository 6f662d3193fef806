"""Statistics of weighted rows.

`weights` is None if every row counts once. Otherwise it has shape (n,) and no zeros, and integer
weights give the same result as repeating the rows.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.tables.table import Table

FloatVector = npt.NDArray[np.float64]
Weights = FloatVector | None

#: Maximum number of repetitions of a row; larger weights are treated as relative.
MOST_REPETITIONS = 2**31


def checked_weights(sample_weight: Any, table: Table) -> Weights:
    """Return the weights as float64, shape (n_rows,), or None if all are 1.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, if all are zero, or if their number is wrong.
    """
    if sample_weight is None:
        return None
    from sklearn.utils.validation import _check_sample_weight  # Slow, and reading needs none of it.

    first = table.columns[0].values
    weights: FloatVector = _check_sample_weight(
        sample_weight, first, dtype=np.float64, ensure_non_negative=True
    )
    if not weights.any():
        raise ValueError("sample_weight must contain at least one non-zero number, got only zeros.")
    return None if bool(np.all(weights == 1.0)) else weights


def rows_that_count(weights: Weights) -> npt.NDArray[np.intp] | None:
    """Return the indices of the rows with nonzero weight, or None if all weights are nonzero."""
    if weights is None or weights.all():
        return None
    return np.flatnonzero(weights)


def as_repetitions(weights: Weights) -> Weights:
    """Return the number of rows that each row counts for.

    Integer weights are returned unchanged. Other weights are scaled to mean 1, so only their ratios
    matter and row counts (for instance of a rare category) have the same scale as without weights.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.tables.row_weights import as_repetitions
    >>> as_repetitions(np.array([1.0, 3.0])), as_repetitions(np.array([0.1, 0.3]))
    (array([1., 3.]), array([0.5, 1.5]))
    """
    if weights is None:
        return None
    if np.all(weights == np.floor(weights)) and weights.max() <= MOST_REPETITIONS:
        return weights
    relative = weights / weights.max()
    repetitions: FloatVector = relative / relative.mean()
    return repetitions


def n_rows(weights: Weights, n: int) -> int:
    """Return the number of rows that `n` weighted rows count for."""
    return n if weights is None else round(float(weights.sum()))


def of(weights: Weights, rows: npt.NDArray[Any]) -> Weights:
    """Return the weights of some rows, given by an index or mask."""
    return None if weights is None else weights[rows]


def counts_of(values: npt.NDArray[np.object_], weights: Weights) -> tuple[dict[str, float], float]:
    """Return the number of rows with each text, and the number of missing ones (None)."""
    counts: dict[Any, float] = {}
    if weights is None:
        counts.update(Counter(values.tolist()))
    else:
        for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
            counts[value] = counts.get(value, 0.0) + weight
    n_missing = counts.pop(None, 0)
    return counts, n_missing


def mean(values: npt.NDArray[np.float64], weights: Weights) -> Any:
    """Return the mean of each column: a scalar or shape (n_columns,)."""
    return values.mean(axis=0) if weights is None else np.average(values, axis=0, weights=weights)


def deviation(values: npt.NDArray[np.float64], weights: Weights) -> Any:
    """Return the standard deviation of each column: a scalar or shape (n_columns,)."""
    if weights is None:
        return values.std(axis=0)
    centred = values - mean(values, weights)
    return np.sqrt(mean(centred * centred, weights))


def quantiles(values: FloatVector, levels: Any, weights: Weights) -> FloatVector:
    """Return the quantiles at `levels`, with the linear interpolation of `np.quantile`."""
    if weights is None:
        return np.asarray(np.quantile(values, levels))
    order = np.argsort(values, kind="stable")
    ends = np.cumsum(weights[order])
    position = np.asarray(levels) * max(ends[-1] - 1.0, 0.0)
    below = np.floor(position)
    low, high = (
        values[order[np.minimum(np.searchsorted(ends, at, side="right"), len(order) - 1)]]
        for at in (below, below + 1.0)
    )
    part = position - below
    gap = high - low
    return np.asarray(np.where(part < 0.5, low + gap * part, high - gap * (1.0 - part)))


def sample(values: FloatVector, weights: Weights, most: int) -> tuple[FloatVector, Weights]:
    """Return the values, or a random sample of size `most` if they count for more rows."""
    n = n_rows(weights, len(values))
    if max(n, len(values)) <= most:
        return values, weights
    drawn = np.random.default_rng(0).integers(n, size=most)
    if weights is not None:
        ends = np.cumsum(weights)
        drawn = np.minimum(np.searchsorted(ends, drawn, side="right"), len(values) - 1)
    return values[drawn], None
