import numpy as np
import pytest

from pellucid.tables import TableError, read_table
from pellucid.tables.conventions import Conventions, NumberFormat
from pellucid.tables.recognition import recognize_table
from pellucid.tables.text_columns import remark_on

pytestmark = pytest.mark.parametrize("fast", [True, False], ids=["pyarrow", "csv"])


@pytest.fixture(autouse=True)
def _reader(fast, read_by):
    read_by(fast)


def test_types_and_missing_cells(write):
    table = read_table(write("a,b,c,d\n1,1.5, x ,01\n2,,?,02\n3,NA,z,13\n"))
    assert table.names == ("a", "b", "c", "d")
    assert table["a"].values.dtype == np.int64
    np.testing.assert_array_equal(table["b"].values, [1.5, np.nan, np.nan])
    assert table["c"].values.tolist() == ["x", None, "z"]
    assert table["d"].values.tolist() == ["01", "02", "13"], "leading zeros make a code"


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "-2"], np.array([1, -2])),
        (["1.0", "2.0"], np.array([1.0, 2.0])),
        (["1e3", " 2"], np.array([1000.0, 2.0])),
        ([" 1", "2 "], np.array([1, 2])),
        (["+1", "2"], np.array([1, 2])),
        (["9" * 30, "1"], ["9" * 30, "1"]),
        (["9" * 30, "1.5"], np.array([1e30, 1.5])),
        ([str(2**53 + 1), ""], [str(2**53 + 1), None]),
        ([str(2**53 + 1), "1"], np.array([2**53 + 1, 1])),
        ([str(2**53 - 1), ""], np.array([2.0**53 - 1, np.nan])),
        ([str(2**63 - 1), "1"], np.array([2**63 - 1, 1])),
        (["1_000", "2"], ["1_000", "2"]),
        (["007", "2"], ["007", "2"]),
        (["007", "2.5"], ["007", "2.5"]),
        (["007", "NA"], ["007", None]),
        (["0x1F", "2"], ["0x1F", "2"]),
        (["0", "0.5"], np.array([0.0, 0.5])),
        (["-01", "01.5"], np.array([-1.0, 1.5])),
        (["inf", "1"], np.array([np.inf, 1.0])),
        (["1e400", "1"], np.array([np.inf, 1.0])),
        (["nan", "1"], np.array([np.nan, 1.0])),
        ([" NA ", "1"], np.array([np.nan, 1.0])),
        (["\u0661", "2"], np.array([1, 2])),
        (["x", "1"], ["x", "1"]),
        (["?", "NA"], [None, None]),
        (["$5", "$6"], ["$5", "$6"]),
        (["10E3", "1012"], ["10E3", "1012"]),
        (["+4930123456", "2.5"], ["+4930123456", "2.5"]),
        (["1E5", "1E-2"], np.array([1e5, 0.01])),
        (["-", "1"], ["-", "1"]),
    ],
)
def test_what_reads_as_a_number(write, cells, expected):
    values = read_table(write("a,b\n" + "".join(f"{cell},0\n" for cell in cells)))["a"].values
    if isinstance(expected, list):
        assert values.tolist() == expected
    else:
        assert values.dtype == expected.dtype
        np.testing.assert_array_equal(values, expected)


def test_decimal_commas(write):
    rows = "\n".join(f"1.234;{i},5;{i}{i};Köln;3,5 €" for i in range(1, 9))
    table = read_table(write(f"price;size;rooms;city;rent\n{rows}\n"))
    assert table["price"].values.tolist() == [1234] * 8
    assert table["size"].values.tolist() == [i + 0.5 for i in range(1, 9)]
    assert table["rooms"].values.dtype == np.int64
    assert table["city"].storage == table["rent"].storage == "text"
    assert table.conventions.numbers == NumberFormat(",", ".")
    assert table.remarks == ("numbers have a decimal comma, thousands are separated by points",)


def test_decimal_commas_with_missing_cells(write):
    table = read_table(write("a;b\n1,5;x\n;y\nNA;z\n-2,25e1;w\n"))
    np.testing.assert_array_equal(table["a"].values, [1.5, np.nan, np.nan, -22.5])


def test_separated_thousands(write):
    table = read_table(write('a,b\n"1,234.5",1.5\n"12,000",2.5\n'))
    assert table["a"].values.tolist() == [1234.5, 12000]
    assert table["b"].values.tolist() == [1.5, 2.5]
    assert table.remarks == ("thousands are separated by commas",)


def test_plain_numbers_beside_text_with_commas(write):
    table = read_table(write('a,b\n1.5,"Rome, Italy"\n2.25,"Oslo"\n'))
    assert table.conventions == Conventions()
    assert table.remarks == ()


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, [1.234, 5.678]),
        ({"decimal": "."}, [1.234, 5.678]),
        ({"decimal": ",", "thousands": "."}, [1234, 5678]),
        ({"thousands": "."}, [1234, 5678]),
    ],
)
def test_format_as_told(write, told, expected):
    table = read_table(write("a;b\n1.234;x\n5.678;y\n"), **told)
    assert table["a"].values.tolist() == expected


def test_format_that_cannot_be():
    for told, message in [
        ({"decimal": ";"}, "decimal must be '.' or ','"),
        ({"decimal": ",", "thousands": ","}, "must differ"),
        ({"thousands": "000"}, "thousands must be one character"),
    ]:
        with pytest.raises(TableError, match=message):
            read_table("t.csv", **told)


def test_remarks_on_formats():
    assert remark_on(NumberFormat(",")) == "numbers have a decimal comma"
    assert remark_on(NumberFormat(".", " ")) == "thousands are separated by blanks"
    assert "'_'" in remark_on(NumberFormat(".", "_"))


