"""Predictions are computed in the precision that weights and table need together."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor

from pellucid import MLPClassifier, MLPRegressor
from pellucid.engine import native_predictor

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4))
TARGETS = {"MLPClassifier": np.digitize(X[:, 0], [-0.5, 0.5]), "MLPRegressor": X[:, 0]}
PAIRS = {
    "MLPClassifier": (MLPClassifier, TheirClassifier, "predict_proba"),
    "MLPRegressor": (MLPRegressor, TheirRegressor, "predict"),
}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def _fitted(kind, name, dtype):
    options = {"hidden_layer_sizes": (6,), "max_iter": 5, "random_state": 0}
    return kind(**options).fit(X.astype(dtype), TARGETS[name])


@pytest.mark.parametrize("container", [np.asarray, scipy.sparse.csr_array])
@pytest.mark.parametrize("table_dtype", ["f4", "f8", "?", "i1", "u2", "i4", "i8", "u8"])
@pytest.mark.parametrize("weights_dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", PAIRS)
def test_values_and_dtype_are_those_of_scikit_learn(name, weights_dtype, table_dtype, container):
    ours, theirs, method = PAIRS[name]
    ours, theirs = (_fitted(kind, name, weights_dtype) for kind in (ours, theirs))
    theirs.coefs_, theirs.intercepts_ = ours.coefs_, ours.intercepts_
    table = container(np.abs(10 * X).astype(table_dtype))
    actual, expected = getattr(ours, method)(table), getattr(theirs, method)(table)
    assert actual.dtype == expected.dtype
    tolerance = 2e-5 if actual.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def test_a_table_beyond_float32_meets_float32_weights_in_float64():
    model = _fitted(MLPClassifier, "MLPClassifier", np.float32)
    assert model.coefs_[0].dtype == np.float32
    probabilities = model.predict_proba(X * 1e300)
    np.testing.assert_array_equal(probabilities, model.predict_proba(X * 1e200))
    assert len(np.unique(model.predict(X * 1e300))) > 1
    assert model.coefs_[0].dtype == np.float32


def test_integers_beyond_24_bits_are_not_rounded():
    model = _fitted(MLPRegressor, "MLPRegressor", np.float32)
    table = 2**40 + np.arange(4 * 8).reshape(8, 4)
    expected = table.astype(np.float64)
    np.testing.assert_array_equal(model.predict(table), model.predict(expected))
    assert len(np.unique(model.predict(table))) == len(table)


@pytest.mark.parametrize("table_dtype", [np.float64, np.int64])
def test_one_row_alone_is_predicted_as_among_others(table_dtype):
    model = _fitted(MLPRegressor, "MLPRegressor", np.float32)
    table = (1000 * X).astype(table_dtype)
    one_by_one = np.concatenate([model.predict(row[None]) for row in table])
    np.testing.assert_array_equal(one_by_one, model.predict(table))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
@pytest.mark.parametrize("container", [np.asarray, scipy.sparse.csr_array])
def test_scores_that_overflow_name_the_table(container, method):
    model = _fitted(MLPClassifier, "MLPClassifier", np.float32)
    model.coefs_[0][...] = 100.0
    table = X.copy()
    table[7] = 1e308
    with pytest.raises(ValueError, match=r"1 of 60 rows are not finite, first of row 7.*1e\+308"):
        getattr(model, method)(container(table))
    table[7] = 3e38
    assert np.isfinite(model.predict_proba(table)).all()
    with pytest.raises(ValueError, match=r"overflow float32.*or pass it as float64"):
        getattr(model, method)(container(table.astype(np.float32)))


def test_scores_that_are_not_finite_name_the_weights():
    model = _fitted(MLPRegressor, "MLPRegressor", np.float64)
    model.coefs_[0][1, 2] = np.nan
    with pytest.raises(ValueError, match="the weights hold NaN"):
        model.predict(X)


@pytest.mark.parametrize("method", ["predict", "transform"])
def test_predictions_heed_n_threads(method, monkeypatch):
    asked = []

    def resolve(n_threads):
        asked.append(n_threads)
        return 1

    model = _fitted(MLPRegressor, "MLPRegressor", np.float32)
    monkeypatch.setattr(native_predictor, "resolve_n_threads", resolve)
    for n_threads in (3, 2, None):
        model.set_params(n_threads=n_threads)
        for table in (X, X.astype(np.float32)):
            getattr(model, method)(table)
    assert {None, 2, 3} == set(asked)
    assert asked.index(2) > asked.index(3)
