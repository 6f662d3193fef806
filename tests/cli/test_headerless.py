"""Tables without names: the target is somewhere among the columns, or not there."""

import numpy as np
import pandas as pd
import pytest

N = 300


@pytest.fixture(params=[1, 2, 5], ids="target is column {}".format)
def trained(run, tmp_path, request):
    """The target's number, and rows with it, of a model trained without names."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(N, 4)), columns=list("abcd"))
    table["b"] = rng.choice(["x", "y"], N)
    target = (table["a"] + 2 * table["c"] - (table["b"] == "x")).rename("target")
    table.insert(request.param - 1, "target", target)
    table.to_csv(tmp_path / "train.csv", index=False, header=False)
    run(
        "train",
        "train.csv",
        "--no-header",
        "--target",
        request.param,
        "--out",
        "m.pellucid",
        "--epochs",
        3,
        "--set",
        "validation_fraction=0.2",
    )
    return request.param, table


def test_the_target_may_be_there_or_not(run, trained, tmp_path):
    number, table = trained
    table.drop(columns="target").to_csv(tmp_path / "new.csv", index=False, header=False)
    expected = run("predict", "m.pellucid", "train.csv")
    done = run("predict", "m.pellucid", "new.csv")
    assert done.stdout == expected.stdout
    told = "new.csv has one column less than the table of training, so it is taken to be without "
    if number == 5:
        assert told not in done.stderr
    else:
        said = f"the target column_{number}: column {number} of the file is column_{number + 1}"
        assert told + said in done.stderr
    assert "one column less" not in expected.stderr


def test_without_the_target_nothing_is_evaluated(run, trained, tmp_path):
    number, table = trained
    assert "R²" in run("evaluate", "m.pellucid", "train.csv").stdout
    table.drop(columns="target").to_csv(tmp_path / "new.csv", index=False, header=False)
    done = run("evaluate", "m.pellucid", "new.csv", code=1)
    assert f"There is no column 'column_{number}'" in done.stderr


@pytest.mark.parametrize("n_columns", [3, 6])
def test_other_numbers_of_columns_are_refused(run, trained, tmp_path, n_columns):
    number, table = trained
    other = table.iloc[:, :3] if n_columns == 3 else table.assign(more=1.0)
    other.to_csv(tmp_path / "new.csv", index=False, header=False)
    done = run("predict", "m.pellucid", "new.csv", code=1)
    assert f"new.csv has {n_columns} columns and no names" in done.stderr
    assert f"with all of them, or with all but the target column_{number}." in done.stderr
