import sys

import numpy as np
import pytest

from pellucid import tables
from pellucid.tables import arrow_csv, read_table
from pellucid.tables.csv_file import is_large, read_csv
from pellucid.tables.dialect import CsvOptions, recognize_dialect


def columns_of(text, **options):
    data = text.encode()
    dialect = recognize_dialect(data, "t.csv", CsvOptions(**options))
    n_columns = text[dialect.start :].split("\n", 1)[0].count(dialect.delimiter) + 1
    found = arrow_csv.read_columns(data, dialect, dialect.line + 1, n_columns)
    return None if found is None else [column.to_pylist() for column in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n1,x\n2,y\n", [["1", "2"], ["x", "y"]]),
        ("a,b\r\n1,x\r\n\r\n2,NA", [["1", "2"], ["x", "NA"]]),
        ('a;b\n"1;1";"x\n""y"""\n"";\n', [["1;1", ""], ['x\n"y"', ""]]),
        ("# x\na,b\n1,2\n", [["1"], ["2"]]),
        ('a,b\n1,"2"', [["1"], ["2"]]),
    ],
)
def test_regular_files_are_read(text, expected):
    assert columns_of(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        'a,b\n5" pipe,1\n',
        'a,b\n1, "x"\n',
        'a,b\n1,"x"y\n',
        'a,b\n1,"x\n',
        'a,b\n1,"x" \n',
        "a,b\r1,2\r",
        "a,b\n1,x\ry\n",
        "a,b\n1,2,3\n",
        "a,b\n1\n",
        "a,b\n1,2\n  \n",
        "a\n1\n",
        "a,b\n\ufeff1,2\n",
        "a,b\n" + "x" * 200_000 + ",1\n",
    ],
)
def test_what_may_be_read_differently_is_left_to_the_csv_module(text):
    assert columns_of(text) is None


def test_comments_between_rows_are_left_to_the_csv_module():
    assert columns_of("a,b\n1,2\n#\n3,4\n", comment="#") is None
    assert columns_of("a,b\n1,2\n3,#\n", comment="#") == [["1", "3"], ["2", "#"]]


def test_cells_over_several_blocks(monkeypatch, read_by):
    read_by(fast=True)
    monkeypatch.setattr(arrow_csv, "_BYTES_PER_BLOCK", 64)
    text = "a,b\n" + "1,\n" * 100 + '2,"x, y"\n' * 100 + '3,"x\n""z"""\n' * 100
    table = read_csv(text.encode(), "t.csv", CsvOptions())
    assert table.columns[0].num_chunks > 5
    assert table.columns[0].to_pylist() == ["1"] * 100 + ["2"] * 100 + ["3"] * 100
    assert table.columns[1].to_pylist() == [""] * 100 + ["x, y"] * 100 + ['x\n"z"'] * 100


def test_large_files_are_read_with_and_without_pyarrow(write, monkeypatch):
    path = write("a,b,c\n" + "".join(f"{i},{i / 4},w{i % 3}\n" for i in range(100_000)))
    assert is_large(path.read_bytes())
    assert not isinstance(read_csv(path.read_bytes(), "t.csv", CsvOptions()).columns[0], list)
    fast = read_table(path)
    monkeypatch.delattr(tables, "arrow_csv")
    monkeypatch.setitem(sys.modules, "pellucid.tables.arrow_csv", None)
    assert isinstance(read_csv(path.read_bytes(), "t.csv", CsvOptions()).columns[0], list)
    for one, other in zip(fast, read_table(path), strict=True):
        assert one.values.dtype == other.values.dtype
        np.testing.assert_array_equal(one.values, other.values)


def test_quotes_over_several_blocks(monkeypatch):
    text = 'a,b\n"x",1\n' + '"x, ""y""",2\n' * 3 + '"z\n",""\n'
    expected = [["x", *['x, "y"'] * 3, "z\n"], ["1", *"222", ""]]
    for size in range(1, 20):
        monkeypatch.setattr(arrow_csv, "_BYTES_TO_LOOK_AT", size)
        assert columns_of(text) == expected
        assert columns_of(text + 'a"b,c\n') is None
        assert columns_of(text + '"a"b,c"\n') is None


def test_short_columns_are_left_to_the_csv_module():
    assert not is_large(b"1,2,3,4,5\n" * 900 + b"1," * 1_000_000)
