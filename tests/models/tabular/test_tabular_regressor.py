import numpy as np
import pandas as pd
import pytest
from real_data import real_data

from pellucid import TabularRegressor, load
from pellucid.nn import Loss
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
    ("bad", "message"),
    [(np.nan, "is missing in"), (np.inf, "infinity"), ("text", "text|could not convert")],
)
def test_bad_targets(homes, bad, message):
    table, price = homes
    y = price.astype(object)
    y[3] = bad
    with pytest.raises(ValueError, match=message):
        TabularRegressor().fit(table, y)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_quantiles_are_those_of_the_target(homes, share):
    table, _ = homes
    price = 1e5 + 1000.0 * table["area"] * np.random.default_rng(1).exponential(size=500)
    settings = {"learning_rate_init": 0.01, "max_iter": 60, "random_state": 0}
    model = TabularRegressor(loss="quantile", quantile=share, **settings).fit(table, price)
    below = np.mean(price <= model.predict(table))
    # Four standard errors, twice over for the rows held out to choose the epoch.
    assert abs(below - share) < 8 * np.sqrt(share * (1 - share) / 500)


def test_counts_are_predicted_on_their_own_scale(homes):
    table, _ = homes
    visitors = np.random.default_rng(1).poisson(5.0 * table["area"])
    model = TabularRegressor(loss="poisson", learning_rate_init=0.01, random_state=0)
    model.fit(table, visitors)
    predictions = model.predict(table)
    assert predictions.min() > 0
    assert predictions.mean() == pytest.approx(visitors.mean(), rel=0.05)
    assert model.target_mean_ == model.target_scale_ == pytest.approx(visitors.mean())
    with pytest.raises(ValueError, match="y must be at least 0 for poisson"):
        model.fit(table, -visitors)
    assert np.isfinite(model.set_params(max_iter=2).fit(table, np.zeros(500)).predict(table)).all()


def test_a_loss_of_ones_own_gets_the_target_as_it_is(homes):
    table, price = homes
    seen = []

    def half_squared(scores, targets, weights):
        seen.append(targets)
        error = (scores - targets) / 1e5
        gradient = weights[:, None] * error / (1e5 * len(error))
        return 0.5 * np.mean(weights[:, None] * error**2), gradient

    model = TabularRegressor(loss=half_squared, max_iter=2, random_state=0).fit(table, price)
    assert {*np.concatenate(seen).ravel().tolist()} <= {*price.astype(np.float32).tolist()}
    assert model.target_scale_ == 1.0
    assert model.target_mean_ == pytest.approx(price.mean())


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "quantile", "poisson"])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_every_loss_is_kept_in_files(homes, loss, n_outputs, tmp_path):
    table, price = homes
    y = price if n_outputs == 1 else np.column_stack([price, 2 * price])
    model = TabularRegressor((4,), loss=loss, max_iter=2, random_state=0).fit(table, y)
    assert np.shape(model.target_mean_) == np.shape(model.target_scale_) == y.shape[1:]
    model.save(tmp_path / "m.pellucid")
    loaded = load(tmp_path / "m.pellucid")
    np.testing.assert_array_equal(loaded.predict(table), model.predict(table), strict=True)
    np.testing.assert_array_equal(loaded.target_mean_, model.target_mean_, strict=True)
    np.testing.assert_array_equal(loaded.target_scale_, model.target_scale_, strict=True)


def test_the_mean_counts_weights(homes):
    table, price = homes
    weight = np.where(np.arange(500) < 50, 0.0, np.arange(500.0))
    model = TabularRegressor((4,), max_iter=1, random_state=0).fit(table, price, weight)
    assert model.target_mean_ == pytest.approx(np.average(price, weights=weight))


def test_labels_are_no_targets(homes):
    table, _ = homes
    with pytest.raises(ValueError, match="use a classifier"):
        TabularRegressor(loss=Loss("softmax_cross_entropy")).fit(table, np.arange(500))


def test_california():
    table = read_table(real_data("california_housing/housing.csv.gz"))
    y = table["median_house_value"].as_float()
    X = table.without("median_house_value")
    rows = np.random.default_rng(0).permutation(len(y))
    train, test = rows[4128:], rows[:4128]
    model = TabularRegressor(random_state=0).fit(X.take(train), y[train])
    error = np.sqrt(np.mean((model.predict(X.take(test)) - y[test]) ** 2)) / y[test].std()
    assert error < 0.48  # scikit-learn's MLP in a pipeline: 0.475


def test_dates_as_target_are_refused():
    days = pd.Series(pd.date_range("2020-01-01", periods=40))
    with pytest.raises(ValueError, match=r"y holds datetime64.*days since a date"):
        TabularRegressor().fit(pd.DataFrame({"x": np.arange(40.0) ** 2}), days)
