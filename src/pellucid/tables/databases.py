"""Read tables from SQLite and DuckDB files."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.tables.files import check_exists, is_compressed
from pellucid.tables.other_formats import table_of_cells
from pellucid.tables.table import Table, TableError

_ADDRESS = re.compile(r"(sqlite|duckdb):(/+)([^#]*)(?:#(.*))?", re.DOTALL)
_TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name",
    "duckdb": "SELECT table_name FROM information_schema.tables ORDER BY table_name",
}


@dataclass(frozen=True)
class DatabaseTable:
    """A table in a database file.

    Attributes
    ----------
    kind : {"sqlite", "duckdb"}
    path : Path
    table : str or None
        None for the only table.
    """

    kind: str
    path: Path
    table: str | None


def parse_address(address: str) -> DatabaseTable | None:
    """Return the table that an address such as ``sqlite:///file.db#table`` names.

    As in SQLAlchemy, a path after three slashes is relative and one after four is absolute.
    `pathlib.Path` keeps only one of the slashes; the path is then absolute if there is such a file.

    Examples
    --------
    >>> from pellucid.tables.databases import parse_address
    >>> found = parse_address("duckdb:///sales.duckdb#orders")
    >>> found.kind, str(found.path), found.table
    ('duckdb', 'sales.duckdb', 'orders')
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        return None
    kind, slashes, path, table = match.groups()
    absolute = len(slashes) == 4 or (len(slashes) == 1 and Path(f"/{path}").exists())
    return DatabaseTable(kind, Path(f"/{path}" if absolute else path), table or None)


def read_database(source: DatabaseTable) -> Table:
    """Read all rows of a table."""
    check_exists(source.path)
    if is_compressed(source.path):
        raise packed_database_error(str(source.path), source.kind)
    try:
        connection = _connect(source)
        try:
            return _read(connection, source)
        finally:
            connection.close()
    except (ImportError, TableError):
        raise
    except Exception as error:  # sqlite3.Error, duckdb.Error
        raise TableError(f"{source.path}: cannot be read as {source.kind}: {error}") from error


def packed_database_error(name: str, kind: str) -> TableError:
    """Return an error for a database that cannot be opened as a file."""
    return TableError(
        f"{name} is a {kind} database that is compressed or comes from standard input. Unpack it "
        "into a file and pass the path of this file."
    )


def _connect(source: DatabaseTable) -> Any:
    if source.kind == "sqlite":
        return sqlite3.connect(f"{source.path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        import duckdb
    except ImportError:
        raise TableError(
            f"{source.path}: reading DuckDB files needs duckdb. "
            "Install it with: pip install 'pellucid[duckdb]'"
        ) from None
    return duckdb.connect(str(source.path), read_only=True)


def _read(connection: Any, source: DatabaseTable) -> Table:
    tables = [row[0] for row in connection.execute(_TABLES[source.kind]).fetchall()]
    shown = ", ".join(tables[:20]) + (", …" if len(tables) > 20 else "")
    name = source.table or (tables[0] if len(tables) == 1 else None)
    if name is None:
        raise TableError(
            f"{source.path} has {len(tables)} tables ({shown}). "
            f"Name one: {source.kind}:///{source.path}#TABLE"
        )
    if name not in tables:
        raise TableError(f"{source.path} has no table {name!r}. Its tables are: {shown}.")
    quoted = name.replace('"', '""')
    cursor = connection.execute(f'SELECT * FROM "{quoted}"')
    columns = [column[0] for column in cursor.description]
    rows = cursor.fetchall()
    if not rows:
        raise TableError(f"{source.path}: table {name!r} has no rows.")
    return table_of_cells(dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True)))
