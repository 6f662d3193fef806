"""Every kind of model is measured as its own `score` says."""

import numpy as np
import pytest
from estimator_kinds import ENSEMBLES, KINDS
from sklearn.metrics import accuracy_score, r2_score

from pellucid import Network, TabularRegressor
from pellucid.cli.measurement import measure, n_targets_of
from pellucid.nn import Linear

ALL = {**KINDS, **ENSEMBLES}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("name", ALL)
def test_every_kind_of_model(name):
    kind = ALL[name]
    model = kind.make().fit(kind.X, kind.y)
    n = 1 if kind.y.ndim == 1 else kind.y.shape[1]
    assert n_targets_of(model) == n
    names = [f"t{k}" for k in range(n)]
    reports = measure(model, kind.X, kind.y, names)
    assert [report.target for report in reports] == (names if n > 1 else [None])
    told = np.asarray(model.predict(kind.X)).reshape(len(kind.y), -1)
    for k, report in enumerate(reports):
        wanted = kind.y.reshape(len(kind.y), -1)[:, k]
        if kind.classifies:
            assert report["accuracy"].model == pytest.approx(accuracy_score(wanted, told[:, k]))
        else:
            assert report["R²"].model == pytest.approx(r2_score(wanted, told[:, k]), abs=1e-6)
    if n == 1:
        score = reports[0]["accuracy" if kind.classifies else "R²"].model
        assert score == pytest.approx(model.score(kind.X, kind.y), abs=1e-6)


def test_shares_of_classes():
    X = np.random.default_rng(0).normal(size=(80, 3))
    shares = np.exp(X) / np.exp(X).sum(axis=1, keepdims=True)
    model = Network([Linear(3)], "softmax_cross_entropy", max_iter=50, random_state=0)
    [report] = measure(model.fit(X, shares), X, shares, ["a", "b", "c"])
    assert n_targets_of(model) == 3
    assert report["accuracy"].model == model.score(X, shares)
    assert "largest share" in report.remarks[0]


def test_the_loss_decides_what_is_measured():
    X = np.random.default_rng(0).normal(size=(80, 3))
    y = np.abs(X[:, 0])
    few = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
    quantile = TabularRegressor(loss="quantile", quantile=0.9, **few).fit(X, y)
    [report] = measure(quantile, X, y)
    assert report["coverage at 0.9"].model == np.mean(y <= quantile.predict(X))
    poisson = TabularRegressor(loss="poisson", **few).fit(X, y)
    [report] = measure(poisson, X, y)
    assert "Poisson deviance" in [metric.name for metric in report.metrics]
