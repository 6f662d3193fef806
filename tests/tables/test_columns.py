"""Cells of any type become what they are, or are refused with a clear error."""

import datetime as dt
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from pellucid.tables import TableEncoder, TableError, as_table
from pellucid.tables.columns import column_from_values

BIG = 2**53
DAY = 86_400.0
ROME = ZoneInfo("Europe/Rome")


def objects(*cells):
    return pd.DataFrame({"a": pd.Series(cells, dtype=object)})


def kind_of(table, cells_of="a"):
    return {c.name: c for c in TableEncoder().recognize(table)}[cells_of]


NUMBERS = {
    "Decimal": (objects(Decimal("1.5"), Decimal("2"), None), [1.5, 2.0, np.nan]),
    "Decimal, not a number": (objects(Decimal("NaN"), Decimal("sNaN"), 3), [np.nan, np.nan, 3.0]),
    "Decimal of Arrow": (pa.table({"a": [Decimal("1.5"), None]}), [1.5, np.nan]),
    "durations": (objects(dt.timedelta(days=1), None), [DAY, np.nan]),
    "durations of NumPy": (objects(np.timedelta64(2, "D"), np.timedelta64(1, "s")), [2 * DAY, 1.0]),
    "mixed": (objects(1, 2.5, np.float32(0.5), True, Decimal("4")), [1.0, 2.5, 0.5, 1.0, 4.0]),
    "beyond float64": (objects(10**400, -(10**400), 0.5), [np.inf, -np.inf, 0.5]),
    "sparse": (pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 1.5])}), [0.0, 1.5]),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers(case):
    table, expected = NUMBERS[case]
    column = as_table(table)["a"]
    assert column.storage == "number"
    np.testing.assert_array_equal(column.as_float(), expected)


TEXTS = {
    "bytes": (objects(b"Rome", b" Oslo ", b"NA"), ["Rome", "Oslo", None]),
    "bytes of Arrow": (pa.table({"a": [b"Rome", None]}), ["Rome", None]),
    "bytes of NumPy": (np.array([[b"Rome"], [b"Oslo"]]), ["Rome", "Oslo"]),
    "numbers and text": (objects(1, 2.0, "2", "x", None, 2.5), ["1", "2", "2", "x", None, "2.5"]),
    "truth and text": (objects(True, "yes"), ["True", "yes"]),
    "dates and text": (objects(dt.date(2020, 1, 2), "2021-01-02"), ["2020-01-02", "2021-01-02"]),
    "identifiers": (objects(UUID(int=1)), [str(UUID(int=1))]),
    "intervals": (pd.DataFrame({"a": pd.cut([1.0, 2.0], [0, 1, 2])}), ["(0, 1]", "(1, 2]"]),
    "whole numbers beyond int64": (objects(10**30, 10**30 + 1), [str(10**30), str(10**30 + 1)]),
    "missing among large": (objects(BIG + 1, None), [str(BIG + 1), None]),
    "Int64": (pd.DataFrame({"a": pd.array([BIG + 1, None], "Int64")}), [str(BIG + 1), None]),
    "polars": (pl.DataFrame({"a": [None, -BIG - 1]}), [None, str(-BIG - 1)]),
    "Int128": (pl.DataFrame({"a": [2**70, None]}, {"a": pl.Int128}), [str(2**70), None]),
}


@pytest.mark.parametrize("case", TEXTS)
def test_texts(case):
    table, expected = TEXTS[case]
    [column] = as_table(table)
    assert column.storage == "text"
    assert column.values.tolist() == expected


