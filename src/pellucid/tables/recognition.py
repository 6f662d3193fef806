"""Recognize the kind of each column: number, boolean, category, time, or not useful."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from pellucid.tables.row_weights import FloatVector, Weights, counts_of, n_rows, of
from pellucid.tables.table import Column, Table
from pellucid.tables.text import numbers_from_text, seconds_from_text, text_of_number

Kind = Literal["numeric", "boolean", "categorical", "datetime", "left out"]

KINDS: tuple[Kind, ...] = ("numeric", "boolean", "categorical", "datetime", "left out")

#: Minimum number of rows to recognize a column of distinct values as an id or free text.
FEWEST_ROWS_TO_JUDGE = 20
#: Distinct integers that fill at least this fraction of their range are a row counter …
COUNTER_DENSITY = 0.5
#: … in tables with at least this many rows, whatever the column's name.
FEWEST_ROWS_OF_COUNTER = 100
#: Text with more distinct values than this fraction of the cells is free text.
FREE_TEXT_SHARE = 0.5

_ID_NAME = re.compile(
    r"^$|^unnamed: ?\d+$|^(id|index|idx|key|uuid|guid|row|rownum|instant|no|nr|number)$"
    r"|[_ .-](id|index|idx|key|uuid|guid|row|no|nr|number)$",
    re.IGNORECASE,
)
_ID_SUFFIX = re.compile(r"[a-z0-9](Id|ID|Key|UUID|Index)$")


@dataclass(frozen=True)
class RecognizedColumn:
    """The recognized kind of a column, and the reason.

    Attributes
    ----------
    name : str
    kind : {"numeric", "boolean", "categorical", "datetime", "left out"}
    reason : str
        Short human-readable explanation.
    """

    name: str
    kind: Kind
    reason: str


@dataclass(frozen=True)
class RecognizedTable(Table):
    """A table whose columns have been recognized, so that `TableEncoder.fit` need not do it.

    Attributes
    ----------
    recognized : tuple of RecognizedColumn
        The kinds of the columns.
    converted : tuple of Column
        The columns in the storage for these kinds.
    wanted : dict of str to str
        Kinds that were set, not recognized.
    """

    recognized: tuple[RecognizedColumn, ...] = ()
    converted: tuple[Column, ...] = ()
    wanted: Mapping[str, Kind] = field(default_factory=dict)


def recognize_table(
    table: Table, wanted: Mapping[str, Kind], weights: Weights = None
) -> RecognizedTable:
    """Recognize every column of a table that `wanted` does not set; see `recognize`."""
    found = [recognize(column, wanted.get(column.name), weights) for column in table]
    recognized, converted = zip(*found, strict=True)
    known = (table.columns, table.has_names, table.conventions, table.remarks)
    return RecognizedTable(*known, recognized, converted, wanted)


def recognize(
    column: Column, kind: Kind | None = None, weights: Weights = None
) -> tuple[RecognizedColumn, Column]:
    """Recognize one column; return its kind and its values in the storage for this kind.

    Parameters
    ----------
    column : Column
    kind : str, optional
        Use this kind instead of recognizing it from the values.
    weights : ndarray of float64, shape (n_rows,), optional
        Number of rows that each row counts for.

    Returns
    -------
    recognized : RecognizedColumn
    column : Column
        Text that contains numbers or times is converted to these.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.tables import Column
    >>> from pellucid.tables.recognition import recognize
    >>> cells = np.array(["1.5", None, "2.5"], dtype=object)
    >>> recognize(Column("charge", "text", cells))[0]
    RecognizedColumn(name='charge', kind='numeric', reason='numbers stored as text, 1 missing')
    """
    if kind is not None:
        return RecognizedColumn(column.name, kind, "as specified"), _stored_as(column, kind)
    # A column of a table stored by rows is read several times, which is faster from a copy. The
    # copy is released right away, so that the table is never in memory twice.
    contiguous = Column(column.name, column.storage, np.ascontiguousarray(column.values))
    recognized, judged = _judge(contiguous, weights)
    return recognized, column if judged is contiguous else judged


def _judge(column: Column, weights: Weights) -> tuple[RecognizedColumn, Column]:
    missing = column.missing()
    if missing.all():
        return RecognizedColumn(column.name, "left out", "every value is missing"), column
    if column.storage == "text":
        recognized, column = _recognize_text(column, weights)
    elif column.storage == "number":
        recognized = _recognize_number(column, weights)
    elif column.storage == "boolean":
        recognized = RecognizedColumn(column.name, "boolean", "true or false")
    else:
        recognized = RecognizedColumn(column.name, "datetime", "dates or times")
    constant = _constant_value(column)
    if constant is not None:
        return RecognizedColumn(column.name, "left out", f"constant: always {constant}"), column
    missing = column.missing()
    n_missing = n_rows(of(weights, missing), int(missing.sum()))
    if n_missing and recognized.kind != "left out":
        recognized = replace(recognized, reason=f"{recognized.reason}, {n_missing:,} missing")
    return recognized, column


def _recognize_number(column: Column, weights: Weights) -> RecognizedColumn:
    values = column.as_float()
    finite = values[np.isfinite(values)]
    whole = len(finite) == len(values) and bool(np.all(finite == np.floor(finite)))
    if whole and _is_counter(column.name, finite, n_rows(weights, len(finite))):
        return RecognizedColumn(column.name, "left out", "an id: numbers that identify rows")
    return RecognizedColumn(column.name, "numeric", "whole numbers" if whole else "numbers")


def _is_counter(name: str, values: FloatVector, n: int) -> bool:
    if n < FEWEST_ROWS_TO_JUDGE:
        return False
    span = float(values.max() - values.min()) + 1
    named = bool(_ID_NAME.search(name) or _ID_SUFFIX.search(name))
    dense = n >= FEWEST_ROWS_OF_COUNTER and n >= COUNTER_DENSITY * span
    in_order = span == n and bool(np.all(np.abs(np.diff(values)) == 1))
    return (named or dense or in_order) and len(np.unique(values)) == n


def _recognize_text(column: Column, weights: Weights) -> tuple[RecognizedColumn, Column]:
    name = column.name
    numbers = numbers_from_text(column.values, weights)
    if numbers is not None:
        number = Column(name, "number", numbers.values)
        recognized = _recognize_number(number, weights)
        if recognized.kind == "numeric":
            strays = ", ".join(map(repr, (*numbers.stray, *numbers.words)))
            told = f" ({strays} treated as missing)" if strays else ""
            reason = ", ".join((f"numbers stored as text{told}", *numbers.notes))
            recognized = replace(recognized, reason=reason)
        return recognized, number
    seconds = seconds_from_text(column.values)
    if seconds is not None:
        recognized = RecognizedColumn(name, "datetime", "dates or times stored as text")
        return recognized, Column(name, "datetime", seconds)
    counts, _ = counts_of(column.values, weights)
    n, n_different = round(sum(counts.values())), len(counts)
    if n >= FEWEST_ROWS_TO_JUDGE and n_different == n:
        return RecognizedColumn(name, "left out", "an id: every text is different"), column
    if n >= FEWEST_ROWS_TO_JUDGE and n_different > FREE_TEXT_SHARE * n:
        reason = f"free text: {n_different:,} different texts in {n:,} rows"
        return RecognizedColumn(name, "left out", reason), column
    return RecognizedColumn(name, "categorical", f"{n_different:,} categories"), column


def _constant_value(column: Column) -> str | None:
    """Return the only value of a column as text, or None if it varies or has missing values."""
    if column.storage == "text":
        first = column.values[0]
        same = first is not None and all(cell == first for cell in column.values)
        return repr(first) if same else None
    values = column.as_float()
    same = bool(np.all(values == values[0]))
    return text_of_number(values[0]) if same else None


def _stored_as(column: Column, kind: Kind) -> Column:
    if kind == "categorical":
        return as_text(column)
    if kind == "left out":
        return column
    return as_seconds(column) if kind == "datetime" else as_numbers(column)


def as_text(column: Column) -> Column:
    """Return the column as text, so that 3, 3.0 and "3" are one category."""
    if column.storage == "text":
        return column
    values = column.as_float()
    distinct, codes = np.unique(values, return_inverse=True)
    boolean = column.storage == "boolean"
    texts = np.empty(len(distinct), dtype=object)
    texts[:] = [
        None if np.isnan(v) else str(bool(v)) if boolean else text_of_number(v) for v in distinct
    ]
    return Column(column.name, "text", texts[codes])


def as_numbers(column: Column) -> Column:
    """Return the column as numbers; other text becomes missing."""
    if column.storage != "text":
        return column
    texts = set(column.values.tolist())
    numbers: dict[str | None, float] = {text: _float_or_nan(text) for text in texts}
    values = np.fromiter(map(numbers.__getitem__, column.values), np.float64, len(column.values))
    return Column(column.name, "number", values)


def as_seconds(column: Column) -> Column:
    """Return the column as seconds since 1970; text that is not a time becomes missing."""
    if column.storage != "text":
        return column
    seconds = seconds_from_text(column.values)
    if seconds is None:
        parts = [seconds_from_text(column.values[i : i + 1]) for i in range(len(column.values))]
        seconds = np.array([np.nan if part is None else part[0] for part in parts])
    return Column(column.name, "datetime", seconds)


def _float_or_nan(text: str | None) -> float:
    if text is None:
        return np.nan
    if text in ("True", "False"):
        return float(text == "True")
    try:
        return float(text)
    except ValueError:
        return np.nan
