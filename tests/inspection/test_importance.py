"""Permutation importance."""

import numpy as np
import pytest
from sklearn.inspection import permutation_importance as expected_importance
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error

from pellucid.inspection import permutation_importance


def test_is_that_of_scikit_learn_but_for_the_draws():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 3))
    y = X @ [2.0, 0.5, 0.0] + rng.normal(size=2000)
    model = LinearRegression().fit(X, y)
    errors = {"MSE": lambda told: mean_squared_error(y, told), "half": lambda told: 0.0}
    columns = {"a": [0], "b": slice(1, 2), "c": [2], "a and b": [0, 1]}
    found = permutation_importance(model.predict, X, columns, errors, n_repeats=10)
    rises = {each.column: each.rises["MSE"] for each in found}
    assert list(rises) == ["a and b", "a", "b", "c"]
    options = {"scoring": "neg_mean_squared_error", "n_repeats": 10, "random_state": 0}
    expected = expected_importance(model, X, y, **options)
    for column, mean, deviation in zip(
        "abc", expected.importances_mean, expected.importances_std, strict=True
    ):
        # Two means of ten, each with its standard error.
        assert rises[column].mean == pytest.approx(mean, abs=4 * deviation * np.sqrt(2 / 10))
    # Independent columns that are permuted together lose what each of them tells.
    assert rises["a and b"].mean == pytest.approx(rises["a"].mean + rises["b"].mean, rel=0.1)
    assert found[0].rises["half"] == (0.0, 0.0)


def test_the_table_stays_as_it_was_and_draws_can_be_repeated():
    X = np.arange(12.0).reshape(4, 3)
    before = X.copy()

    def found(seed):
        return permutation_importance(
            lambda inputs: inputs[:, 0],
            X,
            {"a": [0]},
            {"error": lambda told: float(np.abs(told - X[:, 0]).sum())},
            random_state=seed,
        )

    assert found(1) == found(1) != found(2)
    np.testing.assert_array_equal(X, before)
