"""Read tables from files of many formats."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from glob import glob
from pathlib import Path

from pellucid.tables import other_formats
from pellucid.tables.conventions import Conventions
from pellucid.tables.csv_file import NumberedRows, TextTable, column_names, read_csv
from pellucid.tables.databases import (
    DatabaseTable,
    packed_database_error,
    parse_address,
    read_database,
)
from pellucid.tables.dialect import CsvOptions, recognize_dialect
from pellucid.tables.encodings import as_utf8
from pellucid.tables.files import STANDARD_INPUT, Content, read_content
from pellucid.tables.joining import join_tables, join_text_tables
from pellucid.tables.table import Table, TableError
from pellucid.tables.text_columns import are_written_alike, typed_table

#: A file, folder, address of a database table, or several of these.
TablePath = str | Path | Sequence[str | Path]

_PATTERN = re.compile(r"[*?\[]")
_ARFF = re.compile(rb"(?:[ \t\r]*(?:%[^\n]*)?\n)*+[ \t]*@relation\b", re.IGNORECASE)


def read_table(
    path: TablePath,
    *,
    header: bool | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    comment: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    conventions: Conventions | None = None,
    needed: Collection[str] | None = None,
) -> Table:
    r"""Read a table from one or more files.

    CSV, SQLite, JSON lines and ARFF need no additional packages, Parquet and Arrow need pyarrow or
    polars, Excel needs openpyxl, DuckDB needs duckdb. Large CSV files are read several times faster
    if pyarrow is installed. Compressed files (gzip, bzip2, xz, zstd, zip) are unpacked. What is in
    the file counts, not its name.

    Of a CSV file, the encoding, the delimiter, comment lines before the table and the format of
    numbers are recognized. Empty cells and cells such as ``?``, ``NA``, ``NaN`` or ``null`` are
    missing values. `Table.remarks` tells what is unusual, such as an encoding other than UTF-8.

    Parameters
    ----------
    path : str or Path, or a sequence of these
        A file; ``"-"`` for standard input; a folder or a pattern such as ``"sales-*.csv"``, whose
        files are joined in the order of their names; ``"sqlite:///file.db#table"`` or
        ``"duckdb:///file.duckdb#table"``; ``"book.xlsx#sheet"``. Several files need to have the
        same columns.
    header : bool, optional
        Whether the first line contains column names. Without names, the columns are called
        ``column_1``, ``column_2``, … By default, the first line must contain names, and an error is
        raised if it looks like data.
    delimiter : str, optional
        The character between cells; a blank stands for any number of blanks and tabs. By default,
        that of comma, semicolon, tab, vertical bar and blank which cuts the first lines into the
        same number of cells.
    encoding : str, optional
        The encoding of a text file, such as ``"cp1252"``. By default, that of a byte order mark,
        else UTF-8, else Windows-1252 or Latin-1.
    comment : str, optional
        Skip all lines that begin with this. By default, lines before the table that begin with
        ``#`` are skipped, unless the last of them holds the column names.
    decimal : {".", ","}, optional
        The decimal mark of numbers.
    thousands : str, optional
        What separates groups of three digits in numbers; empty if nothing does.
    conventions : Conventions, optional
        Those of an earlier table, such as ``encoder_.conventions_`` of a model. Numbers that can be
        read in two ways, such as 1.234, are read as there.
    needed : collection of str, optional
        The columns that are needed, by default all. Others are left out if several have the same
        name, which is an error by default.

    Returns
    -------
    Table

    Raises
    ------
    TableError
        If the file cannot be read. The message names the file, the line if known, and what to do.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from pellucid.tables import read_table
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "people.csv"
    >>> _ = path.write_text("# from the town hall\nage;height;city\n31;1,75;Rome\n?;1,81;Oslo\n")
    >>> table = read_table(path)
    >>> table["height"].values
    array([1.75, 1.81])
    >>> table.remarks
    ('1 comment line skipped', 'numbers have a decimal comma')
    """
    check_marks(decimal, thousands)
    known = Conventions() if conventions is None else conventions
    is_told = decimal is not None or thousands is not None
    options = CsvOptions(header, delimiter, encoding, comment, needed)
    sources = list(_sources(path))
    names = [str(source) for source in sources]
    found = [_read(source, options) for source in sources]
    texts = [table for table in found if isinstance(table, TextTable)]
    is_csv = len(texts) == len(found)
    if is_csv and (is_told or len(texts) == 1 or are_written_alike(texts, known)):
        return typed_table(join_text_tables(names, texts), decimal, thousands, known)
    return join_tables(names, [_typed(table, decimal, thousands, known) for table in found])


def places_of_rows(
    path: TablePath,
    rows: Iterable[int],
    *,
    header: bool | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    comment: str | None = None,
) -> list[str]:
    r"""Return where rows of a table are in its files, for use in error messages.

    Parameters
    ----------
    path, header, delimiter, encoding, comment
        What :func:`read_table` read the table with.
    rows : iterable of int
        Numbers of rows in the table, counted from 0.

    Returns
    -------
    list of str
        The line of each row, and its file if there are several. Blank lines, comments and line ends
        in quoted cells are counted. In a file that is not CSV, it is the number of the row.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from pellucid.tables import places_of_rows
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "people.csv"
    >>> _ = path.write_text("age,city\n31,Rome\n\n?,Oslo\n")
    >>> places_of_rows(path, [0, 1])
    ['line 2', 'line 4']
    """
    options = CsvOptions(header, delimiter, encoding, comment, needed=())
    wanted = list(rows)
    if str(path) == STANDARD_INPUT:
        return [f"row {row + 1:,}" for row in wanted]
    sources = list(_sources(path))
    places: dict[int, str] = {}
    before = 0
    for source in sources:
        lines, what = _lines_of_rows(source, options)
        file = f"{source}, " if len(sources) > 1 else ""
        for row in wanted:
            if before <= row < before + len(lines):
                places[row] = f"{file}{what} {lines[row - before]:,}"
        before += len(lines)
    return [places[row] for row in wanted]


def files_of(path: str | Path) -> list[Path]:
    """Return the files that a path of a table names; a folder stands for itself.

    Examples
    --------
    >>> from pellucid.tables.reading import files_of
    >>> [str(file) for file in files_of("sqlite:///sales.db#orders")]
    ['sales.db']
    """
    address = parse_address(str(path))
    if address is not None:
        return [address.path]
    if Path(path).exists():
        return [Path(path)]
    if _PATTERN.search(str(path)):
        return [file for file in map(Path, sorted(glob(str(path)))) if file.is_file()]
    return [_file_and_sheet(path)[0]]


def _file_and_sheet(path: str | Path) -> tuple[Path, str | None]:
    """Part the name of a sheet or table from the path of an Excel file or database."""
    file, mark, sheet = str(path).rpartition("#")
    is_sheet = mark and not Path(path).exists() and Path(file).is_file()
    return (Path(file), sheet) if is_sheet else (Path(path), None)


def _sources(path: TablePath) -> Iterator[str | Path]:
    """Yield the files of a path; those of a folder or pattern in the order of their names."""
    if not isinstance(path, str | Path):
        for part in path:
            yield from _sources(part)
        return
    place = Path(path)
    if place.is_dir() and str(path) != STANDARD_INPUT:
        files = [
            p
            for p in sorted(place.iterdir())
            if p.is_file() and p.name[0] not in "._" and p.suffix.lower() != ".pellucid"
        ]
        if not files:
            raise TableError(
                f"The folder {path} holds no files. Pass a file, or a folder of files."
            )
        yield from files
    elif _PATTERN.search(str(path)) and not place.exists() and not parse_address(str(path)):
        files = files_of(path)
        if not files:
            raise TableError(f"There is no file whose path matches {path}. Check the pattern.")
        yield from files
    else:
        yield path


def _read(source: str | Path, options: CsvOptions) -> TextTable | Table:
    """Read a file; of a CSV file the text, as the type of a column depends on all files."""
    address = parse_address(str(source))
    if address is not None:
        return read_database(address)
    file, sheet = _file_and_sheet(source)
    content = read_content(file)
    if content.kind == "excel":
        return other_formats.read_excel(content, sheet, options)
    if content.kind in {"sqlite", "duckdb"}:
        if not file.is_file() or file.stat().st_size != len(content.data):
            raise packed_database_error(content.name, content.kind)
        return read_database(DatabaseTable(content.kind, file, sheet))
    if sheet is not None:
        raise TableError(
            f"{source}: {file} has no parts such as {sheet!r}; only Excel files and databases "
            f"have. Pass {file}."
        )
    if content.kind in _BINARY:
        return _BINARY[content.kind](content)
    if _is_json(content):
        text, _ = as_utf8(content.data, content.name, options.encoding)
        return other_formats.read_json(text.decode(), content.name)
    if content.suffix == ".arff" or _ARFF.match(content.data):
        text, _ = as_utf8(content.data, content.name, options.encoding)
        return other_formats.read_arff(text.decode(), content.name)
    return read_csv(content.data, content.name, options)


def _is_json(content: Content) -> bool:
    if content.suffix in other_formats.JSON_SUFFIXES:
        return True
    return re.match(rb'\s*(?:\[\s*)?\{\s*"[^"\n]*"\s*:', content.data) is not None


def _typed(
    found: TextTable | Table, decimal: str | None, thousands: str | None, known: Conventions
) -> Table:
    if isinstance(found, TextTable):
        return typed_table(found, decimal, thousands, known)
    return found


def check_marks(decimal: str | None, thousands: str | None) -> None:
    """Raise TableError for marks that no number can have."""
    if decimal not in (None, ".", ","):
        raise TableError(f"decimal must be '.' or ',', got {decimal!r}.")
    if thousands is not None and (len(thousands) > 1 or thousands.isalnum()):
        raise TableError(f"thousands must be one character or empty, got {thousands!r}.")
    if decimal is not None and decimal == thousands:
        raise TableError(f"decimal and thousands must differ, got {decimal!r} for both.")


def _lines_of_rows(source: str | Path, options: CsvOptions) -> tuple[Sequence[int], str]:
    """Return the line of each row, or its number, and which of them it is."""
    table = _read(source, options)
    if not isinstance(table, TextTable):
        return range(1, len(table) + 1), "row"
    content = read_content(source)
    data, _ = as_utf8(content.data, content.name, options.encoding)
    rows = NumberedRows(data, recognize_dialect(data, content.name, options), content.name)
    column_names(rows, content.name, options)
    return [rows.line for _ in rows], "line"


_BINARY = {
    "parquet": other_formats.read_parquet,
    "arrow": other_formats.read_arrow,
    "feather": other_formats.read_arrow,
}
