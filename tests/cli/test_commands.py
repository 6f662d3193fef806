import csv
import io
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import invoke
from real_data import real_data
from sklearn.exceptions import ConvergenceWarning

from pellucid import (
    MLPClassifier,
    MLPRegressor,
    Network,
    TabularClassifier,
    TabularRegressor,
    load,
    save,
)
from pellucid.nn import Linear


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    return invoke


@pytest.fixture
def people(tmp_path):
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, 600)
    job = rng.choice(["clerk", "cook", "pilot"], 600)
    rich = np.where(age + 30 * (job == "pilot") + rng.normal(0, 5, 600) > 60, "yes", "no")
    table = pd.DataFrame({"id": range(1, 601), "age": age, "job": job, "rich": rich})
    table["pay"] = 1000.0 + 20 * age + rng.normal(0, 50, 600)
    table.loc[3, "job"] = None
    path = tmp_path / "people.csv"
    table.to_csv(path, index=False)
    return path


def test_train_evaluate_predict_describe(run, people):
    done = run("train", people, "--target", "rich", "--out", "m.pellucid")
    assert "classification (text with 2 different values)" in done.output
    for word in ["left out", "categorical", "numeric", "epoch", "examples/s", "Linear(128)"]:
        assert word in done.output
    for word in ["120 test rows", "most frequent class", "balanced accuracy", "ROC AUC", "Saved"]:
        assert word in done.output
    assert isinstance(load("m.pellucid"), TabularClassifier)

    done = run("evaluate", "m.pellucid", people)
    accuracy = float(re.search(r"│ accuracy +│ +([\d.]+) %", done.output).group(1))
    assert accuracy > 85

    done = run("predict", "m.pellucid", people, "--probabilities")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == 600
    assert set(rows[0]) == {"prediction", "probability of no", "probability of yes"}

    done = run("describe", "m.pellucid")
    for word in ["target 'rich'", "no, yes", "× 128", "total", "id", "Training:", "(kept)"]:
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


def test_every_kind_of_model_is_described(run):
    X = np.random.default_rng(0).normal(size=(60, 3))
    mlp = MLPRegressor("poisson", (8, 8), ["relu", "tanh"], normalization="rms", max_iter=20)
    with pytest.warns(ConvergenceWarning):
        mlp.fit(X, np.abs(X[:, 0])).save("mlp.pellucid")
    output = run("describe", "mlp.pellucid").output
    for word in ["Predicts a", "RMSNorm()", "gamma 8", "Activation('tanh')", "loss: poisson"]:
        assert word in output
    assert "normalization='rms'" in " ".join(output.split())
    Network([Linear(2)], "squared_error").fit(X, X[:, :2], epochs=3).save("n.pellucid")
    output = run("describe", "n.pellucid").output
    for word in ["Network", "Linear(2)", "W 3 × 2, b 2", "total", "Training: 3 epochs"]:
        assert word in output


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
        ("a,y\n1,x\n2,\n3,y\n", "y", "missing in 1 of 3 rows (the first is row 2)"),
        ("a,y\n1,x\n", "y", "only one distinct value"),
        ("a,y\n1,x\n2,z\n", "y", "too few to hold out"),
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
    assert "directory" in run("train", tmp_path, "--target", "y", "--out", "m", code=1).output
    done = run("train", people, "--target", "rich", "--out", tmp_path, code=1)
    assert "is a directory" in done.output
    assert "epoch" not in done.output, "told before training"
    done = run("train", people, "--target", "rich", "--out", "no/where", code=1)
    assert "does not exist" in done.output
    assert "no such file" in run("describe", "absent.pellucid", code=1).output
    assert "not a Pellucid model" in run("describe", people, code=1).output
    assert "is a directory" in run("evaluate", tmp_path, people, code=1).output


def test_wrong_usage_is_code_2(run, people):
    run(code=2)
    run("train", code=2)
    run("train", people, "--target", "rich", code=2)
    run("fly", code=2)
    train = ["train", people, "--target", "rich", "--out", "m"]
    assert "positive integers" in run(*train, "--hidden", "3,x", code=2).output
    assert "NAME=KIND" in run(*train, "--column", "job=ordinal", code=2).output
    run(*train, "--test", "1.5", code=2)
    run(*train, "--task", "magic", code=2)


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


def test_truncated_model(run, people):
    run("train", people, "--target", "rich", "--out", "m.pellucid", "--epochs", "2")
    path = people.with_name("m.pellucid")
    path.write_bytes(path.read_bytes()[:-100])
    assert "is damaged" in run("predict", path, people, code=1).output


def test_prediction_needs_the_columns_but_not_the_target(run, people, tmp_path):
    run("train", people, "--target", "rich", "--out", "m.pellucid", "--epochs", "2")
    table = pd.read_csv(people)
    table[["job", "age", "pay", "id"]].to_csv(tmp_path / "new.csv", index=False)
    run("predict", "m.pellucid", "new.csv")
    done = run("evaluate", "m.pellucid", "new.csv", code=1)
    assert "no column 'rich'" in done.output
    table.rename(columns={"age": "Age"}).to_csv(tmp_path / "new.csv", index=False)
    done = run("predict", "m.pellucid", "new.csv", code=1)
    assert "no column 'age'. Did you mean 'Age'?" in done.output


def test_labels_that_the_model_does_not_know(run, people, tmp_path):
    run("train", people, "--target", "rich", "--out", "m.pellucid", "--epochs", "2")
    table = pd.read_csv(people).assign(rich="perhaps")
    table.to_csv(tmp_path / "new.csv", index=False)
    done = run("evaluate", "m.pellucid", "new.csv", code=1)
    assert "does not know: 'perhaps'. It knows: 'no', 'yes'" in done.output


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


def test_version(run):
    assert re.fullmatch(r"pellucid \d+\.\d+\.\d+\S*\n", run("--version").output)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_demo(run, seed):
    done = run("demo", "--seed", seed)
    accuracy = float(re.search(r"│ accuracy +│ +([\d.]+) %", done.output).group(1))
    assert accuracy >= 97
    for word in ["Linear(64)", "training took", "most frequent class", "examples/s"]:
        assert word in done.output


def test_names_with_brackets_are_shown_as_they_are(run, tmp_path):
    rows = "".join(f"{i / 7},{i % 3},{i % 2}\n" for i in range(60))
    (tmp_path / "t.csv").write_text("[bold]a[/],[red],y:smile:\n" + rows)
    done = run("train", "t.csv", "--target", "y:smile:", "--out", "m.pellucid", "--epochs", "2")
    assert "[bold]a[/]" in done.output
    assert "y:smile:" in done.output


@pytest.mark.slow
def test_adult(run):
    done = run(
        *["train", real_data("adult/adult-train.csv.gz"), "--no-header", "--target", "column_15"],
        *["--out", "adult.pellucid", "--test-table", real_data("adult/adult-test.csv.gz")],
    )
    accuracy = float(re.search(r"│ accuracy +│ +([\d.]+) %", done.output).group(1))
    assert accuracy >= 85.5
