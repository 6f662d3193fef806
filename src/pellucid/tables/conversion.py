"""Convert columns to the storage that a kind needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pellucid.tables.conventions import Conventions
from pellucid.tables.missing_words import is_missing_word
from pellucid.tables.number_shapes import numbers_in
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
    texts = set(column.values.tolist()) - {None}
    written: dict[str | None, str | None] = {None: None, **{text: text for text in texts}}
    for text, number in numbers_in(texts, conventions.numbers.decimal).items():
        written[text] = text_of_number(int(text) if _WHOLE.fullmatch(text) else number)
    values = np.empty(len(column.values), dtype=object)
    values[:] = [written[text] for text in column.values]
    return Column(column.name, "text", values)


def as_numbers(column: Column, conventions: Conventions) -> Column:
    """Return the column as numbers; other text becomes missing."""
    # Booleans are numbers: a column may hold them here and 0 and 1 elsewhere.
    truth = {"True": 1.0, "False": 0.0}
    return _converted(
        column, "number", lambda texts: numbers_in(texts, conventions.numbers.decimal) | truth
    )


def as_truth(column: Column, conventions: Conventions) -> Column:
    """Return the column as 1 for true and 0 for false; other text becomes missing."""

    def truth(texts: Sequence[str]) -> dict[str, float]:
        said = {text: TRUTH[text.lower()] for text in texts if text.lower() in TRUTH}
        return numbers_in(texts, conventions.numbers.decimal) | said

    return _converted(column, "number", truth)


def as_seconds(column: Column, conventions: Conventions, are_clock_times: bool) -> Column:
    """Return dates as seconds since 1970, or times of day as seconds since midnight.

    Text that is none, and dates among times of day or the reverse, become missing.
    """

    def seconds(texts: Sequence[str]) -> dict[str, float]:
        dated = (text for text in texts if not is_missing_word(text))
        times = {text: time for text in dated if (time := readings(text)) is not None}
        day_first = bool(conventions.day_first)
        read = {
            text: time.seconds(day_first)
            for text, time in times.items()
            if time.is_clock == are_clock_times
        }
        return {text: moment for text, moment in read.items() if moment is not None}

    if column.storage == "datetime" and are_clock_times:
        values = column.as_float()
        return replace(column, values=np.where((values >= 0) & (values <= DAY), values, np.nan))
    return _converted(column, "datetime", seconds)


def _converted(
    column: Column, storage: Storage, read: Callable[[Sequence[str]], dict[str, float]]
) -> Column:
    """Return text as numbers; a column that is not text is returned as it is."""
    if column.storage != "text":
        return column
    known: dict[Any, float] = dict.fromkeys(column.values.tolist(), np.nan)
    known.update(read([text for text in known if text is not None]))
    values = np.fromiter(map(known.__getitem__, column.values), np.float64, len(column.values))
    return Column(column.name, storage, values)