@pytest.mark.parametrize("n_different", [3, 15_000])
def test_text_of_a_long_column(write, n_different):
    cells = [f" word {i % n_different} " for i in range(15_000)]
    cells[7_000] = "NA"
    values = read_table(write("a,b\n" + "".join(f"{c},1\n" for c in cells)))["a"].values
    assert values[7_000] is None
    assert values[-1] == cells[-1].strip()


def test_commas_beside_semicolons_are_decimal(write):
    table = read_table(write("size;city\n1,400;Rome\n2,125;Oslo\n"))
    assert table["size"].values.tolist() == [1.4, 2.125]
    assert table.remarks == ("numbers have a decimal comma",)
    assert read_table(write('size,city\n"1,400",Rome\n'))["size"].values.tolist() == [1400]


def test_an_earlier_table_decides_what_is_ambiguous(write):
    known = Conventions(NumberFormat(",", "."), exceptions={"rate": Conventions(NumberFormat())})
    one = write("price;rate\n1.234;3.125\n")
    table = read_table(one, conventions=known)
    assert [column.values.tolist() for column in table] == [[1234], [3.125]]
    table = read_table(write("price;rate\n1234.5;3.125\n"), conventions=known)
    assert [column.values.tolist() for column in table] == [[1234.5], [3.125]]
    one = write("price;rate\n1.234;3.125\n")
    assert read_table(one, conventions=known, decimal=".")["price"].values.tolist() == [1.234]


def test_columns_of_another_format_than_the_table_stay_text(write):
    path = write("price;cost;rate\n1.234;1,5;1.25\n12,5;2,5;2.5\n7,25;3,5;3.125\n")
    table = read_table(path)
    assert [column.storage for column in table] == ["number", "number", "text"]
    exceptions = {"rate": Conventions(NumberFormat())}
    assert dict(table.conventions.exceptions) == exceptions
    found = recognize_table(table, {})
    assert found.converted[2].values.tolist() == [1.25, 2.5, 3.125]
    assert dict(found.conventions.exceptions) == exceptions


def test_columns_that_are_known_as_text_stay_as_written(write):
    path = write("version,x\n1.10,1.5\n1.1,2.5\n")
    for options in ({}, {"decimal": "."}):
        table = read_table(path, conventions=Conventions(text=frozenset(["version"])), **options)
        assert table["version"].values.tolist() == ["1.10", "1.1"]
        assert table["x"].values.tolist() == [1.5, 2.5]
        assert table.conventions.text == {"version"}
    path = write("tags;x\n1,5;1.5\n1,7;2.5\n")
    table = read_table(path, conventions=Conventions(text=frozenset(["tags"])))
    assert table.conventions.numbers == NumberFormat()


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_points_that_separate_thousands(write, delimiter):
    lines = ["4.716 a", "360 b", "72 a", "14.905 b", "1.200 a"]
    text = "\n".join(["n name", *lines]).replace(" ", delimiter)
    table = read_table(write(f"{text}\n"))
    assert table["n"].values.tolist() == [4716, 360, 72, 14905, 1200]
    assert table.remarks == ("numbers have a decimal comma, thousands are separated by points",)


@pytest.mark.parametrize(
    ("cells", "delimiter", "is_told"),
    [
        (["4.716", "360", "72", "14.905", "1.200"], ",", True),
        (["4.716", "8.125", "14.905", "1.200"], ";", True),
        (["4.716", "8.125", "", "14.905", "1.200"], ";", True),
        (["4.716", "360", "72", "14.905", "1.25"], ";", False),
        (["4.716", "360", "72", "14.905", "0.250"], ";", False),
        (["4.716", "3600", "72", "14.905", "1.250"], ";", False),
    ],
)
def test_points_that_may_separate_thousands_are_told(write, cells, delimiter, is_told):
    lines = "".join(f"{cell}{delimiter}{i % 2}\n" for i, cell in enumerate(cells))
    table = read_table(write(f"n{delimiter}k\n{lines}"))
    assert table["n"].values[0] == 4.716
    note = ", '4.716' read as 4.716 (decimal mark ',' if it is 4716)"
    assert (note in recognize_table(table, {}).recognized[0].reason) is is_told


def test_grades_with_a_minus_stay_text(write):
    table = read_table(write("grade,n\n1,1\n1-,2\n2,3\n2-,4\n3,5\n"))
    assert table["grade"].values.tolist() == ["1", "1-", "2", "2-", "3"]
    assert recognize_table(table, {}).recognized[0].reason == "5 categories"


@pytest.mark.parametrize("cells", [["12,50-", "3,20", "1,40"], ["12-", "3-", "140"]])
def test_a_minus_behind_amounts_is_told(write, cells):
    table = read_table(write("paid;n\n" + "".join(f"{cell};1\n" for cell in cells)))
    found = recognize_table(table, {})
    assert found.converted[0].values[0] in (-12.5, -12)
    assert "'-' behind numbers read as minus" in found.recognized[0].reason


def test_lists_of_a_few_numbers_stay_text(write):
    answers = ["1", "3,5", "4,5", "3", "4", "1,4", "5"]
    commas = "".join(f'"{answer}",{i % 2}\n' for i, answer in enumerate(answers))
    table = read_table(write(f"answers,n\n{commas}"))
    reason = "7 categories, though all could be decimals such as '3,5' (set numeric if they are)"
    assert recognize_table(table, {}).recognized[0].reason == reason
    assert recognize_table(table, {"answers": "numeric"}).converted[0].values[1] == 3.5
    semicolons = "".join(f"{answer};{i % 2}\n" for i, answer in enumerate(answers))
    assert read_table(write(f"answers;n\n{semicolons}"))["answers"].values[1] == 3.5
