"""Make columns of numbers and text from the cells of a CSV file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.tables.conventions import Conventions, NumberFormat, recognize_number_format
from pellucid.tables.csv_file import TextTable
from pellucid.tables.missing_words import MISSING_TEXT, is_missing_word
from pellucid.tables.number_notation import number_in
from pellucid.tables.table import Column, Table
from pellucid.tables.text import MOST_STRAY_TEXTS, clean_text, numbers_from_text

PLAIN = NumberFormat()
#: The number format of a table is recognized from this many cells of each column.
CELLS_TO_JUDGE = 2_000
#: If this many cells of a column show that it holds text, it is not parsed.
CELLS_TO_TRY = 20
# Python parses these as numbers, but they are text: 1_000, or a code such as 01234.
_NOT_A_NUMBER = re.compile(r"_|^\s*0\d+\s*$", re.MULTILINE)
_THREADS = 4
_SEPARATORS = {
    ",": "commas",
    ".": "points",
    " ": "blanks",
    "\u00a0": "blanks",
    "\u202f": "blanks",
    "'": "apostrophes",
}


def typed_table(text: TextTable, decimal: str | None = None, thousands: str | None = None) -> Table:
    """Convert columns whose cells are all numbers or missing to numbers, all others to text.

    Parameters
    ----------
    text : TextTable
    decimal, thousands : str, optional
        How the numbers are written. By default, it is recognized from all columns if some of them
        are no plain numbers.
    """
    is_told = decimal is not None and thousands is not None
    format = NumberFormat(decimal or ".", thousands or "") if is_told else PLAIN
    columns = typed_columns(text, format)
    remarks = text.remarks
    if not is_told and any(column.storage == "text" for column in columns):
        format = _number_format(text, decimal, thousands)
    if format != PLAIN and not is_told:
        columns = typed_columns(text, format)
        remarks = (*remarks, remark_on(format))
    return Table(tuple(columns), conventions=Conventions(format), remarks=remarks)


def _number_format(text: TextTable, decimal: str | None, thousands: str | None) -> NumberFormat:
    """Recognize what is not told."""
    found = recognize_number_format(map(_sample, text.columns))
    if decimal is None:
        decimal = {".": ",", ",": "."}.get(thousands or "", found.decimal)
    if thousands is None:
        thousands = found.thousands if found.decimal == decimal else ""
    return NumberFormat(decimal, thousands)


def typed_columns(text: TextTable, format: NumberFormat) -> list[Column]:
    """Convert the cells of each column; all numbers in the table are written in one format."""
    convert = partial(typed_column, format=format)
    if all(isinstance(cells, list) for cells in text.columns):
        return list(map(convert, text.names, text.columns))
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(convert, text.names, text.columns))


def typed_column(name: str, cells: Any, format: NumberFormat) -> Column:
    """Return a column of numbers if all cells that are not missing are numbers, else of text.

    Parameters
    ----------
    name : str
    cells : list of str, or pyarrow.ChunkedArray of str
    format : NumberFormat
    """
    if isinstance(cells, list):
        return _typed(name, cells, None, None, format)
    from pellucid.tables import arrow_cells

    numbers = arrow_cells.numbers(cells, format.decimal)
    if numbers is not None:
        return Column(name, "number", numbers)
    texts, codes = arrow_cells.texts(cells)
    if codes is None:
        return _typed(name, texts, _cleaned(texts), None, format)
    counts = np.bincount(codes, minlength=len(texts)).astype(np.float64)
    column = _typed(name, texts, _cleaned(texts), counts, format)
    return Column(name, column.storage, column.values[codes])


def remark_on(format: NumberFormat) -> str:
    """Tell how numbers are written.

    Examples
    --------
    >>> from pellucid.tables.conventions import NumberFormat
    >>> from pellucid.tables.text_columns import remark_on
    >>> remark_on(NumberFormat(",", "."))
    'numbers have a decimal comma, thousands are separated by points'
    """
    parts = ["numbers have a decimal comma"] if format.decimal == "," else []
    if format.thousands:
        separator = _SEPARATORS.get(format.thousands, repr(format.thousands))
        parts.append(f"thousands are separated by {separator}")
    return ", ".join(parts)


def _typed(
    name: str,
    cells: list[str],
    text: npt.NDArray[np.object_] | None,
    counts: npt.NDArray[np.float64] | None,
    format: NumberFormat,
) -> Column:
    """Return a column; `counts` tells how often each cell occurs, if not once."""
    numbers = _all_numbers(cells, format.decimal)
    if numbers is not None:
        return Column(name, "number", numbers)
    text = clean_text(cells) if text is None else text
    if _is_surely_text(text):
        return Column(name, "text", text)
    read = numbers_from_text(text, counts, format)
    # What is understood beyond digits and separators is told where columns are recognized.
    if read is not None and not read.stray and not read.words and _is_plain(text, format):
        return Column(name, "number", read.values)
    return Column(name, "text", text)


def _cleaned(cells: list[str]) -> npt.NDArray[np.object_]:
    """Do what `clean_text` does, in a column with few cells that are the same."""
    text = np.empty(len(cells), dtype=object)
    stripped = map(str.strip, cells)
    text[:] = [None if cell in MISSING_TEXT else cell for cell in stripped]
    return text


def _is_surely_text(text: npt.NDArray[np.object_]) -> bool:
    """Return whether some cells show already that the column does not hold numbers."""
    some = set(text[:: 1 + len(text) // CELLS_TO_TRY].tolist()) - {None}
    others = [t for t in some if not is_missing_word(t) and number_in(t, ".") is None]
    return sum(number_in(t, ",") is None for t in others) > MOST_STRAY_TEXTS


def _is_plain(text: npt.NDArray[np.object_], format: NumberFormat) -> bool:
    used = set("".join({cell for cell in text.tolist() if cell is not None}))
    return used <= set("0123456789+-eE. infatyINFATY" + format.decimal + format.thousands)


def _all_numbers(cells: list[str], decimal: str) -> npt.NDArray[Any] | None:
    """Parse numbers without missing values quickly; return None if slower parsing is needed."""
    if decimal != ".":
        if any("." in cell for cell in cells):
            return None
        cells = [cell.replace(decimal, ".") for cell in cells]
    values: npt.NDArray[Any]
    try:
        values = np.fromiter(map(int, cells), np.int64, len(cells))
    except (ValueError, OverflowError):
        try:
            values = np.fromiter(map(float, cells), np.float64, len(cells))
        except ValueError:
            return None
        if not np.isfinite(values).all():
            return None
    return None if _NOT_A_NUMBER.search("\n".join(cells)) else values


def _sample(cells: Any) -> Sequence[str | None]:
    """Return some cells, evenly spaced, without surrounding blanks."""
    some = cells[:: 1 + len(cells) // CELLS_TO_JUDGE]
    texts = some if isinstance(some, list) else some.to_pylist()
    return [text.strip() for text in texts]
