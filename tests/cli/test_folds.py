"""Cross-validation on the command line."""

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from pellucid import TabularClassifier, load
from pellucid.cli.data import Examples
from pellucid.cli.folds import cross_validated, make_folds
from pellucid.tables import TableError, as_table

FEW = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}


def test_folds_cover_the_rows_and_keep_the_shares_of_classes():
    y = np.repeat(["a", "b"], [60, 30])
    folds = make_folds(y, 3, labels=True, seed=0)
    assert str(folds) == "3 folds of 30 rows, stratified by class, seed 0"
    assert sorted(np.concatenate([test for _, test in folds.splits])) == list(range(90))
    assert all((y[test] == "b").sum() == 10 for _, test in folds.splits)
    y[:] = "a"
    y[0] = "b"
    assert "drawn at random" in str(make_folds(y, 4, labels=True, seed=0))
    assert str(make_folds(np.arange(10.0), 3, labels=False, seed=1)).startswith(
        "3 folds of 3 or 4 rows, drawn at random"
    )
    with pytest.raises(TableError, match="too few for 3 folds"):
        make_folds(y[:5], 3, labels=True, seed=0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scores_are_those_of_separate_fits(parts):
    examples = Examples(as_table(parts[["a", "b"]]), parts["kind"].to_numpy())
    folds = make_folds(examples.y, 4, labels=True, seed=0)
    scores = {s.name: s for s in cross_validated(TabularClassifier, FEW, examples, ["kind"], folds)}
    expected = []
    for train, test in folds.splits:
        model = TabularClassifier(**FEW).fit(examples.X.take(train), examples.y[train])
        expected.append(accuracy_score(examples.y[test], model.predict(examples.X.take(test))))
    assert scores["accuracy"].mean == pytest.approx(np.mean(expected))
    assert scores["accuracy"].deviation == pytest.approx(np.std(expected, ddof=1))


@pytest.mark.parametrize("target", ["kind", "size"])
def test_train_shows_them_and_keeps_them(run, parts, target):
    call = ("train", "train.csv", "--target", target, "--out", "m.pellucid", "--epochs", 2)
    output = run(*call, "--folds", 5, "--test", 0).output
    assert "Cross-validation: 5 folds of 48 rows" in output
    assert "deviation" in output
    assert "Saved m.pellucid" in output
    facts = load("m.pellucid").training_facts_
    assert facts["folds"]["folds"] == 5
    known = json.loads(run(*call, "--folds", 5, "--json").stdout)
    assert set(known["cross_validation"]["metrics"]) >= {"log loss" if target == "kind" else "RMSE"}
