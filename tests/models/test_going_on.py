"""Calls that go on from an earlier one: what they compare with, and what they refuse."""

import numpy as np
import pytest

import pellucid.engine.native_predictor as native_predictor
from pellucid import (
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
    MLPClassifier,
    MLPRegressor,
    Network,
    TableError,
    TabularClassifier,
    TabularRegressor,
    nn,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4))
NUMBERS = 3.0 * X[:, 0] + 1.0
LABELS = (NUMBERS > 1.0).astype(int)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_a_perfect_score_on_other_rows_does_not_end_training():
    settings = {"scoring": "accuracy", "warm_start": True, "random_state": 0}
    model = TabularClassifier((16,), max_iter=1, **settings).fit(X, LABELS)
    right = np.flatnonzero(model.predict(X) == LABELS)[:3]
    model.fit(X, LABELS, X_val=X[right], y_val=LABELS[right])
    assert model.best_validation_score_ == 1.0
    before = model.score(X, LABELS)
    assert before < 0.9
    assert model.set_params(max_iter=100).fit(X, LABELS).score(X, LABELS) > 0.95


def test_a_score_of_another_loss_does_not_end_training():
    model = MLPRegressor((), learning_rate_init=0.05, max_iter=30, warm_start=True, random_state=0)
    model.set_params(loss="squared_error", hidden_layer_sizes=(16,), early_stopping=True)
    weights = model.fit(X, NUMBERS).parameters_.flat.copy()
    model.set_params(loss="absolute_error").fit(X, NUMBERS)
    assert np.abs(model.parameters_.flat - weights).max() > 0.0
    assert model.best_validation_score_ <= 0.0  # minus the loss, and no R²


@pytest.mark.parametrize("changed", [{"columns": {"x0": "left out"}}, {"dtype": "float64"}])
def test_a_tabular_warm_start_refuses_another_encoding(changed):
    model = TabularRegressor((4,), max_iter=2, random_state=0, warm_start=True).fit(X, NUMBERS)
    weights = model.parameters_.flat.copy()
    with pytest.raises(ValueError, match=f"{next(iter(changed))} must stay"):
        model.set_params(**changed).fit(X, NUMBERS)
    np.testing.assert_array_equal(model.parameters_.flat, weights)


def test_a_network_that_becomes_a_regressor_has_no_classes():
    network = Network([nn.Linear(2)], "softmax_cross_entropy", max_iter=2).fit(X, LABELS)
    network.set_params(layers=[nn.Linear(1)], loss="squared_error").fit(X, NUMBERS)
    assert not hasattr(network, "classes_")


@pytest.mark.parametrize("tol", [1.0, 1e6])
def test_members_that_converge_at_once_are_members(tol):
    member = MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs", tol=tol)
    ensemble = DeepEnsembleRegressor(member, 6, random_state=0).fit(X[:50], NUMBERS[:50])
    assert len(ensemble.estimators_) == 6


def test_scorers_of_members_predict_on_their_share_of_threads(monkeypatch):
    made, init = [], native_predictor.NativePredictor.__init__

    def remember(self, chain, parameters, fan_in, n_threads=None):
        made.append(n_threads)
        init(self, chain, parameters, fan_in, n_threads)

    monkeypatch.setattr(native_predictor.NativePredictor, "__init__", remember)
    member = MLPClassifier((4,), max_iter=2, early_stopping=True, scoring="roc_auc")
    DeepEnsembleClassifier(member, 2, random_state=0, n_threads=2).fit(X, LABELS)
    assert set(made) <= {1, 2}


def test_a_missing_label_is_an_error_of_the_table():
    labels = np.array(["a", None], dtype=object)[LABELS]
    with pytest.raises(TableError, match=r"The target is missing in .*y\["):
        TabularClassifier().fit(X, labels)
