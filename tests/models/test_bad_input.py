"""Wrong input gets one clear error, or works; and nothing is left half fitted."""

import datetime
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

from pellucid import MLPClassifier, MLPRegressor
from pellucid.engine.errors import NonFiniteError

X, Y = load_iris(return_X_y=True)
QUICK = {"max_iter": 3, "random_state": 0}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def _with(value, dtype=np.float64):
    bad = X.astype(dtype)
    bad[3, 2] = value
    return bad


BAD_FITS = {
    "NaN": (MLPClassifier, {}, _with(np.nan), Y, "Input X contains NaN.*Tabular"),
    "NaN in half precision": (MLPClassifier, {}, _with(np.nan, np.float16), Y, "X contains NaN"),
    "infinity": (MLPRegressor, {}, _with(np.inf), Y, "infinity"),
    "no rows": (MLPClassifier, {}, X[:0], Y[:0], "0 sample"),
    "no columns": (MLPClassifier, {}, X[:, :0], Y, "0 feature"),
    "one dimension": (MLPClassifier, {}, X[:, 0], Y, "Expected 2D array"),
    "lengths": (MLPRegressor, {}, X, Y[:-1], "inconsistent numbers of samples"),
    "text": (MLPClassifier, {}, np.full(X.shape, "red"), Y, "not compatible with arrays of"),
    "text in objects": (MLPClassifier, {}, np.full(X.shape, "red", object), Y, "TabularClassifier"),
    "dates": (
        MLPClassifier,
        {},
        np.full(X.shape, np.datetime64("2020-01-01")),
        Y,
        "needs a table of numbers",
    ),
    "complex": (MLPClassifier, {}, X + 1j, Y, "Complex data not supported"),
    "continuous labels": (MLPClassifier, {}, X, Y + 0.5, "Unknown label type"),
    "NaN label": (MLPClassifier, {}, X, np.where(Y == 0, np.nan, Y), "y contains NaN"),
    "two label columns": (MLPClassifier, {}, X, np.c_[Y, Y], "MultiOutputClassifier"),
    "no y": (MLPClassifier, {}, X, None, "requires y"),
    "labels in a regression": (
        MLPRegressor,
        {},
        X,
        np.array(["a", "b", "c"])[Y],
        "for classes use MLPClassifier",
    ),
    "text in a regression": (
        MLPRegressor,
        {},
        X,
        np.array(["a", "b", "c"], object)[Y],
        "for classes use MLPClassifier",
    ),
    "mixed labels": (
        MLPClassifier,
        {},
        X,
        np.array(["a", "b", 3], object)[Y],
        "must be of one type, got int, str",
    ),
    "missing labels": (
        MLPClassifier,
        {},
        X,
        np.array(["a", "b", None], object)[Y],
        "None in 50 of 150 rows",
    ),
    "NaN target": (MLPRegressor, {}, X, np.where(Y == 0, np.nan, Y), "y contains NaN"),
    "None among targets": (
        MLPRegressor,
        {},
        X,
        np.where(Y == 0, None, Y),
        "Input y contains NaN",
    ),
    "sparse targets": (MLPRegressor, {}, X, scipy.sparse.csr_array(np.c_[Y, Y]), "dense y"),
    "negative counts": (MLPRegressor, {"loss": "poisson"}, X, Y - 1, "loss='poisson' needs y >= 0"),
    "y beyond float32": (
        MLPRegressor,
        {},
        X.astype(np.float32),
        Y * 1e300,
        "too large for float32",
    ),
    "no units": (
        MLPClassifier,
        {"hidden_layer_sizes": (64, 0)},
        X,
        Y,
        r"hidden_layer_sizes must be positive integers, got \(64, 0\)",
    ),
    "half a unit": (MLPClassifier, {"hidden_layer_sizes": (2.5,)}, X, Y, "positive integers"),
    "learning rate": (
        MLPClassifier,
        {"learning_rate_init": -1},
        X,
        Y,
        "learning_rate_init.*must be a float in the range",
    ),
    "activation": (MLPClassifier, {"activation": "gelu2"}, X, Y, "activation.*must be a str among"),
    "nothing to validate on": (
        MLPRegressor,
        {"early_stopping": True},
        X[:3],
        Y[:3],
        "validation set is too small. Increase 'validation_fraction'",
    ),
    "nothing to train on": (
        MLPClassifier,
        {"early_stopping": True, "validation_fraction": 0.99},
        X[:100:40],
        Y[:100:40] == 0,
        r"training set is too small|only 1 member",
    ),
}


