"""What a model file tells of its training."""

import datetime
import hashlib
import json

import pandas as pd
import pytest

import pellucid
from pellucid import load

FEW = ("--epochs", 2, "--hidden", 4)


def test_facts_of_a_training(run, people):
    run("train", people, "--target", "rich", "--out", "m.pellucid", "--seed", 3, *FEW)
    facts = load("m.pellucid").training_facts_
    assert facts["version"] == pellucid.__version__
    date = datetime.datetime.fromisoformat(facts["date"])
    assert abs(datetime.datetime.now(datetime.UTC) - date) < datetime.timedelta(hours=1)
    assert facts["file"] == "people.csv"
    assert facts["sha256"] == hashlib.sha256(people.read_bytes()).hexdigest()
    assert (facts["rows"], facts["seed"], facts["refit"]) == (480, 3, False)
    assert facts["columns_left_out"] == ["id"]
    assert facts["test"]["rows"] == 120
    assert 0 < facts["test"]["metrics"]["accuracy"] <= 1
    json.dumps(facts, allow_nan=False)


def test_evaluate_says_when_rows_were_trained_on(run, parts):
    run("train", "train.csv", "--target", "kind", "--out", "m.pellucid", "--test", 0, *FEW)
    done = run("evaluate", "m.pellucid", "train.csv")
    assert "train.csv, which is the file of the training, has rows" in done.stderr
    assert "(about 100%)" in done.stderr
    assert "trained on" not in run("evaluate", "m.pellucid", "test.csv").stderr
    pd.concat([parts[:60], parts[340:]]).to_csv("half.csv", index=False)
    done = run("evaluate", "m.pellucid", "half.csv", "--json")
    facts = json.loads(done.stdout)
    # Of the 60 other rows, 40 % match by chance: 5 standard errors.
    assert facts["share_trained_on"] == pytest.approx(0.5, abs=0.26)
    assert "half.csv has rows that the model was trained on (about " in facts["remarks"][0]


def test_row_hashes_can_be_left_out(run, parts):
    call = ("train", "train.csv", "--target", "kind", "--out", "m.pellucid", "--no-row-hashes")
    for more in ((), ("--refit",)):
        run(*call, *more, *FEW)
        assert load("m.pellucid").training_facts_["training_rows"] is None
        done = run("evaluate", "m.pellucid", "train.csv", "--json")
        assert "share_trained_on" not in json.loads(done.stdout)


def test_a_test_table_with_training_rows_is_told(run, parts):
    call = ("train", "train.csv", "--target", "kind", "--out", "m.pellucid", *FEW)
    assert "was trained on" in run(*call, "--test-table", "train.csv").stderr
    assert "was trained on" not in run(*call, "--test-table", "test.csv").stderr


def test_undefined_metrics_can_be_saved(run, tmp_path):
    """Of a single test row R² is undefined, and a fold may lack a class."""
    rows = "".join(f"{i / 7},{i % 5 == 0}\n" for i in range(60))
    (tmp_path / "t.csv").write_text("a,y\n" + rows)
    (tmp_path / "one.csv").write_text("a,y\n0.5,True\n")
    call = ("train", "t.csv", "--target", "y", "--test-table", "one.csv", "--folds", 15)
    run(*call, "--out", "m.pellucid", *FEW)
    facts = load("m.pellucid").training_facts_
    assert facts["test"]["rows"] == 1
    json.dumps(facts, allow_nan=False)
