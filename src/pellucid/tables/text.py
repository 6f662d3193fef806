"""Parse text columns: missing values, numbers, times or plain text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.tables.conventions import NumberFormat
from pellucid.tables.missing_words import MISSING_TEXT, is_missing_word
from pellucid.tables.number_notation import (
    WrittenNumber,
    decimal_mark,
    notes_on,
    plain_number,
    written_number,
)
from pellucid.tables.row_weights import Weights, counts_of

#: A text column is read as numbers if at most this fraction of its cells are not numbers, and …
STRAY_SHARE = 0.05
#: … those cells have at most this many different values ("unknown", "n.a.").
MOST_STRAY_TEXTS = 3


PLAIN_NUMBERS = NumberFormat()


@dataclass(frozen=True)
class NumbersInText:
    """Result of parsing text as numbers.

    Attributes
    ----------
    values : ndarray of shape (n,)
        int64 if every cell is a whole number and none is missing, else float64 with NaN.
    n_blank : int
        Number of missing cells.
    stray : tuple of str
        Distinct texts that are not numbers and are treated as missing.
    words : tuple of str
        Distinct texts that stand for a missing value among numbers, such as "-" or "n.a.".
    format : NumberFormat
        How the numbers of this column are written.
    notes : tuple of str
        What was understood beyond digits and a decimal point, such as "'$' taken off".
    """

    values: npt.NDArray[Any]
    n_blank: int
    stray: tuple[str, ...]
    words: tuple[str, ...] = ()
    format: NumberFormat = PLAIN_NUMBERS
    notes: tuple[str, ...] = ()


def clean_text(values: Iterable[object]) -> npt.NDArray[np.object_]:
    """Convert cells to stripped strings, or None for missing values.

    Parameters
    ----------
    values : iterable of str, number, bool, None or NaN

    Returns
    -------
    ndarray of object, shape (n,)

    Examples
    --------
    >>> from pellucid.tables.text import clean_text
    >>> clean_text([" State-gov", "?", None, 3.0]).tolist()
    ['State-gov', None, None, '3']
    """
    cells = list(values)
    try:
        cleaned = {cell: _clean_cell(cell) for cell in set(cells)}
    except TypeError as error:
        raise TypeError(
            "The argument must be a string or a number in every cell of a table; found a "
            "value that is neither, such as a list or a dict. Split it into several columns."
        ) from error
    result = np.empty(len(cells), dtype=object)
    result[:] = [cleaned[cell] for cell in cells]
    return result


def text_of_number(value: float) -> str:
    """Format a number so that 3, 3.0 and "3" are the same category."""
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)


def is_missing(cell: object) -> bool:
    """Return True for None, NaN, NaT and pandas.NA (whose comparisons are not bool)."""
    if cell is None:
        return True
    try:
        return bool(cell != cell)
    except (TypeError, ValueError):
        return type(cell).__name__ == "NAType"


def _clean_cell(cell: object) -> str | None:
    if isinstance(cell, str):
        stripped = cell.strip()
        return None if stripped in MISSING_TEXT else str(stripped)
    if is_missing(cell):
        return None
    if isinstance(cell, bool | np.bool_):
        return str(bool(cell))
    if isinstance(cell, int | float | np.number):
        return text_of_number(float(cell))
    return _clean_cell(str(cell))


def numbers_from_text(
    values: npt.NDArray[np.object_], weights: Weights = None, format: NumberFormat = PLAIN_NUMBERS
) -> NumbersInText | None:
    """Parse a cleaned text column as numbers; return None if it does not contain numbers.

    The decimal mark is the one with which more cells are numbers, else that of `format`. Separators
    of thousands, signs of currencies, percent signs and the parentheses of negative amounts are
    taken off. Words for a missing value, such as "-" or "n.a.", are missing. A few other cells
    ("see below") are allowed and treated as missing: at most 5 % of the column and 3 different
    texts. Numbers with leading zeros ("01234") are codes and stay text.

    Parameters
    ----------
    values : ndarray of object, shape (n,)
        Result of :func:`clean_text`.
    weights : ndarray of float64, shape (n,), optional
        Number of rows that each cell counts for.
    format : NumberFormat
        How the table writes numbers.

    Examples
    --------
    >>> from pellucid.tables.text import clean_text, numbers_from_text
    >>> read = numbers_from_text(clean_text(["1.200 €", "3,5 €", "-"]))
    >>> read.values
    array([1200. ,    3.5,    nan])
    >>> read.notes
    ('with decimal commas', 'thousands separated by points', "'€' taken off")
    """
    counts, n_missing = counts_of(values, weights)
    words = tuple(text for text in counts if is_missing_word(text))
    n_missing += sum(counts.pop(text) for text in words)
    found = _numbers_of(counts, format)
    if found is None:
        return None
    numbers, format, notes = found
    stray = tuple(text for text in counts if text not in numbers)
    n_stray = sum(counts[text] for text in stray)
    if not numbers or len(stray) > MOST_STRAY_TEXTS or n_stray > STRAY_SHARE * sum(counts.values()):
        return None
    whole = not n_missing and not stray and all(_is_whole(text, format) for text in counts)
    read: dict[str | None, float] = dict.fromkeys([None, *words, *stray], np.nan)
    read.update(numbers)
    result = np.fromiter(map(read.__getitem__, values), np.float64, len(values))
    kept = result.astype(np.int64) if whole else result
    return NumbersInText(kept, round(n_missing), stray, words, format, notes)


def _numbers_of(
    counts: dict[str, float], format: NumberFormat
) -> tuple[dict[str, float], NumberFormat, tuple[str, ...]] | None:
    """Return the number in each text, their format and notes about it; None if most are others."""
    plain: dict[str, float] = {}
    written: dict[str, WrittenNumber] = {}
    n_others = 0
    for text in counts:
        if _is_code(text):
            return None
        number = plain_number(text)
        if number is not None:
            plain[text] = number
        elif (notation := written_number(text)) is not None:
            written[text] = notation
        elif (n_others := n_others + 1) > MOST_STRAY_TEXTS:
            return None
    if not written and format.decimal == ".":
        return plain, format, ()
    written |= {text: n for text in plain if (n := written_number(text)) is not None}
    mark = decimal_mark((number, counts[text]) for text, number in written.items())
    decimal = mark or format.decimal
    read = {t: value for t, n in written.items() if (value := n.value(decimal)) is not None}
    numbers = {**{t: value for t, value in plain.items() if t not in written}, **read}
    used = [written[text] for text in read]
    separators = {number.separator(decimal) for number in used} - {""}
    if mark is not None or separators:
        thousands = format.thousands if format.thousands in separators else ""
        format = NumberFormat(decimal, thousands or min(separators, default=""))
    return numbers, format, notes_on(used, decimal, mark is None)


def seconds_from_text(values: npt.NDArray[np.object_]) -> npt.NDArray[np.float64] | None:
    """Parse a cleaned text column as ISO 8601 times; return seconds since 1970, or None."""
    seconds: dict[str | None, float] = {None: np.nan}
    for text in set(values.tolist()) - {None}:
        if len(text) < 8 or not text[:4].isdigit() or "-" not in text[4:5]:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        seconds[text] = aware.timestamp()
    if len(seconds) == 1:
        return None
    return np.fromiter(map(seconds.__getitem__, values), np.float64, len(values))


def _is_code(text: str) -> bool:
    return len(text) > 1 and text[0] == "0" and text.isdigit()


def _is_whole(text: str, format: NumberFormat) -> bool:
    if text.removeprefix("-").isdecimal():
        return len(text) < 19
    number = written_number(text)
    if number is None or not number.is_whole(format.decimal):
        return False
    return sum(map(str.isdigit, number.digits)) < 19