@pytest.mark.parametrize("case", BAD_FITS)
def test_fit_refuses_and_stays_unfitted(case):
    estimator_class, params, table, y, message = BAD_FITS[case]
    estimator = estimator_class(**{**QUICK, **params})
    with pytest.raises(ValueError, match=message):
        estimator.fit(table, y)
    assert set(vars(estimator)) == set(estimator.get_params())
    with pytest.raises(NotFittedError):
        estimator.predict(X)


@pytest.mark.parametrize("case", BAD_FITS)
def test_a_fitted_model_survives_a_refused_fit(case):
    estimator_class, params, table, y, message = BAD_FITS[case]
    estimator = estimator_class(**QUICK).fit(pd.DataFrame(X, columns=list("abcd")), Y)
    frame = pd.DataFrame(X, columns=list("abcd"))
    before, expected = dict(vars(estimator)), estimator.predict(frame)
    estimator.set_params(**params)
    with pytest.raises(ValueError, match=message):
        estimator.fit(table, y)
    estimator.set_params(**estimator_class(**QUICK).get_params())
    assert vars(estimator) == before
    np.testing.assert_array_equal(estimator.predict(frame), expected)


@pytest.mark.parametrize("estimator_class", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("bad", [X[:, :3], np.c_[X, X]], ids=["fewer", "more"])
def test_wrong_number_of_columns(estimator_class, bad):
    estimator = estimator_class(**QUICK).fit(X, Y)
    with pytest.raises(ValueError, match=r"features.*4 features"):
        estimator.predict(bad)
    with pytest.raises(ValueError, match=r"features.*4 features"):
        estimator.partial_fit(bad, Y)


def test_predict_refuses_nan():
    with pytest.raises(ValueError, match="X contains NaN"):
        MLPClassifier(**QUICK).fit(X, Y).predict(_with(np.nan))


class TestPartialFit:
    def test_needs_classes_first(self):
        with pytest.raises(ValueError, match="classes must be passed on the first call"):
            MLPClassifier().partial_fit(X, Y)

    def test_unknown_labels(self):
        estimator = MLPClassifier(**QUICK).partial_fit(X, Y, classes=[0, 1, 2])
        weights = [W.copy() for W in estimator.coefs_]
        with pytest.raises(ValueError, match=r"classes not in `self.classes_`: \[7\]"):
            estimator.partial_fit(X[:2], [0, 7])
        np.testing.assert_array_equal(estimator.coefs_[0], weights[0])
        assert estimator.n_iter_ == 1

    def test_unknown_labels_in_the_first_call_leave_nothing(self):
        estimator = MLPClassifier(**QUICK)
        with pytest.raises(ValueError, match="classes not in"):
            estimator.partial_fit(X, Y, classes=[0, 1])
        assert set(vars(estimator)) == set(estimator.get_params())

    def test_other_classes_later(self):
        estimator = MLPClassifier(**QUICK).partial_fit(X, Y, classes=[0, 1, 2])
        with pytest.raises(ValueError, match="not the same as on last call to partial_fit"):
            estimator.partial_fit(X, Y, classes=[0, 1, 2, 3])

    def test_classes_by_position_land_in_sample_weight(self):
        with pytest.raises(ValueError, match=r"classes must be passed|sample_weight"):
            MLPClassifier().partial_fit(X, Y, [0, 1, 2])

    def test_classes_are_column_numbers_for_several_labels(self):
        estimator = MLPClassifier(**QUICK)
        labels = np.c_[Y == 0, Y == 1, Y == 2].astype(int)
        for classes in ([0, 1], [0, 1, 2, 3]):
            with pytest.raises(ValueError, match="classes must be the column numbers of y"):
                estimator.partial_fit(X, labels, classes=classes)
        assert set(vars(estimator)) == set(estimator.get_params())
        assert estimator.partial_fit(X, labels, classes=[0, 1, 2]).n_outputs_ == 3

    @pytest.mark.parametrize("sparse", [False, True])
    def test_fewer_labels_than_before(self, sparse):
        container = scipy.sparse.csr_array if sparse else np.asarray
        labels = np.c_[Y == 0, Y == 1, Y == 2].astype(int)
        estimator = MLPClassifier(**QUICK).fit(X, container(labels))
        with pytest.raises(ValueError, match=r"y must have 3 columns.*got 2"):
            estimator.partial_fit(X, container(labels[:, :2]))
        with pytest.raises(ValueError, match=r"y must have 3 columns.*got shape \(150, 2\)"):
            estimator.check_gradient(X, container(labels[:, :2]))
        with pytest.raises(ValueError, match=r"classes not in `self.classes_`: \[3\]"):
            estimator.partial_fit(X, container(labels[:, [0, 1, 2, 2]]))

    def test_other_number_of_targets(self):
        estimator = MLPRegressor(**QUICK).partial_fit(X, Y)
        with pytest.raises(ValueError, match="y must have 1 outputs"):
            estimator.partial_fit(X, np.c_[Y, Y])

    def test_labels_after_multilabel(self):
        estimator = MLPClassifier(**QUICK).fit(X, np.c_[Y == 0, Y == 1, Y == 2].astype(int))
        with pytest.raises(ValueError, match="several labels a row"):
            estimator.partial_fit(X, Y)

    def test_other_hidden_layers(self):
        estimator = MLPRegressor(**QUICK).partial_fit(X, Y).set_params(hidden_layer_sizes=(3,))
        with pytest.raises(ValueError, match=r"hidden_layer_sizes must stay \(100,\)"):
            estimator.partial_fit(X, Y)

    def test_early_stopping_says_what_to_do(self):
        estimator = MLPClassifier(early_stopping=True, **QUICK).fit(X, Y)
        with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
            estimator.partial_fit(X, Y)

    def test_lbfgs_has_none(self):
        with pytest.raises(AttributeError, match="partial_fit"):
            MLPClassifier(solver="lbfgs").partial_fit(X, Y)


class TestWeights:
    @pytest.mark.parametrize(
        ("weight", "message"),
        [
            (np.zeros(150), "non-zero"),
            (np.full(150, -1.0), "Negative values"),
            (np.full(150, np.nan), "NaN"),
            (np.ones(3), r"sample_weight.shape"),
        ],
        ids=["zero", "negative", "NaN", "length"],
    )
    def test_refused(self, weight, message):
        estimator = MLPClassifier(**QUICK)
        with pytest.raises(ValueError, match=message):
            estimator.fit(X, Y, sample_weight=weight)
        assert set(vars(estimator)) == set(estimator.get_params())

    @pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
    def test_a_sum_beyond_float64_is_no_obstacle(self, solver):
        estimator = MLPRegressor(solver=solver, alpha=0.0, max_iter=10, random_state=0)
        huge = clone(estimator).fit(X, Y, sample_weight=np.full(150, 1e308))
        np.testing.assert_allclose(huge.coefs_[0], estimator.fit(X, Y).coefs_[0], rtol=1e-9)

    def test_none_left_for_validation(self):
        weight = np.zeros(150)
        weight[0] = 1.0
        with pytest.raises(ValueError, match=r"above zero .* choose others by validation_fraction"):
            MLPClassifier(early_stopping=True, **QUICK).fit(X, Y, sample_weight=weight)


class TestThatWorks:
    def test_one_class(self):
        estimator = MLPClassifier(**QUICK).fit(X, np.ones(150))
        assert set(estimator.predict(X)) == {1.0}
        assert estimator.predict_proba(X).shape == (150, 1)

    @pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
    def test_one_row(self, solver):
        assert MLPRegressor(solver=solver, **QUICK).fit(X[:1], Y[:1]).predict(X).shape == (150,)
        assert MLPClassifier(solver=solver, **QUICK).fit(X[:1], Y[:1]).predict(X).shape == (150,)

    @pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
    def test_constant_columns(self, solver):
        constant = np.c_[X, np.full((150, 2), 3.0), np.zeros(150)]
        estimator = MLPClassifier(solver=solver, **QUICK).fit(constant, Y)
        assert all(np.isfinite(W).all() for W in estimator.coefs_)

    def test_constant_target(self):
        estimator = MLPRegressor(solver="lbfgs", alpha=0.0).fit(X, np.full(150, 2.0))
        np.testing.assert_allclose(estimator.predict(X), 2.0, atol=0.05)

    def test_batch_larger_than_the_table(self):
        estimator = MLPClassifier(batch_size=1000, **QUICK)
        with pytest.warns(UserWarning, match="1000, larger than the 150 rows"):
            estimator.fit(X, Y)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            same = MLPClassifier(batch_size=150, **QUICK).fit(X, Y)
        np.testing.assert_array_equal(estimator.coefs_[0], same.coefs_[0])

    def test_a_power_beyond_float64(self):
        estimator = MLPClassifier(solver="sgd", learning_rate="invscaling", power_t=1e6, **QUICK)
        once = clone(estimator).set_params(max_iter=1).fit(X, Y)
        np.testing.assert_allclose(estimator.fit(X, Y).coefs_[0], once.coefs_[0], atol=1e-2)

    def test_numbers_in_objects(self):
        a = MLPClassifier(**QUICK).fit(X.astype(object), Y)
        np.testing.assert_array_equal(a.coefs_[0], MLPClassifier(**QUICK).fit(X, Y).coefs_[0])


class TestHugeValues:
    @pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
    def test_regression_stops_with_the_place_and_the_cause(self, solver):
        estimator = MLPRegressor(solver=solver, max_iter=50, random_state=0)
        with pytest.raises(NonFiniteError, match="Solver produced non-finite") as caught:
            estimator.fit(X * 1e200, Y)
        assert isinstance(caught.value, ValueError)
        assert caught.value.cause
        assert set(vars(estimator)) == set(estimator.get_params())

    @pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("estimator_class", [MLPClassifier, MLPRegressor])
    def test_1e30_trains_or_says_why(self, estimator_class, dtype, solver):
        estimator = estimator_class(solver=solver, max_iter=20, random_state=0)
        try:
            estimator.fit((X * 1e30).astype(dtype), Y)
        except NonFiniteError as error:
            assert "need to be preprocessed" in str(error)  # noqa: PT017
        if hasattr(estimator, "coefs_"):
            assert all(np.isfinite(W).all() for W in estimator.coefs_)

    def test_the_last_good_weights_are_kept(self):
        scale = X / X.std(axis=0)
        estimator = MLPRegressor(
            hidden_layer_sizes=(8,),
            activation="identity",
            solver="sgd",
            learning_rate_init=0.3,
            random_state=0,
        )
        with pytest.raises(NonFiniteError, match="Lower the learning rate"):
            estimator.fit(scale, Y)
        assert 0 < estimator.n_iter_ < 200
        assert len(estimator.loss_curve_) == estimator.n_iter_
        assert all(np.isfinite(W).all() for W in estimator.coefs_)

    @pytest.mark.parametrize(
        ("table", "y", "layer", "cause"),
        [
            (X * 1e200, Y, None, r"values in X are as large as 7.9e\+200"),
            (X, Y * 1e200, None, r"the targets as large as 2e\+200"),
        ],
        ids=["table", "targets"],
    )
    def test_lbfgs_names_the_layer_and_the_cause(self, table, y, layer, cause):
        estimator = MLPRegressor(solver="lbfgs", random_state=0)
        with pytest.raises(NonFiniteError, match=cause) as caught:
            estimator.fit(table, y)
        assert caught.value.layer == layer
        assert "learning rate" not in str(caught.value)

    def test_lbfgs_finds_the_row_that_overflows(self):
        estimator = MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs", warm_start=True)
        estimator.set_params(max_iter=2, random_state=0).fit(X, Y)
        estimator.coefs_[0][...] = 10.0
        table = np.where(np.arange(150) == 140, 1e308, X.T).T
        with pytest.raises(NonFiniteError, match=r"values in X are as large as 1e\+308") as caught:
            estimator.fit(table, Y)
        assert caught.value.layer == 0
        assert (estimator.coefs_[0] == 10.0).all()

    def test_lbfgs_whose_penalty_overflows_says_so(self):
        estimator = MLPRegressor(solver="lbfgs", alpha=1.79e308, random_state=0)
        with pytest.raises(NonFiniteError, match="change alpha"):
            estimator.fit(X[:1], Y[:1])

    def test_partial_fit_keeps_the_model_as_it_was(self):
        estimator = MLPRegressor(**QUICK).partial_fit(X, Y)
        before = dict(vars(estimator))
        weights = estimator.coefs_[0].copy()
        with pytest.raises(NonFiniteError):
            estimator.partial_fit(X * 1e300, Y)
        assert vars(estimator) == before
        np.testing.assert_array_equal(estimator.coefs_[0], weights)
        estimator.partial_fit(X, Y)


def test_dates_in_a_frame_say_what_to_do():
    frame = pd.DataFrame({"day": [datetime.date(2020, 1, 1)] * 4, "x": range(4)})
    with pytest.raises((ValueError, TypeError)):
        MLPClassifier().fit(frame, [0, 1, 0, 1])


def test_unfitted():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        MLPClassifier().predict_proba(X)
