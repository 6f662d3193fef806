from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from number_formats import FORMATS, written

from pellucid.tables.conventions import NumberFormat
from pellucid.tables.text import clean_text, numbers_from_text

POINT, COMMA = NumberFormat(), NumberFormat(",", ".")
AS_REST = ", as in the rest of the table"


def read(cells, format=POINT):
    return numbers_from_text(clean_text(cells), None, format)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.sampled_from(FORMATS),
    st.sampled_from(["{}", "{} %", "€ {}", "{} €", "USD {}", "{}$"]),
    st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=20),
)
def test_what_a_format_wrote_is_read_exactly(format, pattern, hundredths):
    numbers = [n / 100 for n in hundredths]
    cells = [pattern.format(written(n, 2, format)) for n in numbers]
    result = read(cells)
    assert result.values.tolist() == numbers
    assert result.format.decimal == format.decimal


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.sampled_from(FORMATS),
    st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=20),
)
def test_whole_numbers_are_read_exactly_with_the_format_of_the_table(format, numbers):
    result = read([written(n, 0, format) for n in numbers], format)
    assert result.values.tolist() == numbers
    assert result.values.dtype == np.int64


def test_whole_numbers_beyond_float64_are_told_apart():
    for cells in (["9007199254740993", "-9007199254740992"], ["9,007,199,254,740,993", "(1)"]):
        values = [int(c.replace(",", "").replace("(1)", "-1")) for c in cells]
        assert read(cells).values.tolist() == values


@pytest.mark.parametrize(
    ("cells", "note"),
    [
        (["12 %", "0.5", "1"], "mixed: 1 with '%' such as '12 %', 2 without such as '0.5'"),
        (["3", "$12", "€5", "€6"], ": 1 with '$' such as '$12', 2 with '€' such as '€5', 1 wi"),
        (["$12", "3"], None),
        (["12 %", "3 %"], None),
    ],
)
def test_mixed_units_are_told(cells, note):
    told = [text for text in read(cells).notes if "mixed" in text]
    assert len(told) == (note is not None)
    assert note is None or note in told[0]


def test_cells_that_were_numbers_are_read_in_no_other_way():
    cells = [1.125, -1.125, Decimal("2.250"), 12345678901234567.0, 3, "12,5", "13,75"]
    expected = [1.125, -1.125, 2.25, 12345678901234567.0, 3, 12.5, 13.75]
    assert read(cells).values.tolist() == read(cells, COMMA).values.tolist() == expected
    result = read([1.125, "1.250"], COMMA)
    assert result.values.tolist() == [1.125, 1250]
    assert result.notes == ("'1.250' read as 1250, as in the rest of the table",)
    assert read([1.5, 2.25, "1.234.567,5"]).format == COMMA


@pytest.mark.parametrize(
    ("cells", "format", "values", "note"),
    [
        (["1.234", "5.678"], POINT, [1.234, 5.678], None),
        (
            ["1.234", "5.678"],
            COMMA,
            [1234, 5678],
            "'1.234' read as 1234, as in the rest of the table",
        ),
        (["1.234", "12.5"], COMMA, [1.234, 12.5], None),
        (["1,234", "5,678"], POINT, [1234, 5678], "'1,234' read as 1234"),
        (["1,234", "0,5"], POINT, [1.234, 0.5], "with decimal commas"),
        (["1.234", "1.234.567"], POINT, [1234, 1234567], "thousands separated by points"),
        (["12 %", "3"], POINT, [12, 3], "'%' taken off"),
        (["$3", "€4"], POINT, [3, 4], "'$' and '€' taken off"),
        (["(12)", "3"], POINT, [-12, 3], "parentheses read as minus"),
        (["12-", "3"], POINT, [-12, 3], "'-' behind numbers read as minus"),
    ],
)
def test_ambiguous_cells_follow_the_column_then_the_table(cells, format, values, note):
    result = read(cells, format)
    assert result.values.tolist() == values
    assert note in result.notes if note else not result.notes


@pytest.mark.parametrize(
    "word", ["na", "-", "--", "none", "Null", ".", "N.A.", "unknown", "#DIV/0!"]
)
def test_words_for_missing_among_numbers(word):
    result = read([word, "1,5", word, "2"])
    np.testing.assert_array_equal(result.values, [np.nan, 1.5, np.nan, 2])
    assert result.words == (word,)
    assert result.n_blank == 2
    assert read([word, word]) is None
    assert clean_text([word]).tolist() == [word], "may be a category elsewhere"


@pytest.mark.parametrize(
    "cells",
    [
        ["a", "1"],
        ["01234", "1,5"],
        ["1.2.3", "1.2.4"],
        ["12 kg", "3 kg"],
        ["10,20,30", "1"],
        ["192.168.100.150", "10.120.200.101"],
        ["+4930123456", "5"],
        ["10E3", "12E5"],
        ["10E3", "1012"],
        ["1,2", "1,3"] * 45 + ["1,2,3"] * 2,
        ["3.10", "3.11"] * 45 + ["3.9.1"] * 2,
    ],
)
def test_other_text_is_no_number(cells):
    assert read(cells) is None


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1e5", "2e3"], [1e5, 2e3]),
        (["1E+05", "2E-3", "1E5"], [1e5, 2e-3, 1e5]),
        (["1.0E5", "2E3"], [1e5, 2e3]),
        ([*map(str, range(50)), "1E5"], [*range(50), 1e5]),
        (["+5", "-3"], [5, -3]),
        (["1,2"] * 200 + ["1,2,3"], [1.2] * 200 + [np.nan]),
        (["1", "2"] * 45 + ["1.2.3"] * 2, [1, 2] * 45 + [np.nan] * 2),
    ],
)
def test_numbers_that_look_like_codes(cells, values):
    np.testing.assert_array_equal(read(cells).values, values)


def test_a_few_strays_are_missing():
    result = read(["1,5"] * 50 + ["see below"])
    assert result.stray == ("see below",)
    assert np.isnan(result.values[-1])
    assert read(["1,5"] * 50 + ["see below"] * 5) is None
