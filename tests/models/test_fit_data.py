"""The arguments of `fit`, checked against each other."""

import numpy as np
import pytest

from pellucid.models.fit_data import FitData, row_numbers, training_rows
from pellucid.tables import ParquetStream

X, Y = np.zeros((6, 2)), np.zeros(6)
MASK = np.array([True, False, True, False, False, True])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y_val": Y}, "y_val needs X_val, which is None; pass both or neither"),
        ({"sample_weight_val": Y}, "sample_weight_val needs X_val"),
        ({"X_val": X}, "X_val needs y_val, which is None; pass both or neither"),
        ({"X_val": X, "y_val": Y, "rows_val": [1]}, "either rows_val or X_val with y_val"),
        ({"X_val": ParquetStream("rows.parquet", "y"), "y_val": Y}, "must be rows in memory, got"),
    ],
)
def test_parts_without_others(arguments, message):
    with pytest.raises(ValueError, match=message):
        FitData(X, Y, **arguments).check()


def test_the_solver_of_the_whole_table_has_no_epochs_to_validate_after():
    data = FitData(X, Y, X_val=X, y_val=Y)
    data.check("adam")
    with pytest.raises(ValueError, match=r"X_val is measured after each epoch.*set solver='adam'"):
        data.check("lbfgs")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        ([4, 1, 1], [4, 1, 1]),
        (np.array([5], dtype=np.uint8), [5]),
        (MASK, [0, 2, 5]),
        (MASK.tolist(), [0, 2, 5]),
    ],
)
def test_rows_are_numbers_or_a_mask(given, expected):
    found = row_numbers("rows", given, 6)
    if expected is None:
        assert found is None
    else:
        assert found.dtype == np.int64
        assert found.tolist() == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "a vector of row numbers, at least one"),
        (MASK[:5], r"a mask of 6 booleans; got shape \(5,\) and dtype bool"),
        (np.zeros(6, dtype=bool), "at least one"),
        ([0.0, 1.0], "a vector of row numbers"),
        ([[0, 1]], r"got shape \(1, 2\)"),
        (3, r"got shape \(\)"),
        ([0, 6], "rows_val must be from 0 to 5, got 0 to 6"),
        ([-1], "rows_val must be from 0 to 5, got -1 to -1"),
    ],
)
def test_wrong_rows(given, message):
    with pytest.raises(ValueError, match=message):
        row_numbers("rows_val", given, 6)


def test_rows_held_out_are_not_trained_on():
    assert training_rows(FitData(X, Y), 6) == (None, None)
    rows, held_out = training_rows(FitData(X, Y, rows_val=[5, 0]), 6)
    assert rows.tolist() == [1, 2, 3, 4]
    assert held_out.tolist() == [5, 0]
    rows, held_out = training_rows(FitData(X, Y, rows=[3, 1], rows_val=MASK), 6)
    assert rows.tolist() == [3, 1]
    with pytest.raises(ValueError, match="rows_val holds out every row; leave some to train on"):
        training_rows(FitData(X, Y, rows_val=np.arange(6)), 6)
    with pytest.raises(ValueError, match=r"must not share any row, got \[2\] in both"):
        training_rows(FitData(X, Y, rows=[1, 2], rows_val=[2, 3]), 6)
