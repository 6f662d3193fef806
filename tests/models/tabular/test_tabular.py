"""What the estimators of raw tables share: a perceptron behind an encoder, nothing more."""

import pickle
import warnings
from copy import deepcopy

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from option_values import log_cosh
from sklearn import config_context, metrics
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from pellucid import (
    DataDriftWarning,
    MLPClassifier,
    MLPRegressor,
    ParquetStream,
    ProgressBar,
    TabularClassifier,
    TabularRegressor,
    load,
)
from pellucid.models.tabular.tabular import a_twentieth_of_the_rows
from pellucid.nn import Activation, Add, Dropout, RMSNorm
from pellucid.tables import as_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "size": RNG.normal(10, 3, 300),
        "city": RNG.choice(["Oslo", "Rome", "Lima"], 300),
        "age": np.where(RNG.random(300) < 0.1, np.nan, RNG.normal(40, 10, 300)),
    }
)
PRICE = (1000 * TABLE["size"].clip(1) + 5000 * (TABLE["city"] == "Rome")).to_numpy()
NAMES = np.where(np.median(PRICE) < PRICE, "dear", "cheap")
HELD = np.arange(300) % 4 == 0
FEW = {"hidden_layer_sizes": (8, 8), "max_iter": 5, "random_state": 0, "n_iter_no_change": 100}
ESTIMATORS = pytest.mark.parametrize(
    ("estimator", "y"), [(TabularClassifier, NAMES), (TabularRegressor, PRICE)]
)
PEERS = {TabularClassifier: MLPClassifier, TabularRegressor: MLPRegressor}


@ESTIMATORS
def test_a_validation_set_is_scored_and_not_trained_on(estimator, y):
    model = estimator(**FEW).fit(TABLE[~HELD], y[~HELD], X_val=TABLE[HELD], y_val=y[HELD])
    assert len(model.validation_scores_) == 5
    if estimator is TabularClassifier:
        score = -metrics.log_loss(y[HELD], model.predict_proba(TABLE[HELD]))
    else:
        score = model.score(TABLE[HELD], y[HELD])
    assert score == pytest.approx(max(model.validation_scores_), rel=1e-5)
    assert model.t_ == 5 * (~HELD).sum()


OWN = {
    TabularClassifier: [
        {"class_weight": "balanced"},
        {"class_weight": {"dear": 3.0, "cheap": 0.5}},
        {"label_smoothing": 0.2},
        {"loss": log_cosh},
    ],
    TabularRegressor: [
        {"loss": "absolute_error"},
        {"loss": "huber"},
        {"loss": "quantile", "quantile": 0.9},
        {"loss": "poisson"},
        {"loss": log_cosh},
    ],
}
SHARED = [
    {},
    {"activation": "tanh", "alpha": 0.1, "learning_rate_init": 0.01, "batch_size": 33},
    {"dropout": 0.2, "normalization": "rms", "residual": True},
    {"weight_decay": 0.1, "schedule": "one_cycle", "clipping": 0.5},
]


@pytest.mark.parametrize("n", [90, 300], ids=["all rows", "some held out"])
@pytest.mark.parametrize(
    ("estimator", "options"),
    [(kind, options) for kind in PEERS for options in [*SHARED, *OWN[kind]]],
    ids=lambda value: value.__name__ if isinstance(value, type) else "-".join(value) or "plain",
)
def test_it_is_the_perceptron_of_the_encoded_table(estimator, options, n):
    y = NAMES[:n] if estimator is TabularClassifier else PRICE[:n]
    weight = RNG.uniform(0.5, 2.0, n)
    if options.get("loss") is log_cosh:
        y = y if estimator is TabularClassifier else np.log(y)
    model = estimator(**FEW).set_params(**options).fit(TABLE[:n], y, weight)
    encoded, target = model.encoder_.transform(TABLE[:n]), y
    if estimator is TabularRegressor:
        assert model.target_mean_ == pytest.approx(np.average(y, weights=weight))
        mean, scale = model.target_mean_, model.target_scale_
        # Poisson takes numbers from 0 on, a loss of one's own y as it is.
        mean, scale = {"poisson": (0.0, mean), log_cosh: (0.0, 1.0)}.get(model.loss, (mean, scale))
        assert model.target_scale_ == scale
        target = (y - mean) / scale
    n_train = 270 if n == 300 else n
    batch = {"batch_size": a_twentieth_of_the_rows(n_train), "early_stopping": n == 300}
    batch["alpha"] = model.alpha
    peer = PEERS[estimator](**FEW).set_params(**batch).set_params(**options)
    if estimator is TabularClassifier and n == 300:
        peer.set_params(scoring="loss")
    peer.fit(encoded, target, weight)
    np.testing.assert_array_equal(model.parameters_.flat, peer.parameters_.flat)
    assert model.loss_curve_ == peer.loss_curve_
    assert model.chain_ == peer.chain_
    np.testing.assert_array_equal(model.transform(TABLE[:n]), peer.transform(encoded))


