import builtins
import gzip

import numpy as np
import pandas as pd
import pytest
from real_data import real_data

from pellucid.tables import TableError, read_table
from pellucid.tables.conventions import Conventions, NumberFormat


@pytest.fixture
def write(tmp_path):
    def write_file(text, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_file


def test_types_and_missing_cells(write):
    table = read_table(write("a,b,c,d\n1,1.5, x ,01\n2,,?,02\n3,NA,z,13\n"))
    assert table.names == ("a", "b", "c", "d")
    assert table["a"].values.dtype == np.int64
    np.testing.assert_array_equal(table["b"].values, [1.5, np.nan, np.nan])
    assert table["c"].values.tolist() == ["x", None, "z"]
    assert table["d"].values.tolist() == ["01", "02", "13"], "leading zeros make a code"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(write, delimiter):
    table = read_table(write(f"a{delimiter}b\n1{delimiter}x\n2{delimiter}y\n"))
    assert table.names == ("a", "b")
    assert len(table) == 2


def test_quoted_cells_may_hold_delimiters_and_line_ends(write):
    table = read_table(write('a,b\n"x, ""y""",1\n"two\nlines",2\n'))
    assert table["a"].values.tolist() == ['x, "y"', "two\nlines"]


def test_byte_order_mark_crlf_and_blank_lines(write):
    table = read_table(write("\ufeffa,b\r\n\r\n1,2\r\n\r\n3,4\r\n"))
    assert table.names == ("a", "b")
    assert table["b"].values.tolist() == [2, 4]


def test_gzip_and_plain_read_the_same(write, tmp_path):
    text = "a,b\n1,x\n2,y\n"
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text.encode()))
    plain, zipped = read_table(write(text)), read_table(tmp_path / "t.csv.gz")
    for one, other in zip(plain, zipped, strict=True):
        assert one.values.tolist() == other.values.tolist()


def test_dialect_as_told(write):
    path = write("# exported\nvaleur~ville\n1.234,5~Évian\n2,5~Nîmes\n".encode("latin-1"))
    told = {"delimiter": "~", "encoding": "latin-1", "comment": "#"}
    table = read_table(path, **told, decimal=",", thousands=".")
    assert table.names == ("valeur", "ville")
    assert table["valeur"].values.tolist() == [1234.5, 2.5]
    assert table["ville"].values.tolist() == ["Évian", "Nîmes"]
    assert table.conventions == Conventions(NumberFormat(",", "."))
    assert Conventions.from_state(table.conventions.to_state()) == table.conventions
    kept = table.take(np.array([1])).without("ville").select(["valeur"])
    assert kept.conventions == table.conventions


def test_without_header(write):
    path = write("39, State-gov, 77516\n50, Private, 83311\n")
    with pytest.raises(TableError, match=r"looks like data.*--no-header"):
        read_table(path)
    table = read_table(path, header=False)
    assert table.names == ("column_1", "column_2", "column_3")
    assert table["column_2"].values.tolist() == ["State-gov", "Private"]
    assert read_table(path, header=True).names == ("39", "State-gov", "77516")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n\n  \n", "blank lines"),
        ("a,b\n", "header .* no rows"),
        ("a,b\n1,2\n3,4,5\n", "line 3: 3 cells, but the first line has 2"),
        ("a,b\n1,2\n\n3\n", "line 4: 1 cells"),
        ('a,b\n1,2\n"never closed,4\n5,6\n', "line 3: broken CSV"),
        ('a,b\n1,"x"y\n', "line 2: broken CSV"),
        ("a,b,a\n1,2,3\n", "more than one column is named 'a'"),
        (b"a,b\n\xff\xfe,2\n", "not UTF-8"),
    ],
)
def test_broken_csv_is_one_clear_error(write, text, message):
    path = write(text)
    with pytest.raises(TableError, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


def test_directory_missing_file_and_unknown_kind(tmp_path, write):
    with pytest.raises(TableError, match="is a directory"):
        read_table(tmp_path)
    with pytest.raises(TableError, match="no such file"):
        read_table(tmp_path / "absent.csv")
    with pytest.raises(TableError, match="does not exist either"):
        read_table(tmp_path / "nowhere" / "absent.csv")
    with pytest.raises(TableError, match=r"cannot read \.xlsx.*parquet"):
        read_table(write("x", "table.xlsx"))


def test_truncated_gzip(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 1000)[:-20])
    with pytest.raises(TableError, match="not a complete gzip file"):
        read_table(path)
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(TableError, match="not a complete gzip file"):
        read_table(path)


def test_parquet_keeps_types(tmp_path):
    frame = pd.DataFrame(
        {
            "n": [1.5, None],
            "t": ["x", None],
            "b": [True, False],
            "d": pd.to_datetime(["2020-01-01", "2021-01-01"]),
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    assert [column.storage for column in table] == ["number", "text", "boolean", "datetime"]


def test_broken_parquet_and_no_reader(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(TableError, match="not a Parquet file"):
        read_table(path)
    original = builtins.__import__

    def without_readers(name, *args, **kwargs):
        if name.partition(".")[0] in {"pyarrow", "polars"}:
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_readers)
    with pytest.raises(TableError, match=r"pip install 'pellucid\[tables\]'"):
        read_table(path)


def test_adult():
    table = read_table(real_data("adult/adult-train.csv.gz"), header=False)
    assert table.shape == (32_561, 15)
    assert int(table["column_2"].missing().sum()) == 1_836


def test_telco_total_charges_is_a_number_with_blanks():
    table = read_table(real_data("telco_churn/Telco-Customer-Churn.csv.gz"))
    assert table["TotalCharges"].storage == "number"
    assert int(table["TotalCharges"].missing().sum()) == 11


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "-2"], np.array([1, -2])),
        (["1.0", "2.0"], np.array([1.0, 2.0])),
        (["1e3", " 2"], np.array([1000.0, 2.0])),
        (["9" * 30, "1"], np.array([1e30, 1.0])),
        (["1_000", "2"], ["1_000", "2"]),
        (["007", "2"], ["007", "2"]),
        (["0", "0.5"], np.array([0.0, 0.5])),
        (["inf", "1"], np.array([np.inf, 1.0])),
        (["nan", "1"], np.array([np.nan, 1.0])),
        (["x", "1"], ["x", "1"]),
    ],
)
def test_what_reads_as_a_number(write, cells, expected):
    values = read_table(write("a,b\n" + "".join(f"{cell},0\n" for cell in cells)))["a"].values
    if isinstance(expected, list):
        assert values.tolist() == expected
    else:
        assert values.dtype == expected.dtype
        np.testing.assert_allclose(values, expected)
