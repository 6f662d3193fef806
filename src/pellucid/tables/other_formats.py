"""Read tables from files that are not CSV: Parquet, Arrow, JSON lines, Excel, ARFF."""

from __future__ import annotations

import datetime
import io
import json
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from pellucid.tables.columns import as_table, column_from_values
from pellucid.tables.csv_file import check_not_data, generated_names, usable_columns
from pellucid.tables.dialect import CsvOptions
from pellucid.tables.files import Content
from pellucid.tables.table import Column, Table, TableError

JSON_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson"})


def read_parquet(content: Content) -> Table:
    """Read a Parquet file with pyarrow or polars."""

    def with_pyarrow() -> Any:
        import pyarrow.parquet

        return _valid(pyarrow.parquet.read_table(pyarrow.BufferReader(content.data)))

    def with_polars() -> Any:
        import polars

        return polars.read_parquet(io.BytesIO(content.data))

    return _read_frame(content, "a Parquet file", (with_pyarrow, with_polars))


def read_arrow(content: Content) -> Table:
    """Read an Arrow (Feather) file with pyarrow or polars."""

    def with_pyarrow() -> Any:
        import pyarrow.feather

        return _valid(pyarrow.feather.read_table(pyarrow.BufferReader(content.data)))

    def with_polars() -> Any:
        import polars

        return polars.read_ipc(io.BytesIO(content.data))

    return _read_frame(content, "an Arrow file", (with_pyarrow, with_polars))


def _valid(table: Any) -> Any:
    """Return a table of pyarrow, whose offsets and texts may be damaged, after checking them."""
    table.validate(full=True)
    return table


def _read_frame(content: Content, kind: str, readers: Iterable[Callable[[], Any]]) -> Table:
    for read in readers:
        try:
            frame = read()
        except ImportError:
            continue
        except Exception as error:  # Libraries raise different exceptions for a broken file.
            raise TableError(f"{content.name} is not {kind} or is damaged: {error}") from error
        try:
            return as_table(frame)
        except (TableError, TypeError) as error:
            raise TableError(f"{content.name}: {error}") from error
    raise TableError(
        f"{content.name}: reading {kind} needs pyarrow or polars. "
        "Install one with: pip install 'pellucid[tables]'"
    )


def read_json(text: str, name: str) -> Table:
    r"""Read JSON lines (an object in each line) or a JSON array of objects.

    Examples
    --------
    >>> from pellucid.tables.other_formats import read_json
    >>> table = read_json('{"age": 31, "city": "Rome"}\n{"age": null, "city": "Oslo"}\n', "t.jsonl")
    >>> table["age"].values
    array([31., nan])
    """
    cells: dict[str, list[Any]] = {}
    n_rows = 0
    for place, row in _json_rows(text, name):
        if not isinstance(row, dict):
            raise TableError(
                f'{name}, {place}: not an object such as {{"age": 31}}. Write every row as one.'
            )
        for key, cell in row.items():
            if isinstance(cell, dict | list):
                raise TableError(
                    f"{name}, {place}: column {key!r} holds "
                    f"{'an object' if isinstance(cell, dict) else 'an array'}; a cell must be a "
                    "string or a number. Split it into several columns."
                )
            column = cells.setdefault(key, [])
            column += [None] * (n_rows - len(column))
            column.append(cell)
        n_rows += 1
    for column in cells.values():
        column += [None] * (n_rows - len(column))
    if not cells:
        raise TableError(f"{name} has no rows with columns. Export the table again.")
    return table_of_cells(cells)


def _json_rows(text: str, name: str) -> Iterable[tuple[str, Any]]:
    if text.lstrip().startswith("["):
        try:
            rows = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise TableError(f"{name} is broken JSON: {error}. Export it again.") from None
        yield from ((f"row {i + 1}", row) for i, row in enumerate(rows))
        return
    if (only := _only_object(text)) is not None:
        yield "line 1", only
        return
    for i, line in enumerate(text.split("\n")):
        if line.strip():
            try:
                yield f"line {i + 1}", json.loads(line)
            except (ValueError, RecursionError) as error:
                raise TableError(
                    f"{name}, line {i + 1}: broken JSON ({error}). Write one object in each line."
                ) from None


