"""scikit-learn's calibration of probabilities serves for ours."""

import numpy as np
import pytest
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss

from pellucid import DeepEnsembleClassifier, MLPClassifier

NEEDS_TEMPERATURE = pytest.mark.skipif(
    tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 8),
    reason="scikit-learn before 1.8 has no temperature scaling",
)
RNG = np.random.default_rng(0)
X = RNG.standard_normal((1050, 4))
NOISY = np.digitize(X[:, 0] + 0.8 * RNG.standard_normal(1050), [-0.7, 0.7])
TRAIN, HELD, TEST = slice(0, 150), slice(150, 600), slice(600, None)
LABELS = {"two": np.array(["no", "yes"])[np.minimum(NOISY, 1)], "three": NOISY}


@pytest.fixture(scope="module", params=LABELS)
def fitted(request):
    y = LABELS[request.param]
    network = MLPClassifier((64,), alpha=0.0, learning_rate_init=0.02, random_state=0)
    return network.set_params(max_iter=400).fit(X[TRAIN], y[TRAIN]), y


def _calibrated(model, y, method):
    return CalibratedClassifierCV(FrozenEstimator(model), method=method).fit(X[HELD], y[HELD])


@NEEDS_TEMPERATURE
def test_a_temperature_mends_an_overconfident_network_and_changes_no_label(fitted):
    network, y = fitted
    before = log_loss(y[TEST], network.predict_proba(X[TEST]))
    guessing = log_loss(y[TEST], np.tile(np.unique(y, return_counts=True)[1] / len(y), (450, 1)))
    model = _calibrated(network, y, "temperature")
    after = log_loss(y[TEST], model.predict_proba(X[TEST]))
    assert before > guessing > after  # worse than no model at all, and then better
    np.testing.assert_array_equal(model.predict(X[TEST]), network.predict(X[TEST]))


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_the_other_methods_lower_the_loss_too(fitted, method):
    network, y = fitted
    probabilities = _calibrated(network, y, method).predict_proba(X[TEST])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert log_loss(y[TEST], probabilities) < log_loss(y[TEST], network.predict_proba(X[TEST]))


@NEEDS_TEMPERATURE
def test_an_ensemble_is_calibrated_too(fitted):
    network, y = fitted
    ensemble = DeepEnsembleClassifier(network, 3, random_state=0).fit(X[TRAIN], y[TRAIN])
    model = _calibrated(ensemble, y, "temperature")
    losses = [log_loss(y[TEST], each.predict_proba(X[TEST])) for each in (ensemble, model)]
    assert losses[1] < losses[0]
    np.testing.assert_array_equal(model.predict(X[TEST]), ensemble.predict(X[TEST]))


@NEEDS_TEMPERATURE
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_folds_that_fit_the_network_anew():
    network = MLPClassifier((16,), learning_rate_init=0.02, random_state=0)
    model = CalibratedClassifierCV(network, method="temperature", cv=3)
    model.fit(X[TRAIN], LABELS["three"][TRAIN])
    assert len(model.calibrated_classifiers_) == 3
    assert model.score(X[TEST], LABELS["three"][TEST]) > 0.5
