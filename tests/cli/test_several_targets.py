"""Several numbers predicted by one model, through every command."""

import json
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import root_mean_squared_error

from pellucid import load

N = 200
TARGETS = ("--target", "sum", "--target", "product")


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.uniform(1, 2, (N, 2)).round(3), columns=["a", "b"])
    table["sum"], table["product"] = 1000 * (table["a"] + table["b"]), table["a"] * table["b"]
    table["Big"] = np.where(table["sum"] > 3000, "yes", "no")
    table.to_csv(tmp_path / "table.csv", index=False)
    return table


@pytest.fixture
def trained(run, table, tmp_path):
    """What training said, and the model."""
    done = run(
        *("train", "table.csv", *TARGETS, "--drop", "Big", "--out", "m.pellucid"),
        *("--epochs", 40, "--folds", 3, "--json"),
    )
    return json.loads(done.stdout), load(tmp_path / "m.pellucid")


def test_each_target_is_predicted_in_its_own_units(run, table, trained):
    _, model = trained
    assert model.target_names_ == ("sum", "product")
    predictions = model.predict(table)
    wanted = table[["sum", "product"]].to_numpy()
    assert (np.abs(predictions - wanted).mean(axis=0) < 0.1 * wanted.std(axis=0)).all()
    written = pd.read_csv(StringIO(run("predict", "m.pellucid", "table.csv").stdout))
    assert list(written) == ["predicted_sum", "predicted_product"]
    np.testing.assert_allclose(written, predictions, rtol=1e-6)


def test_metrics_are_those_of_each_target(run, table, trained):
    said, model = trained
    facts = json.loads(run("evaluate", "m.pellucid", "table.csv", "--json").stdout)
    for k, name in enumerate(("sum", "product")):
        rmse = root_mean_squared_error(table[name], model.predict(table)[:, k])
        assert facts["targets"][name]["metrics"]["RMSE"] == pytest.approx(rmse)
        tested = said["targets"][name]["metrics"]["RMSE"]
        assert model.training_facts_["test"]["metrics"][f"RMSE of {name}"] == tested
        assert f"RMSE of {name}" in said["cross_validation"]["metrics"]
    assert "RMSE of product" in run("describe", "m.pellucid").stdout


def test_targets_are_evaluated_by_name(run, table, trained, tmp_path):
    plain = json.loads(run("evaluate", "m.pellucid", "table.csv", "--json").stdout)
    swapped = ("--target", "product", "--target", "sum")
    facts = json.loads(run("evaluate", "m.pellucid", "table.csv", *swapped, "--json").stdout)
    assert facts["targets"] == plain["targets"]
    table.assign(s=table["sum"], p=table["product"]).to_csv("others.csv", index=False)
    others = ("--target", "s", "--target", "p")
    facts = json.loads(run("evaluate", "m.pellucid", "others.csv", *others, "--json").stdout)
    assert facts["targets"]["s"]["metrics"] == plain["targets"]["sum"]["metrics"]
    for mixed in (("--target", "product", "--target", "s"), ("--target", "s", "--target", "sum")):
        error = run("evaluate", "m.pellucid", "others.csv", *mixed, code=1).stderr
        assert "the targets of the model are 'sum', 'product'. Name all of them" in error


def test_errors_in_different_units_are_not_averaged(run, table):
    command = ("train", "table.csv", *TARGETS, "--drop", "Big", "--out", "m.pellucid")
    error = run(*command, "--epochs", 1, "--set", "scoring=rmse", code=1).stderr
    assert "--set scoring=rmse would average errors of 2 targets" in error
    assert "Use --set scoring=r2" in error


def test_quantiles_have_a_baseline_each(run, table, trained, tmp_path):
    run(
        *("train", "table.csv", *TARGETS, "--drop", "Big", "--out", "q.pellucid", "--force"),
        *("--epochs", 3, "--set", "loss=quantile", "--test", 0),
    )
    quantiles = load(tmp_path / "q.pellucid").training_facts_["target_quantile"]
    assert quantiles == table[["sum", "product"]].median().tolist()
    facts = json.loads(run("evaluate", "q.pellucid", "table.csv", "--json").stdout)
    for name in ("sum", "product"):
        mae = np.abs(table[name] - table[name].median()).mean()
        assert facts["targets"][name]["baseline"]["metrics"]["MAE"] == pytest.approx(mae)


def test_tune_weighs_targets_of_different_units_alike(run, table):
    done = run(
        *("tune", "table.csv", *TARGETS, "--drop", "Big", "--out", "t.pellucid"),
        *("--trials", 2, "--epochs", 3),
    )
    assert "compared by RMSE over standard deviation" in done.stdout
    facts = json.loads(
        run(
            *("tune", "table.csv", *TARGETS, "--drop", "Big", "--out", "t.pellucid", "--json"),
            *("--trials", 1, "--epochs", 30),
        ).stdout
    )
    assert 0 < facts["trials"][0]["error"] < 1  # The RMSE of the sum alone is in the hundreds.


def test_a_table_without_names_need_not_have_the_targets(run, table, tmp_path):
    table[["sum", "a", "product", "b"]].to_csv(tmp_path / "t.csv", index=False, header=False)
    run(
        *("train", "t.csv", "--no-header", "--target", 1, "--target", 3, "--out", "m.pellucid"),
        *("--epochs", 3),
    )
    table[["a", "b"]].to_csv(tmp_path / "new.csv", index=False, header=False)
    done = run("predict", "m.pellucid", "new.csv")
    assert "2 columns less" in done.stderr
    assert "without the targets column_1, column_3: column 1 of the file is column_2" in done.stderr
    assert done.stdout == run("predict", "m.pellucid", "t.csv").stdout


def test_rows_without_one_of_the_targets_are_left_out(run, table, tmp_path):
    table.loc[3, "sum"] = None
    table.loc[5, "product"] = None
    table.to_csv(tmp_path / "gaps.csv", index=False)
    command = ("train", "gaps.csv", *TARGETS, "--out", "m.pellucid", "--epochs", 2)
    assert "'sum' is missing in 1 of 200 rows" in run(*command, code=1).stderr
    done = run(*command, "--drop-missing-target")
    assert "2 rows left out, as the target 'sum' or 'product' is missing" in done.stderr


@pytest.mark.parametrize(
    ("targets", "code", "message"),
    [
        (["sum", "sum"], 2, "--target: 'sum' is named twice"),
        (
            ["sum", "Big"],
            1,
            "'Big' holds classes (text with 2 different values), but to be "
            "predicted together, all of the targets 'sum', 'Big' must be numbers",
        ),
        (["sum", "none"], 1, "There is no column 'none'"),
        (["a", "b", "sum", "product", "Big"], 1, "no column but the targets"),
    ],
)
def test_targets_that_do_not_go_together(run, table, targets, code, message):
    options = [part for target in targets for part in ("--target", target)]
    done = run("train", "table.csv", *options, "--out", "m.pellucid", code=code)
    assert message in done.stderr


def test_text_targets_are_not_told_to_be_numbers(run, table):
    command = ("train", "table.csv", "--target", "Big", "--out", "m.pellucid", "--target")
    assert "--task regression" not in run(*command, "sum", code=1).stderr
    table.assign(few=table["a"].round(), many=table["b"].round()).to_csv("table.csv", index=False)
    command = ("train", "table.csv", "--target", "few", "--out", "m.pellucid", "--target")
    assert "or pass --task regression" in run(*command, "many", code=1).stderr
