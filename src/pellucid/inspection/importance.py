"""Permutation importance: how much worse predictions get without the information of a column."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Rise(NamedTuple):
    """How much an error rose: mean and standard deviation over the repeats."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class ColumnImportance:
    """How much worse predictions are with one column permuted.

    Parameters
    ----------
    column : str
    rises : dict of str to Rise
        By the name of each error. About 0 if the model does not need the column.
    n_rows : int
        How many rows were predicted.
    """

    column: str
    rises: dict[str, Rise]
    n_rows: int


def permutation_importance(
    predict: Callable[[NDArray[Any]], NDArray[Any]],
    X: NDArray[Any],
    columns: Mapping[str, slice | Sequence[int]],
    errors: Mapping[str, Callable[[NDArray[Any]], float]],
    *,
    n_repeats: int = 5,
    random_state: int = 0,
) -> list[ColumnImportance]:
    """Measure how much errors rise when the values of one column are shuffled between the rows.

    All permuted copies of a column are predicted in one call (L. Breiman, 2001).

    Parameters
    ----------
    predict : callable
        `(inputs (m, n_inputs)) -> predictions (m, ...)`.
    X : ndarray of shape (n_rows, n_inputs)
        Inputs of rows that the model was not trained on.
    columns : mapping of str to slice or sequence of int
        Which inputs each column of the table makes; they are permuted together.
    errors : mapping of str to callable
        `(predictions (n_rows, ...)) -> float`, lower being better: minus a score is one.
    n_repeats : int, default=5
        Permutations of each column. They are the same for all columns.
    random_state : int, default=0

    Returns
    -------
    list of ColumnImportance
        Largest mean rise of the first error first.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.inspection import permutation_importance
    >>> X = np.random.default_rng(0).normal(size=(500, 2))
    >>> found = permutation_importance(
    ...     lambda inputs: 3 * inputs[:, 0],
    ...     X,
    ...     {"a": [0], "b": [1]},
    ...     {"MSE": lambda told: float(np.mean((told - 3 * X[:, 0]) ** 2))},
    ... )
    >>> [(each.column, round(each.rises["MSE"].mean)) for each in found]
    [('a', 18), ('b', 0)]
    """
    n_rows = len(X)
    rng = np.random.default_rng(random_state)
    rows = np.concatenate([rng.permutation(n_rows) for _ in range(n_repeats)])
    before = predict(X)
    base = {name: error(before) for name, error in errors.items()}
    copies = np.tile(X, (n_repeats, 1))
    found = []
    for column, inputs in columns.items():
        kept = copies[:, inputs].copy()
        copies[:, inputs] = X[:, inputs][rows]
        parts = np.split(predict(copies), n_repeats)
        rises = {}
        for name, error in errors.items():
            rise = np.array([error(part) for part in parts]) - base[name]
            rises[name] = Rise(float(rise.mean()), float(rise.std()))
        copies[:, inputs] = kept
        found.append(ColumnImportance(column, rises, n_rows))
    first = next(iter(errors))
    return sorted(found, key=lambda each: -each.rises[first].mean)
