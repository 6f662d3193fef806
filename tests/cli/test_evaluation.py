"""`pellucid evaluate`."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from pellucid import (
    DeepEnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    Network,
    TabularClassifier,
    TabularRegressor,
    save,
)
from pellucid.nn import Linear

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_labels_that_the_model_does_not_know(run, people, tmp_path):
    run("train", people, "--target", "rich", "--out", "m.pellucid", "--epochs", "2")
    table = pd.read_csv(people).assign(rich="perhaps")
    table.to_csv(tmp_path / "new.csv", index=False)
    done = run("evaluate", "m.pellucid", "new.csv", code=1)
    assert "does not know: 'perhaps'. It knows: 'no', 'yes'" in done.output


def test_a_missing_true_value_is_named_by_its_line(run, people, tmp_path):
    run("train", people, "--target", "rich", "--out", "m.pellucid", "--epochs", "2")
    table = pd.read_csv(people)
    table.loc[5, "rich"] = None
    (tmp_path / "new.csv").write_text("# exported\n" + table.to_csv(index=False))
    done = run("evaluate", "m.pellucid", "new.csv", code=1)
    assert "missing in 1 of 600 rows (the first is line 8)" in done.output
    assert "--drop-missing-target" in done.output
    done = run("evaluate", "m.pellucid", "new.csv", "--drop-missing-target", "--json")
    facts = json.loads(done.stdout)
    assert (facts["rows"], facts["rows_without_target"]) == (599, 1)
    assert "1 row left out, as the target 'rich' is missing" in done.stderr


def test_a_plain_network_takes_tables_of_numbers(run, tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(100, 3)), columns=["a", "b", "c"])
    label = (table["a"] > 0).astype(int)
    save(MLPClassifier((4,), solver="lbfgs", random_state=0).fit(table, label), "m.pellucid")
    table.assign(label=label).to_csv(tmp_path / "t.csv", index=False)
    assert "give it with --target" in run("evaluate", "m.pellucid", "t.csv", code=1).output
    assert "accuracy" in run("evaluate", "m.pellucid", "t.csv", "--target", "label").output
    assert "No training history" in run("describe", "m.pellucid").output
    table.assign(b="x").to_csv(tmp_path / "t.csv", index=False)
    assert "takes numbers only" in run("predict", "m.pellucid", "t.csv", code=1).output


def test_an_ensemble_of_raw_tables_is_evaluated_and_predicts(run, people):
    table = pd.read_csv(people)
    X, y = table[["age", "job"]], table["rich"]
    member = TabularClassifier((8,), max_iter=20, learning_rate_init=0.01)
    DeepEnsembleClassifier(member, 2, random_state=0).fit(X, y).save("m.pellucid")
    output = run("evaluate", "m.pellucid", people, "--target", "rich").output
    assert float(re.search(r"│ accuracy +│ +([\d.]+) %", output).group(1)) > 80
    assert run("predict", "m.pellucid", people, "--probabilities").stdout.count("\n") == 601


@pytest.mark.parametrize("loss", ["squared_error", "huber", "poisson"])
def test_the_baseline_is_the_mean_of_the_training_rows(run, people, loss):
    table = pd.read_csv(people)
    X, y = table[["age", "job"]], table["pay"]
    TabularRegressor((4,), loss=loss, max_iter=1, random_state=0).fit(X, y).save("m.pellucid")
    few = table[table["age"] > 60]
    few.to_csv("few.csv", index=False)
    output = run("evaluate", "m.pellucid", "few.csv", "--target", "pay").output
    shown = re.search(r"│ RMSE +│ +[\d.,]+ │[\d., to]+│ +([\d.,]+) │", output).group(1)
    expected = np.sqrt(np.mean((few["pay"] - y.mean()) ** 2))
    assert float(shown.replace(",", "")) == pytest.approx(expected, rel=1e-3)


def test_several_targets_have_a_table_each(run):
    X = np.random.default_rng(0).normal(size=(60, 3))
    table = pd.DataFrame(X, columns=list("abc"))
    MLPRegressor(hidden_layer_sizes=(4,), max_iter=2).fit(table, X[:, :2]).save("m.pellucid")
    table.assign(y=1.0, z=table["b"]).to_csv("t.csv", index=False)
    call = ("evaluate", "m.pellucid", "t.csv", "--target", "y")
    output = run(*call, code=1).output
    assert "predicts 2 targets, but 1 was given: 'y'. Repeat --target" in output
    output = run(*call, "--target", "z").output
    assert "t.csv: 60 rows, target 'y'" in output
    assert "t.csv: 60 rows, target 'z'" in output
    facts = json.loads(run(*call, "--target", "z", "--json").stdout)
    assert facts["target"] == ["y", "z"]
    assert set(facts["targets"]) == {"y", "z"}
    assert set(facts["targets"]["z"]["metrics"]) == {"RMSE", "MAE", "R²"}


def test_several_labels_have_a_table_each(run):
    X = np.random.default_rng(0).normal(size=(60, 3))
    table = pd.DataFrame(X, columns=list("abc"))
    MLPClassifier((4,), max_iter=2).fit(table, (X[:, :2] > 0).astype(int)).save("m.pellucid")
    table.assign(y=1, z=table["b"] > 0).to_csv("t.csv", index=False)
    call = ("evaluate", "m.pellucid", "t.csv")
    assert "all 2 with --target" in run(*call, code=1).output
    facts = json.loads(run(*call, "--target", "y", "--target", "z", "--json").stdout)
    assert np.sum(facts["targets"]["z"]["confusion_matrix"]) == 60
    assert "ROC AUC" not in facts["targets"]["y"]["metrics"], "all its labels are 1"


@pytest.fixture
def labels_model(run):
    X = np.random.default_rng(0).normal(size=(60, 3))
    table = pd.DataFrame(X, columns=list("abc"))
    MLPClassifier((4,), max_iter=2).fit(table, (X[:, :2] > 0).astype(int)).save("m.pellucid")
    return table


@pytest.mark.parametrize("wrong", [0.3, 2])
def test_several_labels_are_zero_or_one(run, labels_model, wrong):
    z = labels_model["b"].gt(0).astype(int).astype(object)
    z[7] = wrong
    labels_model.assign(y=1, z=z).to_csv("t.csv", index=False)
    done = run("evaluate", "m.pellucid", "t.csv", "--target", "y", "--target", "z", code=1)
    assert "'z' has " in done.output
    assert "must be 0 or 1" in done.output


@pytest.mark.parametrize("words", ["01", ["no", "yes"], ["False", "True"], ["0.0", "1.0"]])
def test_words_for_labels(run, labels_model, words):
    set_ = labels_model["b"].gt(0).map({False: words[0], True: words[1]})
    labels_model.assign(y=set_, z=set_).to_csv("t.csv", index=False)
    known = words != ["no", "yes"]
    call = ("evaluate", "m.pellucid", "t.csv", "--target", "y", "--target", "z")
    assert ("accuracy" in run(*call, code=0 if known else 1).output) == known


def test_a_target_is_named_once(run, labels_model):
    labels_model.assign(y=1).to_csv("t.csv", index=False)
    call = ("evaluate", "m.pellucid", "t.csv", "--target", "y", "--target", "y")
    assert "names 'y' twice" in run(*call, code=1).output


def test_a_regression_network_is_evaluated(run):
    X = np.random.default_rng(0).normal(size=(60, 3))
    Network([Linear(1)], "squared_error", max_iter=3).fit(X, X[:, 0]).save("m.pellucid")
    pd.DataFrame(X, columns=list("abc")).assign(y=X[:, 0]).to_csv("t.csv", index=False)
    output = run("evaluate", "m.pellucid", "t.csv", "--target", "y").output
    assert "RMSE" in output
    assert "bootstrap of the rows, 1,000 resamples" in output


def test_json_has_every_number(run, people):
    run("train", people, "--target", "rich", "--out", "m.pellucid", "--epochs", "2")
    facts = json.loads(run("evaluate", "m.pellucid", people, "--json").stdout)
    assert facts["rows"] == 600
    assert set(facts["metrics"]) == set(facts["baseline"]["metrics"])
    low, high = facts["intervals"]["accuracy"]
    assert low <= facts["metrics"]["accuracy"] <= high
    assert [one["class"] for one in facts["classes"]] == ["no", "yes"]
    assert np.sum(facts["confusion_matrix"]) == 600


def test_a_model_below_its_baseline_is_told(run, people):
    table = pd.read_csv(people)
    run("train", people, "--target", "rich", "--out", "m.pellucid", "--epochs", "3")
    swapped = table.assign(rich=table["rich"].map({"yes": "no", "no": "yes"}))
    swapped.to_csv("swapped.csv", index=False)
    done = run("evaluate", "m.pellucid", "swapped.csv")
    assert "worse than its baseline (most frequent class) in log loss." in done.stderr
    assert "worse than its baseline" not in run("evaluate", "m.pellucid", people).stderr


def test_the_baseline_of_a_quantile_is_that_of_the_training_rows(run, people):
    call = ("train", people, "--target", "pay", "--out", "m.pellucid", "--set", "loss=quantile")
    done = run(*call, "--set", "quantile=0.9", "--test", 0, "--epochs", 30)
    table = pd.read_csv(people)
    few = table[table["age"] > 40]
    few.to_csv("few.csv", index=False)
    done = run("evaluate", "m.pellucid", "few.csv", "--json")
    baseline = json.loads(done.stdout)["baseline"]
    assert baseline["always"] == "quantile 0.9"
    level = np.quantile(table["pay"], 0.9)
    assert baseline["metrics"]["coverage at 0.9"] == np.mean(few["pay"] <= level)
    assert "worse than" not in done.stderr


def test_text_is_no_truth_of_a_model_of_numbers(run, people):
    run("train", people, "--target", "pay", "--out", "m.pellucid", "--epochs", "2")
    pd.read_csv(people).assign(job="clerk").to_csv("new.csv", index=False)
    done = run("evaluate", "m.pellucid", "new.csv", "--target", "job", code=1)
    assert "'job' is text" in done.output
    assert "--task" not in done.output


def test_drift_is_told_once(run, people):
    run("train", people, "--target", "rich", "--out", "m.pellucid", "--epochs", "3")
    pd.read_csv(people).assign(job="diver").to_csv("other.csv", index=False)
    done = run("evaluate", "m.pellucid", "other.csv")
    assert done.stderr.count("unseen categories") == 1
    assert json.loads(run("evaluate", "m.pellucid", "other.csv", "--json").stdout)["drift"]
