"""`pellucid.Network.predict(X, n_samples=…)`: means and spreads in the terms of y."""

import numpy as np
import pytest

from pellucid import Network
from pellucid.nn import Activation, Dropout, Linear

X = np.random.default_rng(0).standard_normal((60, 5))
LABELS = np.where(X[:, 0] > 0.5, "high", np.where(X[:, 0] < -0.5, "low", "mid"))
LAYERS = [Linear(16), Activation("relu"), Dropout(0.3)]


def fitted(loss, y, n_outputs, **options):
    network = Network([*LAYERS, Linear(n_outputs)], loss, dtype="float64", **options)
    return network.fit(X, y, epochs=3, batch_size=20)


def samples(network, n_samples, seed):
    scores = network.chain.sample_scores(network.parameters, X, n_samples, seed)
    return np.stack([network.chain.loss.link(sample) for sample in scores])


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_labels_come_with_the_spread_of_their_probability(engine):
    network = fitted("softmax_cross_entropy", LABELS, 3, engine=engine)
    of_all = samples(network, 9, seed=4)
    mean, std = network.predict_proba(X, n_samples=9, seed=4)
    np.testing.assert_allclose(mean, of_all.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(std, of_all.std(axis=0), rtol=1e-9)
    labels, spread = network.predict(X, n_samples=9, seed=4)
    chosen = mean.argmax(axis=1)
    assert labels.tolist() == network.classes_[chosen].tolist()
    np.testing.assert_array_equal(spread, std[np.arange(60), chosen])
    assert (network.predict_proba(X, n_samples=9, seed=5)[0] != mean).any()


def test_two_labels_share_one_spread():
    network = fitted("logistic_cross_entropy", X[:, 0] > 0, 1)
    of_all = samples(network, 5, seed=0)
    mean, std = network.predict_proba(X, n_samples=5)
    np.testing.assert_allclose(mean, np.dstack([1 - of_all, of_all]).mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(std, np.dstack([of_all, of_all]).std(axis=0), rtol=1e-9)
    labels, spread = network.predict(X, n_samples=5)
    np.testing.assert_array_equal(labels, mean[:, 1] > 0.5)
    np.testing.assert_array_equal(spread, std[:, 0])


def test_several_labels_a_row_have_a_spread_each():
    network = fitted("logistic_cross_entropy", (X[:, :2] > 0).astype(int), 2)
    labels, spread = network.predict(X, n_samples=5)
    mean, std = network.predict_proba(X, n_samples=5)
    np.testing.assert_array_equal(labels, mean > 0.5)
    np.testing.assert_array_equal(spread, std)


@pytest.mark.parametrize("y", [X[:, 0], X[:, :1], X[:, :2]])
def test_numbers_keep_the_form_that_y_had(y):
    network = fitted("half_squared_error", y, 1 if y.ndim == 1 else y.shape[1])
    mean, std = network.predict(X, n_samples=5, seed=2)
    of_all = samples(network, 5, seed=2).reshape(5, *y.shape)
    assert mean.shape == std.shape == y.shape
    np.testing.assert_allclose(mean, of_all.mean(axis=0), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(std, of_all.std(axis=0), rtol=1e-9)


def test_a_network_without_dropout_and_broken_weights_are_told():
    plain = Network([Linear(1)], "half_squared_error").fit(X, X[:, 0], epochs=1)
    with pytest.raises(ValueError, match="drops nothing"):
        plain.predict(X, n_samples=5)
    network = fitted("half_squared_error", X[:, 0], 1)
    network.parameters.flat[0] = np.nan
    with pytest.raises(ValueError, match="the weights hold NaN"):
        network.predict(X, n_samples=5)
