"""Parse text columns: missing values, numbers, times or plain text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.tables.row_weights import Weights, counts_of

#: Texts that mean a missing value, compared after stripping whitespace.
MISSING_TEXT = frozenset(
    [
        "",
        "?",
        "NA",
        "N/A",
        "n/a",
        "#N/A",
        "NaN",
        "nan",
        "NAN",
        "null",
        "NULL",
        "None",
        "NaT",
        "<NA>",
    ]
)

#: A text column is read as numbers if at most this fraction of its cells are not numbers, and …
STRAY_SHARE = 0.05
#: … those cells have at most this many different values ("unknown", "n.a.").
MOST_STRAY_TEXTS = 3


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
    """

    values: npt.NDArray[Any]
    n_blank: int
    stray: tuple[str, ...]


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
    values: npt.NDArray[np.object_], weights: Weights = None
) -> NumbersInText | None:
    """Parse a cleaned text column as numbers; return None if it does not contain numbers.

    A few cells that are not numbers ("unknown") are allowed and treated as missing: at most 5 % of
    the column and 3 different texts. Numbers with leading zeros ("01234") are codes and stay text.

    Parameters
    ----------
    values : ndarray of object, shape (n,)
        Result of :func:`clean_text`.
    weights : ndarray of float64, shape (n,), optional
        Number of rows that each cell counts for.
    """
    counts, n_missing = counts_of(values, weights)
    numbers: dict[str | None, float] = {None: np.nan}
    stray = []
    for text in counts:
        number = _number(text)
        if number is None:
            stray.append(text)
            if len(stray) > MOST_STRAY_TEXTS:
                return None
            number = np.nan
        elif _is_code(text):
            return None
        numbers[text] = number
    n_stray = sum(counts[text] for text in stray)
    if len(stray) == len(counts) or n_stray > STRAY_SHARE * sum(counts.values()):
        return None
    result = np.fromiter(map(numbers.__getitem__, values), np.float64, len(values))
    if n_missing == 0 and not stray and all(_is_whole(text) for text in counts):
        return NumbersInText(result.astype(np.int64), 0, ())
    return NumbersInText(result, round(n_missing), tuple(stray))


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


def _number(text: str) -> float | None:
    if "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _is_code(text: str) -> bool:
    return len(text) > 1 and text[0] == "0" and text.isdigit()


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isdecimal() and len(text) < 19
