"""`pellucid train`: from a file to a saved model."""

import csv
import io
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from real_data import real_data

from pellucid import TabularClassifier, TabularRegressor, load, tables
from pellucid.cli import training

TRAIN = ("train", "train.csv", "--target", "kind", "--test-table", "test.csv", "--out")


def test_train_evaluate_predict_describe(run, people):
    done = run("train", people, "--target", "rich", "--out", "m.pellucid")
    assert "classification (text with 2 different values)" in done.output
    for word in ["left out", "categorical", "numeric", "epoch", "examples/s"]:
        assert word in done.output
    assert "Linear(128)" not in done.output
    for word in ["120 test rows", "most frequent class", "balanced accuracy", "ROC AUC", "Saved"]:
        assert word in done.output
    assert isinstance(load("m.pellucid"), TabularClassifier)

    done = run("evaluate", "m.pellucid", people)
    accuracy = float(re.search(r"│ accuracy +│ +([\d.]+) %", done.output).group(1))
    assert accuracy > 85

    done = run("predict", "m.pellucid", people, "--probabilities")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == 600
    assert set(rows[0]) == {"predicted_rich", "probability_no", "probability_yes"}

    done = run("describe", "m.pellucid")
    for word in [
        "one of 2 classes of 'rich': no, yes",
        "× 128",
        "total",
        "id",
        "Training:",
        "(kept)",
    ]:
        assert word in done.output


def test_regression(run, people):
    done = run("train", people, "--target", "pay", "--out", "m.pellucid", "--seed", 1)
    assert "regression (numbers that are not whole)" in done.output
    for word in ["RMSE", "MAE", "R²", "mean"]:
        assert word in done.output
    assert isinstance(load("m.pellucid"), TabularRegressor)
    run("predict", "m.pellucid", people, "--out", "p.csv")
    assert len(pd.read_csv("p.csv")) == 600
    assert "a number" in run("describe", "m.pellucid").output
    run("predict", "m.pellucid", people, "--probabilities", code=1)


def test_task_and_kinds_can_be_chosen(run, people):
    done = run(
        *["train", people, "--target", "age", "--task", "classification", "--out", "m.pellucid"],
        *["--column", "job=left out", "--hidden", "16", "--epochs", "3", "--test", "0"],
    )
    assert "as specified" in done.output
    assert "test rows" not in done.output
    model = load("m.pellucid")
    assert model.classes_.dtype.kind == "i"
    assert model.hidden_layer_sizes == (16,)
    done = run(
        *["train", people, "--target", "rich", "--task", "regression", "--out", "n.pellucid"],
        code=1,
    )
    assert "is text, such as" in done.output


def test_table_without_header(run, people, tmp_path):
    path = tmp_path / "plain.csv"
    path.write_text("".join(people.read_text().splitlines(keepends=True)[1:]))
    done = run("train", path, "--target", "4", "--out", "m.pellucid", code=1)
    assert "--no-header" in done.output
    run("train", path, "--target", "4", "--out", "m.pellucid", "--no-header", "--epochs", "3")
    assert "accuracy" in run("evaluate", "m.pellucid", path).output
    assert run("predict", "m.pellucid", path).stdout.count("\n") == 601


def test_test_table_and_labels_with_a_full_stop(run, people, tmp_path):
    other = pd.read_csv(people)
    other["rich"] += "."
    other[::-1].to_csv(tmp_path / "other.csv", index=False)
    done = run(
        *["train", people, "--target", "rich", "--out", "m.pellucid", "--epochs", "5"],
        *["--test-table", tmp_path / "other.csv"],
    )
    assert "600 test rows" in done.output
    assert "'no.' are treated as 'no'" in done.output


def test_parquet(run, people, tmp_path):
    pd.read_csv(people).to_parquet(tmp_path / "people.parquet")
    run(
        *["train", tmp_path / "people.parquet", "--target", "rich", "--out", "m.pellucid"],
        *["--epochs", "3"],
    )
    run("evaluate", "m.pellucid", tmp_path / "people.parquet")


@pytest.mark.parametrize(
    ("content", "target", "message"),
    [
        (None, "rihc", "no column 'rihc'. Did you mean 'rich'?"),
        (None, "RICH", "Did you mean 'rich'?"),
        ("", "y", "is empty"),
        ("a,y\n1,2\n1,2,3\n", "y", "line 3: 3 cells"),
        ("# x\na,y\n1,x\n\n2,\n3,y\n", "y", "missing in 1 of 3 rows (the first is line 5)"),
        ("a,y\n1,1.5\n2,2.5\n3,inf\n", "y", "infinite in line 4"),
        ("a,y\n1,x\n", "y", "only one distinct value"),
        ("a,y\n1,x\n2,z\n", "y", "different in each of the 2 rows, such as 'x'"),
        ("a,y\n1,x\n2,x\n3,z\n", "y", "too few to hold out"),
        ("y\nx\nz\nx\n", "y", "no column but the target 'y'"),
        ("a,y\n1,2020-01-31\n", "y", "only one distinct value"),
        ("a,y\n1,x\n1,z\n1,x\n1,z\n1,x\n1,z\n", "y", "No column is left to learn from"),
    ],
)
def test_bad_tables_end_with_one_message_and_code_1(run, people, content, target, message):
    path = people
    if content is not None:
        path = people.with_name("bad.csv")
        path.write_text(content)
    done = run("train", path, "--target", target, "--out", "m.pellucid", code=1)
    assert message in done.output
    assert not people.with_name("m.pellucid").exists()


def test_one_class_only(run, tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"{i / 7},same\n" for i in range(40)))
    done = run("train", "t.csv", "--target", "y", "--out", "m.pellucid", code=1)
    assert "only one distinct value, 'same'" in done.output


