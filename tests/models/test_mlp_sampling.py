"""`predict(X, n_samples=…)` of the perceptrons: Monte-Carlo dropout in scikit-learn's manners."""

import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.utils import check_random_state

from pellucid import MLPClassifier, MLPRegressor

X = np.random.default_rng(0).standard_normal((80, 4))
LABELS = np.where(X[:, 0] > 0.5, "high", np.where(X[:, 0] < -0.5, "low", "mid"))
SEVERAL = (X[:, :3] > 0).astype(int)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fitted(make, y, **options):
    options = {"dropout": 0.3, "max_iter": 5, "random_state": 0, **options}
    return make(hidden_layer_sizes=(16, 8), **options).fit(X, y)


def samples(model, n_samples, random_state):
    """Return the network's output (n_samples, n, n_outputs), by the formulas of `nn`."""
    seed = check_random_state(random_state).randint(2**31 - 1)
    scores = model.network_.sample_scores(model.parameters_, X, n_samples, int(seed))
    return np.stack([model.network_.loss.link(sample) for sample in scores])


def test_probabilities_of_several_classes():
    model = fitted(MLPClassifier, LABELS)
    of_all = samples(model, 7, 3)
    mean, std = model.predict_proba(X, n_samples=7, random_state=3)
    np.testing.assert_allclose(mean, of_all.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(std, of_all.std(axis=0), rtol=1e-9)
    labels, spread = model.predict(X, n_samples=7, random_state=3)
    chosen = mean.argmax(axis=1)
    assert labels.tolist() == model.classes_[chosen].tolist()
    np.testing.assert_array_equal(spread, std[np.arange(len(X)), chosen])


def test_probabilities_of_two_classes():
    model = fitted(MLPClassifier, X[:, 0] > 0)
    of_all = samples(model, 7, 0)
    mean, std = model.predict_proba(X, n_samples=7)
    np.testing.assert_allclose(mean, np.dstack([1 - of_all, of_all]).mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(std, np.dstack([of_all, of_all]).std(axis=0), rtol=1e-9)
    labels, spread = model.predict(X, n_samples=7)
    np.testing.assert_array_equal(labels, mean[:, 1] > 0.5)
    np.testing.assert_array_equal(spread, std[:, 1])


def test_several_labels_a_row_have_a_spread_each():
    model = fitted(MLPClassifier, SEVERAL)
    labels, spread = model.predict(X, n_samples=7)
    mean, std = model.predict_proba(X, n_samples=7)
    np.testing.assert_array_equal(labels, mean > 0.5)
    np.testing.assert_array_equal(spread, std)


@pytest.mark.parametrize("y", [X[:, 0], X[:, :2]])
@pytest.mark.parametrize("options", [{}, {"dropout": [0.1, 0.5], "normalization": "batch"}])
def test_numbers(y, options):
    model = fitted(MLPRegressor, y, **options)
    of_all = samples(model, 7, 1).reshape(7, *y.shape)
    mean, std = model.predict(X, n_samples=7, random_state=1)
    np.testing.assert_allclose(mean, of_all.mean(axis=0), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(std, of_all.std(axis=0), rtol=1e-9)
    assert mean.shape == std.shape == y.shape
    again, _ = model.predict(X, n_samples=7, random_state=1)
    np.testing.assert_array_equal(again, mean)
    other, _ = model.predict(X, n_samples=7, random_state=np.random.RandomState(5))
    assert (other != mean).any()


def test_float32_weights_meet_float64_rows_in_float64():
    model = fitted(MLPRegressor, X[:, 0], dtype="float32")
    mean, _ = model.predict(X, n_samples=5)
    in_float32, _ = model.predict(X.astype(np.float32), n_samples=5)
    np.testing.assert_allclose(in_float32, mean, rtol=1e-4, atol=1e-5)
    assert (in_float32 != mean).any()


def test_without_dropout_there_is_nothing_to_sample():
    model = fitted(MLPClassifier, LABELS, dropout=0.0)
    for ask in (model.predict, model.predict_proba):
        with pytest.raises(ValueError, match="this network drops nothing"):
            ask(X, n_samples=5)
    with pytest.raises(ValueError, match="n_samples must be at least 1, got 0"):
        fitted(MLPRegressor, X[:, 0]).predict(X, n_samples=0)


def test_what_calls_predict_by_itself_still_gets_labels():
    model = MLPClassifier((16,), dropout=0.1, max_iter=5, random_state=0)
    assert cross_val_score(model, X, LABELS, cv=3).min() > 0


def test_a_single_class_is_sure():
    model = MLPClassifier((4,), dropout=0.5, max_iter=2, random_state=0).fit(X, np.ones(len(X)))
    for method in (model.predict, model.predict_proba):
        mean, std = method(X, n_samples=3)
        assert (mean == 1.0).all()
        assert (std == 0.0).all()
