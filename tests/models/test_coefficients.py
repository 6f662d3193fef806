"""`coefs_` and `intercepts_` are views of one buffer, and what is put into them is used."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris

from pellucid import MLPClassifier, MLPRegressor

X, Y = load_iris(return_X_y=True)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(params=[MLPClassifier, MLPRegressor])
def fitted(request):
    return request.param(hidden_layer_sizes=(6, 4), max_iter=5, random_state=0).fit(X, Y)


def _output(estimator):
    return estimator._predictions(X)


def test_one_buffer_holds_them_all(fitted):
    flat = fitted._parameters.flat
    arrays = [*fitted.coefs_, *fitted.intercepts_]
    assert all(np.shares_memory(array, flat) for array in arrays)
    assert sum(array.size for array in arrays) == flat.size
    assert [W.shape for W in fitted.coefs_[:2]] == [(4, 6), (6, 4)]


def test_writing_into_a_view_changes_predictions(fitted):
    before = _output(fitted)
    fitted.coefs_[-1][...] *= 2.0
    assert not np.allclose(_output(fitted), before)


def test_an_array_put_into_the_list_is_used(fitted):
    other = clone(fitted).set_params(random_state=1).fit(X, Y)
    for i in range(3):
        fitted.coefs_[i] = other.coefs_[i].copy()
        fitted.intercepts_[i] = other.intercepts_[i].tolist()
    np.testing.assert_array_equal(_output(fitted), _output(other))
    assert isinstance(fitted.intercepts_[0], list)  # predicting changes nothing


def test_an_array_put_into_the_list_is_trained_on(fitted):
    other = copy.deepcopy(fitted)
    other.intercepts_[0] += 0.5
    fitted.intercepts_[0] = fitted.intercepts_[0] + 0.5
    np.testing.assert_array_equal(
        _output(fitted.partial_fit(X, Y)), _output(other.partial_fit(X, Y))
    )
    assert np.shares_memory(fitted.intercepts_[0], fitted._parameters.flat)


def test_layers_of_another_width_can_be_put_in(fitted):
    wide = clone(fitted).set_params(hidden_layer_sizes=(6, 9)).fit(X, Y)
    fitted.coefs_[1:], fitted.intercepts_[1:] = wide.coefs_[1:], wide.intercepts_[1:]
    fitted.coefs_[0][...], fitted.intercepts_[0][...] = wide.coefs_[0], wide.intercepts_[0]
    np.testing.assert_array_equal(_output(fitted), _output(wide))


def test_shapes_that_do_not_fit_are_named(fitted):
    fitted.coefs_[1] = np.zeros((5, 4))
    with pytest.raises(ValueError, match=r"coefs_\[1\] must have shape \(6, 4\), got \(5, 4\)"):
        fitted.predict(X)


def test_a_new_fit_leaves_old_weights_alone(fitted):
    old, kept = fitted.coefs_[0], fitted.coefs_[0].copy()
    fitted.set_params(random_state=7).fit(X, Y)
    np.testing.assert_array_equal(old, kept)
    assert fitted.coefs_[0] is not old


def test_partial_fit_updates_the_views(fitted):
    view, before = fitted.coefs_[0], fitted.coefs_[0].copy()
    fitted.partial_fit(X, Y)
    assert not np.array_equal(view, before)
    np.testing.assert_array_equal(view, fitted.coefs_[0])


@pytest.mark.parametrize("how", ["pickle", "deepcopy", "copy", "joblib", "joblib mmap"])
def test_copies_are_equal_and_independent(fitted, how, tmp_path):
    expected = _output(fitted)
    if how == "pickle":
        twin = pickle.loads(pickle.dumps(fitted))
    elif how in ("deepcopy", "copy"):
        twin = getattr(copy, how)(fitted)
    else:
        joblib.dump(fitted, tmp_path / "model")
        twin = joblib.load(tmp_path / "model", mmap_mode="r" if "mmap" in how else None)
    np.testing.assert_array_equal(_output(twin), expected)
    assert np.shares_memory(twin.coefs_[0], twin._parameters.flat)
    twin.partial_fit(X, Y)
    np.testing.assert_array_equal(_output(fitted), expected)


def test_a_pickled_model_goes_on_as_the_original(fitted):
    twin = pickle.loads(pickle.dumps(fitted))
    for _ in range(2):
        fitted.partial_fit(X, Y)
        twin.partial_fit(X, Y)
    np.testing.assert_array_equal(_output(twin), _output(fitted))


def test_predicting_changes_nothing(fitted):
    before = dict(vars(fitted))
    fitted.predict(X)
    assert vars(fitted) == before


@pytest.mark.parametrize("weights_dtype", [np.float32, np.float64])
def test_every_change_of_the_weights_is_seen_at_once(weights_dtype):
    kept = MLPClassifier((6, 4), max_iter=5, random_state=0).fit(X.astype(weights_dtype), Y)
    for change in (
        lambda: kept.predict_proba(X),
        lambda: kept.coefs_[1].__imul__(-1.5),
        lambda: kept.intercepts_[-1].__iadd__([0.0, 1.0, 2.0]),
        lambda: kept.set_params(activation="tanh"),
        lambda: kept.coefs_.__setitem__(0, kept.coefs_[0] + 0.25),
        lambda: kept.coefs_[0].__imul__(2.0),
        lambda: kept.partial_fit(X, Y),
        lambda: kept.intercepts_[0].__iadd__(0.5),
    ):
        change()
        afresh = copy.deepcopy(kept)
        for table in (X, X[:1], X.astype(np.float32)):
            np.testing.assert_array_equal(kept.predict_proba(table), afresh.predict_proba(table))


def test_several_threads_may_predict_with_one_estimator():
    model = MLPClassifier((6, 4), max_iter=5, random_state=0).fit(X.astype(np.float32), Y)
    tables = [X, X[:1], X.astype(np.float32), X[:70].astype(np.float32)]
    with ThreadPoolExecutor(4) as pool:
        expected = [model.predict_proba(table) for table in tables]
        for _ in range(50):
            for actual, wanted in zip(pool.map(model.predict_proba, tables), expected, strict=True):
                np.testing.assert_array_equal(actual, wanted)
