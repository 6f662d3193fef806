import numpy as np
import pytest
from real_data import real_data

from pellucid.tables import Column, Table, TableEncoder, TableError, read_table, recognize
from pellucid.tables.columns import column_from_values
from pellucid.tables.conventions import Conventions, NumberFormat
from pellucid.tables.recognition import recognize_table


def kind_of(name, values, kind=None):
    return recognize(column_from_values(name, values), kind)[0]


N = 200
NUMBERS = [str(1.5 * i) for i in range(N)]
DAYS = [str(np.datetime64("2020-01-01") + i) for i in range(N)]
SHUFFLED = np.random.default_rng(0).permutation(N)


@pytest.mark.parametrize(
    ("name", "values", "kind", "reason"),
    [
        ("price", np.linspace(0, 1, N), "numeric", "numbers"),
        ("age", SHUFFLED % 60, "numeric", "whole numbers"),
        ("flag", SHUFFLED % 2 == 0, "boolean", "true or false"),
        ("city", ["Rome", "Oslo"] * 100, "categorical", "2 categories"),
        ("charge", ["29.85", " ", "30", "12.5"] * 50, "numeric", "stored as text, 50 missing"),
        ("load", ["1.5", "2"] * 98 + ["n.a."] * 4, "numeric", "'n.a.' treated as missing"),
        ("zip", ["01234", "90210"] * 100, "categorical", "2 categories"),
        ("when", ["2020-01-31", "2021-02-28"] * 100, "datetime", "dates or times stored as text"),
        ("when", np.array(["2020-01-31", "2021-02-28"], "M8[D]"), "datetime", "dates"),
        ("customerID", [f"7590-{i:04}" for i in range(N)], "left out", "every text is different"),
        ("row", np.arange(1, N + 1), "left out", "id"),
        ("whatever", SHUFFLED + 1, "left out", "id"),
        ("whatever", SHUFFLED[:150], "left out", "id"),
        ("user_id", SHUFFLED[:50] ** 2, "left out", "id"),
        ("amount", SHUFFLED[:50] ** 2, "numeric", "whole numbers"),
        ("same", ["p"] * N, "left out", "constant: always 'p'"),
        ("same", np.full(N, 3.0), "left out", "constant: always 3"),
        ("nothing", [None] * N, "left out", "every value is missing"),
        ("nothing", np.full(N, np.nan), "left out", "every value is missing"),
        ("note", [f"text {i // 1.5}" for i in range(N)], "left out", "free text"),
        ("huge", np.array([1e30, np.inf, 1.0, -2.5]), "numeric", "numbers"),
        ("small", ["a", "b", "c"], "categorical", "3 categories"),
        ("price", ["1.200,50 €", "3,5 €"] * 50, "numeric", "with decimal commas, thousands"),
        ("share", ["12.5 %", "3 %"] * 50, "numeric", "numbers stored as text, '%' taken off"),
        ("loss", ["(12)", "7", "-"] * 50, "numeric", "('-' treated as missing)"),
        ("when", ["28/12/2020", "3/1/2020"] * 50, "datetime", "day/month because of '28/12/2020'"),
        ("at", ["13:05", "1:05"] * 50, "datetime", "times of day stored as text"),
        ("class", SHUFFLED % 6, "numeric", "6 different (set categorical if they are codes)"),
        ("class", ["1", "2", "3"] * 50, "numeric", "text, 3 different (set categorical"),
        ("sex", SHUFFLED % 2, "numeric", "whole numbers"),
        ("east", [f"48,{i:03}" for i in range(N)], "left out", "'48,000' read as 48000"),
        ("x", [*NUMBERS[:94], *["k.A."] * 6], "numeric", "('k.A.' treated as missing), 6 missing"),
        ("x", [*NUMBERS[:94], *["tba"] * 6], "numeric", "missing in 6 rows), 6 missing"),
        ("x", [*NUMBERS, "<5", ">100", "ca. 3", "~7"], "numeric", "('<5', '>100', 'ca. 3', '~7' t"),
        (
            "when",
            [*DAYS, "later", "soon", "today", "?!"],
            "datetime",
            "treated as missing in 4 rows)",
        ),
        ("when", [*DAYS, *["0000-00-00"] * 30], "datetime", "'0000-00-00' treated as missing)"),
        ("when", [*DAYS[:40], *map(str.lower, "ABCDEFGH")], "left out", "every text is different"),
    ],
)
def test_kinds(name, values, kind, reason):
    recognized = kind_of(name, values)
    assert recognized.kind == kind
    assert reason in recognized.reason


def test_present_or_missing_is_information_even_when_the_value_is_constant():
    assert kind_of("pool", [1.0, np.nan] * 20).kind == "numeric"
    assert kind_of("alley", ["yes", None] * 20).kind == "categorical"


def test_a_person_knows_better():
    assert kind_of("season", [1, 2, 3, 4] * 9, "categorical").kind == "categorical"
    _, column = recognize(Column("season", "number", np.array([1, 2])), "categorical")
    assert column.values.tolist() == ["1", "2"]


