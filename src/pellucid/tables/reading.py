"""Read tables from CSV and Parquet files."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from pellucid.tables.columns import as_table
from pellucid.tables.conventions import Conventions, NumberFormat
from pellucid.tables.table import Column, Table, TableError
from pellucid.tables.text import clean_text, numbers_from_text

_TEXT_SUFFIXES = {"", ".csv", ".tsv", ".txt", ".data", ".test"}
_DELIMITERS = ",;\t|"
_ROWS_PER_CHUNK = 50_000
# Python parses these as numbers, but they are text: 1_000, or a code such as 01234.
_NOT_A_NUMBER = re.compile(r"_|^\s*0\d+\s*$", re.MULTILINE)


@dataclass(frozen=True)
class _Dialect:
    header: bool | None
    delimiter: str | None
    encoding: str | None
    comment: str | None
    numbers: NumberFormat


def read_table(
    path: str | Path,
    *,
    header: bool | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    comment: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
) -> Table:
    r"""Read a table from a CSV file (optionally gzipped) or a Parquet file.

    CSV needs no additional packages. The delimiter is detected: the most frequent one of comma,
    semicolon, tab and vertical bar in the first line. Empty cells and cells such as ``?``, ``NA``,
    ``NaN`` or ``null`` are missing values. Parquet needs pyarrow or polars.

    Parameters
    ----------
    path : str or Path
        ``.csv``, ``.tsv``, ``.txt``, ``.data``, any of these with ``.gz``, or ``.parquet``.
    header : bool, optional
        Whether the first line contains column names. Without names, the columns are called
        ``column_1``, ``column_2``, … By default, the first line must contain names, and an error is
        raised if it looks like data.
    delimiter : str, optional
        The character between cells. By default, it is recognized.
    encoding : str, optional
        The encoding of a text file, such as ``"latin-1"``. By default UTF-8.
    comment : str, optional
        What lines before the table begin with that are not part of it, such as ``"#"``.
    decimal : {".", ","}, optional
        The decimal mark of numbers. By default a point.
    thousands : str, optional
        What separates groups of three digits in numbers. By default nothing does.

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
    >>> _ = path.write_text("age,city\n31,Rome\n?,Oslo\n")
    >>> table = read_table(path)
    >>> table["age"].values
    array([31., nan])
    """
    path = Path(path)
    _check_is_file(path)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    gzipped = bool(suffixes) and suffixes[-1] == ".gz"
    suffix = (suffixes[:-1] if gzipped else suffixes)[-1:] or [""]
    if suffix[0] in {".parquet", ".pq"} and not gzipped:
        return _read_parquet(path)
    if suffix[0] in _TEXT_SUFFIXES or not suffix[0][1:].isalpha():
        numbers = NumberFormat(decimal or ".", thousands or "")
        return _read_csv(path, gzipped, _Dialect(header, delimiter, encoding, comment, numbers))
    raise TableError(
        f"{path}: cannot read {suffix[0]} files. Save the table as .csv, .csv.gz or .parquet."
    )


def _check_is_file(path: Path) -> None:
    if path.is_dir():
        raise TableError(f"{path} is a directory. Pass a CSV or Parquet file.")
    if not path.exists():
        beside = path.parent
        where = "" if beside.is_dir() else f" (the folder {beside} does not exist either)"
        raise TableError(f"{path}: there is no such file{where}. Check the path.")
    if path.is_file() and path.stat().st_size == 0:
        raise TableError(f"{path} is empty (0 bytes). Export the table again.")


def _read_parquet(path: Path) -> Table:
    try:
        frame = _parquet_frame(path)
    except (ImportError, TableError):
        raise
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error}.") from error
    except Exception as error:  # Libraries raise different exceptions for a broken file.
        raise TableError(f"{path} is not a Parquet file or is damaged: {error}") from error
    try:
        return as_table(frame)
    except (TableError, TypeError) as error:
        raise TableError(f"{path}: {error}") from error


def _parquet_frame(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        pass
    else:
        with path.open("rb") as file:
            return pyarrow.parquet.read_table(file)
    try:
        import polars
    except ImportError:
        raise TableError(
            f"{path}: reading Parquet needs pyarrow or polars. "
            "Install one with: pip install 'pellucid[tables]'"
        ) from None
    return polars.read_parquet(path)


def _read_csv(path: Path, gzipped: bool, dialect: _Dialect) -> Table:
    opener = gzip.open if gzipped else open
    encoding = dialect.encoding or "utf-8-sig"
    try:
        with opener(path, "rt", encoding=encoding, newline="") as file:
            return _parse_csv(file, path, dialect)
    except UnicodeDecodeError as error:
        raise TableError(
            f"{path} is not {dialect.encoding or 'UTF-8'} text "
            f"(byte {error.object[error.start]:#04x}). Save it as CSV in UTF-8."
        ) from error
    except LookupError as error:
        raise TableError(f"encoding={encoding!r}: Python knows no such encoding.") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TableError(f"{path} is not a complete gzip file: {error}") from error
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror or error}.") from error


def _parse_csv(file: TextIO, path: Path, dialect: _Dialect) -> Table:
    header, comment = dialect.header, dialect.comment
    first_line = file.readline()
    while first_line and (
        not first_line.strip() or (comment is not None and first_line.startswith(comment))
    ):
        first_line = file.readline()
    if not first_line:
        raise TableError(f"{path} contains only blank lines. Export the table again.")
    delimiter = dialect.delimiter or max(_DELIMITERS, key=first_line.count)
    reader = csv.reader(
        chain([first_line], file), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    rows = _checked_rows(reader, path)
    first = next(rows)
    names = _column_names(first, path, header)
    if header is False:
        rows = chain([first], rows)
    cells: list[list[Any]] = [[] for _ in names]
    while chunk := list(islice(rows, _ROWS_PER_CHUNK)):
        for column, part in zip(cells, zip(*chunk, strict=True), strict=True):
            column.extend(part)
    if not cells[0]:
        raise TableError(f"{path} has a header ({len(names)} columns) but no rows.")
    columns = tuple(_typed(n, cells.pop(0), dialect.numbers) for n in names)
    return Table(columns, conventions=Conventions(dialect.numbers))


def _checked_rows(reader: Any, path: Path) -> Iterator[list[str]]:
    """Yield all rows, skipping blank lines; raise if one has not as many cells as the first."""
    width = None
    line = 1
    try:
        for row in reader:
            if row:
                width = len(row) if width is None else width
                if len(row) != width:
                    raise TableError(
                        f"{path}, line {line}: {len(row)} cells, but the first line has {width}. "
                        "Correct this line. It may have a stray or missing delimiter or quote."
                    )
                yield row
            line = reader.line_num + 1
    except csv.Error as error:
        raise TableError(
            f"{path}, line {line}: broken CSV ({error}). "
            "Check for a quotation mark that is not closed or is in the middle of a cell."
        ) from error


def _column_names(first: list[str], path: Path, header: bool | None) -> list[str]:
    if header is False:
        return [f"column_{i + 1}" for i in range(len(first))]
    names = [cell.strip() for cell in first]
    n_numbers = sum(_is_number(name) for name in names)
    if header is None and 3 * n_numbers >= len(names):
        shown = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
        raise TableError(
            f"{path}: the first line looks like data, not like column names ({shown}). "
            "Use --no-header (header=False) if it is data, --header (header=True) if it is not."
        )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise TableError(
            f"{path}, line 1: more than one column is named {repeated[0]!r}. "
            "Give every column a unique name (or use --no-header if line 1 is data)."
        )
    return names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _typed(name: str, cells: list[str], format: NumberFormat) -> Column:
    """Return a column of numbers if all cells that are not missing are numbers, else of text."""
    if format != NumberFormat():
        plain = _typed(name, [format.plain(cell) for cell in cells], NumberFormat())
        return plain if plain.storage == "number" else Column(name, "text", clean_text(cells))
    numbers = _all_numbers(cells)
    if numbers is not None:
        return Column(name, "number", numbers)
    text = clean_text(cells)
    read = numbers_from_text(text)
    if read is not None and not read.stray:
        return Column(name, "number", read.values)
    return Column(name, "text", text)


def _all_numbers(cells: list[str]) -> npt.NDArray[Any] | None:
    """Parse numbers without missing values quickly; return None if slower parsing is needed."""
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
