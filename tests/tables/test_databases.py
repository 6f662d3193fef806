import gzip
import io
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pytest

from pellucid.tables import TableError, read_table
from pellucid.tables.databases import parse_address


def make(connection):
    connection.execute("CREATE TABLE people (age DOUBLE, city VARCHAR)")
    connection.execute("INSERT INTO people VALUES (31, 'Rome'), (NULL, 'Oslo')")
    connection.execute('CREATE TABLE "odd ""name" (x INTEGER)')
    connection.execute('INSERT INTO "odd ""name" VALUES (7)')
    connection.commit()
    connection.close()


@pytest.fixture(params=["sqlite", "duckdb"])
def address(request, tmp_path):
    path = tmp_path / "data.db"
    if request.param == "duckdb":
        duckdb = pytest.importorskip("duckdb", reason="reads DuckDB files")
        make(duckdb.connect(str(path)))
    else:
        make(sqlite3.connect(path))
    return f"{request.param}:///{path}"


def test_tables(address):
    table = read_table(f"{address}#people")
    np.testing.assert_array_equal(table["age"].values, [31, np.nan])
    assert table["city"].values.tolist() == ["Rome", "Oslo"]
    assert read_table(f'{address}#odd "name')["x"].values.tolist() == [7]
    assert read_table(Path(f"{address}#people")).shape == (2, 2)


def test_a_table_after_the_path(address):
    path = parse_address(address).path
    assert read_table(f"{path}#people").shape == (2, 2)


def test_a_compressed_database(address, tmp_path):
    packed = tmp_path / "data.db.gz"
    packed.write_bytes(gzip.compress(parse_address(address).path.read_bytes()))
    kind = address.partition(":")[0]
    for path in (packed, f"{packed}#people", f"{kind}:///{packed}#people"):
        with pytest.raises(TableError, match=rf"{kind} database that is compressed .* Unpack it"):
            read_table(path)


def test_a_database_on_standard_input(address, monkeypatch):
    data = parse_address(address).path.read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    with pytest.raises(TableError, match=r"Standard input is a .* database that .* Unpack it"):
        read_table("-")


def test_which_table(address):
    with pytest.raises(TableError, match=r"has 2 tables .*people.*#TABLE"):
        read_table(address)
    with pytest.raises(TableError, match=r"has 2 tables"):
        read_table(parse_address(address).path)
    with pytest.raises(TableError, match=r"no table 'cats'. Its tables are: .*people"):
        read_table(f"{address}#cats")


def test_only_table_of_a_file(tmp_path):
    path = tmp_path / "t.csv"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (a, b)")
    connection.commit()
    with pytest.raises(TableError, match="table 't' has no rows"):
        read_table(path)
    connection.execute("INSERT INTO t VALUES (1, x'00')")
    connection.commit()
    with pytest.raises(TableError, match="Column 'b' holds binary data"):
        read_table(path)
    connection.execute("UPDATE t SET b = 'x'")
    connection.commit()
    connection.close()
    assert read_table(path)["a"].values.tolist() == [1]


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("sqlite:///data.db#t", "data.db"),
        ("sqlite:////folder/data.db#t", "/folder/data.db"),
        ("sqlite:/data.db#t", "data.db"),
    ],
)
def test_relative_and_absolute_paths(address, path):
    assert parse_address(address).path == Path(path)


def test_no_address():
    assert parse_address("table.csv") is None
    assert parse_address("/folder/sqlite.db") is None


def test_what_is_no_database(tmp_path, write):
    with pytest.raises(TableError, match="no such file"):
        read_table(f"sqlite:///{tmp_path}/absent.db#t")
    with pytest.raises(TableError, match="cannot be read as sqlite"):
        read_table(f"sqlite:///{write('a,b')}#t")


def test_duckdb_is_not_installed(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(TableError, match=r"pip install 'pellucid\[duckdb\]'"):
        read_table(f"duckdb:///{write('x')}#t")
