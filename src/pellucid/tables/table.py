"""The internal representation of tables: named columns of NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pellucid.tables.conventions import Conventions

Storage = Literal["number", "boolean", "datetime", "text"]


class TableError(ValueError):
    """Raised if a table cannot be read or used; the message says what to do."""


@dataclass(frozen=True, eq=False)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : str
    storage : {"number", "boolean", "datetime", "text"}
        How the values are stored, independent of their meaning.
    values : ndarray of shape (n_rows,)
        number: any integer or float dtype; boolean: bool, or float64 if values are missing;
        datetime: float64 seconds since 1970-01-01; text: object array of str or None.
        Missing values are NaN (None in text).
    is_category : bool
        Whether the type of the column says that its text are categories, even if it reads as
        numbers.
    notes : tuple of str
        What is to be told of how its numbers were read from text.
    """

    name: str
    storage: Storage
    values: npt.NDArray[Any]
    is_category: bool = False
    notes: tuple[str, ...] = ()

    def as_float(self) -> npt.NDArray[np.float64]:
        """Return the values of a number, boolean or datetime column as float64, NaN if missing."""
        return np.ascontiguousarray(self.values, dtype=np.float64)

    def missing(self) -> npt.NDArray[np.bool_]:
        """Return a mask of missing values: bool, shape (n_rows,)."""
        if self.storage == "text":
            return np.fromiter((v is None for v in self.values), np.bool_, len(self.values))
        return np.isnan(self.as_float())

    def take(self, rows: npt.NDArray[np.intp]) -> Column:
        """Return the column with the given rows only."""
        return replace(self, values=self.values[rows])


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns of equal length.

    Attributes
    ----------
    columns : tuple of Column
    has_names : bool
        False if the names were generated (``x0``, ``x1``, … for an array).
    conventions : Conventions
        How the file that the table comes from writes numbers and dates.
    remarks : tuple of str
        What the user should know about how the file was read, such as an assumed encoding.

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
    conventions: Conventions = field(default_factory=Conventions)
    remarks: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Column names, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns."""
        return len(self), len(self.columns)

    def __len__(self) -> int:
        return len(self.columns[0].values) if self.columns else 0

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __getitem__(self, name: str) -> Column:
        if name not in self._by_name:
            raise missing_column_error(name, self.names)
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in reversed(self.columns)}

    def take(self, rows: npt.NDArray[np.intp]) -> Table:
        """Return a new table with the given rows, in this order."""
        return self._with(column.take(rows) for column in self.columns)

    def without(self, name: str) -> Table:
        """Return the table without the column `name`."""
        return self._with(c for c in self.columns if c.name != name)

    def select(self, names: Sequence[str]) -> Table:
        """Return a table with the named columns only, in this order."""
        return self._with(self[name] for name in names)

    def _with(self, columns: Iterable[Column]) -> Table:
        return Table(tuple(columns), self.has_names, self.conventions, self.remarks)


def missing_column_error(name: str, names: Sequence[str]) -> TableError:
    """Return an error for a missing column that suggests the most similar name."""
    return missing_columns_error([name], names)


def missing_columns_error(missing: Sequence[str], names: Sequence[str]) -> TableError:
    """Return an error for columns that are not among `names`, with the most similar names."""
    folded = {n.casefold(): n for n in reversed(names)}
    close = {
        name: folded[found[0]]
        for name in missing[:_MOST_NAMES_SHOWN]
        if (found := get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.5))
    }
    if len(missing) == 1:
        what = f"There is no column {missing[0]!r}."
        suggestion = "".join(f" Did you mean {similar!r}?" for similar in close.values())
    else:
        what = f"There are no columns {_listed(missing)}."
        pairs = ", ".join(f"{similar!r} for {name!r}" for name, similar in close.items())
        suggestion = f" Did you mean {pairs}?" if pairs else ""
    return TableError(f"{what}{suggestion} The columns are: {_listed(names)}.")


_MOST_NAMES_SHOWN = 20


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_MOST_NAMES_SHOWN]))
    return shown + (", …" if len(names) > _MOST_NAMES_SHOWN else "")