@ESTIMATORS
def test_options_reach_the_network_and_files(estimator, y, tmp_path):
    options = {
        "activation": "silu",
        "dropout": 0.1,
        "normalization": "rms",
        "residual": True,
        "scoring": "loss",
        "n_threads": 1,
    }
    model = estimator(**FEW, **options).fit(TABLE, y)
    assert {Activation("silu"), Dropout(0.1), RMSNorm(), Add(4)} <= {*model.chain_.layers}
    model.save(tmp_path / "m.pellucid")
    loaded = load(tmp_path / "m.pellucid")
    np.testing.assert_array_equal(loaded.predict(TABLE), model.predict(TABLE))
    assert loaded.get_params() == {**model.get_params(), "callbacks": None}
    for copy in (loaded, deepcopy(model), pickle.loads(pickle.dumps(model))):
        again = clone(copy).fit(TABLE, y)
        np.testing.assert_array_equal(again.parameters_.flat, model.parameters_.flat)


BAD = [
    ({"X_val": TABLE[["size"]][HELD], "y_val": NAMES[HELD]}, "X_val|feature"),
    ({"X_val": TABLE[HELD], "y_val": np.full(75, "free")}, "y_val.*'free'"),
    ({"X_val": TABLE[HELD], "y_val": NAMES}, "X_val and y_val: .*inconsistent"),
    ({"X_val": TABLE[HELD]}, "X_val needs y_val"),
    ({"y_val": NAMES[HELD]}, "y_val needs X_val"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_validation_data(arguments, message):
    model = TabularClassifier(**FEW)
    with pytest.raises(ValueError, match=message):
        model.fit(TABLE, NAMES, **arguments)
    assert not hasattr(model, "coefs_")


# Scores are those of scikit-learn, of the estimator itself, in the unit of the target.

VALIDATION = {"X_val": TABLE[HELD], "y_val": PRICE[HELD]}
OF_NUMBERS = {
    "neg_root_mean_squared_error": metrics.root_mean_squared_error,
    "neg_mean_absolute_percentage_error": metrics.mean_absolute_percentage_error,
    "neg_mean_squared_log_error": metrics.mean_squared_log_error,
    "neg_mean_poisson_deviance": metrics.mean_poisson_deviance,
    "neg_mean_gamma_deviance": metrics.mean_gamma_deviance,
    "neg_max_error": metrics.max_error,
}


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "huber"])
@pytest.mark.parametrize("scoring", OF_NUMBERS)
def test_scores_of_numbers_are_in_their_unit_and_keep_the_best_epoch(scoring, loss):
    model = TabularRegressor(**FEW, learning_rate_init=0.03, scoring=scoring, loss=loss)
    model.fit(TABLE[~HELD], PRICE[~HELD], **VALIDATION)
    assert len(model.validation_scores_) == 5
    assert model.best_validation_score_ == max(model.validation_scores_)
    error = OF_NUMBERS[scoring](PRICE[HELD], model.predict(TABLE[HELD]))
    assert -error == pytest.approx(model.best_validation_score_, rel=1e-12)


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "huber"])
@pytest.mark.parametrize("scoring", ["rmse", "mae"])
def test_errors_in_the_unit_of_the_target_choose_and_are_shown(scoring, loss, capsys):
    bar = ProgressBar()
    model = TabularRegressor(**FEW, scoring=scoring, loss=loss, verbose=True, callbacks=[bar])
    model.fit(TABLE[~HELD], PRICE[~HELD], **VALIDATION)
    of = {"rmse": metrics.root_mean_squared_error, "mae": metrics.mean_absolute_error}[scoring]
    error = of(PRICE[HELD], model.predict(TABLE[HELD]))
    assert error == pytest.approx(-max(model.validation_scores_), rel=1e-6)
    shown = capsys.readouterr().out
    assert f"Validation {scoring.upper()}: {-model.validation_scores_[0]:f}" in shown
    assert f"validation {scoring.upper()} {-model.validation_scores_[0]:.4g} (best" in shown
    capital = TabularRegressor(**FEW, scoring=scoring.upper(), loss=loss)
    capital.fit(TABLE[~HELD], PRICE[~HELD], **VALIDATION)
    assert capital.validation_scores_ == model.validation_scores_
    twin = TabularRegressor(**FEW, scoring=f"neg_{of.__name__}", loss=loss)
    twin.fit(TABLE[~HELD], PRICE[~HELD], **VALIDATION)
    np.testing.assert_allclose(model.validation_scores_, twin.validation_scores_, rtol=1e-5)


