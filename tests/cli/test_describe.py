"""`pellucid describe` of every kind of model."""

import numpy as np
import pandas as pd
import pytest

from pellucid import (
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
    MLPClassifier,
    MLPRegressor,
    Network,
    TabularClassifier,
)
from pellucid.nn import Linear

X = np.random.default_rng(0).normal(size=(120, 3))

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_perceptrons(run):
    mlp = MLPRegressor("poisson", (8, 8), ["relu", "tanh"], normalization="rms", max_iter=20)
    mlp.fit(X, np.abs(X[:, 0])).save("mlp.pellucid")
    output = run("describe", "mlp.pellucid").output
    for word in ["Predicts a number.", "RMSNorm()", "gamma 8", "Activation('tanh')"]:
        assert word in output
    assert "loss: poisson" in output
    assert "normalization='rms'" in " ".join(output.split())
    MLPClassifier((4,), solver="lbfgs").fit(X, X[:, 0] > 0).save("lbfgs.pellucid")
    assert "No training history is available." in run("describe", "lbfgs.pellucid").output


def test_networks(run):
    Network([Linear(2)], "squared_error", max_iter=3).fit(X, X[:, :2]).save("n.pellucid")
    output = run("describe", "n.pellucid").output
    for word in ["Network", "2 numbers", "Linear(2)", "W 3 × 2, b 2", "total", "Training: 3 ep"]:
        assert word in output
    network = Network([Linear(2)], "squared_error", max_iter=3)
    network.fit(X, X[:, :2], rows_val=np.arange(20)).save("n.pellucid")
    output = run("describe", "n.pellucid").output
    assert "validation score" in output
    assert "(kept)" in output


def test_ensembles(run):
    member = MLPRegressor(hidden_layer_sizes=(4,), max_iter=3)
    DeepEnsembleRegressor(member, 2, random_state=0).fit(X, X[:, 0]).save("m.pellucid")
    output = run("describe", "m.pellucid").output
    for word in ["DeepEnsembleRegressor", "Predicts a number.", "Members: 2", "Linear(4)"]:
        assert word in output
    assert "Training: 2 members" in output
    assert "validation score" not in output
    table = pd.DataFrame(X, columns=list("abc")).assign(kind=["x", "y"] * 60)
    DeepEnsembleClassifier(TabularClassifier((4,), max_iter=3), 2, random_state=0).fit(
        table, table["kind"]
    ).save("m.pellucid")
    output = run("describe", "m.pellucid").output
    for word in ["one of 2 classes", "categorical", "inputs", "validation score"]:
        assert word in output