def test_a_kind_that_parses_nothing_is_an_error():
    for kind in ("numeric", "boolean", "datetime"):
        message = rf"'price' cannot be {kind}: .* such as 'cheap', 'dear'.* categorical"
        with pytest.raises(TableError, match=message):
            kind_of("price", ["cheap", "dear", None, "cheap"], kind)


@pytest.mark.parametrize(
    ("values", "kind", "reason", "numbers"),
    [
        (["$12.30", "cheap", None], "numeric", "1 missing as they are not a number", [12.3]),
        (["01", "2,5"], "numeric", "as specified, with decimal commas", [1, 2.5]),
        (["yes", "No", "?"], "boolean", "as specified", [1, 0]),
        (["True", "maybe"], "boolean", "1 missing as they are not true or false", [1]),
        (["3/1/1970", "later"], "datetime", "read as month/day: no date decides", [59 * 86_400]),
        ([5, 6], "datetime", "numbers are seconds since 1970", [5, 6]),
        ([None, None], "numeric", "as specified", []),
    ],
)
def test_what_a_kind_that_was_asked_for_cannot_parse_is_told(values, kind, reason, numbers):
    recognized, column = recognize(column_from_values("x", values), kind)
    assert reason in recognized.reason
    assert column.as_float()[~column.missing()].tolist() == numbers if numbers else True


COUNTER = np.arange(1, N + 1)
NOISE = np.random.default_rng(1).normal(size=N)


@pytest.mark.parametrize(
    ("name", "values", "y", "kind", "reason"),
    [
        ("day", COUNTER, COUNTER + NOISE, "numeric", "tells of the target"),
        ("day", COUNTER, COUNTER > 90, "numeric", "tells of the target"),
        ("day", COUNTER, NOISE, "left out", "tells nothing of the target (set numeric to keep"),
        ("day", SHUFFLED, NOISE, "numeric", "all different (set left out if they identify rows)"),
        ("day", COUNTER[::2], COUNTER[::2], "numeric", "tells of the target"),
        ("day", COUNTER, None, "left out", "an id: numbers that identify rows (set numeric to"),
        ("row_id", COUNTER, COUNTER, "left out", "an id by its name"),
        ("atomic_number", COUNTER, COUNTER + NOISE, "numeric", "tells of the target"),
        ("atomic_number", SHUFFLED + 1, NOISE, "numeric", "all different (set left out if"),
        ("index", COUNTER, NOISE, "left out", "tells nothing of the target"),
        ("index", COUNTER, None, "left out", "an id: numbers that identify rows"),
        ("order_no", 9 * COUNTER, NOISE, "numeric", "all different (set left out if they identify"),
        ("order_no", 9 * COUNTER, None, "numeric", "all different (set left out if they identify"),
    ],
)
def test_row_counters(name, values, y, kind, reason):
    recognized, _ = recognize(column_from_values(name, values), y=y)
    assert recognized.kind == kind
    assert reason in recognized.reason


@pytest.mark.parametrize(
    ("cells", "of_table", "exceptions"),
    [
        ({"a": ["1.234", "5.678"]}, Conventions(), {}),
        ({"a": ["1.234"], "b": ["12,5"]}, Conventions(NumberFormat(",", "."), True), {}),
        (
            {"a": ["1,5"], "b": ["12,5"], "c": ["1.5"]},
            Conventions(NumberFormat(","), True),
            {"c": Conventions(NumberFormat("."))},
        ),
        ({"a": ["3/1/2020"], "b": ["28/12/2020"]}, Conventions(day_first=True), {}),
        ({"a": ["3/1/2020"], "b": ["4/5"]}, Conventions(day_first=False), {}),
        (
            {"a": ["28/12/2020"], "b": ["12/28/2020"], "c": ["28/2/2020"]},
            Conventions(day_first=True),
            {"b": Conventions(day_first=False)},
        ),
    ],
)
def test_conventions_of_a_table(cells, of_table, exceptions):
    columns = tuple(column_from_values(name, [*values, None]) for name, values in cells.items())
    found = recognize_table(Table(columns), {}).conventions
    assert dict(found.exceptions) == exceptions
    assert Conventions(found.numbers, found.day_first) == of_table


def test_what_the_reader_of_a_table_knows_has_priority():
    columns = tuple(
        column_from_values(n, ["1.234", "3/1/1970"][i : i + 1]) for i, n in enumerate("ab")
    )
    table = Table(columns, conventions=Conventions(NumberFormat(","), True))
    found = recognize_table(table, {"a": "numeric", "b": "datetime"})
    assert [column.as_float().tolist() for column in found.converted] == [[1234], [2 * 86_400]]


@pytest.mark.parametrize(
    ("file", "left_out"),
    [
        ("telco_churn/Telco-Customer-Churn.csv.gz", {"customerID"}),
        ("mushrooms/mushrooms.csv.gz", {"veil_type"}),
        ("bike_sharing/hour.csv.gz", {"instant"}),
        ("penguins/penguins_raw.csv.gz", {"Region", "Stage", "Individual ID"}),
        ("mpg/mpg.csv.gz", {"name"}),
        ("diamonds/diamonds.csv.gz", set()),
    ],
)
def test_what_is_left_out_of_real_tables(file, left_out):
    recognized = TableEncoder().recognize(read_table(real_data(file)))
    assert {column.name for column in recognized if column.kind == "left out"} == left_out
