"""An open stream: read its row groups as blocks of numbers and summarize its target."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pellucid.tables.row_groups import (
    RowGroup,
    check_columns,
    column_dtype,
    column_names,
    find_row_groups,
    is_number,
    is_text,
    numbers_of,
    read_group,
    type_of,
)
from pellucid.tables.table import TableError

StreamDtype = Literal["float32", "float64"]
Encode = Callable[[NDArray[Any]], NDArray[Any]]

_ROWS_AT_ONCE = 4096
_MOST_LABELS = 2**16


class StreamBlock(NamedTuple):
    """A block of rows of a stream."""

    X: NDArray[Any]
    """Features, (n, n_columns)."""
    y: NDArray[Any]
    """Target, (n,) or (n, K)."""
    sample_weight: NDArray[np.float64] | None
    """Sample weights, (n,); None without a weight column."""


@dataclass(frozen=True)
class TargetSummary:
    """Labels, counts and weights found in one pass over the target and weight columns.

    Parameters
    ----------
    labels : ndarray of shape (n_labels,)
        Sorted labels.
    counts : ndarray of int64 of shape (n_labels,)
        Number of rows of each label.
    weights : ndarray of float64 of shape (n_labels,)
        Sum of the sample weights of each label; equal to `counts` without a weight column.
    """

    labels: NDArray[Any]
    counts: NDArray[np.int64]
    weights: NDArray[np.float64]


class StreamReader:
    """Reader of a `ParquetStream`, created by its `open` method.

    Attributes
    ----------
    columns : list of str
        Columns of X.
    dtype : numpy.dtype
        Type of X.
    n_rows, n_groups : int
        Numbers of rows and row groups in all files.
    n_targets : int
        Number of columns of y.
    is_vector : bool
        Whether y has shape (n,).
    """

    def __init__(
        self,
        source: Any,
        target: Sequence[str],
        columns: Sequence[str] | None,
        sample_weight: str | None,
        dtype: StreamDtype | None,
        is_vector: bool,
    ) -> None:
        self._groups = find_row_groups(source)
        self._target, self._weight, self.is_vector = list(target), sample_weight, is_vector
        others = [*target, *([] if sample_weight is None else [sample_weight])]
        if columns is None:
            columns = [name for name in column_names(self._groups[0]) if name not in others]
        self.columns = list(columns)
        self._check(others)
        dtypes = [column_dtype(self._groups, name) for name in self.columns]
        joined = np.result_type(*dtypes)
        narrow = joined == np.float32 if dtype is None else dtype == "float32"
        self.dtype = np.dtype(np.float32 if narrow else np.float64)

    @property
    def group_sizes(self) -> list[int]:
        """Number of rows of each row group."""
        return [group.n_rows for group in self._groups]

    @property
    def n_rows(self) -> int:
        """Number of rows in all files."""
        return sum(self.group_sizes)

    @property
    def n_groups(self) -> int:
        """Number of row groups in all files."""
        return len(self._groups)

    @property
    def n_targets(self) -> int:
        """Number of columns of y."""
        return len(self._target)

    @property
    def has_text(self) -> bool:
        """Whether the target contains text labels."""
        return is_text(type_of(self._groups[0], self._target[0]))

    @property
    def has_weights(self) -> bool:
        """Whether there is a column of sample weights."""
        return self._weight is not None

    def blocks(
        self,
        rows: int,
        order: Sequence[int] | NDArray[np.int64] | None = None,
        encode: Encode = np.asarray,
    ) -> Iterator[StreamBlock]:
        """Yield all rows in blocks of `rows` rows; the last block can be smaller.

        All blocks use the same memory for X: a block is valid only until the next one is requested.

        Parameters
        ----------
        rows : int
            Number of rows of a block.
        order : sequence of int, optional
            Order of the row groups; by default, their order in the files.
        encode : callable
            Maps targets to y, (n,) or (n, K). It is applied to the targets of some rows, or once to
            each distinct text label.

        Raises
        ------
        TableError
            If a file ends early or was changed, or if a column contains missing, infinite or too
            large numbers. The message names the file and the row group.
        """
        rows = min(rows, self.n_rows)
        buffer = np.empty((rows, len(self.columns)), self.dtype)
        filled, targets, weights = 0, list[Any](), list[Any]()
        for i in range(self.n_groups) if order is None else order:
            group = self._groups[i]
            table = read_group(group, [*self.columns, *self._target, *self._weights_column])
            done = 0
            while done < group.n_rows:
                part = table.slice(done, rows - filled)
                n = part.num_rows
                self._fill(part, buffer[filled : filled + n], group)
                targets.append(self._targets(part, group, encode))
                weights.append(self._sample_weights(part, group))
                filled, done = filled + n, done + n
                if filled == rows:
                    yield self._block(buffer, targets, weights)
                    filled, targets, weights = 0, [], []
            del table
        if filled > 0:
            yield self._block(buffer[:filled], targets, weights)

    def summarize(self) -> TargetSummary:
        """Return the labels of the target, in one pass that reads only the target and the weights.

        Raises
        ------
        TableError
            In the same cases as `blocks`, or if there are too many labels for a classifier.
        """
        labels: NDArray[Any] = np.empty(0)
        counts: NDArray[Any] = np.empty(0)
        weights: NDArray[Any] = np.empty(0)
        for group in self._groups:
            table = read_group(group, [*self._target, *self._weights_column])
            weight = self._sample_weights(table, group)
            values, codes = _labels_of(table[self._target[0]], group, self._target[0])
            known = labels
            labels = values if known.size == 0 else np.union1d(known, values)
            if len(labels) > _MOST_LABELS:
                raise TableError(
                    f"column {self._target[0]!r} has more than {_MOST_LABELS} labels. If it holds "
                    "numbers to predict, fit a regressor."
                )
            both = np.concatenate([np.searchsorted(labels, x) for x in (known, values)])
            here = np.bincount(codes, minlength=len(values))
            heavy = here if weight is None else np.bincount(codes, weight, len(values))
            counts = np.bincount(both, np.concatenate([counts, here]), len(labels))
            weights = np.bincount(both, np.concatenate([weights, heavy]), len(labels))
        return TargetSummary(labels, counts.astype(np.int64), weights)

    def mean_weight(self) -> float:
        """Return the mean of the sample weights, in one pass that reads only the weights."""
        total = 0.0
        for group in self._groups:
            weight = self._sample_weights(read_group(group, self._weights_column), group)
            total += float(group.n_rows if weight is None else weight.sum())
        return total / self.n_rows

    @property
    def _weights_column(self) -> list[str]:
        return [] if self._weight is None else [self._weight]

    def _check(self, others: Sequence[str]) -> None:
        if both := [name for name in self.columns if name in others]:
            raise TableError(
                f"columns names {both[0]!r}, which is the target or the weights. Remove it."
            )
        if not self.columns:
            raise TableError("there are no columns to predict from, only the target.")
        check_columns(self._groups, [*self.columns, *others])
        if self._weight is not None:
            column_dtype(self._groups, self._weight)
        kinds = [type_of(self._groups[0], name) for name in self._target]
        for name, kind in zip(self._target, kinds, strict=True):
            if not is_number(kind) and not (is_text(kind) and len(kinds) == 1):
                raise TableError(
                    f"the target column {name!r} holds {kind}; it must hold numbers. A single "
                    "target column can also hold text labels."
                )

    def _fill(self, table: Any, X: NDArray[Any], group: RowGroup) -> None:
        """Copy the columns of a table to X and raise if a value is not finite."""
        first = 0
        for batch in table.select(self.columns).to_batches(max_chunksize=_ROWS_AT_ONCE):
            rows = X[first : first + batch.num_rows]
            with np.errstate(over="ignore"):
                for j, array in enumerate(batch.columns):
                    rows[:, j] = numbers_of(array)
            if not np.isfinite(rows).all():
                j = int(np.flatnonzero(~np.isfinite(rows).all(axis=0))[0])
                raise TableError(
                    f"{group}: column {self.columns[j]!r} has NaN, infinity or a number too large "
                    f"for {self.dtype}. Correct it, or remove these rows or the column."
                )
            first += batch.num_rows

    def _targets(self, table: Any, group: RowGroup, encode: Encode) -> NDArray[Any]:
        columns = [table[name] for name in self._target]
        try:
            if is_text(columns[0].type):
                values, codes = _labels_of(columns[0], group, self._target[0])
                return encode(values)[codes]
            numbers = [numbers_of(column.combine_chunks()) for column in columns]
            return encode(numbers[0] if self.is_vector else np.column_stack(numbers))
        except TableError:
            raise
        except ValueError as error:
            raise TableError(f"{group}: {error}") from error

    def _sample_weights(self, table: Any, group: RowGroup) -> NDArray[np.float64] | None:
        if self._weight is None:
            return None
        weights = numbers_of(table[self._weight].combine_chunks()).astype(np.float64)
        if not (np.isfinite(weights).all() and weights.min() >= 0.0):
            raise TableError(
                f"{group}: the weights in column {self._weight!r} must be finite and at least 0, "
                f"got {weights.min()} to {weights.max()}."
            )
        return weights

    def _block(
        self, X: NDArray[Any], targets: Sequence[Any], weights: Sequence[Any]
    ) -> StreamBlock:
        weight = None if self._weight is None else np.concatenate(weights)
        return StreamBlock(X, np.concatenate(targets), weight)


def _labels_of(column: Any, group: RowGroup, name: str) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the sorted labels of an Arrow column, and the index of the label of each row."""
    if not is_text(column.type):
        numbers = numbers_of(column.combine_chunks())
        if not np.isfinite(numbers).all():
            raise TableError(f"{group}: the target {name!r} has NaN or infinity.")
        values, codes = np.unique(numbers, return_inverse=True)
        return values, codes
    encoded = column.combine_chunks()
    encoded = encoded if hasattr(encoded, "dictionary") else encoded.dictionary_encode()
    found = np.array(encoded.dictionary.to_pylist(), dtype=object)
    values, places = np.unique(found, return_inverse=True)
    # A dictionary can contain values that do not occur in these rows.
    present, codes = np.unique(places[encoded.indices.to_numpy()], return_inverse=True)
    return values[present], codes
