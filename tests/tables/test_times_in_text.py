import numpy as np
import pytest

from pellucid.tables.text import clean_text
from pellucid.tables.times_in_text import recognize_day_first, times_from_text


@pytest.mark.parametrize(
    ("cells", "day_first", "days", "note"),
    [
        (["3/1/1970", "13/1/1970"], None, [2, 12], "read as day/month because of '13/1/1970'"),
        (["3/1/1970", "1/13/1970"], True, [59, 12], "read as month/day because of '1/13/1970'"),
        (["3/1/1970"], True, [2], "'3/1/1970' read as day/month, as in the rest of the table"),
        (["3/1/1970"], None, [59], "'3/1/1970' read as month/day: no date decides it"),
        (["3.1.1970"], None, [2], None),
        (["1970-01-03", "4 Jan 1970"], None, [2, 3], None),
    ],
)
def test_order_of_day_and_month(cells, day_first, days, note):
    result = times_from_text(clean_text(cells), None, day_first)
    assert (result.values / 86_400).tolist() == days
    assert result.notes == ((note,) if note else ())


def test_missing_and_stray_dates():
    result = times_from_text(clean_text(["13/1/1970", "-", None] * 20 + ["soon"]))
    assert np.isnan(result.values).tolist() == [False, True, True] * 20 + [True]
    assert (result.words, result.stray) == (("-",), ("soon",))
    assert times_from_text(clean_text(["13/1/1970", "soon"])) is None
    assert times_from_text(clean_text(["-", "-"])) is None


def test_times_of_day_do_not_mix_with_dates():
    clock = times_from_text(clean_text(["13:05", "1:05 PM", "?"]))
    assert clock.are_clock_times
    np.testing.assert_array_equal(clock.values, [47_100, 47_100, np.nan])
    mixed = times_from_text(clean_text(["2020-01-01"] * 30 + ["13:05"]))
    assert mixed.stray == ("13:05",)


@pytest.mark.parametrize(
    ("cells", "are_times"),
    [
        (["10.11.12", "13.10.19"], False),
        (["10.11.12", "01.12.12"], True),
        (["10.11.12", "10.12.2012"], True),
        (["13:00", "9:30"] * 45 + ["26:00"] * 2, False),
        (["13:00", "9:30"] * 90 + ["26:00"], True),
        (["16:10", "21:10"] * 45 + ["16:9"] * 3, False),
        (["2011-12", "2012-01"] * 45 + ["2012-13"] * 2, False),
        (["2020-01", "2021-12"], True),
    ],
)
def test_what_looks_like_times_but_is_none(cells, are_times):
    assert (times_from_text(clean_text(cells)) is not None) == are_times
    assert times_from_text(clean_text(cells), certain=True) is not None


@pytest.mark.parametrize(
    ("columns", "day_first"),
    [
        ([["3/1/2020"], ["28/12/2020"]], True),
        ([["12/28/2020", "3/1/2020"], ["Rome"]], False),
        ([["12/28/2020"], ["28/12/2020"]], None),
        ([["3/1/2020", None], [], [None]], None),
    ],
)
def test_tables_tell_the_order_of_day_and_month(columns, day_first):
    assert recognize_day_first(columns) is day_first


@pytest.mark.parametrize(
    ("cells", "notes"),
    [
        (
            ["23-06-22", "23-06-29", "22-01-05"],
            "'23-06-22' read as 2022-06-23 (write years with four",
        ),
        (["17/10/20", "18/11/20", "19/11/20"], None),
        (
            ["01.10.99", "18.11.67"],
            "'18.11.67' read as 2067-11-18 (write years with four digits if",
        ),
        (["17.10.2067", "18.11.98"], None),
    ],
)
def test_years_of_two_digits_are_told(cells, notes):
    result = times_from_text(clean_text(cells), None, day_first=True)
    told = [note for note in result.notes if "four digits" in note]
    assert (told == []) if notes is None else told[0].startswith(notes)


def test_months_with_years_of_two_digits():
    result = times_from_text(clean_text(["Dec-20", "Jan-21", "Mai '21"]))
    expected = np.array(["2020-12-01", "2021-01-01", "2021-05-01"], "M8[s]").astype(float)
    np.testing.assert_array_equal(result.values, expected)
    assert times_from_text(clean_text(["Dec 20", "Jan 21"])) is None, "days"
