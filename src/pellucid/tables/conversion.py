"""Convert columns to the storage that a kind needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np

from pellucid.tables.conventions import Conventions
from pellucid.tables.number_notation import number_in
from pellucid.tables.numeric import DAY
from pellucid.tables.table import Column, Storage
from pellucid.tables.text import text_of_number
from pellucid.tables.time_notation import readings

_WHOLE = re.compile(r"-?\d{1,4000}", re.ASCII)

#: Truth values in text, in lower case.
TRUTH = {
    **dict.fromkeys(("true", "t", "yes", "y", "on"), 1.0),
    **dict.fromkeys(("false", "f", "no", "n", "off"), 0.0),
}


def as_text(column: Column) -> Column:
    """Return the column as text, so that 3, 3.0 and "3" are one category."""
    if column.storage == "text":
        return column
    values = column.values if column.values.dtype.kind in "iu" else column.as_float()
    distinct, codes = np.unique(values, return_inverse=True)
    boolean = column.storage == "boolean"
    texts = np.empty(len(distinct), dtype=object)
    texts[:] = [
        None if np.isnan(v) else str(bool(v)) if boolean else text_of_number(v) for v in distinct
    ]
    return Column(column.name, "text", texts[codes])


def as_known_truth(column: Column, categories: Collection[str]) -> Column:
    """Return booleans as text, spelled as in these categories: as TRUE where True is unknown."""
    own = ("True", "False")
    known = {text.lower(): text for text in sorted(categories, key=own.__contains__)}
    column = as_text(column)
    cells = [None if cell is None else known.get(cell.lower(), cell) for cell in column.values]
    return replace(column, values=np.array(cells, dtype=object))


def as_text_of_numbers(column: Column, conventions: Conventions) -> Column:
    """Return the column as text, in which numbers are written as if all cells were numbers."""
    if column.storage != "text":
        return as_text(column)
    decimal = conventions.numbers.decimal
    written: dict[str | None, str | None] = {None: None}
    for text in set(column.values.tolist()) - {None}:
        number = int(text) if _WHOLE.fullmatch(text) else number_in(text, decimal)
        written[text] = text if number is None else text_of_number(number)
    values = np.empty(len(column.values), dtype=object)
    values[:] = [written[text] for text in column.values]
    return Column(column.name, "text", values)


def as_numbers(column: Column, conventions: Conventions) -> Column:
    """Return the column as numbers; other text becomes missing."""
    decimal = conventions.numbers.decimal

    def number(text: str) -> float | None:
        # Booleans are numbers: a column may hold them here and 0 and 1 elsewhere.
        return {"True": 1.0, "False": 0.0}.get(text, number_in(text, decimal))

    return _converted(column, "number", number)


def as_truth(column: Column, conventions: Conventions) -> Column:
    """Return the column as 1 for true and 0 for false; other text becomes missing."""
    decimal = conventions.numbers.decimal
    return _converted(
        column, "number", lambda text: TRUTH.get(text.lower(), number_in(text, decimal))
    )


def as_seconds(column: Column, conventions: Conventions, are_clock_times: bool) -> Column:
    """Return dates as seconds since 1970, or times of day as seconds since midnight.

    Text that is none, and dates among times of day or the reverse, become missing.
    """

    def seconds(text: str) -> float | None:
        time = readings(text)
        if time is None or time.is_clock != are_clock_times:
            return None
        return time.seconds(bool(conventions.day_first))

    if column.storage == "datetime" and are_clock_times:
        values = column.as_float()
        return replace(column, values=np.where((values >= 0) & (values < DAY), values, np.nan))
    return _converted(column, "datetime", seconds)


def _converted(column: Column, storage: Storage, read: Callable[[str], float | None]) -> Column:
    """Return text as numbers; a column that is not text is returned as it is."""
    if column.storage != "text":
        return column
    known: dict[str | None, float] = {None: np.nan}
    for text in set(column.values.tolist()) - {None}:
        number = read(text)
        known[text] = np.nan if number is None else number
    values = np.fromiter(map(known.__getitem__, column.values), np.float64, len(column.values))
    return Column(column.name, storage, values)
