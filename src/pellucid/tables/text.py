"""Clean the cells of text columns, and parse them as numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.tables.conventions import NumberFormat, may_be_lists
from pellucid.tables.missing_words import MISSING_TEXT, missing_words
from pellucid.tables.number_notation import (
    LIKE_A_NUMBER,
    NumberAsText,
    WrittenNumber,
    are_grades,
    decimal_mark,
    mixture_of_units,
    note_on_thousands,
    notes_on,
    written_number,
)
from pellucid.tables.number_shapes import NumberShape, hold_addresses, hold_codes, shapes_of
from pellucid.tables.row_weights import Weights, counts_of
from pellucid.tables.strays import are_few, are_too_many, show_another_kind
from pellucid.tables.table import TableError

PLAIN_NUMBERS = NumberFormat()
#: If so many texts show that a column holds no numbers, the others are not looked at.
FEW_TEXTS = 100


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
    mixture : str
        How many cells have which unit, if only some have a percent sign, or currencies differ.
    """

    values: npt.NDArray[Any]
    n_blank: int
    stray: tuple[str, ...]
    words: tuple[str, ...] = ()
    format: NumberFormat = PLAIN_NUMBERS
    notes: tuple[str, ...] = ()
    mixture: str = ""


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
        different: set[Any] = set(cells)
        if set(map(type, different)) == {str}:
            stripped = {cell: cell.strip() for cell in different}
            cleaned = {c: None if s in MISSING_TEXT else s for c, s in stripped.items()}
        else:
            cleaned = {cell: _clean_cell(cell) for cell in different}
    except TypeError as error:
        odd = next(cell for cell in cells if cell.__hash__ is None or isinstance(cell, _NO_CELLS))
        raise TypeError(
            "the argument must be a string or a number in every cell of a table, got a "
            f"{type(odd).__name__}: {_shortened(odd)}. Split it into several columns or drop it."
        ) from error
    result = np.empty(len(cells), dtype=object)
    result[:] = [cleaned[cell] for cell in cells]
    return result


_NO_CELLS = (tuple, frozenset, complex, np.complexfloating)


def _shortened(cell: object) -> str:
    shown = " ".join(repr(cell).split())
    return shown if len(shown) <= 60 else f"{shown[:59]}…"


def text_of_number(value: float | np.integer[Any] | np.floating[Any]) -> str:
    """Format a number so that 3, 3.0 and "3" are the same category; whole numbers are exact."""
    if isinstance(value, int | np.integer):
        return str(int(value))
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
    except ArithmeticError:  # A signaling NaN of decimal.
        return True


def _clean_cell(cell: object) -> str | None:
    if isinstance(cell, bytes):
        try:
            cell = cell.decode()
        except UnicodeDecodeError as error:
            raise TableError(f"{_shortened(cell)} is not UTF-8 text; decode it first.") from error
    if isinstance(cell, str):
        stripped = cell.strip()
        return None if stripped in MISSING_TEXT else str(stripped)
    if is_missing(cell):
        return None
    if isinstance(cell, bool | np.bool_):
        return str(bool(cell))
    if isinstance(cell, int | float | np.integer | np.floating):
        text = text_of_number(cell)
        return NumberAsText(text) if "." in text else text
    if isinstance(cell, _NO_CELLS):
        raise TypeError("no cell")
    return NumberAsText(cell) if isinstance(cell, Decimal) else _clean_cell(str(cell))


