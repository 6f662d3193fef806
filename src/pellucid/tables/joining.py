"""Join tables from several files with the same columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.tables.conventions import Conventions, NumberFormat
from pellucid.tables.csv_file import TextTable
from pellucid.tables.notation import Notation, difference, notation_of
from pellucid.tables.table import Column, Table, TableError


def join_text_tables(files: Sequence[str], tables: Sequence[TextTable]) -> TextTable:
    """Join the rows of CSV files. The order of columns may differ.

    Raises
    ------
    TableError
        If the columns of a file are not those of the first.
    """
    if len(tables) == 1:
        return tables[0]
    names = tables[0].names
    for file, table in zip(files[1:], tables[1:], strict=True):
        _check_same_columns(files[0], names, file, table.names)
    found = [dict(zip(table.names, table.columns, strict=True)) for table in tables]
    columns = [_joined_cells([cells[name] for cells in found]) for name in names]
    remarks = _joined_remarks(files, [table.remarks for table in tables])
    delimiters = {table.delimiter for table in tables}
    return TextTable(names, columns, remarks, delimiters.pop() if len(delimiters) == 1 else "")


def join_tables(files: Sequence[str], tables: Sequence[Table]) -> Table:
    """Join the rows of tables. The order of columns may differ.

    Raises
    ------
    TableError
        If the columns of a table are not those of the first, or hold another kind of values.
    """
    if len(tables) == 1:
        return tables[0]
    first = tables[0]
    for file, table in zip(files[1:], tables[1:], strict=True):
        _check_same_columns(files[0], first.names, file, table.names)
    found = [{column.name: column for column in table} for table in tables]
    columns = tuple(_joined_column(files, [known[name] for known in found]) for name in first.names)
    text = {c.name: [known[c.name] for known in found] for c in columns if c.storage == "text"}
    conventions = _joined_conventions(files, [table.conventions for table in tables], text)
    remarks = _joined_remarks(files, [table.remarks for table in tables])
    return Table(columns, first.has_names, conventions, remarks)


def _check_same_columns(
    first: str, expected: tuple[str, ...], file: str, names: tuple[str, ...]
) -> None:
    absent, extra = sorted(set(expected) - set(names)), sorted(set(names) - set(expected))
    if absent or extra:
        parts = [f"lacks {', '.join(map(repr, absent[:5]))}"] * bool(absent)
        parts += [f"has {', '.join(map(repr, extra[:5]))} in addition"] * bool(extra)
        raise TableError(
            f"{file} has not the same columns as {first}: it {' and '.join(parts)}. "
            "Pass files of the same columns."
        )


def _joined_cells(parts: list[Any]) -> Any:
    if all(isinstance(part, list) for part in parts):
        return [cell for part in parts for cell in part]
    import pyarrow as pa

    arrays = [pa.array(p, pa.string()) if isinstance(p, list) else p for p in parts]
    chunks = [c for a in arrays for c in (a.chunks if isinstance(a, pa.ChunkedArray) else [a])]
    return pa.chunked_array(chunks, pa.string())


def _joined_column(files: Sequence[str], parts: list[Column]) -> Column:
    """Join a column; where all values are missing, its storage does not matter."""
    is_known = [not part.missing().all() for part in parts]
    storage = parts[is_known.index(True) if any(is_known) else 0].storage
    for file, part, known in zip(files, parts, is_known, strict=True):
        if known and part.storage != storage:
            raise TableError(
                f"{file}: column {part.name!r} holds {part.storage} values, but "
                f"{storage} values in the files before. Save it alike in all files."
            )
    values = [
        part.values if part.storage == storage else _all_missing(storage, len(part.values))
        for part in parts
    ]
    is_category = any(part.is_category for part in parts)
    return Column(parts[0].name, storage, np.concatenate(values), is_category)


def _joined_conventions(
    files: Sequence[str], conventions: Sequence[Conventions], text: dict[str, list[Column]]
) -> Conventions:
    """Return how the text columns of all files are written."""
    numbers = next((c.numbers for c in conventions if c.numbers != NumberFormat()), NumberFormat())
    as_written = frozenset[str]().union(*(each.text for each in conventions))
    exceptions = {}
    for name, parts in text.items():
        if name in as_written:
            continue
        formats = [each.of(name).numbers for each in conventions]
        notations = [
            notation_of(part.values, format.decimal) if part.storage == "text" else _OPEN
            for part, format in zip(parts, formats, strict=True)
        ]
        if (found := difference(notations)) is not None:
            i, j, how = found
            raise TableError(
                f"{files[i]} and {files[j]} write column {name!r} differently: {how}. "
                "Write it alike in all files."
            )
        mark = next((n.decimal for n in notations if n.decimal is not None), numbers.decimal)
        if mark != numbers.decimal:
            format = next((f for f in formats if f.decimal == mark), NumberFormat(mark))
            exceptions[name] = Conventions(format)
    return Conventions(numbers, exceptions=exceptions, text=as_written)


_OPEN = Notation(None, None)


def _all_missing(storage: str, n: int) -> Any:
    return np.full(n, None, object) if storage == "text" else np.full(n, np.nan)


def _joined_remarks(files: Sequence[str], remarks: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    own = [f"{file}: {text}" for file, texts in zip(files, remarks, strict=True) for text in texts]
    return (f"{len(files):,} files joined", *own)