def test_bad_places(run, people, tmp_path):
    assert "no such file" in run("train", "x.csv", "--target", "y", "--out", "m", code=1).output
    (tmp_path / "empty").mkdir()
    assert "no files" in run("train", "empty", "--target", "y", "--out", "m", code=1).output
    done = run("train", people, "--target", "rich", "--out", tmp_path, code=1)
    assert "is a directory" in done.output
    assert "epoch" not in done.output, "told before training"
    done = run("train", people, "--target", "rich", "--out", "no/where", code=1)
    assert "does not exist" in done.output
    assert "no such file" in run("describe", "absent.pellucid", code=1).output
    assert "not a Pellucid model" in run("describe", people, code=1).output
    assert "is a directory" in run("evaluate", tmp_path, people, code=1).output


def test_a_model_that_cannot_be_saved_is_not_lost(run, people, monkeypatch):
    replace = os.replace

    def full(source, target):
        if str(target).endswith("m.pellucid"):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    done = run(
        *["train", people, "--target", "rich", "--out", "m.pellucid", "--epochs", "2"], code=1
    )
    assert "No space left on device" in done.output
    rescued = Path(re.search(r"trained model is in (\S+\.pellucid)", done.output).group(1))
    assert isinstance(load(rescued), TabularClassifier)
    rescued.unlink()
    assert [file.name for file in people.parent.iterdir()] == ["people.csv"]


def test_names_with_brackets_are_shown_as_they_are(run, tmp_path):
    rows = "".join(f"{i / 7},{i % 3},{i % 2}\n" for i in range(60))
    (tmp_path / "t.csv").write_text("[bold]a[/],[red],y:smile:\n" + rows)
    done = run("train", "t.csv", "--target", "y:smile:", "--out", "m.pellucid", "--epochs", "2")
    assert "[bold]a[/]" in done.output
    assert "y:smile:" in done.output


def test_validation_and_settings(run, parts):
    done = run(
        *TRAIN, "m.pellucid", "--validation", "val.csv", "--epochs", 3, "--set", "dropout=[0.1,0]",
        "--set", "activation=silu", "--hidden", "8,8", "--set", "residual=true",
    )  # fmt: skip
    assert "val.csv: 80 rows for validation" in done.output
    model = load("m.pellucid")
    assert len(model.validation_scores_) == 3
    assert model.t_ == 3 * 240
    assert (model.dropout, model.activation, model.residual) == ([0.1, 0], "silu", True)


def test_resume_goes_on_where_training_stopped(run, parts):
    few = ("--checkpoints", "folder", "--set", "n_iter_no_change=100")
    run(*TRAIN, "half.pellucid", "--epochs", 3, *few)
    run(*TRAIN, "resumed.pellucid", "--epochs", 6, *few, "--resume")
    run(*TRAIN, "whole.pellucid", "--epochs", 6, "--set", "n_iter_no_change=100")
    resumed, whole = load("resumed.pellucid"), load("whole.pellucid")
    assert resumed.loss_curve_ == whole.loss_curve_
    np.testing.assert_array_equal(resumed.coefs_[0], whole.coefs_[0])
    error = run(*TRAIN, "m", *few, "--resume", "--seed", 1, code=1)
    assert "checkpoint" in error.output


def test_columns_are_recognized_once(run, people, monkeypatch):
    recognize, seen = tables.recognition._recognize, []

    def counted(column, *rest):
        seen.append(column.name)
        return recognize(column, *rest)

    monkeypatch.setattr(tables.recognition, "_recognize", counted)
    done = run("train", people, "--target", "rich", "--out", "m.pellucid", "--epochs", 1)
    assert seen == ["id", "age", "job", "pay"]
    recognized = load("m.pellucid").encoder_.recognized_
    assert all(column.reason in done.output for column in recognized)
    assert done.output.index("Columns") < done.output.index("epoch")


def test_layers_and_all_columns_with_verbose(run, tmp_path):
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 50))).add_prefix("column")
    wide.assign(y=wide["column0"] > 0).to_csv(tmp_path / "wide.csv", index=False)
    train = ["train", "wide.csv", "--target", "y", "--out", "m.pellucid", "--epochs", 1]
    done = run(*train)
    assert "and 10 more columns; --verbose shows them" in done.output
    assert "Linear(128)" not in done.output
    done = run(*train, "--verbose")
    assert "column49" in done.output
    assert "Linear(128)" in done.output


@pytest.mark.parametrize("when", ["in an epoch", "before the first epoch"])
def test_an_interrupted_refit_saves_the_model_that_was_tested(run, people, monkeypatch, when):
    def interrupted_at_second(model, rows, *rest):
        done = train(model, rows, *rest)
        if len(rows) < 600:
            return done
        if when == "in an epoch":
            return training.Training(done.seconds, True)
        raise KeyboardInterrupt

    train = training.train
    monkeypatch.setattr(training, "train", interrupted_at_second)
    call = ["train", people, "--target", "rich", "--out", "m.pellucid", "--epochs", 1, "--refit"]
    done = run(*call, code=130)
    assert "the model that was tested is kept" in done.stderr
    assert "Saved m.pellucid" in done.stdout
    assert "Nothing was saved" not in done.stderr
    assert load("m.pellucid").training_facts_["rows"] == 480


@pytest.mark.slow
def test_adult(run):
    done = run(
        *["train", real_data("adult/adult-train.csv.gz"), "--no-header", "--target", "column_15"],
        *["--out", "adult.pellucid", "--test-table", real_data("adult/adult-test.csv.gz")],
    )
    accuracy = float(re.search(r"│ accuracy +│ +([\d.]+) %", done.output).group(1))
    assert accuracy >= 85.5