def numbers_from_text(
    values: npt.NDArray[np.object_],
    weights: Weights = None,
    format: NumberFormat = PLAIN_NUMBERS,
    *,
    certain: bool = False,
) -> NumbersInText | None:
    """Parse a cleaned text column as numbers; return None if it does not contain numbers.

    The decimal mark is the one with which more cells are numbers, else that of `format`. Separators
    of thousands, signs of currencies, percent signs and the parentheses of negative amounts are
    taken off. Words for a missing value, such as "-" or "n.a.", are missing. A few other cells
    ("see below") are allowed and treated as missing: at most 5 % of the column and 3 different
    texts, or at most 20 % if the column has more than 20 different numbers, 10 for each of these
    texts.

    Codes stay text: digits with a leading zero ("01234"), phone numbers ("+4930123456"), and 10E3
    in more than a few cells of a column without other exponents, such as 1E+05, 1.0E5 or 1e5. So
    do lists and versions: 1.2 and 1,2 are none if more than 1 % of the cells are as 1.2.3 or 1,2,3.
    So do grades such as 1, 1- and 2: a minus behind numbers of a single digit only. And 1, 3 and
    1,3 if `format` has a decimal point, and all numbers with a comma are such pairs of others.

    Parameters
    ----------
    values : ndarray of object, shape (n,)
        Result of :func:`clean_text`.
    weights : ndarray of float64, shape (n,), optional
        Number of rows that each cell counts for.
    format : NumberFormat
        How the table writes numbers.
    certain : bool
        Whether the column is known to hold numbers. Any number of other cells are then allowed,
        and codes are numbers.

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
    words = missing_words(counts)
    n_missing += sum(counts.pop(text) for text in words)
    shapes = _shapes_of_numbers(counts, certain)
    found = shapes and _numbers_of(shapes, counts, format, certain)
    if not shapes or not found:
        return None
    numbers, format, notes, mixture = found
    has_stray = len(numbers) < len(counts)
    stray = tuple(text for text in counts if text not in numbers) if has_stray else ()
    if not numbers or not (certain or are_few(stray, counts)):
        return None
    if stray and not certain and _are_lists(numbers, format.decimal, stray, counts):
        return None
    if not n_missing and not stray and all(shape.is_whole(format.decimal) for shape in shapes):
        exact = {t: n for s in shapes for t, n in zip(s.texts, s.whole_values(), strict=True)}
        result = np.fromiter(map(exact.__getitem__, values), np.int64, len(values))
    else:
        read: dict[Any, float] = {**numbers, **dict.fromkeys([None, *words, *stray], np.nan)}
        result = np.fromiter(map(read.__getitem__, values), np.float64, len(values))
    return NumbersInText(result, round(n_missing), stray, words, format, notes, mixture)


def _shapes_of_numbers(counts: dict[str, float], certain: bool) -> list[NumberShape] | None:
    """Return the shapes of all texts; None if these are codes, or too many are no numbers."""
    texts = list(counts)
    if not certain and _are_no_numbers(shapes_of(texts[:FEW_TEXTS]), counts):
        return None
    shapes = shapes_of(texts)
    if not certain and (_are_no_numbers(shapes, counts) or hold_codes(shapes, counts)):
        return None
    return shapes


def _are_no_numbers(shapes: list[NumberShape], counts: dict[str, float]) -> bool:
    n_others = 0
    for shape in shapes:
        n_others += 0 if shape.is_number else len(shape.texts)
        if shape.is_code or are_too_many(n_others, counts):
            return True
    return False


def _are_lists(
    numbers: Iterable[str], decimal: str, stray: Sequence[str], counts: Mapping[str, float]
) -> bool:
    """Return whether numbers with this decimal mark are lists or versions, as the others are."""
    if not any(decimal in text for text in numbers):
        return False
    others = {text: counts[text] for text in stray if decimal in text}
    return show_another_kind(others, sum(counts.values()), LIKE_A_NUMBER)


def _numbers_of(
    shapes: list[NumberShape], counts: dict[str, float], format: NumberFormat, certain: bool
) -> tuple[dict[str, float], NumberFormat, tuple[str, ...], str] | None:
    """Return the number in each text, their format, notes and mixture; None for codes."""
    plain = [shape for shape in shapes if shape.is_plain]
    numbers = {t: v for s in plain for t, v in zip(s.texts, s.plain_values(), strict=True)}
    if all(shape.is_plain or shape.written is None for shape in shapes) and format.decimal == ".":
        return numbers, format, note_on_thousands(numbers), ""
    written = [
        (shape, shape.written, sum(map(counts.__getitem__, shape.texts)))
        for shape in sorted(shapes, key=lambda shape: shape.is_plain)
        if shape.written is not None
    ]
    if not certain and are_grades(number for _, number, _ in written):
        return None
    if not certain and hold_addresses([shape for shape, _, _ in written]):
        return None
    mark = decimal_mark((number, n) for _, number, n in written)
    if not certain and mark == "," != format.decimal and may_be_lists(_numbers_in(shapes)):
        return None
    decimal = mark or format.decimal
    used = []
    for shape, number, n in written:
        values = shape.values(decimal)
        if values is not None:
            used.append((shape.texts[0], number, n))
            numbers.update(zip(shape.texts, values, strict=True))
        else:
            for text in shape.texts:
                numbers.pop(text, None)
    separators = {number.separator(decimal) for _, number, _ in used} - {""}
    if mark is not None or separators:
        thousands = format.thousands if format.thousands in separators else ""
        format = NumberFormat(decimal, thousands or min(separators, default=""))
    notes = notes_on([number for _, number, _ in used], decimal, separators, mark is None)
    mixture = mixture_of_units(used)
    notes += (f"units are mixed: {mixture}",) if mixture else ()
    return numbers, format, notes, mixture


def _numbers_in(shapes: Iterable[NumberShape]) -> Iterator[WrittenNumber]:
    for text in chain.from_iterable(shape.texts for shape in shapes):
        number = written_number(text)
        if number is not None:
            yield number
