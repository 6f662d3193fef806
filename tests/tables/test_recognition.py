import numpy as np
import pytest
from real_data import real_data

from pellucid.tables import Column, TableEncoder, read_table, recognize
from pellucid.tables.columns import column_from_values


def kind_of(name, values, kind=None):
    return recognize(column_from_values(name, values), kind)[0]


N = 200
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
