"""Columns are found by name; without names, by position."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from pellucid.tables import TableEncoder, TableError, as_table
from pellucid.tables.matching import check_same_order

PEOPLE = pd.DataFrame(
    {
        "id": range(100),
        "age": np.linspace(20.0, 80.0, 100),
        "city": ["Rome", "Oslo"] * 50,
        "member": [True, False, True, True] * 25,
    }
)
CONTAINERS = {
    "pandas": lambda table: table,
    "polars": pl.from_pandas,
    "pyarrow": lambda table: pa.Table.from_pandas(table, preserve_index=False),
    "Table": as_table,
}
in_every_container = pytest.mark.parametrize("of", CONTAINERS.values(), ids=CONTAINERS)


@pytest.fixture(scope="module")
def encoder():
    return TableEncoder().fit(PEOPLE)


@in_every_container
def test_columns_are_found_by_name(encoder, of):
    other = of(PEOPLE.assign(extra=1.0)[["extra", "city", "member", "age", "id"]])
    np.testing.assert_array_equal(encoder.transform(other), encoder.transform(PEOPLE))


@in_every_container
def test_columns_that_were_left_out_are_not_needed(encoder, of):
    assert encoder.recognized_[0].kind == "left out"
    other = of(PEOPLE[["city", "age", "member"]])
    np.testing.assert_array_equal(encoder.transform(other), encoder.transform(PEOPLE))


@in_every_container
def test_missing_columns_are_named_with_similar_ones(encoder, of):
    with pytest.raises(TableError, match=r"no column 'age'\. Did you mean 'Age'\? The columns are"):
        encoder.transform(of(PEOPLE.rename(columns={"age": "Age"})))
    renamed = PEOPLE.rename(columns={"age": "Age", "city": "town", "member": "members"})
    message = (
        r"no columns 'age', 'city', 'member'\. Did you mean 'Age' for 'age', 'members' for 'mem"
    )
    with pytest.raises(TableError, match=message):
        encoder.transform(of(renamed))


def test_columns_that_are_not_needed_are_not_read(encoder):
    other = PEOPLE.assign(id=[[1, 2]] * 100, extra=[{"a": 1}] * 100)
    np.testing.assert_array_equal(encoder.transform(other), encoder.transform(PEOPLE))


def test_two_columns_of_one_name_are_refused(encoder):
    message = "more than one column named 'age'"
    other = pd.concat([PEOPLE, PEOPLE[["age"]]], axis=1)
    with pytest.raises(TableError, match=message):
        encoder.transform(other)
    arrow = pa.Table.from_pandas(PEOPLE, preserve_index=False)
    with pytest.raises(TableError, match=message):
        encoder.transform(arrow.append_column("age", arrow["age"]))


def test_two_columns_of_one_name_that_are_not_needed_do_no_harm(encoder):
    expected = encoder.transform(PEOPLE)
    other = pd.concat([PEOPLE, PEOPLE[["age"]].set_axis(["z"], axis=1)], axis=1)
    other = pd.concat([other, other[["z", "id"]]], axis=1)
    np.testing.assert_array_equal(encoder.transform(other), expected)
    arrow = pa.Table.from_pandas(PEOPLE, preserve_index=False)
    arrow = arrow.append_column("z", arrow["age"]).append_column("z", arrow["id"])
    np.testing.assert_array_equal(encoder.transform(arrow), expected)
    with pytest.raises(TableError, match="no column 'age'"):
        encoder.transform(other.drop(columns="age"))


def test_without_names_every_column_has_its_place(encoder):
    warns = pytest.warns(UserWarning, match="does not have valid feature names, but TableEncoder")
    with warns:
        out = encoder.transform(PEOPLE.to_numpy())
    np.testing.assert_array_equal(out, encoder.transform(PEOPLE))
    warns = pytest.warns(UserWarning, match="valid feature names")
    with (
        warns,
        pytest.raises(ValueError, match="3 features, but TableEncoder is expecting 4"),
    ):
        encoder.transform(PEOPLE[["age", "city", "member"]].to_numpy())
    nameless = as_table(PEOPLE[["age", "city", "member"]].to_numpy())
    with pytest.raises(TableError, match="3 features, but TableEncoder is expecting 4"):
        encoder.transform(nameless)


def test_an_encoder_without_names_takes_columns_by_position():
    encoder = TableEncoder().fit(PEOPLE.to_numpy())
    with pytest.warns(UserWarning, match="X has feature names, but TableEncoder was fitted with"):
        out = encoder.transform(PEOPLE)
    np.testing.assert_array_equal(out, encoder.transform(PEOPLE.to_numpy()))


def test_a_series_whose_labels_are_in_another_order_is_refused():
    y = pd.Series(np.arange(100.0), name="y")
    message = r"index of y has the labels of X's in another order: row 1 is 0 in X and 99 in y\."
    with pytest.raises(TableError, match=rf"{message} .*y\.loc\[X\.index\].* y\.to_numpy\(\)"):
        check_same_order(PEOPLE, y[::-1], "y")
    for fine in (
        y,
        y[::-1].loc[PEOPLE.index],
        y[::-1].to_numpy(),
        y[::-1].tolist(),
        y[::-1].reset_index(drop=True),
        y.rename(lambda i: i + 50),
        y.rename(lambda i: i // 2),
        pl.Series(y[::-1].to_numpy()),
        None,
    ):
        check_same_order(PEOPLE, fine, "y")
        check_same_order(PEOPLE.to_numpy(), fine, "y")
