from datetime import datetime, timedelta

import numpy as np
import pytest

from pellucid.tables.columns import column_from_values
from pellucid.tables.hints import hint_at_numbers
from pellucid.tables.recognition import recognize

N = 100
RNG = np.random.default_rng(0)


def reason_of(cells):
    return recognize(column_from_values("x", cells))[0].reason


HOLD_NUMBERS = {
    "mass": "{a}.{b} kg",
    "size": "{a} {unit}B",
    "duration": "{a}h {b}m",
    "long duration": "{a}:{c}:00",
    "ISO duration": "PT{a}H{b}M",
    "days": "{a} days 0{b}:00:00",
    "angle": "{a}°{b}'",
    "place": "{a}.5, {b}.25",
    "amount": "${a}M",
    "about": "~{a}",
    "per mille": "{a} ‰",
    "invisible": "{a}\u200b",
}


def written(form):
    cells = zip(RNG.permutation(N), RNG.integers(0, 9, N), RNG.integers(30, 59, N), strict=True)
    return [form.format(a=a, b=b, c=c, unit="MK"[a % 2]) for a, b, c in cells]


@pytest.mark.parametrize("case", HOLD_NUMBERS)
def test_numbers_with_units_are_told_of(case):
    cells = written(HOLD_NUMBERS[case])
    assert f"they hold numbers, such as {cells[0]!r} (leave only" in reason_of(cells)


@pytest.mark.parametrize(
    "form", ["T{a}", "75{a}-{b}", "{a}C{b}", "({b}) {a}", "DE{a} {b}", "#{a}{b}", "10.0.{a}.{c}"]
)
def test_ids_are_not_said_to_hold_numbers(form):
    assert reason_of(written(form)).endswith("different")


@pytest.mark.parametrize(
    ("cells", "hint"),
    [
        ([f"0{i:03}" for i in range(N)], "all could be numbers (set numeric if they are)"),
        ([f"1{i % 3}.1{i % 2}.{11 + i}" for i in range(60)], "could be dates (set datetime if"),
        (["13:05", "9:00"] * 80 + ["26:00"] * 4, "98 % are dates or times: '26:00' is not (set"),
        (["4:03", "16:09", "3:02"] * 20, "3 different (set categorical if they are ratios or"),
        ([*map(str, range(50)), *"abcdefghi"], "though 85 % are numbers: 'a' is not"),
        (["1", "2", "3"] * 30 + ["4+"] * 9, "4 categories, though 91 % are numbers: '4+' is not"),
        ([f"{i}.5" for i in range(200)] * 9 + ["1.2.3"] * 30, "98 % are numbers: '1.2.3' is not"),
    ],
)
def test_what_a_column_could_be_is_told(cells, hint):
    assert hint in reason_of(cells)


@pytest.mark.parametrize("cells", [["01067", "80331"], ["12 kg", "3 kg"], ["16:9", "4:3"]])
def test_categories_need_no_hint(cells):
    assert reason_of(cells * 20) == "2 categories"


@pytest.mark.parametrize(
    "form", ["%d.%m.%Y %H.%M", "%Y-%m-%d %H:%M:%S CET", "%a %b %d %Y %H:%M:%S GMT+0100"]
)
def test_texts_that_begin_with_dates_are_told(form):
    first = datetime(2020, 4, 5, 0, 2)
    texts = [(first + i * timedelta(hours=7)).strftime(form) for i in range(30)]
    hint = f", though they begin with dates, such as {texts[0]!r} (leave only these to use them)"
    assert hint_at_numbers(dict.fromkeys(texts, 1.0), is_left_out=True) == hint
    others = [*texts, "soon"]
    assert hint_at_numbers(dict.fromkeys(others, 1.0), is_left_out=True) == ""
