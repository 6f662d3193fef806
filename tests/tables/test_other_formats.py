import datetime
import json
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pytest
from real_data import real_data

from pellucid.tables import TableError, read_table

FRAME = pd.DataFrame(
    {
        "n": [1.5, None],
        "t": ["x", None],
        "b": [True, False],
        "d": pd.to_datetime(["2020-01-01", "2021-01-01"]),
    }
)


@pytest.fixture(params=["parquet", "feather", "arrow"])
def columnar(request, tmp_path):
    """Write the frame in a format of columns, under the name of a CSV file."""
    path = tmp_path / "t.csv"
    if request.param == "parquet":
        FRAME.to_parquet(path)
    elif request.param == "feather":
        FRAME.to_feather(path)
    else:
        import pyarrow as pa

        table = pa.Table.from_pandas(FRAME)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    return path


def test_columnar_formats_keep_types(columnar):
    table = read_table(columnar)
    assert [column.storage for column in table] == ["number", "text", "boolean", "datetime"]
    assert table["t"].values.tolist() == ["x", None]


def test_columnar_formats_with_polars_only_or_neither(columnar, monkeypatch):
    expected = read_table(columnar)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setitem(sys.modules, "pyarrow.feather", None)
    for column in read_table(columnar):
        other = expected[column.name].values
        np.testing.assert_array_equal(column.values, other)
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(TableError, match=r"pip install 'pellucid\[tables\]'"):
        read_table(columnar)


def test_damaged_columnar_files(write):
    with pytest.raises(TableError, match="not a Parquet file or is damaged"):
        read_table(write(b"PAR1\x15\x04 not really"))
    with pytest.raises(TableError, match="not an Arrow file or is damaged"):
        read_table(write(b"ARROW1\x00 not really"))


def test_columns_of_lists(tmp_path):
    pd.DataFrame({"a": [[1, 2], [3]]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(TableError, match=r"t.parquet: .*'a' holds List"):
        read_table(tmp_path / "t.parquet")


ROWS = [{"a": 1, "b": "x"}, {"b": None, "a": 2.5}, {"a": None, "c": True, "b": "y"}]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("\n".join(map(json.dumps, ROWS)), "t.jsonl"),
        ("\n\n".join(map(json.dumps, ROWS)) + "\n", "t.csv"),
        (json.dumps(ROWS, indent=1), "t.json"),
        (json.dumps(ROWS, indent=1), "t"),
    ],
)
def test_json(write, text, name):
    table = read_table(write(text, name))
    np.testing.assert_array_equal(table["a"].values, [1, 2.5, np.nan])
    assert table["b"].values.tolist() == ["x", None, "y"]
    np.testing.assert_array_equal(table["c"].values, [np.nan, np.nan, 1])
    assert table["c"].storage == "boolean"


def test_one_json_object_over_several_lines(write):
    assert read_table(write(json.dumps(ROWS[0], indent=1), "t"))["b"].values.tolist() == ["x"]


def test_parts_of_files_that_have_none(write):
    with pytest.raises(TableError, match=r"t\.csv has no parts such as 'x'.* Pass .*t\.csv\."):
        read_table(str(write("a,b\n1,2\n", "t.csv")) + "#x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}\n{"a": 2\n', "line 2: broken JSON"),
        ('{"a": 1}\n\n[2]\n', "line 3: not an object"),
        ('{"a": 1}\n{"a": {"b": 2}}\n', "line 2: column 'a' holds an object"),
        ('[{"a": [1]}]', "row 1: column 'a' holds an array"),
        ("[1, 2]", "row 1: not an object"),
        ("[{]", "broken JSON"),
        ("[]", "no rows"),
        ("{}", "no rows"),
    ],
)
def test_broken_json(write, text, message):
    with pytest.raises(TableError, match=message):
        read_table(write(text, "t.json"))


def workbook(path, sheets):
    openpyxl = pytest.importorskip("openpyxl", reason="reads Excel: pip install 'pellucid[excel]'")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_excel(tmp_path):
    day = datetime.datetime(2020, 1, 2)
    rows = [
        ["name", "size", "since", "ok", "at"],
        ["Rome", 1.5, day, True, datetime.time(13, 5)],
        [],
        [None, 2, day, False, None],
    ]
    table = read_table(workbook(tmp_path / "t.csv", {"first": rows}))
    assert [c.storage for c in table] == ["text", "number", "datetime", "boolean", "text"]
    assert table["name"].values.tolist() == ["Rome", None]
    assert table["at"].values[0] == "13:05:00"
    assert table.remarks == ()