def _only_object(text: str) -> Any:
    """Return the only object in a text, which may be over several lines; None if it is broken."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def read_excel(content: Content, sheet: str | None, options: CsvOptions) -> Table:
    """Read a sheet of an Excel workbook with openpyxl; by default its first one."""
    try:
        import openpyxl
    except ImportError:
        raise TableError(
            f"{content.name}: reading Excel files needs openpyxl. "
            "Install it with: pip install 'pellucid[excel]'"
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and validations that are not read
            book = openpyxl.load_workbook(io.BytesIO(content.data), read_only=True, data_only=True)
            names = book.sheetnames
            if sheet is not None and sheet not in names:
                raise TableError(
                    f"{content.name} has no sheet {sheet!r}. Its sheets are: {', '.join(names)}."
                )
            page = book[sheet or names[0]]
            page.reset_dimensions()  # else all rows are as wide as the widest
            cells = page.iter_rows(values_only=True)
            rows = [list(row) for row in cells if any(cell is not None for cell in row)]
    except TableError:
        raise
    except Exception as error:  # openpyxl raises different exceptions for a broken file.
        raise TableError(f"{content.name} is a damaged Excel file: {error}") from error
    name = f"{content.name}, sheet {sheet or names[0]!r}"
    table = _table_of_rows(rows, name, options)
    if sheet is None and len(names) > 1:
        others = ", ".join(repr(other) for other in names[1:])
        remark = f"sheet {names[0]!r} read (the others are {others}: add #NAME to the path)"
        return replace(table, remarks=(remark, *table.remarks))
    return table


def _table_of_rows(rows: list[list[Any]], name: str, options: CsvOptions) -> Table:
    """Make a table of rows of Python objects, of which the first may hold the names.

    Empty rows, and empty columns around the table, are left out.
    """
    rows = [[None if isinstance(c, str) and not c.strip() else c for c in row] for row in rows]
    filled = [[i for i, cell in enumerate(row) if cell is not None] for row in rows]
    if not any(filled):
        raise TableError(f"{name} is empty. Export the table again.")
    start = min(places[0] for places in filled if places)
    end = 1 + max(places[-1] for places in filled if places)
    rows = [
        row[start:end] + [None] * (end - len(row))
        for row, places in zip(rows, filled, strict=True)
        if places
    ]
    if options.header is False:
        names = generated_names(end - start)
    else:
        names = tuple("" if cell is None else str(cell).strip() for cell in rows.pop(0))
        if options.header is None:
            check_not_data(names, name)
    if not rows:
        raise TableError(f"{name} has a header ({end - start} columns) but no rows.")
    columns = list(map(list, zip(*rows, strict=True)))
    names, columns, remarks = usable_columns(names, columns, name, options.needed)
    return replace(table_of_cells(dict(zip(names, columns, strict=True))), remarks=remarks)


def table_of_cells(cells: dict[str, list[Any]]) -> Table:
    """Make a table of lists of Python objects, a list for each column."""
    return Table(tuple(_column(name, column) for name, column in cells.items()))


def _column(name: str, cells: list[Any]) -> Column:
    if any(isinstance(cell, bytes) for cell in cells):
        raise TableError(f"Column {name!r} holds binary data. Leave it out of the table.")
    values = np.empty(len(cells), dtype=object)
    values[:] = [str(c) if isinstance(c, datetime.time | datetime.timedelta) else c for c in cells]
    return column_from_values(name, values)


def read_arff(text: str, name: str) -> Table:
    """Read a file of Weka (ARFF) with SciPy."""
    from scipy.io import arff

    try:
        rows, attributes = arff.loadarff(io.StringIO(text))
    except NotImplementedError as error:
        raise TableError(f"{name}: {error}. Save the table as CSV.") from error
    except Exception as error:  # SciPy raises different exceptions for a broken file.
        raise TableError(f"{name} is broken ARFF: {error}. Save the table as CSV.") from error
    if not attributes.names():
        raise TableError(f"{name} is broken ARFF: it has no @attribute. Save the table as CSV.")
    if not len(rows):
        raise TableError(f"{name} has a header ({len(attributes.names())} columns) but no rows.")
    columns = {}
    for column in attributes.names():
        values = rows[column]
        is_text = values.dtype.kind == "S"
        columns[column] = [v.decode() if is_text else v for v in values.tolist()]
    return table_of_cells(columns)
