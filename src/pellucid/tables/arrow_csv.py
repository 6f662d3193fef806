"""Read the cells of a CSV file with pyarrow where it reads the same as the csv module."""

from __future__ import annotations

import codecs

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pellucid.tables.dialect import BLANKS, Dialect

_QUOTE, _NEWLINE, _RETURN = b'"\n\r'
#: The csv module raises an error for longer cells.
_MOST_CHARACTERS = 131_072
_BYTES_PER_BLOCK = 4_000_000
#: Quotation marks are looked at in blocks of this size, which fit in the cache.
_BYTES_TO_LOOK_AT = 250_000


def read_columns(
    data: bytes, dialect: Dialect, line: int, n_columns: int
) -> list[pa.ChunkedArray] | None:
    """Return the cells of each column; None if pyarrow may read them differently.

    That is the case for quotation marks elsewhere than around a cell, for carriage returns that are
    line ends, for blanks as delimiters, and where pyarrow raises an error: the csv module then
    names the line.

    Parameters
    ----------
    data : bytes
        The file in UTF-8.
    dialect : Dialect
    line : int
        The line at which the rows begin, counted from 1.
    n_columns : int
    """
    delimiter = dialect.delimiter
    if n_columns < 2 or not delimiter.isascii() or delimiter == BLANKS:
        return None
    if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
        return None
    start = _start_of_line(data, dialect, line)
    if dialect.comment is not None and b"\n" + dialect.comment.encode() in data[start - 1 :]:
        return None
    if data.startswith(codecs.BOM_UTF8, start):
        return None  # pyarrow skips it, but here it is a part of the first cell.
    quoted = _quoting(np.frombuffer(data, np.uint8)[start:], ord(delimiter))
    if quoted == "irregular":
        return None
    names = [str(i) for i in range(n_columns)]
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(pa.py_buffer(data).slice(start)),
            pyarrow.csv.ReadOptions(column_names=names, block_size=_BYTES_PER_BLOCK),
            pyarrow.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=quoted == "with line ends"
            ),
            pyarrow.csv.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    columns = [table.column(i) for i in range(n_columns)]
    longest = max((pc.max(pc.binary_length(c)).as_py() or 0 for c in columns), default=0)
    return columns if longest <= _MOST_CHARACTERS else None


def _start_of_line(data: bytes, dialect: Dialect, line: int) -> int:
    start = dialect.start
    for _ in range(line - dialect.line):
        start = data.find(b"\n", start) + 1 or len(data)
    return start


def _quoting(text: npt.NDArray[np.uint8], delimiter: int) -> str:
    """Return "regular", "with line ends" in quoted cells, or "irregular".

    Quoting is regular if every quotation mark that opens a cell follows a delimiter or line end,
    every one that closes it precedes one, and all others are doubled.
    """
    beside = np.zeros(256, np.bool_)
    beside[[delimiter, _NEWLINE, _RETURN, _QUOTE]] = True
    n_quotes, has_line_ends = 0, False
    for start in range(0, len(text), _BYTES_TO_LOOK_AT):
        block = text[start : start + _BYTES_TO_LOOK_AT]
        quotes = np.flatnonzero(block == _QUOTE)
        if not has_line_ends:
            ends = np.flatnonzero(block == _NEWLINE)
            has_line_ends = bool(((np.searchsorted(quotes, ends) + n_quotes) % 2).any())
        places = quotes + start
        opening, closing = places[n_quotes % 2 :: 2], places[1 - n_quotes % 2 :: 2]
        before = text.take(opening[opening > 0] - 1)
        after = text.take(closing[closing < len(text) - 1] + 1)
        if not (beside.take(before).all() and beside.take(after).all()):
            return "irregular"
        n_quotes += len(quotes)
    if n_quotes % 2:
        return "irregular"
    return "with line ends" if has_line_ends else "regular"
