"""Make columns of numbers and text from the cells of a CSV file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.tables.columns import LARGEST_EXACT
from pellucid.tables.conventions import (
    DELIMITERS_BESIDE_THOUSANDS,
    Conventions,
    NumberFormat,
    recognize_number_format,
    usual_mark,
)
from pellucid.tables.csv_file import TextTable
from pellucid.tables.missing_words import MISSING_TEXT, is_missing_word
from pellucid.tables.notation import difference, notation_of
from pellucid.tables.number_notation import (
    THOUSANDS,
    note_on_thousands,
    number_in,
    plain_number,
)
from pellucid.tables.strays import MOST_STRAY_TEXTS
from pellucid.tables.table import Column, Table
from pellucid.tables.text import clean_text, numbers_from_text

PLAIN, NOTHING_KNOWN = NumberFormat(), Conventions()
#: A column, and the format of its numbers if it is another than that of the table.
Typed = tuple[Column, NumberFormat | None]

#: The number format of a table is recognized from this many cells of each column, and from this
#: many columns: of those that seem to hold plain numbers and of the others.
CELLS_TO_JUDGE = 500
COLUMNS_TO_JUDGE = 50
#: Whether files write a column alike is recognized from this many cells of each.
CELLS_TO_COMPARE = 200
#: If this many cells of a column show that it holds text, it is not parsed.
CELLS_TO_TRY = 20
# Python parses these as numbers, but they are text or may be: 1_000, codes such as 01234 and 10E3.
_NOT_A_NUMBER = re.compile(r"_|^\s*(?:0\d+|\+\d{9,}|\d+E\d+)\s*$", re.MULTILINE)
_WHOLE = re.compile(r"[+-]?\d+")
_THREADS = 4
_SEPARATORS = {
    ",": "commas",
    ".": "points",
    " ": "blanks",
    "\u00a0": "blanks",
    "\u202f": "blanks",
    "'": "apostrophes",
}


def typed_table(
    text: TextTable,
    decimal: str | None = None,
    thousands: str | None = None,
    known: Conventions = NOTHING_KNOWN,
) -> Table:
    """Convert columns whose cells are all numbers or missing to numbers, all others to text.

    Parameters
    ----------
    text : TextTable
    decimal, thousands : str, optional
        How the numbers are written. By default, it is recognized from all columns if some of them
        are no plain numbers.
    known : Conventions
        How an earlier table was written: it decides where this one does not, column by column.
    """
    if decimal is not None or thousands is not None:
        known = Conventions(text=known.text)
    format = _format_told_or_seen(text, decimal, thousands, known)
    typed = typed_columns(text, format or PLAIN, known)
    if format is None and any(column.storage == "text" for column, _ in typed):
        format = _number_format(text, decimal, thousands, known)
        typed = typed if format == PLAIN else typed_columns(text, format, known)
    format = format or PLAIN
    is_told = decimal is not None and thousands is not None
    remarks = (remark_on(format),) if format != PLAIN and not is_told else ()
    exceptions = {column.name: Conventions(other) for column, other in typed if other is not None}
    return Table(
        tuple(column for column, _ in typed),
        conventions=Conventions(format, exceptions=exceptions, text=known.text),
        remarks=(*text.remarks, *remarks),
    )


def _format_told_or_seen(
    text: TextTable, decimal: str | None, thousands: str | None, known: Conventions
) -> NumberFormat | None:
    """Return the format of numbers; None if all of the few cells looked at are plain numbers."""
    if decimal is not None and thousands is not None:
        return NumberFormat(decimal, thousands)
    is_told = decimal is not None or thousands is not None or known != NOTHING_KNOWN
    if not is_told and all(map(_seems_plain, text.columns)):
        beside_thousands = text.delimiter in DELIMITERS_BESIDE_THOUSANDS
        if not (beside_thousands and any(map(_note_on_thousands, text.columns))):
            return None
    return _number_format(text, decimal, thousands, known)


def _number_format(
    text: TextTable, decimal: str | None, thousands: str | None, known: Conventions
) -> NumberFormat:
    """Recognize what is not told."""
    named = zip(text.names, text.columns, strict=True)
    columns = [c for name, c in named if name not in known.text | known.exceptions.keys()]
    plain = [_seems_plain(cells) for cells in columns]
    samples = (
        _sample(cells, CELLS_TO_JUDGE)
        for alike in (True, False)
        for cells in _evenly([c for c, p in zip(columns, plain, strict=True) if p is alike])
    )
    found = recognize_number_format(samples, known.numbers, text.delimiter)
    if decimal is None:
        decimal = {".": ",", ",": "."}.get(thousands or "", found.decimal)
    if thousands is None:
        thousands = found.thousands if found.decimal == decimal else ""
    return NumberFormat(decimal, thousands)


def _seems_plain(cells: Any) -> bool:
    """Return whether a few cells are all plain numbers or missing."""
    some = _sample(cells, CELLS_TO_TRY)
    return all(plain_number(cell) is not None or cell in MISSING_TEXT for cell in some)


def _note_on_thousands(cells: Any) -> tuple[str, ...]:
    """Tell of a point that may separate thousands, by a few cells of plain numbers."""
    few = [cell for cell in _sample(cells, CELLS_TO_TRY) if "." in cell]
    if not few or not all(map(THOUSANDS.fullmatch, few)):
        return ()
    return note_on_thousands(c for c in _sample(cells, CELLS_TO_JUDGE) if c not in MISSING_TEXT)


def are_written_alike(tables: Sequence[TextTable], known: Conventions = NOTHING_KNOWN) -> bool:
    """Return whether no two tables write the numbers or dates of a column differently."""
    marks = [usual_mark(table.delimiter) for table in tables]
    found = [dict(zip(table.names, table.columns, strict=True)) for table in tables]
    for name in set(tables[0].names).intersection(*found) - known.text:
        parts = [columns[name] for columns in found]
        if not all(map(_seems_plain, parts)):
            samples = [_sample(cells, CELLS_TO_COMPARE) for cells in parts]
            if difference(list(map(notation_of, samples, marks))) is not None:
                return False
    return True


def _evenly(columns: list[Any]) -> list[Any]:
    return columns[:: 1 + len(columns) // COLUMNS_TO_JUDGE]


def typed_columns(
    text: TextTable, format: NumberFormat, known: Conventions = NOTHING_KNOWN
) -> list[Typed]:
    """Convert the cells of each column; exceptions to the format of the table are known."""
    exceptions = {name: other.numbers for name, other in known.exceptions.items()}
    formats = [None if name in known.text else exceptions.get(name, format) for name in text.names]
    if all(isinstance(cells, list) for cells in text.columns):
        return list(map(typed_column, text.names, text.columns, formats))
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(typed_column, text.names, text.columns, formats))


def typed_column(name: str, cells: Any, format: NumberFormat | None) -> Typed:
    """Return a column of numbers if all cells that are not missing are numbers, else of text.

    Numbers that are written in another format than the table stay text, and their format is
    returned with them.

    Parameters
    ----------
    name : str
    cells : list of str, or pyarrow.ChunkedArray of str
    format : NumberFormat or None
        None if the cells are text, whatever they look like.
    """
    if isinstance(cells, list):
        if format is None:
            return Column(name, "text", clean_text(cells)), None
        numbers = _all_numbers(cells, format)
        if numbers is not None:
            return _numbers(name, numbers, cells, format), None
        return _typed(name, clean_text(cells), None, format)
    from pellucid.tables import arrow_cells

    numbers = None if format is None else arrow_cells.numbers(cells, format)
    if numbers is not None:
        return _numbers(name, numbers, cells, format), None
    text, codes = arrow_cells.texts(cells)
    counts = None if codes is None else np.bincount(codes, minlength=len(text)).astype(float)
    if format is None:
        return Column(name, "text", text if codes is None else text[codes]), None
    column, other = _typed(name, text, counts, format)
    return (column if codes is None else column.take(codes)), other


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
    text: npt.NDArray[np.object_],
    counts: npt.NDArray[np.float64] | None,
    format: NumberFormat,
) -> Typed:
    """Return what `typed_column` does; `counts` tells how often each cell occurs, if not once."""
    as_text = Column(name, "text", text)
    if _is_surely_text(text, format):
        return as_text, None
    present = [cell for cell in text.tolist() if cell is not None]
    numbers = _all_numbers(present, format, len(present) == len(text)) if present else None
    if numbers is not None:
        return _numbers(name, _with_missing(numbers, text), present, format), None
    read = numbers_from_text(text, counts, format)
    if read is None:
        return as_text, None
    if read.format.decimal != format.decimal:
        return as_text, read.format
    # What is understood beyond the format of the table is told where columns are recognized.
    if read.stray or read.words or not _is_plain(text, format):
        return as_text, None
    if _loses_digits(read.values, present, format):
        return as_text, None
    return Column(name, "number", read.values), None


def _numbers(
    name: str, values: npt.NDArray[Any], cells: Any, format: NumberFormat | None
) -> Column:
    """Return a column of numbers, with a note where they may be read otherwise."""
    may_be_whole = format == PLAIN and values.dtype.kind == "f"
    return Column(name, "number", values, notes=_note_on_thousands(cells) if may_be_whole else ())


def _is_surely_text(text: npt.NDArray[np.object_], format: NumberFormat) -> bool:
    """Return whether some cells show already that the column does not hold numbers."""
    some = set(text[:: 1 + len(text) // CELLS_TO_TRY].tolist()) - {None}
    others = [t for t in some if plain_number(format.plain(t)) is None and not is_missing_word(t)]
    return sum(number_in(t, ".") is number_in(t, ",") is None for t in others) > MOST_STRAY_TEXTS


def _is_plain(text: npt.NDArray[np.object_], format: NumberFormat) -> bool:
    cells = {cell for cell in text.tolist() if cell is not None}
    if any(cell.endswith("-") for cell in cells):
        return False
    used = set("".join(cells))
    return used <= set("0123456789+-eE. infatyINFATY" + format.decimal + format.thousands)


def _with_missing(numbers: npt.NDArray[Any], text: npt.NDArray[np.object_]) -> npt.NDArray[Any]:
    """Return the numbers of all cells that are not None, and NaN for the others."""
    if len(numbers) == len(text):
        return numbers
    values = np.full(len(text), np.nan)
    values[np.fromiter((cell is not None for cell in text), np.bool_, len(text))] = numbers
    return values


def _all_numbers(
    cells: list[str], format: NumberFormat, may_be_whole: bool = True
) -> npt.NDArray[Any] | None:
    """Parse numbers without missing values quickly; return None if slower parsing is needed."""
    if format != PLAIN:
        joined = "\n".join(cells)
        if _lines_of(format.pattern).fullmatch(joined) is None:
            return None
        joined = joined.replace(format.thousands, "") if format.thousands else joined
        written, cells = cells, joined.replace(format.decimal, ".").split("\n")
        if len(cells) != len(written):
            return None
    values = _parsed(cells, int, np.int64) if may_be_whole else None
    values = _parsed(cells, float, np.float64) if values is None else values
    if values is None or not np.isfinite(values).all() or _loses_digits(values, cells, PLAIN):
        return None
    return None if _NOT_A_NUMBER.search("\n".join(cells)) else values


def _loses_digits(values: npt.NDArray[Any], cells: list[str], format: NumberFormat) -> bool:
    """Return whether float64 does not tell whole numbers of so many digits apart."""
    if values.dtype.kind != "f" or not np.nanmax(np.abs(values)) >= LARGEST_EXACT:
        return False
    return all(_WHOLE.fullmatch(format.plain(cell.strip())) for cell in cells)


def _parsed(cells: list[str], parse: type, dtype: type) -> npt.NDArray[Any] | None:
    try:
        return np.fromiter(map(parse, cells), dtype, len(cells))
    except (ValueError, OverflowError):
        return None


@cache
def _lines_of(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{pattern}\n)*+{pattern}", re.ASCII)


def _sample(cells: Any, most: int) -> list[str]:
    """Return some cells, evenly spaced, without surrounding blanks."""
    some = cells[:: 1 + len(cells) // most]
    texts = some if isinstance(some, list) else some.to_pylist()
    return [text.strip() for text in texts]
