import csv
import io
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_data import real_data

from pellucid.tables import TableError, csv_file, read_table
from pellucid.tables.conventions import Conventions, NumberFormat
from pellucid.tables.csv_file import read_csv
from pellucid.tables.dialect import CsvOptions
from pellucid.tables.reading import places_of_rows
from pellucid.tables.recognition import recognize_table
from pellucid.tables.text_columns import typed_table


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
    assert (kept.conventions, kept.remarks) == (table.conventions, table.remarks)


def test_all_that_a_spreadsheet_of_europe_has(write):
    text = "# Exporté le 28/12/2020\r\nville;loyer;taux\r\nOrléans;1.234,50;12,5\r\nNîmes;-;3\r\n"
    table = read_table(write(text.encode("cp1252"), "loyers.txt"))
    assert table["ville"].values.tolist() == ["Orléans", "Nîmes"]
    assert table["taux"].values.tolist() == [12.5, 3.0]
    assert table.remarks == (
        "read as Latin-1, as it is not UTF-8",
        "1 comment line skipped",
        "numbers have a decimal comma, thousands are separated by points",
    )


def test_a_messy_table_as_a_whole(write):
    rows = [
        f"{('Orléans', 'Évry')[i % 2]};1.{200 + i},75;{1000 + i},50 €;"
        f"{i % 9},5 %;{1 + i % 28}/2/2020"
        for i in range(60)
    ]
    text = "\r\n".join(["# Exporté; à usage interne", "ville;surface;loyer;taux;entrée", *rows])
    table = read_table(write(text.encode("cp1252")))
    assert table.remarks[0].startswith("read as Windows-1252")
    recognized = recognize_table(table, {})
    kinds = ["categorical", "numeric", "numeric", "numeric", "datetime"]
    assert [column.kind for column in recognized.recognized] == kinds
    surface, rent, rate, day = [column.values[20] for column in recognized.converted[1:]]
    assert (surface, rent, rate) == (1220.75, 1020.5, 2.5)
    assert day == datetime(2020, 2, 21, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("fast", [True, False])
def test_places_of_rows(write, read_by, fast):
    read_by(fast)
    text = '# one\na,b\n\n1,"x\ny"\n# two\n2,z\n'
    first, second = write(text, "1.csv"), write("a,b\n3,x\n", "2.csv")
    assert places_of_rows(first, [1, 0, 1], comment="#") == ["line 7", "line 4", "line 7"]
    places = places_of_rows([first, second], [2, 0], comment="#")
    assert places == [f"{second}, line 2", f"{first}, line 4"]
    assert places_of_rows(write("1,2\n3,4\n"), [0, 1], header=False) == ["line 1", "line 2"]
    assert places_of_rows(write("#a,b\n1,2\n3,4\n"), [1]) == ["line 3"]


def test_places_of_rows_in_other_files(write):
    assert places_of_rows(write('{"a": 1}\n\n{"a": 2}\n'), [1]) == ["row 2"]
    assert places_of_rows("-", [4, 1]) == ["row 5", "row 2"]


def test_adult():
    table = read_table(real_data("adult/adult-train.csv.gz"), header=False)
    assert table.shape == (32_561, 15)
    assert int(table["column_2"].missing().sum()) == 1_836


def test_telco_total_charges_is_a_number_with_blanks():
    table = read_table(real_data("telco_churn/Telco-Customer-Churn.csv.gz"))
    assert table["TotalCharges"].storage == "number"
    assert int(table["TotalCharges"].missing().sum()) == 11


def read(data, fast, decimal=None, **options):
    """Read a CSV file with pyarrow, whatever its size, or with the csv module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_file, "is_large", lambda data: fast)
        return typed_table(read_csv(data, "t.csv", CsvOptions(**options)), decimal)


def read_or_fail(*args, **options):
    """Return the table, or the message of the error."""
    try:
        return read(*args, **options)
    except TableError as error:
        return str(error)


def contents(data, fast):
    """Return all that is read of a CSV file, or the message of the error."""
    table = read_or_fail(data, fast)
    if isinstance(table, str):
        return table
    columns = [(c.storage, c.values.dtype.str, list(map(repr, c.values.tolist()))) for c in table]
    return table.names, columns, table.conventions, table.remarks


CELLS = [
    *("1", "-3", "2.5", "1e5", "+4", "007", "0x1F", "1_0", "-0", "9223372036854775808", "1e400"),
    *(
        "1,5",
        "12.345,6",
        "1.234",
        "5,",
        ",5",
        "1 234",
        "1,5e3",
        "12.34",
        "$5",
        "12%",
        "(3)",
        "\u0661",
        " 5",
        "6 ",
        "\xa07",
        "2020-01-01",
    ),
    *("", "NA", "?", "nan", "Nan", "inf", "-", "none", "x", "é", "a b", "#c", "1;2", "sep=,"),
    *('"q"', '"a,b"', '"x\ny"', '"x""y"', '5" pipe', ' "s"', '"x"y', '"', "'", "\r", "\t", "  "),
]


@st.composite
def broken_files(draw):
    """Draw files of rows and cells that may be anything."""
    delimiter = draw(st.sampled_from(",;\t|"))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    kinds = draw(st.lists(st.lists(st.sampled_from(CELLS), min_size=1, max_size=4), min_size=1))
    rows = draw(st.lists(st.tuples(*map(st.sampled_from, kinds)), min_size=1, max_size=8))
    names = tuple(f"n{j}" for j in range(len(kinds)))
    lines = [delimiter.join(row) for row in (names, *rows)]
    if draw(st.booleans()):
        lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(["", " ", "# x", "1"])))
    return end.join(lines) + draw(st.sampled_from(["", end]))


@given(text=broken_files())
def test_pyarrow_and_the_csv_module_read_the_same(text):
    fast, plain = contents(text.encode(), True), contents(text.encode(), False)
    assert fast == plain
    if isinstance(fast, str):
        assert "line" in fast or "no rows" in fast


WORDS = st.text(
    st.characters(codec="latin-1", exclude_categories=["Cc"]) | st.sampled_from("\t\n\r")
)
TEXTS = st.tuples(WORDS, WORDS).map("w".join).map(str.strip).filter(lambda t: t[0] != "#")
NUMBERS = st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9).map(lambda x: round(x, 4))
MISSING = st.sampled_from(["", "NA", "?", " "])


@st.composite
def tables(draw):
    """Draw at least two columns of numbers or of text, with missing cells."""
    n = draw(st.integers(1, 6))
    kinds = draw(st.lists(st.sampled_from([NUMBERS, TEXTS]), min_size=2, max_size=5))
    return [draw(st.lists(kind | MISSING, min_size=n, max_size=n)) for kind in kinds]


@given(
    columns=tables(),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    decimal=st.sampled_from(".,"),
    has_names=st.booleans(),
    blank_lines=st.booleans(),
    fast=st.booleans(),
)
def test_what_is_read_is_what_was_written(
    columns, delimiter, end, encoding, quoting, decimal, has_names, blank_lines, fast
):
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting)
    names = [f"n{j}" for j in range(len(columns))] if has_names else []
    for row in [names] * has_names + list(zip(*columns, strict=True)):
        writer.writerow([c if isinstance(c, str) else str(c).replace(".", decimal) for c in row])
        file.write(end * blank_lines)
    # Of what cannot be known, the test tells what it wrote.
    told = {} if has_names else {"header": False, "delimiter": delimiter}
    told |= {"encoding": encoding} if encoding == "latin-1" else {}
    told |= {"decimal": decimal} if decimal == "," else {}
    table = read_or_fail(file.getvalue().encode(encoding), fast, **told)
    if isinstance(table, str):
        # Older versions of the csv module do not quote line ends other than their own.
        assert "line" in table
        assert any(end in str(cell) for end in "\r\n" for column in columns for cell in column)
        return
    assert len(table.columns) == len(columns)
    for column, cells in zip(table, columns, strict=True):
        numbers = [cell for cell in cells if not isinstance(cell, str)]
        if numbers:
            expected = [np.nan if isinstance(cell, str) else cell for cell in cells]
            np.testing.assert_array_equal(column.values, expected)
        else:
            assert column.values.tolist() == [c if "w" in c else None for c in cells]
