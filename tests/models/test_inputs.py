"""Tables, targets and weights as the engine takes them."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from pellucid.models.inputs import (
    NormalizedWeights,
    as_engine_takes_it,
    check_in_memory,
    checked_table,
    checked_table_and_targets,
    is_stream,
    normalized_weights,
    parameter_dtype,
    raw_weights,
    renaming,
    speaking_for,
)
from pellucid.tables import ParquetStream, TableError

X = np.arange(8.0).reshape(4, 2)


@pytest.mark.parametrize(
    ("dtype", "table", "expected"),
    [
        (None, "f4", "f4"),
        (None, ">f4", "f4"),
        (None, "f8", "f8"),
        (None, "f2", "f8"),
        (None, "i4", "f8"),
        ("float32", "f8", "f4"),
        (np.float64, "f4", "f8"),
        ("bfloat16", "f8", "f4"),
    ],
)
def test_dtype_of_new_parameters(dtype, table, expected):
    assert parameter_dtype(dtype, X.astype(table)) == np.dtype(expected)


def test_without_weights_there_is_nothing_to_normalize():
    assert raw_weights(None, X) is None
    assert normalized_weights(None, None) == NormalizedWeights(None, 1.0)


def test_weights_have_mean_one_over_the_rows_trained_on():
    weights = raw_weights([1, 2, 3, 6], X)
    assert weights.dtype == np.float64
    found = normalized_weights(weights, None)
    np.testing.assert_array_equal(found.values, weights / 3.0)
    assert found.scale == 3.0
    found = normalized_weights(weights, np.array([0, 2]))
    np.testing.assert_array_equal(found.values[[0, 2]], [0.5, 1.5])
    assert found.scale == 2.0


def test_the_sum_of_weights_may_be_beyond_float64():
    found = normalized_weights(np.full(4, 1e308), None)
    np.testing.assert_allclose(found.values, 1.0)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([0.0] * 4, "sample_weight_val"),
        ([1.0, -1.0, 1.0, 1.0], "Negative values in data passed to `sample_weight_val`"),
        ([1.0, np.nan, 1.0, 1.0], "sample_weight_val contains NaN"),
        ([1.0] * 3, "sample_weight_val"),
        (np.ones((4, 1, 1)), "sample_weight_val"),
        (["a"] * 4, "sample_weight_val"),
    ],
)
def test_wrong_weights_are_named(weight, message):
    with pytest.raises(ValueError, match=message):
        raw_weights(weight, X, "sample_weight_val")


def test_rows_trained_on_need_some_weight():
    with pytest.raises(ValueError, match="at least one non-zero number among the rows"):
        normalized_weights(np.array([1.0, 0.0, 0.0]), np.array([1, 2]))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (ValueError("Found array X with NaN in X"), "Found array X_val with NaN in X_val"),
        (ValueError("MAX of X1"), "X_val: MAX of X1"),
        (ValueError("X_val is short"), "X_val is short"),
        (TypeError("nothing named"), "X_val: nothing named"),
        (TableError("column X"), "column X_val"),
    ],
)
def test_errors_name_what_the_user_calls_it(given, expected):
    with pytest.raises(type(given), match=f"^{re.escape(expected)}$"), renaming(X="X_val"):
        raise given


@pytest.mark.parametrize("y", [3, 2.5, "labels", b"labels", {"a": 1}, np.array(3), object()])
def test_y_holds_rows(y):
    with pytest.raises(TypeError, match="y must hold a target for each row, got"):
        checked_table_and_targets(BaseEstimator(), X, y, reset=True, y_numeric=False)


@pytest.mark.parametrize("dtype", ["M8[s]", "m8[s]", "U3", "c16"])
def test_what_is_no_number_is_refused(dtype):
    with pytest.raises(ValueError, match=r"MLPRegressor needs a table of numbers, got dtype"):
        as_engine_takes_it(np.zeros((2, 2)).astype(dtype), "MLPRegressor")


def test_numbers_are_not_copied():
    for dtype in ("?", "i1", "u8", "f2", "f4", ">f8"):
        table = X.astype(dtype)
        assert as_engine_takes_it(table, "MLPRegressor") is table
    assert as_engine_takes_it(X.astype(np.longdouble), "MLPRegressor").dtype == np.float64


def test_half_precision_is_checked_without_overflow():
    table = np.full((5000, 4), 6e4, dtype=np.float16)
    assert as_engine_takes_it(table, "MLPRegressor") is table
    table[4500, 2] = np.inf
    with pytest.raises(ValueError, match="X contains infinity"):
        as_engine_takes_it(table, "MLPRegressor")


def test_streams_are_told_from_tables():
    stream = ParquetStream("rows.parquet", "y")
    assert is_stream(stream)
    assert not is_stream(X)
    check_in_memory(X)
    with pytest.raises(ValueError, match=r"only fit and resume of .* take a ParquetStream"):
        check_in_memory(stream)


def test_columns_in_another_order_are_refused_with_the_way_out():
    frame = pd.DataFrame(X, columns=["a", "b"])
    estimator = BaseEstimator()
    checked_table(estimator, frame, reset=True)
    way_out = re.escape("X[list(model.feature_names_in_)].")
    for other in (frame[["b", "a"]], frame.assign(c=1.0)):
        with pytest.raises(ValueError, match=rf"(?s)feature names should match.*\nPass {way_out}$"):
            checked_table(estimator, other, reset=False)
        checked_table(estimator, other[list(estimator.feature_names_in_)], reset=False)
    message = rf"(?s)missing:\n- a\nAdd or rename the missing columns, then pass {way_out}$"
    with pytest.raises(ValueError, match=message):
        checked_table(estimator, frame[["b"]], reset=False)


def test_errors_about_data_name_the_estimator_that_was_called():
    member, ensemble = BaseEstimator(), type("Ensemble", (BaseEstimator,), {})()
    said = "X has 2 features, but {} is expecting 3 features as input."
    with (
        pytest.raises(TableError, match=f"^{re.escape(said.format('Ensemble'))}$"),
        speaking_for(member, ensemble),
    ):
        raise TableError(said.format("BaseEstimator"))
    own = ValueError("The 'alpha' parameter of BaseEstimator must be a float.")
    with pytest.raises(ValueError) as caught, speaking_for(member, ensemble):
        raise own
    assert caught.value is own
