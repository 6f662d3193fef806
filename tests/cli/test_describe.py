"""`pellucid describe` of every kind of model."""

import json

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
    assert "validation loss" in output
    assert "(kept)" in output


def test_ensembles(run):
    member = MLPRegressor(hidden_layer_sizes=(4,), max_iter=3)
    DeepEnsembleRegressor(member, 2, random_state=0).fit(X, X[:, 0]).save("m.pellucid")
    output = run("describe", "m.pellucid").output
    for word in ["DeepEnsembleRegressor", "Predicts a number.", "Members: 2", "Linear(4)"]:
        assert word in output
    assert "Training: 2 members" in output
    assert "validation" not in output
    table = pd.DataFrame(X, columns=list("abc")).assign(kind=["x", "y"] * 60)
    DeepEnsembleClassifier(TabularClassifier((4,), max_iter=3), 2, random_state=0).fit(
        table, table["kind"]
    ).save("m.pellucid")
    output = run("describe", "m.pellucid").output
    for word in ["one of 2 classes", "categorical", "inputs", "validation loss"]:
        assert word in output


FACTS = {
    "version": "0.9.0", "date": "2026-03-01T12:30:00+00:00", "file": "people.csv",
    "sha256": "0123456789abcdef" * 4, "rows": 1234, "seed": 3, "refit": True,
    "test": {"rows": 300, "metrics": {"accuracy": 0.91234, "ROC AUC": None}},
    "folds": {"folds": 5, "metrics": {"accuracy": {"mean": 0.9, "deviation": 0.01}}},
    "training_rows": {"hashes": "AAAA"},
}  # fmt: skip


def test_what_is_known_of_the_training(run):
    model = MLPClassifier((4,), solver="lbfgs").fit(X, X[:, 0] > 0)
    model.save("m.pellucid")
    assert "Trained" not in run("describe", "m.pellucid").output
    model.training_facts_ = FACTS
    model.save("m.pellucid")
    output = run("describe", "m.pellucid").output
    for line in (
        "Trained on 1,234 rows of people.csv (SHA-256 0123456789ab…) on 2026-03-01 12:30:00 UTC "
        "with seed 3 by Pellucid 0.9.0.",
        "Test on 300 rows, before training on all rows: accuracy 0.9123.",
        "Cross-validation with 5 folds: accuracy 0.9.",
    ):
        assert line + "\n" in output
    told = json.loads(run("describe", "m.pellucid", "--json").stdout)["training_facts"]
    assert told == {name: fact for name, fact in FACTS.items() if name != "training_rows"}


@pytest.mark.parametrize("facts", [{"rows": "many"}, {"test": 3}, {"folds": {"metrics": []}}])
def test_facts_that_say_nothing_are_an_error(run, facts):
    model = MLPClassifier((4,), solver="lbfgs").fit(X, X[:, 0] > 0)
    model.training_facts_ = facts
    model.save("m.pellucid")
    done = run("describe", "m.pellucid", code=1)
    assert "m.pellucid is damaged: it tells nothing of its training" in done.output


def test_long_tables_of_columns_are_shortened(run):
    wide = np.random.default_rng(0).normal(size=(60, 100))
    table = pd.DataFrame(wide, columns=[f"column{i}" for i in range(100)])
    TabularClassifier((2,), max_iter=1).fit(table, wide[:, 0] > 0).save("m.pellucid")
    output = run("describe", "m.pellucid").output
    assert "column39" in output
    assert "column40" not in output
    assert "and 60 more columns; --all shows them" in output
    assert "column99" in run("describe", "m.pellucid", "--all").output
    assert len(json.loads(run("describe", "m.pellucid", "--json").stdout)["columns"]) == 100


def test_an_error_that_stopped_training_is_shown_by_its_name(run):
    model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=3, early_stopping=True, scoring="mae")
    model.fit(X, 1000 * X[:, 0]).save("m.pellucid")
    output = run("describe", "m.pellucid").output
    assert "validation MAE" in output
    assert f"{-model.validation_scores_[0]:.4f}" in output


def test_one_epoch_is_singular(run):
    MLPRegressor(hidden_layer_sizes=(4,), max_iter=1).fit(X, X[:, 0]).save("m.pellucid")
    assert "Training: 1 epoch " in run("describe", "m.pellucid").output
