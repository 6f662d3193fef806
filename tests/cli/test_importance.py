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
    assert "and 35 more columns; pellucid describe m.pellucid --all shows them." in done.output
    assert "and 5 more columns; --all shows them." in run("describe", "m.pellucid").output
    output = run("describe", "m.pellucid", "--all").output
    assert "more columns" not in output
    assert output.count("│ x44 ") == 2


def test_a_file_keeps_the_most_important_columns(run, tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(60, 103))).add_prefix("x")
    table.assign(y=table["x3"] * 2).to_csv("t.csv", index=False)
    call = ("train", "t.csv", "--target", "y", "--out", "m.pellucid", *FEW)
    done = run(*call)
    way = "pellucid describe m.pellucid --all shows the first 100."
    assert f"and 93 more columns; {way}" in done.output
    facts = json.loads(run(*call, "--force", "--json").stdout)["importance"]
    assert len(facts["columns"]) == facts["n_columns"] == 103
    kept = load("m.pellucid").training_facts_["importance"]
    assert list(kept["columns"].items()) == list(facts["columns"].items())[:100]
    assert "and 63 more columns; --all shows the first 100." in run("describe", "m.pellucid").output
    assert "and 3 more columns." in run("describe", "m.pellucid", "--all").output


def test_a_model_that_cannot_be_saved_is_not_trained(run, parts, monkeypatch):
    monkeypatch.setattr("pellucid.cli.training.MANY_COLUMNS", 1)
    monkeypatch.setattr("pellucid.persistence.file.MOST_HEADER_MEMORY", 1_000)
    output = run(*TRAIN, *FEW, code=1).output
    assert "m.pellucid is not written" in output
    assert "fewer categories, labels or columns" in output
    assert "epoch" not in output


def test_importance_stays_within_seconds(run, parts, monkeypatch):
    facts = json.loads(run(*TRAIN, *FEW, "--json").stdout)
    assert facts["importance"]["repeats"] == 5
    n_products = 80 * 3 * load("m.pellucid").parameters_.flat.size
    name = "pellucid.models.tabular.importance._MOST_PRODUCTS_OF_ALL"
    monkeypatch.setattr(name, 2 * n_products)
    assert "of 2 times." in run(*TRAIN, *FEW, "--force").output
    monkeypatch.setattr(name, n_products - 1)
    done = run(*TRAIN, *FEW, "--force")
    assert "importance of the columns is not measured" in done.output
    assert load("m.pellucid").training_facts_["importance"] is None


def test_labels_that_are_spelled_otherwise_count(run, parts):
    plain = json.loads(run(*TRAIN, *FEW, "--json").stdout)["importance"]
    parts[320:].assign(kind=parts["kind"].str.upper()).to_csv("test.csv", index=False)
    facts = json.loads(run(*TRAIN, *FEW, "--force", "--json").stdout)
    assert facts["importance"] == plain


def test_a_damaged_importance_is_an_error(run, parts):
    run(*TRAIN, *FEW)
    model = load("m.pellucid")
    more = model.training_facts_["importance"] | {"n_columns": "many"}
    for damaged in ({"columns": 3}, {"columns": {"a": {"log loss": 3}}}, [], {"columns": {}}, more):
        model.training_facts_["importance"] = damaged
        model.save("d.pellucid")
        assert "damaged" in run("describe", "d.pellucid", code=1).output
