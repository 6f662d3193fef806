import csv

import pytest

from pellucid.tables import TableError, places_of_rows, read_table

pytestmark = pytest.mark.parametrize("fast", [True, False], ids=["pyarrow", "csv"])


@pytest.fixture(autouse=True)
def _reader(fast, read_by):
    read_by(fast)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(write, delimiter):
    table = read_table(write(f"a{delimiter}b\n1{delimiter}x\n2{delimiter}y\n"))
    assert table.names == ("a", "b")
    assert len(table) == 2


def test_quoted_cells_may_hold_delimiters_and_line_ends(write):
    table = read_table(write('a,b\n"x, ""y""",1\n"two\nlines",2\n" z ",3\n'))
    assert table["a"].values.tolist() == ['x, "y"', "two\nlines", "z"]


def test_quotation_marks_elsewhere_are_kept(write):
    table = read_table(write('a,b\n5" pipe,1\nx, "y, z"\n'))
    assert table["a"].values.tolist() == ['5" pipe', "x"]
    assert table["b"].values.tolist() == ["1", "y, z"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_byte_order_mark_and_blank_lines(write, end):
    lines = ["\ufeffa,b", "", "1,2", "  ", "3,4", ""]
    table = read_table(write(end.join(lines)))
    assert table.names == ("a", "b")
    assert table["b"].values.tolist() == [2, 4]


def test_one_column(write):
    assert read_table(write('a\n1\n\n""\n3\n'))["a"].values.tolist()[::2] == [1, 3]
    assert read_table(write("a\nx\n?\n"))["a"].values.tolist() == ["x", None]


def test_without_header(write):
    path = write("39, State-gov, 77516\n50, Private, 83311\n")
    with pytest.raises(TableError, match=r"looks like data.*--no-header"):
        read_table(path)
    table = read_table(path, header=False)
    assert table.names == ("column_1", "column_2", "column_3")
    assert table["column_2"].values.tolist() == ["State-gov", "Private"]
    assert read_table(path, header=True).names == ("39", "State-gov", "77516")
    with pytest.raises(TableError, match="looks like data"):
        read_table(write("1,5;2,5\n3,5;4,5\n"))


def test_missing_cells_in_the_first_row(write):
    table = read_table(write("\t\n1\tx\n"), header=False)
    assert table["column_2"].values.tolist() == [None, "x"]
    assert read_table(write("\t\na\tb\n1\tx\n")).names == ("a", "b")


def test_names_over_several_lines(write):
    table = read_table(write('"a\nb",c\n1,2\n'))
    assert table.names == ("a\nb", "c")
    assert table["c"].values.tolist() == [2]


def test_columns_without_name_and_values_are_left_out(write):
    table = read_table(write("a,,b,,\n1,,x,, \n2,,y,,\n"))
    assert table.names == ("a", "b")
    assert table["b"].values.tolist() == ["x", "y"]
    assert read_table(write(",a,,\n0,1,,\n1,2,,\n")).names == ("", "a")


def test_one_column_with_decimal_commas(write):
    for text in ("x\n1,5\n2,5\n", "x\n12\n\n-2,50 €\n", "x\n1,400\n"):
        assert read_table(write(text)).names == ("x",)
    assert read_table(write("x\n1,5\n2,5\n"))["x"].values.tolist() == [1.5, 2.5]
    assert read_table(write("a,b\n1,5\n2,5\n")).names == ("a", "b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n\n  \n", "blank lines"),
        ("a,b\n", "header .* no rows"),
        ("a,b\n1,2\n3,4,5\n", "line 3: 3 cells, but the first line has 2"),
        ("# x\na,b\n1,2\n3,4,5\n", "line 4: 3 cells, but line 2 has 2"),
        ("#a,b\n1,2\n3,4,5\n", "line 3: 3 cells, but the first line has 2"),
        ("a,b\n1,2\n\n3\n", "line 4: 1 cell"),
        ('a,b\n1,"2\n\n"\n3\n', "line 5: 1 cell"),
        ('a,b\n1,2\n"never closed,4\n5,6\n', "line 3: broken CSV"),
        ('a,b\n1,"x"y\n', "line 2: broken CSV"),
        ('a,"b\n1,2\n', "line 1: broken CSV"),
        ("Sales\n\na,b\n1,2\n", "line 3: 2 cells.*delete the lines before.*--delimiter"),
        ("a,,\n1,2,\n1,,3\n", "more than one column is named ''"),
        (",\n,\n", "neither names nor values"),
        ("a,b,a\n1,2,3\n", "line 1: more than one column is named 'a'"),
        ("# x\na,b,a\n1,2,3\n", "line 2: more than one column is named 'a'"),
    ],
)
def test_broken_csv_is_one_clear_error(write, text, message):
    path = write(text)
    with pytest.raises(TableError, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


def test_a_cell_that_is_too_long(write):
    before = csv.field_size_limit(100_000)  # Some libraries raise it for the whole process.
    try:
        with pytest.raises(TableError, match=r"line 2: broken CSV.*limit"):
            read_table(write("a,b\n" + "x" * 200_000 + ",2\n"))
    finally:
        csv.field_size_limit(before)


def test_names_may_be_repeated_among_columns_that_are_not_needed(write):
    path = write("a,b,a,,\n1,2,3,4,5\n")
    table = read_table(path, needed=["b"])
    assert table.names == ("b",)
    assert table.remarks == ("columns left out, as several have the same name: '', 'a'",)
    with pytest.raises(TableError, match="line 1: more than one column is named 'a'"):
        read_table(path, needed=["a"])
    assert places_of_rows(path, [0]) == ["line 2"]
