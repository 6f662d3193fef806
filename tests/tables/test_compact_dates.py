"""Dates such as 20200103 are dates, however a table stores them."""

import numpy as np
import pandas as pd
import pytest

from pellucid.tables import TableEncoder, TableError
from pellucid.tables.columns import column_from_values
from pellucid.tables.recognition import recognize

DAYS = pd.date_range("2019-12-20", periods=40)
NUMBERS = np.array([int(f"{day:%Y%m%d}") for day in DAYS])


def kind_of(values):
    return recognize(column_from_values("day", values))[0].kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (NUMBERS, "datetime"),
        (NUMBERS.astype(str), "datetime"),
        (np.append(NUMBERS, [np.nan, 21001231]), "datetime"),
        (NUMBERS[:19], "numeric"),
        (np.append(NUMBERS, 20200230), "numeric"),
        (np.append(NUMBERS, 99991231), "numeric"),
        (np.append(NUMBERS, 20200101.5), "numeric"),
        (np.append(NUMBERS, 18991231), "numeric"),
        (NUMBERS[:2].repeat(20), "numeric"),
    ],
)
def test_only_plain_dates_are_dates(values, kind):
    assert kind_of(values) == kind


@pytest.mark.parametrize("other", [0, -1, 99991231])
@pytest.mark.parametrize("kind", [int, str])
def test_dates_with_a_number_for_missing_ones_are_told(other, kind):
    column = column_from_values("day", np.append(NUMBERS, [other] * 4).astype(kind))
    recognized = recognize(column)[0]
    hint = f"though most are dates: {other} is not (set datetime to take such numbers as missing)"
    assert recognized.kind == "numeric"
    assert hint in recognized.reason
    assert np.isnan(recognize(column, "datetime")[1].values).sum() == 4


def test_the_last_day_of_all_is_missing():
    days = np.append(DAYS.astype(str), ["9999-12-31", "31.12.9999"]).astype(object)
    encoder = TableEncoder().fit(pd.DataFrame({"day": days}))
    assert "2 missing" in encoder.recognized_[0].reason
    for day in ("9999-12-31", "31.12.9999"):
        found, missing = encoder.transform(pd.DataFrame({"day": [day, None]}))
        np.testing.assert_array_equal(found, missing)


@pytest.mark.parametrize("stored", [NUMBERS, NUMBERS.astype(str), DAYS, DAYS.astype(str)])
def test_a_prediction_may_store_dates_otherwise(stored):
    others = [NUMBERS, NUMBERS.astype(str), DAYS, DAYS.astype(str), NUMBERS.astype(float)]
    encoder = TableEncoder().fit(pd.DataFrame({"day": stored}))
    expected = encoder.transform(pd.DataFrame({"day": DAYS}))
    for other in others:
        found = encoder.transform(pd.DataFrame({"day": other}))
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(TableError, match=r"holds numbers, but .* dates"):
        encoder.transform(pd.DataFrame({"day": [7.5, 20200230.0]}))


def test_a_kind_that_was_asked_for():
    def reason(values, kind):
        return recognize(column_from_values("day", values), kind)[0].reason

    assert reason(NUMBERS[:1], "datetime") == "as specified, numbers as 20200103 are dates"
    assert reason([5, 6], "datetime") == "as specified, numbers are seconds since 1970"
    assert recognize(column_from_values("day", NUMBERS), "numeric")[1].as_float()[0] == 20191220
