"""A row of weight k counts as k rows, and a class of weight k as if all its rows had it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from sklearn.utils.class_weight import compute_sample_weight

from pellucid import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = make_classification(90, 6, n_informative=4, n_classes=3, weights=[0.7, 0.2], random_state=0)
K = np.random.default_rng(0).integers(0, 4, 90)
ALL_AT_ONCE = {
    "lbfgs": {"solver": "lbfgs", "max_iter": 15},
    "full-batch sgd": {
        "solver": "sgd",
        "batch_size": 10_000,
        "max_iter": 15,
        "shuffle": False,
        "learning_rate_init": 0.1,
    },
}

quiet = pytest.mark.filterwarnings("ignore:Got `batch_size`")


@quiet
@pytest.mark.parametrize("solver", ALL_AT_ONCE)
@pytest.mark.parametrize("balanced", [None, "balanced", {0: 2.0, 2: 0.5}])
def test_weights_are_repetitions(solver, balanced):
    options = {**ALL_AT_ONCE[solver], "hidden_layer_sizes": (5,), "random_state": 0}
    weighted = MLPClassifier(**options, class_weight=balanced).fit(X, Y, sample_weight=K)
    repeated = MLPClassifier(**options, class_weight=balanced).fit(X.repeat(K, 0), Y.repeat(K))
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)
    assert weighted.loss_ == pytest.approx(repeated.loss_, rel=1e-9)


@quiet
@pytest.mark.parametrize("solver", ALL_AT_ONCE)
@pytest.mark.parametrize("loss", ["squared_error", "huber", "absolute_error", "poisson"])
def test_weights_are_repetitions_for_numbers(solver, loss):
    y = np.abs(X[:, 0] - X[:, 1])
    options = {**ALL_AT_ONCE[solver], "hidden_layer_sizes": (5,), "random_state": 0}
    options["learning_rate_init"] = 0.01
    weighted = MLPRegressor(loss, **options).fit(X, y, sample_weight=K)
    repeated = MLPRegressor(loss, **options).fit(X.repeat(K, 0), y.repeat(K))
    assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-5, atol=1e-8)


def test_balanced_is_that_of_scikit_learn():
    options = {"hidden_layer_sizes": (5,), "random_state": 0, "max_iter": 5}
    names = np.array(["a", "b", "c"])[Y]
    balanced = MLPClassifier(**options, class_weight="balanced").fit(X, names)
    weights = compute_sample_weight("balanced", names)
    same = MLPClassifier(**options).fit(X, names, sample_weight=weights)
    assert_allclose(balanced.coefs_[0], same.coefs_[0], rtol=1e-12)


def test_labels_left_out_of_the_dict_have_weight_one():
    options = {"hidden_layer_sizes": (5,), "random_state": 0, "max_iter": 5}
    some = MLPClassifier(**options, class_weight={1: 4.0}).fit(X, Y)
    same = MLPClassifier(**options).fit(X, Y, sample_weight=np.where(Y == 1, 4.0, 1.0))
    assert_array_equal(some.coefs_[0], same.coefs_[0])


def test_batches_without_any_weight_are_survived():
    weight = np.repeat([0.0, 1.0], 45)
    model = MLPClassifier(
        (5,), batch_size=15, shuffle=False, max_iter=5, alpha=0.0, random_state=0
    ).fit(X, Y, sample_weight=weight)
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(model.predict_proba(X)).all()


def test_a_class_weight_of_zero_takes_the_class_out():
    model = MLPClassifier((5,), class_weight={0: 0.0}, solver="lbfgs", random_state=0).fit(X, Y)
    assert (model.predict(X) == 0).mean() < 0.05


def test_several_labels_a_row_have_no_class():
    with pytest.raises(ValueError, match="class_weight='balanced' needs one label a row"):
        MLPClassifier(class_weight="balanced").fit(X, np.eye(3, dtype=int)[Y])


def test_classes_of_the_dict_may_be_missing_in_a_fold():
    weights = {0: 1.0, 1: 4.0, 2: 2.0}
    some, options = Y != 2, {"hidden_layer_sizes": (5,), "random_state": 0, "max_iter": 5}
    fold = MLPClassifier(**options, class_weight=weights).fit(X[some], Y[some])
    same = MLPClassifier(**options, class_weight={0: 1.0, 1: 4.0}).fit(X[some], Y[some])
    assert_array_equal(fold.coefs_[0], same.coefs_[0])
    with pytest.raises(ValueError, match="class_weight has a label that y has not, '1'"):
        MLPClassifier(**options, class_weight={0: 1.0, "1": 4.0}).fit(X[some], Y[some])


def test_balanced_leaves_the_penalty_alone_where_a_class_has_no_rows():
    some, options = Y != 2, {"hidden_layer_sizes": (5,), "random_state": 0, "alpha": 10.0}
    even = np.flatnonzero(some)[np.argsort(Y[some], kind="stable")]
    n = np.bincount(Y[some]).min()
    even = np.concatenate([even[:n], even[-n:]])  # as many rows of 0 as of 1
    balanced, plain = (
        MLPClassifier(**options, class_weight=weight).partial_fit(
            X[even], Y[even], classes=[0, 1, 2]
        )
        for weight in ("balanced", None)
    )
    assert balanced.loss_ == pytest.approx(plain.loss_, rel=1e-12)
