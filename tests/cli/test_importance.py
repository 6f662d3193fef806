"""Importance of the columns: measured after the test, kept in the model, shown."""

import json

import numpy as np
import pandas as pd
import pytest

from pellucid import load

BASE = ("train", "train.csv", "--target", "kind", "--out", "m.pellucid")
TRAIN = (*BASE, "--test-table", "test.csv")
FEW = ("--epochs", 5, "--hidden", 4)


def test_train_shows_and_keeps_it_and_describe_repeats_it(run, parts):
    output = run(*TRAIN, *FEW).output
    assert "log loss rises by" in output
    facts = load("m.pellucid").training_facts_["importance"]
    assert (facts["rows"], facts["of"], facts["repeats"]) == (80, "test", 5)
    # The size is the number a and whether b is y, so both tell of the kind.
    assert set(facts["columns"]) == {"a", "b", "size"}
    [found] = [
        each
        for each in load("m.pellucid").column_importance(parts[320:], parts["kind"][320:])
        if each.column == "a"
    ]
    assert facts["columns"]["a"]["log loss"] == pytest.approx(found.rises["log loss"]._asdict())
    described = run("describe", "m.pellucid").output
    table = output[output.index("Importance") : output.index("Saved")]
    assert table.strip() in described
    shown = json.loads(run("describe", "m.pellucid", "--json").stdout)
    assert shown["training_facts"]["importance"] == facts


def test_it_can_be_left_out_and_needs_rows(run, parts):
    for more in (("--no-importance",), ("--test", 0), ("--test", 5)):
        call = BASE if "--test" in more else TRAIN
        done = run(*call, *more, *FEW)
        assert "rises by" not in done.output
        assert load("m.pellucid").training_facts_["importance"] is None
    assert "rises by" not in run("describe", "m.pellucid").output
    facts = json.loads(run(*BASE, "--test", 0, "--validation", "val.csv", *FEW, "--json").stdout)
    assert facts["importance"]["of"] == "validation"
    assert facts["importance"]["rows"] == 80


def test_a_refit_keeps_what_was_measured_before(run, parts):
    call = ("train", "train.csv", "--target", "size", "--out", "m.pellucid", *FEW, "--refit")
    facts = json.loads(run(*call, "--json").stdout)
    assert load("m.pellucid").training_facts_["importance"] == facts["importance"]
    assert list(facts["importance"]["columns"]["a"]) == ["RMSE", "R²"]


def test_many_columns_are_shortened(run, tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(120, 45))).add_prefix("x")
    table.assign(y=table["x3"] > 0).to_csv("t.csv", index=False)
    done = run("train", "t.csv", "--target", "y", "--out", "m.pellucid", *FEW)
    assert "and 35 more columns; pellucid describe m.pellucid shows them." in done.output
    assert "and 5 more columns; --all shows them." in run("describe", "m.pellucid").output
    output = run("describe", "m.pellucid", "--all").output
    assert "more columns" not in output
    assert output.count("│ x44 ") == 2


def test_labels_that_are_spelled_otherwise_count(run, parts):
    parts[320:].assign(kind=parts["kind"].str.upper() + ".").to_csv("test.csv", index=False)
    facts = json.loads(run(*TRAIN, *FEW, "--json").stdout)
    assert facts["importance"]["rows"] == 80


def test_a_damaged_importance_is_an_error(run, parts):
    run(*TRAIN, *FEW)
    model = load("m.pellucid")
    for damaged in ({"columns": 3}, {"columns": {"a": {"log loss": 3}}}, [], {"columns": {}}):
        model.training_facts_["importance"] = damaged
        model.save("d.pellucid")
        assert "damaged" in run("describe", "d.pellucid", code=1).output
