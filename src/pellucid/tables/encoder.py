"""Encode DataFrames as network inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from pellucid.tables.categorical import CategoricalEncoding
from pellucid.tables.columns import as_table
from pellucid.tables.compact_dates import as_dates
from pellucid.tables.conversion import (
    as_known_truth,
    as_numbers,
    as_seconds,
    as_text,
    as_text_of_numbers,
    as_truth,
)
from pellucid.tables.drift import (
    Cells,
    ColumnDrift,
    DriftReport,
    Encoding,
    check_is_readable,
    count_cells,
    drift_of,
    fits_storage,
    warn_of_drift,
)
from pellucid.tables.fitted_columns import FittedColumns
from pellucid.tables.matching import learn_columns, match_columns
from pellucid.tables.numeric import DatetimeEncoding, NumericEncoding, n_pieces_of
from pellucid.tables.recognition import (
    KINDS,
    Kind,
    RecognizedColumn,
    RecognizedTable,
    recognize_table,
)
from pellucid.tables.row_weights import (
    Weights,
    as_repetitions,
    checked_weights,
    of,
    rows_that_count,
)
from pellucid.tables.table import Column, Table, TableError, missing_column_error

#: Maximum numbers of columns and of cells that the pieces of all numeric columns take together.
MOST_PIECES, MOST_CELLS_OF_PIECES = 512, 2**28


class TableEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Encode a raw table as the inputs of a network.

    The kind of each column is recognized from its values:

    - Numbers are standardized to mean 0 and standard deviation 1. Missing numbers become 0, and an
      additional 0/1 column marks them.
    - Categories get one 0/1 column each. Rare and unseen categories share a column, and missing
      values have their own.
    - Dates become standardized seconds and the sine and cosine of their cycles.
    - Columns without useful information (constants, ids, row counters, free text, only missing
      values) are left out; ``recognized_`` tells the reason.

    Parameters
    ----------
    columns : dict of str to str, optional
        Kinds of columns whose recognition you want to override, by name:
        ``{"zip": "categorical", "comment": "left out"}``.
        Kinds: numeric, boolean, categorical, datetime, left out.
    min_count : int, default=5
        Minimum number of rows of a category; others are rare. Tables of fewer than 200 rows use
        1 + rows // 50.
    max_categories : int, default=256
        Maximum number of categories of a column; the most frequent ones are kept.
    n_pieces : int, default=16
        If positive, divide the range of each number into up to twice as many pieces and encode the
        position of the value in each piece, in addition to the standardized value. Networks learn
        jumps and plateaus from these. Wide and long tables get fewer pieces, so that all pieces
        together take at most 512 columns and 1 GiB.
    dtype : {'float32', 'float64'}, default='float32'
        Type of the encoded table.

    Attributes
    ----------
    recognized_ : list of RecognizedColumn
        Name, kind and reason of every input column.
    encodings_ : dict of str to encoding
        Fitted encoding of each column that is not left out.
    conventions_ : Conventions
        How numbers and dates are written in the text columns. `transform` reads text in the same
        way.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Defined only if the table had column names.

    Examples
    --------
    >>> import pandas as pd
    >>> from pellucid.tables import TableEncoder
    >>> table = pd.DataFrame({"age": [20.0, None, 40.0], "city": ["Rome", "Oslo", "Rome"]})
    >>> encoder = TableEncoder(n_pieces=0).fit(table)
    >>> [str(name) for name in encoder.get_feature_names_out()]
    ['age', 'age_missing', 'city_Oslo', 'city_Rome']
    >>> encoder.transform(table)
    array([[-1.,  0.,  0.,  1.],
           [ 0.,  1.,  1.,  0.],
           [ 1.,  0.,  0.,  1.]], dtype=float32)
    >>> encoder.recognized_[1]
    RecognizedColumn(name='city', kind='categorical', reason='2 categories')
    """

    _cells: Mapping[str, Cells] = MappingProxyType({})
    """What the cells of each column were in training."""

    def __init__(
        self,
        columns: Mapping[str, str] | None = None,
        *,
        min_count: int = 5,
        max_categories: int = 256,
        n_pieces: int = 16,
        dtype: str = "float32",
    ) -> None:
        self.columns = columns
        self.min_count = min_count
        self.max_categories = max_categories
        self.n_pieces = n_pieces
        self.dtype = dtype

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Recognize the columns of X and learn how to encode them.

        Parameters
        ----------
        X : DataFrame of a library supported by narwhals, Table, or array-like (n_rows, n_columns)
        y : array-like of shape (n_rows,) or (n_rows, n_outputs), optional
            The target. Numbers that count the rows are left out only if their order does not tell
            of it.
        sample_weight : array-like of shape (n_rows,), optional
            A row with weight k counts as k rows; weight 0 excludes a row. If the weights are not
            integers, they are scaled to mean 1, so only their ratios matter.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If no column is left to learn from, or a parameter or weight is invalid.
        """
        table = learn_columns(self, X)
        self._learn(table, y, checked_weights(sample_weight, table))
        return self

    def recognize(self, X: Any, y: Any = None) -> list[RecognizedColumn]:
        """Return how each column of a table would be recognized, without fitting.

        Parameters
        ----------
        X, y : table, and array-like, optional
            As for :meth:`fit`.

        Returns
        -------
        list of RecognizedColumn
        """
        return list(self.recognize_table(X, y).recognized)

    def recognize_table(self, X: Any, y: Any = None) -> RecognizedTable:
        """Recognize the kinds of the columns of X once, so that `fit` does not have to.

        Parameters
        ----------
        X, y : table, and array-like, optional
            As for :meth:`fit`.

        Returns
        -------
        RecognizedTable
            The table to fit on; its `recognized` tells the kinds.
        """
        table = as_table(X)
        return recognize_table(table, self._check_parameters(table), None, _target(y, table))

    def transform(self, X: Any) -> npt.NDArray[np.floating[Any]]:
        """Encode a table with the columns seen in `fit`.

        Parameters
        ----------
        X : table
            As for :meth:`fit`. Columns with names may be in any order; columns that `fit` left out
            may be missing, and others may be there as well.

        Returns
        -------
        ndarray of `dtype`, C order, shape (n_rows, n_inputs)

        Raises
        ------
        TableError
            A column is missing, or a column of numbers or dates holds none.

        Warns
        -----
        DataDriftWarning
            A column has many more missing, unparseable, unseen or infinite cells than in `fit`, or
            most are far out of its range; see :meth:`drift`.
        """
        check_is_fitted(self)
        table = match_columns(self, X, self._used_names())
        return self._encode(table, judges=True)

    def drift(self, X: Any) -> DriftReport:
        """Compare the cells of a table with those of the table seen in `fit`.

        Parameters
        ----------
        X : table
            As for :meth:`transform`.

        Returns
        -------
        DriftReport
            By column, the shares of missing, unparseable, unseen, infinite, out-of-range and
            far-out cells, beside those of `fit`. `transform` warns of what this report has among
            its `alarms`.
        """
        check_is_fitted(self)
        table = match_columns(self, X, self._used_names())
        columns = [
            self._drift_of(known, column, self._read(known, column))
            for known, column in self._used_columns(table)
        ]
        return DriftReport(len(table), tuple(columns))

    def fit_transform(
        self, X: Any, y: Any = None, sample_weight: Any = None
    ) -> npt.NDArray[np.floating[Any]]:
        """Return ``fit(X, y, sample_weight).transform(X)``, but read X only once."""
        table = learn_columns(self, X)
        return self._encode(self._learn(table, y, checked_weights(sample_weight, table)))

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """Return the names of the encoded columns, such as "age", "age_missing", "city_Rome".

        Parameters
        ----------
        input_features : array-like of str, optional
            Column names, if the table had none. Otherwise they must be the names seen in `fit`.
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        out = [
            name + suffix
            for name, column in zip(names, self.recognized_, strict=True)
            if column.kind != "left out"
            for suffix in self.encodings_[column.name].suffixes
        ]
        return np.array(out, dtype=object)

    def _learn(self, table: Table, y: Any, sample_weight: Weights) -> Table:
        """Set the fitted attributes; return the table, with columns converted where possible."""
        wanted = self._check_parameters(table)
        y = _target(y, table)
        rows = rows_that_count(sample_weight)
        if rows is not None:
            y = None if y is None else y[rows]
            self._learn(table.take(rows), y, of(sample_weight, rows))
            return table
        weights = as_repetitions(sample_weight)
        if isinstance(table, RecognizedTable) and table.wanted == wanted and weights is None:
            known = table
        else:
            known = recognize_table(table, wanted, weights, y)
        recognized = list(known.recognized)
        n_pieces = self._pieces_of_each(known)
        encodings = {
            column.name: self._fit_column(column.kind, values, n_pieces, weights)
            for column, values in zip(recognized, known.converted, strict=True)
            if column.kind != "left out"
        }
        if not encodings:
            reasons = "; ".join(f"{column.name}: {column.reason}" for column in recognized[:10])
            raise TableError(
                f"No column is left to learn from in {len(table)} sample(s): {reasons}. "
                "Add informative columns or rows, or set columns={'name': 'numeric'}."
            )
        self.recognized_ = recognized
        self.encodings_ = encodings
        self.conventions_ = replace(known.conventions, text=_text_of(table, known))
        self._cells = {
            column.name: count_cells(
                as_dates(column) if read.storage == "datetime" else column,
                read,
                encodings[column.name],
                weights,
            )[0]
            for column, read in zip(table, known.converted, strict=True)
            if column.name in encodings
        }
        return Table(known.converted, table.has_names)

    def _pieces_of_each(self, known: RecognizedTable) -> int:
        """Return `n_pieces`, or less where all pieces together would take too many cells.

        Columns with few different values leave their share to the others.
        """
        room = min(MOST_PIECES, MOST_CELLS_OF_PIECES // len(known))
        pairs = zip(known.recognized, known.converted, strict=True)
        numeric = [values for column, values in pairs if column.kind == "numeric"]
        n_pieces = int(self.n_pieces)
        if 2 * n_pieces * len(numeric) > room:
            most = np.array([n_pieces_of(column.as_float(), 2 * n_pieces) for column in numeric])
            while n_pieces > 0 and np.minimum(most, 2 * n_pieces).sum() > room:
                n_pieces -= 1
        return n_pieces if n_pieces > 1 else 0

    def _check_parameters(self, table: Table) -> dict[str, Kind]:
        for name, least in (("min_count", 1), ("max_categories", 1), ("n_pieces", 0)):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < least:
                raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}.")
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"dtype must be 'float32' or 'float64', got {self.dtype!r}.")
        if not isinstance(self.columns, Mapping | None):
            raise TypeError(
                'columns must be a dict such as {"zip": "categorical"}, or None; got '
                f"{self.columns!r}"
            )
        wanted: dict[str, Kind] = {}
        for name, kind in (self.columns or {}).items():
            if name not in table.names:
                raise missing_column_error(name, table.names)
            if kind not in KINDS:
                raise ValueError(f"columns[{name!r}] must be one of {KINDS}, got {kind!r}.")
            wanted[name] = next(known for known in KINDS if known == kind)
        return wanted

    def _fit_column(self, kind: Kind, column: Column, n_pieces: int, weights: Weights) -> Encoding:
        if kind == "categorical":
            return CategoricalEncoding.fit(
                column.values, self.min_count, self.max_categories, weights
            )
        if kind == "datetime":
            return DatetimeEncoding.fit(column.as_float(), weights)
        return NumericEncoding.fit(column.as_float(), n_pieces if kind == "numeric" else 0, weights)

    def _encode(self, table: Table, *, judges: bool = False) -> npt.NDArray[np.floating[Any]]:
        """Encode a table that has the columns; with `judges`, warn where they differ from `fit`."""
        out = np.zeros((len(table), self._n_inputs()), dtype=self.dtype)
        start = 0
        drifts = []
        for known, column in self._used_columns(table):
            encoding = self.encodings_[known.name]
            stop = start + len(encoding.suffixes)
            read = self._read(known, column)
            if isinstance(encoding, CategoricalEncoding):
                is_plain = encoding.write(read.values, out[:, start:stop])
            else:
                is_plain = encoding.write(read.as_float(), out[:, start:stop])
            if judges and not is_plain:
                drift = self._drift_of(known, column, read)
                check_is_readable(drift, column, self._cells.get(known.name))
                drifts.append(drift)
            start = stop
        if drifts:
            warn_of_drift(DriftReport(len(table), tuple(drifts)))
        return out

    def _read(self, known: RecognizedColumn, column: Column) -> Column:
        """Return a column in the storage of its kind; what is of another kind is missing."""
        training, conventions = self._cells.get(known.name), self.conventions_.of(known.name)
        encoding = self.encodings_[known.name]
        if known.kind == "categorical":
            if training is not None and training.storage == "number":
                return as_text_of_numbers(column, conventions)
            if column.storage == "boolean" and isinstance(encoding, CategoricalEncoding):
                return as_known_truth(column, encoding.categories)
            return as_text(column)
        column = as_dates(column) if known.kind == "datetime" else column
        if not fits_storage(known.kind, column, training):
            return Column(column.name, "number", np.full(len(column.values), np.nan))
        if isinstance(encoding, DatetimeEncoding):
            return as_seconds(column, conventions, encoding.are_clock_times)
        return (as_truth if known.kind == "boolean" else as_numbers)(column, conventions)

    def _drift_of(self, known: RecognizedColumn, column: Column, read: Column) -> ColumnDrift:
        encoding, training = self.encodings_[known.name], self._cells.get(known.name)
        cells, examples = count_cells(column, read, encoding)
        return drift_of(known.name, known.kind, encoding, cells, examples, training)

    def _used_names(self) -> list[str]:
        """Return the names of the columns that are not left out."""
        return [column.name for column in self.recognized_ if column.kind != "left out"]

    def _used_columns(self, table: Table) -> list[tuple[RecognizedColumn, Column]]:
        """Return the columns that are not left out: by name, or by position without names."""
        if table.has_names and hasattr(self, "feature_names_in_"):
            by_name = {column.name: column for column in table}
            known = [column for column in self.recognized_ if column.kind != "left out"]
            return [(column, by_name[column.name]) for column in known]
        pairs = zip(self.recognized_, table, strict=True)
        return [(known, column) for known, column in pairs if known.kind != "left out"]

    def _inputs_of_columns(self) -> dict[str, slice]:
        """Return which encoded columns each used column makes."""
        widths = {name: len(self.encodings_[name].suffixes) for name in self._used_names()}
        ends = np.cumsum([*widths.values()])
        places = zip(widths.items(), ends.tolist(), strict=True)
        return {name: slice(end - width, end) for (name, width), end in places}

    def _n_inputs(self) -> int:
        """Return the number of encoded columns."""
        return sum(len(encoding.suffixes) for encoding in self.encodings_.values())

    def _to_state(self) -> dict[str, Any]:
        """Return the fitted state as JSON-serializable values."""
        has_names = hasattr(self, "feature_names_in_")
        return FittedColumns(
            self.recognized_, self.encodings_, self._cells, self.conventions_, has_names
        ).to_state()

    def _restore(self, state: dict[str, Any]) -> Self:
        """Set the fitted attributes from the result of :meth:`_to_state`.

        Raises
        ------
        ValueError, TypeError, LookupError
            If the state is invalid.
        """
        known = FittedColumns.from_state(state)
        self.recognized_ = list(known.recognized)
        self.encodings_ = dict(known.encodings)
        self._cells = dict(known.cells)
        self.conventions_ = known.conventions
        self.n_features_in_ = len(self.recognized_)
        if known.has_names:
            self.feature_names_in_ = np.array([c.name for c in known.recognized], dtype=object)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _text_of(table: Table, known: RecognizedTable) -> frozenset[str]:
    """Return the names of the columns whose text are categories as they are written."""
    pairs = zip(table, known.recognized, strict=True)
    return frozenset(c.name for c, r in pairs if c.storage == "text" and r.kind == "categorical")


def _target(y: Any, table: Table) -> npt.NDArray[Any] | None:
    """Return the target as an array with a row for each of the table's; None without one."""
    if y is None:
        return None
    target = np.asarray(y)
    check_consistent_length(table, target)
    return target
