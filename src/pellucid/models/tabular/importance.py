"""How much a tabular model needs each column."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from pellucid.inspection.importance import ColumnImportance, permutation_importance
from pellucid.models.reading import part_of
from pellucid.models.targets import Targets
from pellucid.nn import Chain
from pellucid.nn.parameters import Parameters
from pellucid.tables import TableEncoder

Errors: TypeAlias = dict[str, Callable[[NDArray[Any]], float]]

MOST_ROWS, FEWEST_ROWS = 2_000, 200
"""Rows that importance is measured on."""
_MOST_PRODUCTS = 3e10
"""Multiplications, beyond the fewest rows: about a second."""
_MOST_PRODUCTS_OF_ALL = 2e11
"""Multiplications that a repetition more or less is worth: some seconds."""


class MeasuresImportance:
    """Gives a tabular estimator `column_importance`."""

    encoder_: TableEncoder
    chain_: Chain
    parameters_: Parameters
    _known_targets: Callable[[], Targets]
    _table: Callable[[Any], Any]
    _predictions_from: Callable[[Any], NDArray[Any]]

    @abstractmethod
    def _checked_y(self, y: Any, name: str) -> NDArray[Any]:
        """Return y, of the form that the user may give it, in one form."""

    @abstractmethod
    def _check_validation(self, y: NDArray[Any], targets: Targets) -> None:
        """Raise ValueError where targets that were not trained on do not fit."""

    @abstractmethod
    def _errors_on(self, y: NDArray[Any]) -> Errors:
        """Return errors of the outputs of the network after the link, that of the loss first."""

    def column_importance(
        self,
        X: Any,
        y: Any,
        *,
        n_repeats: int = 5,
        max_rows: int = MOST_ROWS,
        random_state: int = 0,
    ) -> list[ColumnImportance]:
        """Measure how much worse predictions get when a column is shuffled between the rows.

        Columns that tell the same share their importance: each is easy to do without as long as the
        others are there. A small importance of one of them does not say that all can be left out.

        Parameters
        ----------
        X : table like that of `predict`
            Rows that the model was not trained on.
        y : array-like of shape (n_rows,) or (n_rows, n_outputs)
            Their targets.
        n_repeats : int, default=5
            Permutations of each column.
        max_rows : int, default=2000
            Of more rows, so many are drawn. Of tables with very many columns it is fewer rows, but
            at least 200; with several thousand columns it takes minutes.
        random_state : int, default=0

        Returns
        -------
        list of ColumnImportance
            For each column that is used, the most important one first: by how much the model's own
            loss rises, and accuracy or R² falls; their means and standard deviations over the
            repeats. Of several targets it is the mean R² only, as their units differ.

        Raises
        ------
        ValueError
            An input is wrong.
        """
        check_is_fitted(self)
        for name, value in (("n_repeats", n_repeats), ("max_rows", max_rows)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        y = self._checked_y(y, "y")
        check_consistent_length(X, y)
        self._check_validation(y, self._known_targets())
        columns = self.encoder_._inputs_of_columns()
        n_rows = self._affordable_rows(min(len(y), max_rows), n_repeats)
        if n_rows < len(y):
            rng = np.random.default_rng(random_state)
            rows = np.sort(rng.choice(len(y), n_rows, replace=False))
            X, y = part_of(X, rows), y[rows]
        return permutation_importance(
            *(self._predictions_from, self._table(X), columns, self._errors_on(y)),
            n_repeats=n_repeats,
            random_state=random_state,
        )

    def _products(self, n_repeats: int) -> int:
        """Return how many multiplications each row takes."""
        n_columns = len(self.encoder_._inputs_of_columns())
        return n_repeats * n_columns * int(self.parameters_.flat.size)

    def _affordable_rows(self, n_rows: int, n_repeats: int) -> int:
        """Return how many of so many rows are worth their time."""
        fitting = int(_MOST_PRODUCTS / self._products(n_repeats))
        return min(n_rows, max(FEWEST_ROWS, fitting))

    def _affordable_repeats(self, n_rows: int, most: int) -> int:
        """Return how many repetitions take seconds; 0 if not even one does."""
        for n_repeats in range(most, 0, -1):
            rows = self._affordable_rows(min(n_rows, MOST_ROWS), n_repeats)
            if rows * self._products(n_repeats) <= _MOST_PRODUCTS_OF_ALL:
                return n_repeats
        return 0
