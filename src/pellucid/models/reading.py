"""What the arguments of `fit` hold, once they are checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing

from pellucid.engine.contract import ValidationRows
from pellucid.models.streams import OpenStream
from pellucid.models.targets import Targets
from pellucid.tables import Table
from pellucid.training import RowSource


def part_of(given: Any, rows: NDArray[np.int64]) -> Any:
    """Return a copy of some rows of a table of any kind."""
    if isinstance(given, Table):
        return given.take(rows)
    if not (hasattr(given, "shape") or isinstance(given, Sequence)):
        given = np.asarray(given)
    return _safe_indexing(given, rows)


@dataclass(frozen=True)
class ReadRows:
    """Rows as the network takes them, and as they were given.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n, n_inputs)
    y : ndarray
        Labels or numbers, checked.
    sample_weight : ndarray of float64 of shape (n,), or None
        Times the weights of the classes.
    given : table
        What a scorer of scikit-learn gets.
    """

    X: Any
    y: Any
    sample_weight: NDArray[np.float64] | None
    given: Any

    def part(self, rows: NDArray[np.int64]) -> ReadRows:
        """Return a copy of some of the rows."""
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        given = part_of(self.given, rows)
        X = given if self.given is self.X else self.X[rows]
        return ReadRows(X, self.y[rows], weight, given)


@dataclass(frozen=True)
class Reading:
    """What the arguments of `fit` hold.

    Parameters
    ----------
    training : ReadRows
        Of a stream, a few rows of its form.
    targets : Targets
        What y means.
    validation : ReadRows or None
        What the user gave as `X_val`.
    stream : OpenStream or None
    class_factors : ndarray of float64 of shape (n_labels,), or None
        What the weights of the rows of a stream are multiplied by, by label.
    holds_out : bool
        Whether to draw rows to validate on from those of `training`.
    rows : ndarray of int64, or None
        Train on these rows only.
    rows_val : ndarray of int64, or None
        Validate on these rows.
    attributes : mapping
        What the estimator gets beside the network: an encoder.
    """

    training: ReadRows
    targets: Targets
    validation: ReadRows | None = None
    stream: OpenStream | None = None
    class_factors: NDArray[np.float64] | None = None
    holds_out: bool = False
    rows: NDArray[np.int64] | None = None
    rows_val: NDArray[np.int64] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rows:
    """The rows of one training.

    Parameters
    ----------
    source : RowSource
        Those to learn from.
    validation : ValidationRows or None
        Those to validate on.
    given : ReadRows or None
        The table that has the rows to validate on, as a scorer takes it.
    """

    source: RowSource
    validation: ValidationRows | None = None
    given: ReadRows | None = None

    def given_validation(self) -> ReadRows:
        """Return the rows to validate on as a table of their own."""
        assert self.given is not None
        assert self.validation is not None
        numbers = self.validation.rows
        return self.given if numbers is None else self.given.part(numbers)
