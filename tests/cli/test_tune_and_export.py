"""`pellucid tune` and `export`; validation, checkpoints and settings of `train`."""

import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import invoke

from pellucid import TabularClassifier, TabularRegressor, load
from pellucid.cli import tuning
from pellucid.cli.data import Examples
from pellucid.tables import read_table


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    return invoke


@pytest.fixture
def tables(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=400), "b": rng.choice(list("xyz"), 400)})
    table["kind"] = np.where(table.a + (table.b == "x") > 0, "good", "bad")
    table["size"] = 3 * table.a + (table.b == "y")
    table[:240].to_csv(tmp_path / "train.csv", index=False)
    table[240:320].to_csv(tmp_path / "val.csv", index=False)
    table[320:].to_csv(tmp_path / "test.csv", index=False)
    return table


TRAIN = ("train", "train.csv", "--target", "kind", "--test-table", "test.csv", "--out")


def test_validation_and_settings(run, tables):
    done = run(
        *TRAIN, "m.pellucid", "--validation", "val.csv", "--epochs", 3, "--set", "dropout=[0.1,0]",
        "--set", "activation=silu", "--set", "hidden_layer_sizes=[8, 8]", "--set", "residual=true",
    )  # fmt: skip
    assert "val.csv: 80 rows for validation" in done.output
    model = load("m.pellucid")
    assert len(model.validation_scores_) == 3
    assert model.mlp_.t_ == 3 * 240
    assert (model.dropout, model.activation, model.residual) == ([0.1, 0], "silu", True)


def test_resume_goes_on_where_training_stopped(run, tables):
    few = ("--checkpoints", "folder", "--set", "n_iter_no_change=100")
    run(*TRAIN, "half.pellucid", "--epochs", 3, *few)
    run(*TRAIN, "resumed.pellucid", "--epochs", 6, *few, "--resume")
    run(*TRAIN, "whole.pellucid", "--epochs", 6, "--set", "n_iter_no_change=100")
    resumed, whole = load("resumed.pellucid"), load("whole.pellucid")
    assert resumed.loss_curve_ == whole.loss_curve_
    np.testing.assert_array_equal(resumed.mlp_.coefs_[0], whole.mlp_.coefs_[0])
    error = run(*TRAIN, "m", *few, "--resume", "--seed", 1, code=1)
    assert "checkpoint" in error.output


@pytest.mark.parametrize(
    ("target", "kind"), [("kind", TabularClassifier), ("size", TabularRegressor)]
)
def test_tune_finds_something_and_saves_it(run, tables, target, kind):
    other = "size" if target == "kind" else "kind"
    done = run(
        "tune", "train.csv", "--target", target, "--test-table", "test.csv", "--out", "m.pellucid",
        "--trials", 3, "--epochs", 5, "--set", "dropout=0.05", "--column", f"{other}=left out",
    )  # fmt: skip
    for word in ("trial 1/3", "trial 3/3", "Best of 3 trials", "test rows", "Saved"):
        assert word in done.output
    model = load("m.pellucid")
    assert isinstance(model, kind)
    assert model.dropout == 0.05
    again = run(
        "tune", "train.csv", "--target", target, "--test-table", "test.csv", "--out", "n.pellucid",
        "--trials", 3, "--epochs", 5, "--set", "dropout=0.05", "--column", f"{other}=left out",
    )  # fmt: skip
    trials = [line for line in done.output.splitlines() if line.startswith("trial")]
    assert trials == [line for line in again.output.splitlines() if line.startswith("trial")]


def test_export_writes_what_onnx_runtime_reads(run, tables):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnx and onnxruntime")
    run(*TRAIN, "m.pellucid", "--epochs", 2)
    assert "Wrote m.onnx" in run("export", "m.pellucid", "--onnx", "m.onnx").output
    session = onnxruntime.InferenceSession("m.onnx", providers=["CPUExecutionProvider"])
    X = tables[320:].drop(columns="kind")
    feed = {
        one.name: X[[one.name]].to_numpy(np.float64 if "double" in one.type else object)
        for one in session.get_inputs()
    }
    labels, probabilities = session.run(["label", "probabilities"], feed)
    model = load("m.pellucid")
    np.testing.assert_array_equal(labels.ravel(), model.predict(X))
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--set", "foo=1"], 2, "no parameter 'foo'"),
        (["--set", "dropout"], 2, "NAME=VALUE"),
        (["--set", "dropout=0.1", "--set", "dropout=0.2"], 2, "set twice"),
        (["--set", "columns=3"], 2, "--column"),
        (["--set", "callbacks=3"], 2, "cannot be set"),
        (["--set", "dropout=2"], 1, "dropout"),
        (["--set", "dropout=NaN"], 1, "dropout"),
        (["--validation", "none.csv"], 1, "none.csv"),
        (["--validation", "wrong.csv"], 1, "kind"),
        (["--resume"], 2, "--checkpoints"),
        (["--resume", "--checkpoints", "empty"], 1, "checkpoint"),
    ],
)
def test_what_is_wrong_is_named(run, tables, arguments, code, words, tmp_path):
    (tmp_path / "empty").mkdir()
    tables.drop(columns="kind").to_csv("wrong.csv", index=False)
    done = run(*TRAIN, "m.pellucid", *arguments, code=code)
    assert words in done.output
    assert not (tmp_path / "m.pellucid").exists()


def test_too_few_rows_to_tune(run, tables):
    tables[:5].to_csv("few.csv", index=False)
    done = run(
        "tune", "few.csv", "--target", "kind", "--test", 0, "--out", "m", "--set", "alpha=0", code=1
    )
    assert "too few for 3 folds" in done.output


def test_an_interrupted_search_keeps_what_it_found(run, tables, monkeypatch):
    errors = iter([0.5, 0.25])

    def mean_error(*_):
        try:
            return next(errors)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(tuning, "_mean_error", mean_error)
    done = run(
        "tune", "train.csv", "--target", "kind", "--out", "m.pellucid", "--epochs", 2,
    )  # fmt: skip
    assert "Interrupted after 2 trials" in done.output
    assert load("m.pellucid").n_iter_ == 2
    error = run("tune", "train.csv", "--target", "kind", "--out", "n.pellucid", code=130)
    assert "nothing was saved" in error.output
    assert not Path("n.pellucid").exists()


def test_an_interrupt_stops_the_folds_that_run(run, tables, monkeypatch):
    first, begun, epochs = threading.Lock(), threading.Event(), []

    class Interrupted(TabularClassifier):
        def fit(self, X, y):
            if first.acquire(blocking=False):
                assert begun.wait(60)
                raise KeyboardInterrupt
            begun.set()
            super().fit(X, y)
            epochs.append(self.n_iter_)

    monkeypatch.setattr(tuning, "resolve_n_threads", lambda n_threads: 2)
    table = read_table(Path("train.csv"))
    examples = Examples(table.select(["a", "b"]), tables["kind"].to_numpy()[:240])
    settings = {"max_iter": 10**6, "n_iter_no_change": 10**6}
    with pytest.raises(KeyboardInterrupt):
        tuning.tune(Interrupted, settings, examples, 1, seed=0)
    # The second fold, and the third where its thread was quicker than the one that cancels it.
    assert 1 <= len(epochs) <= 2
    assert max(epochs) < 10**6
