"""Read the cells of a CSV file as text."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, TextIO

from pellucid.tables.dialect import (
    BLANKS,
    CsvOptions,
    Dialect,
    evened_blanks,
    looks_like_number,
    recognize_dialect,
)
from pellucid.tables.encodings import as_utf8
from pellucid.tables.table import TableError

#: Smaller files are read faster than pyarrow is imported, and shorter columns than it begins.
_FEWEST_BYTES_FOR_ARROW, _FEWEST_LINES_FOR_ARROW = 1_000_000, 1_000
_ROWS_PER_CHUNK = 50_000


@dataclass(frozen=True)
class TextTable:
    """The cells of a table as they are written.

    Attributes
    ----------
    names : tuple of str
    columns : list
        The cells of each column: a list of str, or a pyarrow.ChunkedArray of str.
    remarks : tuple of str
    delimiter : str
        What separates the cells; empty if tables with different ones were joined.
    """

    names: tuple[str, ...]
    columns: list[Any]
    remarks: tuple[str, ...] = ()
    delimiter: str = ""


def read_csv(data: bytes, name: str, options: CsvOptions) -> TextTable:
    """Read the cells of a CSV file.

    Parameters
    ----------
    data : bytes
    name : str
        What errors call the file.
    options : CsvOptions

    Raises
    ------
    TableError
        If the file is not a table. The message names the line.
    """
    data, remarks = as_utf8(data, name, options.encoding)
    dialect = recognize_dialect(data, name, options)
    rows = NumberedRows(data, dialect, name)
    names = column_names(rows, name, options)
    columns = None
    if is_large(data):
        columns = _read_fast(data, dialect, rows, len(names))
    if columns is None:
        columns = read_plainly(rows, len(names))
    if not len(columns[0]):
        raise TableError(f"{name} has a header ({len(names)} columns) but no rows.")
    if dialect.delimiter == BLANKS != options.delimiter:
        remarks = (*remarks, "blanks separate the cells")
    if dialect.has_row_names:
        remarks = (*remarks, "the first column has no name in the first line: names of rows")
    n_comments = dialect.n_comments + rows.n_comments
    if n_comments:
        lines = "comment line" if n_comments == 1 else "comment lines"
        remarks = (*remarks, f"{n_comments:,} {lines} skipped")
    names, columns, remark = usable_columns(names, columns, name, options.needed)
    delimiter = dialect.delimiter if len(names) > 1 else ""
    return TextTable(names, columns, (*remarks, *remark), delimiter)


def is_large(data: bytes) -> bool:
    """Return whether pyarrow reads a file faster than the csv module."""
    is_long = len(data) >= _FEWEST_BYTES_FOR_ARROW
    return is_long and data.count(b"\n") >= _FEWEST_LINES_FOR_ARROW


def usable_columns(
    names: tuple[str, ...], columns: list[Any], name: str, needed: Collection[str] | None
) -> tuple[tuple[str, ...], list[Any], tuple[str, ...]]:
    """Leave out columns without name and values, and with the same name if they are not needed.

    Spreadsheets write the former. What is left out of the latter is told in a remark.
    """

    def has_values(cells: Any) -> bool:
        different = cells if isinstance(cells, list) else cells.unique().to_pylist()
        return any(cell is not None and str(cell).strip() for cell in different)

    named = zip(names, columns, strict=True)
    kept = [(n, cells) for n, cells in named if n or has_values(cells)]
    if not kept:
        raise TableError(f"{name} has neither names nor values. Export the table again.")
    repeated = check_names([n for n, _ in kept], name, needed)
    if repeated:
        kept = [(n, cells) for n, cells in kept if n not in repeated]
        shown = ", ".join(map(repr, repeated[:5])) + (", …" if len(repeated) > 5 else "")
        remark = (f"columns left out, as several have the same name: {shown}",)
    return tuple(n for n, _ in kept), [cells for _, cells in kept], remark if repeated else ()


class NumberedRows:
    """Iterate over the rows of a CSV file; blank lines and comments are skipped.

    Attributes
    ----------
    line : int
        The line at which the row that came last begins, counted from 1.
    next_line : int
        The line after this row, at which the next one begins.
    n_comments : int
        Number of comment lines skipped so far.
    """

    def __init__(self, data: bytes, dialect: Dialect, name: str) -> None:
        file = io.BytesIO(data)
        file.seek(dialect.start)
        self.dialect = dialect
        self._reader = csv.reader(
            self._lines(io.TextIOWrapper(file, "utf-8", newline=""), dialect.comment),
            delimiter=dialect.delimiter,
            skipinitialspace=True,
            strict=True,
        )
        self._name = name
        self._width = 0 if dialect.names is None else len(dialect.names)
        self._first_line = dialect.names_line or dialect.line
        self._pushed_back: list[list[str]] = []
        self._between_rows = True
        self.line = self.next_line = dialect.line
        self.n_comments = 0

    def __iter__(self) -> Iterator[list[str]]:
        return chain(self._take_back(), self._rows())

    def push_back(self, row: list[str]) -> None:
        """Let the iteration begin with the first row, which was taken from it."""
        self._pushed_back.append(row)
        self.next_line = self.line

    def _take_back(self) -> Iterator[list[str]]:
        while self._pushed_back:
            yield self._pushed_back.pop()

    def _lines(self, file: TextIO, comment: str | None) -> Iterator[str]:
        """Yield the lines that are no comments; a row may have several."""
        for number, line in enumerate(file, self.dialect.line):
            if self._between_rows:
                if comment is not None and line.startswith(comment):
                    self.n_comments += 1
                    continue
                self._between_rows = False
                self.line = number
            self.next_line = number + 1
            yield line if self.dialect.delimiter != BLANKS else evened_blanks(line)

    def _rows(self) -> Iterator[list[str]]:
        try:
            for row in self._reader:
                self._between_rows = True
                if self.dialect.has_row_names and not self._width:
                    row.insert(0, "")
                if len(row) != self._width:
                    if self._is_blank(row):
                        continue
                    self._check_width(row)
                yield row
        except csv.Error as error:
            raise TableError(
                f"{self._name}, line {self.line}: broken CSV ({error}). "
                "Check for a quotation mark that is not closed or is in the middle of a cell."
            ) from error

    def _is_blank(self, row: list[str]) -> bool:
        return not row or (self._width > 1 and len(row) == 1 and not row[0].strip())

    def _check_width(self, row: list[str]) -> None:
        self._width = self._width or len(row)
        if len(row) != self._width:
            cells = "1 cell" if len(row) == 1 else f"{len(row)} cells"
            first = "the first line" if self._first_line == 1 else f"line {self._first_line}"
            way_out = "It may have a stray or missing delimiter or quote."
            if self._width == 1:
                way_out = (
                    "If the table begins later, delete the lines before it. If its cells are not "
                    f"separated by {self.dialect.delimiter!r}, give the delimiter (--delimiter)."
                )
            raise TableError(
                f"{self._name}, line {self.line}: {cells}, but {first} has {self._width}. "
                f"Correct this line. {way_out}"
            )


def column_names(rows: NumberedRows, name: str, options: CsvOptions) -> tuple[str, ...]:
    """Take the names of the columns from the first row, or make them if it is data."""
    if rows.dialect.names is not None and options.header is not False:
        names, line = rows.dialect.names, rows.dialect.names_line
    else:
        first = next(iter(rows))
        if options.header is False:
            rows.push_back(first)
            return generated_names(len(first))
        names, line = tuple(cell.strip() for cell in first), rows.line
        if options.header is None:
            check_not_data(names, name)
    check_names([name for name in names if name], f"{name}, line {line}", options.needed)
    return names


def generated_names(n_columns: int) -> tuple[str, ...]:
    """Return the names of columns in a table without names."""
    return tuple(f"column_{i + 1}" for i in range(n_columns))


def check_not_data(names: tuple[str, ...], name: str) -> None:
    """Raise TableError if the names of columns look like data."""
    if 3 * sum(map(looks_like_number, names)) >= len(names):
        shown = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
        raise TableError(
            f"{name}: the first line looks like data, not like column names ({shown}). "
            "Use --no-header (header=False) if it is data, --header (header=True) if it is not."
        )


def check_names(
    names: Sequence[str], place: str, needed: Collection[str] | None = None
) -> tuple[str, ...]:
    """Return the names of more than one column; raise TableError if one of them is needed."""
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    refused = [name for name in repeated if needed is None or name in needed]
    if refused:
        raise TableError(
            f"{place}: more than one column is named {refused[0]!r}. "
            "Give every column a unique name (or use --no-header if this line is data)."
        )
    return tuple(repeated)


def read_plainly(rows: NumberedRows, n_columns: int) -> list[Any]:
    """Read all rows without further packages: a list of str for each column."""
    cells: list[list[str]] = [[] for _ in range(n_columns)]
    remaining = iter(rows)
    while chunk := list(islice(remaining, _ROWS_PER_CHUNK)):
        for column, part in zip(cells, zip(*chunk, strict=True), strict=True):
            column.extend(part)
    return cells


def _read_fast(
    data: bytes, dialect: Dialect, rows: NumberedRows, n_columns: int
) -> list[Any] | None:
    """Read all rows with pyarrow; return None if it is missing or could read them differently."""
    try:
        from pellucid.tables import arrow_csv
    except ImportError:
        return None
    return arrow_csv.read_columns(data, dialect, rows.next_line, n_columns)