@pytest.mark.parametrize("scoring", ["roc_auc", "neg_log_loss", "balanced_accuracy"])
def test_scores_of_labels_keep_the_best_epoch(scoring):
    model = TabularClassifier(**FEW, learning_rate_init=0.03, scoring=scoring)
    model.fit(TABLE[~HELD], NAMES[~HELD], X_val=TABLE[HELD], y_val=NAMES[HELD])
    best = metrics.get_scorer(scoring)(model, TABLE[HELD], NAMES[HELD])
    assert best == pytest.approx(max(model.validation_scores_), rel=1e-12)


def test_scores_of_rows_held_out_are_in_the_unit_of_the_target():
    errors = TabularRegressor(**FEW, scoring="neg_root_mean_squared_error").fit(TABLE, PRICE)
    plain = TabularRegressor(**FEW).fit(TABLE, PRICE)
    shares = 1.0 - np.array(plain.validation_scores_)  # of the variance, by R²
    variances = np.array(errors.validation_scores_) ** 2
    np.testing.assert_allclose(variances / shares, variances[0] / shares[0], rtol=1e-5)
    assert np.sqrt(variances[0] / shares[0]) == pytest.approx(PRICE.std(), rel=0.3)


class OnlyAnArray:
    """What has nothing but `__array__`, as some libraries' tables have."""

    def __init__(self, table):
        self.table = table.to_numpy()

    def __array__(self, dtype=None, copy=None):
        return self.table


CONTAINERS = {
    "pandas": lambda table: table,
    "polars": pl.from_pandas,
    "pyarrow": pa.Table.from_pandas,
    "Table": as_table,
    "ndarray": lambda table: table.to_numpy(),
    "list": lambda table: table.to_numpy().tolist(),
}


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("container", CONTAINERS)
@ESTIMATORS
def test_a_scorer_gets_the_estimator_and_rows_as_they_were_given(estimator, y, container, held_out):
    seen = []

    def score(model, X, y):
        seen.append((type(model), type(X), len(X), as_table(X)["city" if named else "x1"], y))
        predictions = model.predict(X)
        assert np.shape(predictions) == np.shape(y)
        assert len(model.transform(X[:3] if isinstance(X, list) else X)) > 0
        return float(np.mean(predictions == y))

    given = CONTAINERS[container](TABLE)
    named = container not in ("ndarray", "list")
    model = estimator(**FEW, scoring=score)
    if held_out:
        model.fit(given, y)
    else:
        model.fit(given, y, X_val=CONTAINERS[container](TABLE[HELD]), y_val=y[HELD])
    assert len(seen) == 5
    for kind, table, n, cities, truth in seen:
        assert kind is estimator
        assert table is type(given)
        assert n == len(truth) == (30 if held_out else 75)
        assert set(cities.values.tolist()) == {"Oslo", "Rome", "Lima"}
        assert set(truth.tolist()) <= set(y.tolist())
    assert not hasattr(model, "_known_table") or model._known_table is None


def test_rows_of_weight_zero_are_left_out_of_any_table():
    weight = np.where(np.arange(300) % 5 == 0, 0.0, 1.0)
    for scoring in (None, "r2"):
        model = TabularRegressor(**FEW, scoring=scoring)
        expected = clone(model).fit(TABLE.to_numpy(), PRICE, weight)
        given = clone(model).fit(OnlyAnArray(TABLE), PRICE, weight)
        assert given.validation_scores_ == expected.validation_scores_


def test_a_scorer_gets_weights_where_there_are_some():
    seen = []

    def score(model, X, y, sample_weight=None):
        seen.append((X, sample_weight))
        return model.score(X, y, sample_weight)

    weight = np.where(np.arange(300) % 5 == 0, 0.0, 2.0)
    TabularRegressor(**FEW, scoring=score).fit(TABLE, PRICE, weight)
    for X, given in seen:
        assert (given == 2.0).all()
        assert (X.index % 5 != 0).all(), "rows of weight zero are not there"
    with pytest.raises(TypeError, match="must take sample_weight"):
        TabularRegressor(**FEW, scoring=lambda m, X, y: 0.0).fit(TABLE, PRICE, weight)


