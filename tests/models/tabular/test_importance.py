"""Importance of the columns of a raw table."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.metrics import (
    accuracy_score,
    log_loss,
    mean_absolute_error,
    mean_pinball_loss,
    mean_poisson_deviance,
    r2_score,
    root_mean_squared_error,
)

from pellucid import TabularClassifier, TabularRegressor
from pellucid.models.tabular import importance
from pellucid.tables import as_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
QUICK = {"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    n = 600
    return pd.DataFrame(
        {
            "id": [f"T{i}" for i in range(n)],
            "noise": rng.normal(size=n),
            "size": rng.normal(size=n),
            "city": rng.choice(["Rome", "Oslo", "Lima"], n),
        }
    )


@pytest.fixture(scope="module")
def price(table):
    return 100.0 + 30 * table["size"] + 10 * (table["city"] == "Oslo")


def shuffled(table, column, n, seed=0):
    """The table with one column permuted in the first of the same draws."""
    return table.assign(
        **{column: table[column].to_numpy()[np.random.default_rng(seed).permutation(n)]}
    )


def check(model, table, y, errors):
    found = model.column_importance(table, y, n_repeats=1)
    assert {each.column for each in found} == {"noise", "size", "city"}
    assert found[0].column == "size"
    for each in found:
        assert set(each.rises) == set(errors)
        other = shuffled(table, each.column, len(table))
        for name, error in errors.items():
            expected = error(model, other) - error(model, table)
            assert each.rises[name].mean == pytest.approx(expected, abs=1e-5), (each.column, name)


def test_a_classifier_is_measured_as_if_the_raw_column_were_shuffled(table):
    y = np.where(table["size"] + (table["city"] == "Oslo") > 0, "high", "low")
    model = TabularClassifier(**QUICK).fit(table, y)
    errors = {
        "log loss": lambda m, X: log_loss(y, m.predict_proba(X)),
        "accuracy": lambda m, X: 1 - accuracy_score(y, m.predict(X)),
    }
    check(model, table, y, errors)
    with pytest.raises(ValueError, match="medium"):
        model.column_importance(table, np.where(y == "low", "medium", y))


LOSSES = {
    "squared_error": ("RMSE", root_mean_squared_error),
    "absolute_error": ("MAE", mean_absolute_error),
    "quantile": ("pinball loss", lambda y, told: mean_pinball_loss(y, told, alpha=0.9)),
    "poisson": ("Poisson deviance", mean_poisson_deviance),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_regressor_is_measured_by_its_own_loss(table, price, loss):
    y = np.maximum(price, 0.0).round()
    more = {"quantile": 0.9} if loss == "quantile" else {}
    model = TabularRegressor(loss=loss, **more, **QUICK).fit(table, y)
    name, error = LOSSES[loss]
    errors = {
        name: lambda m, X: error(y, m.predict(X)),
        "R²": lambda m, X: -r2_score(y, m.predict(X)),
    }
    check(model, table, y, errors)


def test_several_targets_are_measured_by_their_mean_r2(table, price):
    Y = np.column_stack([price, 1e6 * table["size"]])
    model = TabularRegressor(**QUICK).fit(table, Y)
    check(model, table, Y, {"R²": lambda m, X: -r2_score(Y, m.predict(X))})


def test_many_rows_are_drawn_from_and_wide_tables_take_fewer(table, price, monkeypatch):
    model = TabularRegressor(**QUICK).fit(table, price)
    measured = []

    def spy(predict, X, *more, **options):
        measured.append(len(X))
        return []

    monkeypatch.setattr(importance, "permutation_importance", spy)
    model.column_importance(table, price)
    model.column_importance(table, price, max_rows=50)
    monkeypatch.setattr(importance, "_MOST_PRODUCTS", 1)
    model.column_importance(table, price)
    for kind in (as_table, pl.from_pandas):
        model.column_importance(kind(table), price)
    assert measured == [600, 50, *[importance.FEWEST_ROWS] * 3]


@pytest.mark.parametrize("name", ["n_repeats", "max_rows"])
def test_there_is_something_to_measure(table, price, name):
    model = TabularRegressor(**QUICK).fit(table, price)
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        model.column_importance(table, price, **{name: 0})


def test_targets_that_are_constant_have_the_r2_of_scikit_learn(table, price):
    model = TabularRegressor(**QUICK).fit(table, price)
    constant = np.full(len(table), 90.0)
    assert all(each.rises["R²"] == (0.0, 0.0) for each in model.column_importance(table, constant))
