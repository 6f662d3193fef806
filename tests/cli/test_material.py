"""Which rows and columns are trained on, and which are tested on."""

import json

import numpy as np
import pandas as pd
import pytest

from pellucid import load
from pellucid.cli.material import split_rows
from pellucid.tables import TableError

FEW = ("--epochs", 2, "--hidden", 4)


@pytest.fixture
def gaps(people):
    """The table of people without some of the targets: rows 2 and 5 (from 1) and the last one."""
    table = pd.read_csv(people)
    table.loc[[1, 4, 599], "rich"] = None
    table.to_csv(people, index=False)
    return people


def test_missing_targets_are_told_with_a_way_out(run, gaps):
    output = run("train", gaps, "--target", "rich", "--out", "m.pellucid", code=1).output
    assert (
        "people.csv: the target 'rich' is missing in 3 of 600 rows (the first is line 3" in output
    )
    assert "--drop-missing-target" in output
    run("train", gaps, "--target", "age", "--out", "m.pellucid", *FEW)


def test_lines_of_the_file_are_counted(run, tmp_path):
    rows = "".join(f"{i},{'x' if i % 2 else 'z'}\n" for i in range(30))
    (tmp_path / "t.csv").write_text(f"a,y\n{rows}\n31,\n32,x\n")
    output = run("train", "t.csv", "--target", "y", "--out", "m.pellucid", code=1).output
    assert "missing in 1 of 32 rows (the first is line 33" in output


def test_rows_without_a_target_can_be_dropped(run, gaps, tmp_path):
    call = ("train", gaps, "--target", "rich", "--out", "m.pellucid", *FEW)
    done = run(*call, "--drop-missing-target", "--json")
    facts = json.loads(done.stdout)
    assert facts["rows_without_target"] == 3
    assert facts["training_rows"] + facts["test_rows"] == 597
    assert "3 rows left out, as the target 'rich' is missing" in facts["remarks"][0]
    table = pd.read_csv(gaps).assign(rich=None)
    table.to_csv(tmp_path / "none.csv", index=False)
    done = run("train", "none.csv", *call[2:], "--drop-missing-target", code=1)
    assert "missing in every row" in done.output


def test_a_test_table_may_lack_targets_too(run, gaps, parts):
    other = parts.assign(kind=parts["kind"].where(parts.index % 40 > 0))
    other.to_csv("test.csv", index=False)
    call = ("train", "train.csv", "--target", "kind", "--out", "m.pellucid", *FEW)
    output = run(*call, "--test-table", "test.csv", code=1).output
    assert "test.csv: the target 'kind' is missing in 10 of 400 rows" in output
    output = run(*call, "--test-table", "test.csv", "--drop-missing-target").output
    assert "390 test rows" in output


def test_dropped_columns_are_not_needed_later(run, people):
    call = ("train", people, "--target", "rich", "--out", "m.pellucid", *FEW)
    run(*call, "--drop", "pay", "--drop", "job")
    model = load("m.pellucid")
    assert set(model.encoder_.encodings_) == {"age"}
    assert {"id", "pay", "job"} == set(model.training_facts_["columns_left_out"])
    pd.read_csv(people)[["age"]].to_csv("few.csv", index=False)
    run("predict", "m.pellucid", "few.csv")
    assert "Did you mean 'pay'?" in run(*call, "--drop", "Pay", code=1).output
    output = run(*call, "--drop", "pay", "--column", "pay=numeric", code=1).output
    assert "left out by --drop" in output
    run(*call, "--drop", "pay", "--column", "pay=left out")


@pytest.mark.parametrize(("test", "n"), [("500", 500), ("0.5", 300), ("0", 0), ("2", 2)])
def test_a_number_of_rows_or_a_share_is_held_out(run, people, test, n):
    done = run(
        *["train", people, "--target", "age", "--out", "m.pellucid", "--test", test], *FEW, "--json"
    )
    facts = json.loads(done.stdout)
    assert facts["test_rows"] == n
    assert facts["training_rows"] == 600 - n


@pytest.mark.parametrize("test", ["1", "0.95", "2.5", "-3"])
def test_other_numbers_of_rows_are_refused(run, people, test):
    call = ["train", people, "--target", "age", "--out", "m.pellucid", "--test", test]
    assert "whole number of rows" in " ".join(run(*call, code=2).output.split())


def test_too_many_test_rows():
    y = np.arange(10)
    with pytest.raises(TableError, match="10 rows: too few to hold out 9 for testing"):
        split_rows(y, 9, "regression", 0)
    train, test = split_rows(y, 8, "regression", 0)
    assert len(train) == 2
    assert sorted([*train, *test]) == y.tolist()


def test_every_class_of_the_test_rows_is_trained_on():
    y = np.array(["a"] * 50 + ["b"])
    for seed in range(20):
        train, test = split_rows(y, 0.5, "classification", seed)
        assert 50 in train or 50 not in test


def test_refit_trains_on_all_rows_after_the_test(run, people):
    call = ("train", people, "--target", "rich", "--out", "m.pellucid", *FEW)
    done = run(*call, "--refit")
    assert "120 test rows" in done.output
    assert "Training again on all 600 rows." in done.output
    facts = load("m.pellucid").training_facts_
    assert facts["rows"] == 600
    assert facts["refit"] is True
    assert facts["test"]["rows"] == 120
    for none in (("--test", "0"), ("--test-table", people)):
        assert "none are held out" in run(*call, "--refit", *none, code=2).output


def test_a_test_table_is_read_as_that_of_training(run, tmp_path):
    prices = np.random.default_rng(0).uniform(1000, 9000, 300).round()
    written = [f"{price:,.0f}".replace(",", ".") for price in prices]
    both = list(zip(written, prices, strict=True))
    cells = [f"{text},5;{price}" for text, price in both[:200]]
    (tmp_path / "train.csv").write_text("\n".join(["price;y", *cells]))
    cells = [f"{text};{price}" for text, price in both[200:]]
    (tmp_path / "test.csv").write_text("\n".join(["price;y", *cells]))
    options = ("--test-table", "test.csv", "--json", "--seed", 1, "--epochs", 60)
    done = run("train", "train.csv", "--target", "y", "--out", "m.pellucid", *options)
    assert json.loads(done.stdout)["metrics"]["R²"] > 0.9


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("people.csv", "--drop", "rich"), "'rich' is the target"),
        (("-", "--validation", "-"), "only one table"),
        (("-", "--test-table", "-"), "only one table"),
    ],
)
@pytest.mark.parametrize("command", ["train", "tune"])
def test_usage_that_cannot_be(run, people, command, options, told):
    call = (command, *options, "--target", "rich", "--out", "m.pellucid")
    assert told in " ".join(run(*call, code=2).output.replace("│", " ").split())