def test_sheets_of_excel(tmp_path):
    sheets = {"first": [["a", "b"], ["x", 1]], "second": [["c"], ["y"]], "empty": []}
    path = workbook(tmp_path / "t.xlsx", sheets)
    table = read_table(path)
    assert table.names == ("a", "b")
    assert "'first' read (the others are 'second', 'empty'" in table.remarks[0]
    assert read_table(f"{path}#second").names == ("c",)
    assert read_table(f"{path}#second", header=False)["column_1"].values.tolist() == ["c", "y"]
    with pytest.raises(TableError, match=r"no sheet 'third'. Its sheets are: first, second"):
        read_table(f"{path}#third")
    with pytest.raises(TableError, match="sheet 'empty' is empty"):
        read_table(f"{path}#empty")


@pytest.mark.parametrize("header", [None, False])
def test_what_is_empty_around_a_table_of_excel_is_left_out(tmp_path, header):
    rows = [[], [None, " ", "a", None, "b"], [None, None, 1, None, "x", "  "], [None, None, 2]]
    table = read_table(workbook(tmp_path / "t.xlsx", {"s": rows}), header=header)
    if header is None:
        assert table.names == ("a", "b")
        assert table["b"].values.tolist() == ["x", None]
    else:
        assert table.names == ("column_1", "column_2", "column_3")
        assert table["column_1"].values.tolist() == ["a", "1", "2"]


def test_repeated_names_of_excel_that_are_not_needed(tmp_path):
    path = workbook(tmp_path / "t.xlsx", {"s": [["a", "b", "a"], [1, 2, 3]]})
    assert read_table(path, needed=["b"]).names == ("b",)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["a", "a"], [1, 2]], "more than one column is named 'a'"),
        ([[1, 2], [3, 4]], "looks like data"),
        ([["a", "b"]], "no rows"),
    ],
)
def test_excel_without_a_table(tmp_path, rows, message):
    with pytest.raises(TableError, match=f"sheet 's'.*{message}"):
        read_table(workbook(tmp_path / "t.xlsx", {"s": rows}))


def test_excel_without_openpyxl(tmp_path, monkeypatch):
    import zipfile

    with zipfile.ZipFile(tmp_path / "t.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(TableError, match=r"pip install 'pellucid\[excel\]'"):
        read_table(tmp_path / "t.xlsx")


def test_arff(write):
    text = "% by hand\n@RELATION r\n@ATTRIBUTE n REAL\n@ATTRIBUTE c {a,b}\n@DATA\n1.5,a\n?,b\n"
    table = read_table(write(text, "t.txt"))
    np.testing.assert_array_equal(table["n"].values, [1.5, np.nan])
    assert table["c"].values.tolist() == ["a", "b"]
    with pytest.raises(TableError, match=r"broken ARFF.*Save the table as CSV"):
        read_table(write(text + "x,a\n", "t.arff"))
    with pytest.raises(TableError, match="Save the table as CSV"):
        read_table(write(text.replace("REAL", "STRING"), "t.arff"))


def test_many_blank_lines_are_no_arff(write):
    with pytest.raises(TableError, match="blank lines"):
        read_table(write("\n" * 200))


def test_german_credit():
    table = read_table(real_data("german_credit/credit.g.arff.gz"))
    assert table.shape == (1000, 21)
    assert set(table["class"].values) == {"good", "bad"}


def test_arff_without_rows(write):
    with pytest.raises(TableError, match=r"t.arff has a header \(1 columns\) but no rows"):
        read_table(write("@relation r\n@attribute n real\n@data\n", "t.arff"))
    with pytest.raises(TableError, match=r"t.arff is broken ARFF: it has no @attribute"):
        read_table(write("a,b\n1,2\n@data\n3,4\n", "t.arff"))


def test_an_arrow_file_of_damaged_text(tmp_path):
    path = tmp_path / "t.feather"
    pa.feather.write_feather(pa.table({"a": ["Orléans"] * 3}), path, compression="uncompressed")
    data = path.read_bytes()
    assert data.count("é".encode()) == 3
    path.write_bytes(data.replace("é".encode(), b"\xff\xfe"))
    with pytest.raises(TableError, match=r"t.feather is not an Arrow file or is damaged"):
        read_table(path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000])
def test_json_that_is_too_deep(write, text):
    with pytest.raises(TableError, match=r"t.json.* broken JSON"):
        read_table(write(text, "t.json"))


def test_a_cell_far_from_the_table_of_excel(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="reads Excel: pip install 'pellucid[excel]'")
    book = openpyxl.Workbook()
    for place, value in {"A1": "a", "A2": 1, "XFD20000": 5}.items():
        book.active[place] = value
    book.save(tmp_path / "t.xlsx")
    assert read_table(tmp_path / "t.xlsx").shape == (2, 2)