def test_large_whole_numbers_are_told_apart():
    """Neighbours beyond 2**53 are equal as float64."""
    code = {"a": "categorical"}
    for table in (
        pd.DataFrame({"a": [BIG, BIG + 1] * 30}),
        pd.DataFrame({"a": pd.array([BIG, BIG + 1, None] * 20, "Int64")}),
        pl.DataFrame({"a": [BIG, BIG + 1] * 30}),
    ):
        names = TableEncoder(columns=code).fit(table).get_feature_names_out()
        assert names[:2].tolist() == [f"a_{BIG}", f"a_{BIG + 1}"]
        assert kind_of(table).kind == "numeric", "not constant"
    ids = pd.DataFrame({"user_id": BIG + 2 * np.arange(60) // 2})
    assert len(set(ids["user_id"].astype(float))) < 60
    assert kind_of(ids, "user_id").kind == "left out"


NO_CELLS = {
    "tuples": ((1, 2), "a tuple: (1, 2)"),
    "lists": ([1, 2], "a list: [1, 2]"),
    "dicts": ({"x": 1}, "a dict: {'x': 1}"),
    "sets": (frozenset([1]), "a frozenset: frozenset({1})"),
    "arrays": (np.array([1, 2]), "a ndarray: array([1, 2])"),
    "series": (pd.Series([1]), "a Series: 0 1 dtype: int64"),
    "complex": (1 + 2j, "a complex: (1+2j)"),
}


@pytest.mark.parametrize("case", NO_CELLS)
def test_what_is_no_cell_is_refused_with_its_column(case):
    cell, shown = NO_CELLS[case]
    message = "Column 'a': the argument must be a string or a number in every cell of a table, got "
    with pytest.raises(TypeError) as error:
        as_table(objects("x", cell, "y"))
    assert str(error.value).startswith(message + shown)
    assert "Split it into several columns or drop it" in str(error.value)


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(TableError, match=r"Column 'a': b'\\xff' is not UTF-8 text; decode it"):
        as_table(objects(b"Rome", b"\xff"))


def test_times_of_any_zone_are_moments():
    noon = dt.datetime(2021, 7, 1, 12, tzinfo=ROME)
    utc = noon.astimezone(dt.UTC)
    for table in (
        objects(noon, utc),
        pd.DataFrame({"a": pd.to_datetime([noon, noon])}),
        pl.DataFrame({"a": [noon, noon]}),
        objects(noon.isoformat(), utc.isoformat()),
        objects(utc.replace(tzinfo=None), utc.isoformat()),
    ):
        encoder = TableEncoder(columns={"a": "datetime"}).fit(table)
        mean = encoder.encodings_["a"].seconds.mean
        assert mean == noon.timestamp()


def test_periods_are_times():
    months = pd.DataFrame({"a": pd.period_range("2020-01", periods=30, freq="M")})
    months.loc[3, "a"] = pd.NaT
    column = as_table(months)["a"]
    assert column.storage == "datetime"
    assert column.values[1] == dt.datetime(2020, 2, 1, tzinfo=dt.UTC).timestamp()
    assert np.isnan(column.values[3])


CATEGORIES = {
    "pandas": lambda cells: pd.DataFrame({"a": pd.Categorical(cells)}),
    "polars": lambda cells: pl.DataFrame(
        {"a": [None if c is None else str(c) for c in cells]}, {"a": pl.Categorical}
    ),
    "Enum": lambda cells: pl.DataFrame(
        {"a": [None if c is None else str(c) for c in cells]}, {"a": pl.Enum(["1", "2", "3", "9"])}
    ),
    "Arrow": lambda cells: pa.table({"a": pa.array(cells).dictionary_encode()}),
}


@pytest.mark.parametrize("of", CATEGORIES.values(), ids=CATEGORIES)
def test_columns_that_are_declared_categories_are_categories(of):
    table = of([1, 2, 3] * 20)
    recognized = kind_of(table)
    assert (recognized.kind, recognized.reason) == ("categorical", "3 categories by its type")
    encoder = TableEncoder().fit(table)
    assert encoder.transform(of([1, 9, None])).tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    np.testing.assert_array_equal(encoder.transform(of([3, 1])), [[0, 0, 1], [1, 0, 0]])
    plain = pd.DataFrame({"a": [3, 1]})
    np.testing.assert_array_equal(encoder.transform(plain), encoder.transform(of([3, 1])))
    assert encoder.drift(of([1, 9, None])).columns[0].shares.unseen == 0.5


def test_declared_categories_that_are_all_different_are_ids():
    table = pd.DataFrame({"a": pd.Categorical(range(50))})
    assert kind_of(table).reason == "an id: every text is different"


def test_masked_cells_are_missing():
    X = np.ma.masked_array([[1, 2], [3, 4]], mask=[[0, 1], [0, 0]])
    assert as_table(X)["x1"].as_float().tolist()[1:] == [4.0]
    assert as_table(X)["x1"].missing().tolist() == [True, False]
    text = np.ma.masked_array([["a", "b"], ["c", "d"]], mask=[[0, 1], [0, 0]])
    assert as_table(text)["x1"].values.tolist() == [None, "d"]
    assert as_table(np.ma.masked_array([[1, 2]]))["x1"].values.tolist() == [2]


@pytest.mark.parametrize("X", [{"a": [1, 2]}, [{"a": 1}, {"a": 2}]], ids=["dict", "list of dicts"])
def test_dicts_are_refused_with_the_way_out(X):
    with pytest.raises(TypeError, match=r"make a DataFrame of it, such as pandas.DataFrame\(X\)"):
        as_table(X)


def test_a_column_of_a_series_of_any_library():
    for values in (pd.Series([1, 2]), pl.Series([1, 2]), pa.chunked_array([[1, 2]]), [[1], [2]]):
        assert column_from_values("y", values).values.tolist() == [1, 2]
    with pytest.raises(ValueError, match="y must have one dimension"):
        column_from_values("y", [[1, 2], [3, 4]])


@pytest.mark.parametrize("frame", [pa.table, pl.DataFrame, pd.DataFrame])
@pytest.mark.parametrize("more", [[], [None]])
def test_dates_too_far_for_exact_microseconds(frame, more):
    times = [dt.datetime(9999, 12, 31), dt.datetime(2020, 1, 1, 0, 0, 0, 500_000), *more]
    if frame is pd.DataFrame:
        times = pd.Series(times, dtype="datetime64[us]")
    values = as_table(frame({"d": times}))["d"].values
    np.testing.assert_array_equal(values, [253402214400.0, 1577836800.5, *[np.nan] * len(more)])
