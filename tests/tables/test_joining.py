import numpy as np
import pandas as pd
import pytest

from pellucid.tables import TableError, read_table
from pellucid.tables import csv_file as csv_module
from pellucid.tables.conventions import Conventions, NumberFormat


def test_files_of_a_folder_in_the_order_of_their_names(write, tmp_path):
    write("b,a\ny,2\n", "2.csv")
    write("a,b\n1,x\n", "1.csv")
    write("hidden", ".hidden")
    table = read_table(tmp_path)
    assert table.names == ("a", "b")
    assert table["a"].values.tolist() == [1, 2]
    assert table["b"].values.tolist() == ["x", "y"]
    assert table.remarks == ("2 files joined",)


def test_columns_are_judged_over_all_files(write):
    paths = [write("a,b\n1,1\n", "1.csv"), write("a,b\nx,1.5\n", "2.csv")]
    table = read_table(paths)
    assert table["a"].values.tolist() == ["1", "x"]
    assert table["b"].values.tolist() == [1.0, 1.5]


@pytest.mark.parametrize("order", [1, -1])
def test_files_of_pyarrow_and_the_csv_module(write, monkeypatch, order):
    monkeypatch.setattr(csv_module, "is_large", lambda data: len(data) > 100)
    large = write("a,b\n" + "1,x\n" * 100, "1.csv")
    table = read_table([large, write("a,b\n2.5,y\n", "2.csv")][::order])
    assert table["a"].values.sum() == 102.5
    assert set(table["b"].values) == {"x", "y"}


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("a,c\n1,2\n", "lacks 'b' and has 'c' in addition"),
        ("a\n1\n", "lacks 'b'"),
        ("a,b,c\n1,2,3\n", "has 'c' in addition"),
    ],
)
def test_files_with_other_columns(write, other, message):
    paths = [write("a,b\n1,2\n", "1.csv"), write(other, "2.csv")]
    with pytest.raises(TableError, match=rf"2\.csv.*1\.csv: it {message}"):
        read_table(paths)


def test_remarks_name_the_file(write):
    paths = [write("a,b\n1,é\n", "1.csv"), write("a,b\n2,é\n".encode("latin-1"), "2.csv")]
    table = read_table(paths)
    assert table["b"].values.tolist() == ["é", "é"]
    assert table.remarks[1] == f"{paths[1]}: read as Latin-1, as it is not UTF-8"


def test_files_of_different_formats(write, tmp_path):
    pd.DataFrame({"b": ["z"], "a": [3]}).to_parquet(tmp_path / "2.parquet")
    table = read_table([write("a,b\n1,x\n", "1.csv"), tmp_path / "2.parquet"])
    assert table["a"].values.tolist() == [1, 3]
    assert table["b"].values.tolist() == ["x", "z"]


def test_values_of_different_kinds(tmp_path):
    pd.DataFrame({"a": [1.5], "b": ["x"]}).to_parquet(tmp_path / "1.parquet")
    pd.DataFrame({"a": [None], "b": [None]}).to_parquet(tmp_path / "2.parquet")
    table = read_table(tmp_path)
    np.testing.assert_array_equal(table["a"].values, [1.5, np.nan])
    assert table["b"].values.tolist() == ["x", None]
    pd.DataFrame({"a": ["y"], "b": ["x"]}).to_parquet(tmp_path / "3.parquet")
    with pytest.raises(TableError, match=r"3.parquet: column 'a' holds text values, but number"):
        read_table(tmp_path)


def test_rows_of_files_that_are_not_csv(tmp_path):
    codes = pd.Categorical(["1", "2", "1"])
    for name, start in (("1.parquet", 0.0), ("2.parquet", 3.0)):
        frame = pd.DataFrame(
            {"code": codes, "size": start + np.arange(3), "old": [True, None, False]}
        )
        frame.to_parquet(tmp_path / name)
    table = read_table(tmp_path)
    assert table["code"].values.tolist() == ["1", "2", "1"] * 2
    assert table["code"].is_category
    assert table["size"].values.tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(table["old"].values, [1, np.nan, 0] * 2)


@pytest.mark.parametrize("points", [["1.120", "1.121"], ["1.5", "1.120"], ["1.25", "12"]])
def test_files_with_different_decimal_marks(write, points):
    commas = write("city;size\n" + "Rome;0,5\nOslo;1,200\n" * 200, "1.csv")
    other = write("city,size\n" + "".join(f"Bonn,{cell}\n" for cell in points), "2.csv")
    for paths in ([commas, other], [other, commas]):
        values = read_table(paths)["size"].values.tolist()
        assert sorted(values) == sorted([0.5, 1.2] * 200 + list(map(float, points)))


def test_a_file_that_decides_nothing_is_read_as_the_others(write):
    paths = [write("a;b\n1,5;x\n", "1.csv"), write("a;b\n1.200;x\n", "2.csv")]
    table = read_table(paths)
    assert table["a"].values.tolist() == [1.5, 1200]
    assert table.conventions.numbers == NumberFormat(",", ".")


def test_text_that_is_written_differently(write):
    one = write("d;p\n28/12/2020;1,25 €\n", "1.csv")
    with pytest.raises(TableError, match=r"1\.csv and .*2\.csv write column 'p' differently: num"):
        read_table([one, write("d;p\n1/12/2020;1.25 €\n", "2.csv")])
    with pytest.raises(TableError, match=r"column 'd' .*with the day in the former and with the m"):
        read_table([one, write("d;p\n12/28/2020;1,25 €\n", "2.csv")])
    assert len(read_table([one, write("d;p\n1/2/2020;7\n", "2.csv")])) == 2
    other = write("d;p\n28/12/2020;1.25 €\n", "2.csv")
    known = Conventions(text=frozenset(["p"]))
    assert read_table([one, other], conventions=known)["p"].values.tolist() == ["1,25 €", "1.25 €"]


def test_conventions_of_all_files(write):
    lines = write('{"a": 1, "p": "1,25 €"}\n{"a": 2, "p": "2,50 €"}\n', "1.jsonl")
    table = read_table([lines, write("a;p\n1,5;1.200 €\n2,5;3 €\n", "2.csv")])
    assert table["a"].values.tolist() == [1, 2, 1.5, 2.5]
    assert table.conventions.of("p").numbers.decimal == ","
    points = write("p,a\n1.25 €,x\n", "3.csv")
    table = read_table([write("p,a\n,1\n", "4.csv"), points])
    assert table.conventions.of("p").numbers.decimal == "."


def test_files_that_match_a_pattern(write, tmp_path):
    for name in ("b1.csv", "a2.csv", "a1.csv"):
        write(f"x,y\n{name[1]},{name[0]}\n", name)
    table = read_table(f"{tmp_path}/a*.csv")
    assert table["x"].values.tolist() == [1, 2]
    assert read_table(write("x,y\n1,2\n", "a[1].csv")).shape == (1, 2), "a file of this name"
    with pytest.raises(TableError, match="no file whose path matches"):
        read_table(tmp_path / "c*.csv")


def test_folder_without_files(tmp_path):
    with pytest.raises(TableError, match="holds no files"):
        read_table(tmp_path)