@ESTIMATORS
@pytest.mark.filterwarnings("ignore::pellucid.DataDriftWarning")
@pytest.mark.parametrize("n", [3, 99])
def test_small_tables_are_trained_on_whole_whatever_the_scoring(estimator, y, n):
    scoring = "accuracy" if estimator is TabularClassifier else "neg_root_mean_squared_error"
    model = estimator(**FEW, scoring=scoring).fit(TABLE[:n], y[:n])
    assert model.validation_scores_ is model.best_validation_score_ is None
    assert model.t_ == 5 * n
    given = {"X_val": TABLE[200:], "y_val": y[200:]}
    assert len(model.fit(TABLE[:n], y[:n], **given).validation_scores_) == 5


def test_a_class_of_a_single_row_is_trained_on_whatever_the_scoring():
    labels = NAMES.astype("U8")
    labels[7] = "priceless"
    n_trained = set()
    for seed in range(20):
        settings = {**FEW, "max_iter": 1, "random_state": seed}
        model = TabularClassifier(**settings, scoring="f1_macro").fit(TABLE, labels)
        assert len(model.validation_scores_) == 1
        n_trained.add(model.t_)
    assert n_trained == {270, 271}, "held out in some of the fits, and trained on instead"


def test_two_labels_of_which_one_has_a_single_row():
    labels = np.where(np.arange(300) == 7, "rare", "usual")
    model = TabularClassifier(**FEW).fit(TABLE, labels)
    assert len(model.validation_scores_) == 5
    assert model.t_ in (5 * 270, 5 * 271)


@ESTIMATORS
def test_a_model_below_its_baseline_is_told(estimator, y):
    """What it learns is wrong for the rows to validate on."""
    size = RNG.normal(size=(200, 1))
    good, bad = (size[:, 0], -size[:, 0])
    if estimator is TabularClassifier:
        good, bad = good > 0, bad > 0
    settings = {"learning_rate_init": 0.1, "random_state": 0}
    with pytest.warns(ConvergenceWarning, match="no better than its baseline") as caught:
        model = estimator(**settings).fit(size, good, X_val=size, y_val=bad)
    shares = np.full((200, 2), [bad.mean(), 1 - bad.mean()])
    score = -metrics.log_loss(bad, shares) if estimator is TabularClassifier else 0.0
    assert model._baseline_score == pytest.approx(score)
    assert model.best_validation_score_ < score
    assert "alpha=" in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other = "accuracy" if estimator is TabularClassifier else "neg_mean_absolute_error"
        estimator(**settings, scoring=other).fit(size, good, X_val=size, y_val=bad)
        estimator(**settings).fit(size, good, X_val=size, y_val=good)


# What a perceptron can, and the table alone cannot.


@ESTIMATORS
def test_a_warm_start_goes_on(estimator, y):
    model = estimator(**FEW, warm_start=True).fit(TABLE, y)
    encoder, losses = model.encoder_, list(model.loss_curve_)
    other = TABLE.assign(city=TABLE["city"].replace("Lima", "Paris"))
    with pytest.warns(DataDriftWarning, match="unseen categories, such as 'Paris'"):
        model.fit(other, y)
    assert model.encoder_ is encoder
    assert model.loss_curve_[:5] == losses
    assert len(model.loss_curve_) == len(model.validation_scores_) == 10
    assert model.t_ == 10 * 270
    with pytest.raises(ValueError, match="no column 'age'"):
        model.fit(TABLE.rename(columns={"age": "years"}), y)
    with pytest.raises(ValueError, match="no column 'age'"):
        model.fit(TABLE[["size", "city"]], y)
    assert len(model.loss_curve_) == 10


def test_a_warm_start_knows_its_targets():
    model = TabularClassifier(**FEW, warm_start=True).fit(TABLE, NAMES)
    with pytest.raises(ValueError, match="same classes as in the previous call"):
        model.fit(TABLE, np.where(NAMES == "dear", "new", "cheap"))
    model = TabularRegressor(**FEW, warm_start=True).fit(TABLE, PRICE)
    mean, scale = model.target_mean_, model.target_scale_
    model.fit(TABLE, 2 * PRICE)
    assert (model.target_mean_, model.target_scale_) == (mean, scale)
    assert mean == pytest.approx(PRICE.mean())
    for loss in ("poisson", log_cosh):
        with pytest.raises(ValueError, match=r"loss=.* scales the target in another way"):
            model.set_params(loss=loss).fit(TABLE, PRICE)
    model.set_params(loss="huber").fit(TABLE, PRICE)


