import numpy as np
import pandas as pd
import pytest
from real_data import real_data

from pellucid import TabularRegressor
from pellucid.tables import read_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def homes():
    rng = np.random.default_rng(0)
    city = rng.choice(["Rome", "Oslo", "Lima"], 500)
    area = rng.uniform(20, 200, 500)
    price = 1e5 + 3000 * area + 1e5 * (city == "Oslo")
    return pd.DataFrame({"area": area, "city": city}), price


def test_learns_a_raw_table_on_the_targets_own_scale(homes):
    table, price = homes
    model = TabularRegressor(random_state=0).fit(table[:400], price[:400])
    assert model.score(table[400:], price[400:]) > 0.97
    assert model.predict(table).mean() == pytest.approx(price.mean(), rel=0.05)
    assert model.target_mean_ == pytest.approx(price[:400].mean())


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30, 1e200])
def test_any_scale_of_the_target(homes, scale):
    table, price = homes
    model = TabularRegressor(random_state=0, max_iter=10).fit(table, price * scale)
    assert np.isfinite(model.predict(table)).all()
    assert model.predict(table).mean() == pytest.approx(price.mean() * scale, rel=0.1)


def test_constant_target(homes):
    table, _ = homes
    model = TabularRegressor(random_state=0, max_iter=3).fit(table, np.full(500, 7.0))
    assert np.abs(model.predict(table) - 7).max() < 2


def test_several_outputs(homes):
    table, price = homes
    Y = np.column_stack([price, -price])
    model = TabularRegressor(random_state=0, max_iter=10).fit(table, Y)
    assert model.predict(table).shape == (500, 2)


@pytest.mark.parametrize("n_rows", [2, 5, 99, 100])
def test_small_tables(homes, n_rows):
    table, price = homes
    model = TabularRegressor(random_state=0, max_iter=3).fit(table[:n_rows], price[:n_rows])
    assert np.isfinite(model.predict(table)).all()


@pytest.mark.parametrize(
    ("bad", "message"), [(np.nan, "NaN"), (np.inf, "infinity"), ("text", "text|could not convert")]
)
def test_bad_targets(homes, bad, message):
    table, price = homes
    y = price.astype(object)
    y[3] = bad
    with pytest.raises(ValueError, match=message):
        TabularRegressor().fit(table, y)


def test_california():
    table = read_table(real_data("california_housing/housing.csv.gz"))
    y = table["median_house_value"].as_float()
    X = table.without("median_house_value")
    rows = np.random.default_rng(0).permutation(len(y))
    train, test = rows[4128:], rows[:4128]
    model = TabularRegressor(random_state=0).fit(X.take(train), y[train])
    error = np.sqrt(np.mean((model.predict(X.take(test)) - y[test]) ** 2)) / y[test].std()
    assert error < 0.48  # scikit-learn's MLP in a pipeline: 0.475
