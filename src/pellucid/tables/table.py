"""The one form every table takes inside Pellucid: named columns of NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Storage = Literal["number", "boolean", "datetime", "text"]


class TableError(ValueError):
    """A table that cannot be read or used; the message says what to do about it."""


@dataclass(frozen=True)
class Column:
    """One column, whatever container it came from.

    Attributes
    ----------
    name : str
    storage : {"number", "boolean", "datetime", "text"}
        How the values are kept, not what they mean.
    values : ndarray of shape (n_rows,)
        number: any integer or float dtype; boolean: bool, or float64 where values are missing;
        datetime: float64 seconds since 1970-01-01; text: object array of str or None.
        NaN (None in text) stands for a missing value.
    """

    name: str
    storage: Storage
    values: npt.NDArray[Any]

    def as_float(self) -> npt.NDArray[np.float64]:
        """Values of a number, boolean or datetime column as float64, missing ones NaN."""
        return np.ascontiguousarray(self.values, dtype=np.float64)

    def missing(self) -> npt.NDArray[np.bool_]:
        """Tell where values are missing: bool, shape (n_rows,)."""
        if self.storage == "text":
            return np.fromiter((v is None for v in self.values), np.bool_, len(self.values))
        return np.isnan(self.as_float())

    def take(self, rows: npt.NDArray[np.intp]) -> Column:
        """Return the column with these rows only."""
        return Column(self.name, self.storage, self.values[rows])


@dataclass(frozen=True)
class Table:
    """Columns of equal length, in order, found by name.

    Attributes
    ----------
    columns : tuple of Column
    has_names : bool
        False when the names were made up (``x0``, ``x1``, … for an array).

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.tables import Column, Table
    >>> table = Table((Column("age", "number", np.array([31, 54])),))
    >>> table.shape, table.names
    ((2, 1), ('age',))
    """

    columns: tuple[Column, ...]
    has_names: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def shape(self) -> tuple[int, int]:
        """(n_rows, n_columns)."""
        return len(self), len(self.columns)

    def __len__(self) -> int:
        return len(self.columns[0].values) if self.columns else 0

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise missing_column_error(name, self.names)

    def take(self, rows: npt.NDArray[np.intp]) -> Table:
        """Return these rows, in this order, as a new table."""
        return Table(tuple(column.take(rows) for column in self.columns), self.has_names)

    def without(self, name: str) -> Table:
        """Return the table without the column of this name."""
        return Table(tuple(c for c in self.columns if c.name != name), self.has_names)

    def select(self, names: Sequence[str]) -> Table:
        """Return the columns of these names, in this order; others are left out."""
        return Table(tuple(self[name] for name in names), self.has_names)


def missing_column_error(name: str, names: Sequence[str]) -> TableError:
    """Build the error for a column that is not there, with the nearest name as a suggestion."""
    folded = {n.casefold(): n for n in reversed(names)}
    close = get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.5)
    shown = ", ".join(repr(n) for n in names[:20]) + (", …" if len(names) > 20 else "")
    suggestion = f" Did you mean {folded[close[0]]!r}?" if close else ""
    return TableError(f"There is no column {name!r}.{suggestion} The columns are: {shown}.")