@ESTIMATORS
def test_hidden_layers_are_shown(estimator, y):
    model = estimator(**{**FEW, "hidden_layer_sizes": (8, 3)}).fit(TABLE, y)
    assert model.transform(TABLE).shape == (300, 3)
    assert model.transform(TABLE, layer=0).shape == (300, 8)
    name = estimator.__name__.lower()
    assert model.get_feature_names_out().tolist() == [f"{name}{i}" for i in range(3)]
    shown = model.set_output(transform="pandas").transform(TABLE)
    assert list(shown.columns) == [f"{name}{i}" for i in range(3)]
    assert shown.index.equals(TABLE.index)


@ESTIMATORS
def test_frames_asked_of_encoders_change_nothing(estimator, y):
    given = {"X_val": TABLE[HELD], "y_val": y[HELD]}
    expected = estimator(**FEW).fit(TABLE, y, **given).predict(TABLE)
    with config_context(transform_output="pandas"):
        model = estimator(**FEW).fit(TABLE, y, **given)
        np.testing.assert_array_equal(model.predict(TABLE), expected)
    model.encoder_.set_output(transform="polars")
    np.testing.assert_array_equal(model.predict(TABLE), expected)


@ESTIMATORS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_gradient_is_checked_on_raw_rows(estimator, y, dtype):
    model = estimator(**FEW, dtype=dtype, activation="tanh").fit(TABLE, y)
    check = model.check_gradient(TABLE[:12], y[:12])
    assert check.passed
    assert {0, 2, 4} == set(check.layers)
    with pytest.raises(ValueError, match="no column 'age'"):
        model.check_gradient(TABLE.rename(columns={"age": "years"})[:12], y[:12])


def test_dropout_tells_what_the_network_does_not_know():
    plain = TabularRegressor(**FEW, dropout=0.3).fit(TABLE, PRICE)
    mean, std = plain.predict(TABLE, return_std=True)
    again, other = (plain.predict(TABLE, return_std=True, random_state=s)[1] for s in (0, 1))
    np.testing.assert_array_equal(std, again)
    assert (std != other).any()
    assert mean.shape == std.shape == (300,)
    scaled = clone(plain).fit(TABLE, 1000 * PRICE).predict(TABLE, return_std=True)
    np.testing.assert_allclose(scaled[0], 1000 * mean, rtol=1e-3)
    np.testing.assert_allclose(scaled[1], 1000 * std, rtol=1e-2)
    classifier = TabularClassifier(**FEW, dropout=0.3).fit(TABLE, NAMES)
    probability, spread = classifier.predict_proba(TABLE, return_std=True, n_samples=20)
    assert probability.shape == spread.shape == (300, 2)
    labels, of_labels = classifier.predict(TABLE, return_std=True, n_samples=20)
    np.testing.assert_array_equal(labels, classifier.classes_[probability.argmax(axis=1)])
    np.testing.assert_array_equal(of_labels, spread[:, 0])
    with pytest.raises(ValueError, match="dropout"):
        TabularRegressor(**FEW).fit(TABLE, PRICE).predict(TABLE, return_std=True)


@ESTIMATORS
def test_a_stream_is_refused_in_words(estimator, y, tmp_path):
    TABLE.assign(y=y).to_parquet(tmp_path / "rows.parquet")
    stream = ParquetStream(tmp_path / "rows.parquet", "y")
    model = estimator(**FEW, checkpoint_path=tmp_path / "folder")
    message = f"{estimator.__name__} learns the columns from a table in memory, got a ParquetStream"
    with pytest.raises(ValueError, match=message):
        model.fit(stream)
    model.fit(TABLE, y)
    with pytest.raises(ValueError, match=message):
        model.resume(stream)
    with pytest.raises(ValueError, match="ParquetStream"):
        model.fit(TABLE, y, X_val=stream, y_val=y)
    for method in (model.predict, model.transform):
        with pytest.raises(ValueError, match=r"take a ParquetStream.*block by block"):
            method(stream)


@ESTIMATORS
def test_errors_name_the_estimator(estimator, y):
    name = estimator.__name__
    for call in ("predict", "transform"):
        with pytest.raises(NotFittedError, match=f"This {name} instance"):
            getattr(estimator(), call)(TABLE)
    rows = TABLE.to_numpy()
    model = estimator(**FEW).fit(rows, y)
    with pytest.raises(ValueError, match=f"{name} is expecting 3 features"):
        model.predict(rows[:, :2])
    with pytest.raises(ValueError, match=f"'alpha' parameter of {name}"):
        estimator(alpha=-1).fit(TABLE, y)
    with pytest.raises(ValueError, match="requires y to be passed"):
        estimator().fit(TABLE)


def test_rows_of_a_step():
    rows = [a_twentieth_of_the_rows(n) for n in (1, 5, 100, 1000, 10**6)]
    assert rows == [1, 5, 8, 50, 256]
